from __future__ import annotations

import io

import pytest

from registry.commands.progress import Count, Progress, StatusLine
from registry.foundation.sizes import spelled


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_has_one_line_that_is_cleared_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.commands.progress._TERMINAL_SECONDS", 1e-9)
    terminal = Terminal()
    with Progress(2048, stream=terminal) as progress:
        progress.advance(1024, "sha256:a")
        progress.advance(1024, "x" * 500)
    first, second, last = terminal.getvalue().split("\r\x1b[K")[1:]
    assert first == " 50 % 1.0 KiB of 2.0 KiB  sha256:a"
    assert second.startswith("100 % 2.0 KiB of 2.0 KiB  xxx")
    assert len(second) == 100
    assert last == ""


def test_pipe_has_no_progress_unless_lines_are_asked_for() -> None:
    quiet, plain = io.StringIO(), io.StringIO()
    for stream, seconds in ((quiet, 0.0), (plain, 1e-9)):
        with Progress(10, plain_seconds=seconds, stream=stream) as progress:
            progress.advance(5, "a")
    assert quiet.getvalue() == ""
    assert plain.getvalue() == " 50 % 5 B of 10 B  a\n"


def test_what_has_no_total_is_counted_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.commands.progress._TERMINAL_SECONDS", 0.0)
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        with StatusLine(stream) as line:
            count = Count(line, "manifests read")
            count.add("a")
            count.add("b")
    assert terminal.getvalue().split("\r\x1b[K")[1:] == ["1 manifests read: a", "2 manifests read: b", ""]
    assert pipe.getvalue() == ""


def test_a_dumb_terminal_has_no_line_that_is_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    with StatusLine(terminal) as line:
        line.show("something")
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 1024**5, "5120.0 TiB")]
)
def test_sizes_are_spelled_for_people(size: int, text: str) -> None:
    assert spelled(size) == text
