from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.archive.exporting import write_archive
from registry.archive.importing import plan_import, publish
from registry.archive.layout import ArchiveError
from registry.archive.plan import plan_export
from registry.archive.reading import Archive
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import DeniedError
from registry.oci.reference import Tag
from registry.publishing import Operator, Publishing
from registry.storage import paths
from registry.storage.links import write_link
from registry.storage.repository import Repositories
from registry.storage.validation import ValidationPolicy
from tests import content
from tests.archive.images import FOREIGN, LAYER, Quiet, blob, fill, image, manifest

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

POLICY = ValidationPolicy(enabled=False)


@pytest.fixture
def source() -> Repositories:
    repositories = Repositories(InMemoryDriver())
    fill(repositories.open("team/app"))
    return repositories


@pytest.fixture
def target(tmp_path: Path) -> Repositories:
    root = tmp_path / "target"
    root.mkdir()
    return Repositories(FilesystemDriver(str(root)))


def export(repositories: Repositories, path: Path, *images: str) -> None:
    write_archive(repositories, plan_export(repositories, images), path, Quiet())


def import_(repositories: Repositories, path: Path, name: str | None = None, policy: ValidationPolicy = POLICY) -> None:
    with path.open("rb") as file:
        archive = Archive(file)
        archive.verify(Quiet())
        publish(repositories, Publishing(policy, Operator()), archive, plan_import(archive, name), Quiet())


def everything(repositories: Repositories, name: str) -> dict[str, bytes]:
    """Return all manifests of a repository, with tags and referrers by what leads to them."""
    repository = repositories.open(name)
    found = {str(digest): repository.manifests.get(digest).content for digest in repository.manifests.digests()}
    for tag in repository.tags.page(limit=100):
        found[tag] = str(repository.tags.resolve(Tag(tag))).encode()
    for digest in list(repository.manifests.digests()):
        found[f"referrers of {digest}"] = b",".join(str(each).encode() for each in repository.referrers.after(digest))
    return found


def test_what_is_imported_is_what_was_exported_with_its_referrers_into_another_driver(
    source: Repositories, target: Repositories, tmp_path: Path
) -> None:
    export(source, tmp_path / "a.tar", "team/app")
    import_(target, tmp_path / "a.tar")
    assert everything(target, "team/app") == everything(source, "team/app")
    assert len(everything(source, "team/app")) == 5 + 2 + 5
    layer = Digest.of(b"shared" * 500_000)
    blobs = target.open("team/app").blobs
    assert b"".join(blobs.read(blobs.stat(layer), 0, 3_000_000)) == b"shared" * 500_000


def test_the_same_export_is_the_same_file(source: Repositories, tmp_path: Path) -> None:
    export(source, tmp_path / "a.tar", "team/app:v1")
    export(source, tmp_path / "b.tar", "team/app:v1")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != "") == ["a.tar", "b.tar"]


def test_archive_is_an_image_layout_with_the_names_that_docker_and_skopeo_look_for(
    source: Repositories, tmp_path: Path
) -> None:
    export(source, tmp_path / "a.tar", "team/app:v1")
    with tarfile.open(tmp_path / "a.tar") as tar:
        marker, index = tar.extractfile("oci-layout"), tar.extractfile("index.json")
        assert marker
        assert index
        assert json.load(marker) == {"imageLayoutVersion": "1.0.0"}
        entries = json.load(index)["manifests"]
        blobs = {name for name in tar.getnames() if name.startswith("blobs/")}
        for name in blobs:
            content = tar.extractfile(name)
            assert content
            assert Digest.of(content.read()).hex == name.rpartition("/")[2]
    assert entries[0]["annotations"] == {
        "io.containerd.image.name": "team/app:v1",
        "org.opencontainers.image.ref.name": "v1",
    }
    assert [entry.get("artifactType") for entry in entries] == [
        None,
        "application/x.signature",
        "application/vnd.oci.image.config.v1+json",
    ]
    assert len(blobs) == 5 + 6


@pytest.mark.parametrize("image_", ["team/app:none", "none", "none:v1", "BAD NAME", f"team/app@{Digest.of(b'none')}"])
def test_image_that_is_not_there_is_said(source: Repositories, image_: str) -> None:
    with pytest.raises(ArchiveError, match="^" + image_.split(":", maxsplit=1)[0]):
        plan_export(source, [image_])


