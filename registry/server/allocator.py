"""The C library's allocator, told what a worker is like."""

from __future__ import annotations

import ctypes
from typing import Final

_M_ARENA_MAX: Final = -8
"""mallopt(3)."""
_ARENAS: Final = 2


def share_arenas() -> None:
    """Have all threads of this process allocate from the same few heaps; call it before there are any.

    glibc would give each thread a heap of its own, up to eight for each processor, and each heap keeps a few MiB of
    freed pieces of bodies. Nothing is slower, since threads have to wait for the interpreter's lock anyway.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # not in every C library
        mallopt(_M_ARENA_MAX, _ARENAS)
