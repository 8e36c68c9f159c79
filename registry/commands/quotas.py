"""``registry usage``: how much of the quotas is used, and by which repositories."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from registry.commands.layout import Command, examples, json_option
from registry.commands.ownership import as_owner
from registry.commands.printing import print_json_array
from registry.commands.progress import Count, StatusLine
from registry.commands.source import config_option, open_configured
from registry.config.cached import Cached
from registry.foundation.sizes import spelled
from registry.foundation.times import rfc3339
from registry.inventory.usage import Usage, measure_storage
from registry.oci.errors import NameInvalidError
from registry.oci.reference import is_below, parse_name
from registry.quota.groups import Groups
from registry.quota.recount import WRITTEN_SECONDS, holds_anything, recount
from registry.quota.standing import standings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.commands.source import Storage
    from registry.config import Configuration
    from registry.inventory.usage import RepositoryUsage
    from registry.quota.standing import Standing

    LoadConfiguration = Callable[[str | None], Configuration]

_COLUMN: Final = 10


@click.command(
    "usage",
    cls=Command,
    short_help="Show how much of the quotas is used, and by which repositories.",
    epilog=examples(
        "registry usage                 # all quotas, all repositories",
        "registry usage team            # those called team and below",
        "registry usage --recount       # after large deletions",
    ),
)
@click.argument("prefix", required=False)
@click.option("--recount", "counts", is_flag=True, help="Count first what the repositories of all quotas have.")
@click.option("-b", "--bytes", "exact", is_flag=True, help="Print numbers of bytes.")
@json_option
@config_option
@click.pass_obj
def usage_command(  # noqa: PLR0913 - one for each option
    load: LoadConfiguration, prefix: str | None, config: str | None, *, counts: bool, exact: bool, in_json: bool
) -> None:
    """Show how much of each quota is used, and what the repositories have: tags, manifests, bytes.

    PREFIX is a repository; those nested in its name are shown as well. UNIQUE is what no other repository has, LOGICAL
    all that a repository links. Deletions make room in a quota when it is counted: every day by the server, or with
    --recount, which may be done while the registry is in use.
    """
    name = _checked(prefix)
    storage = open_configured(load, config)
    if counts:
        _recount(storage)
    with Usage(lambda repository: is_below(repository, name)) as usage:
        with StatusLine() as line:
            measure_storage(storage.driver, storage.repositories.catalog, usage, Count(line, "looked at").add)
        usage.sum_up()
        quotas = storage.configuration.storage.maintenance.quotas
        found = (row.name for row in usage.repositories(largest_first=False))
        told = list(standings(storage.driver, quotas, found if name else None))
        rows = usage.repositories(largest_first=False)
        if in_json:
            before = f'{{"quotas": {json.dumps(list(map(_told, told)))}, "repositories": '
            print_json_array(map(_told_of_repository, rows), before=before, after="}\n")
        else:
            _print_tables(told, rows, spell=str if exact else spelled)


def _checked(prefix: str | None) -> str:
    try:
        return parse_name(prefix.rstrip("/")) if prefix else ""
    except NameInvalidError as error:
        raise click.ClickException(f"{prefix} is not the name of a repository: {error.message}") from error


def _recount(storage: Storage) -> None:
    maintenance = storage.configuration.storage.maintenance
    if maintenance.readonly.enabled:
        raise click.ClickException("storage.maintenance.readonly is on: nothing is counted, as that is written down")
    groups = Groups(maintenance.quotas, Cached(storage.configuration.upstreams))
    if not maintenance.quotas or not holds_anything(storage.driver):
        return
    with StatusLine() as line:
        line.show("waiting until servers have written down what was pushed")
        time.sleep(WRITTEN_SECONDS)
        line.show("counting")
        writing = partial(as_owner, storage.configuration.storage)
        recount(storage.driver, groups, list(groups), writing=writing)


def _told(standing: Standing) -> dict[str, object]:
    counted = None if standing.counted is None else rfc3339(standing.counted)
    figures = {"limit": standing.limit, "used": standing.used, "percent": standing.percent}
    return {"quota": standing.quota, **figures, "counted": counted}


def _told_of_repository(row: RepositoryUsage) -> dict[str, object]:
    counts = {"tags": row.tags, "manifests": row.manifests}
    return {"name": row.name, **counts, "unique": row.unique, "logical": row.total}


def _print_tables(told: list[Standing], rows: Iterator[RepositoryUsage], spell: Callable[[int], str]) -> None:
    if told:
        click.echo(f"{'USED':>{_COLUMN}}  {'LIMIT':>{_COLUMN}}  {'PERCENT':>7}  QUOTA")
    for each in told:
        note = "" if each.counted else "  (never counted: registry usage --recount)"
        figures = f"{spell(each.used):>{_COLUMN}}  {spell(each.limit):>{_COLUMN}}  {each.percent:>7}"
        click.echo(f"{figures}  {each.quota}{note}")
    if told:
        click.echo()
    click.echo(f"{'UNIQUE':>{_COLUMN}}  {'LOGICAL':>{_COLUMN}}  {'MANIFESTS':>9}  {'TAGS':>7}  REPOSITORY")
    for row in rows:
        sizes = f"{spell(row.unique):>{_COLUMN}}  {spell(row.total):>{_COLUMN}}"
        click.echo(f"{sizes}  {row.manifests:>9}  {row.tags:>7}  {row.name}")
