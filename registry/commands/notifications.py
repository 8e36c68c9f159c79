"""``registry notifications``: how the endpoints stand, what they have not taken, and whether they take anything."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from registry.commands.endpoints import described, endpoint_option, event_row, refuse_read_only, require_known
from registry.commands.layout import Group, examples, json_option
from registry.commands.moments import Moment
from registry.commands.printing import print_json_array
from registry.commands.redelivery import replay_command, retry_command
from registry.commands.source import config_option
from registry.commands.trying import test_command
from registry.foundation import durations, times
from registry.foundation.printable import printable
from registry.foundation.times import rfc3339
from registry.services import open_existing_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.config import Configuration
    from registry.notifications.dead import DeadLetter, DeadLetters
    from registry.notifications.overview import Overview

    LoadConfiguration = Callable[[str | None], Configuration]


@click.group("notifications", cls=Group)
def notifications_commands() -> None:
    """Look after webhooks: what waits for the endpoints of notifications, and what they have not taken."""


@notifications_commands.command(
    "list", epilog=examples("registry notifications list", "registry notifications list --dead --endpoint ci")
)
@click.option("--dead", is_flag=True, help="List the dead letters: events that were given up.")
@endpoint_option
@json_option
@config_option
@click.pass_obj
def list_command(
    load: LoadConfiguration, config: str | None, endpoint: str | None, *, dead: bool, in_json: bool
) -> None:
    """List the endpoints: how many events wait for each, since when, and what it said last.

    What is being delivered now may be listed as waiting still.
    """
    configuration = load(config)
    if dead:
        _list_dead(configuration, endpoint, in_json=in_json)
        return
    from registry.notifications.overview import overviews  # noqa: PLC0415  other commands need none of it

    driver = open_existing_storage(configuration)
    found = [each for each in overviews(configuration.notifications, driver) if endpoint in {None, each.name}]
    if endpoint and not found:
        require_known(configuration, endpoint)
    if in_json:
        print_json_array(map(_row, found))
    elif found:
        _print_overviews(found)
    else:
        click.echo("notifications.endpoints has none", err=True)


def _row(overview: Overview) -> dict[str, Any]:
    standing = overview.standing
    return {
        "name": overview.name,
        "url": overview.url,
        "disabled": overview.is_disabled,
        "waiting": overview.waiting,
        "oldest": times.spell(overview.oldest_ns) if overview.oldest_ns else None,
        "dead": overview.dead,
        "lastSuccess": _time(standing.last_success),
        "lastFailure": _time(standing.last_failure),
        "lastError": standing.last_error or None,
        "failingSince": _time(standing.failing_since),
    }


def _time(seconds: float) -> str | None:
    return rfc3339(seconds) if seconds else None


def _print_overviews(found: Sequence[Overview]) -> None:
    width = max(len("ENDPOINT"), *(len(printable(each.name)) for each in found))
    click.echo(f"{'ENDPOINT':{width}}  {'WAITING':>7}  {'OLDEST':>9}  {'DEAD':>6}  {'LAST TAKEN (UTC)':16}  URL")
    for each in found:
        age = durations.spell(max(0, time.time_ns() - each.oldest_ns) // 10**9) if each.oldest_ns else "-"
        taken = (_time(each.standing.last_success) or "-")[:16].replace("T", " ")
        numbers = f"{each.waiting:>7}  {age:>9}  {each.dead:>6}  {taken:16}"
        url = printable(each.url) or ("-" if each.is_disabled else "not configured any more")
        click.echo(f"{printable(each.name):{width}}  {numbers}  {url}")
        for note in _notes(each):
            click.echo(f"{'':{width}}  {note}")


def _notes(overview: Overview) -> Iterator[str]:
    standing = overview.standing
    if overview.is_disabled:
        yield "disabled: nothing is sent"
    elif standing.failing_since:
        yield printable(f"fails since {_time(standing.failing_since)}: {standing.last_error}")
    if overview.dead:
        yield "registry notifications list --dead tells why events were given up"


def _list_dead(configuration: Configuration, endpoint: str | None, *, in_json: bool) -> None:
    letters = _open_letters(configuration)
    found = (letter for name in _names(configuration, letters, endpoint) for letter in letters.of(name))
    if in_json:
        print_json_array(map(_letter_row, found))
        return
    for letter in found:
        event = letter.event
        told = f"{letter.endpoint}: {described(event)}: {letter.error} ({letter.tries} attempts)"
        click.echo(f"{letter.id}  {times.spell(event.time_ns)[:16].replace('T', ' ')}  {printable(told)}")


def _letter_row(letter: DeadLetter) -> dict[str, Any]:
    return {
        **event_row(letter.event),
        "endpoint": letter.endpoint,
        "status": letter.status or None,
        "error": letter.error,
        "attempts": letter.tries,
        "givenUp": times.spell(letter.buried_ns),
    }


@notifications_commands.command("purge", epilog=examples("registry notifications purge --before 7d"))
@click.option(
    "--before",
    type=Moment(),
    required=True,
    metavar="TIME",
    help="Those of events before this: so long ago (7d), or a time.",
)
@endpoint_option
@json_option
@config_option
@click.pass_obj
def purge_command(
    load: LoadConfiguration, config: str | None, before: int, endpoint: str | None, *, in_json: bool
) -> None:
    """Delete dead letters."""
    configuration = load(config)
    refuse_read_only(configuration)
    letters = _open_letters(configuration)
    purged = sum(letters.purge(name, before) for name in list(_names(configuration, letters, endpoint)))
    click.echo(json.dumps({"deleted": purged}) if in_json else f"{purged} dead letters are deleted")


def _open_letters(configuration: Configuration) -> DeadLetters:
    from registry.notifications.dead import DeadLetters  # noqa: PLC0415  as above

    return DeadLetters(open_existing_storage(configuration), configuration.notifications.journal.maxdead)


def _names(configuration: Configuration, letters: DeadLetters, endpoint: str | None) -> Iterator[str]:
    """Yield the endpoints that have dead letters, or the one that is asked for, which may be configured no more."""
    if endpoint is None:
        yield from letters.endpoints()
        return
    if not letters.count(endpoint):
        require_known(configuration, endpoint)
    yield endpoint


notifications_commands.add_command(retry_command)
notifications_commands.add_command(replay_command)
notifications_commands.add_command(test_command)
