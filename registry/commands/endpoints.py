"""What the commands of ``registry notifications`` share: endpoints by their names, and how events are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from registry.foundation import guessing, times
from registry.foundation.errors import ParameterError
from registry.foundation.printable import printable

if TYPE_CHECKING:
    from registry.config import Configuration
    from registry.config.events import Endpoint
    from registry.notifications.events import Event
    from registry.notifications.sending import Sender

_SHORT_DIGEST = len("sha256:") + 12

endpoint_option = click.option("--endpoint", metavar="NAME", help="Of this endpoint only.")


def endpoint_called(configuration: Configuration, name: str) -> Endpoint:
    """Return the endpoint of that name, if it is one that events are sent to.

    Raises:
        click.ClickException: there is none, or it is disabled.
    """
    found = require_known(configuration, name)
    if found.disabled:
        raise click.ClickException(f"{name} is disabled: take disabled: true out of its section first")
    return found


def require_known(configuration: Configuration, name: str) -> Endpoint:
    """Return the endpoint of that name.

    Raises:
        click.ClickException: there is none.
    """
    found = {each.name: each for each in configuration.notifications.endpoints}
    if name not in found:
        known = f"there are {', '.join(found)}" if found else "notifications.endpoints has none"
        raise click.ClickException(f"no endpoint is called {name}: {known}{guessing.question(name, found)}")
    return found[name]


def open_sender(endpoint: Endpoint) -> Sender:
    """Return what sends events to `endpoint`.

    Raises:
        click.ClickException: its ``cafile`` cannot be used.
    """
    from registry.notifications.sending import Sender  # noqa: PLC0415  the client of HTTP, where it is needed

    try:
        return Sender(endpoint)
    except ParameterError as error:
        raise click.ClickException(f"{endpoint.name}: {error}") from error


def refuse_read_only(configuration: Configuration) -> None:
    """Return if dead letters may be deleted.

    Raises:
        click.ClickException: they may not.
    """
    if configuration.storage.maintenance.readonly.enabled:
        raise click.ClickException("storage.maintenance.readonly is on: nothing is deleted")


def described(event: Event) -> str:
    """Return in words what has happened."""
    if event.tag:
        subject = f"{event.repository}:{event.tag}"
    elif event.digest:
        subject = f"{event.repository}@{event.digest[:_SHORT_DIGEST]}"
    else:
        subject = event.repository
    return printable(f"{event.action} {subject}")


def event_row(event: Event) -> dict[str, Any]:
    """Return an event for scripts."""
    return {
        "id": event.id,
        "time": times.spell(event.time_ns),
        "action": event.action,
        "kind": event.kind,
        "repository": event.repository,
        "tag": event.tag or None,
        "digest": event.digest or None,
    }
