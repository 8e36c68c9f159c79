"""The calls of one account: where they go, and what their answers must be."""

from __future__ import annotations

import os
import ssl
import weakref
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from drivers.azure.authorization import Bearer, ByUrl, SharedKey
from drivers.azure.copying import Copier
from drivers.azure.parameters import SAS, SHARED_KEY
from drivers.base import UnavailableError
from drivers.calls.caller import Caller
from drivers.calls.request import Request, Signer
from registry.foundation.circuit import MOST_WAITING, Circuit
from registry.foundation.errors import ParameterError
from registry.foundation.extras import installing
from registry.foundation.http_client import HttpClient, Reach

if TYPE_CHECKING:
    from drivers.azure.parameters import AzureParameters
    from registry.foundation.http_client import Reply, Stream

_CONNECTIONS: Final = 100
_CONNECT_SECONDS: Final = 10.0
_MOST_BYTES: Final = 64 * 1024
_LONG_BODY: Final = 1024 * 1024
_LEAST_BYTES_PER_SECOND: Final = 256 * 1024
"""What a network has to take: a long body is given that much time more."""
_AUTHORITIES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables of a file, or a directory, of authorities, which the SDKs know."""

Headers = tuple[tuple[str, str], ...]


class Client:
    """The account that `parameters` describe, at `endpoint`, shared by all threads; nothing is sent yet.

    `circuit` says whether it is asked at all.

    Raises:
        ParameterError: the authorities cannot be read, or the tenant or the client of a login cannot be such.
    """

    def __init__(self, parameters: AzureParameters) -> None:
        parts = urlsplit(parameters.serviceurl)
        self.endpoint = f"{parts.scheme}://{parts.netloc}"
        self._account_path = parts.path.rstrip("/")
        self._container_path = f"{self._account_path}/{quote(parameters.container, safe='')}"
        self._token = parameters.sastoken
        self._limits = parameters.limits
        self._signer = _signer(parameters)
        self.circuit = Circuit(most_waiting=MOST_WAITING)
        self._http = _http_client(parameters)
        weakref.finalize(self, self._http.close)  # a driver has no end of its own
        self._caller = self._bounded(parameters.limits.seconds)
        self.copier = Copier(
            self._caller, f"{self.endpoint}{self._account_path}", parameters.container, parameters.sastoken
        )

    def path(self, key: str) -> str:
        """Return the path of a blob's URL."""
        return f"{self._container_path}/{quote(key, safe='/~')}"

    def source_url(self, key: str, token: str | None) -> str:
        """Return the URL by which the service itself reads a blob: with `token`, or that of the configuration."""
        query = token or self._token
        return f"{self.endpoint}{self.path(key)}{f'?{query}' if query else ''}"

    def blob(  # noqa: PLR0913 - a call of HTTP
        self,
        method: str,
        key: str,
        expected: HTTPStatus,
        *,
        query: str = "",
        headers: Headers = (),
        body: bytes = b"",
        most_bytes: int = _MOST_BYTES,
    ) -> Reply:
        """Return the answer of a call for a blob, whose status is `expected`."""
        return self._asked(
            Request(method, self.path(key), self._with_token(query), headers, body), expected, most_bytes
        )

    def container(self, query: dict[str, str], *, headers: Headers = (), most_bytes: int) -> Reply:
        """Return the answer to a GET of what the container has."""
        asked = self._with_token("&".join([f"{name}={quote(value, safe='')}" for name, value in query.items()]))
        return self._asked(Request("GET", self._container_path, asked, headers), HTTPStatus.OK, most_bytes)

    def account(self, query: str, body: bytes) -> Reply:
        """Return the answer to a POST to the account itself."""
        return self._asked(Request("POST", f"{self._account_path}/", query, (), body), HTTPStatus.OK, _MOST_BYTES)

    def stream(self, key: str, headers: Headers) -> Stream:
        """Return an answer to a GET of a blob, whose content comes while it is read."""
        return self._caller.stream(Request("GET", self.path(key), self._with_token(""), headers))

    def _asked(self, request: Request, expected: HTTPStatus, most_bytes: int) -> Reply:
        caller = self._caller
        if len(request.body) > _LONG_BODY:
            caller = self._bounded(self._limits.seconds + len(request.body) / _LEAST_BYTES_PER_SECOND)
        answer = caller.call(request, most_bytes=most_bytes)
        if answer.status != expected:
            raise UnavailableError(
                f"azure: {request.method} {request.path}: {answer.status} is answered, not {expected}"
            )
        return answer

    def _bounded(self, seconds: float) -> Caller:
        limits = replace(self._limits, seconds=seconds)
        return Caller(self.endpoint, self._signer, limits, self._http, self.circuit)

    def _with_token(self, query: str) -> str:
        return f"{query}&{self._token}" if query and self._token else query or self._token


def _signer(parameters: AzureParameters) -> Signer:
    if parameters.type == SHARED_KEY:
        return SharedKey(parameters.accountname, parameters.accountkey)
    if parameters.type == SAS:
        return ByUrl()
    try:
        from drivers.azure.login import tokens  # noqa: PLC0415 - it is large, and needed only by who has an identity
    except ImportError as error:
        raise ParameterError(f"credentials.type: {parameters.type}: {error}; try: {installing('azure')}") from error

    return Bearer(partial(tokens, parameters))


def _http_client(parameters: AzureParameters) -> HttpClient:
    return HttpClient(
        connections=_CONNECTIONS,
        follow=0,
        verify=parameters.verify,
        reach=Reach(connect_seconds=_CONNECT_SECONDS),
        **(_authorities() if parameters.verify else {}),
    )


def _authorities() -> dict[str, Any]:
    """Return how the client is told of authorities that the environment names, as the SDKs let it."""
    named = next(filter(None, map(os.environ.get, _AUTHORITIES)), "")
    if named and Path(named).is_dir():
        return {"context": ssl.create_default_context(capath=named)}
    return {"cafile": named}
