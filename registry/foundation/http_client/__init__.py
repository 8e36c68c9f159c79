"""The one client of HTTP: requests to other servers, by one deadline each, over connections that are kept."""

from registry.foundation.http_client.client import HttpClient, Reply
from registry.foundation.http_client.errors import HttpError

__all__ = ["HttpClient", "HttpError", "Reply"]
