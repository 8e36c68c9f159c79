"""``registry proxy``: what is cached of other registries."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from drivers.base import DriverError
from registry.commands.layout import Group, examples, json_option
from registry.commands.ownership import as_owner
from registry.commands.printing import print_json_array
from registry.commands.progress import Count, StatusLine
from registry.commands.source import config_option, open_configured
from registry.config.cached import Cached
from registry.foundation.globs import Glob
from registry.foundation.sizes import spelled
from registry.foundation.times import rfc3339
from registry.oci.errors import NameInvalidError, NameUnknownError
from registry.oci.reference import is_platform, parse_name
from registry.proxy.eviction.evicting import CollectionRunsError, Eviction
from registry.proxy.eviction.held import held_by_repositories, held_of_upstreams
from registry.proxy.eviction.scheduler import write_scheduler_state
from registry.proxy.eviction.usage import Usage
from registry.proxy.images import Wanted
from registry.proxy.routing import Routes
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry.commands.source import Storage
    from registry.config import Configuration
    from registry.proxy.eviction.held import Held
    from registry.proxy.eviction.outcomes import Outcome

    LoadConfiguration = Callable[[str | None], Configuration]

BUSY: Final = 4
"""The exit status where something else is at work on the same."""
_COLUMN: Final = 10


def _checked_platforms(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for each in value:
        if not is_platform(each):
            raise click.BadParameter(f"{each!r} is not OS/ARCH, as linux/amd64", context, parameter)
    return value


def _refuse_configuration(_: click.Context, __: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse the file of a configuration where other commands take it."""
    for each in value:
        if each.endswith((".yml", ".yaml")) and Path(each).is_file():
            raise click.ClickException(f"{each} is a file: did you mean --config {shlex.quote(each)}?")
    return value


@click.group("proxy", cls=Group)
def proxy_commands() -> None:
    """Look at what is cached of other registries, fetch more, and let it go."""


@proxy_commands.command(
    "list",
    epilog=examples(
        "registry proxy list", "registry proxy list 'docker.example/library/*'", "registry proxy list --json"
    ),
)
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...", callback=_refuse_configuration)
@json_option
@config_option
@click.pass_obj
def list_command(load: LoadConfiguration, patterns: tuple[str, ...], config: str | None, *, in_json: bool) -> None:
    """List the repositories that are cached, or those that match a PATTERN: what they hold, and their last use.

    What several hold counts in each. The lines at the end tell what is held of each upstream, where it counts once.
    The last use is known to a day. For the section proxy, scheduler-state.json is written anew, for the Go registry.
    """
    storage = _open(load, config)
    meant = _meant(storage, patterns)
    with Usage(storage.driver, Cached(storage.configuration.upstreams)) as usage:
        with StatusLine() as line:
            usage.find(Count(line, "looked at").add)
        _tell_go_registry(storage, usage)
        rows = (held for held in held_by_repositories(usage) if not meant or _is_meant(held.name, meant))
        upstreams = [] if meant else [*held_of_upstreams(usage, storage.configuration.upstreams)]
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
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN [PATTERN]...", callback=_refuse_configuration)
@json_option
@config_option
@click.pass_obj
def evict_command(load: LoadConfiguration, patterns: tuple[str, ...], config: str | None, *, in_json: bool) -> None:
    """Let go what was fetched for the repositories that match a PATTERN; the next pull fetches it again.

    What was pushed stays, and cache.keep does not count. The registry may serve meanwhile. The bytes are deleted by a
    garbage collection, after its grace.

    Exit status: 0 done, 1 failed or nothing matches, 4 an eviction or a garbage collection is on.
    """
    storage = _open(load, config)
    meant = _meant(storage, patterns)
    if storage.configuration.storage.maintenance.readonly.enabled:
        raise click.ClickException("storage.maintenance.readonly is on: nothing can be evicted")
    matched: set[str] = set()

    def is_chosen(name: str) -> bool:
        found = {each.text for each in meant if each.matches(name)}
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


