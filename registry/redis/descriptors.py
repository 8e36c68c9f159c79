"""Sizes of blobs in redis: ``storage.cache.blobdescriptor: redis``."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from redis.exceptions import ClusterDownError, MaxConnectionsError, ResponseError

from registry.redis.circuit import Circuit
from registry.storage.descriptors import LIFETIME_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.oci.digest import Digest
    from registry.redis.connecting import Client, Connector

_PREFIX: Final = "registry:blob-size:"
"""Not the Go registry's ``blobs::``, which holds what it takes for the truth."""
_SIZE: Final = re.compile(rb"[0-9]{1,18}")
_T = TypeVar("_T")


class RedisObserver(Protocol):
    """Whom calls of redis are reported to."""

    def redis_called(self, operation: str, seconds: float) -> None:
        """Be told of a call; `operation` is named as in the Go registry, where it exists there."""

    def cache_failed(self) -> None:
        """Be told that a call has failed."""


class RedisDescriptors:
    """Sizes that all hosts share, for LIFETIME_SECONDS each. Without redis nothing is remembered, and nothing fails.

    What another program may have written there is absent unless it is a number.
    """

    def __init__(self, connector: Connector, observer: RedisObserver | None = None) -> None:
        self._connector = connector
        self._observer = observer
        self._client: Client | None = None
        self._connecting = threading.Lock()
        self._circuit = Circuit(connector.name, self._knock)

    def look(self) -> None:
        """Return if redis answers.

        Raises:
            Exception: what is wrong, in one line.
        """
        self._circuit.look()

    def get(self, digest: Digest) -> int | None:
        key = f"{_PREFIX}{digest}"
        value = self._ask("Stat", lambda client: client.get(key))
        if value is None:
            return None
        return int(value) if _SIZE.fullmatch(value) else None

    def put(self, digest: Digest, size: int) -> None:
        key = f"{_PREFIX}{digest}"
        self._ask("SetDescriptor", lambda client: client.set(key, size, ex=LIFETIME_SECONDS))

    def drop(self, digest: Digest) -> None:
        key = f"{_PREFIX}{digest}"
        self._ask("Clear", lambda client: client.delete(key))

    def _knock(self) -> None:
        with suppress(MaxConnectionsError):  # it is asked by everybody else just now
            self._connected().get(f"{_PREFIX}none")

    def _ask(self, operation: str, command: Callable[[Client], _T]) -> _T | None:
        if not self._circuit.usable():
            return None
        began = perf_counter()
        try:
            return command(self._connected())
        except (ResponseError, MaxConnectionsError) as error:
            # It is there and quick; to say no once is no reason to keep away. A cluster that is down is not there.
            self._failed(self._circuit.broke if isinstance(error, ClusterDownError) else self._circuit.complain, error)
        except Exception as error:  # noqa: BLE001  whatever a client trips over, the storage knows
            self._failed(self._circuit.broke, error)
        finally:
            if self._observer:
                self._observer.redis_called(operation, perf_counter() - began)
        return None

    def _failed(self, tell: Callable[[Exception], None], error: Exception) -> None:
        if self._observer:
            self._observer.cache_failed()
        tell(error)

    def _connected(self) -> Client:
        # To make the client of a cluster is to talk to it: before it is made, nobody but the circuit comes here.
        with self._connecting:
            if self._client is None:
                self._client = self._connector.connect()
            return self._client
