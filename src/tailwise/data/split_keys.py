"""Draw rows by their keys, so that the order of a table does not change which part a row falls in."""

from hashlib import blake2b

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, shown
from tailwise.data.cell_values import check_cells


def row_keys(column: pd.Series) -> NDArray[np.str_]:
    """Return the key of each row as text.

    Raises:
        InputError: an empty cell, or a key that two rows have.
    """
    check_cells(column)
    name = shown(column.name)
    if column.isna().any():
        raise InputError(f"`split_key` {name} has {int(column.isna().sum()):,} empty cells; every row needs a key")
    keys = column.astype(str)
    repeated = keys[keys.duplicated()]
    if len(repeated):
        raise InputError(
            f"`split_key` {name} must differ in every row, but {len(repeated):,} rows repeat a key, such as "
            f"{shown(repeated.iloc[0])}; for rows that belong together use `group`"
        )
    return keys.to_numpy(dtype=str)


def drawn_order(n: int, seed: int, keys: NDArray[np.str_] | None = None) -> NDArray[np.intp]:
    """Return the rows in the order they are drawn in.

    Args:
        n: number of rows.
        seed: random seed.
        keys: ``(n,)`` different keys. With them the order is that of a hash of key and seed, which knows nothing of the
            place of a row; without, a random permutation of places.

    Example:
        >>> keys = np.array(["ann", "bob", "cid"])
        >>> list(keys[drawn_order(3, 0, keys)]) == list(keys[::-1][drawn_order(3, 0, keys[::-1])])
        True
    """
    if keys is None:
        return np.random.default_rng(seed).permutation(n)
    salt = str(seed).encode()[:16]
    hashes = [blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16, salt=salt).digest() for key in keys]
    return np.asarray(sorted(range(n), key=hashes.__getitem__), dtype=np.intp)
