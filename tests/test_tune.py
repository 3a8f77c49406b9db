import html
import json
import shlex
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import optuna
import pandas as pd
import pytest

from tailwise import InputError
from tailwise.backends.stack import fitting
from tailwise.cli.main import run
from tailwise.cli.settings import parse_set
from tailwise.experiment.fit import start
from tailwise.experiment.prepare import prepare
from tailwise.experiment.spec import Experiment
from tailwise.methods.build import compose
from tailwise.methods.catalog import PARTS as KNOWN_PARTS
from tailwise.metrics.confidence import Interval
from tailwise.metrics.paired_bootstrap import crossed_bootstrap
from tailwise.report.trial_charts import ShownTrial
from tailwise.report.tune_page import tune_page
from tailwise.search.aim import Aim
from tailwise.search.outcome import Outcome, RegionOutcome, judge_best
from tailwise.search.space import METHODS, METHODS_OF_TREES, PARTS, Space, from_stored, stored_settings
from tailwise.search.stack_trial import best_balance
from tailwise.search.study import Search
from tailwise.search.study_folder import PAGE, REPORT, open_search, study_settings, write_report
from tailwise.search.train_command import train_command
from tailwise.training.epoch import Epoch
from tailwise.training.recipe import Recipe

LINEAR = Space(("vanilla", "reweight+lds", "denseweight"), "linear")


@pytest.fixture
def table(toy):
    return prepare(toy, "price", seed=0)


@pytest.fixture
def search(table, tmp_path):
    """A function that opens the study in a folder; here nothing costs more than a ridge regression."""

    def make(aim=None, *, space=LINEAR, settings=None, storage=None, table=table, folder="study"):
        (tmp_path / folder).mkdir(exist_ok=True)
        aim = Aim("bmae", None) if aim is None else aim
        settings = {"a": 1} if settings is None else settings
        return Search(table, space, aim, Recipe(), settings=settings, folder=tmp_path / folder, storage=storage)

    return make


class Scripted:
    """A training whose validation errors are given: (bmae, mae) epoch by epoch, or something to raise."""

    def __init__(self, errors):
        self.errors = errors

    def epochs(self):
        best = np.inf
        for number, given in enumerate(self.errors):
            if isinstance(given, type):
                raise given("it broke")
            better = given[0] < best
            best = min(best, given[0])
            validation = {"bmae": given[0], "mae": given[1]}
            yield Epoch(0, number, len(self.errors), {}, validation, 0.0, 0.0, better)


def script(found, monkeypatch, trainings):
    """Give a search these trainings in place of its own, the first as vanilla, and prune it as one of networks."""
    monkeypatch.setattr("tailwise.search.study._REPORT_EVERY", 1)
    found.study.pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=5)
    trainings = iter(trainings)
    monkeypatch.setattr(found, "start", lambda experiment: Scripted(next(trainings)))
    return found


class Lowest:
    """A trial that draws the lowest number and a named method."""

    def __init__(self, method):
        self.method = method

    def suggest_categorical(self, name, choices):
        return self.method if name == "method" else choices[-1]

    def suggest_float(self, name, low, high, *, log=False):
        return low

    def suggest_int(self, name, low, high, *, log=False):
        return low


