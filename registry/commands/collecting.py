"""A garbage collection beside the servers, as a command: what it says, and with which status it ends."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from registry.commands.operator import Automaton
from registry.commands.ownership import as_owner, journal_of
from registry.commands.progress import Count, StatusLine
from registry.config.cached import Cached
from registry.foundation import durations
from registry.foundation.sizes import spelled
from registry.lifecycle.online import OnlineCollection, StoppedError, Surroundings, Terms
from registry.lifecycle.own_run import RunBusyError, RunLostError
from registry.lifecycle.reports import Report, Result
from registry.lifecycle.status import told
from registry.retention.rules import untagged_keepfor
from registry.services import build_publishing
from registry.storage import runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.oci.digest import Digest

BUSY: Final = 4
"""The exit status where another run is on."""


@dataclass(frozen=True, slots=True)
class Flags:
    """What was typed; `grace` is in seconds, and None is what was not."""

    dry_run: bool
    delete_untagged: bool
    quiet: bool
    force: bool
    explain: Digest | None
    in_json: bool
    grace: float | None
    online: bool | None


def terms_of(configuration: Configuration, flags: Flags) -> Terms:
    """Return what a run may do beside servers: what the configuration says, and what the flags say otherwise.

    Raises:
        click.BadParameter: the grace is too short while others push.
    """
    least = runs.PACE.margin
    if flags.grace is not None and flags.grace < least:
        wrong = f"{durations.spell(flags.grace)} is less than {durations.spell(least)}, the least while others may push"
        raise click.BadParameter(f"{wrong}; --offline takes it", param_hint="--grace")
    maintenance = configuration.storage.maintenance
    cached = Cached(configuration.upstreams)
    terms = Terms.of(maintenance.garbagecollection, untagged_keepfor(maintenance.retention), cached)
    if flags.grace is not None:
        terms = replace(terms, grace_seconds=flags.grace)
    if flags.delete_untagged:
        terms = replace(terms, untagged_seconds=lambda _: 0.0)
    if flags.force:
        terms = replace(terms, maxshare=None)
    return replace(terms, dry_run=terms.dry_run or flags.dry_run)


def collect_online(configuration: Configuration, driver: StorageDriver, terms: Terms, flags: Flags) -> None:
    """Do a run and say what it did; exit if it could not.

    Raises:
        DriverError: the storage failed.
    """
    publishing = build_publishing(configuration, driver, journal_of(configuration, driver), Automaton())
    with StatusLine() as line:
        line.show(f"the scan begins in {runs.PACE.announced:.0f} s, when every server has seen that a run is on")
        surroundings = Surroundings.of(configuration, driver, progress=Count(line, "looked at").add)
        with as_owner(configuration.storage), ending_if_busy(), stopping_on_sigterm():
            report = OnlineCollection(driver, publishing, terms, surroundings).run()
    if flags.in_json:
        click.echo(json.dumps(told(report)))
    elif report.result is not Result.REFUSED and not flags.quiet:
        for text in summary(report):
            click.echo(text)
    if report.result is Result.REFUSED:
        raise click.ClickException(f"nothing was collected: {report.reason}")


@contextmanager
def stopping_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does, so that it leaves nothing closed and no run on."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def ending_if_busy() -> Iterator[None]:
    """Exit with one line if another run is on, or has taken over."""
    try:
        yield
    except RunBusyError as error:
        click.echo(f"Error: {error}; registry gc status shows what it does", err=True)
        sys.exit(BUSY)
    except (RunLostError, StoppedError) as error:
        raise click.ClickException(str(error)) from error


def summary(report: Report) -> list[str]:
    """Return what a run has done, in lines for people."""
    would = "would be " if report.result is Result.DRY_RUN else ""
    lines = [
        f"{would}condemned: {report.condemned_manifests} manifests, {report.condemned_blobs} links to blobs",
        f"{would}deleted: {report.deleted_blobs} blobs, {spelled(report.deleted_bytes)}",
    ]
    if report.result is Result.DRY_RUN:
        return lines
    return [*lines, *waiting_lines(report)]


def waiting_lines(report: Report) -> Iterator[str]:
    """Yield for people what a run has left that a later one deletes."""
    if report.waiting_blobs and report.next_deletion:
        waiting = f"{report.waiting_blobs} blobs, {spelled(report.waiting_bytes)}"
        when = local_time(report.next_deletion)
        yield f"condemned and not deleted yet: {waiting}; the first run after {when} frees them"
    if report.unlinked_blobs:
        unlinked = f"{report.unlinked_blobs} blobs, {spelled(report.unlinked_bytes)}"
        yield f"without any link: {unlinked}; a later run frees them"


def local_time(at: float) -> str:
    """Return a time, in seconds since the epoch, as people read it here."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
