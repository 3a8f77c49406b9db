"""Parquet and Feather files."""

from typing import IO, Any

import pandas as pd

from tailwise.data.frame_blocks import MOST_BLOCKS


def read_arrow(content: IO[bytes], *, feather: bool) -> pd.DataFrame:
    """Return the table of a Parquet or Feather file; at its peak it takes 1.5 times its memory in place of 2.4.

    Raises:
        Exception: a damaged file; see :func:`tailwise.data.read_errors.as_arrow`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import feather as feather_files

    if feather:
        valid(feather_files.read_table(content))  # it has no checksums, and is not checked where it becomes a frame
        content.seek(0)
        frame = pd.read_feather(content)
    else:
        few = len(pq.read_schema(content)) <= MOST_BLOCKS
        content.seek(0)
        # Columns that stay apart are not copied, and neither are the file's bytes before they are needed.
        apart = {"split_blocks": few, "self_destruct": True}
        frame = pd.read_parquet(content, engine="pyarrow", pre_buffer=False, to_pandas_kwargs=apart)
        for place, dtype in enumerate(frame.dtypes):
            if isinstance(dtype, pd.StringDtype):
                valid(pa.array(frame.iloc[:, place]))
    pa.default_memory_pool().release_unused()
    return frame


def valid(values: Any) -> Any:
    """Return an Arrow table or array that is whole: work on texts of damaged bytes may end the process.

    Raises:
        pyarrow.ArrowInvalid: offsets out of bounds, or texts that are not UTF-8.
    """
    values.validate(full=True)
    return values