class TestSpace:
    def test_every_parameter_exists_and_its_default_lies_within(self):
        for part, spans in PARTS.items():
            known = KNOWN_PARTS[part].parameters()
            for name, span in spans.items():
                assert span.low <= known[name] <= span.high, (part, name)

    @pytest.mark.parametrize(("model", "methods"), [("network", METHODS), ("lightgbm", METHODS_OF_TREES)])
    def test_what_is_drawn_can_be_written_and_read(self, model, methods):
        space = Space.of([], model, [])
        assert space.methods == methods
        for method in methods:
            drawn = space.draw(Lowest(method), Recipe())
            drawn.compose()
            words = shlex.split(train_command("a.csv", "y", drawn, Recipe(), {}))
            params = parse_set([word for before, word in pairwise(words) if before == "--set"])
            model_params = params.pop("encoder" if model == "network" else "model")
            assert model_params == drawn.params
            method = words[words.index("--method") + 1]
            assert repr(compose(method, **params)) == repr(drawn.compose())

    def test_settings_are_stored_under_their_old_names(self):
        recipe = Recipe(epochs=7)
        drawn = Experiment(
            "conr", "network", "mlp", {"conr": {"coef": 0.5}}, {"dropout": 0.2}, replace(recipe, lr=0.01)
        )
        plain = json.loads(json.dumps(stored_settings(drawn, recipe)))
        assert list(plain) == ["method", "params", "encoder", "lr", "of_it"]
        assert from_stored(plain, "network", recipe) == drawn

    def test_mistakes(self):
        with pytest.raises(InputError, match="unknown method part 'lsd'"):
            Space.of(["lsd"], "network", [])
        with pytest.raises(InputError, match="`encoder` must be one of"):
            Space.of([], "network", ["mpl"])
        with pytest.raises(InputError, match="`encoder` is for networks"):
            Space.of([], "lightgbm", ["mlp"])


class Without:
    """A trial that leaves some experts out of a stack."""

    def __init__(self, *names):
        self.names = [f"with {name}" for name in names]

    def suggest_categorical(self, name, choices):
        assert choices == ("yes", "no")
        return "no" if name in self.names else "yes"


class TestStacks:
    def test_what_is_drawn_can_be_written_and_read(self):
        space = Space.of([], "stack", [])
        drawn = replace(space.draw(Without("catboost", "tabm", "forest"), Recipe()), balance=0.25)
        assert list(drawn.params["experts"]) == ["lightgbm", "network", "mixture network", "linear", "weighted network"]
        assert from_stored(json.loads(json.dumps(stored_settings(drawn, Recipe()))), "stack", Recipe()) == drawn
        words = shlex.split(train_command("a.csv", "y", drawn, Recipe(), {}))
        assert words[words.index("--balance") + 1] == "0.25"
        given = parse_set([word for before, word in pairwise(words) if before == "--set"])
        assert list(given["model"]["experts"]) == drawn.params["experts"]
        with pytest.raises(InputError, match="leave `method` out"):
            Space.of(["conr"], "stack", [])

    @pytest.mark.slow
    def test_each_expert_is_trained_once_and_trials_are_scored_out_of_fold(self, search, table, monkeypatch):
        only = ["lightgbm", "linear"]
        monkeypatch.setattr("tailwise.search.space.other_experts", lambda: only)
        recipe = Recipe(epochs=2)
        found = search(Aim("bmae", 0.02), space=Space.of([], "stack", []))
        found.recipe = recipe
        trained = []
        original = fitting.train_fold
        monkeypatch.setattr(fitting, "train_fold", lambda *args: trained.append(args[3].name) or original(*args))
        monkeypatch.setattr(fitting, "in_parallel", lambda calls, **_: (f(*a, **k) for f, a, k in calls))
        trials = list(found.run(3))
        folds = len(trained) // len(set(trained))
        assert (
            sorted(trained)
            == sorted([*folds * ["network"], *folds * ["lightgbm"], *folds * ["linear"]])[: len(trained)]
        )
        assert all(trial.state == "complete" for trial in trials)
        first = trials[0]
        experiment = from_stored(first.drawn, "stack", recipe)
        again = start(table, experiment).fitting
        list(again.epochs())
        balance, errors = best_balance(table, again.out_of_fold, found.aim, found.vanilla)
        assert (balance, errors) == (experiment.balance, first.errors)
        limit = 1.02 * found.vanilla["mae"]
        assert all((trial.errors["mae"] <= limit) == trial.allowed for trial in trials)


