"""The calls of a bucket that are made again and again, without the SDK, which takes ten times as long for each.

It still finds credentials and endpoints, and makes those calls that carry much or are seldom made.
"""

from __future__ import annotations

import logging
import threading
import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from botocore.exceptions import BotoCoreError

from drivers.calls.caller import Caller
from drivers.calls.request import RefusedError, Request
from drivers.s3.answers import region_of
from drivers.s3.credentials import Credentials, Provider
from drivers.s3.endpoint import Endpoint, endpoint_of
from drivers.s3.errors import is_busy
from drivers.s3.parameters import unusable
from drivers.s3.signing import SdkSigner, Signer, query_of
from drivers.s3.silence import leave_alone
from drivers.translation import one_line
from registry.foundation.circuit import MOST_WAITING, Circuit
from registry.foundation.errors import ParameterError
from registry.foundation.http_client import USER_AGENT, HttpClient, Reach

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from drivers.s3.parameters import Parameters
    from registry.foundation.http_client import Reply, Stream

CONNECT_SECONDS: Final = 5
_KEPT_CONNECTIONS: Final = 128
_ELSEWHERE: Final = frozenset({301, 302, 307, 400})
"""Statuses with which Amazon says that a bucket is in another region."""
_KNOWN: Final = frozenset({304, 404, 409, 412, 416})
"""Statuses with which a store refuses a call only after it has accepted the signature."""

_log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer", "Reply", "Stream")


@dataclass(frozen=True, slots=True)
class _Way:
    """How the bucket is asked: where, and with whose signature; `client` is the SDK's."""

    client: Any
    endpoint: Endpoint
    signer: Signer | SdkSigner
    caller: Caller


