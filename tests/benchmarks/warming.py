"""Memory that has been used before, for the server that is measured next.

On a virtual machine the first touch of a page is paid to the host, at several times the price of zeroing it, and what
is free goes back there after some seconds. A server that happens to be given fresh memory would pay for it in CPU.
"""

from __future__ import annotations

import mmap
import os

_FACTOR = 1.5
"""More than will be needed: the kernel need not give out what was freed last."""


def warm(size: int) -> None:
    """Touch the memory that `size` bytes of files will need, immediately before they are written.

    Never more than half of what is free: where little is, memory is used again anyway.
    """
    wanted = min(int(size * _FACTOR), _free_bytes() // 2)
    if wanted:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
        mmap.mmap(-1, wanted, flags=flags).close()


def _free_bytes() -> int:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
