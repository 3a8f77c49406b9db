"""Words for options that take a number and were given something else."""

import re
from collections.abc import Sequence

from tailwise._checks import shown

_NOT_PARSED = re.compile(r"unable to parse string as (a number|an integer)")
_COMMA = re.compile(r"([+-]?\d*),(\d+)")


def in_words(message: str, flags: Sequence[str], words: Sequence[str]) -> str:
    """Return the message of a usage error; of an option that takes a number, with the value and how to write it.

    Args:
        message: the message of the parser.
        flags: names of the option; none if the message is not about an option.
        words: the arguments of the command.

    Example:
        >>> wrong = "Invalid value for '--balance': Input should be a valid number, unable to parse string as a number"
        >>> in_words(wrong, ["--balance"], ["train", "houses.csv", "--balance", "1,5"])
        "--balance takes a number, got '1,5'; use 1.5 (a point)"
    """
    kind = _NOT_PARSED.search(message)
    value = next((value for value in _values(flags, words) if not _parses(value, kind)), None) if kind else None
    if kind is None or value is None:
        return message
    whole = kind[1] == "an integer"
    return f"{flags[0]} takes a {'whole ' * whole}number, got {shown(value)}{way_out(value, whole=whole)}"


def _values(flags: Sequence[str], words: Sequence[str]) -> list[str]:
    """Return the values that an option was given, as words of their own or joined to it."""
    values = []
    for word, following in zip(words, [*words[1:], ""], strict=True):
        for flag in flags:
            if word == flag:
                values.append(following)
            elif word.startswith(f"{flag}="):
                values.append(word[len(flag) + 1 :])
            elif len(flag) == 2 and not word.startswith("--") and word.startswith(flag):
                values.append(word[2:])
    return values


def _parses(value: str, kind: "re.Match[str] | None") -> bool:
    try:
        _ = int(value) if kind is not None and kind[1] == "an integer" else float(value)
    except ValueError:
        return False
    return True


def way_out(value: str, *, whole: bool = False) -> str:
    """Return how to write a number with a comma, as the end of a message; empty where there is no single comma."""
    parts = _COMMA.fullmatch(value.strip())
    if parts is None:
        return ""
    joined, pointed = f"{parts[1]}{parts[2]}", f"{parts[1] if parts[1].strip('+-') else parts[1] + '0'}.{parts[2]}"
    if len(parts[2]) == 3:
        return f"; use {joined}" + ("" if whole else f", or {pointed} (a point)")
    return "" if whole else f"; use {pointed} (a point)"
