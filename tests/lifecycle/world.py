"""A registry in which all that a garbage collection meets is there at once, and clients who rely on it.

What is old was written longer ago than two graces, so that one run condemns or deletes it. What is young was written
just now.
"""

from __future__ import annotations

import itertools
import os
import shutil
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from drivers.delegating import DelegatingDriver
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.lifecycle.online import Terms
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.storage import paths
from registry.storage.runs import Run, Runs
from tests.content import descriptor, image, index
from tests.drivers.interleaving import InterleavingDriver
from tests.handlers.pushing import push_blob, push_manifest
from tests.storage.consistency import assert_nothing_dangles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from flask.testing import FlaskClient
    from werkzeug.wrappers import Response

    from drivers.base import Found, StorageDriver

OLD_SECONDS: Final = 100_000.0
TERMS: Final = Terms(12 * 3600.0, untagged_seconds=lambda _: 0.0)
_UNAVAILABLE: Final = 503
_SEEN_BETWEEN: Final = 5


class Switch(DelegatingDriver):
    """A driver in whose place another one can be put, without an application that sees it."""

    def turn(self, inner: StorageDriver) -> None:
        self._inner = inner


class Interleaving(InterleavingDriver):
    """Counts a walk and deletions as calls of a flat store: a page, and an object, each at a time."""

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        self.count()
        for number, found in enumerate(list(self._inner.walk(path, leaf_in=leaf_in)), 1):
            yield found
            if number % _SEEN_BETWEEN == 0:
                self.count()

    def discard(self, found: Iterable[Found]) -> Sequence[str]:
        changed: list[str] = []
        for each in found:
            self.count()
            changed += self._inner.discard([each])
        return changed


