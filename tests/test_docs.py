import re
import runpy
import shlex
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import typer
from torch import nn

import tailwise
from tailwise.cli.main import app
from tailwise.methods.catalog import PARTS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
HOW_TO = sorted((ROOT / "docs" / "how-to").glob("*.md"))


def test_the_readmes_code_runs():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    assert len(blocks) == 5
    exec(compile("\n".join(blocks), "README.md", "exec"), {})


def test_the_citation_has_the_version_of_the_package():
    (version,) = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), flags=re.M)
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert "(CITATION.cff)" in (ROOT / "README.md").read_text()


def options_of(command):
    """The options of a command line in a page, with those of `tailwise COMMAND --help`."""
    words = [word for word in shlex.split(command) if re.fullmatch("--?[a-z][a-z-]*", word)]
    known = typer.main.get_command(app).commands[shlex.split(command)[1]].params
    return words, {option for parameter in known for option in parameter.opts}


def commands_of(page):
    """The indented commands of a page, which are shown and not run."""
    return re.findall(r"^    (tailwise .*)$", page.read_text(), flags=re.M)


@pytest.mark.parametrize("page", [page for page in HOW_TO if commands_of(page)], ids=lambda page: page.stem)
def test_the_commands_of_a_how_to_page_exist(page):
    for command in commands_of(page):
        words, known = options_of(command)
        assert set(words) <= known, command


def test_the_table_of_methods_is_up_to_date():
    updated = runpy.run_path(str(ROOT / "docs" / "update.py"))["updated"]()
    assert updated == (ROOT / "docs" / "methods.md").read_text(), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert len(page.read_text()) > 200
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("command", re.findall(r"^    make (\w+)", (ROOT / "README.md").read_text(), flags=re.M))
def test_make_targets_exist(command):
    assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text(), flags=re.M)


def test_public_names():
    assert len(tailwise.__all__) == len(set(tailwise.__all__)) <= 42
    for name in tailwise.__all__:
        assert getattr(tailwise, name).__doc__, name
    with pytest.raises(AttributeError, match="has no attribute 'Conr'"):
        _ = tailwise.Conr


def test_public_surface():
    """A public name that vanishes breaks somebody's code: change this list together with CHANGELOG.md."""
    known = """
        Batches Bins ConR FDS FocalL1 FocalMSE Huber InputError L1 LDS LabelWeights MLP MSE Method Objective Recipe
        Regressor Relevance Shots Stage TableModel Training compose conr_loss density_weights focal_loss lds_weights
        region_metrics LabelDensity WeightedRegressor ImbalancedRegressor ResampledRegressor SERAObjective
        BalancedMAEObjective Evaluation Experiment FittedModel Task dial evaluate fit prepare
    """
    assert set(tailwise.__all__) >= set(known.split())


@pytest.mark.filterwarnings("ignore:.*weights are extreme")
@pytest.mark.parametrize("name", list(PARTS))
def test_the_snippet_of_a_part_runs(name):
    """In the names that docs/methods.md promises, and in three lines."""
    torch.manual_seed(0)
    lines = PARTS[name].use.splitlines()
    assert len(lines) <= 3
    x = torch.randn(32, 3)
    y = 40 + 10 * x[:, 0]
    y_train = np.random.default_rng(0).normal(40, 10, 400)
    model = tailwise.Regressor(nn.Sequential(nn.Linear(3, 8), nn.ReLU()), 8).match_scale(y_train)
    features = model.encode(x)
    names = {
        "x": x,
        "y": y,
        "model": model,
        "features": features,
        "pred": model.head(features),
        "y_train": y_train,
        "bins": tailwise.Bins.auto(y_train),
        "weights": tailwise.lds_weights(y_train),
        "optimizer": torch.optim.SGD(model.parameters(), lr=1e-3),
        "X_train": np.random.default_rng(0).normal(size=(len(y_train), 3)),
        "y_val": y_train,
        "pred_val": y_train + 1,
        "pred_test": np.array([30.0, 40.0]),
        "torch": torch,
        "compose": tailwise.compose,
        "density_weights": tailwise.density_weights,
    }
    if name == "bsam":
        (names["pred"] - y).abs().mean().backward()
    exec(compile(PARTS[name].use, name, "exec"), names)
    if "loss" in names:
        names["loss"].backward()
        assert any(p.grad is not None for p in names["model"].parameters())
    elif "pred_test" in PARTS[name].use:
        assert names["pred_test"].shape == (2,)


def test_every_part_names_its_paper_or_is_common_knowledge():
    for name, part in PARTS.items():
        assert part.summary
        assert part.source
        assert part.cost
        assert part.year or part.source == "-"
        assert set(part.units) <= set(part.parameters())
        assert part.make.__doc__, name


def test_the_picture_of_the_readme_is_a_file_of_its_own():
    script = runpy.run_path(str(ROOT / "docs" / "demo_picture.py"))
    page = (
        '<h3>Size of the errors</h3>\n<svg data-tips="[1]" tabindex="0" xmlns="w"><path fill="currentColor"/></svg> x'
    )
    assert script["picture"](page) == ('<svg style="background: white" xmlns="w"><path fill="#1b1d22"/></svg>\n')
    kept = (ROOT / "docs" / "pictures" / "demo.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(kept).tag == "{http://www.w3.org/2000/svg}svg"
    assert "elevation" in kept
