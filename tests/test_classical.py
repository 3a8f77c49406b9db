import hashlib
import json
import sys
from types import SimpleNamespace

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import RidgeCV

from tailwise import (
    MLP,
    BalancedMAEObjective,
    Bins,
    InputError,
    Regressor,
    Relevance,
    SERAObjective,
    TableModel,
    compose,
)
from tailwise.backends.arrays import ArrayFitting, Arrays
from tailwise.backends.names import MODELS, SINGLE_MODELS, load_backend
from tailwise.cli.main import run
from tailwise.data.preprocessing import fit_tree_preprocessor, nominal_inputs, transform_features
from tailwise.experiment.prepare import prepare
from tailwise.labels.shots import Shots
from tailwise.methods.label_weights import label_weights
from tailwise.metrics.region_errors import validation_errors
from tailwise.training.recipe import Recipe
from trainings import start_training

pytestmark = pytest.mark.filterwarnings("ignore:the weights are extreme")
CLASSICAL = [name for name in SINGLE_MODELS if name != "network"]
FEW_TREES = {
    "lightgbm": {"n_estimators": 40},
    "hist-boosting": {"max_iter": 30},
    "catboost": {"iterations": 30},
    "forest": {"n_estimators": 20},
    "linear": {},
}


@pytest.fixture
def table(toy):
    return prepare(toy, "price")


def trained(table, name, method="sqinv+lds", recipe=None, **params):
    setup = start_training(table, compose(method), recipe or Recipe(), model=name, params={**FEW_TREES[name], **params})
    return setup, list(setup.epochs())


def saved_model(table, setup):
    return TableModel(table.schema, setup.inputs, setup.predictor, table.shots, table.relevance)


