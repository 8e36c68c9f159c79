"""What commands print for scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable


def print_json_array(values: Iterable[Any], *, before: str = "", after: str = "\n") -> None:
    """Print an array, one value a line, each as it comes; `before` and `after` stand around it."""
    separator = f"{before}["
    empty = True
    for value in values:
        # A lone surrogate, which UTF-8 does not have, is escaped as JSON escapes it.
        text = json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace").decode()
        click.echo(f"{separator}{text}", nl=False)
        separator, empty = ",\n ", False
    click.echo(f"{before}[]{after}" if empty else f"]{after}", nl=False)
