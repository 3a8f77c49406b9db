"""The field's benchmarks, one file each."""

from tailwise._checks import InputError, did_you_mean
from tailwise.bench.protocols import (
    agedb_dir,
    c_mapss,
    cell_counts,
    im_context,
    imdb_wiki_curated,
    imdb_wiki_dir,
    mpiigaze_dir,
    nyud2_dir,
    shhs_dir,
    stress,
    sts_b_dir,
    uci_dir,
)
from tailwise.bench.protocols.base import Protocol

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        agedb_dir.PROTOCOL,
        imdb_wiki_dir.PROTOCOL,
        nyud2_dir.PROTOCOL,
        sts_b_dir.PROTOCOL,
        shhs_dir.PROTOCOL,
        mpiigaze_dir.PROTOCOL,
        uci_dir.PROTOCOL,
        imdb_wiki_curated.PROTOCOL,
        stress.EXTRAPOLATION,
        stress.INTERPOLATION,
        stress.BLIND_SPOT,
        im_context.PROTOCOL,
        c_mapss.PROTOCOL,
        cell_counts.VGG,
        cell_counts.MBM,
    )
}


def protocol_named(name: str) -> Protocol:
    """Return a protocol by name.

    Raises:
        InputError: an unknown name.
    """
    if name not in PROTOCOLS:
        raise InputError(f"there is no protocol {name!r}{did_you_mean(name, PROTOCOLS)}; see `tailwise bench list`")
    return PROTOCOLS[name]
