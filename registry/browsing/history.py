"""The history of an image as lines of a Dockerfile, beside the layers that they made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from registry.browsing.shapes import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.browsing.foreign import Shown
    from registry.browsing.shapes import Layer

_SHELL: Final = "/bin/sh -c "
_NO_OPERATION: Final = re.compile(r"#\(nop\)\s*")
_ARGUMENTS: Final = re.compile(r"\|[0-9]+ ")
_BUILDKIT: Final = " # buildkit"


def steps(history: object, layers: Sequence[Layer], shown: Shown) -> tuple[Step, ...]:
    """Return the lines of `history`, a value of a config, each with the layer that it made.

    Lines take `layers` in their order, except those that say that they made none. Layers that are left over come last,
    each in a step of its own; a line for which no layer is left has none.
    """
    rest = iter(layers)
    lines: list[Step] = []
    for entry in shown.first(history if isinstance(history, list) else ()):
        line: dict[str, Any] = entry if isinstance(entry, dict) else {}
        layer = None if line.get("empty_layer") is True else next(rest, None)
        written, created, comment = (shown.text(line.get(key)) for key in ("created_by", "created", "comment"))
        lines.append(Step(instruction(written), layer, created, comment))
    return (*lines, *(Step("", layer) for layer in rest))


def instruction(created_by: str) -> str:
    """Return what a build tool says of a step as the line of the Dockerfile that it was.

    Docker's first builder writes what it runs as a shell does, and what it does not run behind ``#(nop)``; BuildKit
    writes the instruction and how it runs it. Both put the values of arguments before the command.
    """
    line = created_by.strip().removesuffix(_BUILDKIT).rstrip()
    word, _, command = line.partition(" ")
    if word == "RUN":
        return f"RUN {_command(command.lstrip())}".rstrip()
    if not line.startswith((_SHELL, "|")):
        return line
    command = _command(line)
    nothing = _NO_OPERATION.match(command)
    return command[nothing.end() :] if nothing else f"RUN {command}"


def _command(line: str) -> str:
    """Return what the shell is given in a line, which may begin with the values of arguments: ``|1 A=b``."""
    if _ARGUMENTS.match(line):
        _, shell, command = line.partition(_SHELL)
        return command if shell else line
    return line.removeprefix(_SHELL)
