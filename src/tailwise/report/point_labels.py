"""Names beside the points of a chart: placed one after the other, where they cover nothing."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise.report.critical import wrapped
from tailwise.report.drawing import INK

Box = tuple[float, float, float, float]
Point = tuple[float, float]
Place = tuple[float, float, str, str]  # offset from a point in points, alignment of the name

_POINT, _LINE, _STEP = 4, 2, 4  # half the side of a box around a point and a piece of a line; length of a piece
_NEAR, _FARTHEST = 21, 160  # points of distance up to which a name needs no leader, and at most
_LINES_COUNT = 0.2  # a name on a line is a smaller fault than one on another name or a point


def place_labels(axes: Any, points: Mapping[str, Point], lines: Sequence[Sequence[Point]]) -> dict[str, Box]:
    """Write the name of each point where it covers no point, name or line; return the box of each name, pixels.

    Places near the point are tried first, then farther ones, which are joined to it by a thin line. Names that fit
    nowhere are written where they cover least. The same points give the same places.

    Args:
        axes: of a chart that is drawn but for the names.
        points: in the units of the axes, by name.
        lines: lines of the chart.
    """
    pixels = axes.transData.transform(list(points.values()))
    at = dict(zip(points, pixels, strict=True))
    lines_at = _along(axes, lines)
    inside = axes.get_window_extent().extents
    scale = axes.figure.dpi / 72
    boxes: dict[str, Box] = {}
    for name, point in sorted(points.items(), key=lambda item: (item[1], item[0])):
        text = axes.annotate(wrapped(name), point, xytext=(0, 0), textcoords="offset points", fontsize=9, color=INK)
        text.set_in_layout(False)
        extent = text.get_window_extent()
        size = np.array([extent.width, extent.height])
        hard = np.concatenate([_around(pixels, _POINT), np.array(list(boxes.values())).reshape(-1, 4)])
        tried: list[tuple[float, int, Place, Box]] = []
        for place in _places():
            box = _box_at(at[name] + scale * np.array(place[:2]), size, place)
            beyond = float(size.prod()) - float(_shared(box, inside[None]).sum())
            covered = float(_shared(box, hard).sum() + _LINES_COUNT * _shared(box, lines_at).sum())
            tried.append((round(beyond + covered, 6), len(tried), place, box))
            if tried[-1][0] <= 0:
                break
        _, _, place, boxes[name] = min(tried, key=lambda one: one[:2])
        text.set_position(place[:2])
        text.set(ha=place[2], va=place[3])
        if max(abs(place[0]), abs(place[1])) > _NEAR:
            _lead(axes, point, boxes[name])
    return boxes


def _box_at(anchor: NDArray[np.float64], size: NDArray[np.float64], place: Place) -> Box:
    """Return the box of a text of a size, aligned at an anchor."""
    shift = {"left": 0.0, "bottom": 0.0, "center": 0.5, "right": 1.0, "top": 1.0}
    low = anchor - size * np.array([shift[place[2]], shift[place[3]]])
    x, y, right, top = np.concatenate([low, low + size]).tolist()
    return x, y, right, top


def _places() -> Iterator[Place]:
    """Yield offsets from a point and the alignment of the name, from near to far."""
    for far in (7, 14, _NEAR):
        for x, y in ((1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1)):
            yield _aligned(far * x, far * y)
    for far in range(2 * _NEAR, _FARTHEST, _NEAR):
        for angle in np.linspace(0, 2 * np.pi, 16, endpoint=False):
            yield _aligned(round(far * float(np.cos(angle)), 3), round(far * float(np.sin(angle)), 3))


def _aligned(x: float, y: float) -> Place:
    across = "left" if x > 0 else "right" if x < 0 else "center"
    return x, y, across, "bottom" if y > 0 else "top" if y < 0 else "center"


def _lead(axes: Any, point: Point, box: Box) -> None:
    """Draw a thin line from a point to the nearest place of its name."""
    x, y = axes.transData.transform(point)
    end = axes.transData.inverted().transform((np.clip(x, box[0], box[2]), np.clip(y, box[1], box[3])))
    axes.plot(*zip(point, end, strict=True), color=INK, linewidth=0.6, scalex=False, scaley=False)


def _along(axes: Any, lines: Sequence[Sequence[Point]]) -> NDArray[np.float64]:
    """Return small boxes along lines, ``(n, 4)`` pixels."""
    pieces = [np.empty((0, 2))]
    for line in lines:
        for start, end in pairwise(axes.transData.transform(line) if len(line) else []):
            steps = np.linspace(0, 1, max(2, int(np.hypot(*(end - start)) // _STEP)))[:, None]
            pieces.append(start + steps * (end - start))
    return _around(np.concatenate(pieces), _LINE)


def _around(places: NDArray[np.float64], half: float) -> NDArray[np.float64]:
    return np.concatenate([places - half, places + half], axis=1)


def _shared(box: Box, others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area of the intersection of a box with each of others, ``(n, 4)``."""
    low = np.maximum(others[:, :2], box[:2])
    high = np.minimum(others[:, 2:], box[2:])
    return np.asarray(np.maximum(high - low, 0).prod(axis=1))
