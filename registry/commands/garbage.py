"""``registry garbage-collect``, with the Go registry's flags and lines."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import click

from registry.commands.collecting import Flags, collect_online, ending_if_busy, terms_of
from registry.commands.explaining import DigestParameter, print_explanation
from registry.commands.layout import Command, examples
from registry.commands.operator import Automaton
from registry.commands.ownership import as_owner, journal_of
from registry.commands.progress import Count, StatusLine
from registry.foundation import durations
from registry.foundation.sizes import spelled
from registry.lifecycle.cache import cache_of
from registry.lifecycle.findings import Findings
from registry.lifecycle.garbage import GarbageCollection, MissingPartError, offline_policy
from registry.lifecycle.members import is_served
from registry.lifecycle.own_run import require_none
from registry.lifecycle.scan import scan
from registry.services import build_publishing, open_existing_storage
from registry.storage.repository import Repositories

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.lifecycle.cache import Cache
    from registry.lifecycle.findings import Policy
    from registry.oci.digest import Digest

    LoadConfiguration = Callable[[str | None], Configuration]

_GRACE_SECONDS = 3600.0
"""How young what is kept is where nobody is to push, if it is not said."""
_LINES_AT_ONCE = 1000
_LONGEST_WAIT_SECONDS = 0.1
_YES = ("=true", "=True", "=TRUE", "=t", "=T", "=1")
_NO = ("=false", "=False", "=FALSE", "=f", "=F", "=0")


class _GoFlags(Command):
    """A command whose flags may be spelled ``--flag=true`` as well, as Helm charts do for the Go registry."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if {"--online", "--offline"} <= set(args):
            raise click.UsageError("--online and --offline exclude each other: say one of them", context)
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
@click.option("--json", "in_json", is_flag=True, help="Print JSON, for scripts, and none of the lines.")
@click.option("--grace", type=_Duration(), help="Keep what was written since; without it see above.")
@click.option(
    "--online/--offline",
    default=None,
    help="Whether others may push meanwhile; without it, whether a server has said lately that it serves this storage.",
)
@click.argument("config", required=False)
@click.pass_obj
def garbage_collect_command(load: LoadConfiguration, /, config: str | None, **flags: Any) -> None:
    """Delete the blobs to which no manifest leads.

    Offline, while no server takes pushes, they are deleted at once. What is younger than --grace, 1h, stays, in case
    somebody does push.

    Online, beside servers that do, what is older than --grace is condemned first: nobody can pull it any more, and a
    push brings it back. A run that comes after the grace deletes it. The grace is that of
    storage.maintenance.garbagecollection.

    Exit status: 0 done, 1 failed or refused, 4 another run is on.
    """
    configuration = load(config)
    driver = open_existing_storage(configuration)
    # Offline, space is freed on a disk that is full.
    driver.check(read_only=True)
    chosen = Flags(**flags)
    if _is_online(configuration, driver, chosen):
        driver.check()
        terms = terms_of(configuration, chosen)
        if chosen.explain:
            policy, waits = terms.policy(time.time()), terms.age_seconds
            _explain(configuration, driver, policy, chosen.explain, waits=waits, in_json=chosen.in_json)
        else:
            collect_online(configuration, driver, terms, chosen)
        return
    cutoff = time.time() - (_GRACE_SECONDS if chosen.grace is None else chosen.grace)
    if chosen.explain:
        policy = offline_policy(cutoff, only_tagged=chosen.delete_untagged)
        _explain(configuration, driver, policy, chosen.explain, waits=0, in_json=chosen.in_json)
    else:
        _collect_offline(configuration, driver, cutoff, chosen)


def _is_online(configuration: Configuration, driver: StorageDriver, flags: Flags) -> bool:
    """Tell whether others may push meanwhile; if that was looked up, say so."""
    if flags.online is not None:
        return flags.online
    if configuration.storage.maintenance.readonly.enabled:
        return False
    with as_owner(configuration.storage):
        found = is_served(driver)
    if found and not flags.quiet:
        click.echo("a server uses this storage: collecting beside it (--offline where none takes pushes)", err=True)
    return found


def _collect_offline(configuration: Configuration, driver: StorageDriver, cutoff: float, flags: Flags) -> None:
    with as_owner(configuration.storage), ending_if_busy():
        require_none(driver)
    publishing = build_publishing(configuration, driver, journal_of(configuration, driver), Automaton())
    with StatusLine() as line, _Lines(line) as lines:
        collection = GarbageCollection(
            driver,
            Repositories(driver),
            publishing,
            None if flags.quiet or flags.in_json else lines.tell,
            cutoff=cutoff,
            dry_run=flags.dry_run,
            force=flags.force,
            progress=Count(line, "looked at").add,
            cache=_owners_cache(configuration),
        )
        try:
            collected = collection.run(only_tagged=flags.delete_untagged)
        except MissingPartError as error:
            raise click.ClickException(f"{error} Nothing was deleted; --force goes on") from error
    if flags.in_json:
        click.echo(json.dumps(asdict(collected) | {"dry_run": flags.dry_run}))
    elif not flags.quiet:
        if collected.young_blobs:
            young = f"{collected.young_blobs} blobs, {spelled(collected.young_size)}"
            grace = durations.spell(_GRACE_SECONDS if flags.grace is None else flags.grace)
            click.echo(f"{young} are younger than {grace} and stay (--grace)", err=True)
        click.echo(f"{spelled(collected.size)} {'would be' if flags.dry_run else 'are'} freed", err=True)


def _explain(  # noqa: PLR0913 - what is asked, and how it is answered
    configuration: Configuration, driver: StorageDriver, policy: Policy, digest: Digest, *, waits: float, in_json: bool
) -> None:
    now = time.time()
    with Findings() as findings:
        with StatusLine() as line:
            scan(driver, findings, policy, Count(line, "looked at").add, cache=_owners_cache(configuration))
        print_explanation(findings, digest, now=now, waits=waits, in_json=in_json)


def _owners_cache(configuration: Configuration) -> Cache:
    """Return the cache, whose files the server has to be able to use."""
    return cache_of(configuration, partial(as_owner, configuration.storage))


class _Lines:
    """Prints lines above the last one of a terminal. On anything else many at once: a write for each costs more."""

    def __init__(self, line: StatusLine) -> None:
        self._line = line
        self._waiting: list[str] = []
        self._at_once = 1 if sys.stdout.isatty() else _LINES_AT_ONCE
        self._printed = time.monotonic()

    def tell(self, text: str) -> None:
        """Print `text`, at the latest with the first line that comes more than a moment after it."""
        self._waiting.append(text)
        if len(self._waiting) >= self._at_once or time.monotonic() - self._printed >= _LONGEST_WAIT_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Print what waits."""
        if self._waiting:
            text = "\n".join(self._waiting)
            self._waiting.clear()
            self._line.clear()
            click.echo(text)
        self._printed = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
