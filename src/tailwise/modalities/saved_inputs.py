"""Read the conversion of rows to inputs that a model folder holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailwise.modalities.table_inputs import TableInputs

if TYPE_CHECKING:
    from tailwise.modalities.media_inputs import MediaInputs


def load_inputs(folder: Path, saved: Mapping[str, Any] | None, dtype: Any) -> "TableInputs | MediaInputs":
    """Return the inputs that were saved in a folder.

    Args:
        folder: where they were saved.
        saved: what their ``save`` returned; of a table ``None`` or its limits.
        dtype: of a table's numbers.
    """
    if saved is None or "readers" not in saved:
        return TableInputs.load(folder, saved, dtype)
    from tailwise.modalities.media_inputs import MediaInputs

    return MediaInputs.load(folder, saved)
