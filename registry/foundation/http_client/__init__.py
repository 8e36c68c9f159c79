"""The one client of HTTP: requests to other servers, by one deadline each, over connections that are kept."""

from urllib3 import HTTPHeaderDict as Headers

from registry.foundation.http_client.client import HttpClient, Reply
from registry.foundation.http_client.errors import HttpError
from registry.foundation.http_client.locations import Location

__all__ = ["Headers", "HttpClient", "HttpError", "Location", "Reply"]
