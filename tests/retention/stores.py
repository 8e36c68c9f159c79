"""A storage whose clock a test sets, and images in it that have no content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from drivers.base import Stat
from drivers.inmemory import InMemoryDriver
from registry.config.retention import Retention, RetentionRule
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag
from registry.publishing import Operator, Publishing
from registry.retention.plan import Plan
from registry.retention.reports import Reports
from registry.retention.untagging import Untagging
from registry.storage import paths
from registry.storage.repository import Repositories
from registry.storage.validation import ValidationPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import Found, StorageDriver
    from registry.config.retention import Keep
    from registry.oci.manifest import Manifest
    from registry.retention.reports import Report

NOW = 1_700_000_000.0
DAY = 24 * 3600.0


class DatedDriver(InMemoryDriver):
    """A storage that says of each object that it was written at `now`, as that was then."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self._dates: dict[str, float] = {}

    def put(self, path: str, content: bytes) -> None:
        super().put(path, content)
        self._dates[path] = self.now

    def create(self, path: str, content: bytes) -> None:
        super().create(path, content)
        self._dates[path] = self.now

    def touch(self, path: str) -> None:
        super().touch(path)
        self._dates[path] = self.now

    def stat(self, path: str) -> Stat:
        return Stat(super().stat(path).size, self._dates[path])

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        for found in super().walk(path, leaf_in=leaf_in):
            yield found._replace(modified=self._dates[found.path])


def image_of(content: str) -> Manifest:
    """Return an image that has nothing but an annotation."""
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [], "annotations": {"of": content}}
    return parse_manifest(json.dumps(document).encode())


def push(driver: DatedDriver, repository: str, *names: str, content: str = "", age: float = 0) -> Digest:
    """Push an image of its own `content`, by default that of the first of its tags, so many seconds before now."""
    manifest = image_of(content or names[0])
    digest = Digest.of(manifest.content)
    driver.now = NOW - age
    Repositories(driver).open(repository).manifests.put(manifest, digest, [Tag(name) for name in names])
    driver.now = NOW
    return digest


def tags(driver: StorageDriver, repository: str) -> set[str]:
    return set(driver.list(paths.tags(repository), limit=1_000_000))


def of_rule(*keep: Keep, repositories: str = "**", maxshare: int = 100) -> Retention:
    return Retention(maxshare=maxshare, rules=(RetentionRule((repositories,), keep),))


def plan(driver: StorageDriver, section: Retention, now: float = NOW) -> dict[str, dict[str, str]]:
    """Return why each tag of each repository stays, "" if it goes."""
    with Plan(driver, Repositories(driver), section, now) as made:
        made.read_pulls()
        return {judged.repository: {each.tag: each.because for each in judged.verdicts()} for judged in made.judged()}


def publishing() -> Publishing:
    return Publishing(ValidationPolicy(), Operator())


def run(driver: StorageDriver, section: Retention, *, forced: bool = False) -> Report:
    repositories = Repositories(driver)
    report = Reports(driver).begin("host")
    assert report
    untagging = Untagging(driver, repositories, publishing(), report, forced=forced, at_once=1)
    with Plan(driver, repositories, section, report.begun) as made:
        made.read_pulls()
        assert len(list(untagging.run(made))) == untagging.report.untagged
    return untagging.report
