"""Translate the Python parameters that the library names in backticks into the options of the command."""

import re

# Options that are not spelled like their parameter are the reason for a table; the others are in it to be complete.
FLAGS = {
    "above": "--above",
    "against": "--against",
    "backend": "--backend",
    "balance": "--balance",
    "batch_size": "--batch-size",
    "below": "--below",
    "bin_width": "--bin-width",
    "censored_above": "--censored-above",
    "censored_below": "--censored-below",
    "criterion": "--criterion",
    "date": "--date",
    "date_order": "--date-order",
    "decimal": "--decimal",
    "density": "--density",
    "depth": "--depth",
    "device": "--device",
    "drop": "--drop",
    "drop_missing_target": "--drop-missing-target",
    "encoder": "--encoder",
    "epochs": "--epochs",
    "folds": "--folds",
    "group": "--group",
    "host": "--host",
    "ignore_extra": "--ignore-extra",
    "image": "--image",
    "interval": "--interval",
    "jobs": "--jobs",
    "lags": "--lags",
    "loss": "--loss",
    "lr": "--lr",
    "mask_target": "--mask-target",
    "method": "--method",
    "minimise": "--minimise",
    "missing": "--missing",
    "model": "--model",
    "n_bins": "--bins",
    "most": "--shap-rows",
    "nominal": "--nominal",
    "numeric": "--numeric",
    "out": "--out",
    "overwrite": "--overwrite",
    "patience": "--patience",
    "port": "--port",
    "precision": "--precision",
    "predictions": "--shap-predictions",
    "quality": "--quality",
    "quantile": "--quantile",
    "random_state": "--seed",
    "repeats": "--repeats",
    "resume": "--resume",
    "rolling": "--rolling",
    "rows": "--data",
    "seconds": "--time-limit",
    "seed": "--seed",
    "seeds": "--seeds",
    "select": "--select",
    "settings": "--set",
    "shots": "--shots",
    "signal": "--signal",
    "split": "--split",
    "split_column": "--split-column",
    "split_key": "--split-key",
    "storage": "--storage",
    "target": "--target",
    "target_weight": "--target-weight",
    "test": "--test",
    "text": "--text",
    "text_pair": "--text-pair",
    "thousands": "--thousands",
    "time": "--time",
    "timeout": "--timeout",
    "track": "--track",
    "transform": "--transform",
    "trials": "--trials",
    "valid": "--valid",
    "weight": "--weight",
    "within": "--within",
}

# A quoted value is the user's own and stays as it is, backticks and all.
_PIECES = re.compile(r"""(?<!\w)(['"])(?:\\.|(?!\1).)*\1(?!\w)|`(?P<code>[^`]*)`""")
_SETTING = re.compile(r"(?P<name>[a-z]\w*(?:\.[A-Za-z]\w*)?)(?:=(?P<value>.*))?")


def with_flags(message: str) -> str:
    """Return a message of the library as a user of the command reads it.

    A parameter in backticks becomes its option, with its value where there is one; ``part.name`` becomes a ``--set``.
    Other words in backticks are put in quotes.

    >>> with_flags("give `bin_width` or `n_bins`, not both; or `seeds=5`, `drop_missing_target=True`")
    'give --bin-width or --bins, not both; or --seeds 5, --drop-missing-target'
    >>> with_flags("set `conr.window`, or `image.crop=0`; `fit` comes first")
    "set --set conr.window, or --set image.crop=0; 'fit' comes first"
    >>> with_flags("column 'a `lr` b' is not numeric")
    "column 'a `lr` b' is not numeric"
    """
    return _PIECES.sub(lambda piece: piece[0] if piece["code"] is None else _translated(piece["code"]), message)


def _translated(code: str) -> str:
    setting = _SETTING.fullmatch(code)
    if setting is not None and "." in setting["name"]:
        return f"--set {code}"
    if setting is None or setting["name"] not in FLAGS:
        return f"'{code}'"
    flag, value = FLAGS[setting["name"]], setting["value"]
    return flag if value in (None, "True") else flag + " " + value.strip("'\"")
