"""The parts that a method string can name, in canonical order, one line each.

The line of a part holds what parsing needs; its description stands beside its class and is imported on use.
"""

import importlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tailwise._part import Part, Slot


class Entry(NamedTuple):
    """The slot of a part, ``module:name`` of its description, and other slots that it fills as well."""

    slot: Slot
    where: str
    also: tuple[Slot, ...] = ()

    @property
    def slots(self) -> tuple[Slot, ...]:
        """All slots that it fills."""
        return (self.slot, *self.also)


CATALOG: Mapping[str, Entry] = {
    "twoviews": Entry("augment", "tailwise.augment.views:TWOVIEWS_PART"),
    "cmixup": Entry("augment", "tailwise.augment.cmixup:CMIXUP_PART"),
    "inv": Entry("weights", "tailwise.weights.by_density:INV_PART"),
    "sqinv": Entry("weights", "tailwise.weights.by_density:SQINV_PART"),
    "reweight": Entry("weights", "tailwise.weights.by_density:REWEIGHT_PART"),
    "effective": Entry("weights", "tailwise.weights.by_bins:EFFECTIVE_PART"),
    "denseweight": Entry("weights", "tailwise.weights.denseweight:DENSEWEIGHT_PART", also=("density",)),
    "cisir": Entry("weights", "tailwise.weights.cisir:CISIR_PART"),
    "density_ratio": Entry("weights", "tailwise.weights.density_ratio:DENSITY_RATIO_PART"),
    "lds": Entry("density", "tailwise.labels.density:LDS_PART"),
    "kde": Entry("density", "tailwise.labels.density:KDE_PART"),
    "knn": Entry("density", "tailwise.labels.density:KNN_PART"),
    "fds": Entry("smoother", "tailwise.smoothing.fds:FDS_PART"),
    "mse": Entry("loss", "tailwise.losses.pointwise:MSE_PART"),
    "l1": Entry("loss", "tailwise.losses.pointwise:L1_PART"),
    "huber": Entry("loss", "tailwise.losses.pointwise:HUBER_PART"),
    "focal_l1": Entry("loss", "tailwise.losses.focal:FOCAL_L1_PART"),
    "focal_mse": Entry("loss", "tailwise.losses.focal:FOCAL_MSE_PART"),
    "bmc": Entry("loss", "tailwise.losses.balanced_mse:BMC_PART"),
    "gai": Entry("loss", "tailwise.losses.balanced_mse:GAI_PART"),
    "bni": Entry("loss", "tailwise.losses.balanced_mse:BNI_PART"),
    "dist": Entry("loss", "tailwise.losses.dist:DIST_PART"),
    "sera": Entry("loss", "tailwise.losses.sera:SERA_PART"),
    "gar": Entry("loss", "tailwise.losses.gar:GAR_PART"),
    "correlation": Entry("loss", "tailwise.losses.correlation:CORRELATION_PART"),
    "mixture": Entry("loss", "tailwise.losses.mixture_likelihood:MIXTURE_PART"),
    "histogram": Entry("loss", "tailwise.losses.histogram_loss:HISTOGRAM_PART"),
    "pinball": Entry("loss", "tailwise.losses.pinball_loss:PINBALL_PART"),
    "hurdle": Entry("loss", "tailwise.methods.hurdle:HURDLE_PART"),
    "poisson": Entry("loss", "tailwise.losses.tweedie:POISSON_PART"),
    "tweedie": Entry("loss", "tailwise.losses.tweedie:TWEEDIE_PART"),
    "uvote": Entry("loss", "tailwise.methods.uvote:UVOTE_PART", also=("weights",)),
    "conr": Entry("regularizer", "tailwise.regularizers.conr:CONR_PART"),
    "ranksim": Entry("regularizer", "tailwise.regularizers.ranksim:RANKSIM_PART"),
    "rnc": Entry("regularizer", "tailwise.regularizers.rank_n_contrast:RNC_PART"),
    "ordinal_entropy": Entry("regularizer", "tailwise.regularizers.ordinal_entropy:ORDINAL_ENTROPY_PART"),
    "accon": Entry("regularizer", "tailwise.regularizers.accon:ACCON_PART"),
    "srl": Entry("regularizer", "tailwise.regularizers.srl:SRL_PART"),
    "vir": Entry(
        "objective", "tailwise.methods.vir:VIR_PART", also=("weights", "smoother", "loss", "regularizer", "stage")
    ),
    "bsam": Entry("optimizer", "tailwise.optim.bsam:BSAM_PART"),
    "rrt": Entry("stage", "tailwise.methods.stages:RRT_PART"),
    "rnc_pretrain": Entry("stage", "tailwise.methods.pretraining:RNC_PRETRAIN_PART", also=("smoother",)),
    "supremix_pretrain": Entry("stage", "tailwise.methods.pretraining:SUPREMIX_PRETRAIN_PART", also=("smoother",)),
    "ru": Entry("resample", "tailwise.sampling.random:RU_PART"),
    "ro": Entry("resample", "tailwise.sampling.random:RO_PART"),
    "smoter": Entry("resample", "tailwise.sampling.smoter:SMOTER_PART"),
    "gn": Entry("resample", "tailwise.sampling.noise:GN_PART"),
    "smogn": Entry("resample", "tailwise.sampling.smogn:SMOGN_PART"),
    "wercs": Entry("resample", "tailwise.sampling.wercs:WERCS_PART"),
    "gsmote": Entry("resample", "tailwise.sampling.geometric:GSMOTE_PART"),
    "to_density": Entry("resample", "tailwise.sampling.to_density:TO_DENSITY_PART"),
    "isotonic": Entry("correction", "tailwise.calibration.corrections:ISOTONIC_PART"),
    "quantile": Entry("correction", "tailwise.calibration.corrections:QUANTILE_PART"),
    "debias": Entry("correction", "tailwise.calibration.corrections:DEBIAS_PART"),
}


# Names of the grammar that were replaced, with what replaces them.
REPLACED: Mapping[str, str] = {"binover": "'binover' is now 'ro' with `ro.by='bins'`"}


class _Descriptions(Mapping[str, Part]):
    """The catalog's descriptions by name; access imports a description."""

    def __getitem__(self, name: str) -> Part:
        module, attribute = CATALOG[name].where.split(":")
        part: Part = getattr(importlib.import_module(module), attribute)
        return part

    def __contains__(self, name: object) -> bool:
        return name in CATALOG

    def __iter__(self) -> Iterator[str]:
        return iter(CATALOG)

    def __len__(self) -> int:
        return len(CATALOG)


PARTS: Mapping[str, Part] = _Descriptions()
