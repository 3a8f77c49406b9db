"""Build heads by their description, attach them to a model, and save their description."""

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import ArrayLike

from tailwise._checks import InputError, did_you_mean, whole
from tailwise.heads.dense import DenseHead, DenseMixtureHead
from tailwise.heads.ensemble import EnsembleHead
from tailwise.heads.evidential import VariationalHead
from tailwise.heads.head import as_head
from tailwise.heads.histogram import HistogramHead
from tailwise.heads.hurdle import HurdleHead
from tailwise.heads.laplace import LaplaceHeads
from tailwise.heads.log_link import LogLinkHead
from tailwise.heads.members import MemberHeads
from tailwise.heads.mixture import MixtureHead
from tailwise.heads.point import PointHead
from tailwise.heads.quantile import QuantileHead


def _member_heads(n_features: int, *, members: int, head: Mapping[str, Any]) -> MemberHeads:
    """Return a head of the given shape for each member; see :class:`MemberHeads`."""
    width, rest = divmod(n_features, whole(members, "members", least=1))
    if rest:
        raise InputError(f"{n_features} features cannot be shared out to {members} members; use a multiple")
    return MemberHeads([head_from(width, head) for _ in range(members)])


HEADS: Mapping[str, Callable[..., Any]] = {
    "point": PointHead,
    "laplace": LaplaceHeads,
    "variational": VariationalHead,
    "ensemble": EnsembleHead,
    "members": _member_heads,
    "mixture": MixtureHead,
    "histogram": HistogramHead,
    "quantile": QuantileHead,
    "log-link": LogLinkHead,
    "hurdle": HurdleHead,
    "dense": DenseHead,
    "dense-mixture": DenseMixtureHead,
}
_POINT = {"kind": "point"}
_OF_MAPS = {"mixture": "dense-mixture"}  # heads of rows that have a counterpart for the pixels of maps
_OF_MEMBERS = ("mixture", "histogram", "quantile", "log-link")  # heads that each member of an ensemble has of its own


def head_from(n_features: int, shape: Mapping[str, Any] | None) -> Any:
    """Build an untrained head from the ``shape`` of another.

    Args:
        n_features: number of features.
        shape: the kind of head and its parameters; ``None`` is the point head of a scalar target.

    Raises:
        InputError: an unknown kind.

    Example:
        >>> head_from(8, {"kind": "laplace", "n_heads": 3}).shape
        {'kind': 'laplace', 'n_heads': 3}
    """
    shape = _POINT if shape is None else shape
    kind = str(shape.get("kind"))
    if kind not in HEADS:
        raise InputError(f"there is no head of kind {kind!r}{did_you_mean(kind, HEADS)}")
    parameters: dict[str, Any] = {name: value for name, value in shape.items() if name != "kind"}
    return HEADS[kind](n_features, **parameters)


def replacement(current: Mapping[str, Any], shape: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the shape of a head that replaces another: one for each member if that has members, of pixels if of maps.

    Args:
        current: shape of the head to be replaced.
        shape: shape of the new head.

    Example:
        >>> replacement({"kind": "ensemble", "members": 8}, {"kind": "mixture"})
        {'kind': 'members', 'members': 8, 'head': {'kind': 'mixture'}}
    """
    if current.get("kind") in ("dense", *_OF_MAPS.values()) and shape["kind"] in _OF_MAPS:
        return {**shape, "kind": _OF_MAPS[shape["kind"]]}
    members = current.get("members") if shape["kind"] in _OF_MEMBERS else None
    return shape if members is None else {"kind": "members", "members": members, "head": dict(shape)}


def attach_head(model: Any, shape: Mapping[str, Any] | None, y_train: ArrayLike | None = None) -> None:
    """Replace a model's head by an untrained one, on the same device and of the same type.

    A head that has this shape already stays.

    Args:
        model: a network with ``head`` and ``n_features``.
        shape: as for :func:`head_from`.
        y_train: ``(n,)`` or ``(n, K)`` training labels that the new head is scaled to, target units; its output is not
            scaled if not given.

    Raises:
        InputError: an unknown kind, a model without ``n_features``, labels that the head does not take.
    """
    shape = _POINT if shape is None else shape
    if as_head(model.head).shape == shape:
        return
    n_features = getattr(model, "n_features", None)
    if not isinstance(n_features, int):
        raise InputError("the model needs n_features, the number of channels of model.encode(x), for a new head")
    place = next(model.head.parameters(), None)
    head = head_from(n_features, shape)
    if y_train is not None:
        head.match_scale(y_train)
    model.head = head if place is None else head.to(device=place.device, dtype=place.dtype)


def shape_to_json(shape: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of a saved model for a head of this shape; :func:`shape_from_json` reads them back.

    Example:
        >>> shape_to_json({"kind": "point", "n_outputs": 2})
        {'head': None, 'n_outputs': 2}
    """
    if shape["kind"] != "point":
        return {"head": dict(shape)}
    return {"head": None, **{name: value for name, value in shape.items() if name != "kind"}}


def shape_from_json(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Shape of a saved model's head.

    Args:
        saved: a mapping with the entries of :func:`shape_to_json`, beside others.
    """
    if saved["head"] is not None:
        return dict(saved["head"])
    return _POINT | ({"n_outputs": saved["n_outputs"]} if "n_outputs" in saved else {})
