from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from drivers.filesystem.driver import FilesystemDriver
from registry.oci.digest import Digest
from registry.storage import paths
from registry.storage.parts import Kind, Known, Part, known_at, leaf_in, part_at

SHA256 = Digest.of(b"content")
SHA512 = Digest.of(b"content", "sha512")
NAMES = ["a", "team/app", "HOST.example/app", "link", "a/link", "blobs", "a__b"]
TAGS = ["v1", "_manifests", "_layers", "current", "link", "index"]


@pytest.mark.parametrize("digest", [SHA256, SHA512])
@pytest.mark.parametrize("name", NAMES)
def test_what_an_object_is_can_be_told_by_its_path(name: str, digest: Digest) -> None:
    assert part_at(paths.blob_data(digest)) == Part(Kind.BLOB, "", digest)
    assert part_at(paths.layer_link(name, digest)) == Part(Kind.LAYER, name, digest)
    assert part_at(paths.revision_link(name, digest)) == Part(Kind.REVISION, name, digest)
    assert part_at(paths.condemned_layer_link(name, digest)) == Part(Kind.CONDEMNED_LAYER, name, digest)
    assert part_at(paths.condemned_revision_link(name, digest)) == Part(Kind.CONDEMNED_REVISION, name, digest)
    for tag in TAGS:
        assert part_at(paths.tag_link(name, tag)) == Part(Kind.TAG, name, None, tag)
        assert part_at(paths.tag_history_link(name, tag, digest)) == Part(Kind.HISTORY, name, digest, tag)


BLOB = paths.blob_data(SHA256)
LAYER = paths.layer_link("a", SHA256)
TAG = paths.tag_link("a", "v1")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        paths.BLOBS,
        paths.GC_RUN,
        paths.copy_data(SHA256),
        paths.fill_data("hub", SHA256),
        paths.fill_about("hub", SHA256),
        paths.below(BLOB, "data"),
        BLOB.replace("/data", "/link"),
        BLOB.replace("sha256", "md5"),
        BLOB.replace(SHA256.hex[:2], "zz", 1),
        BLOB.replace(f"/{SHA256.hex[:2]}/", "/00/"),
        BLOB.replace(f"/{SHA256.hex[:2]}/", "//"),
        BLOB.replace(SHA256.hex, SHA256.hex.upper()),
        LAYER.replace("/link", "/data"),
        LAYER.replace("/a/", "/UPPER/"),
        LAYER.replace("/a/", "/a..b/"),
        LAYER.replace("/a/", "/"),
        LAYER.replace("sha256", "sha512"),
        paths.below(LAYER, "link"),
        TAG.replace("v1", ".v1"),
        TAG.replace("current", "previous"),
        paths.tag_history_link("a", ".v1", SHA256),
        paths.tag_history_link("a", "v1", SHA256).replace("index", "former"),
        paths.upload_data("a", "id"),
        paths.upload_started_at("a", "id"),
        paths.referrer_link("a", SHA256, SHA512),
        paths.referrer_descriptor("a", SHA256, SHA512),
        paths.proxied_tag("a", "v1"),
        paths.proxied_referrers("a", SHA256),
        paths.repository("a"),
        paths.all_layers("a"),
        paths.below(paths.all_layers("a"), "link"),
        paths.below(paths.tags("a"), "link"),
        paths.below(paths.below(paths.condemned("a"), "_other"), "sha256/x/link"),
    ],
)
def test_anything_else_is_passed_over(path: str) -> None:
    assert part_at(path) is None


def test_files_of_other_programs_hide_nothing_from_a_walk_that_knows_the_layout(tmp_path: Path) -> None:
    driver = FilesystemDriver(str(tmp_path))
    objects = {paths.blob_data(digest) for digest in (SHA256, SHA512)}
    for name in NAMES:
        for digest in (SHA256, SHA512):
            objects |= {
                path_of(name, digest)
                for path_of in (
                    paths.layer_link,
                    paths.revision_link,
                    paths.condemned_layer_link,
                    paths.condemned_revision_link,
                )
            }
            objects |= {paths.tag_history_link(name, tag, digest) for tag in TAGS}
        objects |= {paths.tag_link(name, tag) for tag in TAGS}
    for path in objects:
        driver.put(path, str(SHA256).encode())
    for directory, _, files in os.walk(tmp_path):
        for name in {"link", "data"} - set(files):
            with suppress(IsADirectoryError):
                Path(directory, name).write_bytes(b"a file of another program")

    found = [each.path for root in (paths.BLOBS, paths.REPOSITORIES) for each in driver.walk(root, leaf_in=leaf_in)]

    assert sorted(path for path in found if part_at(path)) == sorted(objects)


def test_the_only_object_of_a_directory_is_known_where_its_name_is_a_digest() -> None:
    for path in (BLOB, LAYER, paths.revision_link("a", SHA512), paths.tag_history_link("a", "v1", SHA256)):
        above, _, leaf = path.rpartition("/")
        directory = above.rpartition("/")[0]
        assert leaf_in(directory) == leaf
        assert leaf_in(above) == leaf_in(directory.rpartition("/")[0]) == ""
    assert leaf_in(paths.tags("a")) == leaf_in(paths.tag_link("a", "v1").removesuffix("/current/link")) == ""
    assert leaf_in(paths.referrer_link("a", SHA256, SHA512).rpartition("/")[0]) == ""


@pytest.mark.parametrize("digest", [SHA256, SHA512])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_of_fetched_content_is_told_by_its_path_and_no_part_of_the_tree(name: str, digest: Digest) -> None:
    manifest = paths.fetched_manifest(name, digest)

    assert known_at(manifest) == Known(name, digest=digest)
    assert part_at(manifest) is None
    for tag in TAGS:
        assert known_at(paths.proxied_tag(name, tag)) == Known(name, tag)
        assert part_at(paths.proxied_tag(name, tag)) is None
    assert known_at(paths.tag_link(name, "v1")) is None
    assert known_at(paths.blob_data(digest)) is None
