"""File servers, file managers and editors leave things of their own in every folder: nothing finds them in the tree."""

from __future__ import annotations

import inspect
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import registry
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.archive.plan import plan_export
from registry.copying.copy import copy_storage
from registry.lifecycle.garbage import GarbageCollection
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import NameUnknownError
from registry.oci.reference import Tag
from registry.publishing import Operator, Publishing
from registry.storage import enumeration, names, paths
from registry.storage.repository import Repositories
from registry.storage.validation import ValidationPolicy
from tests.archive.images import Quiet, fill
from tests.content import descriptor, image
from tests.handlers.pushing import push_blob, push_image, push_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver
    from tests.conftest import Serve
    from tests.drivers.stores import Store

FOLDERS = ["@eaDir", "lost+found", ".snapshot", "#recycle", "$RECYCLE.BIN", "System Volume Information", "~snapshot"]
FILES = [
    *("Thumbs.db", "desktop.ini", ".DS_Store", "._link", ".nfs00000000000000ff", "README", "app.bak", "a", "link~"),
    *("4913", "#link#", ".link.swp", "sha256", "ab", "0" * 64, "Ümlaut", "with space", "new\nline"),
]
EPOCH = datetime.fromtimestamp(0, UTC)


def folders_of(root: Path) -> Iterator[Path]:
    yield root
    yield from [each for each in root.rglob("*") if each.is_dir()]


def litter(root: Path) -> None:
    """Put foreign folders and files into each folder, and folders of repositories that cannot be."""
    for folder in [*folders_of(root)]:
        for name in FOLDERS:
            (folder / name / "nested").mkdir(parents=True, exist_ok=True)
            (folder / name / "link").write_text("x")
        for name in FILES:
            if not (folder / name).exists():
                (folder / name).write_text("x")
    repositories = root / paths.REPOSITORIES.strip("/")
    for name in ("UPPER", "team/UPPER", "team/-x", "team/a..b"):
        (repositories / name / "_manifests/tags/v1/current").mkdir(parents=True)
        (repositories / name / "_manifests/tags/v1/current/link").write_text(str(Digest.of(b"")))
        (repositories / name / "_uploads" / "@eaDir").mkdir(parents=True)


@pytest.fixture
def driver(tmp_path: Path) -> FilesystemDriver:
    """A registry with two repositories, one nested in the other's name, and an upload."""
    driver = FilesystemDriver(str(tmp_path / "root"), lock_seconds=0.1)
    for name in ("team", "team/app", "HOST.example/app"):
        fill(Repositories(driver).open(name), layer_bytes=60)
    Repositories(driver).open("team/app").uploads.start()
    return driver


def seen(driver: StorageDriver) -> dict[str, object]:
    """Return all that anything finds in a storage."""
    repositories = Repositories(driver)
    found: dict[str, object] = {
        "catalog": list(repositories.catalog.names()),
        "page": repositories.catalog.page(limit=100, shown=lambda _: True),
        "linking": list(repositories.catalog.linking()),
        "uploading": list(repositories.catalog.uploading()),
        "uploads": list(repositories.abandoned_uploads(before=datetime.now(UTC) + timedelta(days=1))),
        "blobs": [*enumeration.blobs(driver)],
        "links": [*enumeration.links_but_tags(driver), *enumeration.tag_links(driver)],
        "rebuilt": list(repositories.rebuild_referrers()),
    }
    for name in repositories.catalog.names():
        repository = repositories.open(name)
        plan = plan_export(repositories, [name])
        found[name] = {
            "tags": [*repository.tags.names()],
            "pages": [repository.tags.page(limit=size) for size in (1, 2, 3)],
            "manifests": [*repository.manifests.digests()],
            "layers": [*enumeration.layers(driver, name)],
            "history": [*enumeration.tag_history(driver, name, "v1")],
            "subjects": [*enumeration.subjects(driver, name)],
            "referrers": [
                [*repository.referrers.after(digest), repository.referrers.page(digest, limit=9)]
                for digest in repository.manifests.digests()
            ],
            "export": (plan.items, plan.entries),
        }
    return found


def collect(driver: StorageDriver) -> tuple[object, list[str]]:
    """Collect garbage, however young; return what went and what was told."""
    told: list[str] = []
    publishing = Publishing(ValidationPolicy(), Operator())
    cutoff = datetime.now(UTC).timestamp() + 3600
    collection = GarbageCollection(driver, Repositories(driver), publishing, told.append, cutoff=cutoff)
    return collection.run(only_tagged=True), told


def test_everything_that_reads_the_tree_finds_the_same(driver: FilesystemDriver, tmp_path: Path) -> None:
    expected = seen(driver)
    assert expected["catalog"] == ["HOST.example/app", "team", "team/app"]

    litter(tmp_path / "root")

    assert seen(driver) == expected


