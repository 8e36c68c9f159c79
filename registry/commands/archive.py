"""``registry export`` and ``registry import``: repositories as one file, for places without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry.archive.exporting import write_archive
from registry.archive.importing import plan_import, publish
from registry.archive.layout import ArchiveError
from registry.archive.plan import plan_export
from registry.archive.reading import Archive
from registry.commands.layout import Command, examples, json_option
from registry.commands.operator import Person
from registry.commands.ownership import as_owner, journal_of
from registry.commands.progress import Count, Progress, StatusLine
from registry.commands.source import config_option, errors_in_a_line, open_configured, parse_patterns, storage_source
from registry.foundation.sizes import spelled
from registry.services import build_publishing, open_storage
from registry.storage.repository import Repositories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.config import Configuration
    from registry.inventory.patterns import Pattern
    from registry.inventory.source import Source

    LoadConfiguration = Callable[[str | None], Configuration]


@click.command(
    "export",
    cls=Command,
    short_help="Write repositories to a file.",
    epilog=examples(
        "registry export team/app app.tar                      # all its tags",
        "registry export team/app:v1 team/db:v7 release.tar    # two images",
        "registry export 'team/**' 'base:v1.*' some.tar        # what matches",
        "registry export --all --config /etc/registry.yml everything.tar",
    ),
)
@click.argument("images", nargs=-1, metavar="[NAME[:TAG]|PATTERN]...")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--all", "everything", is_flag=True, help="All tags of all repositories.")
@json_option
@config_option
@click.pass_obj
def export_command(  # noqa: PLR0913 - one for each option
    load: LoadConfiguration,
    images: tuple[str, ...],
    file: Path,
    config: str | None,
    *,
    everything: bool,
    in_json: bool,
) -> None:
    """Write repositories, straight from the storage, to FILE: an OCI image layout in a tar.

    NAME is all tags of a repository, NAME:TAG and NAME@DIGEST are one image; NAME and TAG may have wildcards ('team/*',
    'team/**:v1.*'), in quotes. Referrers (signatures, attestations) come along. An export that broke off goes on from
    FILE.part.
    """
    if everything == bool(images):
        raise click.UsageError("name images or a pattern, or --all, and then FILE")
    _require_file(file)
    storage = open_configured(load, config)
    repositories = storage.repositories
    if everything and not any(repositories.catalog.names()):
        raise click.ClickException("the registry is empty: there is nothing to export")
    patterns = parse_patterns(["**"] if everything else images)
    named = [pattern.text for pattern in patterns if not pattern.is_wild]
    wild = [pattern for pattern in patterns if pattern.is_wild]
    try:
        with errors_in_a_line(), StatusLine() as line:
            matched = _matched(storage_source(storage), wild)
            plan = plan_export(repositories, named, matched, Count(line, "manifests read").add)
        if not plan.entries:
            raise click.ClickException("there is nothing to export")
        with Progress(plan.size) as progress:
            write_archive(repositories, plan, file, progress)
    except ArchiveError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
    for tag in sorted(plan.dead_tags):
        click.echo(f"left out, as it leads to no manifest: {tag}", err=True)
    for tag in sorted(plan.schema1_tags):
        click.echo(f"left out, as it is an image of schema 1: {tag}", err=True)
    for digest, reason in sorted(plan.left_out.items()):
        click.echo(f"left out, as {reason}: {digest}", err=True)
    if in_json:
        told = {"entries": len(plan.entries), "blobs": len(plan.items), "bytes": plan.size}
        left_out = {str(digest): reason for digest, reason in plan.left_out.items()}
        tags = {"dead_tags": sorted(plan.dead_tags), "schema1_tags": sorted(plan.schema1_tags)}
        click.echo(json.dumps({**told, "left_out": left_out, **tags}))
    else:
        click.echo(f"{len(plan.entries)} entries, {len(plan.items)} blobs, {spelled(plan.size)}")


def _require_file(file: Path) -> None:
    """Return if an archive can be written to `file`: it is renamed to that, which would replace a device or a pipe."""
    if str(file) == "-" or (file.exists() and not file.is_file()):
        raise click.ClickException(f"{file} is not a regular file: what is written must be one that can be continued")
    if not file.parent.is_dir():
        raise click.ClickException(f"{file} cannot be written: No such file or directory")


def _matched(source: Source, patterns: Sequence[Pattern]) -> Iterator[tuple[str, str]]:
    """Yield repository and tag of what matches; "" for all tags of a repository."""
    for pattern in patterns:
        if pattern.digest:
            raise click.ClickException(f"{pattern.text}: a digest goes with the name of one repository")
        if pattern.is_whole:
            yield from ((repository, "") for repository in pattern.repositories(source))
        else:
            yield from pattern.tags(source)


@click.command(
    "import",
    cls=Command,
    epilog=examples(
        "registry import release.tar               # under the names in it",
        "registry import --as mirror/app app.tar   # under another name",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as", "name", metavar="NAME", help="The repository, for an archive that names none, or another.")
@json_option
@config_option
@click.pass_obj
def import_command(load: LoadConfiguration, file: Path, name: str | None, config: str | None, *, in_json: bool) -> None:
    """Publish the OCI image layout in FILE, a tar, straight into the storage.

    All of it is verified before anything is published. An import that broke off is simply done again: what is stored
    is not written twice.
    """
    if not file.is_file():
        raise click.ClickException(f"{file} is not a regular file: what comes from a pipe cannot be read in any order")
    configuration = load(config)
    driver = open_storage(configuration)
    repositories = Repositories(driver)
    publishing = build_publishing(configuration, driver, journal_of(configuration, driver), Person())
    try:
        with file.open("rb") as opened:
            archive = Archive(opened)
            with Progress(2 * archive.size) as progress:
                archive.verify(progress)
                planned = plan_import(archive, name)
                publish(repositories, publishing, archive, planned, progress)
    except ArchiveError as error:
        raise click.ClickException(f"{file}: {error}") from error
    finally:
        if publishing.quotas:
            with as_owner(configuration.storage):
                publishing.quotas.close()
    if in_json:
        told = [{"name": each.name, "tag": each.tag and str(each.tag), "digest": str(each.digest)} for each in planned]
        click.echo(json.dumps(told))
        return
    for each in planned:
        click.echo(f"{each.name}:{each.tag}" if each.tag else f"{each.name}@{each.digest}")
