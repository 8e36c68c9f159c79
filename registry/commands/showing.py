"""``registry show``: a repository, or all that there is to be known of a manifest."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

import click

from registry.browsing.images import Images
from registry.browsing.manifest import details
from registry.browsing.referrers import references
from registry.browsing.repository import tags_page
from registry.browsing.spelling import spelled as as_json
from registry.commands.source import errors_in_a_line, open_source, parse_patterns, place_options
from registry.foundation.printable import printable
from registry.foundation.sizes import spelled
from registry.foundation.times import rfc3339
from registry.inventory.source import NotThereError
from registry.oci.reference import Tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from registry.browsing.repository import Sort
    from registry.browsing.shapes import Details, Reference, Step, Variant
    from registry.commands.source import Place
    from registry.config import Configuration
    from registry.inventory.patterns import Pattern
    from registry.inventory.source import Source
    from registry.oci.digest import Digest

    LoadConfiguration = Callable[[str | None], Configuration]

_LAST_PUSHED: Final = 10
_LABEL_WIDTH: Final = 18
_SHORT_DIGEST: Final = len("sha256:") + 12


@click.command("show", short_help="Show a repository, or what is in an image.")
@click.argument("name", metavar="REPOSITORY[:TAG|@DIGEST]")
@click.option("--json", "in_json", is_flag=True, help="Print JSON, for scripts.")
@click.option("--raw", is_flag=True, help="Print the manifest itself, byte for byte.")
@place_options
@click.pass_obj
def show_command(load: LoadConfiguration, name: str, place: Place, *, in_json: bool, raw: bool) -> None:
    """Show how many tags a REPOSITORY has and which were pushed last, or what the manifest of a tag or digest says.

    That is an image's configuration, its history as lines of a Dockerfile beside the layers that they made, the
    platforms of an index, and what refers to it: signatures, which are not verified, bills of materials, attestations.
    The exit status is 1 if it is not there.
    """
    (pattern,) = parse_patterns([name])
    if pattern.is_wild:
        raise click.ClickException(f"{pattern.text} may be many; name one repository, tag or manifest")
    if pattern.is_whole and raw:
        raise click.UsageError("--raw goes with a manifest: REPOSITORY:TAG or REPOSITORY@DIGEST")
    if in_json and raw:
        raise click.UsageError("give --json or --raw, not both")
    source = open_source(load, place)
    with errors_in_a_line():
        if raw:
            sys.stdout.buffer.write(_raw(source, pattern))
        elif pattern.is_whole:
            _show_repository(source, str(pattern.name), in_json=in_json)
        else:
            _show_manifest(source, pattern, in_json=in_json)


def _reference(pattern: Pattern) -> Tag | Digest:
    return pattern.digest or Tag(str(pattern.tag))


def _raw(source: Source, pattern: Pattern) -> bytes:
    name = str(pattern.name)
    digest = pattern.digest or source.target(name, str(pattern.tag))
    stored = source.manifest(name, digest) if digest else None
    if stored is None:
        raise NotThereError(f"there is no {pattern.text}")
    return stored.content


def _show_repository(source: Source, name: str, *, in_json: bool) -> None:
    sort: Sort = "-pushed" if source.tells_time else "name"
    page = tags_page(Images(source), name, limit=_LAST_PUSHED, sort=sort)
    total = sum(1 for _ in source.tags(name)) if page.total is None else page.total
    if in_json:
        click.echo(json.dumps({"repository": name, "tags": total, "sort": page.sort, "rows": as_json(page.rows)}))
        return
    _print_pairs([("Repository", name), ("Tags", str(total))])
    if not page.rows:
        return
    what = "The last pushed:" if page.sort == "-pushed" else "Tags:" if page.following is None else "The first tags:"
    rows = [
        (
            _moment(row.pushed),
            "-" if row.size is None else spelled(row.size),
            _short(row.digest) if row.digest else "leads nowhere",
            row.name,
            ",".join(row.platforms) or "-",
        )
        for row in page.rows
    ]
    _print_table(what, ("PUSHED (UTC)", ">SIZE", "DIGEST", "TAG", "PLATFORMS"), rows)


def _show_manifest(source: Source, pattern: Pattern, *, in_json: bool) -> None:
    name = str(pattern.name)
    found = details(Images(source), name, _reference(pattern))
    if found is None:
        raise NotThereError(f"there is no {pattern.text}")
    referring = references(source, name, found.digest)
    if in_json:
        click.echo(json.dumps({"manifest": as_json(found), "references": as_json(referring)}))
        return
    _print_pairs(_facts(found))
    variants = [
        ("attestation" if each.is_attestation else each.platform or "-", str(each.digest) + _missing(each))
        for each in found.variants
    ]
    _print_table("Platforms:", ("PLATFORM", "DIGEST"), variants)
    if found.steps:
        _print_table("History:", (">SIZE", "LAYER", "INSTRUCTION"), map(_step, found.steps))
    else:
        layers = [(spelled(each.size), _short(each.digest), each.media_type, each.title) for each in found.layers]
        _print_table("Content:", (">SIZE", "DIGEST", "TYPE", "FILE"), layers)
    _print_table("Referred to by (present, not verified):", ("WHAT", "TYPE", "DIGEST"), _referrers(referring.roots))
    if found.cut or referring.cut:
        click.echo("\nThere is more than is shown.")


def _facts(found: Details) -> Iterator[tuple[str, str]]:
    """Yield what is said of a manifest in a line each; what is "" is left out."""
    config = found.config
    yield "Manifest", f"{found.repository}:{found.tag}" if found.tag else f"{found.repository}@{found.digest}"
    yield "Digest", str(found.digest)
    yield "Kind", found.kind
    yield "Media type", found.media_type
    yield "Artifact type", found.artifact_type if found.kind == "artifact" else ""
    yield "Size", "" if found.total is None else spelled(found.total)
    yield "Pushed", "" if found.pushed is None else rfc3339(found.pushed)
    yield "Subject", str(found.subject or "")
    if config:
        yield "Platform", "/".join(filter(None, (config.os, config.architecture)))
        yield "Created", config.created
        yield "Author", config.author
        yield "User", config.user
        yield "Working directory", config.working_directory
        yield "Entrypoint", json.dumps(config.entrypoint, ensure_ascii=False) if config.entrypoint else ""
        yield "Command", json.dumps(config.command, ensure_ascii=False) if config.command else ""
        yield "Ports", ", ".join(config.ports)
        yield "Volumes", ", ".join(config.volumes)
        yield "Stop signal", config.stop_signal
        yield "Environment", "\n".join(config.environment)
    yield "Labels", _listed(found.labels)
    yield "Annotations", _listed(found.annotations)


def _listed(table: Mapping[str, str] | None) -> str:
    return "\n".join(f"{key}={value}" for key, value in (table or {}).items())


def _step(step: Step) -> tuple[str, ...]:
    layer = step.layer
    return (spelled(layer.size) if layer else "-", _short(layer.digest) if layer else "-", step.instruction)


def _missing(variant: Variant) -> str:
    return "" if variant.is_here else ", which is not here"


def _referrers(referring: Sequence[Reference], indent: str = "") -> Iterator[tuple[str, ...]]:
    for each in referring:
        yield indent + each.kind, each.artifact_type or each.media_type, str(each.digest)
        yield from _referrers(each.nested, f"{indent}  ")


def _short(digest: Digest) -> str:
    return str(digest)[:_SHORT_DIGEST]


def _moment(pushed: float | None) -> str:
    return "-" if pushed is None else rfc3339(pushed)[:16].replace("T", " ")


def _print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and texts of strangers, which may have several lines."""
    for label, text in pairs:
        for number, line in enumerate(_lines(text)):
            click.echo(f"{'' if number else label:{_LABEL_WIDTH}}  {line}")


def _print_table(title: str, heading: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of texts of strangers, if there are any; a column whose heading begins with ">" is set to the right.

    The last text of a row may have several lines.
    """
    texts = [[*map(printable, row[:-1]), row[-1]] for row in rows]
    if not texts:
        return
    table = [[each.removeprefix(">") for each in heading], *texts]
    widths = [max(len(row[at]) for row in table) for at in range(len(heading) - 1)]
    click.echo(f"\n{title}")
    for row in table:
        columns = [
            f"{text:{'>' if head.startswith('>') else '<'}{width}}"
            for text, head, width in zip(row, heading, widths, strict=False)
        ]
        before = "  ".join(["", *columns])
        for number, line in enumerate(_lines(row[-1]) or [""]):
            click.echo(f"{' ' * len(before) if number else before}  {line}".rstrip())


def _lines(text: str) -> list[str]:
    """Return the lines of a text, each as a terminal may have it."""
    return [printable(line) for line in text.expandtabs(4).splitlines()]
