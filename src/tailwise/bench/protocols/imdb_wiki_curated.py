"""The curated subset of IMDB-WIKI-DIR: ages to interpolate and to extrapolate (Yang et al., ICML 2021, Table 6).

The authors released neither a list nor a script. The bands of ages are read from their figure and approximate; the
number of images of an age inside a band is ours, within the limits of the band.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from tailwise.bench.protocols import ages, imdb_wiki_dir
from tailwise.bench.protocols.base import BY_GAP, SPLIT, Index, Protocol

# (age, training images) between which the counts follow straight lines: two skewed peaks. Many-shot from 18 to 39 and
# from 62 to 69, medium-shot at 16 to 17, 40 to 42, 61 and 70 to 77, few-shot at 15, 43 to 44, 60 and 78 to 84.
PEAKS = (
    ((15, 15), (16, 40), (17, 90), (18, 160), (26, 1000), (39, 110), (40, 80), (42, 30), (43, 15), (44, 8)),
    ((60, 15), (61, 60), (62, 160), (65, 600), (69, 110), (70, 95), (77, 25), (78, 18), (84, 4)),
)
GAPS = ((0, 15), (45, 60), (85, imdb_wiki_dir.OLDEST + 1))


def wanted() -> dict[int, int]:
    """Return the number of training images by age, for ages that have any.

    >>> counts = wanted()
    >>> counts[26], counts[43], 50 in counts
    (1000, 15, False)
    """
    counts = {}
    for peak in PEAKS:
        at, n = zip(*peak, strict=True)
        for age in range(at[0], at[-1] + 1):
            counts[age] = round(float(np.interp(age, at, n)))
    return counts


def read_curated(folder: Path) -> Index:
    """Return training images of the two peaks, those of the gaps (masked in training), and the balanced test set."""
    full = imdb_wiki_dir.read_imdb_wiki(folder)
    rng = np.random.default_rng(ages.SEED)
    age_of, part = full.frame["age"].to_numpy(), full.frame[SPLIT].to_numpy()
    kept = part != "train"
    short = []
    for age, n in wanted().items():
        rows = np.flatnonzero((age_of == age) & (part == "train"))
        if rows.size < n:
            short.append(age)
        kept[rng.permutation(rows)[:n]] = True
    inside = np.any([(age_of >= low) & (age_of < high) for low, high in GAPS], axis=0)
    how = f"{full.how}; training images drawn by seed {ages.SEED}"
    if short:
        how += f"; fewer images than the curve requires at {len(short)} ages"
    frame: pd.DataFrame = full.frame[kept | inside].reset_index(drop=True)
    return Index(frame, how, full.files)


PROTOCOL = Protocol(
    name="imdb-wiki-curated",
    title="ages from faces: two peaks in training, gaps to interpolate and extrapolate",
    source="Yang et al., Delving into Deep Imbalanced Regression, ICML 2021, Table 6 (bands approximate)",
    layout=imdb_wiki_dir.LAYOUT,
    target="age",
    unit="years",
    choices={
        "edges": imdb_wiki_dir.EDGES,
        "shots": (100, 20),
        "image": ["path"],
        "mask_target": [list(gap) for gap in GAPS],
    },
    metrics=ages.METRICS,
    regions=BY_GAP,
    recipe=ages.RECIPE,
    params=ages.PARAMS,
    parts=ages.PARTS,
    loss=ages.LOSS,
    methods=("vanilla", "sqinv+lds", "fds", "sqinv+lds+fds"),
    deviations=(
        *ages.DEVIATIONS,
        "the authors released no list: bands of ages are read from a figure, the counts inside them and the draw "
        "(seed 666) are ours, so their numbers are only a rough guide",
    ),
    quick=ages.QUICK,
    read=lambda folder: {"index": read_curated(folder)},
    toy=imdb_wiki_dir.toy,
)
