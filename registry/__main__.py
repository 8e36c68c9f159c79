"""``registry`` and ``python -m registry``."""

from __future__ import annotations

import os
import signal
from typing import NoReturn


def main() -> None:
    """Run the command that the arguments name, and exit."""
    # To load the commands takes a moment, in which Ctrl-C would show where.
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, _leave)
    from registry.cli import main as run  # noqa: PLC0415

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _leave(*_: object) -> NoReturn:
    os.write(2, b"Interrupted.\n")
    os._exit(130)


if __name__ == "__main__":
    main()
