"""How numbers are written for people."""


def number(value: float) -> str:
    """Four significant digits, thousands apart.

    >>> number(-2748.678), number(0.00012345), number(3.14159)
    ('-2,749', '0.0001234', '3.142')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