@pytest.mark.parametrize("left", [None, b"", b"sha256:1", str(Digest.of(b"gone")).encode()])
def test_a_tag_that_leads_nowhere_keeps_no_other_from_being_exported(
    target: Repositories, tmp_path: Path, left: bytes | None
) -> None:
    fill(target.open("team/app"), layer_bytes=60)
    whole = plan_export(target, ["team/app"])
    current = tmp_path / "target" / paths.tags("team/app").strip("/") / "dead" / "current"
    current.mkdir(parents=True)
    if left is not None:
        (current / "link").write_bytes(left)

    plan = plan_export(target, ["team/app"])

    assert (plan.items, plan.entries) == (whole.items, whole.entries)
    assert plan.dead_tags == {"team/app:dead"}
    with pytest.raises(ArchiveError, match=r"^team/app:dead: .*manifest unknown"):
        plan_export(target, ["team/app", "team/app:dead"])


def test_a_tag_whose_manifest_is_damaged_stops_the_export_and_is_named(target: Repositories, tmp_path: Path) -> None:
    damaged = Digest.parse(fill(target.open("team/app"), layer_bytes=60)["digest"])
    (tmp_path / "target" / paths.blob_data(damaged).strip("/")).write_bytes(b"{}")
    with pytest.raises(ArchiveError, match=rf"^team/app: tag latest: manifest unknown: {damaged}$"):
        plan_export(Repositories(FilesystemDriver(str(tmp_path / "target"))), ["team/app"])


def test_layer_that_need_not_be_stored_is_left_out_and_said(source: Repositories) -> None:
    assert plan_export(source, ["team/app"]).left_out == {Digest.of(b"absent"): "it is not stored here"}


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        (content.descriptor(b"absent", FOREIGN), " and has no URLs: push the image again"),
        (content.descriptor(b"absent", LAYER), ": push the image again"),
        (content.descriptor(b"absent", LAYER, urls=["https://x.example/l"]), ": push the image again"),
    ],
)
def test_layer_that_must_be_stored_and_is_not_is_named_with_its_image_and_what_to_do(
    source: Repositories, described: dict[str, object], expected: str
) -> None:
    repository = source.open("app")
    parent = image(repository, described)["digest"]
    repository.tags.point(Tag("v1"), Digest.parse(parent))

    with pytest.raises(ArchiveError) as caught:
        plan_export(source, ["app:v1"])

    absent = Digest.of(b"absent")
    assert str(caught.value).startswith(f"app:v1: layer {absent} of manifest {parent} is not stored here{expected}")


def test_image_of_an_index_that_is_stored_as_a_blob_only_is_left_out_and_said(
    source: Repositories, target: Repositories, tmp_path: Path
) -> None:
    repository = source.open("app")
    document = content.image(b"{}", b"layer")
    child = blob(repository, document, media_types.OCI_MANIFEST)
    index = manifest(repository, {"mediaType": media_types.OCI_INDEX, "manifests": [child]})
    repository.tags.point(Tag("v1"), Digest.parse(index["digest"]))

    plan = plan_export(source, ["app"])

    assert plan.left_out == {Digest.of(document): "it is stored here as a blob and not as a manifest"}
    export(source, tmp_path / "a.tar", "app")
    import_(target, tmp_path / "a.tar")
    assert everything(target, "app") == everything(source, "app")


def test_layer_that_is_gone_stops_the_export_and_leaves_no_file(source: Repositories, tmp_path: Path) -> None:
    plan = plan_export(source, ["team/app"])
    source.open("team/app").blobs.delete(Digest.of(b"amd64" * 1000))
    with pytest.raises(ArchiveError, match="blob unknown"):
        write_archive(source, plan, tmp_path / "a.tar", Quiet())
    with pytest.raises(ArchiveError, match=r"^team/app: layer \S+ of manifest \S+ is not stored here: push"):
        plan_export(source, ["team/app"])
    assert not (tmp_path / "a.tar").exists()


def test_damaged_layer_stops_the_export(tmp_path: Path) -> None:
    driver = InMemoryDriver()
    source = Repositories(driver)
    fill(source.open("team/app"))
    driver.put(paths.blob_data(Digest.of(b"signature")), b"signatura")
    with pytest.raises(ArchiveError, match="does not hold"):
        export(source, tmp_path / "a.tar", "team/app")


@pytest.mark.parametrize("kept", [0, 1, 511, 512, 1024, 5000, 1_000_000, 2_999_999, -10240, -1])
def test_export_that_broke_off_anywhere_goes_on_and_gives_the_same_file(
    source: Repositories, tmp_path: Path, kept: int
) -> None:
    export(source, tmp_path / "whole.tar", "team/app")
    whole = (tmp_path / "whole.tar").read_bytes()
    (tmp_path / "a.tar.part").write_bytes(whole[:kept])
    export(source, tmp_path / "a.tar", "team/app")
    assert (tmp_path / "a.tar").read_bytes() == whole
    assert not (tmp_path / "a.tar.part").exists()


