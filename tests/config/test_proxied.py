from __future__ import annotations

import pytest

from registry.config import ConfigurationError
from registry.config.printing import effective
from registry.config.upstreams import Helper, Upstream, UpstreamAuth
from tests.config.forms import configure, refusal

URL = "https://upstream.example"


def upstream(text: str) -> Upstream:
    (found,) = configure(text).upstreams
    return found


def test_without_either_section_there_is_no_upstream() -> None:
    assert configure().upstreams == ()


def test_the_section_of_the_go_registry_is_one_upstream_for_every_name() -> None:
    found = upstream(f"proxy: {{remoteurl: '{URL}/', username: u, password: p, ttl: 24h}}")
    assert (found.name, found.prefix, found.remoteurl, found.classic) == ("proxy", "", URL, True)
    assert found.auth == UpstreamAuth("u", "p")
    assert (found.cache.freshness_seconds, found.cache.deleted, found.cache.ttl_seconds) == (0.0, "serve", 86400.0)
    assert found.cache.negative_seconds == 0.0, "what is pushed upstream now is there at the next request"


def test_variables_make_a_proxy_as_they_do_for_the_go_registry() -> None:
    variables = {
        "REGISTRY_PROXY_REMOTEURL": URL,
        "REGISTRY_PROXY_EXEC_COMMAND": "docker-credential-x",
        "REGISTRY_PROXY_EXEC_LIFETIME": "1h",
        "REGISTRY_PROXY_TTL": "-1",
    }
    (found,) = configure("", variables).upstreams
    assert found.auth == UpstreamAuth(exec=Helper("docker-credential-x", 3600.0))
    assert found.cache.ttl_seconds == 0.0


def test_a_url_with_a_user_is_taken_by_proxy_as_the_go_registry_takes_it() -> None:
    found = upstream("proxy: {remoteurl: 'https://u:p%40ss@[::1]:5000/v2/'}")
    assert found.remoteurl == "https://[::1]:5000"
    assert found.auth == UpstreamAuth("u", "p@ss")


@pytest.mark.parametrize("end", ["", "/", "//", "/v2", "/v2/"])
def test_how_the_url_ends_makes_no_difference(end: str) -> None:
    assert upstream(f"proxies: [{{name: up, remoteurl: '{URL}/cache{end}'}}]").remoteurl == f"{URL}/cache"


def test_the_prefix_is_the_name_where_none_is_given() -> None:
    assert upstream(f"proxies: [{{name: up, remoteurl: '{URL}'}}]").prefix == "up"


def test_variables_make_an_entry() -> None:
    variables = {"REGISTRY_PROXIES_0_NAME": "up", "REGISTRY_PROXIES_0_REMOTEURL": URL}
    assert [each.remoteurl for each in configure("", variables).upstreams] == [URL]