class TestSearch:
    def test_is_repeatable_and_goes_on(self, search):
        once = search()
        assert [trial.number for trial in once.run(4)] == [0, 1, 2, 3]
        parts = search(folder="other")
        list(parts.run(2))
        again = search(folder="other")
        assert [trial.number for trial in again.run(4)] == [2, 3]
        assert again.trials() == once.trials()
        assert list(again.run(4)) == []

    def test_the_test_rows_do_not_matter(self, search, table):
        y = np.where(table.part == "test", 1e6, table.y)
        here, there = search(), search(table=replace(table, y=y), folder="other")
        assert list(here.run(3)) == list(there.run(3))

    def test_minimises_the_score_within_the_limit(self, search, monkeypatch):
        found = script(
            search(Aim("bmae", 0.02)), monkeypatch, [[(10, 5)], [(6, 6)], [(9, 5.05)], [(8, 5.09)], [(11, 5)]]
        )
        states = [trial.allowed for trial in found.run(4)]
        assert states == [False, True, True, True]
        assert found.best().number == 2
        assert found.best().value == 8

    def test_vanilla_stays_where_nothing_is_better(self, search, monkeypatch):
        found = script(search(Aim("bmae", 0.02)), monkeypatch, [[(10, 5)], [(6, 6)], [(10, 5)]])
        list(found.run(2))
        assert found.best() is None

    def test_the_score_is_that_of_the_epoch_that_is_kept(self, search, monkeypatch):
        found = script(search(), monkeypatch, [[(10, 5)], [(9, 6), (7, 7), (8, 5)]])
        (trial,) = found.run(1)
        assert trial.value == 7
        assert trial.errors == {"bmae": 7, "mae": 7}

    def test_prunes_what_is_worse_by_then(self, search, monkeypatch):
        good, bad = [(5, 5)] * 10, [(9, 5)] * 10
        found = script(search(), monkeypatch, [good, *[good] * 5, bad])
        trials = list(found.run(6))
        assert [trial.state for trial in trials] == ["complete"] * 5 + ["pruned"]

    def test_a_trial_that_is_not_allowed_drives_out_none_that_is(self, search, monkeypatch):
        costly, allowed = [(5, 10)] * 10, [(9, 5)] * 10
        found = script(search(Aim("bmae", 0.02)), monkeypatch, [[(10, 5)] * 10, *[costly] * 5, allowed])
        trials = list(found.run(6))
        assert trials[-1].state == "complete"
        assert found.best() == trials[-1]

    def test_a_trial_that_fails_is_said_and_the_others_go_on(self, search, monkeypatch):
        found = script(search(), monkeypatch, [[(10, 5)], [InputError], [RuntimeError], [(9, 5)]])
        trials = list(found.run(3))
        assert [trial.failed for trial in trials] == ["it broke", "RuntimeError: it broke", None]
        assert found.best() == trials[2]

    def test_an_interrupted_trial_does_not_count(self, search, monkeypatch):
        found = script(search(), monkeypatch, [[(10, 5)], [(9, 5)], [KeyboardInterrupt]])
        with pytest.raises(KeyboardInterrupt):
            list(found.run(5))
        assert len(found.trials()) == 1
        again = script(search(), monkeypatch, [[(8, 5)]])
        assert [trial.value for trial in again.run(2)] == [8]

    def test_the_time_ends_it(self, search):
        assert list(search().run(5, timeout=1e-9)) == []

    @pytest.mark.slow
    def test_two_workers_share_a_study(self, search, tmp_path):
        url = f"sqlite:///{tmp_path / 'shared.db'}"
        one, two = search(storage=url), search(storage=url, folder="other")
        list(one.run(2))
        assert two.trials() == one.trials()
        assert [trial.number for trial in two.run(3)] == [2]
        assert search(storage=url, settings={"a": 2}).trials() == []

    def test_a_study_of_other_settings_is_refused(self, search):
        search()
        with pytest.raises(InputError, match="holds a study of other settings"):
            search(settings={"a": 2})

    @pytest.mark.parametrize("storage", ["foo://bar", "sqlite:////no/such/folder/x.db", "/no/such/folder/x.journal"])
    def test_a_storage_that_cannot_be_opened(self, search, storage):
        with pytest.raises(InputError, match="cannot be opened"):
            search(storage=storage)

    def test_a_region_without_validation_rows(self, search):
        with pytest.raises(InputError, match="no validation row lies in the region 'few'; use another `minimise`"):
            list(search(Aim("few")).run(1))


