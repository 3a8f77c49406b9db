"""Every part that a method string can name: the one list that grammar, documentation and completion come from.

Nothing heavy is imported here; a part says where its class or function lives and is loaded when a method is built.
"""

from collections.abc import Mapping
from types import MappingProxyType

from tailwise.methods.part import FromLabels, Part

_DIR = "Yang et al., Delving into Deep Imbalanced Regression, ICML"
_BALANCED = "Ren et al., Balanced MSE, CVPR"
_RNC = "Zha et al., Rank-N-Contrast, NeurIPS"
_BRANCO = "Branco et al., Pre-processing Approaches for Imbalanced Distributions in Regression, Neurocomputing"
_TARGET, _PER_TARGET = "target", "1/target"

_DENSITY = frozenset({"density"})
_GLOBAL = frozenset({"global_batch"})
_OF_ROWS = frozenset({"nominal", "random_state"})
_SCALAR, _FLAT, _MAPS = ("scalar",), ("scalar", "k"), ("scalar", "dense")

_SPREAD = FromLabels("1 standard deviation", lambda setting: setting.spread)
_SIGMA = FromLabels("half a standard deviation", lambda setting: setting.spread / 2)
_BETA = FromLabels("3.2 / standard deviation", lambda setting: 3.2 / setting.spread)
_NOISE = {"sigma": _TARGET}
_NORMAL_RULE = "1.06 sigma n^(-1/5)"

PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "twoviews": Part(
            slot="augment",
            where="tailwise.augment.views:TwoViews",
            summary="two augmented views of every sample; a table row is augmented by values of other rows",
            source="Bahri et al., SCARF, ICLR",
            year=2022,
            cost="the network twice",
            use="""\
from tailwise.augment.views import TwoViews
x2, y2 = TwoViews(corrupt=0.1).inputs(x, y)
loss = (model(x2) - y2).abs().mean()""",
            units={"corrupt": "share of values"},
            hidden=frozenset({"view"}),
            remark="the augmentation of tables",
        ),
        "cmixup": Part(
            slot="augment",
            where="tailwise.augment.cmixup:CMixup",
            summary="C-Mixup: mix each sample with one of the batch whose label is near",
            source="Yao et al., C-Mixup, NeurIPS",
            year=2022,
            cost="O(B^2) time, O(B) memory",
            use="""\
from tailwise.augment.cmixup import CMixup
x2, y2 = CMixup(bandwidth=2.0).inputs(x, y)
loss = (model(x2) - y2).abs().mean()""",
            from_labels={
                "bandwidth": FromLabels("a quarter of a standard deviation", lambda setting: setting.spread / 4)
            },
            units={"bandwidth": _TARGET},
            targets=_FLAT,
        ),
        "inv": Part(
            slot="weights",
            where="tailwise.weights.by_density:density_weights",
            summary="inverse label density",
            source=_DIR,
            year=2021,
            cost="O(B)",
            use="""\
from tailwise import density_weights
weights = density_weights(y_train, bins, power=1.0)
loss = (weights(y) * (pred - y).abs()).mean()""",
            fixed={"power": 1.0},
            units={"clip": "rows"},
            needs=("labels", "label_bins"),
            hidden=_DENSITY,
            of_none={"clip": "no clip"},
            corrects=True,
        ),
        "sqinv": Part(
            slot="weights",
            where="tailwise.weights.by_density:density_weights",
            summary="square-root inverse label density",
            source=_DIR,
            year=2021,
            cost="O(B)",
            use="""\
from tailwise import density_weights
weights = density_weights(y_train, bins, power=0.5)
loss = (weights(y) * (pred - y).abs()).mean()""",
            fixed={"power": 0.5},
            units={"clip": "rows"},
            needs=("labels", "label_bins"),
            hidden=_DENSITY,
            of_none={"clip": "no clip"},
            corrects=True,
        ),
        "reweight": Part(
            slot="weights",
            where="tailwise.weights.by_density:density_weights",
            summary="inverse label density to any power, one knob between the common and the rare",
            source=_DIR,
            year=2021,
            cost="O(B)",
            use="""\
from tailwise import density_weights
weights = density_weights(y_train, bins, power=0.8)
loss = (weights(y) * (pred - y).abs()).mean()""",
            units={"clip": "rows"},
            needs=("labels", "label_bins"),
            hidden=_DENSITY,
            of_none={"clip": "no clip"},
            most={"power": 10.0},
            corrects=True,
        ),
        "effective": Part(
            slot="weights",
            where="tailwise.weights.by_bins:effective_number_weights",
            summary="inverse of the effective number of samples of a bin",
            source="Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR",
            year=2019,
            cost="O(B)",
            use="""\
from tailwise.weights.by_bins import effective_number_weights
weights = effective_number_weights(y_train, bins, beta=0.99)
loss = (weights(y) * (pred - y).abs()).mean()""",
            needs=("labels", "label_bins"),
            hidden=_DENSITY,
            corrects=True,
        ),
        "denseweight": Part(
            slot="weights",
            where="tailwise.weights.denseweight:dense_weights",
            summary="DenseWeight: weights that fall linearly with the kernel density of the label",
            source="Steininger et al., Density-based weighting for imbalanced regression, Machine Learning",
            year=2021,
            cost="O(B)",
            use="""\
from tailwise.weights.denseweight import dense_weights
weights = dense_weights(y_train, alpha=1.0)
loss = (weights(y) * (pred - y).abs()).mean()""",
            units={"bandwidth": _TARGET},
            targets=_MAPS,
            needs=("y",),
            also=("density",),
            of_none={"bandwidth": _NORMAL_RULE},
            corrects=True,
        ),
        "lds": Part(
            slot="density",
            where="tailwise.labels.density:LDS",
            summary="label distribution smoothing of the density that weights use (alone: with sqinv)",
            source=_DIR,
            year=2021,
            cost="O(B)",
            use="""\
from tailwise import LDS, density_weights
weights = density_weights(y_train, bins, power=0.5, density=LDS(window=5, sigma=2.0))
loss = (weights(y) * (pred - y).abs()).mean()""",
            units={"window": "bins", "sigma": "bins"},
            of_none={"padding": "as compat has it"},
        ),
        "kde": Part(
            slot="density",
            where="tailwise.labels.density:KDE",
            summary="Gaussian kernel density, without bins, for weights (alone: with sqinv)",
            source="-",
            year=None,
            cost="O(B); O(B R) for K-dimensional labels and R references",
            use="""\
from tailwise.labels.density import KDE
weights = density_weights(y_train, power=0.5, density=KDE())
loss = (weights(y) * (pred - y).abs()).mean()""",
            units={"bandwidth": _TARGET, "references": "rows"},
            of_none={"bandwidth": _NORMAL_RULE},
        ),
        "knn": Part(
            slot="density",
            where="tailwise.labels.density:KNN",
            summary="nearest-neighbour density, for weights (alone: with sqinv)",
            source="-",
            year=None,
            cost="O(B log R); O(B R) for K-dimensional labels",
            use="""\
from tailwise.labels.density import KNN
weights = density_weights(y_train, power=0.5, density=KNN(neighbours=20))
loss = (weights(y) * (pred - y).abs()).mean()""",
            units={"neighbours": "rows", "references": "rows"},
        ),
        "fds": Part(
            slot="smoother",
            where="tailwise.smoothing.fds:FDS",
            summary="feature distribution smoothing",
            source=_DIR,
            year=2021,
            cost="O(B d); full covariance O(B d^2), and O(C d^3) an epoch",
            use="""\
from tailwise import FDS
fds = FDS(bins, model.n_features)
pred = model.head(fds(model.encode(x), y))  # and fds.end_epoch() after each epoch""",
            units={"window": "bins", "sigma": "bins", "start_update": "epochs", "start_smooth": "epochs"},
            needs=("bins", "n_features"),
            of_none={"momentum": "all samples so far", "clip": "no clip, or (0.1, 10) for compat=reference"},
        ),
        "mse": Part(
            slot="loss",
            where="tailwise.losses.pointwise:MSE",
            summary="mean squared error (the default)",
            source="-",
            year=None,
            cost="O(B)",
            use="""\
from tailwise import MSE
loss = MSE()(pred, y, weights(y))""",
        ),
        "l1": Part(
            slot="loss",
            where="tailwise.losses.pointwise:L1",
            summary="mean absolute error",
            source="-",
            year=None,
            cost="O(B)",
            use="""\
from tailwise import L1
loss = L1()(pred, y, weights(y))""",
        ),
        "huber": Part(
            slot="loss",
            where="tailwise.losses.pointwise:Huber",
            summary="Huber loss",
            source="-",
            year=None,
            cost="O(B)",
            use="""\
from tailwise import Huber
loss = Huber(beta=1.0)(pred, y, weights(y))""",
            from_labels={"beta": _SPREAD},
            units={"beta": _TARGET},
        ),
        "focal_l1": Part(
            slot="loss",
            where="tailwise.losses.focal:FocalL1",
            summary="Focal-R on the absolute error",
            source=_DIR,
            year=2021,
            cost="O(B)",
            use="""\
from tailwise import FocalL1
loss = FocalL1(beta=0.2)(pred, y)""",
            from_labels={"beta": _BETA},
            units={"beta": _PER_TARGET},
        ),
        "focal_mse": Part(
            slot="loss",
            where="tailwise.losses.focal:FocalMSE",
            summary="Focal-R on the squared error",
            source=_DIR,
            year=2021,
            cost="O(B)",
            use="""\
from tailwise import FocalMSE
loss = FocalMSE(beta=0.2)(pred, y)""",
            from_labels={"beta": _BETA},
            units={"beta": _PER_TARGET},
        ),
        "bmc": Part(
            slot="loss",
            where="tailwise.losses.balanced_mse:BMC",
            summary="Balanced MSE, batch Monte Carlo: corrected for the label distribution, from the batch alone",
            source=_BALANCED,
            year=2022,
            cost="O(B^2) time, O(B) memory",
            use="""\
from tailwise.losses.balanced_mse import BMC
bmc = BMC(sigma=5.0)  # bmc.parameters() belong to the optimiser, at a rate of their own
loss = bmc(pred, y)""",
            from_labels={"sigma": _SIGMA},
            units=_NOISE,
            hidden=_GLOBAL,
            corrects=True,
        ),
        "gai": Part(
            slot="loss",
            where="tailwise.losses.balanced_mse:GAI",
            summary="Balanced MSE, analytical, with a Gaussian mixture fitted to the training labels",
            source=_BALANCED,
            year=2022,
            cost="O(B M)",
            use="""\
from tailwise.losses.balanced_mse import GAI
gai = GAI(y_train, components=8, sigma=5.0)
loss = gai(pred, y)""",
            from_labels={"sigma": _SIGMA},
            units=_NOISE,
            needs=("y",),
            corrects=True,
            of_none={"components": "the number of lowest BIC"},
        ),
        "bni": Part(
            slot="loss",
            where="tailwise.losses.balanced_mse:BNI",
            summary="Balanced MSE, integrated over the bins of the training labels",
            source=_BALANCED,
            year=2022,
            cost="O(B C)",
            use="""\
from tailwise.losses.balanced_mse import BNI
bni = BNI(y_train, bins, sigma=5.0)
loss = bni(pred, y)""",
            from_labels={"sigma": _SIGMA},
            units=_NOISE,
            targets=_MAPS,
            needs=("labels", "scalar_bins"),
            hidden=_DENSITY,
            corrects=True,
        ),
        "dist": Part(
            slot="loss",
            where="tailwise.losses.dist:Dist",
            summary="Dist Loss: sorted predictions should look like labels drawn from the training distribution",
            source="Nie et al., Dist Loss, ICLR",
            year=2025,
            cost="O(B log B)",
            use="""\
from tailwise.losses.dist import Dist
dist = Dist(y_train)
loss = dist(pred, y)""",
            units={"beta": "target or 1/target", "bandwidth": "standard deviations", "step": _TARGET},
            targets=_MAPS,
            needs=("y",),
            of_none={"beta": "1 standard deviation (focal_l1: 3.2 / it)", "step": "1/100 of the range"},
        ),
        "sera": Part(
            slot="loss",
            where="tailwise.losses.sera:SERA",
            summary="squared error weighted by how extreme the label is: the SERA metric as a loss",
            source="Ribeiro and Moniz, Imbalanced regression and extreme value prediction, Machine Learning",
            year=2020,
            cost="O(B)",
            use="""\
from tailwise.losses.sera import SERA
sera = SERA(y_train, points=[(0, 1), (30, 0), (60, 1)])
loss = sera(pred, y)""",
            targets=_MAPS,
            needs=("y",),
            of_none={"points": "the extremes of a box plot"},
            units={"reach": "interquartile ranges"},
            corrects=True,
        ),
        "gar": Part(
            slot="loss",
            where="tailwise.losses.gar:GAR",
            summary="gradient-aligned regression: pairwise differences should agree in size and direction",
            source="Zhu et al., Gradient Aligned Regression via Pairwise Losses, arXiv",
            year=2024,
            cost="O(B)",
            use="""\
from tailwise.losses.gar import GAR
gar = GAR(spread=float(y_train.std()))
loss = gar(pred, y)""",
            from_labels={"spread": _SPREAD},
            units={"spread": _TARGET},
        ),
        "uvote": Part(
            slot="loss",
            where="tailwise.methods.uvote:uvote",
            summary="uncertainty voting: Laplace heads of rising re-weighting, of which the surest predicts",
            source="Jiang et al., Uncertainty Voting Ensemble for Imbalanced Deep Regression, GCPR",
            year=2024,
            cost="O(B M)",
            use="""\
objective = compose("uvote", uvote={"n_heads": 3}).build(model, y_train, bins)
optimizer = torch.optim.Adam(objective.parameters())  # the model has new heads
loss = sum(objective(x, y).values())""",
            units={"ramp": "epochs", "clip": "rows"},
            targets=_SCALAR,
            needs=("y", "scalar_bins"),
            hidden=_DENSITY,
            also=("weights",),
            of_none={"ramp": "no ramp", "clip": "no clip"},
            corrects=True,
            deviates=True,
        ),
        "conr": Part(
            slot="regularizer",
            where="tailwise.regularizers.conr:ConR",
            summary="contrastive regularizer: part features whose predictions are wrongly close",
            source="Keramati et al., ConR, ICLR",
            year=2024,
            cost="O(B^2 d) time, O(B d) memory",
            use="""\
from tailwise import ConR
conr = ConR(window=2.0)
loss = (pred - y).abs().mean() + 4.0 * conr(features, y, pred)""",
            from_labels={
                "window": FromLabels("one bin", lambda setting: setting.bin_width),
                "push": FromLabels("0.01 / window", lambda _: None),
            },
            units={"window": _TARGET, "push": _PER_TARGET},
            coef=0.25,
            hidden=_GLOBAL,
        ),
        "ranksim": Part(
            slot="regularizer",
            where="tailwise.regularizers.ranksim:RankSim",
            summary="neighbours in label space should rank alike in feature space",
            source="Gong et al., RankSim, ICML",
            year=2022,
            cost="O(B^2 (d + log B))",
            use="""\
from tailwise.regularizers.ranksim import RankSim
ranksim = RankSim(interpolation=2.0)
loss = (pred - y).abs().mean() + 100.0 * ranksim(features, y, pred)""",
            coef=0.2,
            targets=_FLAT,
            hidden=_GLOBAL,
        ),
        "rnc": Part(
            slot="regularizer",
            where="tailwise.regularizers.rank_n_contrast:RankNContrast",
            summary="Rank-N-Contrast: features ordered as their labels are",
            source=_RNC,
            year=2023,
            cost="O(B^2 (d + log B)) time, O(B d) memory",
            use="""\
from tailwise.regularizers.rank_n_contrast import RankNContrast
rnc = RankNContrast(temperature=2.0)
loss = (pred - y).abs().mean() + 0.5 * rnc(features, y, pred)""",
            coef=0.1,
            targets=_FLAT,
            hidden=_GLOBAL,
        ),
        "ordinal_entropy": Part(
            slot="regularizer",
            where="tailwise.regularizers.ordinal_entropy:OrdinalEntropy",
            summary="ordinal entropy: features spread with the distance of their labels, gathered where equal",
            source="Zhang et al., Improving Deep Regression with Ordinal Entropy, ICLR",
            year=2023,
            cost="O(B^2 d)",
            use="""\
from tailwise.regularizers.ordinal_entropy import OrdinalEntropy
entropy = OrdinalEntropy()
loss = (pred - y).abs().mean() + 0.5 * entropy(features, y, pred)""",
            coef=0.1,
        ),
        "srl": Part(
            slot="regularizer",
            where="tailwise.regularizers.srl:SRL",
            summary="label centroids on a smooth path that covers the sphere, with surrogates for absent labels",
            source="Dong et al., surrogate-driven representation learning, CVPR",
            year=2025,
            cost="O((B + M) C d) for M points",
            use="""\
from tailwise.regularizers.srl import SRL
srl = SRL(bins, model.n_features)
loss = (pred - y).abs().mean() + 0.5 * srl(features, y, pred)  # and srl.end_epoch()""",
            coef=0.1,
            targets=_SCALAR,
            needs=("scalar_bins", "n_features"),
        ),
        "vir": Part(
            slot="objective",
            where="tailwise.methods.vir:vir",
            summary="variational imbalanced regression: smoothed Gaussian features and an evidential output",
            source="Wang and Wang, Variational Imbalanced Regression, NeurIPS",
            year=2023,
            cost="O(B d^2), and the smoothing as fds",
            use="""\
from tailwise.methods.vir import vir
step = vir(y_train, bins, model.n_features, float(y_train.std()), model=model)
loss = sum(step(x, y).values())  # and step.end_epoch() after each epoch""",
            units={"window": "bins", "sigma": "bins"},
            targets=_SCALAR,
            needs=("y", "scalar_bins", "n_features", "spread"),
            hidden=frozenset({"model", "density", "augment"}),
            also=("weights", "smoother", "loss", "regularizer", "stage"),
            most={"power": 10.0},
            in_python=frozenset({"decoder", "reconstruction"}),
            corrects=True,
            deviates=True,
        ),
        "bsam": Part(
            slot="optimizer",
            where="tailwise.optim.bsam:BSAM",
            summary="balanced sharpness-aware minimisation: steps from the worst point nearby (alone: with sqinv)",
            source="Liu et al., BSAM, ICCV",
            year=2025,
            cost="the whole step twice",
            use="""\
from tailwise.optim.bsam import BSAM
bsam = BSAM(optimizer, rho=0.05)  # after loss.backward(), in place of optimizer.step():
bsam.step(lambda: (weights(y) * (model(x) - y).abs()).mean().backward())""",
            units={"rho": "length of the gradient step"},
        ),
        "rrt": Part(
            slot="stage",
            where="tailwise.methods.stages:rrt_stages",
            summary="regressor re-training: a new head, re-weighted or with a loss that balances, on frozen features",
            source=_DIR,
            year=2021,
            cost="none; epochs of a head alone",
            use="""\
objective = compose("rrt+lds").build(model, y_train, bins, stage=1)  # after training stage 0
optimizer = torch.optim.Adam(objective.trained_parameters())
loss = sum(objective(x, y).values())""",
            units={"epochs": "epochs"},
            remark="after Kang et al., Decoupling, ICLR 2020",
        ),
        "rnc_pretrain": Part(
            slot="stage",
            where="tailwise.methods.stages:rnc_stages",
            summary="Rank-N-Contrast pre-training of the encoder, then a head on frozen features",
            source=_RNC,
            year=2023,
            cost="O(B^2 (d + log B)) time, O(B d) memory",
            use="""\
objective = compose("rnc_pretrain").build(model, y_train, bins)  # stage=1 for the head afterwards
optimizer = torch.optim.Adam(objective.trained_parameters())
loss = sum(objective(x, y).values())""",
            units={"epochs": "epochs", "head_epochs": "epochs"},
            targets=_FLAT,
            also=("smoother",),
            of_none={"epochs": "as --epochs", "head_epochs": "as --epochs", "lr": "as --lr", "head_lr": "as --lr"},
        ),
        "ru": Part(
            slot="resample",
            where="tailwise.sampling.random:RandomUnderSampler",
            summary="leave out common rows before training",
            source="Torgo et al., SMOTE for Regression, EPIA",
            year=2013,
            cost="none; fewer rows",
            use="""\
from tailwise.sampling import RandomUnderSampler
X_more, y_more = RandomUnderSampler(random_state=0).fit_resample(X_train, y_train)""",
            targets=_SCALAR,
            hidden=_OF_ROWS,
            of_none={"relevance": "1 at the whiskers of a box plot; or points [[y, phi], ...]"},
            corrects=True,
        ),
        "ro": Part(
            slot="resample",
            where="tailwise.sampling.random:RandomOverSampler",
            summary="repeat rare rows before training",
            source=_BRANCO,
            year=2019,
            cost="none; more rows",
            use="""\
from tailwise.sampling import RandomOverSampler
X_more, y_more = RandomOverSampler(random_state=0).fit_resample(X_train, y_train)""",
            targets=_SCALAR,
            hidden=_OF_ROWS,
            of_none={"relevance": "1 at the whiskers of a box plot; or points [[y, phi], ...]"},
            corrects=True,
        ),
        "smoter": Part(
            slot="resample",
            where="tailwise.sampling.smoter:SMOTER",
            summary="SMOTE for regression: rows between a rare one and a neighbour, labels between theirs",
            source="Torgo et al., SMOTE for Regression, EPIA",
            year=2013,
            cost="none; neighbours of rare rows before training",
            use="""\
from tailwise.sampling import SMOTER
X_more, y_more = SMOTER(random_state=0).fit_resample(X_train, y_train)""",
            targets=_SCALAR,
            hidden=_OF_ROWS,
            of_none={"relevance": "1 at the whiskers of a box plot; or points [[y, phi], ...]"},
            corrects=True,
        ),
        "gn": Part(
            slot="resample",
            where="tailwise.sampling.noise:GaussianNoise",
            summary="copies of rare rows with Gaussian noise",
            source=_BRANCO,
            year=2019,
            cost="none; more rows",
            use="""\
from tailwise.sampling import GaussianNoise
X_more, y_more = GaussianNoise(random_state=0).fit_resample(X_train, y_train)""",
            targets=_SCALAR,
            hidden=_OF_ROWS,
            of_none={"relevance": "1 at the whiskers of a box plot; or points [[y, phi], ...]"},
            units={"noise": "standard deviations"},
            corrects=True,
        ),
        "smogn": Part(
            slot="resample",
            where="tailwise.sampling.smogn:SMOGN",
            summary="SMOTER between near neighbours, Gaussian noise where they are far",
            source="Branco et al., SMOGN, LIDTA",
            year=2017,
            cost="none; neighbours of rare rows before training",
            use="""\
from tailwise.sampling import SMOGN
X_more, y_more = SMOGN(random_state=0).fit_resample(X_train, y_train)""",
            targets=_SCALAR,
            hidden=_OF_ROWS,
            of_none={"relevance": "1 at the whiskers of a box plot; or points [[y, phi], ...]"},
            units={"noise": "standard deviations"},
            corrects=True,
        ),
        "wercs": Part(
            slot="resample",
            where="tailwise.sampling.wercs:WERCS",
            summary="draw rows by their relevance, leave out others by the lack of it",
            source=_BRANCO,
            year=2019,
            cost="none; more or fewer rows",
            use="""\
from tailwise.sampling import WERCS
X_more, y_more = WERCS(random_state=0).fit_resample(X_train, y_train)""",
            targets=_SCALAR,
            hidden=_OF_ROWS,
            of_none={"relevance": "1 at the whiskers of a box plot; or points [[y, phi], ...]"},
            units={"over": "share of rows", "under": "share of rows", "noise": "standard deviations"},
            corrects=True,
        ),
        "gsmote": Part(
            slot="resample",
            where="tailwise.sampling.geometric:GeometricSMOTE",
            summary="rows from a ball around a rare one that reaches to a neighbour",
            source="-",
            year=None,
            cost="none; neighbours of rare rows before training",
            use="""\
from tailwise.sampling import GeometricSMOTE
X_more, y_more = GeometricSMOTE(random_state=0).fit_resample(X_train, y_train)""",
            targets=_SCALAR,
            hidden=_OF_ROWS,
            of_none={"relevance": "1 at the whiskers of a box plot; or points [[y, phi], ...]"},
            corrects=True,
        ),
        "binover": Part(
            slot="resample",
            where="tailwise.sampling.bins:BinOverSampler",
            summary="repeat rows of rare bins, by the label density",
            source="-",
            year=None,
            cost="none; more rows",
            use="""\
from tailwise.sampling import BinOverSampler
X_more, y_more = BinOverSampler(random_state=0).fit_resample(X_train, y_train)""",
            targets=_SCALAR,
            hidden=_OF_ROWS | {"bins", "density"},
            corrects=True,
        ),
        "isotonic": Part(
            slot="correction",
            where="tailwise.calibration.corrections:Isotonic",
            summary="isotonic regression of validation labels on predictions, after training",
            source="-",
            year=None,
            cost="none",
            use="""\
from tailwise.calibration.corrections import Fitting, Isotonic
correct = Isotonic().fit(Fitting(y_train, bins, y_val, pred_val))
pred_test = correct(pred_test)""",
            targets=_SCALAR,
        ),
        "quantile": Part(
            slot="correction",
            where="tailwise.calibration.corrections:Quantile",
            summary="spread predictions as labels are, by quantiles on the validation rows, after training",
            source="-",
            year=None,
            cost="none",
            use="""\
from tailwise.calibration.corrections import Fitting, Quantile
correct = Quantile().fit(Fitting(y_train, bins, y_val, pred_val))
pred_test = correct(pred_test)""",
            targets=_SCALAR,
        ),
        "debias": Part(
            slot="correction",
            where="tailwise.calibration.corrections:Debias",
            summary="divide the predictive Gaussian by the label density, after training: Balanced MSE at test time",
            source=_BALANCED,
            year=2022,
            cost="none",
            use="""\
from tailwise.calibration.corrections import Debias, Fitting
correct = Debias().fit(Fitting(y_train, bins, y_val, pred_val))
pred_test = correct(pred_test)""",
            units={"sigma": _TARGET},
            targets=_SCALAR,
            of_none={"sigma": "root mean squared error on the validation rows"},
            corrects=True,
        ),
    }
)
