"""``registry notifications retry`` and ``replay``: events are sent once more."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from registry.commands.endpoints import (
    described,
    endpoint_called,
    endpoint_option,
    event_row,
    open_sender,
    refuse_read_only,
)
from registry.commands.layout import Command, examples, json_option
from registry.commands.moments import Moment
from registry.commands.printing import print_json_array
from registry.commands.progress import StatusLine
from registry.commands.source import config_option
from registry.foundation import times
from registry.foundation.globs import Glob
from registry.foundation.printable import printable
from registry.services import open_existing_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.config import Configuration
    from registry.config.events import Endpoint
    from registry.notifications.dead import DeadLetter, DeadLetters
    from registry.notifications.events import Event
    from registry.notifications.sending import Outcome

    LoadConfiguration = Callable[[str | None], Configuration]


class _Sent:
    """Counts what was sent, and shows it on the last line of a terminal.

    `continuation` gives the command that goes on, if there is one, by the time of the last event that was sent.
    """

    def __init__(self, line: StatusLine, continuation: Callable[[int | None], str] | None) -> None:
        self._line = line
        self._continuation = continuation
        self.delivered = self.refused = 0
        self._last_ns: int | None = None

    def note(self, event: Event, outcome: Outcome) -> None:
        """Count an event."""
        self._last_ns = event.time_ns
        if outcome.delivered:
            self.delivered += 1
            self._line.show(f"{self.delivered} events are delivered: {described(event)}")
        else:
            self.refused += 1
            self._line.clear()
            click.echo(f"{event.id} {described(event)}: {printable(outcome.error)}", err=True)

    def __str__(self) -> str:
        refused = f", {self.refused} are refused" if self.refused else ""
        return f"{self.delivered} events are delivered{refused}"

    def so_far(self) -> str:
        """Return what to say where it ends before all is sent."""
        return f"{self}. It goes on with: {self._continuation(self._last_ns)}" if self._continuation else str(self)


@contextmanager
def _counting(continuation: Callable[[int | None], str] | None = None) -> Iterator[_Sent]:
    """Give what counts; if the block is interrupted, say how far it is."""
    with StatusLine() as line:
        sent = _Sent(line, continuation)
        try:
            yield sent
        except KeyboardInterrupt:
            line.clear()
            click.echo(sent.so_far(), err=True)
            raise


@click.command(
    "retry",
    cls=Command,
    epilog=examples(
        "registry notifications retry --all --endpoint ci",
        "registry notifications retry 320678d8-ca14-430f-8bb6-4ca139cd83f7",
    ),
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "every", is_flag=True, help="Send all of them.")
@endpoint_option
@json_option
@config_option
@click.pass_obj
def retry_command(  # noqa: PLR0913 - one for each option
    load: LoadConfiguration,
    ids: tuple[str, ...],
    config: str | None,
    endpoint: str | None,
    *,
    every: bool,
    in_json: bool,
) -> None:
    """Send dead letters again, and delete those that their endpoint takes.

    An ID is that of `registry notifications list --dead`. The exit status is 1 if one of them was not taken.
    """
    from registry.notifications.dead import DeadLetters  # noqa: PLC0415  other commands need none of it

    if bool(ids) == every:
        raise click.UsageError("give IDs, or --all")
    configuration = load(config)
    refuse_read_only(configuration)
    if endpoint:
        endpoint_called(configuration, endpoint)
    letters = DeadLetters(open_existing_storage(configuration), configuration.notifications.journal.maxdead)
    retry = _Retry(letters, frozenset(ids))
    with _counting() as sent:
        for name in [endpoint] if endpoint else list(letters.endpoints()):
            retry.of(name, configuration, sent)
    if in_json:
        click.echo(json.dumps({"delivered": sent.delivered, "refused": sent.refused}))
    else:
        click.echo(str(sent))
    for each in sorted(retry.missing):
        click.echo(f"no dead letter has the ID {each}", err=True)
    sys.exit(1 if sent.refused or retry.missing or retry.stopped else 0)


class _Retry:
    """Sends the dead letters that have one of `ids`, or all if there are none."""

    def __init__(self, letters: DeadLetters, ids: frozenset[str]) -> None:
        self._letters = letters
        self._ids = ids
        self.missing = set(ids)
        self.stopped = False
        """Whether an endpoint has letters that were not sent, or not all of them."""
        self._chosen: dict[str, DeadLetter] = {}
        """What is being sent, as many as a request holds."""

    def of(self, name: str, configuration: Configuration, sent: _Sent) -> None:
        """Send those of the endpoint called `name`. What is wrong with it is told, and does not keep the others."""
        from registry.notifications.redelivery import StoppedError, redeliver  # noqa: PLC0415  as above

        events = self._events(name)
        first = next(events, None)
        if first is None:
            return
        try:
            with closing(open_sender(endpoint_called(configuration, name))) as sender:
                for event, outcome in redeliver(sender, _with(first, events)):
                    letter = self._chosen.pop(event.id)
                    if outcome.delivered:
                        self._letters.delete(letter)
                    sent.note(event, outcome)
        except (StoppedError, click.ClickException) as error:
            self.stopped = True
            click.echo(f"{printable(str(error))}; its dead letters stay", err=True)

    def _events(self, name: str) -> Iterator[Event]:
        for letter in self._letters.of(name):
            if not self._ids or letter.id in self._ids:
                self.missing.discard(letter.id)
                self._chosen[letter.id] = letter
                yield letter.event


def _with(first: Event, others: Iterator[Event]) -> Iterator[Event]:
    yield first
    yield from others


def _glob(_: click.Context, param: click.Parameter, values: Sequence[str]) -> list[Glob]:
    try:
        return [Glob.parse(each) for each in values]
    except ValueError as error:
        raise click.BadParameter(f"{error}; it is such as 'team/**'", param=param) from error


@click.command(
    "replay",
    cls=Command,
    epilog=examples(
        "registry notifications replay --endpoint ci --since 2h --dry-run",
        "registry notifications replay --endpoint ci --since 24h --until 1h",
    ),
)
@click.option("--endpoint", required=True, metavar="NAME", help="The endpoint that is sent the events.")
@click.option(
    "--since", type=Moment(), required=True, metavar="TIME", help="From then on: so long ago (2h), or a time."
)
@click.option("--until", type=Moment(), default="0s", metavar="TIME", help="Until then; by default until now.")
@click.option(
    "--repository",
    "repositories",
    multiple=True,
    callback=_glob,
    metavar="PATTERN",
    help="Only of repositories such as 'team/**'.",
)
@click.option("-n", "--dry-run", is_flag=True, help="Send nothing, say what would be sent.")
@json_option
@config_option
@click.pass_obj
def replay_command(  # noqa: PLR0913, PLR0917 - one for each option
    load: LoadConfiguration,
    config: str | None,
    endpoint: str,
    since: int,
    until: int,
    repositories: list[Glob],
    *,
    dry_run: bool,
    in_json: bool,
) -> None:
    """Send an endpoint the events of a time again, with the same ids.

    What it ignores is not sent. How far back the journal goes, notifications.journal.keep says. Pulls are not in it.
    The exit status is 1 if one of them was not taken.
    """
    from registry.notifications.consumers import EndpointConsumer  # noqa: PLC0415  other commands need none of it
    from registry.notifications.redelivery import kept_events  # noqa: PLC0415

    if since >= until:
        raise click.UsageError(f"--since is {times.spell(since)}, which is not before --until, {times.spell(until)}")
    configuration = load(config)
    section = endpoint_called(configuration, endpoint)
    events = kept_events(
        open_existing_storage(configuration),
        EndpointConsumer(section, wants_references=False),
        since_ns=since,
        until_ns=until,
        wants=lambda name: not repositories or any(glob.matches(name) for glob in repositories),
    )
    if dry_run:
        _show(events, in_json=in_json)
        return

    def continuation(since_ns: int | None) -> str:
        words = ["registry", "notifications", "replay", "--endpoint", endpoint]
        words += ["--since", times.spell(since if since_ns is None else since_ns), "--until", times.spell(until)]
        for glob in repositories:
            words += ["--repository", glob.text]
        return shlex.join(words + (["--config", config] if config else []))

    sent = _replay(section, events, continuation)
    click.echo(json.dumps({"delivered": sent.delivered, "refused": sent.refused}) if in_json else str(sent))
    sys.exit(1 if sent.refused else 0)


def _replay(section: Endpoint, events: Iterator[Event], continuation: Callable[[int | None], str]) -> _Sent:
    """Send `events`; if that ends before the last one, say by which command it goes on."""
    from registry.notifications.redelivery import StoppedError, redeliver  # noqa: PLC0415  as above

    with closing(open_sender(section)) as sender, _counting(continuation) as sent:
        try:
            for event, outcome in redeliver(sender, events):
                sent.note(event, outcome)
        except StoppedError as error:
            raise click.ClickException(f"{printable(str(error))}. {sent.so_far()}") from error
    return sent


def _show(events: Iterator[Event], *, in_json: bool) -> None:
    if in_json:
        print_json_array(map(event_row, events))
        return
    number = 0
    for event in events:
        number += 1
        click.echo(f"{times.spell(event.time_ns)}  {described(event)}")
    click.echo(f"{number} events would be sent", err=True)
