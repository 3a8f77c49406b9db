"""Options that several commands share: flags, help, panel and completion of each, written once.

A command names them in its signature, ``bin_width: options.BinWidth = None``. Options whose help depends on the command
are functions: ``out: Annotated[Path, options.out("File to write.")]``.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from tailwise.backends.names import MODELS
from tailwise.cli.column_completion import complete_column, complete_missing, complete_setting
from tailwise.cli.completion import complete_choice, complete_data, complete_method
from tailwise.experiment.quality import DEFAULT_QUALITY, QUALITIES
from tailwise.experiment.spec import AUTO_TRANSFORM
from tailwise.labels.transform_names import TRANSFORMS
from tailwise.modalities.encoder_names import AUTO, ENCODERS
from tailwise.training.recipe import CRITERIA, EPOCHS, EPOCHS_IN_STACK, LR, PRECISIONS

METHOD, ROWS, COLUMNS, TRAINING = "Method", "Target and rows", "Columns", "Training"
DECISION, OUTPUT = "Decision", "Output"
_SPLITS = ("auto", "column", "balanced", "random")
_LOSSES = ("absolute", "squared")
_DEVICES = ("auto", "cpu", "cuda", "mps")
FILES = "A table: CSV, TSV, Parquet, Feather, JSON lines or Excel"
EXAMPLE = "or example:NAME (see `tailwise examples`)"


def _column(name: str, help: str) -> Any:
    """Return a repeatable option that names columns."""
    return typer.Option(
        f"--{name}",
        metavar="COLUMN",
        help=f"{help} Repeatable.",
        autocompletion=complete_column,
        rich_help_panel=COLUMNS,
    )


def out(help: str) -> Any:
    """Return the option for what a command writes."""
    return typer.Option("--out", "-o", help=help, rich_help_panel=OUTPUT)


def settings(help: str) -> Any:
    """Return the option for parameters of parts, of the model or of the encoder."""
    return typer.Option(
        "--set",
        metavar="PART.NAME=VALUE",
        help=f"{help} Repeatable.",
        autocompletion=complete_setting,
        rich_help_panel=METHOD,
    )


def methods(help: str, default: str | bool = False) -> Any:
    """Return the option for the methods of several trainings."""
    return typer.Option(
        "--method",
        "-m",
        help=help,
        show_default=default,
        autocompletion=complete_method,
        rich_help_panel=METHOD,
    )


def epochs(default: str = f"{EPOCHS}, in a stack {EPOCHS_IN_STACK} for each network") -> Any:
    """Return the option for the number of epochs."""
    return typer.Option(
        "--epochs",
        help="Maximum number of epochs of a stage (rrt: rrt.epochs).",
        show_default=default,
        rich_help_panel=TRAINING,
    )


def seeds(help: str, default: str | bool = True) -> Any:
    """Return the option for the number of seeds."""
    return typer.Option("--seeds", help=help, show_default=default, rich_help_panel=TRAINING)


Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]
Data = Annotated[str, typer.Argument(metavar="DATA", help=f"{FILES}, {EXAMPLE}.", autocompletion=complete_data)]
DataOrFolder = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help=f"{FILES}, a folder of Parquet files, {EXAMPLE}.", autocompletion=complete_data
    ),
]
DataOrParts = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help=f"{FILES}, a folder of Parquet or of CSV files that are one table, {EXAMPLE}.",
        autocompletion=complete_data,
    ),
]
Target = Annotated[
    str,
    typer.Option("--target", "-t", help="Column to predict.", autocompletion=complete_column, rich_help_panel=ROWS),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        "-t",
        help="Column to predict. Repeatable, at most 50, predicted together: two or three in the same unit, such as "
        "pitch and yaw; more in any unit.",
        show_default=False,
        autocompletion=complete_column,
        rich_help_panel=ROWS,
    ),
]
Quality = Annotated[
    str | None,
    typer.Option(
        "--quality",
        metavar="|".join(QUALITIES),
        help="Without --method: one network (fast), or a stack of several models (good, best; slower).",
        show_default=f"{DEFAULT_QUALITY} of tables, if neither method nor model is named",
        autocompletion=complete_choice(tuple(QUALITIES)),
        rich_help_panel=METHOD,
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        "--method",
        "-m",
        help="Train one model with a method: parts joined by +, or vanilla (see `tailwise methods`); auto trains the "
        "default.",
        show_default=False,
        autocompletion=complete_method,
        rich_help_panel=METHOD,
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        autocompletion=complete_choice(MODELS),
        metavar="|".join(MODELS),
        help="Model to train. All but the network take weights, l1, sera, resamplers and corrections.",
        rich_help_panel=METHOD,
    ),
]
Encoder = Annotated[
    str,
    typer.Option(
        "--encoder",
        autocompletion=complete_choice((AUTO, *ENCODERS)),
        metavar="|".join((AUTO, *ENCODERS)),
        help="The network's encoder: a perceptron or TabM, with embeddings (-ple, -plr) of numbers or without. "
        "auto: mlp-ple, but mlp below 500 training rows or above 200 numbers.",
        rich_help_panel=METHOD,
    ),
]

BinWidth = Annotated[
    float | None,
    typer.Option(
        "--bin-width",
        help="Width of the target's bins, in target units.",
        show_default="by rule",
        rich_help_panel=ROWS,
    ),
]
Bins = Annotated[
    int | None,
    typer.Option(
        "--bins",
        help="Number of bins of equal width, instead of --bin-width.",
        show_default="by rule",
        rich_help_panel=ROWS,
    ),
]
Shots = Annotated[
    str | None,
    typer.Option(
        "--shots",
        metavar="MANY,FEW",
        help="Rows per bin above which a bin is many-shot, and below which it is few-shot.",
        show_default="n/122,n/610, at least 10,2",
        rich_help_panel=ROWS,
    ),
]
Split = Annotated[
    str,
    typer.Option(
        "--split",
        autocompletion=complete_choice(_SPLITS),
        metavar="|".join(_SPLITS),
        help="balanced: a third of each bin, up to a cap, for validation and as much for test. random: 15 % each. "
        "column: as the column 'split' says. auto: that column if there is one, else balanced.",
        rich_help_panel=ROWS,
    ),
]
SplitColumn = Annotated[
    str | None,
    typer.Option(
        "--split-column",
        help="Column with the values train, val and test.",
        autocompletion=complete_column,
        rich_help_panel=ROWS,
    ),
]
TestFile = Annotated[
    str | None,
    typer.Option(
        "--test", metavar="FILE", help="Table of the test rows; DATA then has none of them.", rich_help_panel=ROWS
    ),
]
ValidFile = Annotated[
    str | None,
    typer.Option("--valid", metavar="FILE", help="Table of the validation rows.", rich_help_panel=ROWS),
]
Group = Annotated[
    str | None,
    typer.Option(
        "--group",
        help="Column whose groups (patients, engines) are never split.",
        autocompletion=complete_column,
        rich_help_panel=ROWS,
    ),
]
SplitKey = Annotated[
    str | None,
    typer.Option(
        "--split-key",
        metavar="COLUMN",
        autocompletion=complete_column,
        help="Column with a different value in every row, such as an id, that decides the part of a row: the order of "
        "the rows then does not matter.",
        rich_help_panel=ROWS,
    ),
]
Weight = Annotated[
    str | None,
    typer.Option(
        "--weight",
        metavar="COLUMN",
        autocompletion=complete_column,
        help="Column with the weights of rows, such as exposure or survey weights: training and errors count by it.",
        rich_help_panel=ROWS,
    ),
]
TargetWeight = Annotated[
    list[str] | None,
    typer.Option(
        "--target-weight",
        metavar="TARGET=WEIGHT",
        autocompletion=complete_missing,
        help="Weight of one of several targets in the training and in errors over all, e.g. price=2; else 1. "
        "Repeatable.",
        rich_help_panel=COLUMNS,
    ),
]
Time = Annotated[
    str | None,
    typer.Option(
        "--time",
        metavar="COLUMN",
        autocompletion=complete_column,
        help="Column with dates or numbers: train on the earliest rows, test on the latest, fold forward only.",
        rich_help_panel=ROWS,
    ),
]
Lags = Annotated[
    str | None,
    typer.Option(
        "--lags",
        metavar="N,N,...",
        help="With --time: the target so many rows back in the series (--group) as features, e.g. 1,24,168.",
        rich_help_panel=COLUMNS,
    ),
]
Rolling = Annotated[
    str | None,
    typer.Option(
        "--rolling",
        metavar="N,N,...",
        help="With --time: the mean target of so many rows before as features, e.g. 24.",
        rich_help_panel=COLUMNS,
    ),
]
Depth = Annotated[
    str | None,
    typer.Option(
        "--depth",
        metavar="COLUMN",
        autocompletion=complete_column,
        help="Instead of --target: column that names a map (16-bit PNG, NPY) for each --image; every pixel is "
        "predicted. --set depth.scale=0.001, depth.size=[228,304], depth.mask=COLUMN, ...",
        rich_help_panel=ROWS,
    ),
]
MaskTarget = Annotated[
    list[str] | None,
    typer.Option(
        "--mask-target",
        metavar="LOW,HIGH",
        help="Remove rows with a target in this range from training and validation, to measure interpolation and "
        "extrapolation. Repeatable.",
        rich_help_panel=ROWS,
    ),
]
DropMissingTarget = Annotated[
    bool,
    typer.Option(
        "--drop-missing-target",
        help="Drop rows with an empty target instead of refusing them.",
        rich_help_panel=ROWS,
    ),
]

Drop = Annotated[list[str] | None, _column("drop", "Column to leave out.")]
Nominal = Annotated[list[str] | None, _column("nominal", "Column to read as categories, e.g. a code.")]
Numeric = Annotated[list[str] | None, _column("numeric", "Column to read as numbers.")]
Date = Annotated[list[str] | None, _column("date", "Column to read as dates.")]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        "--missing",
        metavar="COLUMN=VALUE",
        autocompletion=complete_missing,
        help="Value of a column, the target among them, that counts as missing, e.g. weight=-999. Repeatable.",
        rich_help_panel=COLUMNS,
    ),
]
Decimal = Annotated[
    str | None,
    typer.Option(
        "--decimal",
        metavar="MARK",
        help="Mark before decimals, a point or a comma, where numbers could be read in two ways.",
        show_default="recognized",
        rich_help_panel=COLUMNS,
    ),
]
Thousands = Annotated[
    str | None,
    typer.Option(
        "--thousands",
        metavar="MARK",
        help="Mark between groups of three digits, where numbers could be read in two ways.",
        show_default="recognized",
        rich_help_panel=COLUMNS,
    ),
]
DateOrder = Annotated[
    str | None,
    typer.Option(
        "--date-order",
        metavar="dmy|mdy",
        autocompletion=complete_choice(("dmy", "mdy")),
        help="Order of day, month and year, where dates could be read in two ways.",
        show_default="recognized",
        rich_help_panel=COLUMNS,
    ),
]
IgnoreExtra = Annotated[
    bool,
    typer.Option(
        "--ignore-extra",
        help="Do not print the note on columns that the model was not trained on; they are always ignored.",
        rich_help_panel=COLUMNS,
    ),
]

BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", help="Rows per batch.", show_default="n/50, 32 to 256", rich_help_panel=TRAINING),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--lr",
        help="Initial learning rate of the cosine schedule.",
        show_default=f"{LR}, in a stack {2 * LR} from 64 rows per batch on",
        rich_help_panel=TRAINING,
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        "--patience",
        help="Epochs without a better validation score before stopping; 0 never stops.",
        rich_help_panel=TRAINING,
    ),
]
Criterion = Annotated[
    str,
    typer.Option(
        "--criterion",
        autocompletion=complete_choice(CRITERIA),
        metavar="|".join(CRITERIA),
        help="Validation score that selects the epoch to keep; both: evenly over values and as rows come.",
        rich_help_panel=TRAINING,
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Random seed.", rich_help_panel=TRAINING)]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        autocompletion=complete_choice(_DEVICES),
        metavar="|".join(_DEVICES),
        help="Device to train on.",
        rich_help_panel=TRAINING,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        autocompletion=complete_choice(PRECISIONS),
        metavar="|".join(PRECISIONS),
        help="Mixed precision.",
        rich_help_panel=TRAINING,
    ),
]
Folds = Annotated[
    int | None,
    typer.Option("--folds", help="Test every fold of K instead of one split per seed.", rich_help_panel=TRAINING),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        help="Number of trainings in parallel.",
        show_default="of a stack, one a core",
        rich_help_panel=TRAINING,
    ),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        "--time-limit",
        metavar="SECONDS",
        help="Most seconds of training the models of a stack.",
        rich_help_panel=TRAINING,
    ),
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Number of trainings in parallel.", rich_help_panel=TRAINING)]
Backend = Annotated[
    str,
    typer.Option("--backend", help="Backend of joblib: loky, or dask or ray on a cluster.", rich_help_panel=TRAINING),
]

Balance = Annotated[
    float | None,
    typer.Option(
        "--balance",
        metavar="FROM 0 TO 1",
        help="Predict for labels as they come (0), for values that are all equally likely (1), or between; it changes "
        "decisions, not the training.",
        show_default="the run's, or none",
        rich_help_panel=DECISION,
    ),
]
Within = Annotated[
    float,
    typer.Option(
        "--within",
        metavar="FRACTION",
        help="Without --balance: how much larger than a plain network's and LightGBM's the error as rows come may be "
        "for the sake of rare values, e.g. 0.05.",
        rich_help_panel=DECISION,
    ),
]
TargetTransform = Annotated[
    str | None,
    typer.Option(
        "--transform",
        metavar="|".join((*TRANSFORMS, AUTO_TRANSFORM)),
        help="Train on a transform of the target, e.g. its logarithm; predictions and errors stay in its own units. "
        "auto takes the one with the lowest error on validation rows.",
        show_default="the target as it is",
        autocompletion=complete_choice((*TRANSFORMS, AUTO_TRANSFORM)),
        rich_help_panel=METHOD,
    ),
]
CensoredBelow = Annotated[
    float | None,
    typer.Option(
        "--censored-below",
        metavar="VALUE",
        help="Value that low targets were cut off at: the true value is this or less. With the default, a "
        "stack, or --method mixture.",
        show_default=False,
        rich_help_panel=METHOD,
    ),
]
CensoredAbove = Annotated[
    float | None,
    typer.Option(
        "--censored-above",
        metavar="VALUE",
        help="Value that high targets were cut off at, e.g. 500001: the true value is this or more. With the "
        "default, a stack, or --method mixture.",
        show_default=False,
        rich_help_panel=METHOD,
    ),
]
TargetBalance = Annotated[
    list[str] | None,
    typer.Option(
        "--target-balance",
        metavar="TARGET=BALANCE",
        help="Balance of one of several targets that have a dial each, e.g. price=1; the others have --balance, or 0. "
        "Repeatable.",
        rich_help_panel=DECISION,
    ),
]
Density = Annotated[
    str | None,
    typer.Option(
        "--density",
        metavar="uniform:LOW,HIGH|labels:FILE",
        help="Instead of --balance: how the labels of the new rows are spread; FILE has the target column.",
        rich_help_panel=DECISION,
    ),
]
Loss = Annotated[
    str | None,
    typer.Option(
        "--loss",
        autocompletion=complete_choice(_LOSSES),
        metavar="|".join(_LOSSES),
        help="Predict the median (absolute) or the mean (squared) of each distribution.",
        rich_help_panel=DECISION,
    ),
]
Cost = Annotated[
    str | None,
    typer.Option(
        "--cost",
        metavar="under=COST,over=COST",
        help="What predicting too low and too high costs, per unit.",
        rich_help_panel=DECISION,
    ),
]
Quantile = Annotated[
    list[float] | None,
    typer.Option(
        "--quantile",
        metavar="LEVEL",
        help="Also write this quantile of each distribution, e.g. 0.1, for labels as they come unless --balance or "
        "--density is given. Repeatable.",
        rich_help_panel=DECISION,
    ),
]
Above = Annotated[
    list[str] | None,
    typer.Option(
        "--above",
        metavar="VALUE",
        help="Also write the chance that the true value is above this one, for labels as they come unless --balance or "
        "--density is given. Repeatable.",
        rich_help_panel=DECISION,
    ),
]
Below = Annotated[
    list[str] | None,
    typer.Option("--below", metavar="VALUE", help="The same for values below. Repeatable.", rich_help_panel=DECISION),
]

Keep = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        metavar="COLUMN",
        autocompletion=complete_column,
        help="Also write this column of the table, such as an id; may be repeated. The model need not know it.",
        rich_help_panel=OUTPUT,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing output.", rich_help_panel=OUTPUT)]
Track = Annotated[
    str | None,
    typer.Option(
        "--track",
        metavar="mlflow|wandb|tensorboard=FOLDER",
        help="Also keep settings, epochs and test errors in a store of MLflow, Weights & Biases or TensorBoard.",
        autocompletion=complete_choice(("mlflow=", "wandb=", "tensorboard=")),
        rich_help_panel=OUTPUT,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Continue the unfinished run in --out; by default the last run of the target.",
        rich_help_panel=OUTPUT,
    ),
]
Against = Annotated[
    Path | None,
    typer.Option(
        "--against",
        help="A finished run on the same data and split, to compare with this one in the report.",
        rich_help_panel=OUTPUT,
    ),
]
