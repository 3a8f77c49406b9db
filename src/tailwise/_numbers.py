"""Numbers as text."""


def number(value: float) -> str:
    """Format four significant digits, with thousands separators, and powers of ten from ten million on.

    >>> number(-2748.678), number(0.00012345), number(3.14159), number(7.7e9)
    ('-2,749', '0.0001234', '3.142', '7.700e+09')
    """
    if abs(value) >= 1e7:
        return f"{value:.3e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def cell_number(value: float) -> str:
    """Format the cell of a column: like :func:`number`, and whole numbers from 1000 to 2999, such as years, plainly.

    >>> cell_number(2015.0), cell_number(2015.5), cell_number(3100.0)
    ('2015', '2,016', '3,100')
    """
    return f"{value:.0f}" if value in range(1000, 3000) else number(value)


def error_change(ratio: float) -> str:
    """Return in words how an error differs from another one, given their ratio.

    >>> error_change(0.93), error_change(1.161), error_change(0.998), error_change(1.0)
    ('7 % lower error', '16 % higher error', 'less than 1 % lower error', 'the same error')
    """
    if ratio == 1:
        return "the same error"
    percent = f"{100 * abs(ratio - 1):,.0f}"
    size = "less than 1" if percent == "0" else percent
    return f"{size} % {'lower' if ratio < 1 else 'higher'} error"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> counted(1, "column"), counted(1200, "row")
    ('1 column', '1,200 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
