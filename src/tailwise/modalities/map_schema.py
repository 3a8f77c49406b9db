"""Columns of an index table of images with a dense map each, and how the files that they name are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tailwise._checks import InputError, did_you_mean, positive, true_or_false, whole

DEPTH = "depth"  # name under which the settings of maps are given
LEAST_SIDE = 64
_MOST_SIDE = 8192


@dataclass(frozen=True)
class MapSettings:
    """The parameters of ``depth``: how files of images and maps are read.

    Args:
        scale: target units of 1 in a file (0.001 for millimetres as metres).
        size: height and width that images are stretched to; the size of the images by default.
        mask: column of masks for the test rows; only pixels that are not 0 in a mask count.
        augment: whether training images are mirrored at random, with their maps, and their colours changed.

    Raises:
        InputError: a scale or size outside its range.
    """

    scale: float = 1.0
    size: tuple[int, int] | None = None
    mask: str | None = None
    augment: bool = True

    def __post_init__(self) -> None:
        positive(self.scale, "depth.scale")
        true_or_false(self.augment, "depth.augment")
        if self.size is not None:
            given = self.size if isinstance(self.size, tuple | list) else (self.size,)
            if len(given) != 2:
                raise InputError(f"depth.size takes [height, width], got {self.size!r}")
            height, width = (whole(side, "depth.size", least=LEAST_SIDE, most=_MOST_SIDE) for side in given)
            object.__setattr__(self, "size", (height, width))

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "MapSettings":
        """Return settings by name.

        Raises:
            InputError: an unknown name.
        """
        known = cls.__dataclass_fields__
        for name in params:
            if name not in known:
                raise InputError(f"'depth' has no parameter {name!r}{did_you_mean(name, known)}")
        return cls(**params)


@dataclass(frozen=True)
class MapSchema:
    """Columns of an index table.

    Args:
        image: column of images.
        depth: column of maps, the target.
        settings: how their files are read.
    """

    image: str
    depth: str
    settings: MapSettings = field(default_factory=MapSettings)

    @property
    def target(self) -> str:
        """Name of the target."""
        return self.depth

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets."""
        return (self.depth,)

    def check(self, names: Sequence[str], *, maps: bool = True) -> None:
        """Raise unless a table has the columns that a model was trained on.

        Args:
            names: columns of the table.
            maps: whether those of maps and masks are needed too.

        Raises:
            InputError: a missing column.
        """
        needed = (self.image, self.depth, self.settings.mask) if maps else (self.image,)
        for column in needed:
            if column is not None and column not in names:
                raise InputError(
                    f"the table lacks the column {column!r} the model was trained on{did_you_mean(column, names)}"
                )