def test_part_that_is_damaged_or_of_something_else_is_written_anew(source: Repositories, tmp_path: Path) -> None:
    export(source, tmp_path / "whole.tar", "team/app")
    whole = (tmp_path / "whole.tar").read_bytes()
    for damaged in (whole[:3000] + b"x" + whole[3001:100_000], b"nonsense" * 1000):
        (tmp_path / "a.tar.part").write_bytes(damaged)
        export(source, tmp_path / "a.tar", "team/app")
        assert (tmp_path / "a.tar").read_bytes() == whole


@pytest.mark.parametrize("position", [530, 3000, 1_000_000, 3_008_000])
def test_damaged_archive_is_refused_with_nothing_published(
    source: Repositories, target: Repositories, tmp_path: Path, position: int
) -> None:
    export(source, tmp_path / "a.tar", "team/app")
    content = bytearray((tmp_path / "a.tar").read_bytes())
    content[position] ^= 0xFF
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(ArchiveError):
        import_(target, tmp_path / "a.tar")
    assert [path for path in (tmp_path / "target").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_archive_that_was_cut_is_refused_with_nothing_published(
    source: Repositories, target: Repositories, tmp_path: Path, share: float
) -> None:
    export(source, tmp_path / "a.tar", "team/app")
    content = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ArchiveError):
        import_(target, tmp_path / "a.tar")
    assert [path for path in (tmp_path / "target").rglob("*") if path.is_file()] == []


def test_import_done_again_writes_nothing_twice(source: Repositories, target: Repositories, tmp_path: Path) -> None:
    export(source, tmp_path / "a.tar", "team/app")
    import_(target, tmp_path / "a.tar")
    data = {path: path.stat().st_ino for path in (tmp_path / "target").rglob("data") if path.stat().st_size > 2000}
    import_(target, tmp_path / "a.tar", "other/name")
    assert {path: path.stat().st_ino for path in data} == data
    assert everything(target, "other/name") == everything(source, "team/app")


def test_two_repositories_with_the_same_tag_keep_apart(
    source: Repositories, target: Repositories, tmp_path: Path
) -> None:
    other = source.open("other")
    described = image(other, blob(other, b"other"))
    other.tags.point(Tag("v1"), Digest.parse(described["digest"]))
    export(source, tmp_path / "a.tar", "team/app:v1", "other")
    import_(target, tmp_path / "a.tar")
    assert str(target.open("other").tags.resolve(Tag("v1"))) == described["digest"]
    assert target.open("team/app").tags.page(limit=9) == ["v1"]


def test_policy_of_the_registry_holds_for_imports(source: Repositories, target: Repositories, tmp_path: Path) -> None:
    export(source, tmp_path / "a.tar", "team/app")
    with pytest.raises(ArchiveError, match="invalid URL on layer"):
        import_(target, tmp_path / "a.tar", policy=ValidationPolicy())
    assert list(target.catalog.names()) in ([], ["team/app"])
    assert list((tmp_path / "target").rglob("tags")) == []


@pytest.mark.parametrize(
    ("image_", "tag", "name", "expected"),
    [
        ("registry.example/library/alpine:3.20", "3.20", None, "library/alpine:3.20"),
        ("localhost:5000/a/b:v1", "v1", None, "a/b:v1"),
        ("", "v1", "given", "given:v1"),
        ("", "host/app:v1", "given", "given:v1"),
        ("a:v1", "", "given", "given:v1"),
        ("", "", "given", "given:None"),
    ],
)
def test_names_of_other_programs_are_understood(
    tmp_path: Path, image_: str, tag: str, name: str | None, expected: str
) -> None:
    write_layout(tmp_path / "a.tar", {"io.containerd.image.name": image_, "org.opencontainers.image.ref.name": tag})
    with (tmp_path / "a.tar").open("rb") as file:
        (planned,) = plan_import(Archive(file), name)
    assert f"{planned.name}:{planned.tag}" == expected


