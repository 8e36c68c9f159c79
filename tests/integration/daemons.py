"""A program of others that runs as long as a test wants it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(slots=True)
class Daemon:
    """The program called `name`; what it says goes to the file `log`."""

    name: str
    log: Path
    _process: subprocess.Popen[bytes] | None = None

    def start(
        self,
        command: Sequence[str | Path],
        answers: Callable[[], bool],
        *,
        seconds: float,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Run `command`, and return when it `answers`, within so many seconds."""
        with self.log.open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        self._process = process

        def answers_or_ended() -> bool:
            said = self.log.read_text(errors="replace")[-4000:] if process.poll() is not None else ""
            assert process.poll() is None, f"{self.name} ended at its start:\n{said}"
            return answers()

        try:
            wait_until(f"{self.name} answers", answers_or_ended, seconds=seconds)
        except BaseException:
            self.stop(seconds)
            raise

    def stop(self, seconds: float) -> None:
        """Ask the program to end, and end it if it has not within so many seconds."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(seconds)
        finally:
            self._process.kill()
            self._process.wait()
