"""Where the credentials for an upstream are: in our configuration, in a file, with a program, in that of docker."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING, Final, TypeVar

from registry.foundation.docker_config import DockerConfig, Entry
from registry.foundation.errors import ParameterError
from registry.foundation.files import FileError, WatchedFile
from registry.upstream.credentials import Credential, CredentialsError
from registry.upstream.helper import HelperCredentials
from registry.upstream.realms import registrable_domain

if TYPE_CHECKING:
    from registry.config.upstreams import UpstreamAuth
    from registry.upstream.credentials import Credentials

T = TypeVar("T")

_INDEX: Final = "/v1/"
"""How a key ends that names an index of version 1: another host of its domain is the registry by now."""

_PROGRAM: Final = "docker-credential-"


def credentials_of(auth: UpstreamAuth, registry_host: str, login: tuple[str, str] | None) -> Credentials:
    """Return the one source that is configured for the registry at `registry_host`; `login` is that of its URL.

    Raises:
        ParameterError: its file cannot be read, or its program is not there.
    """
    if auth.exec.command:
        if shutil.which(auth.exec.command) is None:
            raise ParameterError(f"auth.exec.command: {auth.exec.command} is not a program that can be run here")
        return HelperCredentials(auth.exec.command, auth.exec.lifetime_seconds)
    if auth.dockerconfig:
        return _OfDockerConfig(auth.dockerconfig, registry_host)
    if auth.passwordfile:
        return _OfFile(auth.username, auth.passwordfile)
    user, password = (auth.username, auth.password) if auth.username else login or ("", "")
    return _OfConfiguration(Credential(user, password) if user else None)


class _OfConfiguration:
    def __init__(self, credential: Credential | None) -> None:
        self._credential = credential

    def current(self, _: str) -> Credential | None:
        return self._credential

    def renew(self) -> None:
        pass


class _OfFile:
    """A password in a file, read again when that changes; what ends its line is not part of it."""

    def __init__(self, user: str, path: str) -> None:
        self._user = user
        self._file = WatchedFile(path, lambda content: content.decode().rstrip("\r\n"))
        _require(self._file, "auth.passwordfile")

    def current(self, _: str) -> Credential | None:
        return Credential(self._user, _said_by(self._file))

    def renew(self) -> None:
        pass


class _OfDockerConfig:
    """A file of docker's, read again when it changes: what it says of the registry, or the programs that it names."""

    def __init__(self, path: str, registry_host: str) -> None:
        self._file = WatchedFile(path, DockerConfig.parse)
        _require(self._file, "auth.dockerconfig")
        self._host = registry_host
        self._lock = threading.Lock()
        self._helpers: dict[str, HelperCredentials] = {}

    def current(self, _: str) -> Credential | None:
        config = _said_by(self._file)
        entry = _entry_for(self._host, config.entries) or Entry(self._host)
        program = config.helpers.get(entry.host, config.store)
        if program:
            with self._lock:
                helper = self._helpers.setdefault(program, HelperCredentials(_PROGRAM + program, None))
            return helper.current(entry.key)
        return Credential(entry.user, entry.secret) if entry.secret else None

    def renew(self) -> None:
        with self._lock:
            for helper in self._helpers.values():
                helper.renew()


def _entry_for(host: str, entries: tuple[Entry, ...]) -> Entry | None:
    """Return the entry of `host`; else that of an index of version 1 in its domain."""
    same = next((entry for entry in entries if entry.host == host), None)
    domain = registrable_domain(host.partition(":")[0])
    if same or not domain:
        return same
    indexes = (entry for entry in entries if entry.key.endswith(_INDEX))
    return next((entry for entry in indexes if registrable_domain(entry.host.partition(":")[0]) == domain), None)


def _require(file: WatchedFile[T], name: str) -> None:
    try:
        file.require()
    except FileError as error:
        raise ParameterError(f"{name}: {error}") from error


def _said_by(file: WatchedFile[T]) -> T:
    try:
        return file.current()
    except FileError as error:
        raise CredentialsError(str(error)) from error
