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
"""Not the Go registry's ``blobs::``: it takes what it finds there for the truth."""
_SIZE: Final = re.compile(rb"[0-9]{1,18}")
_T = TypeVar("_T")


class RedisObserver(Protocol):
    """Is told of the calls of redis."""

    def redis_called(self, operation: str, seconds: float) -> None:
        """Count a call; `operation` is named as in the Go registry, where it exists there."""

    def cache_failed(self) -> None:
        """Count a call that has failed."""


class RedisDescriptors:
    """Sizes that all hosts share, for LIFETIME_SECONDS each. Without redis nothing is remembered, and nothing fails.

    A value that is not a number, which another program may have written, counts as absent.
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
        with suppress(MaxConnectionsError):  # all connections are in use, so it answers
            self._connected().get(f"{_PREFIX}none")

    def _ask(self, operation: str, command: Callable[[Client], _T]) -> _T | None:
        if not self._circuit.usable():
            return None
        began = perf_counter()
        try:
            return command(self._connected())
        except (ResponseError, MaxConnectionsError) as error:
            # Redis has answered, and quickly: a refusal keeps no request away from it, unless its cluster is down.
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
        # Making the client of a cluster connects to it. The circuit does that: requests come here once it is closed.
        with self._connecting:
            if self._client is None:
                self._client = self._connector.connect()
            return self._client