@proxy_commands.command(
    "pull",
    epilog=examples(
        "registry proxy pull docker.example/library/alpine:3.20",
        "registry proxy pull --platform linux/amd64 docker.example/app:v1",
    ),
)
@click.argument("references", nargs=-1, required=True, metavar="REF [REF]...", callback=_refuse_configuration)
@click.option(
    "--platform",
    "platforms",
    metavar="OS/ARCH",
    multiple=True,
    callback=_checked_platforms,
    help="Of an index, only images for this platform; may be given again.",
)
@click.option("--referrers", is_flag=True, help="Also signatures, and what else refers to the image.")
@json_option
@config_option
@click.pass_obj
def pull_command(  # noqa: PLR0913 - one for each option
    load: LoadConfiguration,
    references: tuple[str, ...],
    platforms: tuple[str, ...],
    config: str | None,
    *,
    referrers: bool,
    in_json: bool,
) -> None:
    """Fetch images into the cache, whole: a REF is NAME, NAME:TAG or NAME@DIGEST, by the name that it has here.

    What is cached is not fetched again. The registry may serve meanwhile. The exit status is 1 if one of them cannot
    be fetched; the others are.
    """
    from registry.commands.proxy_pull import pull  # noqa: PLC0415  what fetches is loaded where it is asked for

    configuration = _open(load, config).configuration
    if configuration.storage.maintenance.readonly.enabled:
        raise click.ClickException("storage.maintenance.readonly is on: nothing can be kept")
    if not pull(configuration, references, Wanted(platforms, referrers), in_json=in_json):
        sys.exit(1)


@proxy_commands.command("check", epilog=examples("registry proxy check", "registry proxy check dockerhub"))
@click.argument("names", nargs=-1, metavar="[UPSTREAM]...", callback=_refuse_configuration)
@json_option
@config_option
@click.pass_obj
def check_command(load: LoadConfiguration, names: tuple[str, ...], config: str | None, *, in_json: bool) -> None:
    """Ask each UPSTREAM, by its name in proxies, or all, whether it can be reached, and takes the credentials.

    Nothing is pulled. Where an upstream tells how many pulls are left, that is said. The exit status is 1 if one of
    them cannot be used.
    """
    from registry.commands.proxy_check import check  # noqa: PLC0415  as above

    upstreams = _caching(load(config)).upstreams
    known = {each.name for each in upstreams}
    for name in names:
        if name not in known:
            raise click.ClickException(f"there is no upstream {name}: there {_are(sorted(known))}")
    if not check([each for each in upstreams if not names or each.name in names], in_json=in_json):
        sys.exit(1)


def _are(names: Sequence[str]) -> str:
    return f"is {names[0]}" if len(names) == 1 else f"are {', '.join(names) or 'none'}"


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


def _tell_go_registry(storage: Storage, usage: Usage) -> None:
    """Write what a Go registry that goes on with the storage needs to know, if this user may."""
    configuration = storage.configuration
    if configuration.storage.maintenance.readonly.enabled:
        return
    try:
        with as_owner(configuration.storage):
            write_scheduler_state(storage.driver, configuration.upstreams, usage)
    except DriverError as error:
        click.echo(f"Warning: {paths.SCHEDULER} cannot be written for the Go registry: {error}", err=True)


def _open(load: LoadConfiguration, config: str | None) -> Storage:
    storage = open_configured(load, config)
    _caching(storage.configuration)
    return storage


def _caching(configuration: Configuration) -> Configuration:
    """Return a configuration by which other registries are cached."""
    if not configuration.upstreams:
        file = configuration.origins.file
        raise click.ClickException(f"nothing is cached: {file} has neither proxies nor proxy.remoteurl")
    return configuration


@dataclass(frozen=True, slots=True)
class _Meant:
    """Repositories that somebody has named by a pattern; `name` is the canonical one, "" if that has wildcards."""

    glob: Glob
    name: str

    @property
    def text(self) -> str:
        return self.glob.text

    def matches(self, name: str) -> bool:
        return name == self.name or self.glob.matches(name)


def _meant(storage: Storage, patterns: Sequence[str]) -> list[_Meant]:
    routes = Routes.of(storage.configuration)
    try:
        return [_Meant(Glob.parse(each), _canonical(storage, routes, each)) for each in patterns]
    except ValueError as error:
        raise click.ClickException(f"{error}; write, for example, 'docker.example/library/*'") from error


def _canonical(storage: Storage, routes: Routes, name: str) -> str:
    """Return under which name a repository is kept that clients call `name`; "" if it is not the name of one."""
    try:
        place = routes.find(parse_name(name))
    except (NameInvalidError, NameUnknownError):
        return ""
    # As clients get it: a repository that was pushed wins over one of a default upstream.
    is_local = place.unless_local and storage.repositories.catalog.keeps(name)
    return name if is_local else place.name


def _is_meant(name: str, meant: Sequence[_Meant]) -> bool:
    return any(each.matches(name) for each in meant)


def _told(held: Held) -> dict[str, Any]:
    return asdict(held) | {"used": rfc3339(held.used)}
