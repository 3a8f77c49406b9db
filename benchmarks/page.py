"""Results as a page: the block of docs/performance.md between two markers, and the pictures of the curves."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from entries import CURVES, ENTRIES
from harness import AT_LEAST, Entry, Found, met
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "performance.md"
START, END = "<!-- make bench writes from here -->", "<!-- to here -->"
NOTHING = "Nothing is measured yet: `make bench`."
INK, OURS = "#808080", "#D55E00"  # readable on white and on black
GROUPS = {
    "targets": "Pieces with a target",
    "start": "Start-up and the whole command",
    "step": "A training step, network 13-256-256-1 with AdamW, beside a bare loop",
    "part": "Every loss and regularizer beside its arithmetic, B = 256, d = 2048, 100 bins",
}
BOUNDS = {
    "ratio": "ratio {}",
    "ours_ms": "{} ms",
    "memory_mb": "{} MB",
    "loops_speedup": "{} x the loops' speed",
    "million_per_s": "{} million a second",
    "loss_gap": "loss curves differ by {}",
    "exchange": "exchange {} of the step",
    "times_data": "{} x the table",
    "smoter": "SMOTER {}",
    "smogn": "SMOGN {}",
}
PROCESSES = ("processes", "Several gloo processes", "processes")


def number(value: float) -> str:
    """Three significant digits."""
    return f"{float(f'{value:.3g}'):,.10g}"


def duration(found: Found, name: str) -> str:
    """Milliseconds, or seconds of long ones."""
    ms = found.get(name)
    if ms is None:
        return "-"
    return f"{number(ms)} ms" if ms < 1000 else f"{number(ms / 1000)} s"


def beside(found: Found, name: str) -> str:
    """Time of the loops or the plain form, at which sizes, and how much faster ours is there."""
    if f"{name}_ms" not in found:
        return "-"
    at = ", ".join(f"{key} = {value}" for key, value in found.get(f"{name}_at", {}).items())
    return f"{duration(found, f'{name}_ms')} ({at + ': ' if at else ''}{number(found[f'{name}_speedup'])} x)"


def memory(found: Found) -> str:
    """Peak memory of ours, and of the plain form."""
    if found.get("memory_mb") is None:
        return "-"
    plain = found.get("plain_memory_mb")
    return f"{number(found['memory_mb'])} MB" + (f" (plain {number(plain)} MB)" if plain is not None else "")


def targets(entry: Entry, found: Found) -> tuple[str, str]:
    """The bounds in words, and whether they are kept."""
    bounds = {name: bound for name, bound in entry.targets.items() if found.get(name) is not None}
    words = [BOUNDS[name].format(f"{'≥' if name in AT_LEAST else '≤'} {bound:,g}") for name, bound in bounds.items()]
    other = ("ratio", "ours_ms", "memory_mb", "loops_speedup")  # these stand in a column of their own
    seen = [f" ({number(found[name])})" if name not in other else "" for name in bounds]
    kept = ["yes" if met(name, found[name], bound) else "**no**" for name, bound in bounds.items()]
    return "; ".join(w + s for w, s in zip(words, seen, strict=True)) or "-", "; ".join(kept) or "-"


def table(group: str, found: dict[str, Found]) -> list[str]:
    """Markdown of a group; columns without an entry are left out."""
    entries = [entry for name, entry in ENTRIES.items() if entry.group == group and name in found]
    if not entries:
        return []
    head = ("entry", "what", "ours", "floor", "ratio", "as loops", "plain torch", "peak memory", "target", "met")
    rows = []
    for entry in entries:
        one = found[entry.name]
        ratio = number(one["ratio"]) if "ratio" in one else "-"
        times = (duration(one, "ours_ms"), duration(one, "floor_ms"), ratio)
        rows.append(
            (
                f"`{entry.name}`",
                entry.what,
                *times,
                beside(one, "loops"),
                beside(one, "plain"),
                memory(one),
                *targets(entry, one),
            )
        )
    kept = [i for i in range(len(head)) if any(row[i] != "-" for row in rows)]
    lines = [f"### {GROUPS[group]}", "", "| " + " | ".join(head[i] for i in kept) + " |", "|---" * len(kept) + "|"]
    lines += [*("| " + " | ".join(row[i] for i in kept) + " |" for row in rows), ""]
    floors: dict[str, list[str]] = {}
    for entry in entries:
        floors.setdefault(entry.floor, []).append(f"`{entry.name}`")
    named = [f"- {', '.join(names)}: {floor}" for floor, names in floors.items() if floor]
    return [*lines, "Floors:", "", *named, ""] if group == "targets" and named else lines


def block(results: dict[str, Any] | None) -> str:
    """What stands between the markers."""
    if results is None:
        return NOTHING
    m = results["machine"]
    where = f"{m['cpu']}, {m['cores']} cores, {m['memory_gb']} GB, {m['system']}"
    software = f"Python {m['python']}, torch {m['torch']}, NumPy {m['numpy']}, float32, {m['threads']} thread"
    lines = [f"`make bench`, {m['date']}: {where}; {software}.", ""]
    for group in GROUPS:
        lines += table(group, results["entries"])
    curves = {**{name: curve.title for name, curve in CURVES.items()}, PROCESSES[0]: PROCESSES[1]}
    drawn = [f"![{title}](pictures/scaling_{name}.svg)" for name, title in curves.items() if name in results["curves"]]
    if drawn:
        lines += ["### Scaling", "", "Ours (solid) and the floor (dashed) against size; both axes are logarithmic.", ""]
    return "\n".join([*lines, *drawn]).rstrip()


def replaced(text: str, new: str) -> str:
    """The page with another block."""
    before, rest = text.split(START)
    return f"{before}{START}\n\n{new}\n\n{END}{rest.split(END)[1]}"


def draw(title: str, axis: str, found: Found) -> Figure:
    """Time, and memory where it was measured, against a size."""
    panels = [("time, ms", "ours_ms", "floor_ms")]
    if all(found.get("memory_mb") or [None]):
        panels.append(("peak memory, MB", "memory_mb", ""))
    figure = Figure(figsize=(3.6 * len(panels), 2.7), layout="constrained")
    for axes, (label, ours, floor) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axes.plot(found["x"], found[ours], "o-", color=OURS, markersize=4, label="ours")
        if floor in found:
            axes.plot(found["x"], found[floor], "--", color=INK, linewidth=1.4, label="floor")
        axes.set_xscale("log", base=10 if axis == "rows" else 2)
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:,g}")
        axes.set_xticks(found["x"])
        axes.minorticks_off()
        axes.set_xlabel(axis, color=INK)
        axes.set_title(label, fontsize=9, color=INK)
        axes.patch.set_alpha(0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["bottom", "left"]].set_color(INK)
        axes.tick_params(colors=INK, labelsize=8)
    figure.axes[0].legend(frameon=False, labelcolor=INK, fontsize=8)
    figure.suptitle(title, fontsize=10, color=INK)
    return figure


def write(results: dict[str, Any], docs: Path = DOCS) -> None:
    """Put the block into the page and draw the pictures, the same bytes for the same results."""
    page = docs / PAGE.name
    page.write_text(replaced(page.read_text(), block(results)))
    names = {**{name: (curve.title, curve.axis) for name, curve in CURVES.items()}, PROCESSES[0]: PROCESSES[1:]}
    for name, found in results["curves"].items():
        path = docs / "pictures" / f"scaling_{name}.svg"
        with mpl.rc_context({"svg.hashsalt": "tailwise", "font.family": "DejaVu Sans", "font.size": 9}):
            draw(*names[name], found).savefig(path, transparent=True, metadata={"Date": None, "Creator": None})
