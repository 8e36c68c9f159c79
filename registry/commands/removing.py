"""``registry rm``: tags, manifests and whole repositories."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from registry.commands.printing import print_json_array
from registry.commands.source import (
    errors_in_a_line,
    open_storage_of,
    parse_patterns,
    place_options,
    remote_source,
    storage_source,
)
from registry.inventory.removal import Removal, other_tags
from registry.inventory.source import InventoryError, NotThereError, OnlyManifestsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.commands.source import Place
    from registry.config import Configuration
    from registry.inventory.removal import Target
    from registry.inventory.source import Source

    LoadConfiguration = Callable[[str | None], Configuration]

_SHOWN: Final = 10


@click.command("rm", short_help="Delete tags, manifests or whole repositories.")
@click.argument("names", nargs=-1, required=True, metavar="NAME[:TAG|@DIGEST]...")
@click.option("--all-tags", is_flag=True, help="With a tag delete its manifest, and so all other tags of that.")
@click.option("-r", "--recursive", is_flag=True, help="With NAME also all repositories nested in it.")
@click.option("-n", "--dry-run", is_flag=True, help="Delete nothing, say what would go.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "in_json", is_flag=True, help="Print a JSON array of what went.")
@place_options
@click.pass_obj
def rm_command(  # noqa: PLR0913 - one for each option
    load: LoadConfiguration,
    names: tuple[str, ...],
    place: Place,
    *,
    all_tags: bool,
    recursive: bool,
    dry_run: bool,
    yes: bool,
    in_json: bool,
) -> None:
    """Delete a tag (NAME:TAG), a manifest with all its tags (NAME@DIGEST), or all of a repository (NAME).

    NAME and TAG may have wildcards ('ci/**', 'team/app:pr-*'). Where more than one tag goes you are asked first; in a
    script give --yes. Disk space is freed by the next `registry garbage-collect`. The exit status is 1 if something
    that was named is not there, before anything is deleted, or could not be deleted.
    """
    patterns = parse_patterns(names)
    if recursive:
        if not all(pattern.is_whole for pattern in patterns):
            raise click.UsageError("--recursive goes with whole repositories: NAME, without a tag or digest")
        patterns = [replace(pattern, nested=True) for pattern in patterns]
    source = _open(load, place)
    with errors_in_a_line(), Removal() as removal:
        for pattern in patterns:
            removal.add(source, pattern, with_manifests=all_tags)
        if dry_run:
            _print(removal.targets(), "would delete", in_json=in_json)
            return
        if not yes and not removal.is_small():
            _ask(removal)
        deletion = _Deletion(source)
        _print(deletion.of(removal.targets()), "deleted", in_json=in_json)
        if deletion.repositories:
            source.settle_removals(removal.repositories)
        if deletion.done:
            click.echo(_what_frees(place, untagged=deletion.untagged), err=True)
        if deletion.failed:
            sys.exit(1)


def _open(load: LoadConfiguration, place: Place) -> Source:
    if place.url is not None:
        return remote_source(place)
    storage = open_storage_of(load, place)
    if storage.configuration.storage.maintenance.readonly.enabled:
        raise click.ClickException("storage.maintenance.readonly is on: nothing is deleted")
    return storage_source(storage)


def _ask(removal: Removal) -> None:
    count = removal.count()
    if not sys.stdin.isatty():
        (first,) = removal.targets(1)
        more = f" and {count - 1} more" if count > 1 else ""
        raise click.ClickException(f"this would delete {first}{more}: give --yes, or see --dry-run")
    for target in removal.targets(_SHOWN):
        click.echo(str(target), err=True)
    if count > _SHOWN:
        click.echo(f"and {count - _SHOWN} more; --dry-run lists all", err=True)
    click.confirm(f"Delete {'this' if count == 1 else f'these {count}'}?", abort=True, err=True)


class _Deletion:
    """Deletes targets, one after the other; one that fails is told of and does not keep the others."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.done = self.failed = self.repositories = 0
        self.untagged = False
        """Whether a manifest may be left without a tag: that of a tag, or an image of an index, or a signature."""

    def of(self, targets: Iterator[Target]) -> Iterator[Target]:
        """Yield each target that was deleted."""
        for target in targets:
            try:
                target.remove_from(self._source)
            except NotThereError as error:
                click.echo(f"{error} any more", err=True)
            except OnlyManifestsError as error:
                self.failed += 1
                also = other_tags(self._source, target.repository, target.tag)
                click.echo(f"{error}; --all-tags deletes {also}", err=True)
            except InventoryError as error:
                self.failed += 1
                click.echo(str(error), err=True)
            else:
                self.done += 1
                self.untagged = self.untagged or bool(target.tag or target.digest)
                self.repositories += not (target.tag or target.digest)
                yield target


def _print(targets: Iterator[Target], verb: str, *, in_json: bool) -> None:
    if in_json:
        print_json_array(map(_row, targets))
    else:
        for target in targets:
            click.echo(f"{verb} {target}")


def _row(target: Target) -> dict[str, Any]:
    row: dict[str, Any] = {"repository": target.repository}
    if target.tag:
        return row | {"tag": target.tag}
    return row | ({"digest": target.digest} if target.digest else {}) | {"tags": target.tags}


def _what_frees(place: Place, *, untagged: bool) -> str:
    """Return what to type, where manifests may have been left without a tag (`untagged`) or none have."""
    command = "registry garbage-collect"
    where = " where its storage is," if place.url is not None else ""
    if untagged:
        command += " --delete-untagged"
    if place.url is None and place.config:
        command += f" {place.config}"
    warning = "; it deletes the untagged manifests of all repositories" if untagged else ""
    return f"disk space is freed{where} by: {command}{warning}"
