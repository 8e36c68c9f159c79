"""Text of others, such as clients and servers, that goes to a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return `text` with everything escaped that a terminal would obey and not print: ``\x1b``."""
    if text.isprintable():
        return text
    return "".join([each if each.isprintable() else ascii(each)[1:-1] for each in text])
