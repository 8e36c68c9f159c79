"""Changing an htpasswd file, for the command line: beside running registries, and beside others who change it so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from passlib.apache import HtpasswdFile

from auth.identities.passwords import hash_password, lines_of
from registry.foundation.files import locked, read_file, replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping


def users(path: str) -> Mapping[str, str]:
    """Return the users of the htpasswd file at `path`, each with what keeps them from logging in, "" if nothing does.

    Raises:
        ValueError: the file is malformed.
        OSError: the file cannot be read.
    """
    found: dict[str, str] = {}
    for line in lines_of(read_file(path)):
        found[line.user] = line.fault  # the last line of a user counts
    return found


def set_password(path: str, user: str, password: bytes) -> bool:
    """Write the entry of `user` to the htpasswd file at `path`, created if missing; tell whether it is new.

    Other lines stay as they are.

    Raises:
        ValueError: the name or the password cannot stand in the file, or the file is malformed.
        OSError: the file cannot be read or written.
    """
    if not user or user.strip() != user or user.startswith("#"):
        raise ValueError(f"{user!r} cannot be a user name")
    hashed = hash_password(password)
    with locked(_target(path)):
        try:
            content = read_file(path)
        except FileNotFoundError:
            content = b""
        # Where a user has several lines, the last one counts, while passlib would change the first.
        of_user = [line for line in content.splitlines() if _is_of(line, user)]
        kept = (line for line in content.splitlines() if line not in of_user[:-1])
        file = HtpasswdFile.from_string(b"\n".join(kept))
        known = file.set_hash(user, hashed)
        replace_file(path, file.to_string())
    return not known


def delete_user(path: str, user: str) -> bool:
    """Take all lines of `user` out of the htpasswd file at `path`; tell whether there was one. Other lines stay.

    Raises:
        OSError: the file cannot be read or written.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {path}")
    with locked(_target(path)):
        content = read_file(path)
        kept = [line for line in content.splitlines(keepends=True) if not _is_of(line, user)]
        if len(kept) == len(content.splitlines()):
            return False
        replace_file(path, b"".join(kept))
    return True


def _is_of(line: bytes, user: str) -> bool:
    return line.strip().startswith(user.encode(errors="surrogateescape") + b":")


def _target(path: str) -> str:
    """Return the file that a link leads to: whoever changes it by another name waits for the same lock."""
    return os.path.realpath(path)