@pytest.mark.parametrize("name", CLASSICAL)
class TestEveryModel:
    def test_beats_the_median_saves_and_loads(self, name, table, tmp_path):
        setup, _ = trained(table, name)
        model = saved_model(table, setup)
        rows, y = table.rows_of("test")
        pred = model.predict(rows)
        assert np.abs(pred - y).mean() < 0.9 * np.abs(np.median(table.rows_of("train")[1]) - y).mean()
        model.save(tmp_path)
        np.testing.assert_array_equal(TableModel.load(tmp_path).predict(rows), pred)
        assert not [file for file in tmp_path.rglob("*") if file.suffix in (".pkl", ".pickle", ".joblib")]

    def test_missing_and_unseen_values(self, name, table):
        setup, _ = trained(table, name)
        rows = table.rows.frame().head(5).assign(x1=np.nan, city="elsewhere", built=None)
        assert np.isfinite(saved_model(table, setup).predict(rows)).all()

    def test_the_same_seed_gives_the_same_model(self, name, table):
        first, second = (saved_model(table, trained(table, name)[0]).predict(table.rows) for _ in range(2))
        np.testing.assert_array_equal(first, second)

    def test_weights_act(self, name, table):
        plain, weighted = (
            saved_model(table, trained(table, name, method)[0]).predict(table.rows) for method in ("vanilla", "inv")
        )
        assert not np.allclose(plain, weighted)

    @pytest.mark.parametrize("method", ["sqinv+lds+fds", "conr", "bmc", "rrt+lds", "huber", "uvote", "cmixup"])
    def test_parts_of_networks_are_refused(self, name, method, table):
        with pytest.raises(InputError, match=f"acts in the training of a network; `model='{name}'` takes weights"):
            trained(table, name, method)

    def test_unknown_parameter(self, name, table):
        with pytest.raises(InputError, match=f"{name} has no parameter 'depht'"):
            trained(table, name, depht=3)

    def test_sample_weights_are_multiplied_by_those_of_the_method(self, name, table):
        y = table.training_features()[1]
        weight = np.random.default_rng(0).uniform(0.1, 2.0, len(y))
        setup = self.weighted(table, name, "sqinv+lds", weight)
        expected = weight * label_weights("sqinv+lds", y, table.shots.bins).sample_weight(y)
        np.testing.assert_allclose(setup.rows.weight, expected / expected.mean(), rtol=1e-12)
        resampled = self.weighted(table, name, "ro", weight)
        origin = compose("ro").resample(*table.training_features(), seed=0)[2]
        np.testing.assert_allclose(resampled.rows.weight, weight[origin] / weight[origin].mean(), rtol=1e-12)

    @pytest.mark.slow
    def test_sample_weights_act(self, name, table):
        n = int((table.part == "train").sum())
        weight = np.where(table.training_features()[1] > 20, 5.0, 1.0)
        plain = saved_model(table, trained(table, name, "vanilla")[0]).predict(table.rows)
        even, weighted, doubled = (
            saved_model(table, self.weighted(table, name, "vanilla", given, train=True)).predict(table.rows)
            for given in (np.ones(n), weight, 2 * weight)
        )
        if name != "forest":  # which draws rows by their weights, in another way than without
            np.testing.assert_allclose(even, plain, rtol=1e-6)
        assert not np.allclose(weighted, plain)
        np.testing.assert_array_equal(doubled, weighted)

    def weighted(self, table, name, method, weight, *, train=False):
        setup = start_training(
            table, compose(method), Recipe(), model=name, params=FEW_TREES[name], sample_weight=weight
        )
        if train:
            list(setup.epochs())
        return setup

    def test_is_trained_in_one_go(self, name, table):
        setup = start_training(table, compose("vanilla"), Recipe(), model=name, params=FEW_TREES[name])
        assert not setup.resumable
        assert setup.encoder is None
        assert setup.state() == ({}, {})
        with pytest.raises(InputError, match="is trained in one go and cannot be resumed"):
            setup.restore({}, {})
        with pytest.raises(RuntimeError, match="is trained when epochs"):
            _ = setup.predictor

    def test_one_pass_gives_what_the_single_methods_give(self, name, table):
        model = saved_model(table, trained(table, name)[0])
        outputs = model.predictions(table.rows, features_of=np.ones(len(table.rows), dtype=bool))
        np.testing.assert_array_equal(outputs.pred, model.predict(table.rows))
        assert outputs.std is None
        assert model.predict_std(table.rows) is None
        assert outputs.features is None
        assert model.features(table.rows) is None

    def test_a_search_varies_parameters_that_it_has(self, name):
        backend = load_backend(name)
        assert backend.name == name
        for parameter, span in backend.varied.items():
            assert backend.parameters({parameter: span.low})[parameter] == span.low

    def test_correction_is_fitted(self, name, table):
        setup, _ = trained(table, name, "isotonic")
        model = saved_model(table, setup).calibrated(table, compose("isotonic").correction)
        assert model.correction is not None
        assert model.predict_interval(table.rows).shape == (len(table.rows), 2)


