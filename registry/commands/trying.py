"""``registry notifications test``: does an endpoint take an event?"""

from __future__ import annotations

import getpass
import json
import sys
import time
import uuid
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import click

from registry import __version__
from registry.commands.endpoints import endpoint_called, open_sender
from registry.commands.layout import Command, examples, json_option
from registry.commands.source import config_option
from registry.foundation import durations
from registry.foundation.printable import printable
from registry.foundation.redaction import OMITTED, is_secret_name, redacted, redacted_setting
from registry.journal.entry import MANIFEST, PUSH, Entry, Instance, Origin
from registry.oci import media_types
from registry.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.config import Configuration
    from registry.config.events import Endpoint
    from registry.notifications.sending import Outcome

    LoadConfiguration = Callable[[str | None], Configuration]

REPOSITORY: Final = "registry-test/notifications"
_MANIFEST: Final = b"{}"
_EXCERPT: Final = 400
"""Characters of what an endpoint says that are shown."""
_LEAST_SECRET: Final = 8
"""Characters of a part of the URL that may be a secret, and is not shown."""
_MILLISECONDS: Final = 1000
_ADVICE: Final = {
    400: "does it take events of this format? format is docker or cloudevents",
    401: "look at headers: Authorization, and what else it wants to know the registry by",
    403: "look at headers: Authorization, and what else it wants to know the registry by",
    404: "look at the path of url; a redirect by 301 or 302 makes a GET of the event: is there one?",
    405: "look at the path of url; a redirect by 301 or 302 makes a GET of the event: is there one?",
    413: "set batch: 1",
    415: "does it take events of this format? format is docker or cloudevents",
    422: "does it take events of this format? format is docker or cloudevents",
}
"""What to change, by the status of the answer."""


@click.command("test", cls=Command, epilog=examples("registry notifications test ci"))
@click.argument("endpoint")
@json_option
@config_option
@click.pass_obj
def test_command(load: LoadConfiguration, config: str | None, endpoint: str, *, in_json: bool) -> None:
    """Send ENDPOINT an event, and show what it says.

    The event is the push of a manifest to registry-test/notifications:test, which does not exist. The exit status is
    1 if the endpoint does not take it.
    """
    from registry.notifications.events import events_of  # noqa: PLC0415  other commands need no client

    configuration = load(config)
    section = endpoint_called(configuration, endpoint)
    with closing(open_sender(section)) as sender:
        outcome = sender.send(list(events_of(_entry(configuration), time.time_ns())))
    excerpt = _excerpt(section, outcome)
    if in_json:
        told = {"name": endpoint, "delivered": outcome.delivered, "status": outcome.status or None}
        told |= {"error": outcome.error or None, "seconds": round(outcome.seconds, 3), "said": excerpt}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        after = f"after {outcome.seconds * _MILLISECONDS:.0f} ms"
        click.echo(
            f"{printable(endpoint)} {'takes events' if outcome.delivered else 'does not take events'}: ", nl=False
        )
        click.echo(f"{printable(redacted_setting(outcome.error or outcome.status))}, {after}")
        if excerpt:
            click.echo(f"it says: {excerpt}")
        if not outcome.delivered:
            click.echo(f"-> {_advice(section, outcome)}")
    sys.exit(0 if outcome.delivered else 1)


def _entry(configuration: Configuration) -> Entry:
    """Return the entry of a push that nobody has made."""
    from registry.notifications.consumers import source_addr  # noqa: PLC0415  as above

    user = ""
    with suppress(OSError, KeyError):  # a container may run as a user without a name
        user = getpass.getuser()
    http = configuration.http
    host = http.host.rstrip("/") or f"http://{source_addr(http.addr)}"
    origin = Origin(
        actor=user,
        host=urlsplit(host).netloc,
        method="PUT",
        user_agent=f"registry/{__version__} (notifications test)",
        request_id=str(uuid.uuid4()),
        base_url=host,
    )
    return Entry(
        id=str(uuid.uuid4()),
        action=PUSH,
        kind=MANIFEST,
        repository=REPOSITORY,
        digest=str(Digest.of(_MANIFEST)),
        tags=["test"],
        media_type=media_types.OCI_MANIFEST,
        size=len(_MANIFEST),
        origin=origin,
        instance=Instance(source_addr(http.addr), str(uuid.uuid4())),
    )


def _excerpt(endpoint: Endpoint, outcome: Outcome) -> str:
    """Return the beginning of the answer as one line, without the secrets of `endpoint`, which it may repeat."""
    text = " ".join(outcome.excerpt.decode("utf-8", "replace").split())
    secrets = [value for name, values in endpoint.headers.items() if is_secret_name(name) for value in values]
    parts = urlsplit(endpoint.url)
    secrets += [part for part in (*parts.path.split("/"), parts.query) if len(part) >= _LEAST_SECRET]
    for secret in filter(None, [*secrets, parts.password]):
        text = text.replace(secret, OMITTED)
    text = printable(redacted(text))
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}..."


def _advice(endpoint: Endpoint, outcome: Outcome) -> str:
    """Return what to change."""
    if outcome.status:
        return _ADVICE.get(int(outcome.status.split()[0]), "its own log says why")
    if "certificate" in outcome.error:
        return "name the authority that has signed it in cafile"
    if "timed out" in outcome.error:
        return f"if it is only slow, raise timeout, which is {durations.spell(endpoint.timeout_seconds)}"
    return "look at url: is it right, and can this machine reach it?"