class TestCrossed:
    @pytest.mark.slow
    def test_covers_the_true_mean(self):
        rng = np.random.default_rng(0)
        hits = 0
        for seed in range(30):
            gains = rng.normal(size=(1, 40)) + 0.5 * rng.normal(size=(4, 40))
            found = crossed_bootstrap(gains, seed=seed)
            assert found.low < found.value < found.high
            hits += found.low < 0 < found.high
        assert hits >= 25

    def test_rows_that_all_seeds_share_are_not_counted_twice(self):
        gains = np.random.default_rng(0).normal(size=(1, 200))
        once, thrice = crossed_bootstrap(gains), crossed_bootstrap(np.repeat(gains, 3, axis=0))
        assert thrice.high - thrice.low == pytest.approx(once.high - once.low, rel=0.1)


class TestPython:
    AIM, RECIPE = Aim("bmae", None), Recipe()

    def opened(self, table, folder, choices=(), **others):
        settings = study_settings("digest", "price", dict(choices), LINEAR, self.AIM, self.RECIPE)
        return open_search(table, LINEAR, self.AIM, self.RECIPE, settings=settings, folder=folder, **others), settings

    def test_a_study_in_a_few_lines(self, table, tmp_path):
        search, settings = self.opened(table, tmp_path / "s")
        list(search.run(3))
        outcome = judge_best(search, seeds=1)
        command = train_command("toy.csv", "price", search.best_settings(), self.RECIPE, {})
        report = write_report(tmp_path / "s", search, settings, outcome, command, seeds=1)
        saved = json.loads((tmp_path / "s" / REPORT).read_text())
        assert report == tmp_path / "s" / PAGE
        assert saved["outer"]["bmae"] == {"ours": outcome.bmae[0], "vanilla": outcome.bmae[1]}
        assert len(saved["trials"]) == 3
        again, _ = self.opened(table, tmp_path / "s")
        assert again.trials() == search.trials()

    def test_the_folder_of_another_study_is_refused_in_names_of_parameters(self, table, tmp_path):
        self.opened(table, tmp_path / "s")
        with pytest.raises(InputError, match="another `bin_width`, `split`, `test`, `group`, `time`, `drop`"):
            self.opened(table, tmp_path / "s", {"split": "random"})
        (tmp_path / "s" / REPORT).write_text("{")
        with pytest.raises(InputError, match="is no report of a study; choose another `out`"):
            self.opened(table, tmp_path / "s")

    def test_a_storage_that_cannot_be_opened_leaves_nothing(self, table, tmp_path):
        with pytest.raises(InputError, match="`storage` 'foo://bar' cannot be opened"):
            self.opened(table, tmp_path / "s", storage="foo://bar")
        assert not (tmp_path / "s").exists()

    def test_the_best_settings_are_those_of_vanilla_where_nothing_is_better(self, search, monkeypatch):
        found = script(search(), monkeypatch, [[(10, 5)], [(12, 5)], [(9, 5)]])
        list(found.run(1))
        assert found.best_settings() == LINEAR.plain(found.recipe)
        list(found.run(2))
        assert stored_settings(found.best_settings(), found.recipe) == found.best().drawn

    def test_the_criterion_is_that_of_the_aim(self):
        assert [Aim(name).criterion for name in ("few", "bmae", "mae")] == ["bmae", "bmae", "mae"]