def test_archive_that_names_no_repository_asks_for_one(tmp_path: Path) -> None:
    write_layout(tmp_path / "a.tar", {"org.opencontainers.image.ref.name": "v1"})
    with (tmp_path / "a.tar").open("rb") as file, pytest.raises(ArchiveError, match="say one with --as"):
        plan_import(Archive(file), None)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"oci-layout": b"{}"},
        {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'},
        {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": b"[]"},
        {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": b'{"manifests":[{"digest":"../../x"}]}'},
        {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": b'{"manifests":[7]}'},
    ],
)
def test_what_is_no_layout_is_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    write_tar(tmp_path / "a.tar", members)
    with (tmp_path / "a.tar").open("rb") as file, pytest.raises(ArchiveError):
        plan_import(Archive(file), "name")


def everything_below(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("layer", "accepted"),
    [
        (content.descriptor(b"absent", FOREIGN, urls=["https://x.example/l"]), True),
        (content.descriptor(b"absent", FOREIGN), False),
        (content.descriptor(b"absent", LAYER, urls=["https://x.example/l"]), False),
        (content.descriptor(b"absent", LAYER), False),
    ],
)
def test_layer_that_is_missing_is_refused_with_nothing_published_unless_it_says_where_to_fetch_it(
    target: Repositories, tmp_path: Path, layer: dict[str, object], *, accepted: bool
) -> None:
    document = content.image(b"{}", layers=[layer])
    write_archive_of(tmp_path / "a.tar", document, b"{}")
    if accepted:
        import_(target, tmp_path / "a.tar")
        assert target.open("app").manifests.has(Digest.of(document))
    else:
        with pytest.raises(ArchiveError, match=f"neither the archive nor the repository has {Digest.of(b'absent')}"):
            import_(target, tmp_path / "a.tar")
        assert everything_below(tmp_path / "target") == []
        import_(target, tmp_path / "a.tar", policy=ValidationPolicy(enabled=False, sparse=True))
        assert target.open("app").manifests.has(Digest.of(document))


def test_layer_that_the_archive_lacks_and_the_repository_has_is_not_missing(
    target: Repositories, tmp_path: Path
) -> None:
    blob(target.open("app"), b"layer")
    write_archive_of(tmp_path / "a.tar", content.image(b"{}", b"layer"), b"{}")
    import_(target, tmp_path / "a.tar")
    assert target.open("app").tags.page(limit=9) == ["v1"]


@pytest.mark.parametrize("platforms", ["all", "none", "list"])
def test_image_that_an_index_lacks_is_refused_with_nothing_published_if_the_policy_wants_it(
    target: Repositories, tmp_path: Path, platforms: Literal["all", "none", "list"]
) -> None:
    linux = content.image(b"linux")
    platform = {"architecture": "amd64", "os": "linux"}
    described = content.descriptor(linux, media_types.OCI_MANIFEST, platform=platform)
    absent = content.descriptor(b"absent", media_types.OCI_MANIFEST, platform={**platform, "os": "windows"})
    write_archive_of(tmp_path / "a.tar", content.index(manifests=[described, absent]), linux, b"linux")
    policy = ValidationPolicy(platforms=platforms, platform_list=frozenset({("amd64", "linux")}))
    if platforms == "all":
        with pytest.raises(ArchiveError, match=str(Digest.of(b"absent"))):
            import_(target, tmp_path / "a.tar", policy=policy)
        assert everything_below(tmp_path / "target") == []
    else:
        import_(target, tmp_path / "a.tar", policy=policy)
        assert target.open("app").manifests.has(Digest.of(linux))


@pytest.mark.parametrize(
    "policy", [ValidationPolicy(classes=frozenset({"plugin"})), ValidationPolicy()], ids=["class", "url"]
)
def test_what_the_policy_forbids_is_refused_with_nothing_published(
    source: Repositories, target: Repositories, tmp_path: Path, policy: ValidationPolicy
) -> None:
    export(source, tmp_path / "a.tar", "team/app")
    with pytest.raises(ArchiveError):
        import_(target, tmp_path / "a.tar", policy=policy)
    assert everything_below(tmp_path / "target") == []


def test_import_on_behalf_of_who_may_not_move_tags_leaves_them_where_they_are(
    source: Repositories, target: Repositories, tmp_path: Path
) -> None:
    class Newcomer(Operator):
        moves_every_tag = False

        def require_overwrite(self, repository: str, tag: Tag, current: Digest) -> None:
            raise DeniedError(f"{repository}:{tag} points to {current}")

    repository = target.open("team/app")
    mine = Digest.parse(image(repository, blob(repository, b"mine"))["digest"])
    repository.tags.point(Tag("v1"), mine)
    export(source, tmp_path / "a.tar", "team/app:v1")
    with (tmp_path / "a.tar").open("rb") as file:
        archive = Archive(file)
        planned = plan_import(archive, None)
        with pytest.raises(ArchiveError, match=f"team/app:v1 points to {mine}"):
            publish(target, Publishing(POLICY, Newcomer()), archive, planned, Quiet())
    assert repository.tags.resolve(Tag("v1")) == mine


def test_artifact_build_cache_and_manifest_of_an_unknown_type_in_an_index_are_carried_as_what_they_are(
    source: Repositories, target: Repositories, tmp_path: Path
) -> None:
    repository = source.open("app")
    artifact = manifest(repository, {"mediaType": media_types.OCI_ARTIFACT, "blobs": [blob(repository, b"sbom")]})
    unknown = manifest(repository, {"mediaType": "application/x.test", "blobs": [blob(repository, b"of a new kind")]})
    cache = blob(repository, b"cached layer")
    listed = [artifact, unknown, cache, blob(repository, b"{}", "application/x.test")]
    index = manifest(repository, {"mediaType": media_types.OCI_INDEX, "manifests": listed})
    repository.tags.point(Tag("v1"), Digest.parse(index["digest"]))
    export(source, tmp_path / "a.tar", "app")
    import_(target, tmp_path / "a.tar", policy=ValidationPolicy())
    assert everything(target, "app") == everything(source, "app")
    for content_ in (b"sbom", b"of a new kind", b"cached layer", b"{}"):
        assert target.open("app").blobs.has(Digest.of(content_))


def test_indexes_and_referrers_nested_deeper_than_python_calls_are_exported_and_imported(
    source: Repositories, tmp_path: Path
) -> None:
    repository = source.open("app")
    top = last = image(repository, blob(repository, b"layer"))
    for _ in range(1500):
        top = manifest(repository, {"mediaType": media_types.OCI_INDEX, "manifests": [top]})
        last = manifest(repository, {"mediaType": media_types.OCI_INDEX, "manifests": [], "subject": last})
    repository.tags.point(Tag("v1"), Digest.parse(top["digest"]))
    export(source, tmp_path / "a.tar", "app")
    other = Repositories(InMemoryDriver())
    import_(other, tmp_path / "a.tar")
    assert everything(other, "app") == everything(source, "app")


def test_a_part_that_names_no_blob_is_written_anew(source: Repositories, tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar.part", {"blobs/sha256/x": b"x"})
    export(source, tmp_path / "a.tar", "team/app")
    export(source, tmp_path / "b.tar", "team/app")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_more_than_an_import_would_read_is_not_exported(source: Repositories, monkeypatch: pytest.MonkeyPatch) -> None:
    # A quarter of a million blobs would take minutes to push.
    monkeypatch.setattr("registry.archive.plan.MAX_BLOBS", 10)
    with pytest.raises(ArchiveError, match="export fewer images at a time"):
        plan_export(source, ["team/app"])


def write_archive_of(path: Path, *blobs: bytes) -> None:
    """Write an archive of `blobs`, whose first is a manifest: ``app:v1``."""
    entry = content.descriptor(blobs[0], annotations={"io.containerd.image.name": "app:v1"})
    members = {f"blobs/sha256/{Digest.of(each).hex}": each for each in blobs}
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    write_tar(path, {"index.json": index, "oci-layout": b'{"imageLayoutVersion":"1.0.0"}', **members})


def write_layout(path: Path, annotations: dict[str, str]) -> None:
    """Write a layout as other programs do: names with ./, one empty index."""
    content = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
    digest = Digest.of(content)
    entry = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": str(digest), "size": len(content)}
    if annotations:
        entry["annotations"] = annotations
    members = {
        "./index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(),
        "./oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        f"./blobs/sha256/{digest.hex}": content,
    }
    write_tar(path, members)


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def test_a_stored_manifest_that_could_not_be_pushed_is_exported_with_what_clients_find_in_it(
    tmp_path: Path,
) -> None:
    driver = InMemoryDriver()
    repository = Repositories(driver).open("a")
    first, second, config = (blob(repository, each) for each in (b"first", b"second", b"{}"))
    absent = {**first, "digest": str(Digest.of(b"absent"))}
    document = {"schemaVersion": 2, "config": {**config, "size": -1}, "layers": [first, absent], "Layers": [second]}
    stored = json.dumps({**document, "annotations": {"a": None}, "subject": {}}).encode()
    digest = Digest.of(stored)
    driver.put(paths.blob_data(digest), stored)
    write_link(driver, paths.revision_link("a", digest), digest)
    repository.tags.point(Tag("v1"), digest)

    plan = plan_export(Repositories(driver), ["a"])
    write_archive(Repositories(driver), plan, tmp_path / "a.tar", Quiet())

    assert set(plan.items) == {digest, *(Digest.parse(each["digest"]) for each in (first, second, config))}
    assert plan.left_out == {Digest.of(b"absent"): "it is not stored here"}
    with (tmp_path / "a.tar").open("rb") as file:
        assert b"".join(Archive(file).pieces(digest)) == stored
