"""A container of Azure Blob Storage, with objects under the keys that the Go registry gives them.

Any number of processes on any number of hosts may serve one container. drivers.azure.uploads says how uploads are
kept. An upload that the Go registry has begun is an append blob and cannot be continued: its client is told to begin
again. Blobs that it has published are read like ours.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from drivers.azure.client import Client
from drivers.azure.container import Container
from drivers.azure.errors import ConflictError
from drivers.azure.parameters import AzureParameters
from drivers.azure.uploads import DEFAULT_BLOCK, AzureWriter
from drivers.base import PathExistsError, PathNotFoundError, Writer
from drivers.flat import FlatDriver, delete_tree
from registry.foundation.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_THREADS: Final = 32


class AzureDriver(FlatDriver):
    """The blobs of `container` below `root`; uploads grow by blocks of `block_size` bytes."""

    name = "azure"

    def __init__(self, container: Container, root: str = "", *, block_size: int = DEFAULT_BLOCK) -> None:
        super().__init__(container, root)
        self._container = container
        self._block_size = block_size
        self.circuit = container.circuit

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        read = AzureParameters.read(parameters)
        pool = Pool(_THREADS, thread_name_prefix="azure")
        return cls(Container(Client(read), read, pool), read.rootdirectory)

    def check(self, *, below: Sequence[str] = (), read_only: bool = False) -> None:
        del below, read_only
        self._container.check()

    def delete(self, path: str) -> None:
        if not delete_tree(self._container, self._keys.key(path)):
            raise PathNotFoundError(f"azure: delete {path}: there is nothing")

    def create_upload(self, path: str) -> None:
        with suppress(PathExistsError):
            self._container.create(self._keys.key(path), b"")

    def upload_size(self, path: str) -> int:
        return self._container.stat(self._keys.key(path)).size

    def open_upload(self, path: str) -> Writer:
        stored = self._container.blocks(self._keys.key(path))
        return AzureWriter(self._container, self._keys, path, stored, self._block_size)

    def read_upload(self, path: str, start: int = 0) -> Iterator[bytes]:
        return self._pieces(self._container.stream(self._keys.key(path), start))

    @staticmethod
    def _pieces(pieces: Iterator[bytes]) -> Iterator[bytes]:
        with suppress(ConflictError):  # there is more by now, or it has ended: the next reading tells
            yield from pieces

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        del method, client  # one permission covers GET and HEAD
        return self._container.signed_url(self._keys.key(path))