class TestAgainstTheLibraries:
    def arrays(self, table, setup):
        features, y = table.training_features()
        x = transform_features(setup.inputs.preprocessor, features, np.float64)
        return x, y, label_weights("sqinv+lds", y, table.shots.bins)

    def test_lightgbm(self, table):
        setup, epochs = trained(table, "lightgbm", n_estimators=40)
        x, y, weights = self.arrays(table, setup)
        theirs = lightgbm.LGBMRegressor(
            n_estimators=1 + max(e.epoch for e in epochs if e.best),
            learning_rate=0.05,
            min_child_samples=5,
            random_state=0,
            deterministic=True,
            force_row_wise=True,
            n_jobs=1,
            verbosity=-1,
        ).fit(
            x,
            y,
            sample_weight=weights.sample_weight(y),
            categorical_feature=np.flatnonzero(setup.rows.nominal).tolist(),
        )
        np.testing.assert_allclose(setup.predictor.predict(x), theirs.predict(x), rtol=1e-6)

    def test_catboost(self, table):
        import catboost

        setup, epochs = trained(table, "catboost", iterations=40)
        x, y, weights = self.arrays(table, setup)
        nominal = np.flatnonzero(setup.rows.nominal).tolist()
        frame = pd.DataFrame(x).astype(dict.fromkeys(nominal, int))
        theirs = catboost.CatBoostRegressor(
            iterations=1 + max(e.epoch for e in epochs if e.best),
            learning_rate=0.05,
            random_seed=0,
            allow_writing_files=False,
            verbose=False,
        ).fit(frame, y, sample_weight=weights.sample_weight(y), cat_features=nominal)
        np.testing.assert_allclose(setup.predictor.predict(x), theirs.predict(frame), rtol=1e-9)

    @pytest.mark.parametrize("name", ["hist-boosting", "forest"])
    def test_trees_of_scikit_learn(self, name, table):
        setup, epochs = trained(table, name)
        x, y, weights = self.arrays(table, setup)
        best = 1 + max(e.epoch for e in epochs if e.best)
        theirs = (
            HistGradientBoostingRegressor(
                max_iter=best,
                learning_rate=0.05,
                min_samples_leaf=5,
                early_stopping=False,
                random_state=0,
                categorical_features=setup.rows.nominal,
            )
            if name == "hist-boosting"
            else RandomForestRegressor(20, random_state=0)
        ).fit(x, y, sample_weight=weights.sample_weight(y))
        np.testing.assert_allclose(setup.predictor.predict(x), theirs.predict(x), rtol=1e-6)

    def test_linear(self, table):
        setup, _ = trained(table, "linear")
        x, y, weights = self.arrays(table, setup)
        theirs = RidgeCV(np.logspace(-3, 3, 13)).fit(x, y, sample_weight=weights.sample_weight(y))
        np.testing.assert_allclose(setup.predictor.predict(x), theirs.predict(x), rtol=1e-6)


@pytest.mark.parametrize("name", ["lightgbm", "hist-boosting", "catboost"])
@pytest.mark.parametrize("criterion", ["bmae", "mae"])
def test_the_best_round_is_kept(name, criterion, table):
    setup, epochs = trained(table, name, recipe=Recipe(criterion=criterion))
    scores = [epoch.validation[criterion] for epoch in epochs]
    assert [epoch.best for epoch in epochs] == [s < min(scores[:i], default=np.inf) for i, s in enumerate(scores)]
    rows, y = table.rows_of("val")
    kept = validation_errors(y, saved_model(table, setup).predict(rows), table.shots)
    assert kept[criterion] == pytest.approx(min(scores))


@pytest.mark.parametrize(("name", "rounds"), [("lightgbm", "n_estimators"), ("catboost", "iterations")])
def test_boosting_stops_early(name, rounds, table):
    _, epochs = trained(table, name, **{rounds: 2000, "learning_rate": 0.5})
    best = max(epoch.epoch for epoch in epochs if epoch.best)
    assert len(epochs) == best + 51 < 2000


def test_catboost_does_not_depend_on_the_number_of_threads(table):
    alone, *several = (
        saved_model(table, trained(table, "catboost", thread_count=n)[0]).predict(table.rows) for n in (1, 2, 3)
    )
    for pred in several:
        np.testing.assert_array_equal(pred, alone)


def test_catboost_that_is_not_installed(table, monkeypatch, tmp_path):
    setup, _ = trained(table, "catboost")
    saved_model(table, setup).save(tmp_path)
    monkeypatch.setitem(sys.modules, "catboost", None)
    for use in (lambda: trained(table, "catboost"), lambda: TableModel.load(tmp_path)):
        with pytest.raises(InputError, match=r"^model 'catboost' needs catboost: pip install 'tailwise\[catboost\]'$"):
            use()


def test_l1_is_the_absolute_error(table):
    setup, _ = trained(table, "hist-boosting", "l1")
    assert setup.predictor.fitted.loss == "absolute_error"
    setup, _ = trained(table, "catboost", "l1")
    assert setup.predictor.fitted.get_all_params()["loss_function"] == "MAE"
    with pytest.raises(InputError, match="'l1' acts in the training of a network; `model='forest'`"):
        trained(table, "forest", "l1")