ENTRIES = [
    ("remoteurl: 'https://a.example'", ".name: missing"),
    ("name: Hub, remoteurl: 'https://a.example'", ".name: must be lower-case"),
    ("name: a/b, remoteurl: 'https://a.example'", ".name: must be lower-case"),
    ("name: .., remoteurl: 'https://a.example'", ".name: must be lower-case"),
    (f"name: {'a' * 65}, remoteurl: 'https://a.example'", ".name: must be lower-case"),
    ("name: a", ".remoteurl: missing"),
    ("name: a, remoteurl: a.example", ".remoteurl: must begin with https:// or http://"),
    ("name: a, remoteurl: 'ftp://a.example'", ".remoteurl: must begin with https:// or http://"),
    ("name: a, remoteurl: 'https://:443'", ".remoteurl: must begin with https:// or http://"),
    ("name: a, remoteurl: 'https://a.example:0'", ".remoteurl: must be a URL"),
    ("name: a, remoteurl: 'https://a.example/?x=1'", ".remoteurl: must not have a query"),
    ("name: a, remoteurl: 'https://a.example/#x'", ".remoteurl: must not have a query"),
    ("name: a, remoteurl: 'https://u:p@a.example'", ".remoteurl: must not hold a user"),
    ("name: a, remoteurl: 'https://a.example', prefix: a/", ".prefix: must be how names"),
    ("name: a, remoteurl: 'https://a.example', prefix: /a", ".prefix: must be how names"),
    ("name: a, remoteurl: 'https://a.example', prefix: 'a:5000'", ".prefix: must be how names"),
    ("name: a, remoteurl: 'https://a.example', remoteprefix: A/B", ".remoteprefix: must be how names"),
    ("name: a, remoteurl: 'https://a.example', hosts: ['']", ".hosts[0]: '' is not HOST"),
    ("name: a, remoteurl: 'https://a.example', hosts: [a, 'https://b']", ".hosts[1]: 'https://b' is not HOST"),
    ("name: a, remoteurl: 'https://a.example', hosts: ['a:99999']", ".hosts[0]: 'a:99999' is not HOST"),
    ("name: a, remoteurl: 'https://a.example', hosts: ['*.a']", ".hosts[0]: '*.a' is not HOST"),
    ("name: a, remoteurl: 'https://a.example', namespaces: [a/b]", ".namespaces[0]: 'a/b' is not HOST"),
    ("name: a, remoteurl: 'https://a.example', auth: {realms: ['::1']}", ".auth.realms[0]: '::1' is not HOST"),
    ("name: a, remoteurl: 'https://a.example', allow: ['a**']", ".allow[0]: 'a**': ** must stand alone"),
    ("name: a, remoteurl: 'https://a.example', deny: [a, '']", ".deny[1]: '' is not a pattern"),
    ("name: a, remoteurl: 'https://a.example', cache: {keep: ['a b']}", ".cache.keep[0]: 'a b' is not a pattern"),
    ("name: a, remoteurl: 'https://a.example', push: maybe", ".push: must be one of deny, allow"),
    ("name: a, remoteurl: 'https://a.example', library: hub", ".library: must be true or false"),
    ("name: a, remoteurl: 'https://a.example', auth: {password: p}", ".auth.username: missing"),
    ("name: a, remoteurl: 'https://a.example', auth: {username: u}", ".auth.passwordfile: missing"),
    (
        "name: a, remoteurl: 'https://a.example', auth: {username: u, password: p, passwordfile: /p}",
        ".auth: has password and passwordfile: choose one",
    ),
    (
        "name: a, remoteurl: 'https://a.example', auth: {username: u, password: p, exec: {command: x}}",
        ".auth: has username and exec.command: choose one",
    ),
    (
        "name: a, remoteurl: 'https://a.example', auth: {dockerconfig: /c, exec: {command: x}}",
        ".auth: has exec.command and dockerconfig: choose one",
    ),
    ("name: a, remoteurl: 'https://a.example', auth: {exec: {command: 'x get'}}", ".auth.exec.command: must be one"),
    ("name: a, remoteurl: 'https://a.example', tls: {certificate: /c}", ".tls.key: missing"),
    ("name: a, remoteurl: 'https://a.example', tls: {key: /k}", ".tls.certificate: missing"),
    ("name: a, remoteurl: 'https://a.example', network: {httpproxy: never}", ".network.httpproxy: must be environment"),
    ("name: a, remoteurl: 'https://a.example', network: {httpproxy: 'http://p:x'}", ".network.httpproxy: must be env"),
    ("name: a, remoteurl: 'https://a.example', cache: {freshness: 60}", ".cache.freshness: must be a duration"),
    ("name: a, remoteurl: 'https://a.example', prefetch: [{}]", ".prefetch[0].images: missing"),
    ("name: a, remoteurl: 'https://a.example', prefetch: [{images: [alpine]}]", ".prefetch[0].images[0]: 'alpine'"),
    (
        "name: a, remoteurl: 'https://a.example', prefetch: [{images: ['a@sha256:abc']}]",
        ".prefetch[0].images[0]: 'a@sha256:abc' is not NAME:TAG or NAME@DIGEST",
    ),
    ("name: a, remoteurl: 'https://a.example:99999'", ".remoteurl: "),
    (
        "name: a, remoteurl: 'https://a.example', prefetch: [{images: ['a:1'], platforms: [linux]}]",
        ".prefetch[0].platforms[0]: 'linux' is not OS/ARCH",
    ),
]


@pytest.mark.parametrize(("entry", "expected"), ENTRIES)
def test_an_entry_that_cannot_be_obeyed_stops_the_start_with_its_key(entry: str, expected: str) -> None:
    assert refusal(f"proxies: [{{{entry}}}]").startswith(f"proxies[0]{expected}")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("name: a", "name: a, prefix: b", "proxies[1].name: a is proxies[0].name as well"),
        ("name: a, prefix: x", "name: b, prefix: x", "proxies[1].prefix: x is proxies[0].prefix as well"),
        ("name: a", "name: b, prefix: a", "proxies[1].prefix: a is proxies[0].name as well"),
        ("name: a, hosts: [m.example]", "name: b, hosts: [M.example]", "proxies[1].hosts[0]: m.example is proxies[0]"),
        ("name: a, namespaces: [n]", "name: b, namespaces: [m, n]", "proxies[1].namespaces[1]: n is proxies[0]"),
        ("name: a, default: true", "name: b, default: true", "proxies[1].default: default: true is proxies[0].default"),
    ],
)
def test_what_one_upstream_has_no_other_can_have(one: str, other: str, expected: str) -> None:
    entries = ", ".join(f"{{{each}, remoteurl: '{URL}'}}" for each in (one, other))
    said = refusal(f"proxies: [{entries}]")
    assert said.startswith(expected)
    assert "\n" not in said


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://127.0.0.1:0", "http://u:secret@127.0.0.1:5000x"])
def test_a_port_that_none_has_is_refused_by_its_key_and_without_the_url(url: str) -> None:
    for text in (f"proxy: {{remoteurl: '{url}'}}", f"proxies: [{{name: a, remoteurl: '{url}'}}]"):
        said = refusal(text)
        assert "remoteurl: " in said
        assert "secret" not in said


