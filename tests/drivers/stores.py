"""The object stores of the three drivers as real servers: SeaweedFS, fake-gcs-server and Azurite."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drivers.base import StorageDriver

STORES = [
    pytest.param("s3", marks=pytest.mark.s3),
    pytest.param("gcs", marks=pytest.mark.gcs),
    pytest.param("azure", marks=pytest.mark.azure),
]
"""A parameter for each store, which ``make test-s3``, ``test-gcs`` and ``test-azure`` choose by its mark."""


class StoreMedium(Protocol):
    """A part of a store that only one test uses."""

    root: str

    def driver(self, **more: object) -> StorageDriver: ...

    def write(self, path: str, content: bytes) -> None: ...


class Store(Protocol):
    """A server and the bucket or container in it that tests use; `name` is that of its driver."""

    name: ClassVar[str]

    def parameters(self, root: str = "", **more: object) -> dict[str, object]: ...

    def direct(self) -> dict[str, object]: ...

    def medium(self) -> StoreMedium: ...


def storage_of(store: Store, root: str = "", **more: object) -> dict[str, object]:
    """Give the section ``storage`` of a registry that has `root` in the store and streams what clients pull."""
    return {store.name: store.parameters(root, **more), "redirect": {"disable": True}}


@contextmanager
def running_store(name: str, directory: Path) -> Iterator[Store]:
    """Run the store of the driver `name`. Only the SDK of this one need be installed."""
    if name == "s3":
        from tests.drivers.s3.servers import seaweedfs  # noqa: PLC0415

        with seaweedfs(directory) as s3:
            yield s3
    elif name == "gcs":
        from tests.drivers.gcs.server import fake_gcs  # noqa: PLC0415

        with fake_gcs(directory) as gcs:
            yield gcs
    else:
        from tests.drivers.azure.server import azurite  # noqa: PLC0415

        with azurite(directory) as azure:
            yield azure
