"""What an identity provider says of itself (OpenID Connect Discovery 1.0, RFC 8414), and requests to it."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auth.base import ControllerError
from registry.foundation.fetching import Answer, exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from auth.identities.openid.settings import Settings

_DISCOVERY: Final = "/.well-known/openid-configuration"
_REFRESH_SECONDS: Final = 3600
_TIMEOUT_SECONDS: Final = 10
_LARGEST: Final = 1024 * 1024
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where a provider is asked what; "" for what it does not have.

    `takes_secret_in_form` is whether a client's secret goes into the form, as not into the Authorization header.
    `names_itself` is whether it says in what it sends a browser back with who it is (RFC 9207).
    """

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    end_session_endpoint: str
    takes_secret_in_form: bool
    names_itself: bool


class ProviderConnection:
    """The way to one provider. What it says of itself is believed for an hour."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._context = ssl.create_default_context(cafile=settings.cafile) if settings.cafile else None
        self._clock = clock
        self._metadata: tuple[float, Metadata] | None = None

    def metadata(self) -> Metadata:
        """Return what the provider says of itself.

        Raises:
            ControllerError: it does not answer, or says what it must not.
        """
        try:
            return self.discovered()
        except (OSError, ValueError) as error:
            raise ControllerError(f"identity provider {self._settings.name}: {error}") from error

    def discovered(self) -> Metadata:
        """Return what metadata() does.

        Raises:
            OSError: the provider does not answer.
            ValueError: it says what it must not.
        """
        if self._metadata is not None and self._clock() - self._metadata[0] < _REFRESH_SECONDS:
            return self._metadata[1]
        issuer = self._settings.issuer
        found = _metadata(issuer, json_object(self.get(issuer.rstrip("/") + _DISCOVERY)))
        self._metadata = self._clock(), found
        return found

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> bytes:
        """Return the document at `url`, which may not send elsewhere for it.

        Raises:
            OSError: it cannot be had.
        """
        answer = self.exchange("GET", url, headers or {})
        if answer.status != _OK:
            raise OSError(f"{url} answers {answer.status}")
        return answer.content

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """Return the answer to a request, whatever its status.

        Raises:
            OSError: there is none.
        """
        sent = {"Accept": "application/json", **headers}
        try:
            return exchange(
                method,
                url,
                most_bytes=_LARGEST,
                timeout_seconds=_TIMEOUT_SECONDS,
                headers=sent,
                body=body,
                context=self._context,
                follow=False,
            )
        except OSError as error:
            raise OSError(f"{url}: {error}") from error


def json_object(content: bytes) -> Mapping[str, object]:
    """Return the object of a JSON document.

    Raises:
        ValueError: it is not one.
    """
    try:
        document = json.loads(content)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    if not isinstance(document, Mapping):
        raise ValueError("not a JSON object")  # noqa: TRY004  what a stranger sent is wrong, not a caller
    return document


def _metadata(issuer: str, document: Mapping[str, object]) -> Metadata:
    if document.get("issuer") != issuer:
        raise ValueError(f"its discovery document is that of {document.get('issuer')!r}, not of {issuer}")
    methods = document.get("token_endpoint_auth_methods_supported")
    in_form = isinstance(methods, list) and "client_secret_basic" not in methods and "client_secret_post" in methods
    return Metadata(
        _endpoint(issuer, document, "authorization_endpoint", required=True),
        _endpoint(issuer, document, "token_endpoint", required=True),
        _endpoint(issuer, document, "jwks_uri", required=True),
        _endpoint(issuer, document, "userinfo_endpoint"),
        _endpoint(issuer, document, "end_session_endpoint"),
        in_form,
        document.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(issuer: str, document: Mapping[str, object], name: str, *, required: bool = False) -> str:
    url = document.get(name)
    if url is None and not required:
        return ""
    schemes = ("https://",) if issuer.startswith("https://") else ("https://", "http://")
    if not isinstance(url, str) or not url.startswith(schemes):
        raise ValueError(f"its discovery document has no {name} that begins with {' or '.join(schemes)}")
    return url
