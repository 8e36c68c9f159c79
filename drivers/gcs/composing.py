"""Objects that are composed inside the service, by google.cloud.storage.

That package is large. It is loaded when an upload that was stored in parts is published: a process that serves, or
stores what is small, does without. It says what to ask, and reads the answer. Its calls are made by drivers.calls, as
all others are: with the same credentials, connections, deadline, attempts and circuit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from google.auth.credentials import AnonymousCredentials

from drivers.calls.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drivers.calls.caller import Caller

if find_spec("google.cloud.storage") is None:  # said when the driver is loaded, not when the first upload ends
    raise ImportError("No module named 'google.cloud.storage'", name="google.cloud.storage")

_CONTENT_TYPE: Final = "application/octet-stream"
_NOT_PASSED: Final = frozenset({"accept-encoding", "user-agent"})
"""Headers that the client of HTTP has of its own; it does not decode contents."""


@dataclass(frozen=True, slots=True)
class Source:
    """An object for compose(), which takes exactly the generation that the writer saw."""

    key: str
    generation: int


@dataclass(frozen=True, slots=True)
class _Response:
    """What the SDK needs of an answer of requests."""

    status_code: int
    content: bytes

    def json(self) -> Any:
        """Return the parsed content."""
        return json.loads(self.content)


class _Session:
    """What the SDK takes for a session of requests: `caller` makes its calls, which raise what that raises."""

    is_mtls = False

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def request(
        self, method: str, url: str, data: str | None = None, headers: Mapping[str, str] | None = None, **_: object
    ) -> _Response:
        """Return the answer, which is one of 2xx."""
        parts = urlsplit(url)
        sent = tuple((name, value) for name, value in (headers or {}).items() if name.lower() not in _NOT_PASSED)
        answer = self._caller.call(Request(method, parts.path, parts.query, sent, (data or "").encode()), most_bytes=0)
        return _Response(answer.status, answer.content)


class Composer:
    """Composes objects of `bucket` at `endpoint`, by calls of `caller`; for all threads."""

    def __init__(self, caller: Caller, endpoint: str, bucket: str) -> None:
        from google.cloud import storage  # noqa: PLC0415 - it is large, and only what is composed needs it

        client = storage.Client(
            project=None,
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]  # `caller` signs
            client_options={"api_endpoint": endpoint},
            _http=_Session(caller),
        )
        # For attributes of traces of its own, the SDK would ask for the bucket in a thread, and again after a failure.
        client._bucket_metadata_cache = None  # noqa: SLF001  the SDK looks whether there is one
        self._bucket = client.bucket(bucket)

    def compose(self, key: str, sources: Sequence[Source]) -> int:
        """Concatenate `sources` into one object; return its generation."""
        blob = self._bucket.blob(key)
        blob.content_type = _CONTENT_TYPE
        blob.compose(
            [self._bucket.blob(source.key) for source in sources],
            if_source_generation_match=[source.generation for source in sources],
            retry=None,  # `caller` tries again
        )
        return int(blob.generation)
