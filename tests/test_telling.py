"""The journal is told of each change that clients can see, once it is durable and before it is answered."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError, NoSpaceError, UnavailableError
from drivers.inmemory import InMemoryDriver
from drivers.log import Log, Page
from registry.journal.entry import Entry, Instance, Origin
from registry.journal.recorder import Recorder
from registry.oci.digest import Digest
from registry.oci.errors import BlobUnknownError, DeniedError, ManifestUnknownError, NameUnknownError
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag
from registry.ports import Repository
from registry.publishing import Guard, Operator, Publishing
from registry.publishing import publishing as publishing_module
from registry.storage import paths
from registry.storage.repository import Repositories
from registry.storage.validation import ValidationPolicy
from tests.content import chunk, image
from tests.drivers.failing import FailingDriver

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from registry.journal.change import Change
    from tests.conftest import Serve

Operation = Callable[[Publishing, Repository], None]
Told = tuple[str, str, str, str, tuple[str, ...]]
CONFIG = b"{}"
CONFIG_DIGEST = Digest.of(CONFIG)
FIRST, SECOND = parse_manifest(image(CONFIG)), parse_manifest(image(CONFIG, annotations={"number": "2"}))
FIRST_DIGEST, SECOND_DIGEST = Digest.of(FIRST.content), Digest.of(SECOND.content)
V1, V2 = Tag("v1"), Tag("v2")
ANN = Origin(actor="ann")


@pytest.fixture(autouse=True)
def nobody_pushes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a deletion wait for no push."""
    monkeypatch.setattr(publishing_module, "_PUSH_SECONDS", 0)


class Everything:
    """A consumer who wants to know everything."""

    name = "audit"
    wants_references = True
    wants_previous = True

    def wants(self, change: Change) -> bool:
        del change
        return True


class Ann(Operator):
    origin = ANN


class Newcomer(Ann):
    """A caller who may push and never move a tag."""

    moves_every_tag = False

    def require_overwrite(self, repository: str, tag: Tag, current: Digest) -> None:
        raise DeniedError(f"{repository}:{tag} points to {current}")


class Anything:
    """A condition that always holds."""

    def require(self, current: Digest | None) -> None:
        pass


def publishing(driver: StorageDriver, caller: Operator | None = None) -> Publishing:
    recorder = Recorder(driver.log(paths.JOURNAL), [Everything()], Instance())
    return Publishing(ValidationPolicy(), caller or Ann(), recorder)


def entries(driver: StorageDriver) -> list[Entry]:
    records = driver.log(paths.JOURNAL).after("", before_ns=2**62, limit=1000).records
    return [Entry.decode(record.content) for record in records]


def told(driver: StorageDriver) -> list[Told]:
    return [(each.action, each.kind, each.repository, each.digest, tuple(each.tags)) for each in entries(driver)]


def with_content(driver: StorageDriver) -> Repository:
    """Return a repository with the config of both images and the first under a tag, of which nobody was told."""
    repository = Repositories(driver).open("a")
    silent = Publishing(ValidationPolicy(), Operator())
    silent.finish_upload(repository, repository.uploads.start(), chunk(CONFIG), CONFIG_DIGEST)
    silent.push_manifest(repository, FIRST, FIRST_DIGEST, [V1])
    return repository


def finish_upload(publishing: Publishing, repository: Repository) -> None:
    publishing.finish_upload(repository, repository.uploads.start(), chunk(b"layer"), Digest.of(b"layer"))


def mount_blob(publishing: Publishing, repository: Repository) -> None:
    publishing.mount_blob(repository, CONFIG_DIGEST, lambda: repository.blobs.stat(CONFIG_DIGEST), "base")


def remove_blob(publishing: Publishing, repository: Repository) -> None:
    publishing.remove_blob(repository, CONFIG_DIGEST)


def push_manifest(publishing: Publishing, repository: Repository) -> None:
    publishing.push_manifest(repository, SECOND, SECOND_DIGEST, [V1, V2, V1])


def push_by_digest(publishing: Publishing, repository: Repository) -> None:
    publishing.push_manifest(repository, FIRST, FIRST_DIGEST)


def push_guarded(publishing: Publishing, repository: Repository) -> None:
    publishing.push_manifest(repository, SECOND, SECOND_DIGEST, [V1], Guard(V1, Anything()))


def move_tag(publishing: Publishing, repository: Repository) -> None:
    publishing.move_tag(repository, V2, FIRST, FIRST_DIGEST)


def remove_tag(publishing: Publishing, repository: Repository) -> None:
    publishing.remove_tag(repository, V1)


