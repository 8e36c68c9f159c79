from __future__ import annotations

import pytest

from registry.config.cached import Cached, keeps
from registry.config.upstreams import Upstream, UpstreamCache

HUB = Upstream(name="hub", prefix="hub.example", cache=UpstreamCache(keep=("library/postgres", "team/**")))
NESTED = Upstream(name="nested", prefix="hub.example/mirror", push="allow")
CACHED = Cached((HUB, NESTED))
CLASSIC = Cached((Upstream(name="proxy", classic=True),))


@pytest.mark.parametrize(
    ("name", "upstream"),
    [
        ("hub.example/library/alpine", HUB),
        ("hub.example/mirror/app", NESTED),
        ("hub.example/mirror", HUB),
        ("hub.example/mirrored/app", HUB),
        ("hub.example", None),
        ("hub.examplex/library/alpine", None),
        ("library/alpine", None),
    ],
)
def test_a_repository_is_cached_of_the_upstream_with_the_longest_prefix(name: str, upstream: Upstream | None) -> None:
    assert CACHED.upstream_of(name) == upstream
    assert (name in CACHED) is (upstream is not None)


def test_every_repository_of_a_classic_cache_is_cached() -> None:
    assert "team/app" in CLASSIC
    assert CLASSIC.is_only_cached("team/app")
    assert "team/app" not in Cached()
    assert not Cached()


def test_what_may_be_pushed_to_is_not_only_cached() -> None:
    assert CACHED.is_only_cached("hub.example/library/alpine")
    assert not CACHED.is_only_cached("hub.example/mirror/app")
    assert not CACHED.is_only_cached("team/app")


def test_what_is_kept_is_told_by_the_name_upstream() -> None:
    assert keeps(HUB, "hub.example/library/postgres")
    assert keeps(HUB, "hub.example/team/a/b")
    assert not keeps(HUB, "hub.example/library/alpine")
    assert not keeps(HUB, "hub.example/hub.example/library/postgres")
    assert keeps(Upstream(prefix="ours", remoteprefix="mirror", cache=UpstreamCache(keep=("mirror/*",))), "ours/app")
    assert keeps(Upstream(classic=True, cache=UpstreamCache(keep=("library/*",))), "library/alpine")
