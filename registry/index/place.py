"""The directory of the index: whether it can be used, and who of several processes of a host may write there."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.config import ConfigurationError
from registry.foundation.files import check_creatable

if TYPE_CHECKING:
    from registry.config.ui import UI

_KEY: Final = "ui.index.directory"
_LOCK: Final = "index.lock"


def require_usable(section: UI) -> None:
    """Return if the directory that ``ui.index`` names can be used or made; nothing is changed.

    Raises:
        ConfigurationError: it cannot.
    """
    directory = section.index.directory
    if not section.enabled or not directory:
        return
    try:
        if not os.path.lexists(directory):
            check_creatable(directory)
        elif not Path(directory).is_dir():
            raise ConfigurationError(_KEY, f"{directory} is not a directory")
        else:
            check_creatable(str(Path(directory, _LOCK)))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigurationError(_KEY, f"the index cannot be kept in {directory}: {reason}") from error


def make(directory: str) -> None:
    """Make the directory, for the owner only, if it is missing.

    Raises:
        OSError: it cannot be made.
    """
    Path(directory).mkdir(mode=0o700, parents=True, exist_ok=True)


def lock(directory: str) -> int | None:
    """Return a descriptor that has the directory for this process, until it is closed; None if another has it.

    Raises:
        OSError: it cannot be used.
    """
    descriptor = os.open(Path(directory, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def is_held(directory: str, descriptor: int) -> bool:
    """Tell whether what lock() returned has the directory that is there now; it may be deleted and made anew.

    Raises:
        OSError: it cannot be used.
    """
    try:
        there = os.stat(Path(directory, _LOCK))  # noqa: PTH116  beside fstat
    except (FileNotFoundError, NotADirectoryError):
        return False
    return os.path.samestat(there, os.fstat(descriptor))
