"""``registry storage``: work on a whole storage at once."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from registry.commands.layout import Group, examples, json_option
from registry.commands.progress import Count, Progress, StatusLine
from registry.copying.copy import copy_storage, measure
from registry.foundation.sizes import spelled
from registry.services import open_existing_storage, open_storage

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.config import Configuration

    LoadConfiguration = Callable[[str | None], Configuration]

_PLAIN_SECONDS = 10.0


@click.group("storage", cls=Group)
def storage_commands() -> None:
    """Work on a storage as a whole."""


@storage_commands.command("copy", epilog=examples("registry storage copy disk.yml bucket.yml"))
@click.argument("source", metavar="FROM.yml")
@click.argument("target", metavar="TO.yml")
@click.option(
    "--jobs", metavar="N", default=8, show_default=True, type=click.IntRange(1, 256), help="Objects copied at a time."
)
@json_option
@click.pass_obj
def copy_command(load: LoadConfiguration, source: str, target: str, jobs: int, *, in_json: bool) -> None:
    """Copy all repositories from the storage of one configuration to that of another, of whatever drivers.

    FROM.yml and TO.yml are configuration files, of which the section storage is used.

    Every blob is verified on its way. A copy that broke off goes on when it is done again, and one that is done again
    while the source is in use copies what is new; nothing is deleted at the target. The exit status is 1 if a blob was
    damaged at its source.
    """
    origin, destination = open_existing_storage(load(source)), open_storage(load(target))
    destination.check()
    with StatusLine() as line:
        total = measure(origin, Count(line, "blobs to compare").add)
    with Progress(total, plain_seconds=_PLAIN_SECONDS) as progress:
        result = copy_storage(origin, destination, jobs, progress)
    for damage in result.damaged:
        click.echo(damage, err=True)
    if in_json:
        click.echo(json.dumps({**asdict(result), "bytes": total}))
    else:
        click.echo(f"{result.copied} objects copied, {result.there} were there; {spelled(total)} of blobs")
    if result.damaged:
        raise click.exceptions.Exit(1)
