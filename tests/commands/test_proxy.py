from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.proxy.freshness import TagState
from registry.storage import paths
from registry.storage.runs import Phase, Run, Runs
from tests.commands.stores import OWN, SHARED, configure, fill, run, stored
from tests.content import descriptor, image
from tests.upstreams import registry

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from drivers.base import StorageDriver
    from tests.upstreams import Registry

PROXIES = """
proxies:
- {name: hub, remoteurl: "https://hub.example", prefix: team, cache: {size: 1GiB, keep: [web]}}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A cache that has fetched team/app and team/web; base is pushed."""
    fill(tmp_path)
    configure(tmp_path)
    with (tmp_path / "config.yml").open("a") as config:
        config.write(PROXIES)
    for name, tags in (("team/app", ("v1", "v2", "latest")), ("team/web", ("v1",))):
        for tag in tags:
            digest = driver_of(tmp_path).get(paths.tag_link(name, tag), limit=100).decode()
            known = TagState(Digest.parse(digest), 0.0).encode()
            driver_of(tmp_path).put(paths.proxied_tag(name, tag), known)
    return tmp_path


def driver_of(directory: Path) -> StorageDriver:
    return stored(directory)._driver


def proxy(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("proxy", *arguments, "--config", str(directory / "config.yml"))


def test_list_tells_what_is_cached_and_nothing_else(directory: Path) -> None:
    done = proxy(directory, "list")

    assert (done.returncode, done.stderr) == (0, "")
    title, app, web, total = done.stdout.splitlines()
    assert title.split() == ["SIZE", "MANIFESTS", "TAGS", "USED", "(UTC)", "REPOSITORY"]
    assert app.split()[2:4] == ["1", "3"]
    assert app.endswith("team/app")
    assert web.endswith("team/web")
    assert "of 1.0 GiB in all of hub" in total


def test_list_for_scripts_counts_each_byte_of_an_upstream_once(directory: Path) -> None:
    told = json.loads(proxy(directory, "list", "--json").stdout)

    assert [each["name"] for each in told["repositories"]] == ["team/app", "team/web"]
    (hub,) = told["upstreams"]
    assert hub["tags"] == 4
    assert max(each["size"] for each in told["repositories"]) < hub["size"]
    assert hub["size"] < sum(each["size"] for each in told["repositories"])
    chosen = json.loads(proxy(directory, "list", "--json", "team/a*").stdout)
    assert [each["name"] for each in chosen["repositories"]] == ["team/app"]


def test_what_is_evicted_is_gone_and_what_others_hold_stays(directory: Path) -> None:
    done = proxy(directory, "evict", "team/app")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("hub: 3 tags, 1 manifests, 3 blobs, ")
    repositories = stored(directory)
    assert not repositories.open("team/app").blobs.has(Digest.of(SHARED))
    assert repositories.open("team/web").blobs.has(Digest.of(SHARED))
    assert list(repositories.open("base").tags.names()) == ["12"]
    assert run("ls", "--config", str(directory / "config.yml")).stdout.split() == ["base", "team/web"]
    assert run("fsck", str(directory / "config.yml")).returncode == 0


def test_a_cache_from_which_everything_was_evicted_is_not_damaged(directory: Path) -> None:
    stored(directory).open("base").delete()
    assert proxy(directory, "evict", "team/*").returncode == 0

    for options in ([], ["--deep"], ["--repair"]):
        done = run("fsck", *options, str(directory / "config.yml"))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith("\nnothing is damaged\n")


def test_evict_does_not_heed_keep_and_tells_scripts_what_went(directory: Path) -> None:
    (told,) = json.loads(proxy(directory, "evict", "--json", "team/w*").stdout)

    assert told["upstream"] == "hub"
    assert told["manifests"] == 3
    assert told["evicted"] >= len(OWN)


def test_a_pattern_that_matches_nothing_that_is_cached_is_an_error(directory: Path) -> None:
    done = proxy(directory, "evict", "base", "team/app")

    assert (done.returncode, done.stderr) == (1, "Error: nothing that is cached matches base\n")
    assert list(stored(directory).open("base").tags.names()) == ["12"]


@pytest.mark.parametrize("busy", ["eviction", "collection"])
def test_two_at_a_time_are_refused(directory: Path, busy: str) -> None:
    driver = driver_of(directory)
    if busy == "collection":
        Runs(driver).write(Run(1, Phase.MARKING))
    else:
        claim = driver.claim(paths.EVICTION_CLAIM)
        assert claim

    done = proxy(directory, "evict", "team/app")

    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
    assert stored(directory).open("team/app").blobs.has(Digest.of(SHARED))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("list", "UPPER//"), "is not a pattern"), (("evict", "a**"), "must stand alone")],
)
def test_what_is_no_pattern_is_an_error_in_one_line(directory: Path, arguments: tuple[str, ...], says: str) -> None:
    done = proxy(directory, *arguments)

    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_upstreams_there_is_nothing_to_list(tmp_path: Path) -> None:
    fill(tmp_path)
    configure(tmp_path)

    done = proxy(tmp_path, "list")

    assert done.returncode == 1
    assert done.stderr.startswith("Error: nothing is cached: ")


@pytest.fixture
def remote() -> Iterator[Registry]:
    with registry() as served:
        yield served