def test_pages_are_full_however_much_lies_between(driver: FilesystemDriver, tmp_path: Path) -> None:
    tags = Repositories(driver).open("team").tags
    digest = tags.resolve(Tag("v1"))
    for number in range(30):
        tags.point(Tag(f"t{number:02}"), digest)
    expected = [*tags.names()]
    folder = tmp_path / "root" / paths.tags("team").strip("/")
    for number in range(30):
        (folder / f"t{number:02}+").mkdir()

    pages, last = [], ""
    while page := tags.page(after=last, limit=7):
        pages.append(page)
        last = page[-1]

    assert [len(page) for page in pages] == [7, 7, 7, 7, 4]
    assert [tag for page in pages for tag in page] == expected


def test_a_garbage_collection_deletes_the_same(driver: FilesystemDriver, tmp_path: Path) -> None:
    clean = FilesystemDriver(str(tmp_path / "clean"))
    copy_storage(driver, clean, 2, Quiet())
    for each in (driver, clean):
        repository = Repositories(each).open("team/app")
        for tag in [*repository.tags.names()]:
            repository.tags.delete(Tag(tag))
    litter(tmp_path / "root")

    assert collect(driver) == collect(clean)
    assert collect(driver)[1][-1].endswith("0 blobs and 0 manifests eligible for deletion")


def test_a_copy_takes_none_of_it_along(driver: FilesystemDriver, tmp_path: Path) -> None:
    first, second = InMemoryDriver(), InMemoryDriver()
    expected = copy_storage(driver, first, 2, Quiet())
    litter(tmp_path / "root")

    assert copy_storage(driver, second, 2, Quiet()) == expected
    assert {path: each.content for path, each in second._store.objects.items()} == {
        path: each.content for path, each in first._store.objects.items()
    }


def test_uploads_are_purged(driver: FilesystemDriver, tmp_path: Path) -> None:
    litter(tmp_path / "root")
    repositories = Repositories(driver)

    for name, upload_id in repositories.abandoned_uploads(before=datetime.now(UTC) + timedelta(days=1)):
        repositories.open(name).uploads.discard(upload_id)

    assert list(repositories.abandoned_uploads(before=datetime.now(UTC) + timedelta(days=1))) == []
    assert repositories.purge_leftovers(before=EPOCH) == 0


def test_clients_push_pull_list_and_delete_by_digest(serve: Serve, tmp_path: Path) -> None:
    root = tmp_path / "served"
    client = serve(FilesystemDriver(str(root)))
    digest = push_image(client, "team/app", "v1", "v2")
    subject = descriptor(image(b"{}"), media_types.OCI_MANIFEST)
    signature = image(b"{}", subject=subject)
    push_manifest(client, "team/app", str(Digest.of(signature)), signature, content_type=media_types.OCI_MANIFEST)
    litter(root)

    assert client.get("/v2/_catalog").json == {"repositories": ["team/app"]}
    assert client.get("/v2/team/app/tags/list").json == {"name": "team/app", "tags": ["v1", "v2"]}
    assert client.get("/v2/team/app/tags/list?n=1&last=v1").json == {"name": "team/app", "tags": ["v2"]}
    assert len(client.get(f"/v2/team/app/referrers/{digest}").json["manifests"]) == 1  # type: ignore[index]  # it has JSON
    push_blob(client, "team/app", b"another")
    assert push_image(client, "team/app", "v3") == digest
    litter_again(root)

    assert client.delete(f"/v2/team/app/manifests/{digest}").status_code == 202

    assert client.get("/v2/team/app/tags/list").json == {"name": "team/app", "tags": []}
    assert client.get(f"/v2/team/app/manifests/{digest}").status_code == 404
    assert client.delete(f"/v2/team/app/manifests/{Digest.of(signature)}").status_code == 202
    assert client.get(f"/v2/team/app/referrers/{digest}").json["manifests"] == []  # type: ignore[index]  # it has JSON
    assert client.delete(f"/v2/team/app/blobs/{Digest.of(b'{}')}").status_code == 202


def litter_again(root: Path) -> None:
    for folder in [*folders_of(root)]:
        (folder / "@eaDir").mkdir(exist_ok=True)


def test_a_folder_of_another_program_makes_no_repository(driver: FilesystemDriver, tmp_path: Path) -> None:
    repositories = tmp_path / "root" / paths.REPOSITORIES.strip("/")
    for part in ("_manifests", "_layers", "_uploads"):
        (repositories / "ghost" / part / "@eaDir").mkdir(parents=True)
        (repositories / "ghost" / part / "Thumbs.db").write_text("x")
    catalog = Repositories(driver).catalog

    for listed in (catalog.names(), catalog.linking(), catalog.uploading()):
        assert "ghost" not in list(listed)
    with pytest.raises(NameUnknownError):
        Repositories(driver).open("ghost").tags.page(limit=1)