class TestPage:
    def page(self, trials, best, **other):
        change = RegionOutcome(9, 8.0, 10.0, Interval(-2.0, -3.0, -1.0))
        outcome = Outcome({"all": change, "few": change}, (8.0, 9.0))
        given = {"minimise": "few", "within": 0.02} | other
        vanilla = {"mae": 5.0, "few": 10.0, "bmae": 7.0}
        return tune_page(
            trials,
            outcome,
            best=best,
            command="tailwise train 'a <b>.csv'",
            vanilla=vanilla,
            target="y<",
            title="t",
            seeds=1,
            **given,
        )

    TRIALS = (
        ShownTrial(0, "sqinv", "complete", 9.0, 5.0, True),
        ShownTrial(1, "inv", "complete", 7.0, 9.0, False),
        ShownTrial(2, "lds", "pruned", 8.0, 5.0, True),
        ShownTrial(3, "conr", "complete", 8.5, 5.05, True),
        ShownTrial(4, "<b>", "failed", None, None, True, "no `room`"),
    )

    def test_the_best_come_first_and_text_is_escaped(self):
        page = self.page(self.TRIALS, 3)
        places = [page.index(f'<th scope="row">{number}</th>') for number in (3, 0, 1, 2)]
        assert places == sorted(places)
        assert "few-shot MAE on the test rows: 8 against vanilla's 10 (-20.0 %): better." in html.unescape(page)
        assert "beyond the limit" in page
        assert "no <code>room</code>" in page
        assert "<b>" not in page
        assert page.count("<svg") == 2

    @pytest.mark.parametrize(("minimise", "charts"), [("mae", 1), ("bmae", 2)])
    def test_other_aims(self, minimise, charts):
        page = self.page(self.TRIALS, 0, minimise=minimise, within=None)
        assert page.count("<svg") == charts
        assert "of at most" not in page

    def test_nothing_better_than_vanilla(self):
        assert "keep vanilla" in self.page(self.TRIALS[1:3], None)
        assert "<svg" not in self.page(self.TRIALS[4:], None)