class Medium:
    """A storage that can be copied with all its times: in memory, or in directories below `directory`."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._numbers = itertools.count()
        self._root = self._next_root()
        self.driver = self._open()

    def _next_root(self) -> Path | None:
        return self._directory and self._directory / f"storage-{next(self._numbers)}"

    def _open(self) -> StorageDriver:
        return FilesystemDriver(str(self._root), lock_seconds=0.1) if self._root else InMemoryDriver(lock_seconds=0.1)

    def copy(self) -> Medium:
        """Return another one with the same objects."""
        other = object.__new__(Medium)
        other._directory, other._numbers, other._root = self._directory, self._numbers, self._next_root()
        if self._root and other._root:
            shutil.copytree(self._root, other._root)
        other.driver = other._open()
        if isinstance(other.driver, InMemoryDriver):
            for path, stored in self._objects.items():
                other.driver.put(path, b"")
                other._objects[path] = stored
        return other

    @property
    def _objects(self) -> dict[str, Any]:
        assert isinstance(self.driver, InMemoryDriver)
        return self.driver._store.objects

    def make_old(self, *path_list: str) -> None:
        """Let what lies at these paths, or everything, have been written long ago."""
        at = time.time() - OLD_SECONDS
        for path in path_list or [found.path for found in self.driver.walk("/docker")]:
            if self._root:
                os.utime(f"{self._root}{path}", (at, at))
            else:
                self._objects[path] = replace(self._objects[path], modified=at)

    def remove(self) -> None:
        """Delete the directory, if it is one."""
        if self._root:
            shutil.rmtree(self._root)


def layers_of(content: bytes) -> list[bytes]:
    """Return the blobs of an image that image_of() has made."""
    return [b"{}", content]


def image_of(layer: bytes) -> bytes:
    """Return an image with that layer."""
    return image(b"{}", layer)


LOOSE, MOUNTED, WAITING, AGAIN, YOUNG, ORPHAN = (b"loose", b"mounted", b"waiting", b"again", b"young", b"orphan")
KEPT, UNTAGGED, CHILD, GONE, DELETED = (
    image_of(each) for each in (b"kept", b"untagged", b"child", b"gone", b"deleted")
)

SIGNATURE = image(b"{}", b"signature", subject=descriptor(UNTAGGED, media_types.OCI_MANIFEST))


def build(client: FlaskClient, medium: Medium) -> None:
    """Fill a storage.

    Live and old: KEPT and DELETED with a tag, UNTAGGED with its SIGNATURE and CHILD without one, LOOSE and MOUNTED to
    which nothing leads.
    Condemned long ago: WAITING and AGAIN; just now: YOUNG and the manifest GONE with its layer. ORPHAN has no link, and
    an old list names it.
    """
    driver = medium.driver
    layers = (b"kept", b"untagged", b"signature", b"child", b"gone", b"deleted")
    for content in (*layers, LOOSE, MOUNTED, WAITING, AGAIN, YOUNG, b"{}"):
        push_blob(client, "a", content)
    push_blob(client, "b", b"{}")
    for tag, content in (("kept", KEPT), ("deleted", DELETED)):
        push_manifest(client, "a", tag, content, content_type=media_types.OCI_MANIFEST)
    for content in (UNTAGGED, SIGNATURE, CHILD, GONE):
        push_manifest(client, "a", str(Digest.of(content)), content, content_type=media_types.OCI_MANIFEST)
    push_manifest(client, "b", "kept", image(b"{}"), content_type=media_types.OCI_MANIFEST)
    driver.put(paths.blob_data(Digest.of(ORPHAN)), ORPHAN)
    driver.put(paths.gc_orphans_part(1, 0), str(Digest.of(ORPHAN)).encode())
    old: list[str] = []
    young: list[str] = []
    for content, into in ((WAITING, old), (AGAIN, old), (YOUNG, young), (b"gone", young)):
        digest = Digest.of(content)
        into.append(_move(driver, paths.layer_link("a", digest), paths.condemned_layer_link("a", digest)))
    gone = Digest.of(GONE)
    young.append(_move(driver, paths.revision_link("a", gone), paths.condemned_revision_link("a", gone)))
    medium.make_old()
    medium.make_old(paths.gc_orphans_part(1, 0))
    for path in young:
        driver.put(path, driver.get(path, limit=1000))
    Runs(driver).write(Run(2))


def _move(driver: StorageDriver, path: str, target: str) -> str:
    driver.put(target, driver.get(path, limit=1000))
    driver.delete(path)
    return target


@dataclass
class Clients:
    """What clients ask for, and what they have been told; each request can be made again until it is answered.

    `told` are the images, by repository and reference, that a push of which was acknowledged.
    """

    client: FlaskClient
    told: dict[tuple[str, str], bytes] = field(default_factory=dict)
    unavailable: list[Callable[[], None]] = field(default_factory=list)

    def everything(self) -> list[Callable[[], None]]:
        """Return a request of each kind."""
        return [
            self.push_what_a_head_has_promised,
            self.push_what_was_just_condemned,
            self.push_what_was_condemned_long_ago,
            self.upload_again_what_was_condemned,
            self.upload_what_has_bytes_and_no_link,
            self.upload_what_is_new,
            self.mount_and_push,
            self.tag_what_has_no_tag,
            self.push_an_index_of_what_has_no_tag,
            self.push_an_index_of_what_was_just_condemned,
            self.push_once_more_without_a_tag,
            self.delete,
        ]

    def push_what_a_head_has_promised(self) -> None:
        self._push(self.push_what_a_head_has_promised, "a", "loose", image_of(LOOSE))

    def push_what_was_just_condemned(self) -> None:
        self._push(self.push_what_was_just_condemned, "a", "young", image_of(YOUNG))

    def push_what_was_condemned_long_ago(self) -> None:
        answer = self._put("a", "waiting", image_of(WAITING))
        self._note(self.push_what_was_condemned_long_ago, answer, "a", "waiting", image_of(WAITING), {201, 400})

    def upload_again_what_was_condemned(self) -> None:
        if self._upload(self.upload_again_what_was_condemned, "a", AGAIN):
            self._push(self.upload_again_what_was_condemned, "a", "again", image_of(AGAIN))

    def upload_what_has_bytes_and_no_link(self) -> None:
        if self._upload(self.upload_what_has_bytes_and_no_link, "a", ORPHAN):
            self._push(self.upload_what_has_bytes_and_no_link, "a", "orphan", image_of(ORPHAN))

    def upload_what_is_new(self) -> None:
        if self._upload(self.upload_what_is_new, "b", b"new"):
            self._push(self.upload_what_is_new, "b", "new", image_of(b"new"))

    def mount_and_push(self) -> None:
        query = {"mount": str(Digest.of(MOUNTED)), "from": "a"}
        answer = self.client.post("/v2/b/blobs/uploads/", query_string=query)
        if not self._is_available(self.mount_and_push, answer):
            return
        assert answer.status_code in {201, 202}
        if answer.status_code == 202 and not self._upload(self.mount_and_push, "b", MOUNTED):
            return
        self._push(self.mount_and_push, "b", "mounted", image_of(MOUNTED))

    def tag_what_has_no_tag(self) -> None:
        self._push(self.tag_what_has_no_tag, "a", "untagged", UNTAGGED)

    def push_an_index_of_what_has_no_tag(self) -> None:
        self._push(self.push_an_index_of_what_has_no_tag, "a", "index", index(CHILD))

    def push_an_index_of_what_was_just_condemned(self) -> None:
        self._push(self.push_an_index_of_what_was_just_condemned, "a", "gone", index(GONE))

    def push_once_more_without_a_tag(self) -> None:
        self._push(self.push_once_more_without_a_tag, "a", str(Digest.of(UNTAGGED)), UNTAGGED)

    def delete(self) -> None:
        for path in (f"manifests/{Digest.of(DELETED)}", f"blobs/{Digest.of(b'deleted')}"):
            self.client.delete(f"/v2/a/{path}")
            assert self.client.get(f"/v2/a/{path}").status_code == 404

    def again(self) -> None:
        """Make the requests that were unavailable again: no run is on now."""
        waiting, self.unavailable = self.unavailable, []
        for request in waiting:
            request()
        assert not self.unavailable

    def require_told(self, driver: StorageDriver, *, tagged: bool = False) -> None:
        """Fail if anything that was acknowledged cannot be pulled, or a link leads nowhere."""
        for (name, reference), content in [*self.told.items(), (("a", "kept"), KEPT)]:
            if not tagged or ":" not in reference:
                self._pull(name, reference, content)
        if tagged and ("a", "untagged") in self.told:
            self._pull("a", str(Digest.of(SIGNATURE)), SIGNATURE)
        for name in ("a", "b"):
            assert_nothing_dangles(driver, name)

    def _pull(self, name: str, reference: str, content: bytes) -> None:
        assert self.client.get(f"/v2/{name}/manifests/{reference}").data == content, (name, reference)
        for child in (CHILD, GONE):
            if str(Digest.of(child)).encode() in content:
                self._pull(name, str(Digest.of(child)), child)
        layers = (b"new", b"kept", b"untagged", b"signature", b"child", b"gone")
        for layer in (LOOSE, MOUNTED, WAITING, AGAIN, YOUNG, ORPHAN, *layers):
            digest = Digest.of(layer)
            if str(digest).encode() in content:
                assert self.client.get(f"/v2/{name}/blobs/{digest}").data == layer, (name, reference, layer)

    def _put(self, name: str, reference: str, content: bytes) -> Response:
        kind = media_types.OCI_INDEX if b'"manifests"' in content else media_types.OCI_MANIFEST
        return self.client.put(f"/v2/{name}/manifests/{reference}", data=content, content_type=kind)

    def _push(self, request: Callable[[], None], name: str, reference: str, content: bytes) -> None:
        self._note(request, self._put(name, reference, content), name, reference, content, {201})

    def _note(
        self,
        request: Callable[[], None],
        answer: Response,
        name: str,
        reference: str,
        content: bytes,
        allowed: set[int],
    ) -> None:
        if self._is_available(request, answer):
            assert answer.status_code in allowed, (request.__name__, answer.data)
            if answer.status_code == 201:
                self.told[name, reference] = content

    def _upload(self, request: Callable[[], None], name: str, content: bytes) -> bool:
        begun = self.client.post(f"/v2/{name}/blobs/uploads/")
        digest = Digest.of(content)
        answer = self.client.put(f"{begun.headers['Location']}&digest={digest}", data=content)
        if not self._is_available(request, answer):
            return False
        assert answer.status_code == 201, answer.data
        return True

    def _is_available(self, request: Callable[[], None], answer: Response) -> bool:
        if answer.status_code == _UNAVAILABLE:
            self.unavailable.append(request)
            return False
        return True
