from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from registry.inventory.docker_config import stored_login
from registry.inventory.login import Credentials
from registry.inventory.source import InventoryError

if TYPE_CHECKING:
    from pathlib import Path


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"auth": encoded("alice:a:b")}, Credentials("alice", "a:b")),
        ({"auth": encoded("00000000-0000:"), "identitytoken": "token"}, Credentials("", "token")),
        ({"username": "alice", "password": "secret"}, Credentials("alice", "secret")),
        ({"auth": "not base64"}, None),
        ({"auth": encoded("no colon")}, None),
        ({"auth": 1}, None),
        ({}, None),
        ([], None),
    ],
)
def test_a_login_is_read_as_docker_writes_it(tmp_path: Path, entry: object, expected: Credentials | None) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {"r.example:5000": entry}}))
    assert stored_login(path, "r.example:5000") == expected


@pytest.mark.parametrize(
    ("key", "host", "found"),
    [
        ("r.example", "r.example", True),
        ("https://r.example/v1/", "r.example", True),
        ("R.example", "r.example", True),
        ("r.example:5000", "r.example", False),
        ("r.example", "other.example", False),
        ("r.example.evil", "r.example", False),
    ],
)
def test_only_the_login_for_this_host_is_found(tmp_path: Path, key: str, host: str, *, found: bool) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {key: {"auth": encoded("a:b")}}}))
    assert (stored_login(path, host) is not None) == found


@pytest.mark.parametrize("content", ["[]", "{}", '{"auths": null}', '{"auths": []}', '{"credsStore": "pass"}'])
def test_a_file_without_logins_has_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    assert stored_login(tmp_path / "config.json", "r.example") is None
    assert stored_login(tmp_path / "missing", "r.example") is None


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InventoryError, match=r"config\.json cannot be read: "):
        stored_login(tmp_path / "config.json", "r.example")
