"""The composition root: configuration in, WSGI application out."""

from __future__ import annotations

import secrets
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import flask
from flask import Flask, request
from flask.sessions import NullSession, SessionInterface, SessionMixin

from registry.config.remote import Health
from registry.handlers import (
    base,
    blobs,
    catalog,
    cors,
    errors,
    manifests,
    observing,
    operations,
    referrers,
    tags,
    token,
    uploads,
)
from registry.handlers.context import EXTENSION, Services
from registry.handlers.response import Response
from registry.handlers.routing import Routing
from registry.health.board import Board
from registry.health.gate import LIVENESS_PATH, READINESS_PATH, Gate
from registry.plugins import load_access, load_driver, load_middleware
from registry.redis.loading import load_descriptors
from registry.storage.descriptors import InMemoryDescriptors
from registry.storage.measured import MeasuredCache, MeasuredDescriptors, MeasuredDriver
from registry.storage.repository import Repositories
from registry.storage.tokens import UploadTokens
from registry.storage.validation import ValidationPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Request
    from flask import Response as FlaskResponse
    from werkzeug.routing import MapAdapter

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.observation.observer import Observer
    from registry.redis.descriptors import RedisDescriptors
    from registry.storage.descriptors import DescriptorCache

_BLUEPRINTS = (base, blobs, catalog, manifests, operations, referrers, tags, uploads)
_SECRET_BYTES = 32
_OUTSIDE_OF_PREFIX = {"/", LIVENESS_PATH, READINESS_PATH}


def create_app(
    configuration: Configuration,
    driver: StorageDriver | None = None,
    board: Board | None = None,
    observer: Observer | None = None,
) -> Flask:
    """Build the application and all state of this process; call it after the fork.

    Tests may give the `driver`; without one it is loaded by name. The `board` is where the server's processes
    share what they know of its health; an `observer` is told of every request and storage call.

    Raises:
        registry.plugins.PluginError: the driver, a middleware or the access controller cannot be had.
    """
    services = build_services(configuration, driver, board, observer)
    app = _Application("registry", static_folder=None)
    app.response_class = Response
    app.session_interface = _NoSessions()
    app.extensions[EXTENSION] = services
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    for module in _BLUEPRINTS:
        app.register_blueprint(module.blueprint)
    if services.access.token_service:
        app.register_blueprint(token.blueprint, url_prefix=services.access.token_service.path)
    errors.register(app, services)
    if observer:
        observing.install(app, observer)
    _add_common_headers(app, configuration)
    if configuration.http.prefix.strip("/"):
        app.wsgi_app = _Prefixed(app.wsgi_app, configuration.http.prefix)  # type: ignore[method-assign]
    if configuration.health != Health():
        app.wsgi_app = Gate(app.wsgi_app, services.board)  # type: ignore[method-assign]
    return app


def build_services(
    configuration: Configuration,
    driver: StorageDriver | None = None,
    board: Board | None = None,
    observer: Observer | None = None,
) -> Services:
    """Build what the application, and commands that work on the storage, stand on."""
    storage, auth = configuration.storage, configuration.auth
    driver = driver or load_driver(storage.driver, storage.parameters)
    driver = load_middleware(driver, configuration.middleware.get("storage", ()))
    if observer:
        driver = MeasuredDriver(driver, observer)
    # The server makes one secret before it forks; without a server there is but one process.
    secret = configuration.http.secret.encode() or secrets.token_bytes(_SECRET_BYTES)
    redis = load_descriptors(configuration, observer)
    descriptors = _descriptors(configuration, redis)
    if descriptors and observer:
        descriptors = MeasuredDescriptors(descriptors, observer)
    return Services(
        configuration=configuration,
        driver=driver,
        repositories=Repositories(driver, MeasuredCache(observer) if observer else None, descriptors),
        access=load_access(auth.name, auth.parameters) if auth else load_access("none", {}),
        tokens=UploadTokens(secret),
        validation=_validation(configuration),
        board=board or Board(),
        redis=redis,
    )


def _descriptors(configuration: Configuration, redis: RedisDescriptors | None) -> DescriptorCache | None:
    section = configuration.storage.cache
    return InMemoryDescriptors(section.blobdescriptorsize) if section.blobdescriptor == "inmemory" else redis


def _validation(configuration: Configuration) -> ValidationPolicy:
    section = configuration.validation
    urls, indexes = section.manifests.urls, section.manifests.indexes
    return ValidationPolicy(
        enabled=section.enabled,
        sparse=section.manifests.sparse,
        allowed_urls=urls.allow,
        denied_urls=urls.deny,
        platforms=indexes.platforms,
        platform_list=frozenset((each.architecture, each.os) for each in indexes.platformlist),
        classes=frozenset(configuration.policy.repository.classes),
    )


def _add_common_headers(app: Flask, configuration: Configuration) -> None:
    """Send on every answer what clients look for on every answer, errors included."""
    configured = [(name, value) for name, values in configuration.http.headers.items() for value in values]

    def add(response: Response) -> Response:
        if request.path not in _OUTSIDE_OF_PREFIX:
            response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        for name, value in configured:
            response.headers.add(name, value)
        return response

    app.after_request(add)
    if configuration.http.cors.origins:
        cors.install(app, configuration.http.cors, {name.lower() for name in configuration.http.headers})


class _Application(Flask):
    @cached_property
    def _routing(self) -> Routing:
        return Routing(self.url_map)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func`: no view is a coroutine, and Flask would look several times in each request."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what finds the view; host and scheme, which Flask would look at, say nothing about it."""
        return self._routing.adapter(request.environ) if request else super().create_url_adapter(request)

    def make_default_options_response(self) -> flask.Response:
        """Answer OPTIONS, which browsers ask without credentials, before any view and its access control."""
        response = super().make_default_options_response()
        response.status_code = HTTPStatus.NO_CONTENT
        return response


class _NoSessions(SessionInterface):
    """A registry keeps none; Flask would look for one in each request and for changes in each response."""

    _none: Final = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        """Return the session that is none."""
        del app, request
        return self._none

    def save_session(self, app: Flask, session: SessionMixin, response: FlaskResponse) -> None:
        """Save nothing: never called for a session that is none."""


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