def test_sera_weights_the_squared_error_by_relevance(table):
    setup, _ = trained(table, "linear", "sera")
    features, y = table.training_features()
    phi = Relevance.extremes(y)(y)
    theirs = RidgeCV(np.logspace(-3, 3, 13)).fit(
        transform_features(setup.inputs.preprocessor, features, np.float64), y, sample_weight=phi / phi.mean()
    )
    np.testing.assert_allclose(setup.predictor.fitted.coef_, theirs.coef_, rtol=1e-4, atol=1e-6)


def test_sera_in_lightgbm_is_our_objective(table):
    setup, epochs = trained(table, "lightgbm", "sera")
    features, y = table.training_features()
    x = transform_features(setup.inputs.preprocessor, features, np.float64)
    relevance = Relevance.extremes(y)
    start = np.average(y, weights=relevance(y))
    scale = 2 * relevance(y).mean()  # of its second derivatives, against weights of mean 1
    theirs = lightgbm.LGBMRegressor(
        objective=SERAObjective(relevance),
        n_estimators=1 + max(e.epoch for e in epochs if e.best),
        learning_rate=0.05,
        min_child_samples=5,
        min_child_weight=1e-3 * scale,
        cat_smooth=10 * scale,
        cat_l2=10 * scale,
        random_state=0,
        deterministic=True,
        force_row_wise=True,
        n_jobs=1,
        verbosity=-1,
    ).fit(
        x,
        y,
        init_score=np.full(len(y), start),
        categorical_feature=np.flatnonzero(setup.rows.nominal).tolist(),
    )
    ours, theirs = setup.predictor.predict(x), start + theirs.predict(x)
    rare = relevance(y) > 0.5  # where φ is near 0 the splits are arbitrary
    np.testing.assert_allclose(ours[rare], theirs[rare], rtol=1e-5)
    metric = SERAObjective(relevance).metric
    assert metric(y, ours)[1] == pytest.approx(metric(y, theirs)[1], rel=1e-5)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w[1:], "one number a row"),
        (lambda w: w[:, None], "one number a row"),
        (lambda w: -w, "at least 0, got -1"),
        (lambda w: np.where(np.arange(len(w)) == 3, np.nan, w), "finite numbers of at least 0, got nan"),
        (lambda w: 0 * w, "is 0 for every row"),
    ],
)
def test_weights_that_do_not_work(model, change, said, table):
    weight = change(np.ones(int((table.part == "train").sum())))
    with pytest.raises(InputError, match=said):
        start_training(table, compose("vanilla"), Recipe(device="cpu"), model=model, sample_weight=weight)


def test_codes_of_categories():
    frame = pd.DataFrame({"n": [1.0, np.nan, 3.0], "c": pd.Series(["b", np.nan, "a"], dtype=object)})
    preprocessor = fit_tree_preprocessor(frame)
    x = transform_features(preprocessor, frame)
    np.testing.assert_array_equal(nominal_inputs(preprocessor, 2), [False, True])
    assert np.isnan(x[1, 0])
    assert sorted(x[:, 1]) == [0, 1, 2]
    unseen = transform_features(preprocessor, frame.assign(c=pd.Series(["z"] * 3, dtype=object)))
    assert (unseen[:, 1] == -1).all()


