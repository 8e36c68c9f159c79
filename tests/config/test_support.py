from __future__ import annotations

import pytest

from tests.config.forms import configure, refusal


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("proxy: {remoteurl: 'https://upstream.example'}", "proxy.remoteurl"),
        ("middleware: {repository: [{name: a, disabled: true}, {name: b}]}", "middleware.repository[1]"),
        ("middleware: {registry: [{name: x}]}", "middleware.registry[0]"),
        ("notifications: {endpoints: [{url: 'http://x'}]}", "notifications.endpoints[0]"),
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


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("redis: {addrs: ['a:1']}", "redis"),
    ],
)
def test_another_feature_that_is_not_there_is_a_warning(text: str, key: str) -> None:
    assert configure(text).warnings == (f"{key}: not supported yet, ignored",)


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
