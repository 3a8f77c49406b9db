import json

import numpy as np
import pytest
import torch

from tailwise import MLP, Batches, Bins, InputError, Recipe, Regressor, Training, compose
from tailwise.training.checkpoint import load_checkpoint, save_checkpoint

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4)).astype(np.float32)
Y = np.exp(0.6 * X[:, 0]) * 10 + X[:, 1]


def training(method="sqinv+lds+fds+conr+rrt", *, unit=1.0, **recipe):
    params = {"rrt": {"epochs": 3}} if "rrt" in method else {}
    recipe = Recipe(**{"epochs": 4, "device": "cpu", "batch_size": 64, **recipe})
    torch.manual_seed(0)
    inputs, target = torch.from_numpy(X), torch.from_numpy(Y * unit).float()

    @torch.no_grad()
    def validate(model):
        return {"both": float((model(inputs) - target).abs().mean()), "mae": 1.0, "rmse": 1.0}

    return Training(
        compose(method, **params),
        Regressor(MLP(4, widths=(16, 16)), n_features=16),
        Batches(inputs, target, batch_size=recipe.batch_size_for(len(X))),
        Y * unit,
        bins=Bins.auto(Y * unit),
        validate=validate,
        recipe=recipe,
    )


def weights(run):
    return {name: value.clone() for name, value in run.model.state_dict().items()}


def equal(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model_and_another_does_not():
    runs = [training(seed=seed) for seed in (1, 1, 2)]
    for run in runs:
        list(run.epochs())
    first, again, other = map(weights, runs)
    assert equal(first, again)
    assert not equal(first, other)


@pytest.mark.parametrize("stop_after", range(1, 7))
@pytest.mark.slow
def test_resumed_training_is_bit_for_bit_the_same(tmp_path, stop_after):
    whole = training()
    expected = [(e.stage, e.epoch, e.terms, e.validation, e.best) for e in whole.epochs()]
    assert len(expected) == 7

    cut = training()
    epochs = cut.epochs()
    seen = [next(epochs) for _ in range(stop_after)]
    save_checkpoint(tmp_path / "last", *cut.state())

    torch.manual_seed(99)
    resumed = training()
    resumed.restore(*load_checkpoint(tmp_path / "last"))
    seen += list(resumed.epochs())
    assert [(e.stage, e.epoch, e.terms, e.validation, e.best) for e in seen] == expected
    assert equal(weights(resumed), weights(whole))


@pytest.mark.parametrize(
    "method", ["vir", "uvote+fds+srl+bsam", "rnc_pretrain+twoviews", "sqinv+cmixup", "bmc+rrt", "fds+dist"]
)
@pytest.mark.slow
def test_every_state_is_resumed(tmp_path, method):
    whole = list(training(method, epochs=3).epochs())
    for stop_after in sorted({1, 3, len(whole) - 1}):
        cut = training(method, epochs=3)
        epochs = cut.epochs()
        for _ in range(stop_after):
            next(epochs)
        save_checkpoint(tmp_path / "last", *cut.state())
        torch.manual_seed(99)
        resumed = training(method, epochs=3)
        resumed.restore(*load_checkpoint(tmp_path / "last"))
        rest = list(resumed.epochs())
        assert [(e.terms, e.validation) for e in rest] == [(e.terms, e.validation) for e in whole[stop_after:]]


@pytest.mark.slow
def test_a_checkpoint_of_another_method_is_refused(tmp_path):
    run = training()
    next(run.epochs())
    save_checkpoint(tmp_path / "last", *run.state())
    with pytest.raises(InputError, match="does not fit"):
        training("vanilla").restore(*load_checkpoint(tmp_path / "last"))
    with pytest.raises(InputError, match="no checkpoint"):
        load_checkpoint(tmp_path / "elsewhere")


def test_an_interrupted_replacement_leaves_a_checkpoint(tmp_path):
    run = training("vanilla")
    next(run.epochs())
    save_checkpoint(tmp_path / "last", *run.state())
    (tmp_path / "last").rename(tmp_path / "last.old")
    assert load_checkpoint(tmp_path / "last")[1]["epoch"] == 1


def test_the_best_epoch_is_kept():
    run = training("vanilla", epochs=6, lr=0.05)
    seen = [(run.validate(run.model.eval())["both"], epoch.best) for epoch in run.epochs()]
    best = min(score for score, _ in seen)
    assert run.validate(run.model.eval())["both"] == pytest.approx(best, rel=1e-6)
    assert next(is_best for score, is_best in seen if score == best)


def test_early_stopping():
    run = training("vanilla", criterion="mae", patience=2, epochs=50)
    assert len(list(run.epochs())) == 3


def test_learning_rate_falls_along_a_cosine():
    rates = [epoch.lr for epoch in training("vanilla", lr=1.0, epochs=4).epochs()]
    assert rates == pytest.approx([1.0, 0.8535533, 0.5, 0.1464466])


def test_the_noise_of_balanced_mse_keeps_its_own_learning_rate():
    run = training("bmc", epochs=3)
    before = float(run.objective.loss.sigma.detach())
    for _ in run.epochs():
        groups = run.optimizer.param_groups
        assert [group["lr"] for group in groups if not group["scheduled"]] == [0.01]
    assert float(run.objective.loss.sigma.detach()) != before


@pytest.mark.parametrize("unit", [1e-5, 1e7])
@pytest.mark.slow
def test_a_target_far_from_unit_scale_trains_as_well(unit):
    near, far = training("sqinv+lds+fds+conr", epochs=5), training("sqinv+lds+fds+conr", epochs=5, unit=unit)
    last = [list(run.epochs())[-1].validation["both"] for run in (near, far)]
    assert last[1] / unit == pytest.approx(last[0], rel=0.02)


def test_bfloat16_trains():
    run = training("sqinv+lds+fds+conr", precision="bf16", epochs=3, lr=1e-2)
    last = list(run.epochs())[-1]
    assert last.validation["both"] < 0.9 * np.abs(Y - np.median(Y)).mean()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "`epochs` must be a whole number of at least 1, got 0"),
        ({"batch_size": -3}, "batch_size"),
        ({"lr": 0.0}, "`lr` must be a finite number above 0"),
        ({"criterion": "r2"}, "`criterion` must be one of"),
        ({"precision": "int8"}, "`precision` must be one of"),
        ({"seed": -1}, "seed"),
        ({"device": "tpu"}, "`device` must be"),
        ({"precision": "fp16"}, "needs a GPU"),
    ],
)
def test_bad_recipes(options, message):
    with pytest.raises(InputError, match=message):
        training("vanilla", **options)


