from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.config import changed_keys, load

if TYPE_CHECKING:
    from pathlib import Path

BASE = "version: 0.1\nstorage: {filesystem: {rootdirectory: /a}}\n"


@pytest.mark.parametrize(
    ("more", "changed"),
    [
        ("", []),
        ("http: {addr: ':1', tls: {minimumtls: tls1.3}}", ["http.addr", "http.tls.minimumtls"]),
        ("http: {draintimeout: 5s}", ["http.draintimeout"]),
        ("auth: {silly: {realm: r, service: s}}", ["auth"]),
        ("log: {fields: {a: b}}", ["log.fields"]),
        ("unknown: 5", []),
    ],
)
def test_the_keys_that_differ_are_named(tmp_path: Path, more: str, changed: list[str]) -> None:
    path = tmp_path / "config.yml"
    path.write_text(BASE)
    before = load(str(path), {})
    path.write_text(BASE + more)

    assert list(changed_keys(before, load(str(path), {}))) == changed


def test_another_driver_and_what_it_is_given_are_a_change_of_the_section(
    tmp_path: Path,
) -> None:
    path = tmp_path / "config.yml"
    path.write_text(BASE)
    before = load(str(path), {})
    for change in ({"REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/b"}, {"REGISTRY_STORAGE": "inmemory"}):
        assert list(changed_keys(before, load(str(path), change))) == ["storage"]
