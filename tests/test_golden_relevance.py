import warnings

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid

from golden import golden, load_golden
from tailwise import InputError, Relevance
from tailwise.labels.relevance import medcouple
from tailwise.losses.pointwise import mse_loss
from tailwise.losses.sera import SERA, sera_loss
from tailwise.metrics.errors import sera as sera_metric

SKEWED = np.random.default_rng(0).gamma(2, 10, 500)
TWO_COLUMNS = "the reference raises for control points without slopes; ours works (tests of from_points)"
WITHOUT = {
    **dict.fromkeys(("c020", "c021"), TWO_COLUMNS),
    **dict.fromkeys(
        (f"c{number:03}" for number in range(22, 30)), "sigmoids and densities, which are no relevance here"
    ),
}


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize("case", golden("relevance_phi", without=WITHOUT))
def test_relevance_equals_the_reference(case):
    control = case.expected["ctrl_pts"]
    if case.params["kind"] == "auto":
        phi = Relevance.extremes(case.inputs["y"], coef=case.params["coef"], which=case.params["xtrm_type"])
        if phi is None:
            assert (control[:, 1] == 0).all()
            phi = Relevance.from_points(control)
        case.close(np.stack([phi.points, phi.values, phi.slopes], axis=1), "ctrl_pts")
        case.close(phi(case.inputs["y"]), "phi")
    else:
        phi = Relevance.from_points(case.params["ctrl_pts"])
    # Below the first control point the reference has relevance 1 even where that point has 0; ours is constant there.
    jumps = (case.inputs["eval_y"] < control[0, 0]) & (control[0, 1] == 0)
    found, expected = phi(case.inputs["eval_y"]), case.expected["phi_eval"]
    case.close(found[~jumps], expected[~jumps])
    assert (expected[jumps] == 1).all()
    assert (found[jumps] == 0).all()


def test_the_reference_raises_for_the_cases_left_out():
    left_out = [case for case in load_golden("relevance_phi") if case.id in ("c020", "c021")]
    assert all(case.case["flags"] == ["raises_ValueError"] and not case.expected for case in left_out)
    for case in left_out:
        points = np.array(case.params["ctrl_pts"])
        phi = Relevance.from_points(case.params["ctrl_pts"])
        assert np.allclose(phi(points[:, 0]), points[:, 1])


