"""Requests to one upstream, with its login and within its limits; each way to fail is an error for clients."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from registry.foundation.http_client import HttpClient, HttpError, Identity, Location, Reach
from registry.foundation.http_client.deadlines import Deadline
from registry.foundation.registry_url import parse_registry_url
from registry.oci.errors import (
    UpstreamFailedError,
    UpstreamLimitedError,
    UpstreamRefusedError,
    UpstreamSilentError,
)
from registry.upstream.circuit import Circuit
from registry.upstream.limits import quantity, retry_seconds
from registry.upstream.login import Login
from registry.upstream.sources import credentials_of
from registry.upstream.streams import failure
from registry.upstream.via import with_own

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.config.upstreams import Upstream as Settings
    from registry.foundation.http_client import Stream
    from registry.foundation.registry_url import RegistryUrl
    from registry.oci.errors import UpstreamError
    from registry.upstream.meter import Meter

    Lines = Sequence[tuple[str, str]]

_FOLLOW: Final = 5
_FOUND: Final = frozenset({200, 206})
_UNAUTHORIZED: Final = 401
_REFUSALS: Final = frozenset({_UNAUTHORIZED, 403})
_TOO_MANY: Final = 429
_SERVER_ERRORS: Final = range(500, 600)
_NOT_IMPLEMENTED: Final = 501
_UNAVAILABLE: Final = frozenset({502, 503, 504})
_MOST_OF_ERROR: Final = 65536
_ERROR_SECONDS: Final = 1.0
"""Bytes that are read of an error, and for how long, so that its connection can be used again."""


class _UnavailableError(UpstreamFailedError):
    """It says that it does not work now (502, 503, 504)."""


class Session:
    """Requests to the upstream of `settings`, for all threads; `via` is what this registry is called in ``Via``.

    Raises:
        ParameterError: a file that the settings name cannot be used.
    """

    def __init__(self, settings: Settings, via: str, meter: Meter) -> None:
        self._settings = settings
        self.name = settings.name
        self._via = via
        self._meter = meter
        url = parse_registry_url(settings.remoteurl)
        self._base = url.address
        self._registry = Location.parse(self._base)
        self._http, self._token_http = _client(settings, _FOLLOW), _client(settings, 0)
        credentials = credentials_of(settings.auth, self._registry.authority, _login_in(url))
        self.login = Login(settings, self._registry, credentials, self._token_http)
        self._circuit = Circuit(self.name, lambda is_open: meter.circuit(self.name, is_open=is_open))

    def close(self) -> None:
        """Close the connections that wait for a request."""
        self._http.close()
        self._token_http.close()

    def open(self, method: str, target: str, *, scope: str, headers: Lines = (), via: str = "") -> Stream:
        """Return the answer to a request for `target`, a path behind ``/v2/`` with its query.

        `scope` is what a token has to permit; `via` is the header of the request that this is made for. The status of
        the answer may be any but those that are errors below.

        Raises:
            UpstreamError: there is no answer, or a refusal (401, 403), a limit (429), or an error (5xx).
        """
        self._circuit.enter()
        try:
            answer = self._logged_in(method, target, scope, [*headers, *self._via_header(via)])
        except (UpstreamFailedError, UpstreamSilentError) as error:
            if _is_down(error):
                self._circuit.failed()
            else:
                self._circuit.succeeded()
            raise
        except (UpstreamRefusedError, UpstreamLimitedError):
            self._circuit.succeeded()
            raise
        except BaseException:
            self._circuit.left()
            raise
        self._circuit.succeeded()
        return answer

    def read(self, answer: Stream, most_bytes: int) -> bytes:
        """Return all of an answer, which has to come as fast as its head.

        Raises:
            UpstreamFailedError: it has more than `most_bytes`.
            UpstreamError: it does not come.
        """
        seconds = self._settings.network.answertimeout_seconds
        answer.bear(Deadline(seconds), seconds)
        try:
            content = answer.read(most_bytes + 1)
        except HttpError as error:
            raise failure(self.name, error) from error
        if len(content) > most_bytes:
            raise UpstreamFailedError(f"{self.name} sends more than {most_bytes} bytes")
        return content

    def _via_header(self, came: str) -> Lines:
        text = with_own(came, self._via) if self._via else came
        return [("Via", text)] if text else []

    def _logged_in(self, method: str, target: str, scope: str, headers: Lines) -> Stream:
        """Return the answer; where that wants another login, the one to the same request with it."""
        authorization = self.login.authorization(scope)
        answer = self._asked(method, target, headers, authorization)
        if answer.status == _UNAUTHORIZED and self._is_own(answer):
            self._read_error(answer)
            challenges = answer.headers.getlist("WWW-Authenticate")
            authorization = self.login.answer(challenges, scope, authorization, answer.addresses())
            answer = self._asked(method, target, headers, authorization)
        try:
            self._judge(answer)
        except BaseException:
            self._read_error(answer)
            raise
        return answer

    def _asked(self, method: str, target: str, headers: Lines, authorization: str) -> Stream:
        network = self._settings.network
        login = [("Authorization", authorization)] if authorization else []
        began, code = time.monotonic(), "error"
        try:
            answer = self._http.stream(
                method,
                f"{self._base}/v2/{target}",
                headers=[*headers, *login],
                answer_seconds=network.answertimeout_seconds,
                stall_seconds=network.stalltimeout_seconds,
                slowest=network.slowest,
            )
            code = str(answer.status)
        except HttpError as error:
            raise failure(self.name, error) from error
        finally:
            self._meter.asked(self.name, code, time.monotonic() - began)
        left = quantity(answer.headers, "RateLimit-Remaining")
        if left is not None and self._is_own(answer):
            self._meter.limited(self.name, left)
        return answer

    def _read_error(self, answer: Stream) -> None:
        """Read an answer that is of no use otherwise, unless it is long or slow, and close it."""
        answer.bear(Deadline(_ERROR_SECONDS), _ERROR_SECONDS)
        with answer, suppress(HttpError):
            answer.read(_MOST_OF_ERROR)

    def _is_own(self, answer: Stream) -> bool:
        return answer.location.origin == self._registry.origin

    def _judge(self, answer: Stream) -> None:
        """Return if the answer is one of the upstream's own, and neither a refusal, a limit nor an error."""
        status = answer.status
        if not self._is_own(answer) and status not in _FOUND:
            raise UpstreamFailedError(f"{self.name} redirects to a server that answers {status}")
        if status in _REFUSALS:
            raise UpstreamRefusedError(f"{self.name} refuses access")
        if status == _TOO_MANY:
            raise UpstreamLimitedError(f"{self.name} limits requests", retry_seconds=retry_seconds(answer.headers))
        if status in _SERVER_ERRORS and status != _NOT_IMPLEMENTED:
            seconds = retry_seconds(answer.headers) if "Retry-After" in answer.headers else None
            word = _UnavailableError if status in _UNAVAILABLE else UpstreamFailedError
            raise word(f"{self.name} answers {status}", retry_seconds=seconds)


def _is_down(error: UpstreamError) -> bool:
    """Tell whether the upstream as a whole seems not to work.

    Other errors, and those of a server that it redirects to, may be about what was asked for, which clients choose.
    """
    if isinstance(error.__cause__, HttpError):
        return not error.__cause__.redirected
    return isinstance(error, UpstreamSilentError | _UnavailableError)


def _client(settings: Settings, follow: int) -> HttpClient:
    network, tls = settings.network, settings.tls
    return HttpClient(
        cafile=tls.ca,
        identity=Identity(tls.certificate, tls.key),
        verify=not tls.insecureskipverify,
        connections=network.connections,
        follow=follow,
        reach=Reach(network.connecttimeout_seconds, network.httpproxy, network.private),
    )


def _login_in(url: RegistryUrl) -> tuple[str, str] | None:
    return (url.user, url.password or "") if url.user else None
