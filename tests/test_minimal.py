"""One piece in a loop of one's own needs torch, NumPy and SciPy, and nothing else that tailwise installs."""

import subprocess
import sys
from importlib.metadata import packages_distributions, requires

import pytest

_BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
"""

_PIECES = {
    "conr": """
import torch
from tailwise import ConR
z = torch.randn(8, 4, requires_grad=True)
y = torch.arange(8.0)
ConR(window=1.0)(z, y, z.sum(1)).backward()
assert z.grad.isfinite().all()
""",
    "weights and FDS": """
import torch
from tailwise import FDS, Bins, lds_weights
y = torch.rand(50).exp() * 30
bins = Bins.width(y.numpy(), 1.0)
assert lds_weights(y.numpy(), bins)(y).isfinite().all()
smoother = FDS(bins, 4)
assert smoother(torch.randn(50, 4), y).shape == (50, 4)
smoother.end_epoch()
""",
    "compose": """
import torch
from tailwise import MLP, Regressor, compose
x, y = torch.randn(64, 3), torch.rand(64)
objective = compose("sqinv+lds+fds+conr").build(Regressor(MLP(3, widths=[8]), n_features=8), y.numpy())
sum(objective(x, y).values()).backward()
objective.end_epoch()
""",
}


def _names(requirement: str) -> str:
    return requirement.split(";")[0].split("[")[0].strip("<>=~! 0123456789.").lower()


def _blocked() -> set[str]:
    """Import names of everything tailwise installs but torch, NumPy and SciPy, and of every extra."""
    kept = {"torch", "numpy", "scipy"}
    for package in list(kept):
        kept |= {_names(line) for line in requires(package) or () if "extra ==" not in line}
    for package in list(kept):  # what torch needs itself
        try:
            kept |= {_names(line) for line in requires(package) or () if "extra ==" not in line}
        except ModuleNotFoundError:
            continue
    wanted = {_names(line) for line in requires("tailwise") or ()} - kept
    return {
        module
        for module, packages in packages_distributions().items()
        if any(package.lower() in wanted for package in packages)
    }


def test_other_dependencies_are_blocked():
    assert {"pandas", "sklearn", "accelerate", "lightgbm", "typer", "matplotlib"} <= _blocked()
    assert not {"torch", "numpy", "scipy"} & _blocked()


@pytest.mark.parametrize("piece", _PIECES)
@pytest.mark.slow
def test_a_piece_needs_torch_numpy_and_scipy_only(piece):
    code = _BLOCKED.format(blocked=_blocked()) + _PIECES[piece]
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