class Calls:
    """Calls of the bucket that `parameters` name; for all threads. `client` is the SDK's, `circuit` that of all calls.

    Raises:
        ParameterError: the SDK does not take a parameter, or something that it looks up by itself.
    """

    def __init__(self, parameters: Parameters) -> None:
        session = parameters.session()
        try:
            found, authorities = parameters.credentials(session), parameters.authorities(session)
        except BotoCoreError as error:
            raise unusable(error) from error
        # Another session searches anew; each remembers what it has found.
        self._credentials = Credentials(found, lambda: parameters.credentials(parameters.session()))
        self.client = self._sdk_client(parameters)
        self.circuit = Circuit(most_waiting=MOST_WAITING)
        leave_alone(self.client, self.circuit)
        self._parameters = parameters
        endpoint = self._endpoint_of(self.client)
        if parameters.log_calls:
            self.client.meta.events.register("after-call.s3", _note_sdk)
        self._http = _client(parameters, authorities if endpoint.scheme == "https" else "")
        weakref.finalize(self, self._http.close)
        self._lock = threading.Lock()
        self._ahead_seconds = 0.0
        self._way = self._way_of(self.client, endpoint)
        self._public_way = self._way_of_clients() if parameters.redirect_endpoint else None

    def call(  # noqa: PLR0913 - the parts of a request
        self,
        operation: str,
        method: str,
        key: str | None = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        most_bytes: int = 0,
    ) -> Reply:
        """Return the answer, of a status of 2xx; for `most_bytes` and the errors see drivers.calls.caller.Caller.

        It is about the bucket where no `key` is given.
        """
        asked, sent = query_of(query) if query else "", tuple(headers.items()) if headers else ()

        def ask(way: _Way) -> Reply:
            path = (way.endpoint.path or "/") if key is None else _path(way.endpoint, key)
            return way.caller.call(Request(method, path, asked, sent, body), most_bytes=most_bytes)

        return self._asked(operation, ask)

    def stream(self, operation: str, key: str, headers: Mapping[str, str]) -> Stream:
        """Return the answer to GET, of a status of 2xx; for the errors see drivers.calls.caller.Caller."""

        def ask(way: _Way) -> Stream:
            return way.caller.stream(Request("GET", _path(way.endpoint, key), headers=tuple(headers.items())))

        return self._asked(operation, ask)

    def signed_url(self, method: str, operation: str, key: str, seconds: int) -> str:
        """Return a URL by which anyone may make this call for so many seconds, at the endpoint that clients reach."""
        way = self._public_way or self._way
        if isinstance(way.signer, Signer):
            return way.signer.presigned(method, _path(way.endpoint, key), seconds)
        target = {"Bucket": self._parameters.bucket, "Key": key}
        return str(way.client.generate_presigned_url(operation, Params=target, ExpiresIn=seconds))

    def _asked(self, operation: str, ask: Callable[[_Way], _Answer]) -> _Answer:
        way = self._way
        try:
            try:
                answer = self._timely(way, ask)
            except RefusedError as error:
                moved = self._moved(way, error.answer)
                if moved is None:
                    raise
                answer = self._timely(moved, ask)
        except RefusedError as error:
            self._told(operation, error.answer.status)
            raise
        self._told(operation, answer.status)
        return answer

    def _timely(self, way: _Way, ask: Callable[[_Way], _Answer]) -> _Answer:
        """Ask, and once more by the clock of the store where that may be why it refuses; all go by it if it is."""
        try:
            return ask(way)
        except RefusedError as error:
            ahead = way.signer.ahead_by(error.answer) if isinstance(way.signer, Signer) else None
            if ahead is None:
                raise
        adjusted = self._way_of(way.client, way.endpoint, ahead)
        try:
            answer = ask(adjusted)
        except RefusedError as error:
            if error.answer.status in _KNOWN:
                self._adjust(way, adjusted, ahead)
            raise
        self._adjust(way, adjusted, ahead)
        return answer

    def _adjust(self, way: _Way, adjusted: _Way, ahead_seconds: float) -> None:
        """Have all calls, and the URLs for clients, signed as `adjusted` is, if they still are as `way` is."""
        with self._lock:
            if self._way is not way:
                return
            self._way = adjusted
            self._ahead_seconds = ahead_seconds
            if self._public_way:
                self._public_way = self._way_of(self._public_way.client, self._public_way.endpoint, ahead_seconds)
        _log.warning("the clock of this machine and that of the S3 endpoint differ by %.0f s", abs(ahead_seconds))

    def _told(self, operation: str, status: int) -> None:
        if self._parameters.log_calls:
            _note(operation, status)

    def _moved(self, way: _Way, answer: Reply) -> _Way | None:
        """Return how to ask in the region that the store names where it has refused `way`; None if it names no other.

        From then on all ask there.
        """
        region = region_of(answer) if answer.status in _ELSEWHERE else ""
        if not region:
            return None
        with self._lock:
            if self._way is way:
                if region == way.endpoint.region:
                    return None
                try:
                    client = self._sdk_client(replace(self._parameters, region=region))
                except ParameterError:
                    return None
                _log.warning("the bucket %s is in the region %s", self._parameters.bucket, region)
                self._way = self._way_of(client, self._endpoint_of(client), self._ahead_seconds)
            return self._way

    def _sdk_client(self, parameters: Parameters, endpoint: str = "") -> Any:
        session = parameters.session()
        if not parameters.access_key:
            session.get_component("credential_provider").providers.insert(0, Provider(self._credentials))
        return parameters.client(endpoint, session)

    def _way_of_clients(self) -> _Way:
        client = self._sdk_client(self._parameters, self._parameters.redirect_endpoint)
        return self._way_of(client, self._endpoint_of(client))

    def _way_of(self, client: Any, endpoint: Endpoint, ahead_seconds: float = 0.0) -> _Way:
        signer: Signer | SdkSigner
        if endpoint.sdk_signer is None:
            signer = Signer(endpoint, self._credentials, ahead_seconds)
        else:
            signer = SdkSigner(endpoint, self._parameters.bucket)
        caller = Caller(endpoint.url, signer, self._parameters.limits, self._http, self.circuit, is_busy=is_busy)
        return _Way(client, endpoint, signer, caller)

    def _endpoint_of(self, client: Any) -> Endpoint:
        try:
            return endpoint_of(client, self._parameters.bucket)
        except BotoCoreError as error:
            raise ParameterError(f"bucket, region: the SDK finds no endpoint: {one_line(error)}") from error


def _client(parameters: Parameters, authorities: str) -> HttpClient:
    try:
        return HttpClient(
            cafile=authorities,
            user_agent=f"{USER_AGENT} {parameters.user_agent}".rstrip(),
            connections=_KEPT_CONNECTIONS,
            follow=0,
            verify=parameters.verify,
            reach=Reach(connect_seconds=CONNECT_SECONDS),
        )
    except ParameterError as error:
        raise ParameterError(f"{error}; AWS_CA_BUNDLE or ca_bundle of the profile names the file") from error


def _path(endpoint: Endpoint, key: str) -> str:
    return f"{endpoint.path}/{quote(key, safe='/-_.~')}"


def _note_sdk(http_response: Any, model: Any, **_: Any) -> None:
    _note(model.name, http_response.status_code)


def _note(operation: str, status: int) -> None:
    # Without headers and content: they hold signatures.
    _log.info("%s: %s", operation, status)
