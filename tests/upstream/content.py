"""What the tests serve and ask for."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.reference import Tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.oci.errors import UpstreamError
    from registry.upstream.streams import BlobStream

NAME = "library/alpine"
LATEST = Tag("latest")
CONTENT = b"layer" * 100_000
ABSENT = Digest.of(b"absent")


def image(**members: object) -> bytes:
    """Give a manifest."""
    config = {"mediaType": media_types.OCI_CONFIG, "digest": str(ABSENT), "size": 6}
    return json.dumps({"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "config": config, **members}).encode()


def there(stream: BlobStream | None) -> BlobStream:
    """Give a stream that must be there."""
    assert stream
    return stream


@contextmanager
def failing(kind: type[UpstreamError], reason: str) -> Iterator[None]:
    """Expect an error of that kind, whose cause matches `reason`, and whose own text names no address."""
    with pytest.raises(kind) as caught:
        yield
    assert re.search(reason, str(caught.value.__cause__))
    assert not re.search(r"\d+\.\d+|://|\.example|:\d", str(caught.value))