class TestCommand:
    FAST = ("--model", "linear", "-m", "reweight+lds", "-m", "denseweight", "--minimise", "bmae", "--within", "none")

    @pytest.mark.slow
    def test_tunes_and_reports(self, toy_csv, tmp_path, capsys):
        words = ["tune", str(toy_csv), "-t", "price", *self.FAST, "--trials", "4", "--seeds", "1", "-o"]
        out = tmp_path / "t"
        assert run([*words, str(out)]) == 0
        report = json.loads((out / "tune.json").read_text())
        said = " ".join(capsys.readouterr().out.split())
        assert report["command"] in said
        assert "where the best was chosen (too good)" in said
        assert len(report["trials"]) == 4
        best = min(trial["value"] for trial in report["trials"])
        assert report["inner"]["best"]["bmae"] == min(best, report["inner"]["vanilla"]["bmae"])
        assert f"report: {out / 'tune.html'}" in said
        page = html.unescape((out / "tune.html").read_text())
        assert report["command"] in page
        assert page.index(report["command"]) < page.index("Scores in the order of the trials")
        assert all(f'<th scope="row">{trial["number"]}</th>' in page for trial in report["trials"])
        assert run([*words, str(out)]) == 0
        again = json.loads((out / "tune.json").read_text())
        assert again == report

    @pytest.mark.slow
    def test_the_command_trains_what_was_judged(self, toy_csv, tmp_path):
        out = tmp_path / "t"
        words = ["tune", str(toy_csv), "-t", "price", *self.FAST, "--trials", "3", "--seeds", "1", "--split", "random"]
        assert run([*words, "--bin-width", "7", "--drop", "x2", "-o", str(out)]) == 0
        report = json.loads((out / "tune.json").read_text())
        command = shlex.split(report["command"])
        assert command[:2] == ["tailwise", "train"]
        assert run([*command[1:], "-o", str(tmp_path / "run")]) == 0
        metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
        assert metrics["all"]["mae"]["value"] == pytest.approx(report["outer"]["all"]["ours"], rel=1e-9)
        assert metrics["all"]["bmae"]["value"] == pytest.approx(report["outer"]["bmae"]["ours"], rel=1e-9)

    @pytest.mark.slow
    def test_networks(self, toy_csv, tmp_path):
        words = ["tune", str(toy_csv), "-t", "price", "--minimise", "bmae", "--trials", "2", "--seeds", "1"]
        words += ["--epochs", "1", "--encoder", "mlp", "-m", "sqinv+lds", "-m", "conr", "-o", str(tmp_path / "t")]
        assert run(words) == 0
        drawn = [trial["drawn"] for trial in json.loads((tmp_path / "t" / "tune.json").read_text())["trials"]]
        assert all(0 <= one["of_it"]["dropout"] <= 0.5 and one["encoder"] == "mlp" for one in drawn)
        assert len({one["lr"] for one in drawn}) == 2

    def test_other_settings_are_refused(self, toy_csv, tmp_path, capsys):
        words = ["tune", str(toy_csv), "-t", "price", *self.FAST, "--trials", "1", "-o", str(tmp_path / "t")]
        assert run(words) == 0
        assert run([*words, "--seed", "1"]) == 2
        assert "holds a study with another --seed or --epochs" in capsys.readouterr().err
        frame = pd.read_csv(toy_csv)
        frame.assign(price=2 * frame["price"]).to_csv(toy_csv, index=False)
        assert run(words) == 2
        assert "holds a study with another table" in capsys.readouterr().err

    @pytest.mark.slow
    def test_interrupted(self, toy_csv, tmp_path, capsys, monkeypatch):
        def stop(*given):
            raise KeyboardInterrupt

        words = ["tune", str(toy_csv), "-t", "price", *self.FAST, "--trials", "2", "-o", str(tmp_path / "t")]
        with monkeypatch.context() as patch:
            patch.setattr(Space, "draw", stop)
            assert run(words) == 130
        assert "the same command goes on" in " ".join(capsys.readouterr().err.split())
        assert run(words) == 0

    def test_all_trials_fail(self, toy_csv, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr(Space, "draw", lambda *_: Experiment("conr", "forest"))
        words = ["tune", str(toy_csv), "-t", "price", *self.FAST, "--trials", "2", "-o", str(tmp_path / "t")]
        assert run(words) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "trial 1 failed: 'conr' acts in the training of a network" in said
        assert "all 2 trials failed" in said

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--trials", "0"], "--trials must be a whole number of at least 1, got 0"),
            (["--minimise", "rare"], "--minimise must be one of"),
            (["--within", "2 percent"], "--within takes a fraction such as 2% or 0.02, or none, got '2 percent'"),
            (["--within", "-1%"], "--within must be a finite number of at least 0"),
            (["--timeout", "0"], "--timeout must be a finite number above 0"),
            (["--storage", "foo://bar", "--minimise", "bmae"], "--storage 'foo://bar' cannot be opened"),
            (["--model", "linear", "--epochs", "3"], "--epochs is for networks"),
            (["-m", "conr2"], "unknown method part 'conr2'"),
        ],
    )
    def test_mistakes_write_nothing(self, toy_csv, tmp_path, capsys, words, said):
        assert run(["tune", str(toy_csv), "-t", "price", "-o", str(tmp_path / "t"), *words]) == 2
        assert said in " ".join(capsys.readouterr().err.split())
        assert not (tmp_path / "t").exists()

    def test_a_folder_of_something_else(self, toy_csv, tmp_path, capsys):
        words = ["tune", str(toy_csv), "-t", "price", *self.FAST, "-o"]
        assert run([*words, str(tmp_path)]) == 2
        assert "is not empty and holds no study" in capsys.readouterr().err
        assert run([*words, str(toy_csv)]) == 2
        assert "is a file" in capsys.readouterr().err

    def test_without_optuna(self, toy_csv, tmp_path, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "optuna", None)
        assert run(["tune", str(toy_csv), "-t", "price", "-o", str(tmp_path / "t")]) == 2
        assert "tuning needs optuna: pip install 'tailwise[tune]'" in capsys.readouterr().err


def test_the_way_out_of_a_region_without_validation_rows_works(tmp_path, capsys):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=300), "y": np.r_[np.zeros(293), np.arange(7) * 1.3 + 3]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    words = ["tune", str(tmp_path / "t.csv"), "-t", "y", "--model", "linear", "--trials", "1", "--seeds", "1"]
    words += ["-m", "reweight+lds", "-o", str(tmp_path / "tune")]
    assert run(words) == 2
    assert "use another --minimise, such as bmae" in capsys.readouterr().err
    assert not (tmp_path / "tune").exists()
    assert run([*words, "--minimise", "bmae"]) == 0


def test_a_region_of_few_rows_is_told(table):
    y = np.concatenate([table.y[table.shots.names(table.y) == name][:20] for name in ("few", "many")])
    few = int((table.shots.names(y) == "few").sum())
    (note,) = Aim("few").notes(y, table.shots)
    assert note.startswith(f"only {few} of the rows")
    assert not Aim("bmae").notes(y, table.shots)
    assert not Aim("few").notes(np.tile(y, 30), table.shots)