class TestObjectives:
    Y = np.r_[np.linspace(0, 1, 60), np.linspace(5, 20, 8)]
    PHI = Relevance.from_points([(0, 0), (10, 1)])

    @pytest.mark.parametrize("objective", [SERAObjective(PHI), BalancedMAEObjective(Y, Bins.count(Y, 10))])
    def test_gradient_is_that_of_the_metric(self, objective):
        pred = np.random.default_rng(0).normal(size=self.Y.size) * 3
        gradient, hessian = objective(self.Y, pred)
        step = 1e-6
        numeric = np.array(
            [
                (objective.metric(self.Y, pred + d)[1] - objective.metric(self.Y, pred - d)[1]) / (2 * step)
                for d in step * np.eye(self.Y.size)
            ]
        )
        scale = self.Y.size if isinstance(objective, BalancedMAEObjective) else 1  # per row against a mean
        np.testing.assert_allclose(gradient, scale * numeric, rtol=1e-4, atol=1e-6)
        assert (hessian >= 0).all()

    def test_in_lightgbm(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(600, 3))
        y = np.exp(1.5 * x[:, 0]) + rng.normal(size=600) / 5
        sera, balanced = SERAObjective(Relevance.extremes(y)), BalancedMAEObjective(y)
        shots = Shots.from_labels(y, Bins.auto(y))
        rare = shots.codes(y) > 0
        plain = lightgbm.LGBMRegressor(n_estimators=60, n_jobs=1, verbosity=-1).fit(x, y).predict(x)
        for objective in (sera, balanced):
            model = lightgbm.LGBMRegressor(objective=objective, n_estimators=200, n_jobs=1, verbosity=-1)
            model.fit(x, y, eval_X=x, eval_y=y, eval_metric=objective.metric)
            name = objective.metric(y, y)[0]
            curve = next(iter(model.evals_result_.values()))[name]
            assert curve[-1] < 0.7 * curve[0]
            assert np.abs(model.predict(x) - y)[rare].mean() < 1.2 * np.abs(plain - y)[rare].mean()

    def test_refuses_no_relevance(self):
        with pytest.raises(InputError, match="SERA needs a relevance function, got None; where no label is extreme"):
            SERAObjective(Relevance.extremes([1.0, 2.0, 3.0]))


class TestCommand:
    @pytest.mark.parametrize("model", CLASSICAL)
    @pytest.mark.slow
    def test_train_predict_evaluate(self, model, toy_csv, tmp_path, capsys):
        out = tmp_path / "run"
        few = [f"--set=model.{key}={value}" for key, value in FEW_TREES[model].items()]
        assert run(["train", str(toy_csv), "-t", "price", "--model", model, "-o", str(out), *few]) == 0
        config = json.loads((out / "config.json").read_text())
        assert config["model"]["name"] == model
        assert config["label"] == f"{model} sqinv+lds"
        assert f"{model} sqinv+lds" in (out / "report.html").read_text()
        assert run(["predict", str(out), str(toy_csv), "-o", str(tmp_path / "p.csv")]) == 0
        assert run(["evaluate", str(out), str(toy_csv)]) == 0
        first = pd.read_csv(tmp_path / "p.csv")
        assert run(["train", str(toy_csv), "-t", "price", "--model", model, "-o", str(out), "--overwrite", *few]) == 0
        run(["predict", str(out), str(toy_csv), "-o", str(tmp_path / "q.csv")])
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "q.csv"), first)

    @pytest.mark.slow
    def test_encoder(self, toy_csv, tmp_path):
        out = tmp_path / "run"
        few = ["--epochs", "1", "--set", "encoder.members=2", "--set", "encoder.width=8"]
        assert run(["train", str(toy_csv), "-t", "price", "--encoder", "tabm-ple", "-o", str(out), *few]) == 0
        config = json.loads((out / "config.json").read_text())
        assert config["model"] == {
            "name": "network",
            "encoder": "tabm-ple",
            "parameters": {"model": {}, "encoder": {"members": 2, "width": 8}},
        }
        assert run(["predict", str(out), str(toy_csv), "-o", str(tmp_path / "p.csv")]) == 0

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--model", "lightbm"], "--model must be one of"),
            (["--encoder", "tabn"], "--encoder must be one of"),
            (["--model", "forest", "--epochs", "5"], "--epochs is for networks; --model forest takes --set model"),
            (["--model", "forest", "--encoder", "tabm"], "--encoder is for networks"),
            (["--model", "forest", "--set", "encoder.width=3"], "--model forest has no encoder"),
            (["--set", "model.num_leaves=3"], "--set model... is for models that are not networks"),
            (["--model", "lightgbm", "--set", "model.num_leafs=3"], "has no parameter 'num_leafs'; did you mean"),
            (["--model", "lightgbm", "--set", "model.num_leaves=-3"], "LightGBM cannot train with these parameters"),
            (["--model", "forest", "--set", "model.n_estimators=x"], "forest: n_estimators must be a whole number"),
            (["--model", "lightgbm", "--set", "model.n_estimators=x"], "lightgbm: n_estimators must be a whole number"),
            (["--model", "forest", "--set", "model.max_depth=x"], "the parameters of forest do not work"),
            (["--model", "lightgbm", "--set", "model.objective=quantile"], "objective follows from the method"),
            (["--model", "hist-boosting", "--set", "model.loss=poisson"], "loss follows from the method"),
            (["--model", "lightgbm", "-m", "conr"], "'conr' acts in the training of a network"),
            (["--encoder", "tabm", "--set", "encoder.members=0"], "tabm.members must be"),
            (["--set", "encoder.sample_weight=1"], "has no parameter 'sample_weight'"),
            (["--set", "encoder.encoder=mlp"], "has no parameter 'encoder'"),
            (["--model", "lightgbm", "--set", "model.boosting_type=dart"], "boosting_type must be gbdt or goss"),
            (["--model", "forest", "--set", "model.random_state=3"], "random_state follows from --seed"),
            (["--model", "catboost", "--set", "model.iteratons=3"], "catboost has no parameter 'iteratons'; did you"),
            (["--model", "catboost", "--set", "model.iterations=x"], "iterations must be a whole number"),
            (["--model", "catboost", "--set", "model.learning_rate=-1"], "learning_rate must be a finite number above"),
            (["--model", "catboost", "--set", "model.depth=99"], "with these parameters: Maximum tree depth is 16"),
            (["--model", "catboost", "--set", "model.loss_function=MAE"], "loss_function follows from the method"),
        ],
    )
    def test_mistakes(self, options, said, toy_csv, tmp_path, capsys):
        assert run(["train", str(toy_csv), "-t", "price", "-o", str(tmp_path / "run"), *options]) == 2
        err = capsys.readouterr().err
        assert said in " ".join(err.split())
        assert "Traceback" not in err
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("name", "file"), [("lightgbm", "model.txt"), ("catboost", "model.cbm")])
def test_a_file_that_was_tampered_with_is_refused(name, file, table, tmp_path):
    setup, _ = trained(table, name)
    saved_model(table, setup).save(tmp_path)
    (tmp_path / file).write_text("nonsense")
    with pytest.raises(InputError, match="is not a complete model folder"):
        TableModel.load(tmp_path)