def test_a_host_may_be_a_namespace_too_and_prefixes_may_be_nested() -> None:
    entries = (
        f"{{name: a, remoteurl: '{URL}', hosts: ['m.example:5000', '[::1]:5000'], namespaces: [m.example]}},"
        f"{{name: b, remoteurl: '{URL}', prefix: a/b}}"
    )
    assert configure(f"proxies: [{entries}]").warnings == ()


def test_proxy_and_proxies_together_are_refused() -> None:
    text = f"proxy: {{remoteurl: '{URL}'}}\nproxies: [{{name: a, remoteurl: '{URL}'}}]"
    assert refusal(text).startswith("proxies: cannot stand beside proxy.remoteurl")


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("remoteurl: upstream.example", "proxy.remoteurl: must begin with https:// or http://"),
        ("remoteurl: 'https://upstream.example', exec: {command: 'a b'}", "proxy.exec.command: must be one program"),
    ],
)
def test_a_proxy_that_cannot_be_one_stops_the_start(section: str, expected: str) -> None:
    assert refusal(f"proxy: {{{section}}}").startswith(expected)


def test_all_that_is_wrong_is_told_at_once_with_its_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        configure("proxies:\n- remoteurl: x\n  push: allow\n- name: b\n")
    assert [each.place for each in caught.value.each] == ["config.yml:4", "config.yml:4", "config.yml:6"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"proxy: {{remoteurl: '{URL}', username: u, exec: {{command: x}}}}", "proxy.username: ignored"),
        ("proxies: [{name: a, remoteurl: 'http://a', tls: {ca: /c}}]", "proxies[0].tls: ignored"),
        (
            "proxies: [{name: a, remoteurl: 'http://a', auth: {username: u, password: p}}]",
            "proxies[0].auth: credentials go over the network unencrypted",
        ),
        (
            f"proxies: [{{name: a, remoteurl: '{URL}', tls: {{insecureskipverify: true}}}}]",
            "proxies[0].tls.insecureskipverify: ",
        ),
        (
            f"http: {{host: 'https://r.example'}}\nproxies: [{{name: a, remoteurl: '{URL}', hosts: [R.example]}}]",
            "proxies[0].hosts: r.example is the host of http.host",
        ),
        (
            f"http: {{host: 'https://r.example'}}\nproxies: [{{name: a, remoteurl: '{URL}', namespaces: [r.example]}}]",
            "proxies[0].namespaces: r.example is the host of http.host, too: ignored",
        ),
        (f"proxies: [{{name: a, remoteurl: '{URL}', allow: [Library]}}]", "proxies[0].allow[0]: does not match"),
        (f"proxies: [{{name: a, remoteurl: '{URL}', cache: {{maxstale: 1s}}}}]", "proxies[0].cache.maxstale: is less"),
    ],
)
def test_what_has_hardly_the_effect_that_is_meant_is_a_warning(text: str, expected: str) -> None:
    (warning,) = configure(text).warnings
    assert warning.startswith(expected)


@pytest.mark.parametrize(
    ("section", "key"),
    [(f"proxy: {{remoteurl: '{URL}'}}", "proxy.remoteurl"), (f"proxies: [{{name: a, remoteurl: '{URL}'}}]", "proxies")],
)
def test_a_cache_that_is_read_only_is_told_that_it_keeps_nothing(section: str, key: str) -> None:
    base = "version: 0.1\nstorage: {inmemory: , maintenance: {readonly: {enabled: true}}}\n"
    (warning,) = configure(section, base=base).warnings
    assert warning == f"{key}: as the registry is read-only, what is fetched is passed on and not kept"


def test_no_password_is_printed_or_told() -> None:
    secret = "s3cr3t"
    printed = effective(
        configure(
            "proxies: [{name: a, remoteurl: 'https://a', auth: {username: u, password: s3cr3t},"
            " network: {httpproxy: 'http://u:s3cr3t@p.example:3128'}}]"
        )
    )
    printed += effective(configure("proxy: {remoteurl: 'https://u:s3cr3t@a'}"))
    printed += refusal("proxies: [{name: a, remoteurl: 'https://u:s3cr3t@a'}]")
    printed += refusal("proxies: [{name: a, remoteurl: 'ftp://u:s3cr3t@a'}]")
    printed += refusal("proxies: [{name: a, remoteurl: 'https://a', network: {httpproxy: 'socks5://u:s3cr3t@p'}}]")
    assert secret not in printed
