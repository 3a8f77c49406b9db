"""What a diagnosis holds: one frozen type of plain values for each thing that is looked at."""

import json
from dataclasses import asdict, dataclass
from typing import Any

FEWEST = 10  # rows below which a spike or a region's error says nothing
FEW_VALUES = 9  # different values up to which a target is more like classes than numbers


@dataclass(frozen=True)
class Target:
    """The target's values: rows that have one, rows that have none, and plain statistics in its units.

    ``reach`` is how far the farther end lies from its quartile, in interquartile ranges (``None`` where half of the
    values are equal); ``log_skew`` is the skew of log(y), where all values are above 0.
    """

    name: str
    rows: int
    missing: int
    distinct: int
    low: float
    high: float
    mean: float
    median: float
    std: float
    skew: float
    log_skew: float | None
    reach: float | None


@dataclass(frozen=True)
class Region:
    """Bins and rows of a shot region."""

    name: str
    bins: int
    rows: int
    share: float


@dataclass(frozen=True)
class EmptyRange:
    """A run of empty bins between the lowest and the highest value: ``[low, high)``, target units."""

    low: float
    high: float
    bins: int


@dataclass(frozen=True)
class Density:
    """Rows by bin: edges, counts, the LDS curve, each bin's region, and what follows from them.

    ``ratio`` is the rows of the fullest bin over those of the sparsest that has any; ``empty_share`` the share of the
    range from the lowest to the highest value that lies in empty bins.
    """

    rule: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    smoothed: tuple[float, ...]
    bin_regions: tuple[str, ...]
    many: float
    few: float
    regions: tuple[Region, ...]
    empty: tuple[EmptyRange, ...]
    empty_share: float
    ratio: float


@dataclass(frozen=True)
class Weighting:
    """What a weighting does to the sample: (Σw)² / Σw² rows remain, and the largest weight over the mean."""

    method: str
    effective_rows: float
    share: float
    largest: float


@dataclass(frozen=True)
class RelevanceSummary:
    """Control points of φ, and the rows with φ of at least 0.8 below and above the median."""

    points: tuple[float, ...]
    values: tuple[float, ...]
    low_rows: int
    high_rows: int


@dataclass(frozen=True)
class Spike:
    """One value that holds many rows while its neighbours do not; at the ``low`` or ``high`` end, or ``inside``."""

    value: float
    rows: int
    share: float
    where: str


@dataclass(frozen=True)
class Rounding:
    """A step of which ``share`` of the values are multiples, coarse enough that there are fewer steps than rows."""

    step: float
    share: float


@dataclass(frozen=True)
class Duplicates:
    """Rows that equal an earlier one in features and target, and rows whose features occur with another target too."""

    repeated: int
    contradicting: int


@dataclass(frozen=True)
class Suspect:
    """A numeric column that alone predicts the target nearly perfectly."""

    column: str
    measure: str
    value: float


@dataclass(frozen=True)
class Columns:
    """Feature columns: how many of each kind, images, texts and signals among them, and those to look at.

    ``identifiers`` are columns of numbers that only tell rows apart; ``unused`` are columns that are no features, each
    with the reason, identifiers written as text among them.
    """

    features: int
    kinds: dict[str, int]
    unused: dict[str, str]
    constant: tuple[str, ...]
    identifiers: tuple[str, ...]
    suspects: tuple[Suspect, ...]


@dataclass(frozen=True)
class RegionError:
    """Out-of-fold errors of a region, target units; R² is against the region's own mean, if it has any variance."""

    region: str
    n: int
    mae: float
    bias: float
    r2: float | None


@dataclass(frozen=True)
class Contrast:
    """MAE of the rare region over that of the crowd, with a 95 % bootstrap interval."""

    rare: str
    crowd: str
    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class QuickModel:
    """How a cross-validated boosted model errs by region; ``contrast`` is absent where a region has too few rows."""

    rows: int
    folds: int
    errors: tuple[RegionError, ...]
    contrast: Contrast | None

    def of(self, region: str) -> RegionError | None:
        """Errors of a region, if it has rows."""
        return next((error for error in self.errors if error.region == region), None)


@dataclass(frozen=True)
class Advice:
    """A finding, what to do about it, why, and the commands to run next, if any."""

    finding: str
    action: str
    reason: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """Everything :func:`tailwise.diagnose.diagnose` found, as plain values."""

    target: Target
    density: Density
    weightings: tuple[Weighting, ...]
    relevance: RelevanceSummary | None
    spikes: tuple[Spike, ...]
    rounding: Rounding | None
    duplicates: Duplicates
    columns: Columns
    model: QuickModel | None
    advice: tuple[Advice, ...]
    notes: tuple[str, ...]

    def weighting(self, method: str) -> Weighting:
        """What one weighting does."""
        return next(weighting for weighting in self.weightings if weighting.method == method)

    def error(self, region: str) -> RegionError | None:
        """Errors of a region, if a model was tried and the region has rows."""
        return None if self.model is None else self.model.of(region)

    def to_json(self) -> dict[str, Any]:
        """Plain values: dictionaries, lists, text, finite numbers and ``None``."""
        made: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return made
