"""Clocks of hosts and of the storage that are hours apart: ages are told by that of the storage alone."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.lifecycle.online import Terms
from registry.oci.digest import Digest
from registry.oci.errors import ManifestDependenciesError
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag
from registry.publishing import Operator, Publishing
from registry.storage import paths
from registry.storage.passage import Passage
from registry.storage.repository import Repositories
from registry.storage.runs import Run, Runs
from registry.storage.validation import ValidationPolicy
from tests.archive.images import blob, fill
from tests.content import image
from tests.drivers.aging import AgingDriver
from tests.drivers.skewed import SkewedDriver
from tests.lifecycle.runs import collect

if TYPE_CHECKING:
    from drivers.base import StorageDriver

pytestmark = [pytest.mark.usefixtures("pace"), pytest.mark.parametrize("skew", [-7200.0, 0.0, 7200.0])]

HOUR = 3600.0
TERMS = Terms(grace_seconds=HOUR)


def condemned(driver: StorageDriver, digest: Digest) -> bool:
    return bool(list(driver.walk(paths.condemned_layer_link("a", digest).rpartition("/")[0])))


def test_what_is_younger_than_the_grace_stays_and_what_is_older_goes(
    skew: float, caplog: pytest.LogCaptureFixture
) -> None:
    aging = AgingDriver(InMemoryDriver())
    driver = SkewedDriver(aging, skew)
    repository = Repositories(driver).open("a")
    fill(repository, layer_bytes=600)
    digest = Digest.parse(blob(repository, b"loose")["digest"])

    for passed, stands, waits in ((0.5, True, False), (0.6, False, True), (0.5, False, True), (0.6, False, False)):
        aging.pass_time(passed * HOUR)
        collect(driver, TERMS)
        assert (repository.blobs.has(digest), condemned(driver, digest)) == (stands, waits)

    assert paths.blob_data(digest) not in {found.path for found in driver.walk(paths.BLOBS)}
    assert ("the clocks of this host and of the storage differ" in caplog.text) == bool(skew)


@pytest.mark.parametrize(("age", "is_back"), [(0.9, True), (1.1, False)])
def test_a_push_brings_back_what_was_condemned_within_the_grace_and_nothing_older(
    skew: float, age: float, *, is_back: bool
) -> None:
    aging = AgingDriver(InMemoryDriver())
    driver = SkewedDriver(aging, skew)
    repository = Repositories(driver).open("a")
    for content in (b"{}", b"layer"):
        blob(repository, content)
    layer = Digest.of(b"layer")
    driver.put(paths.condemned_layer_link("a", layer), str(layer).encode())
    driver.delete(paths.layer_link("a", layer))
    Runs(driver).write(Run(2))
    aging.pass_time(age * HOUR)
    publishing = Publishing(ValidationPolicy(), Operator(), passage=Passage(Runs(driver), HOUR))
    content = image(b"{}", b"layer")

    with nullcontext() if is_back else pytest.raises(ManifestDependenciesError):
        publishing.push_manifest(repository, parse_manifest(content), Digest.of(content), [Tag("v1")])

    assert repository.blobs.has(layer) == is_back
