"""``registry garbage-collect``, with the Go registry's flags and lines."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from registry.commands.explaining import DigestParameter, print_explanation
from registry.commands.layout import Command, examples
from registry.commands.operator import Automaton
from registry.commands.ownership import journal_of
from registry.commands.progress import Count, StatusLine
from registry.foundation import durations
from registry.foundation.sizes import spelled
from registry.lifecycle.cache import cache_of
from registry.lifecycle.findings import Findings
from registry.lifecycle.garbage import GarbageCollection, NoRepositoriesError, offline_policy
from registry.lifecycle.scan import scan
from registry.services import build_publishing, open_existing_storage
from registry.storage.repository import Repositories

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.lifecycle.findings import Policy
    from registry.oci.digest import Digest

    LoadConfiguration = Callable[[str | None], Configuration]

_NO_REPOSITORIES = (
    "nothing lies where repositories do, but blobs are there: is a volume not mounted? Nothing was deleted;"
    " --force deletes all blobs"
)
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
        "registry garbage-collect --explain sha256:9f86d081... config.yml",
    ),
)
@click.option("-d", "--dry-run", is_flag=True, help="Delete nothing, say what would be deleted.")
@click.option("-m", "--delete-untagged", is_flag=True, help="Delete manifests to which no tag leads, too.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.option("--force", is_flag=True, help="Delete even where that looks like a mistake, see the documentation.")
@click.option("--explain", type=DigestParameter(), help="Delete nothing, say why this digest stays or when it may go.")
@click.option("--json", "in_json", is_flag=True, help="With --explain: print JSON.")
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
    force: bool,
    explain: Digest | None,
    in_json: bool,
    grace: float,
) -> None:
    """Delete the blobs to which no manifest leads.

    Nobody may push meanwhile: stop the registry or set storage.maintenance.readonly. What is younger than --grace
    stays, in case somebody does.
    """
    configuration = load(config)
    driver = open_existing_storage(configuration)
    driver.check()
    cutoff = time.time() - grace
    if explain:
        policy = offline_policy(cutoff, only_tagged=delete_untagged)
        _explain(configuration, driver, policy, explain, in_json=in_json)
        return
    if in_json:
        raise click.UsageError("--json goes with --explain")
    publishing = build_publishing(configuration, driver, journal_of(configuration, driver), Automaton())
    with StatusLine() as line:
        collection = GarbageCollection(
            driver,
            Repositories(driver),
            publishing,
            None if quiet else _above(line),
            cutoff=cutoff,
            dry_run=dry_run,
            force=force,
            progress=Count(line, "looked at").add,
            cache=cache_of(configuration),
        )
        try:
            collected = collection.run(only_tagged=delete_untagged)
        except NoRepositoriesError as error:
            raise click.ClickException(_NO_REPOSITORIES) from error
    if quiet:
        return
    if collected.young_blobs:
        young = f"{collected.young_blobs} blobs, {spelled(collected.young_size)}"
        click.echo(f"{young} are younger than {durations.spell(grace)} and stay (--grace)", err=True)
    click.echo(f"{spelled(collected.size)} {'would be' if dry_run else 'are'} freed", err=True)


def _explain(
    configuration: Configuration, driver: StorageDriver, policy: Policy, digest: Digest, *, in_json: bool
) -> None:
    now = time.time()
    with Findings() as findings:
        with StatusLine() as line:
            scan(driver, findings, policy, Count(line, "looked at").add, cache=cache_of(configuration))
        print_explanation(findings, digest, now=now, waits=0, in_json=in_json)


def _above(line: StatusLine) -> Callable[[str], None]:
    """Return what prints lines above the last one of a terminal."""

    def tell(text: str) -> None:
        line.clear()
        click.echo(text)

    return tell