def test_a_device_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="'cuda' is not available here; use `device='auto'`"):
        training("vanilla", device="cuda")


def test_optimizers_of_earlier_stages_are_not_kept():
    run = training("rrt", epochs=1)
    list(run.epochs())
    assert run.stage == 1
    assert run.accelerator._optimizers == []


@pytest.mark.slow
def test_a_later_recipe_may_want_another_device_and_precision():
    for precision in ("no", "bf16", "no"):
        run = training("vanilla", precision=precision, epochs=1)
        assert run.accelerator.mixed_precision == precision
        assert run.device.type == "cpu"


def test_divergence_is_said():
    with pytest.raises(InputError, match="smaller `lr`"):
        list(training("vanilla", lr=1e15, epochs=20).epochs())


def test_batch_size_grows_with_the_rows():
    sizes = [Recipe().batch_size_for(n) for n in (30, 3_000, 8_000, 1_000_000)]
    assert sizes == [32, 32, 128, 256]


def test_batches_visit_every_row_once():
    batches = Batches(torch.arange(10).unsqueeze(1), torch.arange(10), batch_size=3)
    rows = torch.cat([y for _, y in batches])
    assert sorted(rows.tolist()) == list(range(10))
    assert len(batches) == 4
    with pytest.raises(InputError):
        Batches(torch.zeros(3, 1), torch.zeros(4), batch_size=2)


def test_checkpoints_hold_no_pickle(tmp_path):
    run = training("vanilla")
    next(run.epochs())
    save_checkpoint(tmp_path / "last", *run.state())
    assert {path.suffix for path in (tmp_path / "last").iterdir()} == {".json", ".safetensors"}
    json.loads((tmp_path / "last" / "state.json").read_text())


def test_a_validation_without_the_criterion_is_told():
    run = training(criterion="mae")
    run.validate = lambda _: {"r2": 1.0}
    with pytest.raises(InputError, match="`criterion` is 'mae', and the validation gives r2; return it there"):
        list(run.epochs())
