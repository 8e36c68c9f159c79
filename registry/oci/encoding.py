"""JSON as Go's ``encoding/json`` writes it: scripts look for the answers of the Go registry byte by byte."""

from __future__ import annotations

import json
from typing import Final

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_quote = json.encoder.encode_basestring
_CONTAINERS: Final = (dict, list)
_ESCAPED: Final = {
    **{ord(each): f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"},
    **dict.fromkeys(range(0xD800, 0xE000), "\\ufffd"),
}
"""What a browser could take for a part of a page or a script, and halves of characters, which UTF-8 does not have."""


def encode(value: object) -> str:
    """Return `value` as JSON without spaces, members in their order, characters beyond ASCII as they are."""
    return _escaped(_encode(value))


def indented(value: object, indent: str) -> str:
    """Return `value` as ``json.MarshalIndent`` of Go does, a member or an element a line; names of members are text."""
    return _escaped(_indented(value, "\n", indent))


def _indented(value: object, line: str, indent: str) -> str:
    # The library does this in Python, too, and takes four times as long.
    if isinstance(value, str):
        return _quote(value)
    if type(value) is int:
        return str(value)  # the library makes an encoder for each
    if not isinstance(value, _CONTAINERS):
        return _encode(value)
    inner = line + indent
    if isinstance(value, dict):
        # A call costs more than what it does for text, which most members are.
        members = [
            f"{_quote(name)}: {_quote(member) if isinstance(member, str) else _indented(member, inner, indent)}"
            for name, member in value.items()
        ]
        return f"{{{inner}{f',{inner}'.join(members)}{line}}}" if members else "{}"
    if not value:
        return "[]"
    return f"[{inner}{f',{inner}'.join([_indented(each, inner, indent) for each in value])}{line}]"


def _escaped(text: str) -> str:
    # Most often nothing is to be escaped. Outside of strings, JSON has none of these characters.
    is_plain = text.isascii() and "<" not in text and ">" not in text and "&" not in text
    return text if is_plain else text.translate(_ESCAPED)


def answer(value: object) -> str:
    """Return `value` as the whole content of an answer, which ends in a line break."""
    return encode(value) + "\n"
