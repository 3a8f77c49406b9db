"""Print runs on maps: errors by region."""

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tailwise._numbers import number
from tailwise.metrics.depth import DEPTH_METRICS
from tailwise.metrics.region_metrics import RegionMetrics

_COLUMNS = ("rmse", "abs_rel", "delta1")


def map_region_table(regions: Mapping[str, RegionMetrics], *, title: str, unit: str) -> Table:
    """Return errors by region, with 95 % intervals over images for the MAE."""
    caption = Text(f"in units of {unit}; pixels of all images together, intervals over images")
    table = Table(title=Text(title), caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("region", style="bold")
    for heading in ("pixels", "MAE", "95 % interval", *(DEPTH_METRICS[name][0] for name in _COLUMNS)):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, region in regions.items():
        values = {key: interval.value for key, interval in region.metrics.items()}
        cells = [number(values[key]) if key in values else "-" for key in ("mae", *_COLUMNS)]
        mae = region.metrics.get("mae")
        ends = (
            f"{number(mae.low)} to {number(mae.high)}" if mae and mae.low is not None and mae.high is not None else "-"
        )
        table.add_row(name.capitalize(), f"{region.n:,}", cells[0], ends, *cells[1:])
    return table
