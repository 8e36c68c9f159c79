"""Credentials that a program keeps: docker's credential helpers."""

from __future__ import annotations

import json
import logging
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from registry.foundation.printable import printable
from registry.upstream.credentials import Credential, CredentialsError

_log = logging.getLogger(__name__)

_TIMEOUT_SECONDS: Final = 10
_RENEWAL_SECONDS: Final = 60.0
"""How soon a program is asked again for what was refused: clients may ask, again and again, for what is not for us."""

_FAILURE_SECONDS: Final = 10.0
"""How soon a program is asked again that has failed."""

_IDENTITY: Final = "<token>"
"""The user in whose place a refresh token is given."""

_NOT_FOUND: Final = "credentials not found"
_SHOWN: Final = 200


@dataclass(slots=True)
class _Given:
    at: float
    credential: Credential | None = None
    error: str = ""
    refused: bool = False


class HelperCredentials:
    """What the program `command` gives, one word without arguments.

    It is asked again after `lifetime_seconds`: None is never, 0 is each time. What was refused is asked for again
    whatever the lifetime, but at most once a minute.
    """

    def __init__(self, command: str, lifetime_seconds: float | None) -> None:
        self._command = command
        self._lifetime_seconds = lifetime_seconds
        self._lock = threading.Lock()
        self._given: dict[str, _Given] = {}

    def current(self, host: str) -> Credential | None:
        """Return what the program gives for `host`; None if it has nothing."""
        with self._lock:
            given = self._given.get(host)
            if given is None or self._is_due(given):
                given = self._given[host] = self._ask(host)
        if given.error:
            raise CredentialsError(given.error)
        return given.credential

    def renew(self) -> None:
        """Ask again when one is wanted next, unless that was just done."""
        with self._lock:
            for given in self._given.values():
                given.refused = True

    def _is_due(self, given: _Given) -> bool:
        age = time.monotonic() - given.at
        if given.error:
            return age >= _FAILURE_SECONDS
        if given.refused and age >= _RENEWAL_SECONDS:
            return True
        return self._lifetime_seconds is not None and age >= self._lifetime_seconds

    def _ask(self, host: str) -> _Given:
        try:
            credential = ask_helper(self._command, host)
        except CredentialsError as error:
            _log.error("%s", error)
            return _Given(time.monotonic(), error=str(error))
        return _Given(time.monotonic(), credential)


def ask_helper(command: str, key: str) -> Credential | None:
    """Return what ``COMMAND get`` gives for `key`, which it reads from standard input; None if it has nothing.

    It has 10 seconds. The protocol is that of github.com/docker/docker-credential-helpers.

    Raises:
        CredentialsError: it cannot be run, fails, or gives what is not a login.
    """
    try:
        done = subprocess.run(  # noqa: S603  the operator names it
            [command, "get"], input=key.encode(), capture_output=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise CredentialsError(f"the credential helper {command} takes more than {_TIMEOUT_SECONDS} s") from None
    except (OSError, ValueError) as error:
        raise CredentialsError(f"the credential helper {command} cannot be run: {error}") from error
    if done.returncode:
        said = (done.stdout.strip() or done.stderr.strip()).decode(errors="replace")
        if said.startswith(_NOT_FOUND):
            return None
        shown = printable(said[:_SHOWN])
        raise CredentialsError(f"the credential helper {command} ends with {done.returncode}: {shown}")
    try:
        document: Any = json.loads(done.stdout)
        user, secret = document["Username"], document["Secret"]
    except (ValueError, LookupError, TypeError, RecursionError):
        user = secret = None
    if not isinstance(user, str) or not isinstance(secret, str):
        raise CredentialsError(f"the credential helper {command} gives no login")
    return Credential("" if user == _IDENTITY else user, secret) if secret or user else None
