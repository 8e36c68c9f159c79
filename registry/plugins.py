"""Storage drivers, middleware and access controllers, found by the name that the configuration gives them.

They are entry points of the groups ``registry.drivers``, ``registry.middleware`` and ``registry.access``, so another
distribution adds one by declaring it. An SDK that one of them needs is imported here and not before.
"""

from __future__ import annotations

import logging
from functools import partial
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, TypeVar

from registry.config.errors import ConfigurationError
from registry.config.examples import example
from registry.foundation import guessing
from registry.foundation.errors import ParameterError
from registry.foundation.extras import installing
from registry.foundation.parameters import Section

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.metadata import EntryPoint

    from auth.base import AccessController
    from drivers.base import StorageDriver
    from drivers.middleware.base import Middleware as StorageMiddleware
    from registry.config.values import Middleware

_DRIVERS = "registry.drivers"
_MIDDLEWARE = "registry.middleware"
_CONTROLLERS = "registry.access"

_WITHDRAWN = {
    "swift": "use s3 with Swift's S3 API, or filesystem",
    "oss": "use s3 with the S3-compatible endpoint of OSS as regionendpoint",
}
"""Drivers of registry:2 that registry:3 has dropped, and what takes their place."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


class PluginError(ConfigurationError):
    """The configured plugin cannot be had; the text is one line that names the section and what to change."""

    path: str = ""
    """Leads to what is wrong within the section."""

    @property
    def key(self) -> str:
        """The section, and what is wrong in it."""
        return f"{self.where}.{self.path}" if self.path else self.where


def load_driver(name: str, parameters: Mapping[str, object]) -> StorageDriver:
    """Return the storage driver called `name`, built from its section of the configuration.

    A parameter that the driver has not asked for is ignored with a warning, as an unknown key anywhere is.

    Raises:
        PluginError: there is none, what it needs is not installed, or a parameter is wrong.
    """
    section = f"storage.{name}"
    found = entry_points(group=_DRIVERS, name=name)
    if not found and name in _WITHDRAWN:
        raise PluginError(section, f"this driver is gone since registry:3; {_WITHDRAWN[name]}")
    driver: type[StorageDriver] = _load(_DRIVERS, name, section)
    return _built(driver.from_parameters, parameters, section)


def load_middleware(driver: StorageDriver, entries: Sequence[Middleware]) -> StorageDriver:
    """Return `driver` with the middleware of the section ``middleware.storage`` before it, the first one next to it.

    Raises:
        PluginError: there is none of that name, or an option is wrong.
    """
    for index, entry in enumerate(entries):
        if not entry.disabled:
            section = f"middleware.storage[{index}]"
            middleware: type[StorageMiddleware] = _load(_MIDDLEWARE, entry.name, f"{section}.name")
            driver = _built(partial(middleware.from_options, driver), entry.options, f"{section}.options")
    return driver


def _built(build: Callable[[Section], T], parameters: Mapping[str, object], section: str) -> T:
    watched = Section(parameters)
    try:
        built = build(watched)
    except ParameterError as error:
        refusal = PluginError(section, str(error))
        refusal.path = error.path
        raise refusal from error
    for warning in watched.warnings():
        _log.warning("%s.%s", section, warning)
    return built


def load_access(name: str, parameters: Mapping[str, object]) -> AccessController:
    """Return the access controller called `name`, built from its section of the configuration.

    A parameter that it has not asked for is ignored with a warning.

    Raises:
        PluginError: there is none, what it needs is not installed, or a parameter is wrong.
    """
    section = f"auth.{name}"
    controller: type[AccessController] = _load(_CONTROLLERS, name, section)
    return _built(controller.from_parameters, parameters, section)


def examine_access(name: str, parameters: Mapping[str, object]) -> AccessController:
    """Return the access controller as load_access() does, but make no file: it is only to be looked at.

    Raises:
        PluginError: as load_access().
    """
    section = f"auth.{name}"
    controller: type[AccessController] = _load(_CONTROLLERS, name, section)
    return _built(controller.examined, parameters, section)


def _load(group: str, name: str, section: str) -> Any:
    known = entry_points(group=group)
    if name not in known.names:
        hint = guessing.question(name, known.names) or example(section.partition(".")[0])
        raise PluginError(section, f"unknown, must be one of {', '.join(sorted(known.names))}{hint}")
    plugin = known[name]
    try:
        return plugin.load()
    except ImportError as error:
        raise PluginError(section, f"{error}; try: {_installing(plugin)}") from error


def _installing(plugin: EntryPoint) -> str:
    """Return how to install what `plugin` needs: by convention the extra is called as its package is."""
    extra = plugin.module.removesuffix(".driver").rpartition(".")[2]
    return installing(extra, plugin.dist.name) if plugin.dist else installing(extra)
