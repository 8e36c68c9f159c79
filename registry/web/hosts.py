"""What the names of images begin with in the commands that pages show."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import urlsplit

from registry.handlers.current import services
from registry.handlers.image_hosts import host_of_images
from registry.handlers.urls import api_url

UNKNOWN: Final = "HOST"
"""What stands there where the browser has named no host."""


class ImageHost(NamedTuple):
    """The host, with its port where clients need that, and whether there is TLS."""

    name: str
    tls: bool


def image_host() -> ImageHost:
    """Return ``ui.host``, or without it the host that the browser has asked.

    Where they differ the browser has come another way than clients do: these are taken to find TLS.
    """
    api = urlsplit(api_url())
    # http.host may have been given a password.
    asked = host_of_images(api.scheme, api.netloc.rpartition("@")[2])
    configured = services().configuration.ui.host
    return ImageHost(configured or asked or UNKNOWN, api.scheme == "https" or configured not in {"", asked})
