"""The manual page, made of the help of the commands: ``make man`` writes it, and a test says when it is out of date.

No library writes it well: click-man makes a page a command, with summaries cut off, and fails where a program's entry
point is a function that calls click.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from registry import __version__
from registry.cli import commands
from registry.foundation.extras import DISTRIBUTION

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = Path(__file__).parents[2] / "deploy/share/man/man1/registry.1"

_BEGIN: Final = f""".\\" Made by "make man".
.TH REGISTRY 1 "" "{DISTRIBUTION} {__version__}" "User Commands"
.nh
.ad l
.SH NAME
registry \\- container image registry
.SH SYNOPSIS
.B registry
.RI [ OPTIONS ]
.I COMMAND
.RI [ ARGUMENTS ]
.SH DESCRIPTION
"""
_END: Final = r"""
.SH ENVIRONMENT
.TP
.B REGISTRY_CONFIGURATION_PATH
The configuration where none is given as an argument.
.TP
.BI REGISTRY_ KEY
Takes precedence over the key of the configuration, as
.B REGISTRY_HTTP_ADDR
over
.B addr
in the section
.BR http .
.TP
.BR OTEL_TRACES_EXPORTER ,\  OTEL_EXPORTER_OTLP_ENDPOINT
Where traces are sent.
.SH FILES
.TP
.IR /etc/distribution/config.yml ,\  /etc/docker/registry/config.yml
The configuration where nothing else names one.
.SH EXIT STATUS
0 if all is well, 1 if something could not be done or is wrong, 2 if the arguments are not understood,
130 after Ctrl-C; any other is told with its command.
"""


def manual() -> str:
    """Return the manual page, in the man macros of roff."""
    root = click.Context(commands, info_name="registry", **commands.context_settings)
    parts = [_BEGIN, _paragraphs(commands.help), *_options(root), ".SH COMMANDS\n", *_sections(commands, root), _END]
    return "".join(parts).replace("\n\n", "\n")


def _sections(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        if command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        arguments = [] if isinstance(command, click.Group) else command.collect_usage_pieces(inner)
        if not any(True for _ in _options(inner)):
            arguments = [piece for piece in arguments if piece != "[OPTIONS]"]
        yield f".SS {_escaped(' '.join([inner.command_path, *arguments]))}\n"
        yield _paragraphs(command.help)
        yield from _options(inner)
        if command.epilog:
            yield _paragraphs(command.epilog)
        if isinstance(command, click.Group):
            yield from _sections(command, inner)


def _options(context: click.Context) -> Iterator[str]:
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if record and record[1] and (context.parent is None or "--help" not in parameter.opts):
            yield f".TP\n.B {_escaped(record[0])}\n{_escaped(record[1])}\n"


def _paragraphs(text: str | None) -> str:
    """Return the paragraphs of a help text; one that begins with backspace keeps its lines, as click has it."""
    written = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text or "").partition("\f")[0].strip()):
        if paragraph.startswith("\b"):
            kept = _escaped(paragraph.removeprefix("\b").strip("\n"))
            written.append(f".PP\n.nf\n{kept}\n.fi\n")
        else:
            written.append(f".PP\n{_escaped(' '.join(paragraph.split()))}\n")
    return "".join(written)


def _escaped(text: str) -> str:
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^(?=[.'])", r"\\&", escaped, flags=re.MULTILINE)


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit("usage: python -m tests.packaging.manual")
    PAGE.write_text(manual())
