"""Signals that end the first process of a container.

For that process the kernel has no default: without a handler they are lost.
``docker stop`` may come at any time after the start. A program has no handlers while one replaces another, and until
the interpreter runs: meanwhile signals are blocked, so that the kernel keeps them for the next program.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

_ENDING: Final = (signal.SIGTERM, signal.SIGINT)


def end_on_signals() -> None:
    """End this process at once on SIGTERM and SIGINT, also on those that came while they were blocked.

    One that is ignored on purpose, as by a shell that starts something in the background, stays so.
    """
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def interrupt_on_ctrl_c() -> None:
    """Have SIGINT raise KeyboardInterrupt, of which commands make their last line."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def keep_for_the_next_program() -> None:
    """Block what would be lost until the program that replaces this one calls end_on_signals()."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    # As the kernel would. An exception might be raised where Python only prints it, such as in a finalizer.
    os._exit(128 + number)
