import numpy as np
import pandas as pd
import pytest
import rtdl_num_embeddings
import tabm
import torch

from tailwise import InputError, TableModel, compose
from tailwise.data.preprocessing import categories_of, fit_preprocessor
from tailwise.experiment.prepare import prepare
from tailwise.heads.attach import head_from
from tailwise.heads.ensemble import EnsembleHead
from tailwise.heads.point import Regressor
from tailwise.modalities.encoder_names import ENCODERS
from tailwise.modalities.table import TabM, new_encoder, table_encoder_from
from tailwise.modalities.table_embeddings import ColumnEmbeddings, Columns
from tailwise.training.recipe import Recipe
from trainings import start_training

pytestmark = pytest.mark.filterwarnings("ignore:the weights are extreme")
SMALL = {"mlp": {"widths": (16, 8)}, "tabm": {"members": 4, "width": 8, "depth": 2}}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    n = 300
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": rng.normal(size=n).round(1),
            "flag": rng.random(n) < 0.3,
            "constant": 1.0,
            "city": rng.choice(["x", "y", "z"], n),
            "street": rng.choice([f"s{i}" for i in range(30)], n),
        }
    )
    frame.loc[::7, "b"] = np.nan
    frame["y"] = np.exp(frame["a"]) + (frame["city"] == "x") + rng.normal(size=n) / 10
    return prepare(frame, "y", n_bins=20)


def small(name):
    return SMALL[name.partition("-")[0]]


def trained(table, method, encoder, epochs=2, **params):
    setup = start_training(
        table, compose(method, **params), Recipe(epochs=epochs, device="cpu"), encoder=encoder, params=small(encoder)
    )
    return setup, list(setup.epochs())


@pytest.mark.parametrize("name", ENCODERS)
class TestEveryEncoder:
    def test_trains_saves_and_loads(self, name, table, tmp_path):
        setup, epochs = trained(table, "sqinv+lds+fds+conr", name)
        assert all(np.isfinite(list(e.validation.values())).all() for e in epochs)
        model = TableModel(table.schema, setup.inputs, setup.predictor, table.shots, table.relevance)
        model.save(tmp_path)
        rows = table.rows.frame()
        np.testing.assert_array_equal(TableModel.load(tmp_path).predict(rows), model.predict(rows))
        unseen = rows.assign(city="elsewhere", b=np.nan)
        assert np.isfinite(model.predict(unseen)).all()

    @pytest.mark.slow
    def test_learns_what_the_target_depends_on(self, name, table):
        setup, _ = trained(table, "vanilla", name, epochs=40)
        rows, y = table.rows_of("test")
        x = setup.inputs.of_frame(table.schema, rows.frame())
        error = np.abs(setup.predictor.predict(x) - y).mean()
        assert error < 0.7 * np.abs(np.median(table.rows_of("train")[1]) - y).mean()

    def test_same_seed_same_network(self, name, table):
        first, second = (trained(table, "vanilla", name, epochs=1)[0].predictor.model for _ in range(2))
        for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
            assert torch.equal(ours, theirs)

    def test_description_gives_the_same_shape(self, name):
        x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
        x[:, 3:] = np.eye(2)[np.arange(40) % 2]
        encoder, description = new_encoder(name, x, [2], small(name))
        again = table_encoder_from(description)
        again.load_state_dict(encoder.state_dict())
        encoder.eval(), again.eval()
        assert torch.equal(again(torch.from_numpy(x)), encoder(torch.from_numpy(x)))

    def test_refuses_what_it_does_not_have(self, name):
        x = np.zeros((40, 3), np.float32)
        with pytest.raises(InputError, match="has no parameter 'droput'"):
            new_encoder(name, x, [], {"droput": 0.1})
        with pytest.raises(InputError, match="dropout must be"):
            new_encoder(name, x, [], {"dropout": 1.0})

    def test_tables_without_numbers_to_embed(self, name):
        x = np.tile(np.eye(3, dtype=np.float32), (10, 1))
        for categories in ([3], []):  # only nominal columns; only columns of two values
            encoder, _ = new_encoder(name, x, categories, small(name))
            assert encoder(torch.from_numpy(x)).shape == (30, encoder.n_features)


