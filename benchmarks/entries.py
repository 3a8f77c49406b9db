"""What is measured: a line for each entry, with its sizes, floor and targets, and one for each curve."""

import distributions
import overheads as over
import pieces
from harness import Curve, Entry

CONR = "two N x N x d products and one pass of exp and row sums over N x N, forward only"
RNC = "distances, a sort of each row and a cumulative log-sum-exp, with their backward"
RANKSIM = "six argsorts of the rows of 256 x 256 and three 256 x 256 x d products"
BMC = "one log-sum-exp over B x B, forward only"
FDS = "a gather of scale and shift and one addcmul, with their backward"
LDS = "one bincount and one gather"
NEIGHBOURS = "scikit-learn's five nearest neighbours of the rare rows"

PAIRS = {"n": 24, "d": 5}
MEANS = {"n": 12, "d": 3, "n_bins": 6}
AT_256 = {"n": 256, "d": 2048, "n_bins": 62}
MAPS = {"maps": 8, "d": 128, "height": 228, "width": 304, "n_bins": 100}
FEW_MAPS = {"maps": 2, "d": 3, "height": 4, "width": 5, "n_bins": 6}
AGES = {"n": 11_022, "train": 191_509}
FEW_AGES = {"n": 600, "train": 2000}

# fmt: off
ROWS = [
    Entry("conr-512", "ConR, N = 512, d = 2048", pieces.conr, CONR, {"n": 512, "d": 2048}, PAIRS,
          targets={"ratio": 1.2}, beside={"plain": {}, "loops": {"n": 128}}),
    Entry("conr-2048", "ConR, N = 2048, d = 2048", pieces.conr, CONR, {"n": 2048, "d": 2048}, PAIRS,
          targets={"ratio": 1.2}, beside={"plain": {}}, seconds=6.0),
    Entry("conr-4096", "ConR, N = 4096, d = 2048", pieces.conr, CONR, {"n": 4096, "d": 2048}, PAIRS,
          targets={"ratio": 1.2}, beside={"plain": {}}, check=False),
    Entry("conr-memory", "ConR, N = 32,768, d = 128: one call", pieces.conr, "", {"n": 32_768, "d": 128}, PAIRS,
          targets={"memory_mb": 300}, once=True),
    Entry("rnc-512", "Rank-N-Contrast, n = 512, d = 128", pieces.rnc, RNC, {"n": 512, "d": 128}, PAIRS,
          targets={"loops_speedup": 100}, beside={"plain": {}, "loops": {"n": 128}}),
    Entry("rnc-8192", "Rank-N-Contrast, n = 8192, d = 128: one call", pieces.rnc, "", {"n": 8192, "d": 128}, PAIRS,
          targets={"memory_mb": 2000}, once=True),
    Entry("ranksim-256", "RankSim, 256 different labels, d = 2048", pieces.ranksim, RANKSIM, {"m": 256, "d": 2048},
          {"m": 8, "d": 5}, targets={"ratio": 1.3}, beside={"loops": {}}),
    Entry("bmc-4096", "Balanced MSE (BMC), B = 4096", pieces.bmc, BMC, {"n": 4096}, {"n": 12},
          targets={"ratio": 2.0, "memory_mb": 64}, beside={"plain": {}, "loops": {}}),
    Entry("fds-256", "FDS, B = 256, d = 2048, 62 labels, statistics off", pieces.fds, FDS,
          {**AT_256, "statistics": False}, {**MEANS, "statistics": False},
          targets={"ratio": 1.5}, beside={"loops": {}}),
    Entry("fds-256-statistics", "the same, statistics on", pieces.fds, f"{FDS}, and two index_add passes",
          {**AT_256, "statistics": True}, {**MEANS, "statistics": True}),
    Entry("fds-epoch", "FDS statistics of an epoch: 12,208 rows, d = 512, B = 256", pieces.fds_epoch,
          "the epoch of a network of three layers of width 512 with AdamW", {"n": 12_208, "d": 512, "n_bins": 62},
          {"n": 600, "d": 3, "n_bins": 6}, targets={"ratio": 0.03}, beside={"loops": {}}),
    Entry("fds-dense", "FDS, 8 maps of 228 x 304, d = 128, statistics on", pieces.fds_dense,
          f"one index_add pass, and {FDS}", MAPS, FEW_MAPS,
          beside={"loops": {"maps": 1, "height": 57, "width": 76}}, check=False),
    Entry("lds-191509", "LDS weights of 191,509 labels: fitted, and looked up for each", pieces.lds, LDS,
          {"n": 191_509}, {"n": 300}, targets={"ratio": 3.0}, beside={"loops": {}}),
    Entry("shots-11022", "errors by region of 11,022 predictions", pieces.shots,
          "three bincounts over the predictions", {**AGES, "resamples": 0}, {**FEW_AGES, "resamples": 0},
          targets={"ours_ms": 1.0}, beside={"loops": {}}),
    Entry("bootstrap-11022", "all metrics by region of 11,022 predictions, 2,000 resamples", pieces.shots,
          "drawing the rows of all resamples once",
          {**AGES, "resamples": 2000}, {**FEW_AGES, "resamples": 3}, targets={"ours_ms": 500}),
    Entry("denseweight-100000", "DenseWeight of 100,000 labels: fitted, and looked up for each", pieces.denseweight,
          sizes={"n": 100_000}, small={"n": 300}, targets={"ours_ms": 20.0}),
    *(
        Entry(f"{name}-{n}", f"{what}, {n:,} rows of {p} columns, 10 % of them rare", pieces.resampling, NEIGHBOURS,
              {"name": name, "n": n, "p": p}, {"name": name, "n": 300, "p": 3}, targets={"ours_ms": most},
              beside={"loops": {"n": 10_000}})
        for name, what in (("smoter", "SMOTER"), ("smogn", "SMOGN"))
        for n, p, most in ((10_000, 10, 300.0), (100_000, 30, 15_000.0))
    ),
    Entry("resampling-growth", "exponent of the time with n, 10,000 to 100,000 rows of 10 columns",
          measure=pieces.growth, sizes={"n": (10_000, 30_000, 100_000), "p": 10}, small={"n": (300, 600), "p": 3},
          targets={"smoter": 1.3, "smogn": 1.3}),
    *(
        Entry(f"{name}-100000", f"{name}s at balance 1 of 100,000 mixtures of 5 Gaussians, 400 cells",
              distributions.decisions, sizes={"n": 100_000, "n_components": 5, "n_cells": 400, "decision": name},
              small={"n": 50, "n_components": 5, "n_cells": 20, "decision": name}, targets={"ours_ms": 1000.0})
        for name in ("median", "mean")
    ),
    Entry("mixture-head-256", "a step of three layers and a mixture head of 5 Gaussians, B = 256, width 256",
          distributions.head_step, "the step with a point head and squared error",
          {"batch": 256, "width": 256, "n_components": 5}, {"batch": 8, "width": 8, "n_components": 5},
          targets={"ratio": 1.05}),
    Entry("labels-streamed", "streamed labels counted in bins, the time of their generator left out", pieces.labels,
          sizes={"n": 200_000_000}, small={"n": 1000}, full={"n": 1_000_000_000},
          targets={"million_per_s": 50, "memory_mb": 200}, measure=pieces.measured_labels),
    Entry("two-processes", "two gloo processes on this machine", measure=pieces.two_processes,
          targets={"loss_gap": 1e-5, "exchange": 0.1}),
    Entry("help", "`tailwise --help`, a fresh process", measure=over.show_help, sizes={"times": 9},
          small={"times": 1}, targets={"ours_ms": 400}, group="start"),
    Entry("import", "`import tailwise`, beyond a bare Python", measure=over.import_package, sizes={"times": 9},
          small={"times": 1}, targets={"ours_ms": 200}, group="start"),
    Entry("train", "`tailwise train`, 17,379 rows, 60 epochs of `sqinv+lds`, the whole command", measure=over.train,
          sizes={"rows": 17_379, "epochs": 60}, small={"rows": 200, "epochs": 1}, targets={"ours_ms": 60_000},
          group="start"),
]
ROWS += [
    Entry(f"large-{name}", f"`tailwise {name}`, 2,000,000 rows of 20 columns (336 MB), the whole command",
          measure=over.large, sizes={"name": name, "rows": 2_000_000}, small={"name": name, "rows": 3000, "few": 500},
          targets={"times_data": bound}, group="start")
    for name, bound in (("train", 4), ("predict", 2), ("diagnose", 2))
]
ROWS += [
    Entry(f"step-{batch}-{method}", f"`{method}`, batch {batch}", over.composed, "the bare loop",
          {"method": method, "batch": batch}, {"method": method, "batch": 16}, group="step", seconds=2.0, memory=False)
    for batch in (128, 256, 1024)
    for method in over.METHODS
]
ROWS += [
    Entry(f"part-{name}", f"`{name}`", over.part, "its arithmetic",
          {"name": name, "batch": 256, "d": 2048, "n_labels": 20_000},
          {"name": name, "batch": 16, "d": 8, "n_labels": 400}, group="part", seconds=1.0, memory=False)
    for name in over.NAMES
]
SWEEPS = [
    Curve("conr_n", "ConR, d = 128", "N", pieces.conr, "n", (256, 512, 1024, 2048, 4096, 8192), {"d": 128},
          PAIRS),
    Curve("rnc_n", "Rank-N-Contrast, d = 128", "N", pieces.rnc, "n", (256, 512, 1024, 2048, 4096), {"d": 128},
          PAIRS),
    Curve("bmc_n", "Balanced MSE (BMC)", "N", pieces.bmc, "n", (256, 512, 1024, 2048, 4096, 8192), {}, {"n": 12}),
    Curve("conr_d", "ConR, N = 1024", "d", pieces.conr, "d", (32, 128, 512, 2048), {"n": 1024}, PAIRS),
    Curve("fds_bins", "FDS, B = 256, d = 512, statistics on", "bins", pieces.fds, "n_bins",
          (10, 30, 100, 300, 1000), {"n": 256, "d": 512, "statistics": True}, {**MEANS, "statistics": True}),
    Curve("smogn_n", "SMOGN, 10 columns", "rows", pieces.resampling, "n", (1000, 3000, 10_000, 30_000, 100_000),
          {"name": "smogn", "p": 10}, {"name": "smogn", "n": 300, "p": 3}),
    Curve("lds_rows", "LDS weights", "rows", pieces.lds, "n", (10_000, 100_000, 1_000_000, 10_000_000), {},
          {"n": 300}),
]
# fmt: on

ENTRIES = {entry.name: entry for entry in ROWS}
CURVES = {curve.name: curve for curve in SWEEPS}
