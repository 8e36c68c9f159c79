"""The services of the application that handles the request at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import current_app

if TYPE_CHECKING:
    from registry.services import Services

EXTENSION: Final = "registry"
"""Under which name a Flask application has its services among its extensions."""


def services() -> Services:
    """Return the services of the current application."""
    found: Services = current_app.extensions[EXTENSION]
    return found
