"""What can be checked, in the words of the Go registry. A check returns, or raises what is wrong."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.config import ConfigurationError, Findings
from registry.foundation import addresses
from registry.foundation.fetching import FetchError, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver
    from registry.config.remote import FileCheck, Health, HTTPCheck, TCPCheck

STORAGE: Final = "storage"
"""The kind of the check of the storage."""
_INTERVAL_SECONDS = 10.0


class CheckFailedError(Exception):
    """What a check found wrong, in one line."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at every so often; it counts as failing after `threshold` failures in a row.

    While a check with `refuses` fails, the API is refused; while another fails, the registry is only not ready. A check
    of what is not `needed` is only reported: the registry works without it. The name may be a path, an address or a
    URL; anybody may know the `kind`.
    """

    name: str
    look: Callable[[], None]
    interval_seconds: float
    threshold: int
    refuses: bool = True
    needed: bool = True
    kind: str = "check"


def configured_checks(section: Health, driver: StorageDriver, *, read_only: bool = False) -> Iterator[Check]:
    """Yield the checks of the ``health`` section, and always that of the storage: readiness depends on it.

    `read_only` says that nothing will be written to the storage.
    """
    storage = section.storagedriver
    name = f"storagedriver_{driver.name}"
    seconds, threshold = storage.interval_seconds, storage.threshold
    yield Check(
        name, partial(driver.probe, read_only=read_only), seconds, threshold, refuses=storage.enabled, kind=STORAGE
    )
    for file in section.file:
        yield Check(file.file, _file(file), file.interval_seconds, file.threshold, kind="file")
    for http in section.http:
        yield Check(http.uri, _http(http), http.interval_seconds, http.threshold, kind="http")
    for tcp in section.tcp:
        yield Check(tcp.addr, _tcp(tcp), tcp.interval_seconds, tcp.threshold, kind="tcp")


def require_possible(section: Health) -> None:
    """Return if every check of the ``health`` section is one that can be passed.

    Raises:
        ConfigurationError: one names nothing that could be looked at: the registry would be unhealthy for ever.
    """
    findings = Findings()
    for index, file in enumerate(section.file):
        with findings.gathered():
            if not file.file:
                raise ConfigurationError(f"health.file[{index}].file", "missing: the path of the file to look for")
    for index, http in enumerate(section.http):
        with findings.gathered():
            if not http.uri.lower().startswith(("http://", "https://")):
                raise ConfigurationError(f"health.http[{index}].uri", "must be a URL with http:// or https://")
            _require_askable(http.uri, f"health.http[{index}].uri")
    for index, tcp in enumerate(section.tcp):
        with findings.gathered():
            try:
                addresses.parse(tcp.addr)
            except ValueError as error:
                raise ConfigurationError(f"health.tcp[{index}].addr", str(error)) from error
    findings.conclude()


def _require_askable(url: str, key: str) -> None:
    # What speaks HTTP is loaded where there is such a check.
    from registry.foundation.http_client import HttpError, Location  # noqa: PLC0415

    try:
        Location.parse(url)
    except HttpError as error:
        raise ConfigurationError(key, f"nothing can be asked there: {error}") from error


def optional_check(name: str, look: Callable[[], None]) -> Check:
    """Return a check of what the registry can do without; anybody may know `name`."""
    return Check(name, look, _INTERVAL_SECONDS, threshold=1, refuses=False, needed=False, kind=name)


def _file(section: FileCheck) -> Callable[[], None]:
    def look() -> None:
        if Path(section.file).exists():
            raise CheckFailedError("file exists")

    return look


def _http(section: HTTPCheck) -> Callable[[], None]:
    headers = {name: ", ".join(values) for name, values in section.headers.items()}

    def look() -> None:
        try:
            status = status_of(section.uri, timeout_seconds=section.timeout_seconds or None, headers=headers)
        except FetchError as error:
            raise CheckFailedError(f"error while checking: {section.uri}: {error}") from None
        if status != section.statuscode:
            raise CheckFailedError(f"downstream service returned unexpected status: {status}")

    return look


def _tcp(section: TCPCheck) -> Callable[[], None]:
    def look() -> None:
        try:
            socket.create_connection(addresses.parse(section.addr), section.timeout_seconds or None).close()
        except (OSError, ValueError) as error:
            raise CheckFailedError(f"connection to {section.addr} failed: {error}") from None

    return look
