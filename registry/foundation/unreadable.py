"""Why a file that the configuration names cannot be read, and what to type where this process may not read it.

Files with secrets are often root's alone, while the registry is another user.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
from pathlib import Path
from typing import Final

_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM})


def reason_unreadable(error: OSError, *paths: str) -> str:
    """Return what `error` says, which came of reading one of `paths`; and what to change if that is not permitted."""
    reason = error.strerror or str(error)
    if error.errno not in _FORBIDDEN:
        return reason
    try:
        advice = next(filter(None, map(_advice, paths)), "")
    except OSError:  # it may be changing just now
        return reason
    return f"{reason}; {advice}" if advice else reason


def _advice(path: str) -> str:
    """Return what lets this process read the file at `path`; "" if it may read it.

    Raises:
        OSError: the file, or a directory above it, cannot be looked at.
    """
    if os.access(path, os.R_OK, effective_ids=True):
        return ""
    resolved = Path(os.path.realpath(path))
    for directory in reversed(resolved.parents):
        if not os.access(directory, os.X_OK, effective_ids=True):
            return _permission(directory, "enter", "x")
    return _permission(resolved, "read", "r")


def _permission(path: Path, verb: str, right: str) -> str:
    """Return what gives this process `right`, "r" or "x", to the file or directory at `path`."""
    user, status = os.geteuid(), path.stat()
    name, denied = shlex.quote(str(path)), f"user {user} may not {verb} {path}"
    if status.st_uid == user:
        given, wanted = f"chmod u+{right} {name}", stat.S_IRUSR if right == "r" else stat.S_IXUSR
    else:
        given, wanted = f"chmod g+{right} {name}", stat.S_IRGRP if right == "r" else stat.S_IXGRP
    if status.st_uid != user and status.st_gid not in {os.getegid(), *os.getgroups()}:
        given = f"chgrp {os.getegid()} {name} && {given}"
    elif status.st_mode & wanted:
        return f"{denied}, though its mode permits it: SELinux, AppArmor, an access list or an NFS server does not"
    as_root = ", or in a container start as root (--user 0)" if user else ""
    return f"{denied}: run as root `{given}`{as_root}"
