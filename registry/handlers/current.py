"""The services of the application that handles the request at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import current_app

if TYPE_CHECKING:
    from registry.services import Services

EXTENSION: Final = "registry"
"""Under which name a Flask application has its services among its extensions."""

HAND_OVER_KEY: Final = "registry.hand_over"
"""Where the WSGI environment of a request has a function, if the server lets another thread take its place.

It is called before what may take long, without arguments.
"""


def services() -> Services:
    """Return the services of the current application."""
    found: Services = current_app.extensions[EXTENSION]
    return found
