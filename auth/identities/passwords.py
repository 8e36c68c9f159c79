"""Users and their bcrypt hashes in a file of Apache's format, checked as the Go registry checks them."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import bcrypt
from passlib.apache import HtpasswdFile

from auth.base import ControllerError, Grant, ThrottledError
from auth.identities.line import Line, LineFullError
from registry.foundation.files import FileError, WatchedFile, check_creatable_file, create_file
from registry.foundation.proxies import customer_of
from registry.foundation.recent import RecentlyUsed
from registry.foundation.shared_set import SharedSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from auth.base import Request
    from auth.headers import Credentials
    from auth.identities.throttle import FailureThrottle

logger = logging.getLogger(__name__)

MEMORY_SECONDS = 300
"""For how long a password that matched is not put through bcrypt again."""

_PROOF = "password"
_MOST_GUESSES = 64
_MOST_GUESSES_OF_ONE = 48
_BCRYPT_BYTES = 72
_NAME_BYTES = 255
_HASH_BYTES = 60
_COST = 10
_BCRYPT = re.compile(rb"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_NOBODY = b"$2b$10$C6UzMDM.H6dfI/f/IKcEeO5s8oX1Jw1lYq1bYdV4Q0d0m8m0c0m6u"
_KINDS = (
    (b"$apr1$", "MD5 (apr1)"),
    (b"{SHA}", "SHA-1"),
    (b"$5$", "SHA-256 crypt"),
    (b"$6$", "SHA-512 crypt"),
    (b"$2", "a malformed bcrypt hash"),
)


@dataclass(frozen=True, slots=True)
class Entries:
    """What an htpasswd file says: the bcrypt hash of each user whose hash is one."""

    hashes: Mapping[str, bytes]

    def stand_in(self, user: str, key: bytes) -> bytes:
        """Return the hash to check, in vain, for a user who is not in the file.

        It is one of the file's own, always the same for one name. So the time that an answer takes does not tell
        whether the user exists, even where the costs of the hashes differ.
        """
        if not self.hashes:
            return _NOBODY
        digest = hmac.digest(key, user.encode(errors="surrogatepass"), "sha256")
        return list(self.hashes.values())[int.from_bytes(digest) % len(self.hashes)]


@dataclass(frozen=True, slots=True)
class _Match:
    """That a password matched: in which reading of the file, and until when it is believed."""

    entries: Entries
    until: float


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A password to be compared with the hash `expected`, in vain unless it is that of a known user.

    `text` is both in one, and `digest` its digest with the key of this process.
    """

    entries: Entries
    expected: bytes
    password: bytes
    text: bytes
    digest: bytes
    is_known: bool