def remove_tag_guarded(publishing: Publishing, repository: Repository) -> None:
    publishing.remove_tag(repository, V1, Anything())


def remove_manifest(publishing: Publishing, repository: Repository) -> None:
    publishing.remove_manifest(repository, FIRST_DIGEST)


def remove_untagged_manifest(publishing: Publishing, repository: Repository) -> None:
    publishing.remove_untagged_manifest(repository, FIRST_DIGEST)


def remove_repository(publishing: Publishing, repository: Repository) -> None:
    publishing.remove_repository(repository)


def settle_removals(publishing: Publishing, repository: Repository) -> None:
    with suppress(BlobUnknownError):
        repository.blobs.delete(CONFIG_DIGEST)
    publishing.settle_removals(lambda: [repository])


def tell_of_condemned_manifest(publishing: Publishing, repository: Repository) -> None:
    publishing.tell_of_condemned_manifest(repository.name, FIRST_DIGEST)


def tell_of_condemned_blob(publishing: Publishing, repository: Repository) -> None:
    publishing.tell_of_condemned_blob(repository.name, CONFIG_DIGEST)


PUSHES: dict[Operation, Told] = {
    finish_upload: ("push", "blob", "a", str(Digest.of(b"layer")), ()),
    mount_blob: ("mount", "blob", "a", str(CONFIG_DIGEST), ()),
    push_manifest: ("push", "manifest", "a", str(SECOND_DIGEST), ("v1", "v2")),
    push_by_digest: ("push", "manifest", "a", str(FIRST_DIGEST), ()),
    push_guarded: ("push", "manifest", "a", str(SECOND_DIGEST), ("v1",)),
    move_tag: ("push", "manifest", "a", str(FIRST_DIGEST), ("v2",)),
}
DELETIONS: dict[Operation, Told] = {
    remove_blob: ("delete", "blob", "a", str(CONFIG_DIGEST), ()),
    remove_tag: ("delete", "tag", "a", "", ("v1",)),
    remove_tag_guarded: ("delete", "tag", "a", "", ("v1",)),
    remove_manifest: ("delete", "manifest", "a", str(FIRST_DIGEST), ("v1",)),
    remove_untagged_manifest: ("delete", "manifest", "a", str(FIRST_DIGEST), ()),
    remove_repository: ("delete", "repository", "a", "", ()),
    settle_removals: ("delete", "manifest", "a", str(FIRST_DIGEST), ("v1",)),
    tell_of_condemned_manifest: ("delete", "manifest", "a", str(FIRST_DIGEST), ()),
    tell_of_condemned_blob: ("delete", "blob", "a", str(CONFIG_DIGEST), ()),
}
OPERATIONS = PUSHES | DELETIONS
SILENT = {"cache_blob", "cache_manifest", "cache_tag"}
"""What is cached of another registry is not a push: clients could see it before."""


def test_every_operation_is_in_the_list() -> None:
    fields = {"policy", "caller", "recorder", "passage", "quotas", "touches_untagged"}
    # No client sees a blob before its upload is finished; whether a tag may be moved is a question.
    unseen = {"start_upload", "append_upload", "require_movable"}
    operations = {name for name in vars(Publishing) if not name.startswith("_")} - fields - unseen - SILENT

    assert operations <= {operation.__name__ for operation in OPERATIONS}


def test_what_is_cached_is_told_to_nobody() -> None:
    driver = InMemoryDriver()
    repository = with_content(driver)
    blobs = Repositories(driver).open("cached").blobs
    cached = Repositories(driver).open("cached")

    publishing(driver).cache_blob(cached, CONFIG_DIGEST, CONFIG_DIGEST, lambda: blobs.link(CONFIG_DIGEST))
    publishing(driver).cache_manifest(repository, SECOND, SECOND_DIGEST, [V1])

    assert cached.blobs.has(CONFIG_DIGEST)
    assert repository.tags.resolve(V1) == SECOND_DIGEST
    publishing(driver).cache_tag(repository, V1, FIRST, FIRST_DIGEST, SECOND_DIGEST)
    assert repository.tags.resolve(V1) == FIRST_DIGEST
    assert told(driver) == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_each_operation_tells_what_has_changed(operation: Operation) -> None:
    driver = InMemoryDriver()
    repository = with_content(driver)

    operation(publishing(driver), repository)

    assert told(driver) == [OPERATIONS[operation]]
    [entry] = entries(driver)
    assert entry.origin == ANN
    if operation in {push_manifest, push_by_digest, push_guarded, move_tag}:
        assert entry.media_type == FIRST.media_type
        assert entry.size in {len(FIRST.content), len(SECOND.content)}
        assert [each["digest"] for each in entry.references] == [str(CONFIG_DIGEST)]
    elif operation in PUSHES:
        assert (entry.media_type, entry.size > 0) == ("application/octet-stream", True)


