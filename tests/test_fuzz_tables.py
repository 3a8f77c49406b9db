"""Tables of any form end in a result or in one line, never in a traceback."""

import gzip
import io
import re
import zipfile
from datetime import date
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fuzzing import LONGEST, examples, one_line
from tailwise import Experiment, InputError, evaluate, fit, prepare
from tailwise.data import text_tables as text_tables_module
from tailwise.data.table_files import read_with_notes
from tailwise.diagnose import diagnose
from tailwise.experiment.prepare import prepare as prepare_table

NAMES = st.one_of(
    st.sampled_from(
        ["x", "y", "split", "id", "", "Unnamed: 0", "a b", "é", "`x`", "x=1", "=1+1", "row", "0", "n" * 500]
    ),
    st.text(max_size=8),
)
ODD_CELLS = (
    *("", "NA", "nan", "?", "-", ".", "#DIV/0!", "01", "007", "1e5", "1,5", "12,345", "$1,200.00", "12%", "1 200"),
    *("0000-00-00", "23/01/2022", "2022-01-23", "31.12.2020 10:30", "20220123", "inf", "-inf", "1e400", "true", "no"),
    *("train", "val", "test", "Total", "red", " Red ", "-999", "9" * 400, "\u00a0", "\x00", '"', "1'000", "٣", "½"),
)
CELLS = st.one_of(
    st.sampled_from(ODD_CELLS),
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    st.integers(-(10**25), 10**25).map(str),
    st.text(max_size=6),
)


