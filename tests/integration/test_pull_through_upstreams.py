"""Caches of real registries: Go registries and ours, behind logins, one cache behind another, and a cache of itself.

The directory of a cache goes from the Go registry to ours and back.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from drivers.filesystem.driver import FilesystemDriver
from registry.config.loading import load
from registry.proxy.eviction.sweep import sweep
from tests.integration.api import Api, digest_of
from tests.integration.clients import missing
from tests.integration.pull_through import caches, entry
from tests.integration.servers import Flavour, Server, distribution_v3, free_port, ours
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.integration.content import Descriptor, Samples

pytestmark = pytest.mark.timeout(200)

USER, PASSWORD = "reader", "a password of the upstream"
AUTH = {"username": USER, "password": PASSWORD}
SMALL = "library/small"
OTHER = "library/other"
MOST_ROUND = 4
"""Requests of a client and of the caches on its behalf: one that comes round is refused, be it HEAD or GET."""


@pytest.fixture(scope="module")
def v3() -> Flavour:
    flavour = distribution_v3()
    if flavour is None:
        missing("the Go registry (DISTRIBUTION_V3)")
    assert flavour is not None
    return flavour


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, samples: Samples) -> Path:
    """A storage with two images."""
    directory = tmp_path_factory.mktemp("upstream")
    with running(Server(ours(), directory / "root", directory)) as server:
        samples.layout.push(server.api, SMALL, samples.multi, "v1")
        samples.layout.push(server.api, OTHER, samples.amd64, "v1")
        samples.layout.push(server.api, OTHER, samples.artifact)
    return directory / "root"


@pytest.fixture(scope="module")
def htpasswd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("passwords") / "htpasswd"
    path.write_text(f"{USER}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()}\n")
    return path


def requests(server: Server, path: str) -> int:
    """Give how many requests for a path there were, as the log of accesses has them."""
    return len(re.findall(rf'"(?:GET|HEAD) {re.escape(path)}[ ?]', server.log))


@contextmanager
def running(server: Server) -> Iterator[Server]:
    try:
        yield server.start()
        if server.is_running():
            server.stop_cleanly()
    finally:
        if server.is_running():
            server.kill()


def assert_whole(api: Api, repository: str, samples: Samples, descriptor: Descriptor, tag: str = "") -> None:
    """A manifest and all that it names are served as they are."""
    digest = descriptor["digest"]
    answer = api.manifest(repository, tag or digest)
    assert (answer.status, digest_of(answer.body)) == (200, digest), answer
    document = answer.json()
    for child in document.get("manifests", []):
        assert_whole(api, repository, samples, child)
    for blob in [document["config"], *document["layers"]] if "layers" in document else []:
        got = api.blob(repository, blob["digest"])
        assert (got.status, got.body) == (200, samples.layout.blob_path(blob["digest"]).read_bytes()), got.status


def test_a_registry_that_wants_a_password_is_cached_and_never_asked_without_it(
    tmp_path: Path, v3: Flavour, root: Path, htpasswd: Path, samples: Samples
) -> None:
    guarded = {"auth": {"htpasswd": {"realm": "upstream", "path": str(htpasswd)}}}
    with running(Server(v3, root, tmp_path, settings=guarded)) as upstream:
        wrong = entry(upstream.url, name="wrong", auth={**AUTH, "password": "another"})
        with caches(tmp_path, {"proxies": [entry(upstream.url, auth=AUTH), wrong]}) as (cache,):
            assert_whole(cache.api, f"up/{SMALL}", samples, samples.multi, "v1")
            assert cache.api.manifest(f"wrong/{SMALL}", "v1").status == 403
            assert PASSWORD not in cache.log + upstream.log


def test_a_registry_with_a_token_service_is_cached(
    tmp_path: Path, root: Path, htpasswd: Path, samples: Samples
) -> None:
    rules = [{"repositories": "library/**", f"user:{USER}": ["pull"]}]
    local = {"auth": {"local": {"htpasswd": str(htpasswd), "rules": rules}}}
    with (
        running(Server(ours(), root, tmp_path, settings=local)) as upstream,
        caches(tmp_path, {"proxies": [entry(upstream.url, auth=AUTH)]}) as (cache,),
    ):
        assert_whole(cache.api, f"up/{SMALL}", samples, samples.multi, "v1")
        assert cache.api.get(f"/v2/up/{SMALL}/tags/list").json()["tags"] == ["v1"]
        assert cache.api.manifest("up/private/app", "v1").status in {403, 404}


def test_a_cache_of_a_cache_serves_what_the_registry_at_the_end_has(
    tmp_path: Path, debian_flavour: Flavour, root: Path, samples: Samples
) -> None:
    directories = [tmp_path / name for name in ("first", "second")]
    for directory in directories:
        directory.mkdir()
    with (
        running(Server(debian_flavour, root, tmp_path)) as upstream,
        caches(directories[0], {"proxy": {"remoteurl": upstream.url}}) as (first,),
        caches(directories[1], {"proxies": [entry(first.url)]}) as (second,),
    ):
        assert_whole(second.api, f"up/{SMALL}", samples, samples.multi, "v1")
        assert second.api.manifest(f"up/{SMALL}", "v2").status == 404
        upstream.kill()
        first.stop_cleanly()
        answer = second.api.manifest(f"up/{SMALL}", "v1")
        assert digest_of(answer.body) == samples.multi["digest"]
        assert_whole(second.api, f"up/{SMALL}", samples, samples.multi)


def test_referrers_come_through_from_a_registry_that_lists_them_and_by_their_tag_from_one_that_does_not(
    tmp_path: Path, v3: Flavour, root: Path, samples: Samples
) -> None:
    subject = samples.amd64["digest"]
    with running(Server(ours(), root, tmp_path)) as ours_, running(Server(v3, root, tmp_path)) as go:
        settings = {"proxies": [entry(ours_.url), entry(go.url, name="go")]}
        with caches(tmp_path, settings) as (cache,):
            listed = cache.api.get(f"/v2/up/{OTHER}/referrers/{subject}").json()["manifests"]
            assert [each["digest"] for each in listed] == [samples.artifact["digest"]]
            assert_whole(cache.api, f"up/{OTHER}", samples, samples.artifact)
            assert cache.api.get(f"/v2/go/{OTHER}/referrers/{subject}").status == 404, "clients ask for the tag then"


@pytest.mark.parametrize("what", ["manifests/v1", f"blobs/{digest_of(b'')[:-1]}1", "tags/list"])
def test_a_cache_of_itself_ends_with_an_error_at_once(tmp_path: Path, what: str) -> None:
    port = free_port()
    settings = {"proxies": [entry(f"http://127.0.0.1:{port}", remoteprefix="up")]}
    with running(Server(ours(), tmp_path / "root", tmp_path, port=port, settings=settings)) as server:
        answer = server.api.get(f"/v2/up/app/{what}")
        assert answer.status in {502, 503}, answer
    assert 2 <= requests(server, f"/v2/up/app/{what}") <= MOST_ROUND


def test_caches_of_each_other_end_with_an_error_at_once(tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    pair = []
    whats = ("manifests/v1", f"blobs/{digest_of(b'loop')}", "tags/list")
    for own, other in (ports, ports[::-1]):
        directory = tmp_path / str(own)
        directory.mkdir()
        settings = {"proxy": {"remoteurl": f"http://127.0.0.1:{other}"}}
        pair.append(Server(ours(), directory / "root", directory, port=own, settings=settings))
    with running(pair[0]) as first, running(pair[1]):
        for what in whats:
            answer = first.api.get(f"/v2/some/app/{what}")
            assert answer.status in {502, 503}, answer
    for what in whats:
        assert 2 <= requests(first, f"/v2/some/app/{what}") <= MOST_ROUND


def test_the_directory_of_a_cache_of_the_go_registry_is_served_and_given_back(
    tmp_path: Path, v3: Flavour, debian_flavour: Flavour, root: Path, samples: Samples
) -> None:
    upstream = Server(debian_flavour, root, tmp_path)
    kept = tmp_path / "cache"
    classic = {"proxy": {"remoteurl": upstream.url, "ttl": "24h"}, "http": {"draintimeout": "5s"}}
    with running(upstream):
        with running(Server(v3, kept, tmp_path, settings=classic)) as go:
            assert_whole(go.api, SMALL, samples, samples.multi, "v1")
            wait_until("it has written what expires when", lambda: expiring(kept))
        upstream.kill()
        with running(Server(ours(), kept, tmp_path, settings=classic)) as cache:
            answer = cache.api.manifest(SMALL, "v1")
            assert digest_of(answer.body) == samples.multi["digest"]
            assert_whole(cache.api, SMALL, samples, samples.multi)
            upstream.start()
            wait_until("it is asked again", lambda: cache.api.manifest(OTHER, "v1").status == 200)
            assert_whole(cache.api, OTHER, samples, samples.amd64, "v1")
            configuration = load(str(cache.directory / f"ours-{cache.port}.yml"), {})
        sweep(configuration, FilesystemDriver(str(kept)), lambda: False)
        expected = {f"{OTHER}@{samples.amd64['digest']}", f"{SMALL}@{samples.multi['digest']}"}
        assert expected <= set(expiring(kept))
        go = Server(v3, kept, tmp_path, settings=classic)
        with running(go):
            upstream.kill()
            assert_whole(go.api, OTHER, samples, samples.amd64, "v1")
            assert_whole(go.api, SMALL, samples, samples.multi, "v1")
            assert set(expiring(kept)) >= expected
            assert "panic" not in go.log


def expiring(root: Path) -> Mapping[str, Any]:
    """Give the entries of the Go registry's list of what is to be forgotten."""
    path = root / "scheduler-state.json"
    entries: Mapping[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    return entries
