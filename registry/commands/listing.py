"""``registry ls`` and ``registry tags``: what is there."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import click

from registry.browsing.images import Images
from registry.browsing.repository import tag_rows
from registry.commands.printing import print_json_array
from registry.commands.source import errors_in_a_line, open_source, parse_patterns, place_options, repository_patterns
from registry.foundation.sizes import spelled
from registry.foundation.times import rfc3339
from registry.inventory.sorting import largest_first
from registry.inventory.source import NotThereError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.browsing.shapes import TagRow
    from registry.commands.source import Place
    from registry.config import Configuration
    from registry.inventory.patterns import Pattern
    from registry.inventory.source import Source

    LoadConfiguration = Callable[[str | None], Configuration]

_SHORT_HEX: Final = 12
_HEX: Final = 64
_NAME_WIDTH: Final = 24
_NEVER: Final = float("-inf")
_LOOKED_AT: Final = 100
"""Tags that are looked at together."""


@click.command("ls", short_help="List repositories, or the tags of some.")
@click.argument("names", nargs=-1, metavar="[REPOSITORY|PATTERN]...")
@click.option("-l", "--long", is_flag=True, help="Also how many tags there are, and when the last was pushed.")
@click.option("--json", "in_json", is_flag=True, help="Print a JSON array.")
@place_options
@click.pass_obj
def ls_command(load: LoadConfiguration, names: tuple[str, ...], place: Place, *, long: bool, in_json: bool) -> None:
    """List the repositories, those that match a PATTERN ('team/*', 'team/**'), or the tags of a REPOSITORY.

    The tags of a REPOSITORY are listed as NAME:TAG, and with -l as `registry tags` does. The exit status is 1 if there
    is no such repository.
    """
    patterns = repository_patterns(names)
    wild = [pattern for pattern in patterns if pattern.is_wild]
    if wild and len(wild) < len(patterns):
        raise click.UsageError("give patterns, or repositories without wildcards, not both")
    source = open_source(load, place)
    with errors_in_a_line():
        if patterns and not wild:
            _list_tags(source, patterns, long=long, in_json=in_json)
        else:
            _list_repositories(source, _matching(source, wild), long=long, in_json=in_json)


def _matching(source: Source, patterns: Sequence[Pattern]) -> Iterator[str]:
    """Yield the repositories that one of `patterns` means, or all if there are none."""
    found = False
    for repository in source.repositories():
        if not patterns or any(pattern.means(repository) for pattern in patterns):
            found = True
            yield repository
    if patterns and not found:
        raise NotThereError(f"no repository matches {' or '.join(pattern.text for pattern in patterns)}")


def _list_repositories(source: Source, found: Iterator[str], *, long: bool, in_json: bool) -> None:
    if in_json:
        print_json_array(_repository_row(source, each) if long else {"name": each} for each in found)
    elif not long:
        for repository in found:
            click.echo(repository)
    else:
        click.echo(f"{'TAGS':>7}  {'PUSHED (UTC)':16}  REPOSITORY")
        for repository in found:
            row = _repository_row(source, repository)
            click.echo(f"{row['tags']:>7}  {_short_time(row['pushed']):16}  {repository}")


def _repository_row(source: Source, repository: str) -> dict[str, Any]:
    count, last = 0, _NEVER
    for pushed in source.each(partial(source.pushed, repository), source.tags(repository)):
        count += 1
        last = max(last, pushed or _NEVER)
    return {"name": repository, "tags": count, "pushed": None if last == _NEVER else rfc3339(last)}


def _list_tags(source: Source, patterns: Sequence[Pattern], *, long: bool, in_json: bool) -> None:
    if long:
        _print_rows(_rows(source, patterns), in_json=in_json)
        return
    found = (each for pattern in patterns for each in pattern.tags(source))
    if in_json:
        print_json_array({"repository": repository, "tag": tag} for repository, tag in found)
    else:
        for repository, tag in found:
            click.echo(f"{repository}:{tag}")


@click.command("tags", short_help="List tags with digest, size, platforms and time.")
@click.argument("names", nargs=-1, required=True, metavar="REPOSITORY[:TAG]...")
@click.option(
    "--sort",
    type=click.Choice(["name", "pushed", "size"]),
    default="name",
    show_default=True,
    help="The last pushed, or the largest, first.",
)
@click.option("--full", is_flag=True, help="Print digests in full.")
@click.option("--json", "in_json", is_flag=True, help="Print a JSON array.")
@place_options
@click.pass_obj
def tags_command(  # noqa: PLR0913 - one for each option
    load: LoadConfiguration, names: tuple[str, ...], place: Place, *, sort: str, full: bool, in_json: bool
) -> None:
    """List the tags of repositories; REPOSITORY and TAG may have wildcards ('team/*:v1.*').

    SIZE is what a client pulls, for an index what all its images are together; what they share counts once. When a tag
    was pushed is not told with --url. The exit status is 1 if there is no such repository or tag.
    """
    patterns = parse_patterns(names)
    for pattern in patterns:
        if pattern.digest:
            raise click.ClickException(f"{pattern.text} is a manifest; name a repository or a tag")
    source = open_source(load, place)
    if sort == "pushed" and not source.tells_time:
        raise click.UsageError("over HTTP a registry does not tell when a tag was pushed: sort where its storage is")
    with errors_in_a_line():
        rows = _rows(source, patterns)
        if sort == "size":
            rows = largest_first((_NEVER if row["size"] is None else row["size"], row) for row in rows)
        elif sort == "pushed":
            rows = largest_first((_seconds(row["pushed"]), row) for row in rows)
        _print_rows(rows, in_json=in_json, full=full)


def _rows(source: Source, patterns: Sequence[Pattern]) -> Iterator[dict[str, Any]]:
    images = Images(source)
    for pattern in patterns:
        for repository, found in groupby(pattern.tags(source), key=itemgetter(0)):
            tags = map(itemgetter(1), found)
            while some := list(islice(tags, _LOOKED_AT)):
                yield from (_row(repository, row) for row in tag_rows(images, repository, some))


def _row(repository: str, found: TagRow) -> dict[str, Any]:
    return {
        "repository": repository,
        "tag": found.name,
        "digest": str(found.digest) if found.digest else None,
        "mediaType": found.media_type,
        "size": found.size,
        "platforms": list(found.platforms),
        "pushed": None if found.pushed is None else rfc3339(found.pushed),
    }


def _print_rows(rows: Iterator[dict[str, Any]], *, in_json: bool, full: bool = False) -> None:
    if in_json:
        print_json_array(rows)
        return
    width = _NAME_WIDTH
    digest_width = len("sha256:") + (_HEX if full else _SHORT_HEX)
    heading = f"{'PUSHED (UTC)':16}  {'SIZE':>10}  {'DIGEST':{digest_width}}  {'TAG':{width}}  PLATFORMS"
    for row in rows:
        if heading:
            click.echo(heading)
            heading = ""
        size = "-" if row["size"] is None else spelled(row["size"])
        digest = row["digest"] or "leads nowhere"
        digest = digest if full else digest[:digest_width]
        name = f"{row['repository']}:{row['tag']}"
        # Each line is printed as it is found, so the column grows when a longer name comes.
        width = max(width, len(name))
        columns = (f"{_short_time(row['pushed']):16}", f"{size:>10}", f"{digest:{digest_width}}", f"{name:{width}}")
        click.echo("  ".join([*columns, ",".join(row["platforms"]) or "-"]))


def _short_time(pushed: str | None) -> str:
    return pushed[:16].replace("T", " ") if pushed else "-"


def _seconds(pushed: str | None) -> float:
    return datetime.fromisoformat(pushed).timestamp() if pushed else _NEVER
