"""``registry audit``: who did what, and whether the log of it is what was written."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from registry.audit.reading import Wanted, records
from registry.audit.record import OUTCOMES, SEAL
from registry.audit.verification import verify
from registry.commands.layout import Group, examples, json_option
from registry.commands.moments import Moment
from registry.commands.printing import print_json_array
from registry.commands.progress import StatusLine
from registry.commands.source import config_option
from registry.foundation.globs import Glob
from registry.foundation.printable import printable
from registry.services import open_existing_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from registry.audit.verification import Verdict
    from registry.config import Configuration

    LoadConfiguration = Callable[[str | None], Configuration]

_HASH_LENGTH = 64
_SHOWN_HEX = 12


class _Repositories(click.ParamType[Glob]):
    name = "pattern"

    def convert(self, value: str | Glob, param: click.Parameter | None, context: click.Context | None) -> Glob:
        """Return the pattern."""
        try:
            return Glob.parse(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, context)


@click.group("audit", cls=Group)
def audit_commands() -> None:
    """Show who did what, and prove that the log of it was not changed."""


@audit_commands.command(
    "list",
    epilog=examples(
        "registry audit list --since 24h",
        "registry audit list --user alice --repository 'team/**' --json",
    ),
)
@click.option("--user", metavar="USER", help="Only what USER did, or somebody who claimed to be USER tried.")
@click.option("--repository", type=_Repositories(), metavar="PATTERN", help="Only in repositories such as 'team/**'.")
@click.option("--since", type=Moment(), metavar="TIME", help="From then on: so long ago (24h), or a time.")
@click.option("--until", type=Moment(), metavar="TIME", help="Before then.")
@click.option("--action", metavar="ACTION", help="Only this: push, pull, mount, delete, login and so on.")
@click.option("--outcome", type=click.Choice(OUTCOMES), help="Only what ended so.")
@json_option
@config_option
@click.pass_obj
def list_command(  # noqa: PLR0913 - one for each option
    load: LoadConfiguration,
    *,
    config: str | None,
    user: str | None,
    repository: Glob | None,
    since: int | None,
    until: int | None,
    action: str | None,
    outcome: str | None,
    in_json: bool,
) -> None:
    """List what was recorded, newest last; also what has happened just now."""
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since is not before --until")
    driver = open_existing_storage(load(config))
    wanted = Wanted(since, until, user, repository, action, outcome)
    found = (record for record in records(driver, wanted) if record.get("action") != SEAL)
    if in_json:
        print_json_array(found)
        return
    for record in found:
        click.echo(printable(printed_line(record)))


@audit_commands.command("verify", epilog=examples("registry audit verify", "registry audit verify --head HASH"))
@click.option("--head", metavar="HASH", default="", help="The hash of a line that has to be there, noted elsewhere.")
@json_option
@config_option
@click.pass_obj
def verify_command(load: LoadConfiguration, config: str | None, head: str, *, in_json: bool) -> None:
    """Tell whether any line was changed, removed, added or moved; the exit status is 1 if one was.

    Who can write to the storage can forge all of the log. So note the hash of the last line elsewhere now and then, or
    send the lines there (audit.stdout, audit.syslog): --head tells whether the log still has that line.
    """
    known_hash = head.lower()
    if head and (len(known_hash) != _HASH_LENGTH or not all(char in "0123456789abcdef" for char in known_hash)):
        raise click.BadParameter(f"{head!r} is not a hash of {_HASH_LENGTH} hexadecimal digits", param_hint="--head")
    driver = open_existing_storage(load(config))
    with StatusLine() as line:
        verdict = verify(driver, known_hash=known_hash, tell=lambda segment: line.show(f"verifying {segment}"))
    if in_json:
        click.echo(json.dumps(_told(verdict)))
    else:
        for finding in verdict.findings:
            click.echo(finding)
        if verdict.more:
            click.echo(f"and {verdict.more} more")
        click.echo(_summary(verdict), err=bool(verdict.findings))
    if verdict.findings:
        sys.exit(1)


def _told(verdict: Verdict) -> dict[str, object]:
    told: dict[str, object] = {"intact": not verdict.findings}
    told |= {name: getattr(verdict, name) for name in ("lines", "segments", "first", "seq", "hash")}
    found = [
        {"segment": each.segment or None, "line": each.line or None, "text": each.text} for each in verdict.findings
    ]
    return told | {"findings": found, "more": verdict.more}


def _summary(verdict: Verdict) -> str:
    what = f"{verdict.lines} lines in {verdict.segments} segments"
    if verdict.findings:
        return f"the audit log was changed; {what} were read"
    return (
        f"{what} are intact; the hash of the last line is {verdict.hash}" if verdict.lines else "there is no audit log"
    )


def printed_line(record: Mapping[str, Any]) -> str:
    """Return what is printed of a record."""
    return "  ".join(filter(None, _columns(record)))


def _columns(record: Mapping[str, Any]) -> Iterator[str]:
    yield str(record.get("time", ""))
    yield _who(record)
    yield f"{record.get('action', '')} {record.get('kind', '')}"
    yield _what(record)
    outcome = record.get("outcome", "")
    if outcome != "ok":
        why = filter(None, (record.get("rule"), record.get("code"), str(record.get("status", ""))))
        yield f"{outcome}: {', '.join(map(str, why))}"
    elif "rule" in record:
        yield str(record["rule"])
    if record.get("count", 1) != 1:
        yield f"{record['count']} times"
    details = record.get("details", {})
    yield ", ".join(f"{name} {value}" for name, value in details.items())


def _who(record: Mapping[str, Any]) -> str:
    claimed = record.get("claimed_user")
    name = record.get("actor") or (f"somebody as {claimed}" if claimed else "anonymous")
    return f"{name} at {record['client']}" if "client" in record else str(name)


def _what(record: Mapping[str, Any]) -> str:
    previous: Mapping[str, str] = record.get("previous", {})
    tags = [f":{tag}{_moved(previous.get(tag, ''), record)}" for tag in record.get("tags", ())]
    digest = record.get("digest", "")
    return f"{record.get('repository', '')}{' '.join(tags)}" + (f" {_short(digest)}" if digest else "")


def _moved(before: str, record: Mapping[str, Any]) -> str:
    """Return where a tag pointed before, where that is another manifest than now."""
    return f" (was {_short(before)})" if before and before != record.get("digest") else ""


def _short(digest: str) -> str:
    algorithm, _, digits = digest.partition(":")
    return f"{algorithm}:{digits[:_SHOWN_HEX]}"
