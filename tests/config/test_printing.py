from __future__ import annotations

import json

import pytest

from registry.config import effective
from registry.config.loading import parse
from registry.config.values import Configuration, Plugin, Storage
from tests.config.forms import configure


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http: {draintimeout: 1m30.5s, workers: 2, headers: {X-A: [a, b]}, host: yes, prefix: /a/}",
        "log: {fields: {a: y, b: 1e3, c: '012', d: [1, {e: ~}], f: 2024-01-01}, level: warn}",
        "validation: {enabled: true, manifests: {urls: {allow: ['^https?://a/']}, indexes: {platforms: list}}}",
        "proxy: {ttl: -1s, exec: {command: c, lifetime: 1h}}\ncatalog: {maxentries: 5}",
        "middleware: {storage: [{name: x, disabled: true, options: {k: 'no'}}]}",
    ],
)
def test_what_is_printed_loads_to_the_same_values(text: str) -> None:
    configuration = configure(text)
    again = parse(effective(configuration), "printed", {})
    assert effective(again) == effective(configuration)
    assert again.http == configuration.http
    assert again.log == configuration.log
    assert again.proxy == configuration.proxy


def test_what_is_in_force_is_printed_whatever_way_it_was_given() -> None:
    printed = effective(configure("loglevel: debug", {"REGISTRY_HTTP_DRAINTIMEOUT": "90s"}))
    assert "  level: debug\n" in printed
    assert "  draintimeout: 1m30s\n" in printed


def test_no_secret_is_printed() -> None:
    text = """
version: 0.1
storage:
  s3: {bucket: b, accesskey: hunter1, secretkey: hunter2, regionendpoint: 'https://u:hunter3@host/x'}
http: {secret: hunter4}
redis: {password: hunter5, sentinelpassword: hunter6, addrs: ['redis://u:hunter7@host']}
proxy: {password: hunter8}
log: {hooks: [{disabled: true, options: {smtp: {password: hunter9}}}]}
notifications: {endpoints: [{disabled: true, url: 'http://u:hunter10@h/', headers: {Authorization: [Basic hunter11]}}]}
health: {http: [{uri: x, headers: {Authorization: [Basic hunter12]}}]}
middleware:
  storage: [{disabled: true, name: cloudfront, options: {privatekey: hunter13, list: [{password: hunter14}]}}]
"""
    printed = effective(parse(text, "config.yml", {}))
    assert "hunter" not in printed
    assert "bucket: b\n" in printed
    assert "https://<redacted>@host/x" in printed


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (
            "auth: {token: {jwks: 'https://a.example/keys?p=x&code=hunter2#hunter2'}}",
            "https://a.example/keys?p=<redacted>",
        ),
        (
            "notifications: {endpoints: [{disabled: true, url: 'https://u:hunter2@a.example/?sig=hunter2'}]}",
            "https://<redacted>@a.example/?sig=<redacted>",
        ),
        ("redis: {addrs: ['redis://:hunter/2@a.example:6379']}", "redis://<redacted>@a.example:6379"),
        ("health: {http: [{uri: 'https://a.example/up?key=hunter2'}]}", "https://a.example/up?key=<redacted>"),
        (
            "middleware: {storage: [{name: redirect, options: {baseurl: 'http://a.example/?t=hunter2'}}]}",
            "?t=<redacted>",
        ),
        ("log: {fields: {note: 'https://a.example/?X-Amz-Signature=hunter2'}}", "X-Amz-Signature=<redacted>"),
        ("storage: {azure: {connection: 'AccountName=a;AccountKey=hunter2'}}", "AccountName=a;AccountKey=<redacted>"),
        (
            "storage: {azure: {sas: 'sv=1&sig=hunter2', realm: 'https://a.example/c?sv=1&sig=hunter2'}}",
            "sas: <redacted>",
        ),
    ],
)
def test_no_secret_within_a_url_is_printed(text: str, printed: str) -> None:
    found = effective(
        parse(f"version: 0.1\n{text}\n" + ("" if "storage: {a" in text else "storage: inmemory"), "config.yml", {})
    )
    assert "hunter" not in found
    assert printed in found


def test_password_of_any_characters_is_printed_in_no_form() -> None:
    password = "p@ss:w/ö\"r'd %&=#?"
    environ = {"REGISTRY_REDIS_PASSWORD": json.dumps(password), "REGISTRY_REDIS_SENTINELPASSWORD": json.dumps(password)}
    configuration = configure("redis: {addrs: ['a:1']}", environ)
    printed = effective(configuration)
    assert configuration.redis.password == configuration.redis.sentinelpassword == password
    assert printed.count("password: <redacted>\n") == 2
    assert "w/" not in printed


@pytest.mark.parametrize(
    "parameters",
    [
        {"accountkey": "hunter2"},
        {"connectionstring": "hunter2"},
        {"credentials": {"type": "client_secret", "secret": "hunter2", "private_key": "hunter2"}},
        {"credentials": ["hunter2"]},
        {"SecretKey": "hunter2"},
        {"tempurlcontainerkey": "hunter2"},
    ],
)
def test_no_secret_of_a_plugin_is_printed(parameters: dict[str, object]) -> None:
    configuration = Configuration("0.1", Storage("azure", parameters), auth=Plugin("token", parameters))
    printed = effective(configuration)
    assert "hunter2" not in printed
    assert "<redacted>" in printed


def test_a_secret_that_is_not_set_is_printed_as_such() -> None:
    assert "  secret: ''\n" in effective(configure())
