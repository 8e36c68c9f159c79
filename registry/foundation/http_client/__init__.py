"""The one client of HTTP: requests to other servers, by one deadline each, over connections that are kept."""

from registry.foundation.http_client.answers import Reply, Stream
from registry.foundation.http_client.client import USER_AGENT, HttpClient
from registry.foundation.http_client.destinations import Address
from registry.foundation.http_client.errors import HttpError
from registry.foundation.http_client.heads import Headers
from registry.foundation.http_client.locations import Location
from registry.foundation.http_client.reach import Reach
from registry.foundation.http_client.trust import Identity

__all__ = [
    "USER_AGENT",
    "Address",
    "Headers",
    "HttpClient",
    "HttpError",
    "Identity",
    "Location",
    "Reach",
    "Reply",
    "Stream",
]