class PasswordFile:
    """Checks passwords against an htpasswd file as it stands at each call, a few at a time.

    A bcrypt check costs 50 to 300 ms of processor time and a client sends its password with every request,
    so this process remembers what matched: under a keyed digest of hash and password, for five minutes, and
    not past a change of the file. Neither passwords nor anything they could be recovered from is kept.

    What matched before, in any process of the server, is known not to be a guess. It is checked again whatever failed,
    because others did, and it does not wait behind what may be a guess.
    """

    def __init__(
        self,
        path: str,
        throttle: FailureThrottle,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._file = WatchedFile(path, parse)
        self._throttle = throttle
        self._clock = clock
        self._sleep = sleep
        self._key = secrets.token_bytes(32)
        self._matched: RecentlyUsed[bytes, _Match] = RecentlyUsed()
        self._guesses = Line(most=_MOST_GUESSES, most_of_one=_MOST_GUESSES_OF_ONE)
        self._proofs = Line()
        self._proven = SharedSet()

    def share(self, proven: SharedSet) -> None:
        """Keep in `proven` what has matched, for all processes that were forked with it; call it before any check."""
        self._proven = proven

    def matches(
        self, credentials: Credentials, address: str, before_waiting: Callable[[], None] = lambda: None
    ) -> bool:
        """Tell whether the password is the user's; `before_waiting` is called where that will take long.

        Raises:
            ThrottledError: too many attempts of this user from this address failed, or too many wait.
            ControllerError: the file is missing or malformed.
        """
        entries = self._entries()
        known = entries.hashes.get(credentials.user)
        expected = known or entries.stand_in(credentials.user, self._key)
        # A hash has no zero byte, so no two pairs run together alike.
        text = expected + b"\0" + credentials.password
        digest = hmac.digest(self._key, text, "sha256")
        if known and self._remembers(entries, digest):
            return True
        attempt = _Attempt(entries, expected, credentials.password, text, digest, is_known=known is not None)
        # A stranger costs as much as a user here, and is as often refused.
        if text in self._proven and attempt.is_known:
            before_waiting()
            with self._proofs.turn(credentials.user):
                return self._check(attempt)
        delay = self._throttle.delay_seconds(address, credentials.user)
        before_waiting()
        if delay:
            self._sleep(delay)
        try:
            matched = self._check_guess(attempt, address, credentials.user)
        except LineFullError:
            raise ThrottledError(1, "too many log in at a time") from None
        if not matched and delay is not None:
            raise ThrottledError(1)
        return matched

    def _check_guess(self, attempt: _Attempt, address: str, user: str) -> bool:
        with self._guesses.turn(customer_of(address)):
            # Others may have failed meanwhile.
            self._throttle.check(address, user)
            matched = self._check(attempt)
            if not matched:
                self._throttle.failed(address, user)
            return matched

    def _check(self, attempt: _Attempt) -> bool:
        """Put the password through bcrypt, unless another request has done so meanwhile."""
        if attempt.is_known and self._remembers(attempt.entries, attempt.digest):
            return True
        # As in Go, bytes past the 72nd count for nothing; the library would refuse them.
        matched = bcrypt.checkpw(attempt.password[:_BCRYPT_BYTES], attempt.expected) and attempt.is_known
        if matched:
            self._proven.add(attempt.text)
            self._matched.put(attempt.digest, _Match(attempt.entries, self._clock() + MEMORY_SECONDS))
        return matched

    def proven(self, credentials: Credentials, request: Request) -> Grant | None:
        """Return whose `credentials` are, which came with `request`, if they are right; see stands() for the proof.

        Raises:
            ThrottledError, ControllerError: as matches().
        """
        if not self.matches(credentials, request.remote_address, request.before_waiting):
            return None
        return Grant(credentials.user, f"{_PROOF}:{self.fingerprint(credentials.user)}")

    def stands(self, user: str, proof: str) -> bool:
        """Tell whether what proven() has returned for `user` is still good: the password was not set anew.

        Raises:
            ControllerError: the file is missing or malformed.
        """
        kind, _, fingerprint = proof.partition(":")
        return kind == _PROOF and self.fingerprint(user) == fingerprint

    def has(self, user: str) -> bool:
        """Tell whether `user` can log in with a password.

        Raises:
            ControllerError: the file is missing or malformed.
        """
        return user in self._entries().hashes

    def fingerprint(self, user: str) -> str | None:
        """Return a text that changes when the password of `user` is set anew, None for a stranger.

        Raises:
            ControllerError: the file is missing or malformed.
        """
        known = self._entries().hashes.get(user)
        return None if known is None else hashlib.sha256(known).hexdigest()[:16]

    def _entries(self) -> Entries:
        try:
            return self._file.current()
        except FileError as error:
            raise ControllerError(str(error)) from error

    def _remembers(self, entries: Entries, digest: bytes) -> bool:
        found = self._matched.get(digest)
        # Another object is another reading of the file, even where it says the same.
        return found is not None and found.entries is entries and self._clock() < found.until


def parse(content: bytes) -> Entries:
    """Return the entries of an htpasswd file: the last line of a user counts, as in Go.

    A hash that is not bcrypt's is left out, with a line in the log.

    Raises:
        ValueError: a line is neither blank nor a comment and has no colon.
    """
    lines: dict[str, bytes] = {}
    for line in lines_of(content):
        # Of a user's lines passlib takes the first, and it cannot read a second colon. It gets what Go reads.
        lines.pop(line.user, None)
        if line.fault:
            logger.error("htpasswd line %d: user %r cannot log in: %s", line.number, line.user, line.fault)
        else:
            lines[line.user] = line.name + b":" + line.hashed
    file = HtpasswdFile.from_string(b"\n".join(lines.values()))
    return Entries({user: found for user in lines if (found := file.get_hash(user))})


@dataclass(frozen=True, slots=True)
class UserLine:
    """A line of an htpasswd file that has a user; `fault` says why that one cannot log in by it, "" if nothing does."""

    number: int
    name: bytes
    hashed: bytes
    fault: str

    @property
    def user(self) -> str:
        """The name as text."""
        return self.name.decode(errors="backslashreplace")


def lines_of(content: bytes) -> Iterator[UserLine]:
    """Yield the lines of an htpasswd file that are neither blank nor comments.

    Raises:
        ValueError: one of them has no colon.
    """
    for number, line in enumerate(content.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith(b"#"):
            continue
        name, colon, hashed = stripped.partition(b":")
        if not colon:
            raise ValueError(f"line {number} has no colon; expected USER:HASH")
        hashed = hashed[:_HASH_BYTES] if _BCRYPT.match(hashed) else hashed  # Go compares no more than this
        yield UserLine(number, name, hashed, _fault(name, hashed))


def _fault(name: bytes, hashed: bytes) -> str:
    try:
        name.decode()
    except UnicodeDecodeError:
        return "the name is not UTF-8"
    if len(name) > _NAME_BYTES or b"\0" in name or b"\t" in name:
        return f"the name has a control character or more than {_NAME_BYTES} bytes"
    if _BCRYPT.fullmatch(hashed):
        return ""
    kind = next((kind for start, kind in _KINDS if hashed.startswith(start)), "of an unknown kind or plain text")
    return f"the hash is {kind}, only bcrypt is accepted; set it anew with `htpasswd -B` or `registry htpasswd`"


def provision(path: str) -> None:
    """Create a missing htpasswd file with user ``docker`` and a random password, logged this once.

    Raises:
        OSError: it cannot be created.
    """
    if Path(path).exists():
        return
    password = secrets.token_urlsafe(32)
    if create_file(path, b"docker:" + hash_password(password.encode())):
        logger.warning(
            "htpasswd is missing, provisioning with default user: user=docker password=%s",
            password,
            extra={"user": "docker", "password": password},
        )


def examine(path: str) -> None:
    """Change nothing, and log what is wrong with an htpasswd file, or that there is none.

    Raises:
        OSError: it is missing, and :func:`provision` could not create it.
    """
    if Path(path).exists():
        with suppress(FileError):  # it has been logged, and may be mended while the registry runs
            WatchedFile(path, parse).current()
        return
    check_creatable_file(path)
    logger.info("there is no %s: it is created at the start, with the user docker and a random password", path)


def hash_password(password: bytes, cost: int = _COST) -> bytes:
    """Return the bcrypt hash of `password` with the prefix that Apache writes.

    Raises:
        ValueError: `password` is longer than bcrypt's 72 bytes, or empty.
    """
    if not 0 < len(password) <= _BCRYPT_BYTES:
        raise ValueError(f"a password has 1 to {_BCRYPT_BYTES} bytes, this one {len(password)}")
    return b"$2y$" + bcrypt.hashpw(password, bcrypt.gensalt(cost)).removeprefix(b"$2b$")
