"""Puts the pages into an application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.web import (
    compare,
    copying,
    deleting,
    document,
    home,
    keys,
    login,
    oidc,
    places,
    readme,
    referrers,
    search,
    static,
    storage,
    tagging,
)
from registry.web.site import EXTENSION, build_site

if TYPE_CHECKING:
    from flask import Flask

    from registry.services import Services

_MODULES: Final = (
    compare,
    copying,
    deleting,
    document,
    home,
    keys,
    login,
    oidc,
    places,
    readme,
    referrers,
    search,
    static,
    storage,
    tagging,
)
"""Each has a `blueprint`; the paths of its views are below that of the pages."""


def install(app: Flask, services: Services) -> None:
    """Serve the pages of `services` below ``ui.path``."""
    app.extensions[EXTENSION] = build_site(services)
    for module in _MODULES:
        app.register_blueprint(module.blueprint, url_prefix=services.configuration.ui.path)