class TestControlPoints:
    def test_cubic_against_plain_loops(self):
        rows = [(0.0, 0.1, 0.01), (10.0, 0.4, 0.03), (30.0, 0.9, -0.02)]
        phi = Relevance.from_points(rows)
        for y in np.linspace(-5, 35, 81):
            (y0, v0, s0), (y1, v1, s1) = rows[:2] if y <= 10 else rows[1:]
            h = y1 - y0
            t = min(max((y - y0) / h, 0.0), 1.0)
            cubic = (1 + 2 * t) * (1 - t) ** 2 * v0 + t * (1 - t) ** 2 * h * s0
            cubic += t**2 * (3 - 2 * t) * v1 + t**2 * (t - 1) * h * s1
            assert phi(y) == pytest.approx(min(max(cubic, 0.0), 1.0), abs=1e-12)

    def test_slopes_are_means_of_chords_where_they_are_monotone(self):
        phi = Relevance.from_points([[0, 0], [30, 0.2], [60, 0.9], [90, 1]])
        chords = [0.2 / 30, 0.7 / 30, 0.1 / 30]
        assert phi.slopes[1] == pytest.approx((chords[0] + chords[1]) / 2)
        # Here the mean of the chords is 4 times the last one: Fritsch and Carlson allow 3.
        assert phi.slopes.tolist() == pytest.approx([0, (chords[0] + chords[1]) / 2, 3 * chords[2], 0])

    def test_monotone_between_points_and_flat_at_turning_points(self, rng):
        values = rng.random((50, 6))
        for value in values:
            points = np.cumsum(rng.random(6) + 0.01)
            phi = Relevance.from_points(np.stack([points, value], axis=1))
            for i in range(5):
                steps = np.diff(phi(np.linspace(points[i], points[i + 1], 200)))
                assert (steps * np.sign(value[i + 1] - value[i]) >= -1e-12).all()
        assert Relevance.from_points([(0, 1), (20, 0), (40, 0), (70, 1)]).slopes.tolist() == [0, 0, 0, 0]

    def test_two_points_are_enough(self):
        assert Relevance.from_points(((0, 0), (10, 1)))(5.0) == pytest.approx(0.5)

    def test_steep_slopes_are_cut_off_at_zero_and_one(self):
        found = Relevance.from_points([[0, 0, -5], [1, 1, -5]])(np.linspace(-1, 2, 100))
        assert found.min() == 0
        assert found.max() == 1
        assert found[-1] == 1

    def test_saved_and_read(self):
        phi = Relevance.from_points([[0, 0], [30, 0.2], [60, 0.9], [90, 1]])
        grid = np.linspace(-10, 100, 200)
        assert np.array_equal(Relevance.from_json(phi.to_json())(grid), phi(grid))
        old = Relevance.from_json({"points": [0.0, 10.0], "values": [1.0, 0.0]})
        assert old([0.0, 5.0, 10.0]).tolist() == [1.0, 0.5, 0.0]

    @pytest.mark.parametrize(
        ("points", "message"),
        [
            ([[0, 1], [10]], "of the same length"),
            ([["low", 1], [10, 0]], "of the same length"),
            ([0, 1, 2], "at least two rows"),
            ([[0, 1]], "at least two rows"),
            ([[0, 1, 0, 0], [1, 0, 0, 0]], "at least two rows"),
            ([[10, 1], [0, 0]], "increasing"),
            ([[0, 1], [0, 0]], "increasing"),
            ([[0, 1], [10, 1.5]], r"lies in \[0, 1\]"),
            ([[0, 1], [10, np.nan]], "values has 1 labels that are NaN"),
            ([[0, 1, 0], [10, 1, np.inf]], "slopes has 1 labels that are NaN"),
        ],
    )
    def test_mistakes(self, points, message):
        with pytest.raises(InputError, match=message):
            Relevance.from_points(points)

    def test_slopes_of_another_length(self):
        with pytest.raises(InputError, match="one slope a point, 2, got 3"):
            Relevance(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.zeros(3))


class TestAdjustedBox:
    @pytest.mark.parametrize("n", [1, 2, 5, 6, 9, 14, 21])
    @pytest.mark.parametrize("ties", [False, True])
    def test_medcouple_against_plain_loops(self, rng, n, ties):
        y = rng.gamma(2, 2, n)
        y = np.sort(y.round() if ties else y)
        median = np.median(y)
        middle = [i for i in range(n) if y[i] == median]
        kernels = []
        for i in range(n):
            for j in range(n):
                if i in middle and j in middle:
                    kernels.append(np.sign(middle.index(i) + 1 + middle.index(j) + 1 - 1 - len(middle)))
                elif y[i] <= median <= y[j]:
                    kernels.append(((y[j] - median) - (median - y[i])) / (y[j] - y[i]))
        assert medcouple(y) == pytest.approx(np.median(kernels), abs=1e-12)
        assert medcouple(-y) == pytest.approx(-medcouple(y), abs=1e-12)

    def test_medcouple_of_many_labels_at_the_median(self):
        # Pairs of the three twos count -1, 0 and 1 three times each; with 0 for all of them it would be 0.
        assert medcouple([0.0, 2.0, 2.0, 2.0, 5.0, 9.0]) == pytest.approx((1 / 5 + 5 / 9) / 2)

    def test_medcouple_says_which_tail_is_long(self, rng):
        assert medcouple(SKEWED) > 0.1
        half = rng.random(301)
        assert medcouple(np.concatenate([half, -half])) == pytest.approx(0, abs=1e-12)

    def test_medcouple_of_many_labels_is_that_of_their_quantiles(self, rng):
        y = rng.gamma(2, 10, 5000)
        below, above = y[y <= np.median(y)], y[y >= np.median(y)]
        exact = np.median(((above - np.median(y)) - (np.median(y) - below[:, None])) / (above - below[:, None]))
        assert medcouple(y) == pytest.approx(exact, abs=1e-3)
        assert medcouple(-y) == pytest.approx(-medcouple(y), abs=1e-9)

    @pytest.mark.parametrize("sign", [1, -1])
    def test_relevance_is_one_at_both_fences(self, sign):
        y = sign * SKEWED
        phi = Relevance.extremes(y, box="adjusted", coef=1.2)
        q1, median, q3 = np.quantile(y, [0.25, 0.5, 0.75], method="midpoint")
        skew, reach = medcouple(y), 1.2 * (q3 - q1)
        assert np.sign(skew) == sign
        short, long = np.exp(-4 * abs(skew)), np.exp(3 * abs(skew))
        fences = [q1 - short * reach, q3 + long * reach] if sign == 1 else [q1 - long * reach, q3 + short * reach]
        assert phi.points.tolist() == pytest.approx([fences[0], median, fences[1]])
        assert phi.values.tolist() == [1, 0, 1]

    def test_labels_without_extremes_have_a_relevance(self):
        y = np.linspace(0, 1, 100)
        assert Relevance.extremes(y) is None
        assert Relevance.extremes(y, box="adjusted")(1.0) > 0

    def test_one_end(self):
        low, high = (Relevance.extremes(SKEWED, box="adjusted", which=which) for which in ("low", "high"))
        assert high.points[0] == SKEWED.min()
        assert high.values.tolist() == [0, 0, 1]
        assert low.points[2] == SKEWED.max()
        assert low.values.tolist() == [1, 0, 0]

    @pytest.mark.parametrize("box", ["plain", "adjusted"])
    def test_half_of_the_labels_the_same(self, box):
        assert Relevance.extremes([1.0, 5.0, 5.0, 5.0, 5.0, 9.0], box=box) is None

    @pytest.mark.parametrize("wrong", [{"box": "round"}, {"which": "none"}, {"coef": 0.0}])
    def test_mistakes(self, wrong):
        with pytest.raises(InputError, match=next(iter(wrong))):
            Relevance.extremes(SKEWED, **wrong)


