from __future__ import annotations

import logging
import time

import pytest

from drivers.base import PathNotFoundError
from drivers.inmemory import InMemoryDriver
from registry.journal.cursors import Cursor, Cursors
from registry.storage import paths

NAMES = ["ci", "CI", "ci ", "team/ci", "https://user@host:443/hook?x=1", "Prüfung", "..", "", "x" * 1000, "\n"]


def test_a_cursor_is_kept_under_any_name_and_belongs_to_no_other() -> None:
    driver = InMemoryDriver()
    for number, name in enumerate(NAMES):
        Cursors(driver).put(name, Cursor(f"{number}", number, {"failures": number, "error": "é"}))

    for number, name in enumerate(NAMES):
        assert Cursors(driver).get(name) == Cursor(f"{number}", number, {"failures": number, "error": "é"})
    assert sorted(Cursors(driver).names()) == sorted(NAMES)


def test_a_cursor_is_replaced_and_goes() -> None:
    cursors = Cursors(InMemoryDriver())
    assert cursors.get("ci") is None
    assert cursors.names() == []

    cursors.put("ci", Cursor("1"))
    cursors.put("ci", Cursor("2", 2))
    cursors.put("ui", Cursor("3"))
    assert cursors.get("ci") == Cursor("2", 2)

    cursors.delete("ci")
    assert cursors.get("ci") is None
    assert cursors.names() == ["ui"]
    with pytest.raises(PathNotFoundError):
        cursors.delete("ci")


def test_a_cursor_tells_when_it_was_stored() -> None:
    cursors = Cursors(InMemoryDriver())
    began = time.time_ns()

    cursors.put("ci", Cursor("1", 7))

    [stored] = cursors.all()
    assert (stored.name, stored.cursor) == ("ci", Cursor("1", 7))
    assert began <= stored.stored_ns <= time.time_ns()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"{}", b'{"name": "ci", "position": "1"}', b"\xff", b"[" * 99999]
)
def test_a_cursor_that_cannot_be_read_is_none_and_said(content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    driver = InMemoryDriver()
    driver.put(paths.cursor("ci"), content)
    driver.put(f"{paths.CURSORS}/Thumbs.db", b"x")
    Cursors(driver).put("ui", Cursor("1"))

    with caplog.at_level(logging.WARNING):
        assert Cursors(driver).get("ci") is None

    assert "is not a cursor of the journal" in caplog.text
    assert Cursors(driver).names() == ["ui"]


def test_a_cursor_that_was_copied_to_another_name_is_not_its_own() -> None:
    driver = InMemoryDriver()
    Cursors(driver).put("ci", Cursor("1"))
    driver.put(paths.cursor("ui"), driver.get(paths.cursor("ci"), limit=1000))

    assert Cursors(driver).get("ui") is None
