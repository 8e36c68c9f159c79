from __future__ import annotations

import subprocess
import sys

HEAPS = """
import ctypes, threading
from registry.server.allocator import share_arenas
{first}
together = threading.Barrier(12)
def allocate():
    piece = bytearray(100_000)
    together.wait()
    del piece
threads = [threading.Thread(target=allocate) for _ in range(12)]
for each in threads: each.start()
for each in threads: each.join()
library = ctypes.CDLL(None)
library.malloc_info(0, ctypes.c_void_p.in_dll(library, "stdout"))
library.fflush(None)
"""


def heaps(first: str) -> int:
    command = [sys.executable, "-c", HEAPS.format(first=first)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.count("<heap nr=")


def test_threads_share_few_heaps_so_that_memory_does_not_grow_with_their_number() -> None:
    assert heaps("share_arenas()") <= 2 < heaps("")
