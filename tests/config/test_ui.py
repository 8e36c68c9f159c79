from __future__ import annotations

import pytest

from registry.config import ConfigurationError
from registry.config.loading import parse
from registry.config.ui import UI, Session

_HEAD = "version: 0.1\nstorage: {inmemory: {}}\n"


def test_without_the_section_there_are_no_pages() -> None:
    assert parse(_HEAD, "config.yml", {}).ui == UI()
    assert not UI().enabled


def test_variables_turn_the_pages_on() -> None:
    environ = {
        "REGISTRY_UI_ENABLED": "true",
        "REGISTRY_UI_PATH": "/images",
        "REGISTRY_UI_TITLE": "ACME images",
        "REGISTRY_UI_HOST": "registry.example",
        "REGISTRY_UI_SESSION_LIFETIME": "8h",
        "REGISTRY_UI_SESSION_IDLE": "30m",
    }

    ui = parse(_HEAD, "config.yml", environ).ui

    assert ui == UI(True, "/images", "ACME images", "registry.example", session=Session(8 * 3600.0, 1800.0))


@pytest.mark.parametrize("path", ["/ui", "/a/b", "/v2ui", "/auth/pages", "/~images", "/healthz2"])
def test_pages_may_be_at_any_plain_path(path: str) -> None:
    assert parse(f"{_HEAD}ui: {{enabled: true, path: {path}}}\n", "config.yml", {}).ui.path == path


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/ui/", "//ui", "/ui//a", "/.", "/..", "/a/..", "/a b", "/ä", "/%2e"),
        *("/v2", "/v2/x", "/auth", "/auth/token/x", "/healthz", "/readyz", "/readyz/x"),
    ],
)
def test_pages_may_not_be_where_something_else_is(path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^ui\.path: "):
        parse(f"{_HEAD}ui: {{enabled: true, path: '{path}'}}\n", "config.yml", {})


def test_pages_that_are_off_may_be_anywhere() -> None:
    assert parse(f"{_HEAD}ui: {{path: /v2}}\n", "config.yml", {}).ui.path == "/v2"
