"""Requests to one upstream, with its login and within its limits; each way to fail is an error for clients."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from registry.foundation.challenges import basic_authorization
from registry.foundation.http_client import HttpClient, HttpError, Location, Reach
from registry.foundation.http_client.deadlines import Deadline
from registry.foundation.registry_url import parse_registry_url
from registry.oci.errors import UpstreamFailedError, UpstreamLimitedError, UpstreamRefusedError
from registry.upstream.streams import failure
from registry.upstream.via import with_own

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.config.upstreams import Upstream as Settings
    from registry.foundation.http_client import Headers, Stream
    from registry.upstream.meter import Meter

    Lines = Sequence[tuple[str, str]]

_FOLLOW: Final = 5
_REFUSALS: Final = frozenset({401, 403})
_TOO_MANY: Final = 429
_SERVER_ERRORS: Final = range(500, 600)
_NOT_IMPLEMENTED: Final = 501


class Session:
    """Requests to the upstream of `settings`, for all threads; `via` is what this registry is called in ``Via``."""

    def __init__(self, settings: Settings, via: str, meter: Meter) -> None:
        self._settings = settings
        self.name = settings.name
        self._via = via
        self._meter = meter
        network, tls = settings.network, settings.tls
        self._base = parse_registry_url(settings.remoteurl).address
        self._origin = Location.parse(self._base).origin
        self._http = HttpClient(
            cafile=tls.ca,
            connections=network.connections,
            follow=_FOLLOW,
            reach=Reach(network.connecttimeout_seconds, network.httpproxy, network.private),
        )

    def close(self) -> None:
        """Close the connections that wait for a request."""
        self._http.close()

    def open(self, method: str, target: str, *, headers: Lines = (), via: str = "") -> Stream:
        """Return the answer to a request for `target`, a path behind ``/v2/`` with its query; `via` is what came.

        Its status may be any but those that are errors below.

        Raises:
            UpstreamError: there is no answer, or a refusal (401, 403), a limit (429), or an error (5xx).
        """
        network = self._settings.network
        sent = [*headers, *self._authorization()]
        if self._via or via:
            sent.append(("Via", with_own(via, self._via) if self._via else via))
        began = time.monotonic()
        try:
            answer = self._http.stream(
                method,
                f"{self._base}/v2/{target}",
                headers=sent,
                answer_seconds=network.answertimeout_seconds,
                stall_seconds=network.stalltimeout_seconds,
                slowest=network.slowest,
            )
        except HttpError as error:
            self._meter.asked(self.name, "error", time.monotonic() - began)
            raise failure(self.name, error) from error
        self._meter.asked(self.name, str(answer.status), time.monotonic() - began)
        try:
            self._judge(answer)
        except BaseException:
            answer.close()
            raise
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

    def _authorization(self) -> Lines:
        auth = self._settings.auth
        return [("Authorization", basic_authorization(auth.username, auth.password))] if auth.username else []

    def _judge(self, answer: Stream) -> None:
        """Return if the answer is one of the upstream's own, and neither a refusal, a limit nor an error."""
        status = answer.status
        if answer.location.origin != self._origin and status not in {200, 206}:
            raise UpstreamFailedError(f"{self.name} redirects to a server that answers {status}")
        if status in _REFUSALS:
            raise UpstreamRefusedError(f"{self.name} refuses access, or its credentials are not those that it wants")
        if status == _TOO_MANY:
            raise UpstreamLimitedError(f"{self.name} limits requests", retry_seconds=_retry_seconds(answer.headers))
        if status in _SERVER_ERRORS and status != _NOT_IMPLEMENTED:
            raise UpstreamFailedError(f"{self.name} answers {status}")


def _retry_seconds(headers: Headers) -> int | None:
    text = headers.get("Retry-After", "")
    return int(text[:9]) if text.isdecimal() else None