def test_only_known_types_are_loaded(tmp_path):
    import skops.io

    skops.io.dump({"evil": print}, tmp_path / "model.skops")
    digest = hashlib.sha256((tmp_path / "model.skops").read_bytes()).hexdigest()
    with pytest.raises(Exception, match="Untrusted"):
        load_backend("forest").load(tmp_path, {"kind": "forest", "sha256": digest})


@pytest.mark.parametrize("name", ["linear", "network"])
def test_it_trains_on_resampled_rows(name, toy):
    """By hand: the same rows, resampled, without a resampler in the method."""
    table = prepare(toy, "price")
    if name == "linear":
        setup, _ = trained(table, name, "smogn")
        features, y = table.training_features()
        rows, labels, _ = compose("smogn").resample(features, y, seed=0)
        theirs = RidgeCV(np.logspace(-3, 3, 13)).fit(
            transform_features(setup.inputs.preprocessor, rows, np.float64), labels
        )
        np.testing.assert_allclose(setup.predictor.fitted.coef_, theirs.coef_, rtol=1e-5)
    else:
        setup = start_training(table, compose("smogn"), Recipe(epochs=1, device="cpu"))
        _, labels, _ = compose("smogn").resample(*table.training_features(), seed=0)
        assert sorted(setup.training.batches.y.tolist()) == sorted(labels.astype(np.float32).tolist())
        assert len(labels) != (table.part == "train").sum() or not np.array_equal(labels, table.training_features()[1])
    n = int((table.part == "train").sum())
    assert any(note.startswith(f"smogn: {n:,} training rows became {len(labels):,};") for note in table.notes)


