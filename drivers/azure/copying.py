"""Copies inside the service, by azure.storage.blob.

That package is large. It is loaded when an upload is published, which is a copy: a process that serves, or stores
what is put by one call, does without. It says what to ask, and reads the answer. Its calls are made by drivers.calls,
as all others are: with the same credentials, connections, deadline, attempts and circuit.
"""

from __future__ import annotations

from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote, urlsplit

from drivers.azure.authorization import VERSION
from drivers.calls.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.storage.blob import BlobClient, ContainerClient

    from drivers.calls.caller import Caller
    from registry.foundation.http_client import Headers

if find_spec("azure.storage.blob") is None:  # said when the driver is loaded, not when the first upload ends
    raise ImportError("No module named 'azure.storage.blob'", name="azure.storage.blob")

_PASSED: Final = ("x-ms-", "if-")
"""How the headers begin that are sent; the others are the client of HTTP's own."""
_NOT_PASSED: Final = frozenset({"x-ms-date", "x-ms-client-request-id", "x-ms-return-client-request-id"})


class _Response:
    """What the SDK needs of an answer of its transport."""

    def __init__(self, request: Any, status: int, headers: Headers, content: bytes) -> None:
        self.request = request
        self.status_code = status
        self.headers = headers
        self.reason = ""
        self.content_type = headers.get("Content-Type")
        self._content = content

    def body(self) -> bytes:
        """Return the content."""
        return self._content

    def text(self, encoding: str | None = None) -> str:
        """Return the content as text."""
        return self._content.decode(encoding or "utf-8-sig")


class _Transport:
    """What the SDK takes for its transport: `caller` makes its calls, which raise what that raises."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def send(self, request: Any, **_: object) -> _Response:
        """Return the answer, which is one of 2xx."""
        parts = urlsplit(request.url)
        headers = tuple(
            (name, value)
            for name, value in request.headers.items()
            if name.lower().startswith(_PASSED) and name.lower() not in _NOT_PASSED
        )
        answer = self._caller.call(Request(request.method, parts.path, parts.query, headers), most_bytes=0)
        return _Response(request, answer.status, answer.headers, answer.content)


class Copier:
    """Copies to blobs of `container` at `account_url`, whose query is `token`; for all threads."""

    def __init__(self, caller: Caller, account_url: str, container: str, token: str) -> None:
        self._transport = _Transport(caller)
        url = f"{account_url}/{quote(container, safe='')}"
        self._container_url = f"{url}?{token}" if token else url

    def begin(self, url: str, destination: str, etag: str) -> tuple[str, str]:
        """Begin to copy from `url`, where `etag` has to be; return the id and the state of the copy."""
        from azure.core import MatchConditions  # noqa: PLC0415 - as _container

        begun: Mapping[str, Any] = self._blob(destination).start_copy_from_url(
            url, source_etag=etag, source_match_condition=MatchConditions.IfNotModified
        )
        return begun["copy_id"] or "", begun["copy_status"] or ""

    def abort(self, destination: str, copy_id: str) -> None:
        """End a copy that goes on."""
        self._blob(destination).abort_copy(copy_id)

    def _blob(self, key: str) -> BlobClient:
        return self._container.get_blob_client(key)

    @cached_property
    def _container(self) -> ContainerClient:
        from azure.storage.blob import ContainerClient  # noqa: PLC0415 - it is large, and only copies need it

        return ContainerClient.from_container_url(
            self._container_url,
            api_version=VERSION,
            transport=self._transport,
            retry_total=0,  # the caller tries again
        )
