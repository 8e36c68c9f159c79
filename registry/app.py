"""Flask: the services of a registry as a WSGI application."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from registry.config.remote import Health
from registry.foundation.url_paths import lies_at
from registry.handlers import (
    auditing,
    base,
    blobs,
    catalog,
    cors,
    errors,
    manifests,
    observing,
    operations,
    proxied,
    pulled,
    referrers,
    tags,
    token,
    uploads,
)
from registry.handlers.current import EXTENSION, PEER_KEY
from registry.handlers.dispatch import Application
from registry.handlers.flask_internals import current_request
from registry.health.gate import LIVENESS_PATH, READINESS_PATH, Gate

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    import flask
    from flask import Flask

    from registry.config import Configuration
    from registry.foundation.proxies import TrustedProxies
    from registry.handlers.response import Response
    from registry.services import Services

_BLUEPRINTS = (base, blobs, catalog, manifests, operations, referrers, tags, uploads)
_OUTSIDE_OF_PREFIX = {"/", LIVENESS_PATH, READINESS_PATH}


def create_app(services: Services) -> Flask:
    """Return the application that serves `services`."""
    configuration = services.configuration
    app = _Application(services.proxies)
    app.extensions[EXTENSION] = services
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    for module in _BLUEPRINTS:
        app.register_blueprint(module.blueprint)
    if services.access.token_service:
        app.register_blueprint(token.blueprint, url_prefix=services.access.token_service.path)
    if configuration.http.extensions.enabled or configuration.ui.enabled:
        _install_looking(app, services)
    if configuration.http.extensions.enabled:
        _install_extensions(app)
    errors.register(app, services)
    _install_observers(app, services)
    if configuration.ui.enabled:
        _install_pages(app, services)
    _add_common_headers(app, configuration)
    if configuration.http.prefix.strip("/"):
        app.wsgi_app = _Prefixed(app.wsgi_app, configuration.http.prefix)  # type: ignore[method-assign]
    if configuration.health != Health():
        pages = configuration.http.prefix.rstrip("/") + configuration.ui.path if configuration.ui.enabled else None
        app.wsgi_app = Gate(app.wsgi_app, services.board, pages)  # type: ignore[method-assign]
    return app


def _install_observers(app: Flask, services: Services) -> None:
    """Let those who want to know see the requests of `app`."""
    if services.trail and services.configuration.audit.pulls:
        auditing.install_pulls(app, services.trail)
    if services.last_pulls:
        pulled.install(app, services.last_pulls)
    if services.proxied:
        proxied.install(app, services.proxied)
    if services.observer:
        observing.install(app, services.observer)


def _install_looking(app: Flask, services: Services) -> None:
    # Nothing of what only pages and extensions need is loaded where there are none.
    from registry.handlers.looking import install  # noqa: PLC0415

    install(app, services.repositories)


def _install_extensions(app: Flask) -> None:
    from registry.handlers import (  # noqa: PLC0415
        discovery,
        extension,
        extension_copies,
        extension_keys,
        maintenance,
    )

    for module in (discovery, extension, extension_copies, extension_keys, maintenance):
        app.register_blueprint(module.blueprint)


def _install_pages(app: Flask, services: Services) -> None:
    from registry.web.installing import install  # noqa: PLC0415

    install(app, services)


def _add_common_headers(app: Flask, configuration: Configuration) -> None:
    """Send on every answer what clients look for on every answer, errors included."""
    configured = [
        (name, value.encode().decode("latin-1"))  # the characters of PEP 3333 are bytes
        for name, values in configuration.http.headers.items()
        for value in values
    ]
    pages = configuration.ui.path if configuration.ui.enabled else None

    def add(response: Response) -> Response:
        path = current_request().path
        if pages and lies_at(path, pages):
            _add_to_page(response, configured)
            return response
        if path not in _OUTSIDE_OF_PREFIX:
            response.headers.add("Docker-Distribution-Api-Version", "registry/2.0")
        for name, value in configured:
            response.headers.add(name, value)
        return response

    app.after_request(add)
    if configuration.http.cors.origins:
        cors.install(app, configuration.http.cors, {name.lower() for name in configuration.http.headers}, pages)


def _add_to_page(response: Response, configured: Iterable[tuple[str, str]]) -> None:
    """Add what is `configured` and neither said by the page itself nor lets pages of other origins read it."""
    said = {name.lower() for name in response.headers.keys()}  # noqa: SIM118  to iterate over them gives pairs
    for name, value in configured:
        if name.lower() not in said and not name.lower().startswith(cors.PREFIX):
            response.headers.add(name, value)


class _Application(Application):
    def __init__(self, proxies: TrustedProxies) -> None:
        super().__init__("registry", static_folder=None)
        self._client = proxies.client

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, in whose environment REMOTE_ADDR is from now on the client's address, not the peer's."""
        environ[PEER_KEY] = environ.get("REMOTE_ADDR", "")
        environ["REMOTE_ADDR"] = self._client(environ)
        return self.wsgi_app(environ, start_response)

    def make_default_options_response(self) -> flask.Response:
        """Answer OPTIONS, which browsers ask without credentials, before any view and its access control."""
        response = super().make_default_options_response()
        response.status_code = HTTPStatus.NO_CONTENT
        return response


class _Prefixed:
    """The application below ``http.prefix``; only ``/`` and the probes are answered outside of it."""

    def __init__(self, wrapped: WSGIApplication, prefix: str) -> None:
        self._wrapped = wrapped
        self._prefix = "/" + prefix.strip("/")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if path.startswith(f"{self._prefix}/"):
            environ["SCRIPT_NAME"] = self._prefix
            environ["PATH_INFO"] = path.removeprefix(self._prefix)
        elif path not in _OUTSIDE_OF_PREFIX:
            environ["PATH_INFO"] = "/no-such-route"
        return self._wrapped(environ, start_response)