def test_the_encoder_does_not_depend_on_resampling(toy):
    many = pd.concat([toy, toy.assign(x1=toy["x1"] + 0.01)], ignore_index=True)
    for method in (compose("vanilla"), compose("ru", ru={"strategy": "extreme"})):
        setup = start_training(prepare(many, "price"), method, Recipe(epochs=1, device="cpu"))
        assert setup.predictor.encoder["encoder"] == "mlp-ple"


def test_a_training_step_cannot_resample_and_says_so():
    with pytest.warns(UserWarning, match="'smogn' resamples rows, which a training step cannot do; pass"):
        compose("smogn").build(Regressor(MLP(2), 256), np.arange(30.0))


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_half_a_model_file_is_refused(keep, table, tmp_path):
    """LightGBM would take the process down with it."""
    for name, file in (("lightgbm", "model.txt"), ("catboost", "model.cbm")):
        setup, _ = trained(table, name)
        (tmp_path / name).mkdir()
        saved_model(table, setup).save(tmp_path / name)
        content = (tmp_path / name / file).read_bytes()
        (tmp_path / name / file).write_bytes(content[: int(keep * len(content))])
        with pytest.raises(InputError, match="was altered after it was saved"):
            TableModel.load(tmp_path / name)


def test_another_file_with_its_digest_is_refused(table, tmp_path):
    setup, _ = trained(table, "catboost")
    saved_model(table, setup).save(tmp_path)
    (tmp_path / "model.cbm").write_text("nonsense")
    description = json.loads((tmp_path / "model.json").read_text())
    description["model"]["sha256"] = hashlib.sha256(b"nonsense").hexdigest()
    (tmp_path / "model.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match=r"is not a complete model folder: model\.cbm: "):
        TableModel.load(tmp_path)


@pytest.mark.parametrize("name", ["lightgbm", "hist-boosting", "catboost", "linear"])
def test_small_differences_of_large_numbers_are_seen(name):
    rng = np.random.default_rng(0)
    a = rng.normal(size=600)
    table = prepare(pd.DataFrame({"seconds": 1.7e9 + 20 * a, "y": np.exp(a)}), "y")
    setup = start_training(table, compose("vanilla"), Recipe(), model=name)
    list(setup.epochs())
    rows, y = table.rows_of("test")
    error = np.abs(saved_model(table, setup).predict(rows) - y).mean()
    assert error < (0.5 if name == "linear" else 0.15) * np.abs(y - y.mean()).mean() + 0.3 * (name == "linear")


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_column_without_values(name, toy):
    table = prepare(toy.assign(empty=np.nan, constant=1.0), "price")
    setup, _ = trained(table, name)
    assert np.isfinite(saved_model(table, setup).predict(table.rows)).all()


def test_a_share_of_the_rows_acts_alone(table):
    plain, sampled = (trained(table, "lightgbm", **given)[0].predictor for given in ({}, {"subsample": 0.3}))
    x = np.zeros((1, plain.fitted.num_feature()))
    assert plain.predict(x) != sampled.predict(x)


@pytest.mark.parametrize(("n", "inside"), [(1000, 1), (60_000, 2)])
def test_few_rows_are_trained_on_one_thread(n, inside):
    import sklearn.ensemble  # noqa: F401  (loads OpenMP)
    from threadpoolctl import threadpool_info, threadpool_limits

    def threads():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "openmp"}

    seen = []

    def train():
        seen.append(threads())
        yield "epoch"
        seen.append(threads())
        return "model"

    rows = SimpleNamespace(x=np.zeros((n, 10)))
    rows.for_one_thread = Arrays.for_one_thread.fget(rows)
    with threadpool_limits(2, user_api="openmp"):
        fitting = ArrayFitting("any", Recipe(), rows, train)
        assert [(epoch, threads()) for epoch in fitting.epochs()] == [("epoch", {2})]
    assert seen == [{inside}, {inside}]
    assert fitting.predictor == "model"
