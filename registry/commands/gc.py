"""``registry gc``: how the garbage collections of a storage stand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from registry.commands.collecting import local_time, waiting_lines
from registry.commands.layout import Group, examples, json_option
from registry.foundation.sizes import spelled
from registry.lifecycle.reports import KEPT, Result, latest_reports
from registry.lifecycle.status import status_of
from registry.services import open_existing_storage
from registry.storage.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.config import Configuration
    from registry.lifecycle.reports import Report
    from registry.storage.runs import Run

    LoadConfiguration = Callable[[str | None], Configuration]

_SHOWN = 5


@click.group("gc", cls=Group)
def gc_commands() -> None:
    """Look at the garbage collections of a storage: what runs, what the last ones did, when space will be freed."""


@gc_commands.command("status", epilog=examples("registry gc status", "registry gc status --json config.yml"))
@click.argument("config", required=False)
@json_option
@click.pass_obj
def status_command(load: LoadConfiguration, config: str | None, *, in_json: bool) -> None:
    """Show whether a run is on, what the last ones did, and what is condemned and not deleted yet."""
    driver = open_existing_storage(load(config))
    if in_json:
        click.echo(json.dumps(status_of(driver)))
        return
    for line in _lines(Runs(driver).read(), latest_reports(driver, KEPT)):
        click.echo(line)


def _lines(run: Run, reports: Sequence[Report]) -> Iterator[str]:
    if run.is_on:
        what = run.closed.repository or (f"{len(run.closed.digests)} blobs" if run.closed.digests else "")
        yield f"run {run.number} is on, {run.phase}{f' {what}' if what else ''}, on {run.host}"
    else:
        yield "no run is on"
    if not reports:
        yield "none has ended yet"
        return
    for report in reports[:_SHOWN]:
        yield f"{local_time(report.ended)}  run {report.run}  {_did(report)}"
    done = next((report for report in reports if report.result is Result.DONE), None)
    if done:
        yield from waiting_lines(done)


def _did(report: Report) -> str:
    if report.result in {Result.REFUSED, Result.FAILED}:
        return f"{report.result}: {report.reason}"
    did = f"condemned {report.condemned_manifests} manifests and {report.condemned_blobs} links to blobs"
    return f"{report.result}: {did}, deleted {report.deleted_blobs} blobs, {spelled(report.deleted_bytes)}"
