"""How commands end that are stopped from outside: Ctrl-C, a reader that has gone, a disk that is full."""

from __future__ import annotations

import errno
import os
import sys
import threading
from contextlib import suppress
from typing import Any, Final

import click

from registry.commands.layout import Group
from registry.foundation.redaction import redacted

_INTERRUPTED: Final = 128 + 2
"""The exit status of a shell for what SIGINT has ended."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_PRIMARY: Final = 0xFF
"""The bits of an error code of SQLite that tell of what kind it is."""


class Commands(Group):
    """All commands. For what its user or the machine did, each ends with one line and without a traceback."""

    group_class = Group

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command that the arguments name, and exit."""
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            text = _in_words(error)
            if not text:
                raise
            click.echo(f"Error: {text}", err=True)
            sys.exit(1)
        except Exception as error:
            if not _is_of_database(error):
                raise
            click.echo(f"Error: what was found cannot be kept in the temporary directory (TMPDIR): {error}", err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that is called for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _leave()
        except click.Abort as error:
            # What asks for passwords makes this of Ctrl-C, and of an input that has ended.
            if isinstance(error.__context__, KeyboardInterrupt):
                _leave()
            raise


def _leave() -> None:
    click.echo("Interrupted.", err=True)
    waiting = [each for each in threading.enumerate() if each is not threading.main_thread() and not each.daemon]
    if waiting:
        # The interpreter would wait for what they have begun with a storage. What is half done there is done again.
        os._exit(_INTERRUPTED)
    sys.exit(_INTERRUPTED)


def _is_of_database(error: Exception) -> bool:
    """Tell whether tables on disk (registry.foundation.temporary_database) could not be written or read."""
    # The module is loaded by those commands only that have such tables.
    database = sys.modules.get("sqlite3")
    if database is None or not isinstance(error, database.OperationalError):
        return False
    faults = {database.SQLITE_FULL, database.SQLITE_IOERR, database.SQLITE_CANTOPEN}
    return error.sqlite_errorcode & _PRIMARY in faults


def _in_words(error: OSError) -> str:
    """Return in words what is wrong with a file, or a disk that is full; "" for anything else: it may be our fault."""
    if error.filename is not None:
        return redacted(f"{os.fsdecode(error.filename)}: {error.strerror}")
    if error.errno not in _FULL:
        return ""
    with suppress(OSError, AttributeError):
        # What could not be printed would be tried once more at the very end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return f"cannot write: {error.strerror}"
