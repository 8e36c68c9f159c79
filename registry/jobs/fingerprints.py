"""Fingerprints of what the hosts of a cluster should have in common, which tell no secret.

Different versions of the registry compare them: what goes into one is not changed.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.config.events import Audit, Endpoint, Notifications


def of_secret(secret: str) -> str:
    """Return what differs between secrets, and is too slow to compute for the secret to be guessed from it."""
    salt = b"registry cluster"
    return hashlib.scrypt(secret.encode(), salt=salt, n=2**14, r=8, p=1, dklen=16).hex()


def of_notifications(section: Notifications) -> str:
    """Return what differs between sections whose endpoints differ in their names, in where they are, or what they want.

    The order of endpoints does not matter, nor do those that are disabled.
    """
    endpoints = sorted((_endpoint(each) for each in section.endpoints if not each.disabled), key=str)
    shared = [section.events.includereferences, section.journal.keep_seconds, section.journal.maxevents]
    return _hashed([endpoints, shared if endpoints else []])


def _endpoint(endpoint: Endpoint) -> Mapping[str, Any]:
    """Return what there is to know of `endpoint` without its secrets; one may be in the path of its URL."""
    url = urlsplit(endpoint.url)
    return {
        "name": endpoint.name,
        "at": [url.scheme, url.hostname, url.port],
        "format": endpoint.format,
        "mediatypes": sorted({*endpoint.ignoredmediatypes, *endpoint.ignore.mediatypes}),
        "actions": sorted(set(endpoint.ignore.actions)),
        "repositories": sorted(endpoint.repositories),
        "exclude": sorted(endpoint.exclude),
    }


def of_audit(section: Audit) -> str:
    """Return what differs between audit logs that record, keep or tell otherwise; those that are off are equal."""
    if not section.enabled:
        return _hashed([])
    return _hashed([section.keep_seconds, section.maxsize, section.pulls, section.stdout, section.syslog])


def _hashed(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
