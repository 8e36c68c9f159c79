"""What a repository keeps beside what the Go registry does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.oci.digest import Digest
from registry.storage import paths
from registry.storage.repository import Repositories

if TYPE_CHECKING:
    from drivers.inmemory import InMemoryDriver


def test_what_is_remembered_of_another_registry_goes_with_the_repository(driver: InMemoryDriver) -> None:
    repositories = Repositories(driver)
    for path in (paths.proxied_tag("a", "v1"), paths.proxied_referrers("a/b", Digest.of(b""))):
        driver.put(path, b"{}")
    assert list(repositories.catalog.keeping()) == ["a", "a/b"]
    assert list(repositories.catalog.linking()) == []

    repositories.open("a").delete()

    assert list(repositories.catalog.keeping()) == ["a/b"]
    repositories.open("a/b").delete()
    assert driver.list(paths.REPOSITORIES, limit=1) == []
