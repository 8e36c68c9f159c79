"""``registry garbage-collect``, with the Go registry's flags and lines."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from registry.commands.layout import Command, examples
from registry.commands.operator import Automaton
from registry.commands.ownership import journal_of
from registry.foundation import durations
from registry.foundation.sizes import spelled
from registry.lifecycle.garbage import GarbageCollection
from registry.services import build_publishing, open_existing_storage
from registry.storage.repository import Repositories

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.config import Configuration

    LoadConfiguration = Callable[[str | None], Configuration]

_YES = ("=true", "=True", "=TRUE", "=t", "=T", "=1")
_NO = ("=false", "=False", "=FALSE", "=f", "=F", "=0")


class _GoFlags(Command):
    """A command whose flags may be spelled ``--flag=true`` as well, as Helm charts do for the Go registry."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        spelled_out = [arg for arg in args if not (arg.startswith("-") and arg.endswith(_NO))]
        return super().parse_args(context, [_without_yes(arg) for arg in spelled_out])


def _without_yes(arg: str) -> str:
    return arg.partition("=")[0] if arg.startswith("-") and arg.endswith(_YES) else arg


class _Duration(click.ParamType[float]):
    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, context: click.Context | None) -> float:
        """Return the seconds of a duration in Go's notation."""
        if not isinstance(value, str):
            return value
        try:
            seconds = durations.parse(value)
        except ValueError:
            missing = durations.hint(value, "h")
            self.fail(f"{value!r} is not a duration such as 90s, 30m or 24h{missing}", param, context)
        if seconds < 0:
            self.fail(f"{value!r} is negative; 0s is the least", param, context)
        return seconds


@click.command(
    "garbage-collect",
    cls=_GoFlags,
    context_settings={"allow_extra_args": True},
    epilog=examples(
        "registry garbage-collect --dry-run /etc/distribution/config.yml",
        "registry garbage-collect --delete-untagged --grace 24h config.yml",
    ),
)
@click.option("-d", "--dry-run", is_flag=True, help="Delete nothing, say what would be deleted.")
@click.option("-m", "--delete-untagged", is_flag=True, help="Delete manifests to which no tag leads, too.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.option("--grace", type=_Duration(), default="1h", show_default=True, help="Keep what was written since.")
@click.argument("config", required=False)
@click.pass_obj
def garbage_collect_command(  # noqa: PLR0913 - one for each flag
    load: LoadConfiguration,
    config: str | None,
    *,
    dry_run: bool,
    delete_untagged: bool,
    quiet: bool,
    grace: float,
) -> None:
    """Delete the blobs to which no manifest leads.

    Nobody may push meanwhile: stop the registry or set storage.maintenance.readonly. What is younger than --grace
    stays, in case somebody does.
    """
    configuration = load(config)
    driver = open_existing_storage(configuration)
    driver.check()
    tell = _silent if quiet else click.echo
    publishing = build_publishing(configuration, driver, journal_of(configuration, driver), Automaton())
    cutoff = time.time() - grace
    collection = GarbageCollection(driver, Repositories(driver), publishing, tell, cutoff=cutoff, dry_run=dry_run)
    collected = collection.run(only_tagged=delete_untagged)
    if quiet:
        return
    if collected.young_blobs:
        young = f"{collected.young_blobs} blobs, {spelled(collected.young_size)}"
        click.echo(f"{young} are younger than {durations.spell(grace)} and stay (--grace)", err=True)
    click.echo(f"{spelled(collected.size)} {'would be' if dry_run else 'are'} freed", err=True)


def _silent(line: str) -> None:
    del line