@pytest.mark.parametrize(
    "method",
    [
        "vanilla",
        "bmc",
        "gai",
        "bni",
        "dist",
        "gar",
        "uvote",
        "vir",
        "mixture",
        "rrt+histogram",
        "sqinv+pinball",
        "rrt+lds",
        "rnc_pretrain",
        "twoviews+conr",
        "cmixup",
        "sqinv+lds+fds+conr+ranksim",
        "srl",
        "ordinal_entropy",
        "sera",
        "bsam",
        "isotonic",
    ],
)
@pytest.mark.slow
def test_every_slot_works_on_tabm(method, table, tmp_path):
    params = {"rrt": {"epochs": 1}} if "rrt" in method else {}
    setup, epochs = trained(table, method, "tabm-ple", **params)
    assert np.isfinite([value for e in epochs for value in (*e.terms.values(), *e.validation.values())]).all()
    model = TableModel(table.schema, setup.inputs, setup.predictor, table.shots, table.relevance)
    model.save(tmp_path)
    np.testing.assert_array_equal(TableModel.load(tmp_path).predict(table.rows), model.predict(table.rows))


class TestColumns:
    def test_categories_take_the_last_inputs(self):
        rng = np.random.default_rng(0)
        many = pd.Series([f"c{i}" for i in range(300)] + [f"c{i}" for i in rng.integers(0, 200, 700)], dtype=object)
        frame = pd.DataFrame({"n": rng.normal(size=1000), "few": rng.choice(["a", "b"], 1000), "many": many})
        frame["few"] = frame["few"].astype(object)
        preprocessor = fit_preprocessor(frame)
        counts = categories_of(preprocessor)
        assert counts == [2, 256]  # beyond 255 the rare ones share a column
        x = preprocessor.transform(frame)
        assert x.shape[1] == 1 + sum(counts)
        np.testing.assert_array_equal(x[:, 1:3].sum(axis=1), 1)
        np.testing.assert_array_equal(x[:, 3:].sum(axis=1), 1)

    def test_numbers_of_two_values_stay_as_they_are(self):
        x = np.stack([np.arange(30.0), np.arange(30) % 2, np.ones(30)], axis=1).astype(np.float32)
        columns, edges = Columns.of(x, [])
        assert columns.embedded == (0,)
        assert len(edges) == 1
        out = ColumnEmbeddings(columns, edges, embedding="ple")(torch.from_numpy(x))
        assert out.shape == (30, 16 + 2)
        np.testing.assert_array_equal(out[:, 16:].detach(), x[:, 1:])

    def test_a_nominal_column_is_looked_up(self):
        columns = Columns(numbers=0, embedded=(), edges=(), categories=(4,))
        inputs = ColumnEmbeddings(columns)
        assert torch.equal(inputs(torch.eye(4)), inputs.categories[0].weight.T)

    def test_edges_are_quantiles_of_the_training_rows(self):
        x = np.random.default_rng(0).exponential(size=(500, 1)).astype(np.float32)
        _, (edges,) = Columns.of(x, [])
        np.testing.assert_allclose(edges, np.quantile(x, np.linspace(0, 1, 49)), rtol=1e-5)


class TestEnsembleHead:
    def test_each_member_has_a_loss_of_its_own(self):
        torch.manual_seed(0)
        model = Regressor(torch.nn.Linear(3, 8), 8)
        model.head = EnsembleHead(8, members=4)
        y = torch.tensor([1.0, 2.0, 5.0, 9.0])
        objective = compose("vanilla").build(model, y.numpy())
        x = torch.randn(4, 3)
        loss = objective(x, y)["loss"]
        z = model.encode(x)
        losses = []
        for m in range(4):
            weight, bias = model.head.linear.weight[m, :, 0], model.head.linear.bias[m, 0]
            pred = model.head.shift + model.head.scale * (z[:, 2 * m : 2 * m + 2] @ weight + bias)
            losses.append(((pred - y) ** 2).mean() / y.std(correction=0) ** 2)
        torch.testing.assert_close(loss, torch.stack(losses).mean())
        assert (
            loss > ((model(x) - y) ** 2).mean() / y.std(correction=0) ** 2
        )  # Jensen: members do not lean on each other

    def test_the_mean_of_the_members_predicts(self):
        head = EnsembleHead(6, members=3).match_scale([10.0, 20.0, 60.0])
        z = torch.randn(5, 6)
        torch.testing.assert_close(head(z), head.outputs(z).mean(1))

    def test_is_made_from_its_shape(self):
        head = EnsembleHead(6, members=3)
        assert isinstance(head_from(6, head.shape), EnsembleHead)
        with pytest.raises(InputError, match="7 features cannot be shared out to 3 members"):
            EnsembleHead(7, members=3)


