"""What libraries raise when they read a file of a model that is damaged or was altered."""

import zlib
from zipfile import BadZipFile

from safetensors import SafetensorError

DAMAGED = (
    ArithmeticError,
    AttributeError,
    BadZipFile,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
    zlib.error,
)
