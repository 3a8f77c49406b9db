"""Signals: columns that name files of time series."""

from tailwise.modalities.modality import ColumnOption, Modality, ends_in

SUFFIXES = (".npy", ".wav", ".csv", ".edf")
SIGNAL = Modality(
    name="signal",
    plural="signals",
    options=(ColumnOption("signal", "Column that names files of signals (NPY, WAV, CSV, EDF). Repeatable."),),
    parameters=("length", "width", "blocks", "kernel", "noise"),
    fit="tailwise.modalities.signal:fit_signals",
    reader="tailwise.modalities.signal_files:SignalReader.load",
    encoder="tailwise.modalities.signal:signal_encoder_from",
    check="tailwise.modalities.signal_files:check_signals",
    looks_like=ends_in(SUFFIXES),
)
