"""``tailwise dial`` on one table of all people: a reference group, persons with several rows, weights, kept columns."""

import re

import numpy as np
import pandas as pd
import pytest

from tailwise.cli.main import run
from tailwise.distributions import ConditionalDensity, Dial, cross_fitted

REFERENCE = ["--reference", "group=control", "--group", "person"]


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Ages, predicted ages pulled to the middle, two rows a person; patients look five years older than they are."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("scans")
    person = np.repeat(np.arange(300), 2)
    age = rng.uniform(20, 80, 300)[person]
    patient = person >= 200
    predicted = 50 + 0.6 * (age + 5 * patient - 50) + rng.normal(0, 2, 600)
    frame = pd.DataFrame(
        {
            "id": [f"{i:04d}" for i in range(600)],
            "person": person,
            "group": np.where(patient, "patient", "control"),
            "age": age,
            "pred": predicted,
            "w": np.where(np.arange(600) % 3 == 0, 0.0, rng.uniform(0.5, 2, 600)),
        }
    ).sample(frac=1, random_state=0)
    frame.to_csv(folder / "people.csv", index=False)
    return folder, pd.read_csv(folder / "people.csv", dtype={"id": str})


def refused(capsys, *arguments):
    capsys.readouterr()
    assert run([str(word) for word in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


def dial(folder, *words):
    return run(["dial", str(folder / "people.csv"), "-t", "age", "-p", "pred", *map(str, words)])


class TestReferenceGroup:
    def test_rows_of_the_table_are_corrected_by_folds_that_did_not_see_their_person(self, scans, tmp_path, capsys):
        folder, frame = scans
        out = tmp_path / "out.csv"
        assert dial(folder, *REFERENCE, "--balance", 1, "--keep", "id", "--keep", "group", "--out", out) == 0
        shown = capsys.readouterr().out
        assert "MAE on 400 rows with group=control" in " ".join(shown.split())
        written = pd.read_csv(out, dtype={"id": str})
        assert list(written) == ["row", "id", "group", "given", "prediction"]
        assert written["id"].tolist() == frame["id"].tolist()  # zeros in front stay
        control = (frame["group"] == "control").to_numpy()
        own = cross_fitted(frame["age"], frame["pred"], group=frame["person"].astype(str), reference=control)
        expected = Dial.from_labels(frame["age"][control]).decide(own, balance=1)
        np.testing.assert_allclose(written["prediction"], expected, rtol=1e-9)
        gap = (written["prediction"] - frame["age"]).to_numpy()
        assert abs(gap[control].mean()) < 0.5
        assert gap[~control].mean() == pytest.approx(5, abs=1)
        told = re.search(r"true value: (\S+) in 400 rows with group=control, (\S+) in 200 others", shown)
        assert [float(told[1]), float(told[2])] == pytest.approx([gap[control].mean(), gap[~control].mean()], rel=1e-3)

    def test_new_rows_get_the_density_of_the_whole_reference_group(self, scans, tmp_path):
        folder, frame = scans
        frame[["id", "pred"]].head(20).to_csv(tmp_path / "new.csv", index=False)
        words = ["--apply", tmp_path / "new.csv", "--keep", "id", "--out", tmp_path / "out.csv"]
        assert dial(folder, *REFERENCE, *words) == 0
        control = frame[frame["group"] == "control"]
        expected = ConditionalDensity.fit(control["age"], control["pred"]).predictive(frame["pred"].head(20)).median()
        written = pd.read_csv(tmp_path / "out.csv", dtype={"id": str})
        np.testing.assert_allclose(written["prediction"], expected, rtol=1e-9)
        assert written["id"].tolist() == frame["id"].head(20).tolist()

    def test_the_group_may_be_a_number_or_true(self, scans, tmp_path, capsys):
        frame, written = scans[1], []
        for name, value in (("number", "1"), ("bool", "True")):
            cells = frame["group"] == "control"
            frame.assign(group=cells.astype(int) if name == "number" else cells).to_parquet(
                tmp_path / f"{name}.parquet"
            )
            words = ["-t", "age", "-p", "pred", "--reference", f"group={value}", "--out", tmp_path / f"{name}.csv"]
            assert run(["dial", *map(str, [tmp_path / f"{name}.parquet", *words])]) == 0
            written.append(pd.read_csv(tmp_path / f"{name}.csv"))
        pd.testing.assert_frame_equal(*written)
        assert "MAE on 400 rows" in capsys.readouterr().out.replace("\n", " ")


class TestWeights:
    def test_rows_count_by_a_column(self, scans, tmp_path, capsys):
        folder, frame = scans
        assert dial(folder, "--weight", "w", "--balance", 0.5, "--out", tmp_path / "out.csv") == 0
        shown = capsys.readouterr()
        assert "rows count by column 'w'" in " ".join(shown.err.split())
        counted = (frame["w"] > 0).to_numpy()
        assert f"MAE on {counted.sum()} rows" in " ".join(shown.out.split())
        weight = np.where(counted, frame["w"], 1.0)
        own = cross_fitted(frame["age"], frame["pred"], sample_weight=weight, reference=counted)
        labels = Dial.from_labels(frame["age"][counted], sample_weight=frame["w"][counted])
        written = pd.read_csv(tmp_path / "out.csv")  # all rows, those of weight 0 too
        np.testing.assert_allclose(written["prediction"], labels.decide(own, balance=0.5), rtol=1e-9)
        size = np.abs(frame["pred"] - frame["age"])[counted]
        error = np.average(size, weights=frame["w"][counted])
        assert abs(error - size.mean()) > 1e-3
        as_given = next(line for line in shown.out.splitlines() if "as given" in line)
        assert float(as_given.split()[2]) == pytest.approx(error, abs=0.01)

    def test_training_labels_count_too_where_they_have_the_column(self, scans, tmp_path, capsys):
        folder, frame = scans
        outs = []
        for name, table in (("with", frame), ("without", frame.drop(columns="w"))):
            table.to_csv(tmp_path / f"{name}.csv", index=False)
            out = tmp_path / f"{name}-out.csv"
            words = ["--labels", tmp_path / f"{name}.csv", "--weight", "w", "--balance", 1, "--out", out]
            assert dial(folder, *words) == 0
            outs.append(pd.read_csv(out)["prediction"])
            assert ("--labels lacks the column 'w'" in " ".join(capsys.readouterr().err.split())) == (name == "without")
        assert (outs[0] != outs[1]).any()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--keep id", "give --out"),
        ("--reference control", "--reference takes COLUMN=VALUE such as diagnosis=healthy, got 'control'"),
        ("--reference group=", "--reference takes COLUMN=VALUE"),
        ("--reference grup=control", "--reference 'grup' is not a column of the table; did you mean 'group'?"),
        ("--reference group=healthy", "no row has 'healthy' in column 'group'; it has 'patient', 'control'"),
        ("--reference id=0001 --weight w", "1 row with id=0001 and a weight above 0 to fit to; at least 20 are needed"),
        ("--group persn", "--group 'persn' is not a column of the table; did you mean 'person'?"),
        ("--group big", "10 rows are left to fit distributions to"),
        ("--group group --reference group=control", "at least 2 groups"),
        ("--group empty", "--group column 'empty' has 600 empty cells"),
        ("--weight nope", "--weight 'nope' is not a column"),
        ("--weight id", "--weight"),
        ("--weight negative", "weights are at least 0"),
        ("--weight age", "--weight names 'age', which is the target"),
        ("--weight patients --reference group=control", "0 in every row of the reference group"),
        ("--keep nope --out o.csv", "--keep 'nope' is not a column"),
        ("--keep given --out o.csv", "--keep 'given' has the name of a column of the predictions"),
        ("--out t.csv --overwrite", "is the table itself"),
        ("--out no/such.csv", "no folder"),
    ],
)
def test_mistakes_are_one_line(scans, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    frame = scans[1].assign(empty="", negative=-1.0, given=1, w=1.0)
    frame["patients"] = (frame["group"] == "patient").astype(int)
    frame["big"] = np.where(np.arange(600) < 590, "a", "b")
    if "--weight id" in words:
        frame["id"] = "w" + frame["id"]
    frame.to_csv("t.csv", index=False)
    assert message in refused(capsys, "dial", "t.csv", "-t", "age", "-p", "pred", *words.split())
    assert not (tmp_path / "o.csv").exists()