def test_rows_are_drawn_by_their_weight(table):
    n = int((table.part == "train").sum())
    weight = np.zeros(n)
    weight[:5] = 1
    recipe = Recipe(epochs=1, device="cpu")
    setup = start_training(table, compose("vanilla"), recipe, encoder="mlp", sample_weight=weight)
    seen = {float(v) for _, _, y in setup.training.batches.pieces() for v in y}
    assert seen <= {float(np.float32(v)) for v in table.rows_of("train")[1][:5]}
    _, labels, index = compose("ro").resample(*table.training_features(), seed=0)
    resampled = start_training(table, compose("ro"), recipe, encoder="mlp", sample_weight=weight)
    np.testing.assert_array_equal(resampled.training.batches.weight, weight[index])
    np.testing.assert_allclose(resampled.training.batches.y, labels, rtol=1e-6)


@pytest.mark.parametrize("method", ["vanilla", "uvote", "vir"])
def test_one_pass_gives_what_the_single_methods_give(method, table):
    setup, _ = trained(table, method, "mlp")
    model = TableModel(table.schema, setup.inputs, setup.predictor, table.shots, table.relevance)
    passes = []
    hook = setup.predictor.model.encoder.register_forward_hook(lambda *_: passes.append(1))
    outputs = model.predictions(table.rows, features_of=np.ones(len(table.rows), dtype=bool))
    hook.remove()
    assert len(passes) == 1
    x = setup.inputs.of_frame(table.schema, table.rows.frame())
    network, rows = setup.predictor.model, torch.from_numpy(x)
    with torch.inference_mode():
        np.testing.assert_array_equal(outputs.pred, network(rows).double())
        np.testing.assert_array_equal(outputs.features, network.encode(rows).double())
        if method == "vanilla":
            assert outputs.std is None
        else:
            std = network.head.std(network.head.outputs(network.encode(rows)))
            np.testing.assert_array_equal(outputs.std, std.double())
    np.testing.assert_array_equal(setup.predictor.predict(x), outputs.pred)
    np.testing.assert_array_equal(model.predict(table.rows), outputs.pred)


@pytest.mark.slow
def test_a_network_is_resumed_from_its_state(table):
    whole, part, resumed = (
        start_training(table, compose("vanilla"), Recipe(epochs=3, device="cpu"), encoder="mlp") for _ in range(3)
    )
    assert whole.resumable
    assert whole.encoder == "mlp"
    list(whole.epochs())
    next(part.epochs())
    resumed.restore(*part.state())
    list(resumed.epochs())
    for ours, theirs in zip(resumed.predictor.model.parameters(), whole.predictor.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("embedding", ["none", "ple"])
def test_tabm_is_that_of_its_authors(embedding):
    """The same weights in their whole model give the same features, member by member."""
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    columns, edges = Columns.of(x, [])
    ours = TabM(columns, edges, embedding=embedding, members=3, width=8, depth=2).eval()
    embeddings = None
    if embedding == "ple":
        embeddings = rtdl_num_embeddings.PiecewiseLinearEmbeddings(edges, 16, activation=False, version="B")
        embeddings.load_state_dict(ours.inputs.embedding.state_dict())
    theirs = tabm.TabM.make(
        n_num_features=4, d_out=None, num_embeddings=embeddings, k=3, d_block=8, n_blocks=2, dropout=0.1
    ).eval()
    theirs.backbone.load_state_dict(ours.layers.state_dict())
    rows = torch.from_numpy(x)
    torch.testing.assert_close(ours(rows).view(60, 3, 8), theirs(rows))
