from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.config.upstreams import Upstream
from registry.oci.errors import NameInvalidError, NameUnknownError
from registry.oci.reference import is_name
from registry.proxy.routing import Place, Routes, local
from tests.config.forms import configure

HUB = "https://registry.hub.example"
OTHER = "https://registry.example"


def entry(name: str, **settings: object) -> Upstream:
    known: dict[str, object] = {"name": name, "prefix": name, "remoteurl": OTHER}
    return Upstream(**known | settings)  # type: ignore[arg-type]


def found(routes: Routes, name: str, host: str = "", namespace: str = "") -> tuple[str, str, str]:
    place = routes.find(name, host, namespace)
    return place.upstream, place.name, place.remote


ROUTES = Routes(
    [
        entry(
            "hub",
            prefix="hub.example",
            remoteurl=HUB,
            library=True,
            hosts=("Mirror.example",),
            namespaces=("hub.example",),
        ),
        entry("team", prefix="hub.example/team", remoteprefix="org/team"),
        entry("rest", default=True),
    ],
    "own.example:5000",
)


@pytest.mark.parametrize(
    ("name", "host", "namespace", "expected"),
    [
        ("hub.example/library/alpine", "", "", ("hub", "hub.example/library/alpine", "library/alpine")),
        ("hub.example/alpine", "", "", ("hub", "hub.example/library/alpine", "library/alpine")),
        ("hub.example/team/app", "", "", ("team", "hub.example/team/app", "org/team/app")),
        ("hub.example/team", "", "", ("hub", "hub.example/library/team", "library/team")),
        ("hub.examples/app", "", "", ("rest", "rest/hub.examples/app", "hub.examples/app")),
        ("alpine", "mirror.EXAMPLE", "", ("hub", "hub.example/library/alpine", "library/alpine")),
        ("alpine", "mirror.example:5000", "", ("hub", "hub.example/library/alpine", "library/alpine")),
        ("hub.example/a", "mirror.example", "", ("hub", "hub.example/hub.example/a", "hub.example/a")),
        ("a/b", "x.example", "HUB.example", ("hub", "hub.example/a/b", "a/b")),
        ("a/b", "x.example", "x.example", ("rest", "rest/a/b", "a/b")),
        ("a/b", "x.example", "OWN.example:5000", ("rest", "rest/a/b", "a/b")),
        ("a/b", "mirror.example", "unknown.example", ("hub", "hub.example/a/b", "a/b")),
        ("a/b", "[::1]:5000", "", ("rest", "rest/a/b", "a/b")),
    ],
)
def test_the_first_rule_that_fits_decides(name: str, host: str, namespace: str, expected: tuple[str, str, str]) -> None:
    assert found(ROUTES, name, host, namespace) == expected


@pytest.mark.parametrize(
    "namespace", ["unknown.example", "hub.example.evil", "169.254.169.254", "a" * 5000, "http://x"]
)
def test_a_namespace_that_no_upstream_has_is_an_unknown_name(namespace: str) -> None:
    with pytest.raises(NameUnknownError):
        ROUTES.find("a/b", "x.example", namespace)


def test_a_repository_is_never_kept_under_the_name_of_another_upstream() -> None:
    with pytest.raises(NameUnknownError):
        ROUTES.find("team/app", "mirror.example")
    with pytest.raises(NameUnknownError):
        ROUTES.find("team/app", "", "hub.example")


def test_without_a_default_a_name_without_prefix_is_local() -> None:
    routes = Routes([entry("hub")])
    assert routes.find("team/app", "x.example") == local("team/app")
    assert routes.find("hub") == local("hub")


def test_the_default_yields_to_a_local_repository() -> None:
    assert ROUTES.find("team/app").unless_local
    assert not ROUTES.find("hub.example/app").unless_local


@pytest.mark.parametrize(
    ("name", "host", "namespace", "also", "located"),
    [
        ("a/b", "mirror.example", "", ("a/b",), "a/b"),
        ("a/b", "", "", ("a/b",), "a/b"),
        ("hub.example/alpine", "", "", ("hub.example/alpine",), "hub.example/alpine"),
        ("hub.example/a/b", "", "", (), "hub.example/a/b"),
        ("a/b", "", "hub.example", (), "hub.example/a/b"),
    ],
)
def test_a_right_on_the_name_that_was_typed_counts_unless_a_namespace_was_said(
    name: str, host: str, namespace: str, also: tuple[str, ...], located: str
) -> None:
    place = ROUTES.find(name, host, namespace)
    assert (place.also, place.located) == (also, located)


@pytest.mark.parametrize("library", [True, False])
def test_a_name_without_a_slash_is_completed_where_that_is_asked_for(*, library: bool) -> None:
    routes = Routes([entry("up", library=library)])
    assert routes.find("up/alpine").remote == ("library/alpine" if library else "alpine")
    assert routes.find("up/a/b").remote == "a/b"


def test_allow_and_deny_are_about_names_upstream() -> None:
    routes = Routes([entry("up", allow=("library/**", "team/*"), deny=("library/secret",), remoteprefix="")])
    allowed = [
        name
        for name in ("library/a", "library/secret", "team/a", "team/a/b", "x")
        if routes.find(f"up/{name}").is_allowed
    ]
    assert allowed == ["library/a", "team/a"]


def test_what_an_entry_takes_is_what_it_says() -> None:
    routes = Routes([entry("a"), entry("b", push="allow")])
    assert [routes.find(f"{each}/x").takes_pushes for each in ("a", "b", "c")] == [False, True, True]
    assert [routes.find(f"{each}/x").takes_deletions for each in ("a", "b", "c")] == [True, True, True]


def test_a_classic_proxy_has_every_name_as_it_is_whatever_the_client_says_beside_it() -> None:
    routes = Routes.of(configure(f"proxy: {{remoteurl: '{OTHER}'}}\nhttp: {{host: 'https://own.example'}}"))
    place = routes.find("team/app", "other.example", "unknown.example")
    assert place == Place(
        "team/app", "proxy", "team/app", located="team/app", takes_pushes=False, takes_deletions=False, classic=True
    )


def test_a_canonical_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(NameInvalidError):
        ROUTES.find("a" * 250, "mirror.example")


COMPONENT = st.from_regex(r"[a-z0-9]{1,3}", fullmatch=True)
NAME = st.lists(COMPONENT, min_size=1, max_size=4).map("/".join)
HOST = st.sampled_from(["", "m0", "m1:5000", "m2", "own"])


@given(st.lists(NAME, unique=True, max_size=4), NAME, HOST, HOST, st.booleans())
def test_every_upstream_keeps_its_own_names(
    prefixes: list[str], name: str, host: str, namespace: str, with_default: bool
) -> None:
    entries = [
        entry(f"u{i}", prefix=prefix, hosts=(f"m{i}",), namespaces=(f"m{i}",), default=with_default and not i)
        for i, prefix in enumerate(prefixes)
    ]
    routes = Routes(entries, "own")
    try:
        place = routes.find(name, host, namespace)
    except NameUnknownError:
        return
    assert is_name(place.name)
    if not place.upstream:
        assert place == local(name)
        return
    # Whoever names what is kept gets the same repository of the same upstream.
    again = routes.find(place.name)
    assert (again.upstream, again.remote, again.name) == (place.upstream, place.remote, place.name)