def test_links_that_lead_upwards_are_not_followed(driver: FilesystemDriver, tmp_path: Path) -> None:
    expected = seen(driver)
    repositories = tmp_path / "root" / paths.REPOSITORIES.strip("/")
    upwards: dict[str, str | Path] = {
        "loop": ".",
        "loop2": repositories,
        "all": "/",
        "team/up": "..",
        "team/app/me": "../app",
    }
    for name, target in upwards.items():
        (repositories / name).symlink_to(target)

    assert seen(driver) == expected
    collect(driver)


def test_links_between_repositories_come_to_an_end(driver: FilesystemDriver, tmp_path: Path) -> None:
    repositories = tmp_path / "root" / paths.REPOSITORIES.strip("/")
    (repositories / "team/other").symlink_to("../HOST.example")
    (repositories / "HOST.example/back").symlink_to("../team")

    assert [name for name in Repositories(driver).catalog.names() if name.startswith("team")] == [
        *("team", "team/app", "team/other/app"),
    ]


def test_folders_that_an_operator_has_put_elsewhere_are_found(driver: FilesystemDriver, tmp_path: Path) -> None:
    expected = seen(driver)
    repositories = tmp_path / "root" / paths.REPOSITORIES.strip("/")
    for folder, name in ((repositories / "team", "big"), (repositories, "bigger"), (tmp_path / "root", "biggest")):
        folder.rename(tmp_path / name)
        folder.symlink_to(tmp_path / name)

    assert seen(driver) == expected


def test_no_other_module_of_the_registry_lists() -> None:
    """Whoever lists has to say what is a name there."""
    root = Path(inspect.getfile(registry)).parent
    asking = {"storage/listing.py", "storage/catalog.py", "storage/measured.py", "jobs/cluster.py"}
    asking.add("fsck/contents.py")  # whether the storage gives anything at all, and not what

    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if re.search(r"(?:driver|_inner)\.list(?:_prefixes)?\(", path.read_text())
    }

    assert found == asking


def test_keys_of_other_programs_in_a_bucket_are_passed_over(store: Store) -> None:
    medium = store.medium()
    driver = medium.driver()
    fill(Repositories(driver).open("team/app"), layer_bytes=60)
    expected = seen(driver)
    places = [
        *(paths.REPOSITORIES, paths.repository("team"), paths.tags("team/app"), paths.revisions("team/app", "sha256")),
        *(paths.layers("team/app", "sha256"), paths.uploads("team/app"), paths.blob_prefixes("sha256")),
        *(paths.blobs("sha256", "ab"), paths.all_referrers("team/app"), paths.tag_history("team/app", "v1", "sha256")),
        paths.subjects("team/app", "sha256"),
    ]
    for place in places:
        for name in ("@eaDir/x", "lost+found/x", "UPPER!/x", "Thumbs.db", "README", "0" * 64, "desktop.ini"):
            medium.write(f"{place}/{name}", b"x")

    assert seen(driver) == expected


@pytest.mark.parametrize(
    ("is_name", "taken", "refused"),
    [
        (
            names.is_tag,
            ["v1", "_", "link", "A.b-c", "a" * 128],
            ["", "-a", ".a", "a+", "@eaDir", "a" * 129, "a\n", "é"],
        ),
        (names.is_prefix, ["00", "af"], ["0", "000", "AF", "g0", "\u0661\u0661"]),
        (names.is_hex("sha256"), ["0" * 64], ["0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n", "@eaDir"]),
        (names.is_hex("sha512"), ["a" * 128], ["a" * 64]),
        (names.is_algorithm, ["sha256", "sha384", "sha512"], ["md5", "", "SHA256", "@eaDir"]),
        (
            names.is_upload_id,
            ["01234567-89ab-cdef-0123-456789ABCDEF"],
            ["x", "@eaDir", "0123456789abcdef0123456789abcdef"],
        ),
        (names.is_repository, ["a", "a/b", "HOST/a", "a-b/c"], ["UPPER", "a/B", "a//b", "a/", "", "@"]),
        (
            names.is_component_below(""),
            ["a", "UPPER", "host.example"],
            ["a-", "_a", "@eaDir", "lost+found", "a" * 256, ""],
        ),
        (names.is_component_below("team/"), ["a"], ["UPPER", "_manifests", "a..b", "a" * 251, ""]),
        (names.is_member, ["host-0a1b2c3d"], ["Thumbs.db", "@eaDir", "lost+found", ""]),
    ],
)
def test_what_is_a_name_is_taken_and_nothing_else(
    is_name: Callable[[str], object], taken: list[str], refused: list[str]
) -> None:
    assert [name for name in [*taken, *refused] if is_name(name)] == taken