def upstreams(directory: Path, *entries: str) -> None:
    """Configure a cache of the upstreams that are spelled so."""
    configure(directory)
    with (directory / "config.yml").open("a") as config:
        config.write("proxies:\n" + "".join(f"- {{{each}}}\n" for each in entries))


def test_check_tells_how_each_upstream_lets_us_in(tmp_path: Path, remote: Registry) -> None:
    remote.login, remote.realm = ("user", "word"), remote.token_url
    auth = f"auth: {{username: user, password: word, realms: [{remote.host}]}}"
    upstreams(tmp_path, f"name: hub, remoteurl: {remote.url}, {auth}")

    done = proxy(tmp_path, "check")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split(maxsplit=2) == ["ok", "hub", f"lets us in as user, by tokens of {remote.host}\n"]
    (told,) = json.loads(proxy(tmp_path, "check", "--json").stdout)
    assert (told["usable"], told["user"], told["login"]) == (True, "user", "bearer")
    assert "word" not in done.stdout


def test_an_upstream_that_cannot_be_used_is_a_failure_and_the_others_are_asked_nevertheless(
    tmp_path: Path, remote: Registry
) -> None:
    remote.login = ("user", "word")
    upstreams(
        tmp_path,
        f"name: wrong, remoteurl: {remote.url}, auth: {{username: user, password: another}}",
        "name: down, remoteurl: http://127.0.0.1:9",
        f"name: well, remoteurl: {remote.url}, auth: {{username: user, password: word}}",
    )

    done = proxy(tmp_path, "check")

    assert done.returncode == 1
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["failure", "wrong"],
        ["failure", "down"],
        ["ok", "well"],
    ]
    assert proxy(tmp_path, "check", "well").returncode == 0
    unknown = proxy(tmp_path, "check", "none")
    assert (unknown.returncode, unknown.stderr) == (
        1,
        "Error: there is no upstream none: there are down, well, wrong\n",
    )


def test_what_is_pulled_has_to_have_the_name_of_an_upstream_and_a_platform_its_form(tmp_path: Path) -> None:
    upstreams(tmp_path, "name: hub, remoteurl: http://127.0.0.1:9")
    fill(tmp_path)

    local = proxy(tmp_path, "pull", "base:12")
    platform = proxy(tmp_path, "pull", "--platform", "amd64", "hub/app")

    assert local.returncode == 1
    assert local.stderr.startswith("Error: base:12: it belongs to no upstream: ")
    assert platform.returncode == 2
    assert "'amd64' is not OS/ARCH" in platform.stderr


def test_an_image_is_pulled_whole_once_and_anew_when_it_was_evicted(tmp_path: Path, remote: Registry) -> None:
    layers = [os.urandom(300_000), b"small"]
    for content in (b"{}", *layers):
        remote.put_blob("library/app", content)
    digest = remote.put_manifest("library/app", image(b"{}", *layers), "v1")
    signed = remote.put_blob("library/app", b"signed")
    subject = descriptor(image(b"{}", *layers), media_types.OCI_MANIFEST)
    signature = remote.put_manifest("library/app", image(b"{}", b"signed", subject=subject))
    upstreams(tmp_path, f"name: hub, remoteurl: {remote.url}")
    (tmp_path / "root").mkdir()
    size = 300_000 + len(b"small") + len(b"{}")

    (first,) = json.loads(proxy(tmp_path, "pull", "--json", "hub/library/app:v1").stdout)
    (second,) = json.loads(proxy(tmp_path, "pull", "--json", "--referrers", "hub/library/app:v1").stdout)

    kept = stored(tmp_path).open("hub/library/app")
    assert first == {"image": "hub/library/app:v1", "manifests": 1, "blobs": 3, "fetched": size}
    assert (second["manifests"], second["fetched"]) == (2, len(b"signed"))
    assert kept.tags.resolve(Tag("v1")) == digest
    assert kept.manifests.has(signature)
    assert kept.blobs.has(signed)
    assert all(remote.count("GET", str(Digest.of(each))) == 1 for each in layers)
    listed = json.loads(proxy(tmp_path, "list", "--json").stdout)
    assert [(each["name"], each["tags"], each["manifests"]) for each in listed["repositories"]] == [
        ("hub/library/app", 1, 2)
    ]
    proxy(tmp_path, "evict", "hub/**")
    assert not kept.blobs.has(Digest.of(layers[0]))
    assert proxy(tmp_path, "pull", "hub/library/app:v1").returncode == 0
    assert kept.blobs.has(Digest.of(layers[0]))


def test_an_image_that_cannot_be_pulled_is_an_error_in_one_line_and_the_others_are_pulled(
    tmp_path: Path, remote: Registry
) -> None:
    remote.put_blob("app", b"{}")
    remote.put_manifest("app", image(b"{}"), "v1")
    upstreams(tmp_path, f"name: hub, remoteurl: {remote.url}", "name: down, remoteurl: http://127.0.0.1:9")
    (tmp_path / "root").mkdir()

    done = proxy(tmp_path, "pull", "hub/none:v1", "down/app", "hub/app:v1")

    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error")]
    assert [line.split(": ")[:2] for line in errors] == [
        ["Error", "hub/none:v1"],
        ["Error", "down/app"],
    ]
    assert done.stdout == "hub/app:v1: 1 manifests, 1 blobs, 2 B fetched\n"