@st.composite
def text_tables(draw):
    """Bytes of a text table, mostly well formed, with its separator."""
    separator = draw(st.sampled_from([",", ";", "\t", "|"]))
    header = draw(st.lists(NAMES, min_size=1, max_size=5))
    kinds = [draw(st.lists(CELLS, min_size=1, max_size=4)) for _ in header]
    rows = draw(st.integers(0, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    quote = (lambda cell: '"' + cell.replace('"', '""') + '"') if draw(st.booleans()) else str
    lines = [separator.join(quote(name) for name in header)]
    for _ in range(rows):
        cells = [kind[rng.integers(len(kind))] if rng.random() < 0.6 else f"{rng.normal():.3f}" for kind in kinds]
        extra = [""] * int(rng.random() < 0.02) + ["9"] * int(rng.random() < 0.005)
        lines.append(separator.join(quote(cell) for cell in [*cells, *extra]))
    text = draw(st.sampled_from(["\n", "\r\n"])).join(lines)
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"])), "surrogatepass")


def packed(content, name, how):
    if how == "gz":
        return gzip.compress(content), f"{name}.gz"
    if how == "zip":
        with zipfile.ZipFile(archive := io.BytesIO(), "w") as file:
            file.writestr(name, content)
        return archive.getvalue(), "t.zip"
    return content, name


@examples(50)
@given(
    st.one_of(text_tables(), st.binary(max_size=200)),
    st.sampled_from(["t.csv", "t.tsv", "t.jsonl", "t.parquet", "t.feather", "t.xlsx", "t.csv.gz", "t.zip"]),
    st.sampled_from(["", "", "gz", "zip"]),
    st.integers(-1, 300),
)
def test_files(tmp_path_factory, content, name, how, cut):
    content, name = packed(content, name, how)
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(content if cut < 0 else content[: max(len(content) - cut, 0)])
    result = one_line(read_with_notes, path)
    if result is not None:
        frame, notes = result
        assert len(set(frame.columns)) == len(frame.columns) or name.endswith(("parquet", "feather"))
        assert all(len(note) <= LONGEST and "\n" not in note for note in notes)


@examples(30)
@given(text_tables())
def test_pieces(tmp_path_factory, content):
    assume(not re.search(rb"\d{19}", content))  # beyond 64 bits pandas reads a number by its neighbours
    path = tmp_path_factory.mktemp("fuzz") / "t.csv"
    path.write_bytes(content)
    whole = one_line(read_with_notes, path)
    with mock.patch.multiple(text_tables_module, PIECE_ROWS=3, PIECE_CELLS=1):
        in_pieces = one_line(read_with_notes, path)
    assert (whole is None) == (in_pieces is None)
    if whole is not None:
        pd.testing.assert_frame_equal(in_pieces[0], whole[0])
        assert in_pieces[1] == whole[1]


def values(draw, rng, n):
    """A column of one of many types."""
    kind = draw(st.sampled_from([*range(16), *range(9), *range(9), *range(9), 12, 13]))  # 9 to 11 are mostly refused
    texts = draw(st.lists(CELLS, min_size=1, max_size=5))
    numbers = rng.normal(size=n)
    return [
        lambda: numbers,
        lambda: rng.integers(-5, 5, n),
        lambda: np.full(n, draw(st.floats())),
        lambda: rng.choice(np.array(texts, dtype=object), n),
        lambda: pd.Categorical(rng.choice(texts, n)),
        lambda: pd.date_range("1999-12-31", periods=n, freq="3h", tz=draw(st.sampled_from([None, "UTC"]))),
        lambda: pd.array(rng.integers(0, 3, n), dtype="Int8"),
        lambda: pd.array(rng.random(n) > 0.5, dtype="boolean"),
        lambda: np.where(rng.random(n) > 0.9, rng.choice(np.array(texts, dtype=object), n), numbers.astype(object)),
        lambda: [[1, 2]] * n,
        lambda: [{"a": 1}] * n,
        lambda: [b"x"] * n,
        lambda: [date(2020, 1, 1 + i % 28) for i in range(n)],
        lambda: numbers * 10.0 ** draw(st.integers(-300, 300)),
        lambda: pd.timedelta_range("1h", periods=n),
        lambda: numbers + 1j,
    ][kind]()


@st.composite
def frames(draw):
    """A data frame with a target, most often a usable one."""
    n = draw(st.sampled_from([0, 1, 29, 30, 31, *[60] * 15]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    frame = pd.DataFrame({name: pd.Series(values(draw, rng, n)) for name in names})
    if draw(st.integers(0, 9)) != 5 and "y" not in names:
        frame["y"] = rng.gamma(2, 5, n)
    return frame


WRITERS = {
    "t.parquet": lambda frame, path, packing: frame.to_parquet(path, compression=packing),
    "t.feather": lambda frame, path, packing: frame.to_feather(path),
    "t.xlsx": lambda frame, path, packing: frame.to_excel(path, index=packing is None),
    "t.jsonl": lambda frame, path, packing: frame.to_json(path, orient="records", lines=True),
}


@examples(40)
@given(
    frames(),
    st.sampled_from(list(WRITERS)),
    st.sampled_from([None, "snappy", "gzip", "zstd"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), max_size=2),
    st.sampled_from([1.0, 1.0, 1.0, 0.9, 0.5]),
)
def test_files_of_frames(tmp_path_factory, frame, name, packing, flips, kept):
    path = tmp_path_factory.mktemp("fuzz") / name
    try:
        WRITERS[name](frame, path, packing)
    except Exception:  # the format has no such type
        assume(False)
    content = bytearray(path.read_bytes())
    for where, bits in flips:
        content[int(where * (len(content) - 1))] ^= bits
    path.write_bytes(content[: int(kept * len(content))])
    result = one_line(read_with_notes, path)
    if result is not None:
        assert all(len(note) <= LONGEST and "\n" not in note for note in result[1])
        task = one_line(prepare, result[0], "y")
        assert all("\n" not in note for note in ([] if task is None else task.notes))


@pytest.mark.parametrize("name", ["t.parquet", "t.feather"])
def test_a_flipped_byte(tmp_path, name):
    """In a damaged Arrow file texts may end outside the file: reading them would end the process."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=40), "kind": rng.choice(["a", "bb", "é"], 40), "y": rng.normal(size=40)})
    WRITERS[name](frame, tmp_path / name, None)
    whole = (tmp_path / name).read_bytes()
    damaged = 0
    for place in range(0, len(whole), 9):
        content = bytearray(whole)
        content[place] ^= int(rng.integers(1, 256))
        (tmp_path / name).write_bytes(content)
        read = one_line(read_with_notes, tmp_path / name)
        if read is not None:
            one_line(prepare, read[0], "y")
        damaged += read is None
    assert damaged > 100


@st.composite
def frames_and_options(draw):
    """A data frame, and up to two options, most often of columns that it has."""
    frame = draw(frames())
    name = st.one_of(st.sampled_from(list(frame.columns)), st.sampled_from(list(frame.columns)), NAMES)
    options = {
        "nominal": st.lists(name, max_size=1),
        "numeric": st.lists(name, max_size=1),
        "date": st.lists(name, max_size=1),
        "drop": st.lists(name, max_size=1),
        "missing": st.lists(st.one_of(st.text(max_size=5), CELLS.map(lambda cell: "x=" + cell)), max_size=2),
        "decimal": st.sampled_from([",", ".", ";"]),
        "thousands": st.sampled_from([",", ".", " ", "'"]),
        "date_order": st.sampled_from(["dmy", "mdy", "ymd"]),
        "split": st.sampled_from(["auto", "random", "balanced", "column"]),
        "group": name,
        "drop_missing_target": st.just(True),
        "n_bins": st.integers(-1, 20),
    }
    chosen = draw(st.lists(st.sampled_from(list(options)), max_size=2, unique=True))
    return frame, {option: draw(options[option]) for option in chosen}


@examples(40)
@given(frames_and_options())
def test_frames(given):
    frame, options = given
    task = one_line(prepare, frame, "y", **options)
    assert all("\n" not in note for note in ([] if task is None else task.notes))
    if task is None:
        return
    model = one_line(fit, task, Experiment("vanilla", model="linear"))
    if model is not None:
        assert one_line(evaluate, model, task, resamples=0) is not None
        assert np.isfinite(one_line(model.predict, frame, ignore_extra=True)).all()
        one_line(model.notes_on_unseen, frame)


@examples(12)
@given(frames_and_options())
def test_diagnoses(given):
    frame, options = given
    options = {name: value for name, value in options.items() if name != "split"}
    one_line(diagnose, frame, "y", quick_model=False, **options)


@examples(20)
@given(text_tables())
def test_later_tables(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "t.csv"
    path.write_bytes(content)
    rng = np.random.default_rng(0)
    train = pd.DataFrame({"x": rng.normal(size=60), "id": rng.choice(["01", "2A"], 60), "y": rng.normal(size=60)})
    schema = prepare_table(train, "y").schema
    read = one_line(read_with_notes, path, text=schema.text_columns)
    if read is not None and one_line(schema.check, [str(name) for name in read[0].columns], ignore_extra=True) is None:
        missing = {"x", "id"} - set(read[0].columns)
        features = None if missing else one_line(schema.features, read[0])
        assert features is None or list(features) == ["x", "id"]


def test_an_error_of_long_names_is_short():
    frame = pd.DataFrame({f"{i}" * 400: np.arange(60.0) for i in range(9)})
    with pytest.raises(InputError) as error:
        prepare(frame, "y")
    assert len(str(error.value)) <= LONGEST
