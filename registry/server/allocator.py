"""The C library's allocator, told what a worker is like."""

from __future__ import annotations

import ctypes
from typing import Final

_M_ARENA_MAX: Final = -8
"""mallopt(3)."""
_ARENAS: Final = 2


def share_arenas() -> None:
    """Let all threads of this process, to be called before there are any, allocate from the same few heaps.

    glibc would give each thread its own, up to eight for each processor, and each keeps a few MiB of the pieces of
    bodies that have come by; no speed is lost, since threads have to wait for the interpreter's lock anyway.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # not in every C library
        mallopt(_M_ARENA_MAX, _ARENAS)