@pytest.mark.parametrize(
    ("operation", "previous"),
    [
        (push_manifest, {"v1": str(FIRST_DIGEST), "v2": ""}),
        (push_guarded, {"v1": str(FIRST_DIGEST)}),
        (move_tag, {"v2": ""}),
        (remove_tag, {"v1": str(FIRST_DIGEST)}),
        (remove_tag_guarded, {"v1": str(FIRST_DIGEST)}),
        (push_by_digest, {}),
    ],
)
def test_where_a_tag_pointed_before_is_told(operation: Operation, previous: dict[str, str]) -> None:
    driver = InMemoryDriver()
    repository = with_content(driver)

    operation(publishing(driver), repository)

    assert entries(driver)[0].previous == previous


def test_what_is_refused_or_finds_nothing_is_not_told() -> None:
    driver = InMemoryDriver()
    repository, newcomer = with_content(driver), publishing(driver, Newcomer())

    with pytest.raises(DeniedError):
        push_manifest(newcomer, repository)
    with pytest.raises(ManifestUnknownError):
        publishing(driver).remove_tag(repository, V2)
    with pytest.raises(ManifestUnknownError):
        publishing(driver).remove_manifest(repository, SECOND_DIGEST)
    with pytest.raises(BlobUnknownError):
        publishing(driver).remove_blob(repository, SECOND_DIGEST)
    with pytest.raises(NameUnknownError):
        publishing(driver).remove_repository(Repositories(driver).open("none"))

    assert told(driver) == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_a_change_that_cannot_be_told_fails_and_one_that_succeeds_was_told(
    operation: Operation,
) -> None:
    moment = 0
    while True:
        moment += 1
        medium = InMemoryDriver()
        with_content(medium)
        failing = FailingDriver(medium, fail_at=moment)
        try:
            operation(publishing(failing), Repositories(failing).open("a"))
        except DriverError:
            assert told(medium) in ([], [OPERATIONS[operation]])
            if operation in PUSHES:
                operation(publishing(medium), Repositories(medium).open("a"))
                assert told(medium)[-1] == OPERATIONS[operation], "who tries again is told of"
        else:
            assert told(medium) == [OPERATIONS[operation]]
            break
    assert moment > 1


class OtherLog(Log):
    """The log of `inner`, of which every append fails while `fault` is set."""

    def __init__(self, inner: Log, driver: Hindered) -> None:
        self._inner = inner
        self._driver = driver

    def append(self, content: bytes) -> int:
        if self._driver.fault:
            raise self._driver.fault
        return self._inner.append(content)

    def after(self, position: str, *, before_ns: int, limit: int) -> Page:
        return self._inner.after(position, before_ns=before_ns, limit=limit)

    def count(self, position: str) -> int:
        return self._inner.count(position)

    def trim(self, before_ns: int) -> None:
        self._inner.trim(before_ns)


class Hindered(InMemoryDriver):
    """A storage on which everything can be stored but records."""

    fault: DriverError | None = None

    def log(self, path: str) -> Log:
        return OtherLog(super().log(path), self)


@pytest.mark.parametrize(
    ("fault", "status"), [(NoSpaceError("full"), 507), (UnavailableError("away"), 503)], ids=["full", "away"]
)
def test_a_request_whose_change_cannot_be_told_fails_and_a_push_that_is_repeated_is_told(
    serve: Serve, fault: DriverError, status: int
) -> None:
    driver = Hindered()
    with_content(driver)
    client = serve(driver, notifications={"endpoints": [{"name": "ci", "url": "http://127.0.0.1:9/"}]})

    def push() -> int:
        return client.put("/v2/a/manifests/v2", data=SECOND.content, content_type=SECOND.media_type).status_code

    def upload() -> int:
        url = client.post("/v2/a/blobs/uploads/").headers["Location"]
        return client.put(f"{url}&digest={Digest.of(b'x')}", data=b"x").status_code

    def mount() -> int:
        return client.post(f"/v2/b/blobs/uploads/?mount={CONFIG_DIGEST}&from=a").status_code

    for request in (push, upload, mount):
        driver.fault = fault
        assert request() == status
        assert told(driver) == []
        driver.fault = None
        assert request() == 201
        assert len(told(driver)) == 1
        driver.delete(paths.JOURNAL)

    driver.fault = fault
    assert client.delete("/v2/a/manifests/v1").status_code == status
    driver.fault = None
    assert client.delete("/v2/a/manifests/v1").status_code == 404, "what was deleted is gone, whoever was told"
