"""What the endpoints of ``notifications`` may be. One that is disabled may be anything, as for the Go registry."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from registry.config.errors import ConfigurationError, Findings
from registry.foundation import guessing
from registry.foundation.globs import Glob
from registry.foundation.redaction import is_secret_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.config.events import Endpoint, Notifications

_ACTIONS: Final = ("push", "pull", "mount", "delete")
_SECRET_PREFIX: Final = "whsec_"  # noqa: S105  what comes before a secret
_SECRET_BYTES: Final = range(24, 64 + 1)
"""How long a secret is (Standard Webhooks, "Signature scheme")."""


def named(section: Notifications) -> Notifications:
    """Return the section with the host of its URL as the name of each endpoint that has none.

    The Go registry wants no name. Ours is what the progress of an endpoint is stored under.
    """
    endpoints = (each if each.name else replace(each, name=_host(each.url)) for each in section.endpoints)
    return replace(section, endpoints=tuple(endpoints))


def refuse_wrong_endpoints(section: Notifications) -> None:
    """Return if every endpoint of the `section`, in which each has a name, can be sent events.

    Raises:
        ConfigurationError: one cannot. No URL is shown, as it may hold a secret that nothing tells from other text.
    """
    findings = Findings()
    owners: dict[str, int] = {}
    for index, endpoint in _enabled(section):
        key = f"notifications.endpoints[{index}]"
        for check in (_check_url, _check_secret, _check_patterns):
            with findings.gathered():
                check(endpoint, key)
        with findings.gathered():
            _check_name(endpoint, key, owners.setdefault(endpoint.name, index), index)
    findings.conclude()


def warn_endpoints(section: Notifications) -> Iterator[str]:
    """Yield a warning for each key of an endpoint that can hardly be meant."""
    for index, endpoint in _enabled(section):
        key = f"notifications.endpoints[{index}]"
        for position, action in enumerate(endpoint.ignore.actions):
            if action not in _ACTIONS:
                known = f"unknown, known are {', '.join(_ACTIONS)}: ignored{guessing.question(action, _ACTIONS)}"
                yield f"{key}.ignore.actions[{position}]: {known}"
        for where, text in _patterns(endpoint, key):
            if ":" in text or text != text.lower():
                yield f"{where}: does not match any repository: a name has no capital letters and no tag"
        if endpoint.maxage_seconds < endpoint.backoff_seconds:
            yield f"{key}.maxage: is less than backoff, so nothing is sent again once threshold attempts have failed"
        if endpoint.maxbackoff_seconds < endpoint.backoff_seconds:
            yield f"{key}.maxbackoff: is less than backoff, and is the pause from the first one on"
        yield from _warn_of_readable_secrets(endpoint, key)


def _enabled(section: Notifications) -> Iterator[tuple[int, Endpoint]]:
    return ((index, endpoint) for index, endpoint in enumerate(section.endpoints) if not endpoint.disabled)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _check_url(endpoint: Endpoint, key: str) -> None:
    if not endpoint.url:
        raise ConfigurationError(f"{key}.url", "missing: write the URL that events are sent to, or disabled: true")
    if not endpoint.url.isprintable() or " " in endpoint.url:
        raise ConfigurationError(f"{key}.url", "must not hold spaces or control characters; write them as %20")
    try:
        parts = urlsplit(endpoint.url)
    except ValueError as error:
        raise ConfigurationError(f"{key}.url", f"must be a URL such as https://ci.example/hook: {error}") from None
    if parts.scheme not in {"http", "https"}:
        raise ConfigurationError(f"{key}.url", "must begin with http:// or https://, as https://ci.example/hook does")
    if not parts.hostname:
        raise ConfigurationError(f"{key}.url", "has no host; write one, as in https://ci.example/hook")
    try:
        has_port = parts.port != 0
    except ValueError:
        has_port = False
    if not has_port:
        raise ConfigurationError(f"{key}.url", "its port must be a number from 1 to 65535")


def _check_secret(endpoint: Endpoint, key: str) -> None:
    secret = endpoint.secret
    if not secret:
        return
    try:
        size = len(base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not secret.startswith(_SECRET_PREFIX) or size not in _SECRET_BYTES:
        raise ConfigurationError(
            f"{key}.secret",
            f"must be {_SECRET_PREFIX} and the base64 of {_SECRET_BYTES[0]} to {_SECRET_BYTES[-1]} bytes;"
            f' make one: echo "{_SECRET_PREFIX}$(openssl rand -base64 32)"',
        )


def _check_patterns(endpoint: Endpoint, key: str) -> None:
    findings = Findings()
    for where, text in _patterns(endpoint, key):
        with findings.gathered():
            try:
                Glob.parse(text)
            except ValueError as error:
                raise ConfigurationError(where, f"{error}; write, for example, team/**") from None
    findings.conclude()


def _patterns(endpoint: Endpoint, key: str) -> Iterator[tuple[str, str]]:
    for name, texts in (("repositories", endpoint.repositories), ("exclude", endpoint.exclude)):
        yield from ((f"{key}.{name}[{position}]", text) for position, text in enumerate(texts))


def _check_name(endpoint: Endpoint, key: str, owner: int, index: int) -> None:
    if not endpoint.name.isprintable():
        raise ConfigurationError(f"{key}.name", "must not hold control characters")
    if owner != index and endpoint.name:
        raise ConfigurationError(
            f"{key}.name",
            f"{endpoint.name} is what endpoints[{owner}] is called as well; give each a name of its own"
            " (without one it is the host of the URL)",
        )


def _warn_of_readable_secrets(endpoint: Endpoint, key: str) -> Iterator[str]:
    """Yield a warning for each secret that anybody on the way to the endpoint could read."""
    parts = urlsplit(endpoint.url)
    if parts.scheme != "http" or _is_this_machine(parts.hostname or ""):
        return
    advice = "goes over the network unencrypted, as url is http and not https"
    for name in endpoint.headers:
        if is_secret_name(name):
            # Not "headers.NAME: ...": what follows such a name and a colon is redacted in the log.
            yield f"{key}.headers: {name} {advice}"
    if parts.password is not None:
        yield f"{key}.url: its password {advice}"


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
