"""Logins: what was given a refresh token, whether it goes on, and which of its tokens is the last.

A login has one record, a file, named after nothing but what its tokens say:

    <directory>/<digest of the user>/<id>-<expires>.json        while it goes on
    <directory>/<digest of the user>/<id>-<expires>.revoked     from when it is revoked until it would have expired

A token that this registry signed and that has no record gets one when it is used: older registries kept none, and each
host of a cluster may keep its own. So a login is revoked by what is there, never by what is missing.

Tokens rotate as RFC 9700 section 4.14.2 says: each use of one gives its successor, and to use one whose successor was
used revokes the login, as one of the two is a thief's. What is used is void when its successor is used, not before: the
client may not have got the answer, or may be one that has no place to keep a new token.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from auth.base import ControllerError
from registry.foundation.files import check_creatable, locked, replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

GRACE_SECONDS: Final = 10
"""How long after the first use of a token the one before it is taken: a client may do several things at once."""

MOST_LOGINS: Final = 10_000
"""How many a user may have; the one that would expire first makes room."""

_TOUCH_SECONDS: Final = 60
_SWEEP_SECONDS: Final = 3600
_LONGEST_CLIENT: Final = 64
_NAME: Final = re.compile(r"([A-Za-z0-9_-]+)-([0-9]+)\.(json|revoked)")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEEPING: Final = (
    *("docker", "containerd", "buildkit", "nerdctl", "containers/", "podman", "skopeo", "buildah", "cri-o"),
    *("go-containerregistry", "regclient", "oras", "helm", "jib", "registry-client"),
)


def keeps_its_token(client_id: str) -> bool:
    """Tell whether `client_id` is that of a registry client: these keep the token of ``docker login`` and no other.

    The docker engine, containerd, podman and skopeo have no place for a new one; crane and regctl use it and forget it;
    ``docker login`` keeps it, while copies of its file in clusters and CI services go on with the old one.
    """
    return client_id.lower().startswith(_KEEPING)


class LoginRevokedError(Exception):
    """The login of a token was revoked, now or before; the text says why."""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """What a token says of its login, which ends at `expires` (seconds since the epoch) whatever its generation."""

    user: str
    login: str
    generation: int
    expires: int
    rotates: bool


@dataclass(frozen=True, slots=True)
class Login:
    """What is recorded of a login. Times are seconds since the epoch.

    `client` and `address` are what began it said and where it was. `generation` is that of the last token that was
    used, first at `raised`. `used` and `revoked` are kept as the file's time and name.
    """

    id: str
    user: str
    client: str
    address: str
    created: int
    expires: int
    rotates: bool
    generation: int = 0
    raised: int = 0
    used: int = 0
    revoked: bool = False


class Logins:
    """The logins in a directory."""

    def __init__(self, directory: str, clock: Callable[[], float] = time.time) -> None:
        self._directory = Path(directory)
        self._clock = clock
        self._swept = 0.0
        self.recorded = True
        """Whether records can be written; where they cannot, no token rotates, and none is listed."""

    @classmethod
    def open(cls, directory: str) -> Logins:
        """Return the logins in `directory`, which is created in its parent; a warning says if that is impossible."""
        logins = cls(directory)
        logins.recorded = _writable(logins._directory)
        return logins

    @classmethod
    def examined(cls, directory: str) -> Logins:
        """Return the logins in `directory`; nothing is created, but the warning is that of :meth:`open`."""
        logins = cls(directory)
        try:
            if _exists(logins._directory):
                return cls.open(directory)
            check_creatable(directory)
        except OSError as error:
            _warn(logins._directory, error.strerror or str(error))
        return logins

    def begin(self, token: RefreshToken, client: str, address: str) -> None:
        """Record a login."""
        now = int(self._clock())
        shown = "".join(char for char in client if char.isascii() and char.isprintable())[:_LONGEST_CLIENT]
        begun = (token.login, token.user, shown, address, now, token.expires)
        self._record(Login(*begun, rotates=token.rotates, generation=token.generation))

    def use(self, token: RefreshToken, client: str, address: str) -> None:
        """Note that `token` is used.

        Raises:
            LoginRevokedError: it may not be used: its login was revoked, or is revoked now.
            ControllerError: that cannot be told.
        """
        path = self._path(token.user, token.login, token.expires)
        try:
            if _exists(path.with_suffix(".revoked")):
                raise LoginRevokedError("its login was revoked")
            login = _read(path)
        except OSError as error:
            raise ControllerError(f"{path}: {error.strerror or error}") from error
        if login is None:
            self.begin(token, client, address)
        elif token.generation > login.generation:
            self._raise(path, token.generation)
        elif token.generation < login.generation and not self._in_grace(token, login):
            try:
                self.revoke(login)
            except OSError as error:
                logger.warning("login %s of %r cannot be revoked: %s", login.id, login.user, error)
            raise LoginRevokedError(f"its successor was used before, so login {login.id} is revoked")
        elif self._clock() - login.used >= _TOUCH_SECONDS:
            with suppress(OSError):
                os.utime(path)

    def of_user(self, user: str) -> Iterator[Login]:
        """Yield the logins of `user` that have not expired, revoked ones too.

        Raises:
            OSError: the directory cannot be read.
        """
        yield from self._in(self._directory / _digest(user))

    def all(self) -> Iterator[Login]:
        """Yield the logins of everybody that have not expired, revoked ones too.

        Raises:
            OSError: the directory cannot be read.
        """
        if self._directory.exists():
            for directory in sorted(self._directory.iterdir()):
                if directory.is_dir():
                    yield from self._in(directory)

    def revoke(self, login: Login) -> None:
        """End a login; what its tokens were exchanged for ends with its own lifetime.

        Raises:
            OSError: that cannot be recorded.
        """
        path = self._path(login.user, login.id, login.expires)
        replace_file(str(path.with_suffix(".revoked")), _content(login))
        path.unlink(missing_ok=True)

    def _in(self, directory: Path) -> Iterator[Login]:
        now = self._clock()
        names = set(_names(directory))
        for name in sorted(names):
            # A crash, or a use at the same time, may leave a record beside the one that says that it is revoked.
            stands = name.endswith(".revoked") or name.replace(".json", ".revoked") not in names
            if stands and _expires(name) > now and (login := _read(directory / name)):
                yield login

    def _in_grace(self, token: RefreshToken, login: Login) -> bool:
        return token.generation == login.generation - 1 and self._clock() - login.raised <= GRACE_SECONDS

    def _raise(self, path: Path, generation: int) -> None:
        try:
            with locked(str(self._directory / "records")):
                login = _read(path)
                if login and login.generation < generation:
                    changed = replace(login, generation=generation, raised=int(self._clock()))
                    replace_file(str(path), _content(changed))
        except OSError as error:
            logger.warning("refresh tokens cannot be recorded: %s", error)

    def _record(self, login: Login) -> None:
        if not self.recorded:
            return
        path = self._path(login.user, login.id, login.expires)
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            self._make_room(path.parent)
            replace_file(str(path), _content(login))
        except OSError as error:
            logger.warning("refresh tokens cannot be recorded: %s", error)

    def _make_room(self, directory: Path) -> None:
        now = self._clock()
        if now - self._swept >= _SWEEP_SECONDS:
            self._swept = now
            for each in self._directory.iterdir():
                if each.is_dir():
                    _sweep(each, now)
        names = _sweep(directory, now)
        if len(names) >= MOST_LOGINS:
            going = min(names, key=lambda name: (name.endswith(".revoked"), _expires(name)))
            (directory / going).unlink(missing_ok=True)

    def _path(self, user: str, login_id: str, expires: int) -> Path:
        if not _ID.fullmatch(login_id):
            raise LoginRevokedError("its login has no id that can be recorded")
        return self._directory / _digest(user) / f"{login_id}-{expires}.json"


def _writable(directory: Path) -> bool:
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        if os.access(directory, os.W_OK | os.X_OK):
            return True
        reason = "it is not writable"
    except OSError as error:
        reason = error.strerror or str(error)
    _warn(directory, reason)
    return False


def _warn(directory: Path, reason: str) -> None:
    logger.warning(
        "refresh tokens are not recorded in %s (%s): they do not rotate, and cannot be listed or revoked one by one",
        directory,
        reason,
    )


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _digest(user: str) -> str:
    return hashlib.sha256(user.encode(errors="surrogatepass")).hexdigest()[:32]


def _names(directory: Path) -> list[str]:
    try:
        return [name for name in os.listdir(directory) if _NAME.fullmatch(name)]  # noqa: PTH208  names are all it needs
    except FileNotFoundError:
        return []


def _sweep(directory: Path, now: float) -> list[str]:
    """Delete the records of logins that have expired; return the names of the others."""
    names = _names(directory)
    going = {name for name in names if _expires(name) <= now}
    for name in going:
        (directory / name).unlink(missing_ok=True)
    return [name for name in names if name not in going]


def _expires(name: str) -> int:
    return int(name.rpartition("-")[2].partition(".")[0])


def _content(login: Login) -> bytes:
    kept = {name: value for name, value in asdict(login).items() if name not in {"used", "revoked"}}
    return json.dumps(kept).encode() + b"\n"


def _read(path: Path) -> Login | None:
    """Return the login in a file, None if there is none; one that cannot be parsed is none, and is written anew."""
    try:
        with path.open("rb") as file:
            content, used = file.read(), int(os.fstat(file.fileno()).st_mtime)
        login = Login(**json.loads(content))
        # The clock of a file system may be a little behind.
        return replace(login, used=max(used, login.created), revoked=path.suffix == ".revoked")
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None
