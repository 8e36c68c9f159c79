"""A reader of the pages of docs/, who types every command at a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.clients import SEARCH_PATH, require_program
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PROJECT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
COMMAND_SECONDS = 300
STOP_SECONDS = 60
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\r+(?=\n)")
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^\n|\A)((?:^ {4}.*\n)(?:^(?: {4}.*)?\n)*(?:^ {4}.*\n)?)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a page: `language` is that of a fence, and "console" for what is indented, the commands."""

    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The commands, one or more lines each, without comments."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        without = [re.sub(r"(^|\s{2,})# .*$", "", line).strip() for line in joined.splitlines()]
        return [line for line in without if line]


def page_path(page: str) -> Path:
    return PROJECT / "README.md" if page == "README.md" else PROJECT / "docs" / page


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page, in their order."""
    text = page_path(page).read_text()
    found = [(match.start(), Block(match[1] or "output", match[2])) for match in _FENCED.finditer(text)]
    unfenced = _FENCED.sub(lambda match: re.sub(r"[^\n]", "-", match[0]), text)
    found += [(match.start(1), Block("console", textwrap.dedent(match[1]))) for match in _INDENTED.finditer(unfenced)]
    return [block for _, block in sorted(found, key=lambda each: each[0])]


@dataclass(slots=True)
class Reader:
    """A reader who works through a page in `directory`, with what the page presupposes.

    `places` are names, ports and paths of the page (regular expressions) and what is there in their stead; `answers`
    are what is typed when something is asked; `skipped` is what is not executed (by its beginning), with the reason;
    `before` and `after` are called with each command as it is typed.
    """

    directory: Path
    places: Mapping[str, str | Callable[[], str]] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[str], None] = lambda _: None
    after: Callable[[str], None] = lambda _: None
    serves: Callable[[], bool] = lambda: True
    """Tells whether a server that was started answers."""

    def work_through(self, page: str) -> dict[str, str]:
        """Execute every command of the page and give what each said."""
        said: dict[str, str] = {}
        unused = set(self.skipped)
        for block in blocks(page):
            if block.language not in {"console", "output"}:
                continue
            whole = self._skipped(block.text)
            for command in block.commands:
                beginning = whole or self._skipped(command)
                if beginning:
                    unused.discard(beginning)
                else:
                    assert block.language == "console", f"{page}: neither executed nor said why not: {command}"
                    said[command] = self.type(command)
        assert not unused, f"not on {page} any more: {unused}"
        return said

    def type(self, command: str) -> str:
        """Execute a command; a server is stopped once it has answered."""
        typed = self._placed(command)
        self.before(typed)
        terminal = _Terminal(typed, self.directory, self._environment())
        if re.search(r"(\bregistry serve\b|^make run\b)", command) and "docker" not in command:
            said = terminal.serve(self.serves)
        else:
            said = terminal.finish(self.answers)
        self.after(typed)
        return said

    def _skipped(self, text: str) -> str:
        return next((beginning for beginning in self.skipped if text.startswith(beginning)), "")

    def _placed(self, command: str) -> str:
        for place, real in self.places.items():
            command = re.sub(place, lambda _, real=real: real if isinstance(real, str) else real(), command)  # type: ignore[misc]
        return command

    def _environment(self) -> dict[str, str]:
        ours = {"PATH": f"{PROGRAMS}:{SEARCH_PATH}", "HOME": str(self.directory), "TERM": "dumb"}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
        return {**kept, **ours, **self.environment}


class _Terminal:
    """A shell on a terminal of its own, which programs that ask for passwords need."""

    def __init__(self, command: str, directory: Path, environment: Mapping[str, str]) -> None:
        self._command = command
        self._leader, follower = pty.openpty()
        self._process = subprocess.Popen(
            [require_program("setsid"), "--ctty", "--wait", "bash", "-euo", "pipefail", "-c", command],
            stdin=follower,
            stdout=follower,
            stderr=follower,
            cwd=directory,
            env=dict(environment),
            start_new_session=True,
        )
        os.close(follower)

    def finish(self, answers: Mapping[str, str]) -> str:
        """Type what is asked for until the command ends, and give what it said; it must succeed."""
        said, answered = "", 0
        for piece in self._pieces():
            said += piece
            for prompt, answer in answers.items():
                if re.search(prompt, said[answered:]):
                    answered = len(said)
                    os.write(self._leader, f"{answer}\n".encode())
        os.close(self._leader)
        status = self._process.wait(STOP_SECONDS)
        assert status == 0, f"{self._command}\nexit status {status}\n{said}"
        return _plain(said)

    def serve(self, serves: Callable[[], bool]) -> str:
        """Wait until the server answers that the command starts, then stop it as Ctrl-C does."""
        try:
            wait_until(f"it serves: {self._command}", lambda: self._process.poll() is not None or serves(), seconds=180)
            assert self._process.poll() is None, f"{self._command}\n{''.join(self._pieces())}"
            os.write(self._leader, b"\x03")
            return _plain("".join(self._pieces()))
        finally:
            os.close(self._leader)
            self._process.wait(STOP_SECONDS)

    def _pieces(self) -> Iterator[str]:
        """Yield what is said until the terminal is closed by all who have it."""
        while select.select([self._leader], [], [], COMMAND_SECONDS)[0]:
            try:
                piece = os.read(self._leader, 65536)
            except OSError:  # the last of them has
                return
            yield piece.decode(errors="replace")
        self._process.kill()
        raise TimeoutError(f"nothing said for {COMMAND_SECONDS} s: {self._command}")


def _plain(said: str) -> str:
    """Return what was said without colours, and without what a progress bar wrote over."""
    return re.sub(r"[^\n]*\r", "", _CONTROL.sub("", said))
