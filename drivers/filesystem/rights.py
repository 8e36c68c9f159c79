"""Whether this process may use what lies below the root, and what to type if it may not.

The root may be its own and the tree below another user's: a registry that ran as root has left it so. Only the system
call knows: rights are the owner's and the mode's, capabilities', access lists', SELinux' and those of an NFS server.
"""

# A string is passed to the system call as it is; to make a Path costs more than the call.
# ruff: noqa: PTH112, PTH116, PTH120

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections import deque
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final

from drivers.translation import NOT_PERMITTED
from registry.foundation.modes import permits

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_DIRECTORIES: Final = 64
"""Directories that are looked at of a tree, however large it is."""
_FANOUT: Final = 4
_MOST_ENTRIES: Final = 64
"""Entries that are read of a directory, however many it has."""
_TREE: Final = "/docker/registry/v2/"
"""What stands between the root and the names of a registry's tree: what is wrong in one place is so in others."""
_CAP_DAC_OVERRIDE: Final = 1 << 1
READING: Final = os.R_OK | os.X_OK
WRITING: Final = READING | os.W_OK
"""What is needed of a directory to use it."""


def require_writable_way(root: str, path: str) -> None:
    """Return if this process may write to each directory that there is of those from below `root` down to `path`.

    Raises:
        OSError: it may not, with the directory as its filename.
    """
    directory = root
    for name in path.strip("/").split("/"):
        directory = f"{directory}/{name}"
        if not os.path.lexists(directory):
            return
        require(directory, WRITING)


def find_foreign(top: str) -> OSError | None:
    """Return why this process may not use something in the tree `top`; None if it may use all that is looked at.

    A few directories of each level are looked at, which takes milliseconds; those nearest to `top` first.
    """
    waiting = deque([top])
    for _ in range(_MOST_DIRECTORIES):
        if not waiting:
            break
        directory = waiting.popleft()
        try:
            require(directory, WRITING)
            waiting.extend(_some_directories(directory))
        except FileNotFoundError:
            continue
        except OSError as error:
            return error
    return None


def _some_directories(directory: str) -> Iterator[str]:
    """Yield some directories in `directory`; OSError if a file that is met there may not be read."""
    found = 0
    with os.scandir(directory) as entries:
        for entry in islice(entries, _MOST_ENTRIES):
            if entry.is_dir(follow_symlinks=False):
                found += 1
                yield entry.path
            elif not entry.is_symlink():
                require(entry.path, os.R_OK)
            if found == _FANOUT:
                return


def require(path: str, needed: int) -> None:
    """Return if this process may do with `path` all that is `needed`, as for os.access().

    Raises:
        OSError: it may not, with `path` as its filename, or nothing is there.
    """
    if os.access(path, needed, effective_ids=True):
        return
    os.stat(path)  # somebody may just have deleted it
    number = errno.EACCES
    if needed & os.W_OK and os.statvfs(path).f_flag & os.ST_RDONLY:
        number = errno.EROFS
    raise OSError(number, os.strerror(number), path)


def subject_of(root: str, error: OSError) -> str:
    """Return what below `root` an error is about; `root` if it is about that, or about a file that is not there."""
    name = str(error.filename)
    return name if name.startswith(f"{root}/") and os.path.lexists(name) else root


def remedy(error: OSError, root: str = "") -> str:
    """Return what to change so that this process may do it; "" if that is not what `error` is about.

    It names the command with the ids of this process, for the whole `root` if that is given or can be told.
    """
    if error.errno == errno.EROFS:
        return "mount it writable, or set storage.maintenance.readonly.enabled to serve pulls alone"
    name = subject_of(root, error) if root else error.filename
    if error.errno not in NOT_PERMITTED or not isinstance(name, str):
        return ""
    with suppress(OSError):  # it may be changing just now, or the medium fails
        return _advice(name, root)
    return ""


def _advice(name: str, root: str) -> str:
    visible = _visible(name)
    if root and not f"{visible}/".startswith(f"{root}/"):
        return _advice_above(root, visible)
    # To make a file, or to delete one, is to write to its directory.
    places = (visible,) if os.path.isdir(visible) else (os.path.dirname(visible), visible)
    closed = next((each for each in places if not _mode_permits(os.stat(each))), "")
    if not closed:
        return (
            f"owner and mode of {visible} permit it, so SELinux, AppArmor or an NFS server (root_squash) does not:"
            " give the volume the container's label (-v ...:z or :Z), or change the rules"
        )
    status = os.stat(closed)
    subject = "it" if closed == name else closed
    top, found, _ = name.partition(_TREE)
    tree = shlex.quote(root or (top if found else closed))
    if status.st_uid == os.geteuid():
        return f"{subject} is this user's own, but its mode is {stat.S_IMODE(status.st_mode):04o}: " + _typed(
            f"chmod -R u+rwX {tree}"
        )
    return (
        f"{subject} belongs to user {status.st_uid}: "
        + _typed(f"chown -R {os.geteuid()}:{os.getegid()} {tree}")
        + f", or start the registry as user {status.st_uid} (docker run {_option(status.st_uid)})"
    )


def _option(uid: int) -> str:
    """Return the option of docker that has another user serve: what the image has started as root goes on as RUN_AS."""
    return f"-e RUN_AS={uid}" if os.environ.get("RUN_AS") else f"--user {uid}"


def _typed(command: str) -> str:
    return f"run as root `{command}`"


def _advice_above(root: str, closed: str) -> str:
    """Return what to type where `root` cannot be reached or made, because of the directory `closed` above it."""
    uid, gid = os.geteuid(), os.getegid()
    if os.access(closed, os.X_OK, effective_ids=True):
        quoted = shlex.quote(root)
        return f"{root} is not there: " + _typed(f"mkdir -p {quoted} && chown {uid}:{gid} {quoted}")
    return f"user {uid} may not enter {closed}: " + _typed(f"chmod a+x {shlex.quote(closed)}")


def _visible(path: str) -> str:
    """Return `path`, or the lowest directory above it that this process can see: it keeps it from what is below."""
    while path not in {"", "/"}:
        with suppress(OSError):
            os.stat(path)
            return path
        path = os.path.dirname(path)
    return "/"


def _mode_permits(status: os.stat_result) -> bool:
    """Tell whether owner and mode let this process use a directory, or a file, in every way."""
    if _overrides():
        return True
    needed = WRITING if stat.S_ISDIR(status.st_mode) else os.R_OK | os.W_OK
    return permits(status, os.geteuid(), {os.getegid(), *os.getgroups()}, needed)


def _overrides() -> bool:
    """Tell whether this process may pass over owner and mode, as root may unless its capabilities were dropped."""
    with suppress(OSError, ValueError), open("/proc/self/status", "rb") as lines:  # noqa: PTH123
        for line in lines:
            if line.startswith(b"CapEff:"):
                return bool(int(line.split()[1], 16) & _CAP_DAC_OVERRIDE)
    return os.geteuid() == 0
