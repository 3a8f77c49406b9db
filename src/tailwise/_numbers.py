"""Numbers as text."""


def number(value: float) -> str:
    """Format four significant digits, with thousands separators, and powers of ten from ten million on.

    >>> number(-2748.678), number(0.00012345), number(3.14159), number(7.7e9)
    ('-2,749', '0.0001234', '3.142', '7.700e+09')
    """
    if abs(value) >= 1e7:
        return f"{value:.3e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> counted(1, "column"), counted(1200, "row")
    ('1 column', '1,200 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
