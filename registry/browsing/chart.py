"""What is in a chart of helm: a tar, compressed by gzip, of one directory that is called as the chart is."""

from __future__ import annotations

import io
import zlib
from typing import Final

from registry.archive.layout import ArchiveError
from registry.archive.tar import members

CONTENT_TYPES: Final = frozenset(
    {"application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/tar+gzip"},
)
"""Media types of the layer that is the chart; the second one is that of helm's first charts in registries."""

LARGEST: Final = 8 * 1024 * 1024
"""Bytes of the largest chart that is looked into, compressed; helm itself takes 20 MiB, and most have less than 1."""

_MOST_UNPACKED: Final = 16 * 1024 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS


def readme(content: bytes, limit: int) -> bytes | None:
    """Return the first `limit` bytes of the ``README.md`` of a chart; None if it has none, or cannot be read.

    Nothing is unpacked but into memory, and no more than 16 MiB of it: what comes later is as if not there.
    """
    try:
        unpacked = io.BytesIO(zlib.decompressobj(_GZIP).decompress(content, _MOST_UNPACKED))
        for member in members(unpacked):
            directory, slash, name = member.name.removeprefix("./").partition("/")
            if member.is_file and directory and slash and name.lower() == "readme.md":
                unpacked.seek(member.offset)
                return unpacked.read(min(member.size, limit))
    except (zlib.error, ArchiveError):
        return None
    return None
