"""``registry du``: which repository takes how much of the disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click

from registry.commands.printing import print_json_array
from registry.commands.progress import Count, StatusLine
from registry.commands.source import (
    errors_in_a_line,
    open_storage_of,
    place_options,
    remote_source,
    repository_patterns,
)
from registry.foundation.sizes import spelled
from registry.inventory.source import InventoryError, NotThereError
from registry.inventory.usage import Usage, measure_source, measure_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.commands.source import Place
    from registry.config import Configuration
    from registry.inventory.patterns import Pattern
    from registry.inventory.source import Source
    from registry.inventory.usage import RepositoryUsage

    LoadConfiguration = Callable[[str | None], Configuration]

_COLUMN: Final = 10


@click.command("du", short_help="Show which repository takes how much disk space.")
@click.argument("names", nargs=-1, metavar="[REPOSITORY|PATTERN]...")
@click.option(
    "--sort", type=click.Choice(["name", "size"]), default="name", show_default=True, help="By size: the largest first."
)
@click.option("-b", "--bytes", "exact", is_flag=True, help="Print numbers of bytes.")
@click.option("--json", "in_json", is_flag=True, help="Print JSON, with numbers of bytes.")
@place_options
@click.pass_obj
def du_command(  # noqa: PLR0913 - one for each option
    load: LoadConfiguration, names: tuple[str, ...], place: Place, *, sort: str, exact: bool, in_json: bool
) -> None:
    """Show the size of repositories: what no other has (UNIQUE), what others have too (SHARED), and both (TOTAL).

    A REPOSITORY may be a pattern: 'team/*', 'team/**'. On a storage that is all that a repository links. With --url it
    is what tags lead to; every manifest is fetched. The exit status is 1 if there is no such repository.
    """
    patterns = repository_patterns(names)
    with errors_in_a_line(), Usage(lambda name: not patterns or _is_meant(name, patterns)) as usage:
        with StatusLine() as line:
            tell = Count(line, "looked at").add
            if place.url is None:
                storage = open_storage_of(load, place)
                measure_storage(storage.driver, storage.repositories.catalog, usage, tell)
            else:
                source = remote_source(place)
                measure_source(source, _all_or_named(source, patterns), usage, tell)
            usage.sum_up()
        for pattern in patterns:
            if not any(pattern.means(found.name) for found in usage.repositories(largest_first=False)):
                raise NotThereError(f"no repository {'matches' if pattern.is_wild else 'is called'} {pattern.text}")
        summary = _summary(usage, with_unlinked=place.url is None and not patterns)
        rows = usage.repositories(largest_first=sort == "size")
        if in_json:
            told = ({"name": row.name, "unique": row.unique, "shared": row.shared, "total": row.total} for row in rows)
            print_json_array(told, before='{"repositories": ', after=f", {json.dumps(summary)[1:]}\n")
        else:
            _print_table(rows, summary, spell=str if exact else spelled)


def _is_meant(name: str, patterns: Sequence[Pattern]) -> bool:
    return any(pattern.means(name) for pattern in patterns)


def _all_or_named(source: Source, patterns: Sequence[Pattern]) -> Iterator[str]:
    """Yield the repositories of the catalog, and those of `patterns` that are not in it or if it may not be read."""
    named = {pattern.text for pattern in patterns if not pattern.is_wild}
    try:
        for name in source.repositories():
            named.discard(name)
            yield name
    except InventoryError as error:
        if not patterns or any(pattern.is_wild for pattern in patterns):
            raise
        click.echo(f"{error}; UNIQUE is among the repositories that were named", err=True)
    yield from sorted(filter(source.exists, named))


def _summary(usage: Usage, *, with_unlinked: bool) -> dict[str, int]:
    summary = {"total": usage.chosen_size()}
    if with_unlinked:
        blobs, size = usage.unlinked()
        summary |= {"unlinked_blobs": blobs, "unlinked": size}
    return summary


def _print_table(rows: Iterator[RepositoryUsage], summary: dict[str, int], spell: Callable[[int], str]) -> None:
    click.echo(f"{'UNIQUE':>{_COLUMN}}  {'SHARED':>{_COLUMN}}  {'TOTAL':>{_COLUMN}}  REPOSITORY")
    for row in rows:
        sizes = "  ".join(f"{spell(size):>{_COLUMN}}" for size in (row.unique, row.shared, row.total))
        click.echo(f"{sizes}  {row.name}")
    click.echo(f"{spell(summary['total']):>{3 * _COLUMN + 4}}  in all; what is shared counts once")
    if summary.get("unlinked"):
        freed = f"in {summary['unlinked_blobs']} blobs of no repository: registry garbage-collect frees them"
        click.echo(f"{spell(summary['unlinked']):>{3 * _COLUMN + 4}}  {freed}")
