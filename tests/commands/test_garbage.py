from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest

from drivers.filesystem.driver import FilesystemDriver
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage import paths
from registry.storage.links import write_link
from registry.storage.repository import Repositories
from tests.archive.images import blob, fill, image
from tests.lifecycle.test_garbage import digest_of
from tests.test_cli import registry


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A configuration of a store as fill_root() makes it."""
    fill_root(tmp_path / "root")
    path = tmp_path / "config.yml"
    path.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path / 'root'}}}}}\n")
    return str(path)


def fill_root(root: Path) -> None:
    """Store an image, a blob that is nobody's and a manifest without a tag, all two hours old."""
    repository = Repositories(FilesystemDriver(str(root))).open("app")
    fill(repository, layer_bytes=600)
    blob(repository, b"stray")
    image(repository, blob(repository, b"of an image without a tag"))
    for directory, _, files in os.walk(root):
        for name in files:
            os.utime(f"{directory}/{name}", (time.time() - 7200,) * 2)


def stored(tmp_path: Path) -> set[Path]:
    return {path for path in (tmp_path / "root").rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "blobs", "manifests"),
    [
        ((), 1, 0),
        (("--delete-untagged",), 3, 1),
        (("-m",), 3, 1),
        (("--delete-untagged=true",), 3, 1),
        (("--delete-untagged=false",), 1, 0),
        (("--dry-run=false",), 1, 0),
    ],
)
def test_it_deletes_what_the_go_registry_would(
    config: str, tmp_path: Path, arguments: tuple[str, ...], blobs: int, manifests: int
) -> None:
    before = {path for path in stored(tmp_path) if path.name == "data"}

    done = registry("garbage-collect", *arguments, config)

    assert done.returncode == 0, done.stderr
    assert f" blobs marked, {blobs} blobs and {manifests} manifests eligible for deletion\n" in done.stdout
    assert len(before) - len([path for path in stored(tmp_path) if path.name == "data"]) == blobs
    assert done.stderr.endswith(" are freed\n")


def test_a_dry_run_deletes_nothing(config: str, tmp_path: Path) -> None:
    before = stored(tmp_path)

    done = registry("garbage-collect", "-d", "-m", config)

    assert "blob eligible for deletion: " in done.stdout
    assert stored(tmp_path) == before


def test_quiet_says_nothing_and_deletes(config: str, tmp_path: Path) -> None:
    before = stored(tmp_path)

    done = registry("garbage-collect", "-q", config)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert stored(tmp_path) < before


def test_what_was_written_within_the_hour_stays_unless_told(config: str, tmp_path: Path) -> None:
    repository = Repositories(FilesystemDriver(str(tmp_path / "root"))).open("app")
    young = digest_of(blob(repository, b"young"))
    repository.blobs.delete(digest_of(blob(repository, b"young without a link")))

    done = registry("garbage-collect", config)

    assert "2 blobs, 25 B are younger than 1h and stay (--grace)\n" in done.stderr
    assert repository.blobs.has(young)
    registry("garbage-collect", "--grace=0s", config)

    assert not repository.blobs.has(young)
    assert not (tmp_path / "root" / paths.blob_data(young)[1:]).exists()


@pytest.mark.parametrize("only_tagged", [(), ("-m",)])
@pytest.mark.parametrize("deleted", ["manifest", "repository"])
def test_after_a_deletion_it_says_how_much_stays_because_it_is_young(
    tmp_path: Path, deleted: str, only_tagged: tuple[str, ...]
) -> None:
    repositories = Repositories(FilesystemDriver(str(tmp_path / "root")))
    app, other = repositories.open("app"), repositories.open("other")
    for repository, layer in ((app, b"layer of app"), (other, b"layer of other")):
        pushed = image(repository, blob(repository, layer))
        repository.tags.point(Tag("v1"), digest_of(pushed))
    if deleted == "manifest":
        app.manifests.delete(app.tags.resolve(Tag("v1")))
    else:
        app.delete()
    path = tmp_path / "config.yml"
    path.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path / 'root'}}}}}\n")

    done = registry("garbage-collect", *only_tagged, str(path))

    size = len(b"layer of app") + pushed["size"]  # the manifests of both are equally long
    assert f"2 blobs, {size} B are younger than 1h and stay (--grace)\n" in done.stderr
    assert done.stderr.endswith("\n0 B are freed\n")


