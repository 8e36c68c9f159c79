from __future__ import annotations

import pytest

from tests.config.forms import configure, refusal


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("middleware: {repository: [{name: a, disabled: true}, {name: b}]}", "middleware.repository[1]"),
        ("middleware: {registry: [{name: x}]}", "middleware.registry[0]"),
    ],
)
def test_a_feature_whose_absence_would_be_a_hole_stops_the_start(text: str, key: str) -> None:
    assert refusal(text) == f"{key}: not supported yet"


@pytest.mark.parametrize(
    "text",
    [
        "auth: none",
        "auth: {None: {}}",
        "auth: {htpasswd: {realm: r, path: /p}}",
        "proxy: {remoteurl: ''}",
        "middleware: {storage: [], registry: }",
        "middleware: {storage: [{name: x, disabled: true}]}",
        "notifications: {endpoints: [{url: x, disabled: true}]}",
        "http: {tls: {minimumtls: tls1.3}}",
    ],
)
def test_what_is_switched_off_stops_nothing(text: str) -> None:
    assert configure(text).warnings == ()


REDIS = "version: 0.1\nstorage: {inmemory: , cache: {blobdescriptor: redis}}\n"


@pytest.mark.parametrize("text", ["", "redis: {password: x}", "redis: {addrs: []}"])
def test_cache_in_redis_without_an_address_stops_the_start(text: str) -> None:
    assert refusal(text, base=REDIS) == "storage.cache.blobdescriptor: redis needs redis.addrs"


@pytest.mark.parametrize(
    "options",
    [
        "",
        "username: u, password: p, db: 3, clientname: c, protocol: 3, disableidentity: true",
        "mastername: m, sentinelusername: u, sentinelpassword: p, db: 3",
        "maxretries: -1, minretrybackoff: 5ms, maxretrybackoff: 1s, poolsize: 4, maxactiveconns: 5",
        "dialtimeout: 1s, readtimeout: 2s, writetimeout: 2s",
        "tls: {enabled: true, certificate: c, key: k, rootcas: [r]}",
    ],
)
def test_options_of_redis_that_are_obeyed_give_no_warning(options: str) -> None:
    assert configure(f"redis: {{addrs: ['a:1'], {options}}}", base=REDIS).warnings == ()


@pytest.mark.parametrize(
    ("option", "warning"),
    [
        ("contexttimeoutenabled: true", "redis.contexttimeoutenabled: "),
        ("poolfifo: true", "redis.poolfifo: "),
        ("pooltimeout: 1s", "redis.pooltimeout: "),
        ("minidleconns: 1", "redis.minidleconns: "),
        ("maxidleconns: 1", "redis.maxidleconns: "),
        ("connmaxidletime: 1s", "redis.connmaxidletime: "),
        ("connmaxlifetime: 1s", "redis.connmaxlifetime: "),
        ("maxredirects: 1", "redis.maxredirects: "),
        ("identitysuffix: x", "redis.identitysuffix: "),
        ("unstableresp3: true", "redis.unstableresp3: "),
        ("routebylatency: true", "redis.routebylatency: "),
        ("dialtimeout: -1", "redis.dialtimeout: to wait without end"),
        ("readtimeout: -1", "redis.readtimeout: to wait without end"),
        ("writetimeout: -1", "redis.writetimeout: to wait without end"),
        ("readtimeout: 1s, writetimeout: 2s", "redis.writetimeout: there is one timeout for both ways"),
        ("readonly: true", "redis.readonly, redis.routerandomly: concern a cluster only"),
        ("addrs: ['a:1', 'b:1'], db: 3", "redis.db: a cluster has none but 0"),
    ],
)
def test_option_of_redis_that_is_not_obeyed_is_a_warning_with_its_reason(option: str, warning: str) -> None:
    text = f"redis: {{{option}}}" if "addrs" in option else f"redis: {{addrs: ['a:1'], {option}}}"
    (given,) = configure(text, base=REDIS).warnings
    assert given.startswith(warning)


def test_redis_that_nothing_uses_is_a_warning() -> None:
    (given,) = configure("redis: {addrs: ['a:1'], poolfifo: true}").warnings
    assert given == "redis: ignored, as nothing uses it; storage.cache.blobdescriptor: redis would"


@pytest.mark.parametrize(
    ("cache", "warnings"),
    [
        ("{blobdescriptor: inmemory, blobdescriptorsize: 5}", ()),
        ("{blobdescriptor: '', blobdescriptorsize: 5}", ()),
        (
            "{blobdescriptor: memcached}",
            ("storage.cache.blobdescriptor: must be one of inmemory, redis: ignored",),
        ),
        (
            "{blobdescriptor: redis, blobdescriptorsize: 5}",
            ("storage.cache.blobdescriptorsize: concerns the inmemory cache only: ignored",),
        ),
        ("{layerinfo: inmemory}", ("storage.cache.layerinfo: old name of storage.cache.blobdescriptor",)),
    ],
)
def test_what_is_odd_about_a_cache_is_a_warning(cache: str, warnings: tuple[str, ...]) -> None:
    redis = "redis: {addrs: ['a:1']}" if "redis" in cache else ""
    assert configure(redis, base=f"version: 0.1\nstorage: {{inmemory: , cache: {cache}}}\n").warnings == warnings


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("http: {tls: {minimumtls: tls1.0}}", "http.tls.minimumtls: tls1.0 is not spoken any more"),
        ("http: {tls: {minimumtls: tls1.1}}", "http.tls.minimumtls: tls1.1 is not spoken any more"),
        ("http: {h2c: {enabled: true}}", "http.h2c.enabled: HTTP/2 is spoken by the proxy in front"),
    ],
)
def test_what_is_left_out_for_good_is_a_warning_with_its_reason(text: str, warning: str) -> None:
    (given,) = configure(text).warnings
    assert given.startswith(warning)


@pytest.mark.parametrize(
    ("addr", "warned"),
    [("127.0.0.1:5913", True), ("registry.sock", True), ("./registry.sock", False), ("/run/registry.sock", False)],
)
def test_a_socket_without_a_directory_is_a_warning(addr: str, *, warned: bool) -> None:
    given = configure(f"http: {{net: unix, addr: '{addr}'}}").warnings
    assert [each.startswith(f"http.addr: with http.net unix, {addr} is a socket") for each in given] == [True] * warned
    assert configure(f"http: {{net: tcp, addr: '{addr}'}}").warnings == ()


def test_that_everybody_is_a_trusted_proxy_is_a_warning() -> None:
    (given,) = configure("http: {trustedproxies: [10.0.0.0/8, 0.0.0.0/0]}").warnings
    assert given.startswith("http.trustedproxies[1]: with 0.0.0.0/0 every client chooses the address")


def test_a_scrub_of_a_registry_that_is_read_only_is_a_warning() -> None:
    maintenance = "maintenance: {scrub: {enabled: true}, readonly: {enabled: true}}"
    (given,) = configure(base=f"version: 0.1\nstorage: {{inmemory: , {maintenance}}}\n", text="").warnings
    assert given.startswith("storage.maintenance.scrub: ignored, as the registry is read-only")