POINTS = [[0, 1], [20, 0], [40, 0.3], [70, 1]]


class TestLoss:
    def test_closed_form_is_the_area(self, rng):
        y, pred = SKEWED, SKEWED + rng.normal(size=SKEWED.size)
        phi = Relevance.extremes(y)(y)
        steps = np.linspace(0, 1, 20_001)
        errors = [np.square(pred - y)[phi >= t].sum() for t in steps]
        area = trapezoid(errors, steps)
        ours = sera_loss(torch.tensor(pred), torch.tensor(y), relevance=torch.tensor(phi))
        assert float(ours) * y.size == pytest.approx(area, rel=1e-3)
        assert float(ours) * y.size == pytest.approx(sera_metric(y, pred, phi))

    def test_gradient_is_relevance_times_error(self):
        target, phi = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 0.5, 0.0])
        pred = torch.tensor([2.0, 5.0, 9.0], requires_grad=True)
        sera_loss(pred, target, relevance=phi).backward()
        assert torch.allclose(pred.grad, 2 * phi * (pred.detach() - target) / 3)

    @pytest.mark.parametrize(
        ("params", "phi"),
        [
            ({}, Relevance.extremes(SKEWED)),
            ({"box": "adjusted", "reach": 1.0}, Relevance.extremes(SKEWED, box="adjusted", coef=1.0)),
            ({"box": "adjusted", "which": "high"}, Relevance.extremes(SKEWED, box="adjusted", which="high")),
            ({"points": POINTS}, Relevance.from_points(POINTS)),
            ({"points": ((0, 0, 0.1), (70, 1, 0))}, Relevance.from_points([[0, 0, 0.1], [70, 1, 0]])),
            ({"points": [(0, 0), (70, 1)]}, Relevance.from_points([[0, 0], [70, 1]])),
        ],
    )
    def test_torch_and_numpy_agree(self, rng, params, phi):
        sera = SERA(SKEWED, **params)
        y = np.concatenate([np.linspace(-20, 150, 997), phi.points])
        assert np.allclose(sera.relevance(torch.tensor(y)).numpy(), phi(y), atol=2e-6)
        pred = torch.tensor(y + rng.normal(size=y.size))
        expected = (phi(y) * (pred.numpy() - y) ** 2).mean()
        assert float(sera(pred, torch.tensor(y))) == pytest.approx(expected, rel=1e-5)

    def test_box_parameters_matter(self):
        control = [SERA(SKEWED, **params).control for params in ({}, {"box": "adjusted"}, {"reach": 1.0})]
        assert not any(torch.equal(a, b) for a, b in [control[:2], control[1:], control[::2]])

    def test_relevance_stays_exact_in_low_precision(self):
        sera, y = SERA(SKEWED + 1000), torch.linspace(1000, 1080, 100)
        exact = sera.relevance(y)
        assert torch.equal(sera.to(torch.bfloat16).relevance(y), exact)
        assert 0 < exact.mean() < 1

    @pytest.mark.parametrize("form", ["module", "function"])
    def test_dense_maps(self, form):
        y = torch.tensor(SKEWED[:32]).view(2, 4, 4).clone()
        y[0, :2] = torch.nan
        pred = torch.full_like(y, 20.0).requires_grad_()
        sera = SERA(SKEWED, points=POINTS)
        phi = torch.tensor(Relevance.from_points(POINTS)(y.numpy()))
        assert torch.isnan(phi[0, 0, 0])
        loss = sera(pred, y) if form == "module" else sera_loss(pred, y, relevance=phi)
        with torch.autograd.set_detect_anomaly(True):
            loss.backward()
        known = ~torch.isnan(y)
        expected = (phi * (20.0 - y) ** 2)[known].mean()
        assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-5)
        assert (pred.grad[~known] == 0).all()
        assert torch.isfinite(pred.grad).all()
        assert (pred.grad[known] != 0).any()

    @pytest.mark.parametrize(
        ("y", "params", "message"),
        [
            (np.linspace(0, 9.9, 100), {}, r"no training label is extreme.*sera\.points.*sera\.box=adjusted"),
            (np.linspace(0, 9.9, 100), {"which": "low"}, "sera.box=adjusted"),
            (np.full(10, 3.0), {"box": "adjusted"}, r"give control points \(sera\.points\)$"),
            (SKEWED, {"points": [(500, 0), (900, 1)]}, r"give other control points \(sera\.points\)$"),
        ],
    )
    def test_without_extremes_it_warns_and_is_the_squared_error(self, y, params, message):
        with pytest.warns(UserWarning, match=message) as seen:
            sera = SERA(y, **params)
        assert seen[0].filename == __file__
        pred, target = torch.randn(50), 100 * torch.randn(50)
        assert torch.allclose(sera(pred, target), mse_loss(pred, target))

    def test_control_points_spare_the_warning(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            SERA(np.linspace(0, 9.9, 100), points=[(0, 1), (5, 0), (9, 1)])
            SERA(np.linspace(0, 9.9, 100), box="adjusted")

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: SERA(SKEWED)(torch.zeros(4, 2), torch.zeros(4, 2)), r"targets \(B, K\)"),
            (lambda: SERA(SKEWED)(torch.zeros(4, 1), torch.zeros(4)), "must be equal"),
            (lambda: SERA(SKEWED.reshape(-1, 2)), "y_train must be one-dimensional"),
            (lambda: SERA(SKEWED, points=[(0, 1)]), "at least two rows"),
            (lambda: SERA(SKEWED, box="round"), "box must be one of"),
            (lambda: SERA(SKEWED, reach="far"), "reach must be a finite number"),
            (lambda: SERA(SKEWED, points=[(0, 1), (9, 0)], reach=2.0), "points take the place of the box plot"),
            (lambda: SERA(SKEWED, points=[(0, 1), (9, 0)], box="adjusted"), "points take the place of the box plot"),
            (lambda: SERA(SKEWED, points=[(0, 1), (9, 0)], which="low"), "points take the place of the box plot"),
            (lambda: SERA([1e9, 1e9 + 1], points=[(1e9, 0), (1e9 + 1, 1)]), "same in float32"),
            (lambda: sera_loss(torch.zeros(4), torch.zeros(4), relevance=torch.zeros(1)), "relevance has shape"),
        ],
    )
    def test_mistakes(self, make, message):
        with pytest.raises(InputError, match=message):
            make()