def test_nothing_is_said_of_age_where_all_that_is_young_is_tagged(tmp_path: Path) -> None:
    repository = Repositories(FilesystemDriver(str(tmp_path / "root"))).open("app")
    repository.tags.point(Tag("v1"), digest_of(image(repository, blob(repository, b"layer"))))
    path = tmp_path / "config.yml"
    path.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path / 'root'}}}}}\n")

    assert registry("garbage-collect", "-m", str(path)).stderr == "0 B are freed\n"


@pytest.mark.parametrize("grace", ["-1h", "-1ns"])
def test_a_negative_grace_is_one_line(config: str, grace: str) -> None:
    done = registry("garbage-collect", f"--grace={grace}", config)

    assert done.returncode == 2
    assert done.stderr.endswith(f"{grace!r} is negative; 0s is the least\n")


@pytest.mark.parametrize(("grace", "hint"), [("soon", ""), ("1", "; a unit is missing, as in 1h")])
def test_a_grace_that_is_no_duration_is_one_line(config: str, grace: str, hint: str) -> None:
    done = registry("garbage-collect", "--grace", grace, config)

    assert done.returncode == 2
    assert done.stderr.endswith(f"{grace!r} is not a duration such as 90s, 30m or 24h{hint}\n")


def test_where_no_repository_has_anything_nothing_is_deleted_unless_forced(config: str, tmp_path: Path) -> None:
    """As where the repositories are a volume of their own, which is not mounted."""
    repositories = tmp_path / "root" / paths.REPOSITORIES[1:]
    repositories.rename(tmp_path / "elsewhere")
    before = stored(tmp_path)

    done = registry("garbage-collect", config)

    assert done.returncode == 1
    assert done.stderr.startswith("Error: nothing lies where repositories do, but blobs are there: ")
    assert done.stderr.count("\n") == 1
    assert stored(tmp_path) == before
    repositories.mkdir()
    assert registry("garbage-collect", config).returncode == 1
    assert registry("garbage-collect", "--force", config).returncode == 0
    assert not [path for path in stored(tmp_path) if path.name == "data"]


def test_links_that_were_condemned_go_with_their_blobs(config: str, tmp_path: Path) -> None:
    driver = FilesystemDriver(str(tmp_path / "root"))
    gone, kept = Digest.of(b"stray"), Digest.of(b"of an image without a tag")
    driver.delete(paths.layer_link("app", gone))
    for digest in (gone, kept):
        write_link(driver, paths.condemned_layer_link("app", digest), digest)

    registry("garbage-collect", "--grace=0s", config)

    assert not (tmp_path / "root" / paths.condemned("app")[1:]).exists()
    assert not (tmp_path / "root" / paths.blob_data(gone)[1:]).exists()
    assert (tmp_path / "root" / paths.blob_data(kept)[1:]).exists()


