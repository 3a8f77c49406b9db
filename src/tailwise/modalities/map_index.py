"""The index table of images and maps, in one file or in the files of a folder."""

from pathlib import Path

import pandas as pd

from tailwise.data.rows import FrameRows, Rows
from tailwise.data.source_parts import load_whole
from tailwise.modalities.map_model import MapModel
from tailwise.modalities.map_rows import MapRows


def load_index(model: MapModel, data: str, *, maps: bool) -> tuple[pd.DataFrame, MapRows, list[str]]:
    """Return an index table, its rows as a model takes them, and notes for the user.

    Relative paths start at the file that has them; in a table of several files they become absolute.

    Args:
        model: the model.
        data: a file, or a folder of files that are one table.
        maps: whether to open maps and masks too, to evaluate.

    Raises:
        InputError: a table that cannot be read, columns that are missing, files that cannot be used.
    """
    schema = model.schema
    columns = [name for name in (schema.image, schema.depth, schema.settings.mask) if name is not None]

    def read(rows: Rows, folder: Path) -> Rows:
        frame = rows.frame()
        schema.check([str(name) for name in frame.columns], maps=maps)
        given = frame[[name for name in columns if name in frame]]
        return FrameRows(frame.assign(**given.map(lambda cell: str(folder / str(cell)), na_action="ignore")))

    if Path(data).is_dir():
        source = load_whole(data, read=read)
        return source.rows.frame(), model.rows(source.rows.frame(), Path(), maps=maps), source.notes
    source = load_whole(data)
    return source.rows.frame(), model.rows(source.rows.frame(), source.folder, maps=maps), source.notes
