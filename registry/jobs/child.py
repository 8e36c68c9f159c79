"""Periodic work in a process of its own: what computes for minutes would slow down every request of its process.

The child is given its task on its standard input, which stays open: when the parent ends, however it ends, the child
sees that input end, and has a moment to end, too. Its answer goes to its standard output. It logs as the parent does.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn

from registry.jobs.job import JobFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NICE: Final = 10
_ENDING_SECONDS: Final = 10.0
"""How long a child that is to stop may go on."""


def run_in_child(module: str, task: object) -> Mapping[str, Any]:
    """Let ``python -m module``, which calls answer_parent(), do `task`; return what it answers.

    Raises:
        JobFailedError: it ended without an answer; what was wrong is in the log.
    """
    with subprocess.Popen(  # noqa: S603  ourselves
        [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            with suppress(BrokenPipeError):
                pickle.dump(task, _opened(process.stdin))
                _opened(process.stdin).flush()
            answer = _opened(process.stdout).read()
        except BaseException:
            process.kill()
            raise
    try:
        told: Mapping[str, Any] = json.loads(answer)
    except ValueError:
        raise JobFailedError(f"the process of {module} has ended with {_ending(process.returncode)}") from None
    return told


def answer_parent(work: Callable[[Any, Callable[[], bool]], Mapping[str, Any]]) -> None:
    """Do as a child what the parent asks for: `work` is given the task, and what tells whether it is to stop."""
    os.nice(_NICE)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _end_soon(stopping))
    task = pickle.load(sys.stdin.buffer)  # noqa: S301  only the parent writes to it
    threading.Thread(target=_wait_for_end, args=(stopping,), daemon=True).start()
    print(json.dumps(work(task, stopping.is_set)))  # noqa: T201  to the parent


def _wait_for_end(stopping: threading.Event) -> None:
    # Not through sys.stdin, which is locked while it is read: an interpreter that ends needs that lock.
    while os.read(sys.stdin.fileno(), 1):
        pass
    _end_soon(stopping)


def _end_soon(stopping: threading.Event) -> None:
    if not stopping.is_set():
        stopping.set()
        ending = threading.Timer(_ENDING_SECONDS, _end)
        ending.daemon = True
        ending.start()


def _end() -> NoReturn:
    os._exit(1)


def _opened(stream: Any) -> Any:
    """Return a stream of a process that was started with it."""
    return stream


def _ending(returncode: int) -> str:
    return f"signal {-returncode}" if returncode < 0 else f"status {returncode}"
