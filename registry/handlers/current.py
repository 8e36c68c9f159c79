"""The services of the application that handles the request at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from registry.handlers.flask_internals import current_app, current_request

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from registry.proxy.routing import Place
    from registry.services import Services

EXTENSION: Final = "registry"
"""Under which name a Flask application has its services among its extensions."""

HAND_OVER_KEY: Final = "registry.hand_over"
"""Where the WSGI environment of a request has a function, if the server lets another thread take its place.

It is called before what may take long, without arguments.
"""

PEER_KEY: Final = "registry.peer"
"""Where the WSGI environment has the address of who has connected: REMOTE_ADDR is that of the client."""

PARKING_KEY: Final = "registry.parking"
"""Where the WSGI environment of a request has a Parking, if the server lets threads wait that do not work."""

PLACE_KEY: Final = "registry.place"
"""Where the WSGI environment has the Place that the request has opened, in a registry that caches others."""

WARNINGS_KEY: Final = "registry.warnings"
"""Where the WSGI environment has the texts of which the client is warned with the answer."""


class Parking(Protocol):
    """What lets the thread of a request wait for what others do, without being one of those that work."""

    def parked(self, hand_over: Callable[[], None]) -> AbstractContextManager[None]:
        """Return the block to wait in, before which `hand_over` is called; it may be entered again and again.

        Entering it raises UpstreamBusyError where too many wait.
        """


def services() -> Services:
    """Return the services of the current application."""
    found: Services = current_app().extensions[EXTENSION]
    return found


def opened() -> Place | None:
    """Return the repository that this request has opened, as it was found, in a registry that caches others."""
    place: Place | None = current_request().environ.get(PLACE_KEY)
    return place
