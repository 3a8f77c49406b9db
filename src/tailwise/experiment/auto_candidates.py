"""The methods that ``method="auto"`` chooses among, from simple to complex."""

from tailwise.experiment.spec import Experiment

VANILLA = Experiment("vanilla")
_MILD = Experiment("reweight+lds", method_params={"reweight": {"power": 0.25}})
_CORRECTED = (Experiment("isotonic"), Experiment("quantile"))  # vanilla's network, so they cost no training
# Those that lowered few-shot errors on some table of docs/results.md at a lower cost than all others.
NETWORK = (VANILLA, *_CORRECTED, _MILD, Experiment("sqinv+lds"), Experiment("rrt+lds"))
CLASSICAL = (VANILLA, *_CORRECTED, _MILD, Experiment("sqinv+lds"), Experiment("smoter"))


def candidates_for(model: str) -> tuple[Experiment, ...]:
    """Return the candidates for a model of :data:`tailwise.backends.names.MODELS`, vanilla first."""
    return NETWORK if model == "network" else CLASSICAL
