"""A process that caches what a registry has in a directory: ``python -m tests.proxy.process DIRECTORY URL DIGEST``.

It fetches the blob for a client and says how many bytes that has got, a line each time there are more; then "whole" or
"broken off".
"""

from __future__ import annotations

import sys

from drivers.filesystem.driver import FilesystemDriver
from registry.oci.digest import Digest
from tests.proxy.cache import Cache

PATIENT = {"answertimeout_seconds": 120.0, "stalltimeout_seconds": 120.0}
"""An upstream may stand still for as long as a busy machine takes to start the other processes of a test."""


def main() -> None:
    directory, url, digest = sys.argv[1:]
    cache = Cache(FilesystemDriver(directory), url, network=PATIENT)
    got = b""
    for piece in cache.pieces(Digest.parse(digest)):
        got += piece
        print(len(got), flush=True)
    print("whole" if Digest.of(got) == Digest.parse(digest) else "broken off", flush=True)
    cache.wait_until_idle()
    cache.close()


if __name__ == "__main__":
    main()
