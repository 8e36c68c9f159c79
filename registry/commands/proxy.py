"""``registry proxy``: what is cached of other registries."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from registry.commands.layout import Group, examples, json_option
from registry.commands.ownership import as_owner
from registry.commands.printing import print_json_array
from registry.commands.progress import Count, StatusLine
from registry.commands.source import config_option, open_configured
from registry.config.cached import Cached
from registry.foundation.globs import Glob
from registry.foundation.sizes import spelled
from registry.foundation.times import rfc3339
from registry.proxy.eviction import CollectionRunsError, Eviction
from registry.proxy.usage import Usage
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry.commands.source import Storage
    from registry.config import Configuration
    from registry.proxy.swept import Outcome
    from registry.proxy.usage import Held

    LoadConfiguration = Callable[[str | None], Configuration]

BUSY: Final = 4
"""The exit status where something else is at work on the same."""
_COLUMN: Final = 10


@click.group("proxy", cls=Group)
def proxy_commands() -> None:
    """Look at what is cached of other registries, and let it go."""


@proxy_commands.command(
    "list",
    epilog=examples(
        "registry proxy list", "registry proxy list 'docker.example/library/*'", "registry proxy list --json"
    ),
)
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@json_option
@config_option
@click.pass_obj
def list_command(load: LoadConfiguration, patterns: tuple[str, ...], config: str | None, *, in_json: bool) -> None:
    """List the repositories that are cached, or those that match a PATTERN: what they hold, and their last use.

    What several hold counts in each. The lines at the end tell what is held of each upstream, where it counts once.
    The last use is known to a day.
    """
    globs = _globs(patterns)
    storage = _open(load, config)
    with Usage(storage.driver, Cached(storage.configuration.upstreams)) as usage:
        with StatusLine() as line:
            usage.find(Count(line, "looked at").add)
        rows = (held for held in usage.repositories() if not globs or _is_meant(held.name, globs))
        upstreams = [] if globs else [*usage.held()]
        if in_json:
            after = f', "upstreams": {json.dumps([_told(each) for each in upstreams])}}}\n'
            print_json_array(map(_told, rows), before='{"repositories": ', after=after)
            return
        click.echo(f"{'SIZE':>{_COLUMN}}  {'MANIFESTS':>9}  {'TAGS':>7}  {'USED (UTC)':16}  REPOSITORY")
        for held in rows:
            used = f"{datetime.fromtimestamp(held.used, UTC):%Y-%m-%d %H:%M}"
            size = f"{spelled(held.size):>{_COLUMN}}"
            click.echo(f"{size}  {held.manifests:>9}  {held.tags:>7}  {used:16}  {held.name}")
        limits = {each.name: each.cache.size for each in storage.configuration.upstreams}
        for each in upstreams:
            limit = f" of {spelled(limits[each.name])}" if limits[each.name] else ""
            click.echo(f"{spelled(each.size):>{_COLUMN}}{limit} in all of {each.name}")


@proxy_commands.command(
    "evict",
    epilog=examples("registry proxy evict docker.example/library/alpine", "registry proxy evict 'docker.example/**'"),
)
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN [PATTERN]...")
@json_option
@config_option
@click.pass_obj
def evict_command(load: LoadConfiguration, patterns: tuple[str, ...], config: str | None, *, in_json: bool) -> None:
    """Let go what was fetched for the repositories that match a PATTERN; the next pull fetches it again.

    What was pushed stays, and cache.keep does not count. The registry may serve meanwhile. The bytes are deleted by a
    garbage collection, after its grace.

    Exit status: 0 done, 1 failed or nothing matches, 4 an eviction or a garbage collection is on.
    """
    globs = _globs(patterns)
    storage = _open(load, config)
    if storage.configuration.storage.maintenance.readonly.enabled:
        raise click.ClickException("storage.maintenance.readonly is on: nothing can be evicted")
    matched: set[str] = set()

    def is_chosen(name: str) -> bool:
        found = {glob.text for glob in globs if glob.matches(name)}
        matched.update(found)
        return bool(found)

    outcomes = [each for each in _evict(storage, is_chosen) if each.tags or each.manifests or each.blobs]
    if in_json:
        click.echo(json.dumps([asdict(each) for each in outcomes]))
    else:
        for each in outcomes:
            what = f"{each.tags} tags, {each.manifests} manifests, {each.blobs} blobs"
            click.echo(f"{each.upstream}: {what}, {spelled(each.evicted)} that nothing else holds")
    unmatched = [text for text in patterns if text not in matched]
    for text in unmatched:
        click.echo(f"Error: nothing that is cached matches {text}", err=True)
    if unmatched:
        sys.exit(1)


def _evict(storage: Storage, is_chosen: Callable[[str], bool]) -> Sequence[Outcome]:
    with as_owner(storage.configuration.storage), StatusLine() as line:
        claim = storage.driver.claim(paths.EVICTION_CLAIM)
        if claim is None:
            click.echo("Error: an eviction is on: try again when it has ended", err=True)
            sys.exit(BUSY)
        with claim:
            cached = Cached(storage.configuration.upstreams)
            progress = Count(line, "looked at").add
            try:
                return Eviction(storage.driver, storage.repositories, cached, progress=progress).evict(is_chosen)
            except CollectionRunsError as error:
                click.echo(f"Error: {error}; registry gc status shows what it does", err=True)
                sys.exit(BUSY)


def _open(load: LoadConfiguration, config: str | None) -> Storage:
    storage = open_configured(load, config)
    if not storage.configuration.upstreams:
        raise click.ClickException("nothing is cached: the configuration has neither proxies nor proxy.remoteurl")
    return storage


def _globs(patterns: Sequence[str]) -> list[Glob]:
    try:
        return [Glob.parse(each) for each in patterns]
    except ValueError as error:
        raise click.ClickException(f"{error}; write, for example, 'docker.example/library/*'") from error


def _is_meant(name: str, globs: Sequence[Glob]) -> bool:
    return any(glob.matches(name) for glob in globs)


def _told(held: Held) -> dict[str, Any]:
    return asdict(held) | {"used": rfc3339(held.used)}
