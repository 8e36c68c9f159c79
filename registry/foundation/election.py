"""One of several processes of a host that does for all of them what only one needs to do."""

from __future__ import annotations

import fcntl
import os


class Election:
    """Elects one of the processes that are forked after it was made, and another when that one has ended.

    The vote is a POSIX record lock on a file that the processes inherit: the kernel gives it to one process at a time
    and takes it back when that process ends, however it ends.
    """

    def __init__(self) -> None:
        self._fd = os.memfd_create("registry-election")

    def wait(self) -> None:
        """Return when this process is the elected one, which it stays for as long as it lives."""
        fcntl.lockf(self._fd, fcntl.LOCK_EX)

    def release(self) -> None:
        """Let another process be elected."""
        fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Take no further part in it; the processes that were forked before keep descriptors of their own.

        The elected process must not call this: it loses a POSIX lock when it closes any descriptor of the file.
        """
        os.close(self._fd)
