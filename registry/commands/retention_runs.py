"""``registry retention list``, ``show`` and ``undo``: what the runs have taken away, and having it back."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from registry.commands.layout import Command, examples, json_option
from registry.commands.operator import Person
from registry.commands.ownership import as_owner, journal_of
from registry.commands.printing import print_json_array
from registry.commands.source import config_option, open_configured
from registry.foundation.times import rfc3339
from registry.retention.reports import Reports, Untagged
from registry.retention.restoring import Outcome, undo
from registry.services import build_publishing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.config import Configuration
    from registry.retention.reports import Report

    LoadConfiguration = Callable[[str | None], Configuration]


@click.command("list", cls=Command, epilog=examples("registry retention list"))
@json_option
@config_option
@click.pass_obj
def list_command(load: LoadConfiguration, config: str | None, *, in_json: bool) -> None:
    """List the runs: when each began, and how many tags went.

    The last 30 are kept that have taken something away, and the last 30 of the others.
    """
    reports = Reports(open_configured(load, config).driver).all()
    if in_json:
        print_json_array(map(_told, reports))
        return
    click.echo(f"{'RUN':>6}  {'BEGUN (UTC)':16}  {'TAGS':>8}  {'REFUSED':>8}  RESULT")
    for report in reports:
        begun = rfc3339(report.begun)[:16].replace("T", " ")
        columns = (f"{report.run:>6}", begun, f"{report.untagged:>8}", f"{report.refusals:>8}", _result(report))
        click.echo("  ".join(columns))


@click.command("show", cls=Command, epilog=examples("registry retention show 12"))
@click.argument("run", type=click.IntRange(1), metavar="RUN")
@json_option
@config_option
@click.pass_obj
def show_command(load: LoadConfiguration, run: int, config: str | None, *, in_json: bool) -> None:
    """List the tags that RUN has taken away, or would have if it was a dry run.

    Repositories that it refused are on stderr.
    """
    reports = Reports(open_configured(load, config).driver)
    report = _report(reports, run)
    tags = reports.tags(run)
    if in_json:
        print_json_array(map(row_of, tags), before='{"tags": ', after=f", {json.dumps(_told(report))[1:]}\n")
        return
    for each in tags:
        click.echo(f"{each.repository}:{each.tag} {each.digest}")
    for refused in report.refused:
        click.echo(f"{refused.repository}: refused, {refused}", err=True)


@click.command("undo", cls=Command, epilog=examples("registry retention undo 12"))
@click.argument("run", type=click.IntRange(1), metavar="RUN")
@json_option
@config_option
@click.pass_obj
def undo_command(load: LoadConfiguration, run: int, config: str | None, *, in_json: bool) -> None:
    """Give back the tags that RUN has taken away. A tag that was pushed since stays as it is.

    The exit status is 1 if a manifest is gone by now, so that its tag cannot come back.
    """
    storage = open_configured(load, config)
    if storage.configuration.storage.maintenance.readonly.enabled:
        raise click.ClickException("storage.maintenance.readonly is on: no tag comes back")
    reports = Reports(storage.driver)
    if _report(reports, run).dry_run:
        raise click.ClickException(f"run {run} was a dry run: it has taken nothing away")
    journal = journal_of(storage.configuration, storage.driver)
    publishing = build_publishing(storage.configuration, storage.driver, journal, Person())
    counts = dict.fromkeys(Outcome, 0)

    def outcomes() -> Iterator[tuple[Untagged, Outcome]]:
        for each, outcome in undo(storage.driver, publishing, storage.repositories, reports.tags(run)):
            counts[outcome] += 1
            yield each, outcome

    with as_owner(storage.configuration.storage):
        if in_json:
            print_json_array(row_of(each) | {"outcome": outcome.name.lower()} for each, outcome in outcomes())
        else:
            for each, outcome in outcomes():
                click.echo(f"{each.repository}:{each.tag} {outcome}")
    click.echo(", ".join(f"{number} {outcome.name.lower()}" for outcome, number in counts.items()), err=True)
    if counts[Outcome.GONE]:
        sys.exit(1)


def row_of(each: Untagged) -> dict[str, Any]:
    """Return what JSON says of a tag that went."""
    return asdict(each) | {"pushed": rfc3339(each.pushed)}


def _report(reports: Reports, run: int) -> Report:
    report = reports.report(run)
    if report is None:
        raise click.ClickException(f"there is no report of a run {run}; `registry retention list` names them")
    return report


def _result(report: Report) -> str:
    if not report.ended:
        return "goes on, or broke off"
    return "dry run" if report.dry_run else "done"


def _told(report: Report) -> dict[str, Any]:
    return asdict(report) | {"begun": rfc3339(report.begun), "refused": [asdict(each) for each in report.refused]}