def test_what_was_read_is_kept_in_the_state_directory(config: str, tmp_path: Path) -> None:
    state = tmp_path / "state"
    Path(config).write_text(
        f"version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {tmp_path / 'root'}}}\n"
        f"  maintenance: {{garbagecollection: {{statedirectory: {state}}}}}\n"
    )

    first = registry("garbage-collect", "--dry-run", "-m", config)

    assert sorted(path.name for path in state.iterdir()) == ["lock", "manifests", "tags"]
    kept = (state / "manifests").read_bytes()
    second = registry("garbage-collect", "--dry-run", "-m", config)
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert (state / "manifests").read_bytes() == kept


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write what others cannot use")
@pytest.mark.parametrize("flags", [("--offline",), ("--offline", "--explain", str(Digest.of(b"stray")))])
def test_what_root_has_read_is_kept_for_the_server(open_directory: Path, flags: tuple[str, ...]) -> None:
    root, state, config = (open_directory / name for name in ("root", "state", "config.yml"))
    fill_root(root)
    config.write_text(
        f"version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {root}}}\n"
        f"  maintenance: {{garbagecollection: {{statedirectory: {state}}}}}\n"
    )
    state.mkdir()
    for directory in (root, state):
        os.chown(directory, 12345, 12346)

    done = registry("garbage-collect", *flags, str(config))
    assert done.returncode == 0, done.stderr

    assert {(path.name, path.stat().st_uid, path.stat().st_gid) for path in state.iterdir()} == {
        (name, 12345, 12346) for name in ("lock", "manifests", "tags")
    }


def test_explain_says_what_keeps_a_digest(config: str, tmp_path: Path) -> None:
    repository = Repositories(FilesystemDriver(str(tmp_path / "root"))).open("app")
    index = repository.tags.resolve(Tag("latest"))
    amd64, _ = repository.manifests.get(index).manifests
    layer = Digest.of(b"amd64" * 1000)
    before = stored(tmp_path)

    done = registry("garbage-collect", "-m", "--explain", str(layer), config)

    path = f"app:latest -> index {index} -> image {amd64.digest} -> layer {layer}"
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{layer} stays: {path}\n", "")
    assert stored(tmp_path) == before


def test_explain_says_when_a_digest_may_go(config: str, tmp_path: Path) -> None:
    repository = Repositories(FilesystemDriver(str(tmp_path / "root"))).open("app")
    young = digest_of(blob(repository, b"young"))

    def explained(digest: Digest, *arguments: str) -> str:
        return registry("garbage-collect", "--explain", str(digest), *arguments, config).stdout.removeprefix(
            f"{digest} "
        )

    assert explained(Digest.of(b"stray")) == (
        "may go now: nothing leads to it\napp: nothing leads to its layer link, which may go\n"
    )
    assert re.fullmatch(
        r"stays because it is young, and may go after \S+Z: app, written at \S+Z -> layer .*\n", explained(young)
    )
    assert explained(young, "--grace=0s").startswith("may go now: ")
    assert explained(Digest.of(b"never pushed")) == "is not stored\n"
    driver = FilesystemDriver(str(tmp_path / "root"))
    driver.delete(paths.layer_link("app", Digest.of(b"stray")))
    write_link(driver, paths.condemned_layer_link("app", Digest.of(b"stray")), Digest.of(b"stray"))
    assert re.fullmatch(r"was condemned at \S+Z and may go now\n", explained(Digest.of(b"stray")))


def test_explain_says_it_in_json_too(config: str, tmp_path: Path) -> None:
    repository = Repositories(FilesystemDriver(str(tmp_path / "root"))).open("app")
    index = repository.tags.resolve(Tag("latest"))

    kept = json.loads(registry("garbage-collect", "--json", "-m", "--explain", str(index), config).stdout)
    stray = json.loads(registry("garbage-collect", "--json", "--explain", str(Digest.of(b"stray")), config).stdout)

    steps = [{"kind": "index", "digest": str(index)}]
    path = {"root": "tag", "repository": "app", "tag": "latest", "steps": steps}
    assert kept == {"digest": str(index), "verdict": "kept", "path": path, "loose_links": []}
    assert (stray["verdict"], stray["loose_links"]) == ("unreferenced", [{"repository": "app", "kind": "layer"}])


def test_what_is_to_be_explained_must_be_a_digest(config: str) -> None:
    done = registry("garbage-collect", "--explain", "app:latest", config)

    assert done.returncode == 2
    assert "'app:latest' is not a digest such as sha256:9f86d081...\n" in done.stderr
