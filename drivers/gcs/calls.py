"""Who makes the calls of a bucket: where, by whose rights, and how long they may take."""

from __future__ import annotations

import os
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from drivers.calls.caller import Caller
from drivers.gcs.credentials import Token, Transport, find_credentials
from drivers.gcs.signing import UrlSigner
from registry.foundation.circuit import MOST_WAITING, Circuit
from registry.foundation.extras import DISTRIBUTION
from registry.foundation.http_client import HttpClient, Reach

if TYPE_CHECKING:
    from drivers.gcs.parameters import GcsParameters

_EMULATOR: Final = "STORAGE_EMULATOR_HOST"
"""A variable that names an endpoint, as in Google's SDKs."""

_CONNECT_SECONDS: Final = 5
_SLOWEST: Final = 256 * 1024
"""Bytes per second that a long body is given time for."""


class Calls:
    """Callers of the service, for all threads, who share connections, a token and `circuit`.

    `usual` is for nearly all calls; `long` for those that carry a part of an upload, or copy as much; `once` makes one
    attempt. `urls` signs for clients. `endpoint` is where the service is.

    Raises:
        ParameterError: the credentials cannot be used, or there are none.
    """

    def __init__(self, parameters: GcsParameters) -> None:
        emulator = os.environ.get(_EMULATOR, "")
        if emulator and not parameters.endpoint:
            parameters = replace(parameters, endpoint=emulator if "://" in emulator else f"http://{emulator}")
        transport = Transport()
        credentials = find_credentials(parameters, transport)
        self.endpoint = endpoint = (parameters.endpoint or f"https://storage.{credentials.universe_domain}").rstrip("/")
        client = HttpClient(
            user_agent=parameters.useragent or DISTRIBUTION,
            connections=2 * parameters.maxconcurrency,
            follow=0,
            reach=Reach(connect_seconds=_CONNECT_SECONDS),
        )
        weakref.finalize(self, client.close)
        self.circuit = circuit = Circuit(most_waiting=MOST_WAITING)
        limits, token = parameters.limits, Token(credentials, transport)
        longer = replace(limits, seconds=limits.seconds + parameters.chunksize / _SLOWEST)
        self.usual = Caller(endpoint, token, limits, client, circuit)
        self.long = Caller(endpoint, token, longer, client, circuit)
        self.once = Caller(endpoint, token, replace(limits, attempts=1), client, circuit)
        self.urls = UrlSigner(credentials, transport, parameters.redirectendpoint or endpoint)
