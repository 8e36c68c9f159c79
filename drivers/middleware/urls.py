"""The middleware ``redirect`` and ``rewrite``: clients are sent to another server that has the same content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self
from urllib.parse import quote, urlsplit

from drivers.base import checked_path
from drivers.middleware.base import Middleware
from registry.foundation.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.base import StorageDriver


class RedirectMiddleware(Middleware):
    """Sends clients to `base` and the path, whatever the driver: a server of its directory, a CDN before its bucket."""

    def __init__(self, inner: StorageDriver, base: str) -> None:
        super().__init__(inner)
        self._base = base

    @classmethod
    def from_options(cls, inner: StorageDriver, options: Mapping[str, object]) -> Self:
        parameters = Parameters(options)
        parameters.required_text("baseurl")
        return cls(inner, parameters.url("baseurl"))

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        del method, client
        return self._base + checked_path(path)


class RewriteMiddleware(Middleware):
    """Changes the URL that the driver gives, signature and all else in it untouched.

    ``scheme`` and ``host`` take the place of the URL's own, `prefix` is taken off its path. A signature over the host,
    as S3 and Google make them, is valid only if the server there passes the request on with the driver's own host.
    """

    def __init__(self, inner: StorageDriver, *, scheme: str = "", host: str = "", prefix: str = "") -> None:
        super().__init__(inner)
        self._scheme = scheme
        self._host = host
        self._prefix = prefix

    @classmethod
    def from_options(cls, inner: StorageDriver, options: Mapping[str, object]) -> Self:
        parameters = Parameters(options)
        return cls(
            inner,
            scheme=parameters.choice("scheme", "", ("http", "https")),
            host=parameters.host("host"),
            prefix=quote(parameters.text("trimpathprefix"), safe="/%"),
        )

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        url = self._inner.redirect_url(path, method=method, client=client)
        if not url:
            return None
        parts = urlsplit(url)
        return parts._replace(
            scheme=self._scheme or parts.scheme,
            netloc=self._host or parts.netloc,
            path=parts.path.removeprefix(self._prefix),
        ).geturl()
