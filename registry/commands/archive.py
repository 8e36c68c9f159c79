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
from registry.commands.progress import Count, Progress, StatusLine
from registry.foundation.sizes import spelled
from registry.publishing import Operator
from registry.services import build_services

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.config import Configuration

    LoadConfiguration = Callable[[str | None], Configuration]

_config_option = click.option("--config", metavar="FILE", help="The registry's configuration; by default as for serve.")


@click.command(
    "export",
    cls=Command,
    epilog=examples(
        "registry export team/app app.tar                      # all its tags",
        "registry export team/app:v1 team/db:v7 release.tar    # two images",
        "registry export --config /etc/registry.yml team/app@sha256:... app.tar",
    ),
)
@click.argument("images", nargs=-1, required=True, metavar="NAME[:TAG]...")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@_config_option
@click.pass_obj
def export_command(
    load: LoadConfiguration, images: tuple[str, ...], file: Path, config: str | None, *, in_json: bool
) -> None:
    """Write repositories, straight from the storage, to FILE: an OCI image layout in a tar.

    NAME is all tags of a repository, NAME:TAG and NAME@DIGEST are one image; referrers (signatures, attestations) come
    along. An export that broke off goes on from FILE.part.
    """
    repositories = build_services(load(config)).repositories
    try:
        with StatusLine() as line:
            plan = plan_export(repositories, images, Count(line, "manifests read").add)
        with Progress(plan.size) as progress:
            write_archive(repositories, plan, file, progress)
    except ArchiveError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
    for tag in sorted(plan.dead_tags):
        click.echo(f"left out, as it leads to no manifest: {tag}", err=True)
    for digest, reason in sorted(plan.left_out.items()):
        click.echo(f"left out, as {reason}: {digest}", err=True)
    if in_json:
        told = {"entries": len(plan.entries), "blobs": len(plan.items), "bytes": plan.size}
        left_out = {str(digest): reason for digest, reason in plan.left_out.items()}
        click.echo(json.dumps({**told, "left_out": left_out, "dead_tags": sorted(plan.dead_tags)}))
    else:
        click.echo(f"{len(plan.entries)} entries, {len(plan.items)} blobs, {spelled(plan.size)}")


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
@_config_option
@click.pass_obj
def import_command(load: LoadConfiguration, file: Path, name: str | None, config: str | None, *, in_json: bool) -> None:
    """Publish the OCI image layout in FILE, a tar, straight into the storage.

    All of it is verified before anything is published. An import that broke off is simply done again: what is stored
    is not written twice.
    """
    if not file.is_file():
        raise click.ClickException(f"{file} is not a regular file: what comes from a pipe cannot be read in any order")
    services = build_services(load(config))
    try:
        with file.open("rb") as opened:
            archive = Archive(opened)
            with Progress(2 * archive.size) as progress:
                archive.verify(progress)
                planned = plan_import(archive, name)
                publish(services.repositories, services.publishing(Operator()), archive, planned, progress)
    except ArchiveError as error:
        raise click.ClickException(f"{file}: {error}") from error
    if in_json:
        told = [{"name": each.name, "tag": each.tag and str(each.tag), "digest": str(each.digest)} for each in planned]
        click.echo(json.dumps(told))
        return
    for each in planned:
        click.echo(f"{each.name}:{each.tag}" if each.tag else f"{each.name}@{each.digest}")
