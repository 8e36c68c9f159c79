"""Which changes each endpoint wants to be told of."""

from __future__ import annotations

import logging
import socket
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from registry.foundation.globs import Glob
from registry.foundation.redaction import OMITTED
from registry.journal.entry import PULL

if TYPE_CHECKING:
    from registry.config.events import Endpoint, Notifications
    from registry.journal.change import Change
    from registry.journal.entry import Entry

_REMEMBERED: Final = 1000
"""Answers that are remembered: patterns cost more than the rest of what is done for a pull."""
_log = logging.getLogger(__name__)


class EndpointConsumer:
    """An endpoint as a consumer of the journal, where it is called `name`."""

    wants_previous = False

    def __init__(self, endpoint: Endpoint, *, wants_references: bool) -> None:
        self.endpoint = endpoint
        self.wants_references = wants_references
        self._ignored_media_types = frozenset((*endpoint.ignore.mediatypes, *endpoint.ignoredmediatypes))
        self._ignored_actions = frozenset(endpoint.ignore.actions)
        self._repositories = [Glob.parse(each) for each in endpoint.repositories]
        self._excluded = [Glob.parse(each) for each in endpoint.exclude]
        self.wants_event = lru_cache(_REMEMBERED)(self._wants_event)
        """Tells whether the endpoint is to be told of what has this action, media type and repository in an event."""

    @property
    def name(self) -> str:
        """The name of the endpoint."""
        return self.endpoint.name

    @property
    def wants_pulls(self) -> bool:
        """Whether it is to be told of any pull."""
        return PULL not in self._ignored_actions

    def wants(self, change: Change) -> bool:
        """Tell whether the endpoint is to be told of this."""
        return self.wants_event(change.action, change.media_type, change.repository)

    def wants_entry(self, entry: Entry) -> bool:
        """Tell whether the endpoint is to be told of an entry of the journal that names it, as it is configured now."""
        return self.wants_event(entry.action, entry.media_type, entry.repository)

    def _wants_event(self, action: str, media_type: str, repository: str) -> bool:
        if action in self._ignored_actions or media_type in self._ignored_media_types:
            return False
        if self._repositories and not any(glob.matches(repository) for glob in self._repositories):
            return False
        return not any(glob.matches(repository) for glob in self._excluded)


def consumers(section: Notifications) -> list[EndpointConsumer]:
    """Return the endpoints that are not disabled."""
    references = section.events.includereferences
    return [
        EndpointConsumer(endpoint, wants_references=references)
        for endpoint in section.endpoints
        if not endpoint.disabled
    ]


def announce(section: Notifications) -> None:
    """Say which endpoints there are, as the Go registry does; without what may be secret in their URLs."""
    for endpoint in section.endpoints:
        if endpoint.disabled:
            _log.info("endpoint %s disabled, skipping", endpoint.name)
        else:
            _log.info("configuring endpoint %s (%s)", endpoint.name, shown_url(endpoint.url))


def shown_url(url: str) -> str:
    """Return scheme, host and port of a URL. All else may be secret: the path is, for chat services."""
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_place = False
    if not has_place:
        return OMITTED if url else ""
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return f"{place}/{OMITTED}" if parts.path.strip("/") or parts.query or parts.fragment else place


def source_addr(addr: str) -> str:
    """Return what events call the address of this process: the name of the host, and the port of ``http.addr``."""
    return f"{socket.gethostname()}:{addr.rpartition(':')[2]}"
