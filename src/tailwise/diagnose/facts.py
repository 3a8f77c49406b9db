"""The parts of a diagnosis: frozen types of plain values."""

import json
from dataclasses import asdict, dataclass
from typing import Any

FEWEST = 10  # minimum number of rows of a spike or of a region's error
FEW_VALUES = 9  # most different values of a target that is more like classes than numbers


@dataclass(frozen=True)
class Target:
    """Statistics of the target, in its units, over the rows that have one; ``missing`` rows have none.

    ``reach`` is the distance of the farther end from its quartile, in interquartile ranges (``None`` if half of the
    values are equal); ``log_skew`` is the skew of log(y), if all values are above 0.
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
    """Number of bins and rows of a shot region."""

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
    """Rows by bin: edges, counts, the LDS curve, the region of each bin, and summaries.

    ``ratio`` is the number of rows of the fullest bin over that of the sparsest non-empty bin; ``empty_share`` is the
    fraction of the range from the lowest to the highest value in empty bins.
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
    """Effect of a weighting: effective sample size (Σw)² / Σw², its fraction of the rows, largest weight over mean."""

    method: str
    effective_rows: float
    share: float
    largest: float


@dataclass(frozen=True)
class RelevanceSummary:
    """Control points of relevance φ, and the number of rows with φ of at least 0.8 below and above the median."""

    points: tuple[float, ...]
    values: tuple[float, ...]
    low_rows: int
    high_rows: int


@dataclass(frozen=True)
class Spike:
    """A value with many more rows than its neighbours; at the ``low`` or ``high`` end, or ``inside``.

    ``code`` says whether it may stand for a missing value, such as -999 far from all others.
    """

    value: float
    rows: int
    share: float
    where: str
    code: bool = False


@dataclass(frozen=True)
class Rounding:
    """A step; the fraction ``share`` of the values are its multiples."""

    step: float
    share: float


@dataclass(frozen=True)
class Duplicates:
    """Number of rows that repeat an earlier one, and of rows whose features also occur with another target."""

    repeated: int
    contradicting: int


@dataclass(frozen=True)
class Suspect:
    """A numeric column that predicts the target nearly perfectly."""

    column: str
    measure: str
    value: float


@dataclass(frozen=True)
class Columns:
    """Feature columns: number by kind, including images, texts and signals, and columns to check.

    ``identifiers`` are columns of numbers that identify rows; ``unused`` are columns that are not features, with the
    reason, including text identifiers; ``dates`` are columns of dates with many different values.
    """

    features: int
    kinds: dict[str, int]
    unused: dict[str, str]
    constant: tuple[str, ...]
    identifiers: tuple[str, ...]
    suspects: tuple[Suspect, ...]
    dates: tuple[str, ...] = ()


@dataclass(frozen=True)
class RegionError:
    """Out-of-fold errors of a region, target units; R² is relative to the region's mean, if its labels vary.

    ``relative`` is the MAE over the mean size of the labels, if that is above 0.
    """

    region: str
    n: int
    mae: float
    bias: float
    r2: float | None
    relative: float | None = None


@dataclass(frozen=True)
class EndError:
    """Out-of-fold errors of the rows with the highest values (``end`` is ``"top"``) or the lowest (``"lowest"``).

    ``share`` is their fraction of the rows and ``value`` where they begin; ``bias_error`` is the standard error of the
    bias, and ``relative_bias`` the size of the bias over the mean size of the labels, if that is above 0.
    """

    end: str
    share: float
    n: int
    value: float
    mae: float
    bias: float
    bias_error: float
    relative_bias: float | None


@dataclass(frozen=True)
class Contrast:
    """MAE of the rare region over that of the crowded region, with a 95 % bootstrap interval."""

    rare: str
    crowd: str
    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class WeightTrial:
    """Change that weights made to out-of-fold errors of the quick model, in percent, with 95 % bootstrap intervals.

    ``change`` is that of the MAE of the region ``rare``, ``overall`` that of all rows, which come as they are.
    """

    method: str
    rare: str
    change: float
    low: float
    high: float
    overall: float
    overall_low: float
    overall_high: float


@dataclass(frozen=True)
class QuickModel:
    """Errors of a cross-validated boosted model by region, and of the same with weights.

    ``contrast`` and ``trial`` are ``None`` if regions have too few rows; ``ends`` has the ends of the target.
    """

    rows: int
    folds: int
    errors: tuple[RegionError, ...]
    contrast: Contrast | None
    trial: WeightTrial | None = None
    ends: tuple[EndError, ...] = ()

    def of(self, region: str) -> RegionError | None:
        """Return the errors of a region, if it has rows."""
        return next((error for error in self.errors if error.region == region), None)


@dataclass(frozen=True)
class Advice:
    """A finding, an action with its reason, and the commands to run next, if any."""

    finding: str
    action: str
    reason: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """The result of :func:`tailwise.diagnose.diagnose`, as plain values."""

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
        """Return the effect of a weighting."""
        return next(weighting for weighting in self.weightings if weighting.method == method)

    def error(self, region: str) -> RegionError | None:
        """Return the errors of the quick model in a region, if both exist."""
        return None if self.model is None else self.model.of(region)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values

    def _repr_html_(self) -> str:
        """Return tables for a notebook."""
        from tailwise.diagnose.shown_in_notebooks import diagnosis_html

        return diagnosis_html(self)
