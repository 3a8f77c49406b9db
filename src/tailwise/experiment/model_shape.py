"""The kinds of the values in ``model.json``, by field."""

from typing import Any

from tailwise._stored import Each

_LABEL = (float, [float])  # of one target, of several
_BINS = (
    {"edges": [float]},
    {"axes": [{"edges": [float]}], "weights?": [float]},
    {"outputs": [{"edges": [float]}], "counts": [[int]], "spread": [float], "weights?": [float], "rows?": [[float]]},
)
_SHOTS = {
    "bins": _BINS,
    "counts": list,
    "many": float,
    "few": float,
    "gaps?": (None, {"ranges": [[float]], "low": float, "high": float}),
    "given?": (None, [int]),
    "mass?": (None, [float]),
}
_LDS = {"kernel": str, "window": int, "sigma": float, "padding": (None, str), "compat": str}
_DENSITY = {"edges": list, "values": list, "counts": list, "low": _LABEL, "high": _LABEL, "lds": _LDS}
_SCORES = {"name": str, "as_rows_come": float, "evenly": float, "mae": Each(float)}

MODEL: Any = {
    "format": (int, str),
    "inputs?": (None, dict),
    "model": {
        "kind": str,
        "sha256?": str,
        "encoder?": {"encoder": str},
        "head?": (None, {"kind": str}),
        "unit?": [float],
    },
    "back?": (
        None,
        {
            "transform": {"name": str, "power": float, "shift": float, "scale": float},
            "point": str,
            "residuals": [float],
            "weights": [float],
        },
    ),
    "censored?": (None, {"below": (None, float), "above": (None, float)}),
    "schema": {
        "target": (str, [str]),
        "columns": [{"name": str, "kind": str}],
        "unused": dict,
        "media?": [{"kind": str, "columns": [str]}],
    },
    "shots": _SHOTS,
    "relevance": (None, {"points": [float], "values": [float], "slopes?": [float]}),
    "correction": (None, {"points": [float], "values": [float]}),
    "intervals": (None, {"shots": _SHOTS, "categories": [int], "residuals": [[float]]}),
    "dial?": (None, {"density": _DENSITY}, {"densities": [_DENSITY]}),
    "conditional?": (
        None,
        {"nodes": [float], "offsets": [[float]], "scales": [[float]], "weights": [float], "neighbours": int},
    ),
    "balance?": float,
    "reweighted?": bool,
    "leaderboard?": (None, {"standings": [_SCORES], "choice": (None, dict)}),
    "atoms?": (None, {"kind": str}),
    "held_out?": (None, {"balanced": bool, "kind": (None, str)}),
}
FORMAT_ONLY: Any = {"format": (int, str)}
