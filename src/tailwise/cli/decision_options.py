"""Options about decisions and distributions, parsed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tailwise._checks import InputError, did_you_mean, shown
from tailwise.cli.number_words import way_out

if TYPE_CHECKING:
    from tailwise.distributions.decisions import Decision
    from tailwise.runs.predicted_table import Asked
    from tailwise.runs.questions import Questions

_COST = "--cost takes under=COST,over=COST such as under=10,over=1"
_DENSITY = "--density takes uniform:LOW,HIGH such as uniform:0,100, or labels:FILE"


def parse_questions(
    quantiles: Sequence[float] | None, above: Sequence[str] | None, below: Sequence[str] | None
) -> "Questions":
    """Return the questions that options ask.

    Raises:
        InputError: levels outside (0, 1), values that are not numbers.
    """
    from tailwise.runs.questions import Questions

    return Questions(
        tuple(dict.fromkeys(quantiles or ())),
        _thresholds(above or (), "--above"),
        _thresholds(below or (), "--below"),
    )


def parse_decision(
    balance: float | None,
    density: str | None,
    loss: str | None,
    cost: str | None,
    *,
    targets: Sequence[str],
    of_targets: Sequence[str] = (),
) -> "Decision":
    """Return the decision that options ask for.

    Args:
        balance: ``--balance``.
        density: ``--density``.
        loss: ``--loss``.
        cost: ``--cost``.
        targets: columns of labels in a file of labels.
        of_targets: ``--target-balance``; a target that is not named has the balance, by default 0.

    Raises:
        InputError: values that do not work.
    """
    from tailwise.distributions.decisions import Decision

    if (balance is not None or of_targets) and density is not None:
        raise InputError(f"give {'--target-balance' if of_targets else '--balance'} or --density, not both")
    if loss is not None and cost is not None:
        raise InputError("give --loss or --cost, not both")
    declared = None if density is None else _density(density, targets)
    if of_targets:
        named = _of_targets(of_targets, targets)
        each = tuple(named.get(name, 0.0 if balance is None else balance) for name in targets)
        return Decision(balance=each, density=declared, loss=loss, **_costs(cost))  # type: ignore[arg-type]
    return Decision(balance=balance, density=declared, loss=loss, **_costs(cost))  # type: ignore[arg-type]


def note_on_means(decision: "Decision", balance: float) -> list[str]:
    """Return a note where ``--loss squared`` gives means at the run's own balance, which is above 0.

    Args:
        decision: what was asked for.
        balance: of the run.
    """
    if decision.loss != "squared" or decision.balance is not None or decision.density is not None or balance == 0:
        return []
    return [
        f"--loss squared gives means at the run's own balance, {balance:g}, which counts rare values more than they "
        "occur; with --balance 0 the sum of the means estimates the sum of the labels of rows as they come"
    ]


def note_on_spread(asked: "Asked") -> list[str]:
    """Return a note where quantiles, chances or intervals are about labels that do not come as the training rows do."""
    balance, density = asked.decision.balance, asked.decision.density
    spread = any(balance) if isinstance(balance, tuple) else bool(balance)
    if not (spread or density is not None) or not (asked.questions or asked.interval is not None):
        return []
    option = "--density" if density is not None else "--target-balance" if isinstance(balance, tuple) else "--balance"
    return [
        f"quantiles, chances and intervals are about labels spread as {option} says, not as they come; without "
        f"{option} they are about labels as they come"
    ]


def _thresholds(texts: Sequence[str], option: str) -> tuple[tuple[str, float], ...]:
    told = {text: f"{option} takes a number, got {shown(text)}{way_out(text)}" for text in texts}
    return tuple((text, _number(text, message)) for text, message in told.items())


def _of_targets(texts: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
    """Return the balance of each target that is named."""
    if len(targets) == 1:
        raise InputError("--target-balance is for several targets, and there is one; pass --balance")
    named: dict[str, float] = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        if name not in targets:
            raise InputError(
                f"--target-balance takes TARGET=BALANCE such as {targets[0]}=0.5, got {text!r}"
                + did_you_mean(name, targets)
            )
        if name in named:
            raise InputError(f"--target-balance names {name!r} twice; name it once")
        named[name] = _number(value, f"--target-balance takes TARGET=BALANCE such as {name}=0.5, got {text!r}")
    return named


def _costs(text: str | None) -> dict[str, float]:
    if text is None:
        return {}
    costs: dict[str, float] = {}
    for piece in text.split(","):
        name, equals, value = piece.partition("=")
        if name.strip() not in ("under", "over") or not equals or name.strip() in costs:
            raise InputError(f"{_COST}, got {text!r}")
        costs[name.strip()] = _number(value, f"{_COST}, got {text!r}")
    if len(costs) < len(("under", "over")) or min(costs.values()) <= 0:
        raise InputError(f"{_COST}, two numbers above 0, got {text!r}")
    return costs


def _density(text: str, targets: Sequence[str]) -> Any:
    kind, colon, rest = text.partition(":")
    if kind == "uniform" and len(targets) > 1:
        raise InputError(f"--density uniform is for one target, and there are {len(targets)}; take labels:FILE")
    if kind == "uniform" and colon:
        ends = rest.split(",")
        if len(ends) == len(("low", "high")):
            low, high = (_number(end, f"{_DENSITY}, got {text!r}") for end in ends)
            if low < high:
                return low, high
        raise InputError(f"{_DENSITY}, with LOW below HIGH, got {text!r}")
    if kind == "labels" and colon:
        from tailwise.cli.show import notes
        from tailwise.data.source import load_source
        from tailwise.data.targets import target_rows

        source = load_source(rest)
        labels = target_rows(source.rows.frame(), targets, drop=True)[0]
        notes([f"--density table: {note}" for note in source.notes])
        return labels
    raise InputError(f"{_DENSITY}, got {text!r}")


def _number(text: str, message: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(message) from None
    if value != value or value in (float("inf"), float("-inf")):
        raise InputError(message)
    return value
