"""``registry fsck``: what is damaged in a storage, and its repair."""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

import click

from drivers.base import DriverError
from registry.commands.layout import Command, examples, json_option
from registry.commands.ownership import as_owner
from registry.commands.printing import print_json_array
from registry.commands.progress import StatusLine
from registry.config.cached import Cached
from registry.foundation.globs import Glob
from registry.foundation.printable import printable
from registry.foundation.sizes import parse as parse_size
from registry.foundation.sizes import spelled
from registry.fsck.absences import Absences
from registry.fsck.check import Check, Status, Wish, policy_for
from registry.fsck.contents import Contents
from registry.fsck.losses import losses, missing_half
from registry.fsck.pacing import Pacer
from registry.fsck.scrubbed import settle
from registry.fsck.store import Store
from registry.redis.loading import load_descriptors
from registry.services import open_existing_storage, validation_policy
from registry.storage.descriptors import NoDescriptors
from registry.storage.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.fsck.check import Finding, Sum

    LoadConfiguration = Callable[[str | None], Configuration]

DAMAGED: Final = 3
HELD_UP: Final = 4
_SHOWN_SECONDS: Final = 0.1
_START: Final = re.compile("(?:(?:sha256|sha384|sha512):)?[0-9a-f]{1,128}")
_WORDS: Final = {
    Status.FOUND: "damaged",
    Status.REPAIRED: "repaired",
    Status.REMOVED: "removed",
    Status.HELD_UP: "waits",
    Status.FAILED: "damaged",
}


class _Rate(click.ParamType[int]):
    name = "rate"

    def convert(self, value: str | int, param: click.Parameter | None, context: click.Context | None) -> int:
        """Return the bytes a second."""
        if not isinstance(value, str):
            return value
        try:
            return parse_size(value)
        except ValueError:
            self.fail(f"{value!r} is not a number of bytes such as 50MiB", param, context)


class _Start(click.ParamType[str]):
    name = "digest"

    def convert(self, value: str, param: click.Parameter | None, context: click.Context | None) -> str:
        """Return the beginning of a digest, with its algorithm."""
        if not _START.fullmatch(value):
            self.fail(f"{value!r} is not the beginning of a digest such as sha256:7f", param, context)
        return value if ":" in value else f"sha256:{value}"


class _Repositories(click.ParamType[Glob]):
    name = "pattern"

    def convert(self, value: str | Glob, param: click.Parameter | None, context: click.Context | None) -> Glob:
        """Return the pattern."""
        if isinstance(value, Glob):
            return value
        try:
            return Glob.parse(value)
        except ValueError as error:
            self.fail(str(error), param, context)


@click.command(
    "fsck",
    cls=Command,
    epilog=examples(
        "registry fsck /etc/distribution/config.yml",
        "registry fsck --repair --prune --repository 'team/**' config.yml",
        "registry fsck --deep --rate 50MiB --json config.yml",
    ),
)
@click.option("--deep", is_flag=True, help="Read the bytes of all blobs, and compare them with their digests.")
@click.option("--repair", is_flag=True, help="Repair what can be repaired without losing anything.")
@click.option("--prune", is_flag=True, help="Repair, and remove tags and manifests that cannot be repaired.")
@click.option("--relink", is_flag=True, help="Repair, and let repositories have all that their manifests name.")
@click.option(
    "--repository",
    "globs",
    metavar="PATTERN",
    type=_Repositories(),
    multiple=True,
    help="Check repositories that match only, and of all blobs theirs; may be given again.",
)
@click.option("--force", is_flag=True, help="Repair although so much is lost that something may not be mounted.")
@click.option("--rate", metavar="SIZE", type=_Rate(), default=0, help="Read at most so many bytes a second: 50MiB.")
@click.option("--from", "start", metavar="DIGEST", type=_Start(), help="With --deep: begin here, sha256:7f.")
@json_option
@click.argument("config", required=False)
@click.pass_obj
def fsck_command(  # noqa: PLR0913 - one for each option
    load: LoadConfiguration,
    config: str | None,
    *,
    deep: bool,
    repair: bool,
    prune: bool,
    relink: bool,
    globs: tuple[Glob, ...],
    force: bool,
    rate: int,
    start: str | None,
    in_json: bool,
) -> None:
    """Look for damage in a storage: tags, manifests and blobs that lead nowhere or are not what they were.

    Nothing is changed without --repair. The registry may serve and take pushes meanwhile.

    The exit status is 0 if nothing is damaged any more, 3 if something is, 4 if a garbage collection runs, and 1 if the
    storage failed.
    """
    if start and not deep:
        raise click.UsageError("--from goes with --deep")
    configuration = load(config)
    driver = open_existing_storage(configuration)
    runs = Runs(driver)
    if (run := runs.read()).is_on:
        click.echo(f"a garbage collection runs on {printable(run.host) or 'a host'}: try again when it ends", err=True)
        raise click.exceptions.Exit(HELD_UP)
    meant = _Meant(globs)
    wish = Wish(
        deep=deep,
        start=start or "",
        repair=repair or prune or relink,
        prune=prune,
        is_meant=meant if globs else None,
        leftovers_before=time.time() - configuration.storage.maintenance.uploadpurging.age_seconds,
    )
    _require_both_halves(driver, wish, force=force)
    with (
        as_owner(configuration.storage) if wish.repair else nullcontext(),
        StatusLine() as line,
        Contents(driver, Pacer(rate), shown := _Shown(line)) as contents,
    ):
        policy = policy_for(driver, validation_policy(configuration))
        descriptors = load_descriptors(configuration, None) or NoDescriptors()
        store = Store(driver, contents, runs, descriptors, may_link_blobs=not policy.sparse, relinks=relink)
        absences = Absences(policy, Cached(configuration.upstreams))
        if wish.repair and not force:
            _require_most(store, absences, wish, shown)
        check = Check(store, absences, wish, shown.look)
        with _telling_where(check):
            _print(check, line, contents, wish, in_json=in_json)
        is_whole = deep and not start and not globs
        if wish.repair and is_whole and not check.sum.remaining:
            settle(driver)
    for text in meant.unmatched:
        click.echo(f"Error: no repository matches {text}", err=True)
    if check.sum.held_up:
        raise click.exceptions.Exit(HELD_UP)
    if check.sum.remaining:
        raise click.exceptions.Exit(DAMAGED)
    if meant.unmatched:
        raise click.exceptions.Exit(1)


class _Meant:
    """Tells whether any of `globs` matches a repository; `unmatched` are those that have not matched one yet."""

    def __init__(self, globs: tuple[Glob, ...]) -> None:
        self._globs = globs
        self.unmatched = [glob.text for glob in globs]

    def __call__(self, name: str) -> bool:
        matching = [glob.text for glob in self._globs if glob.matches(name)]
        if self.unmatched and matching:
            self.unmatched = [text for text in self.unmatched if text not in matching]
        return bool(matching)


def _require_both_halves(driver: StorageDriver, wish: Wish, *, force: bool) -> None:
    """Fail if there are no blobs or no repositories at all: that is not damage of some of them.

    Where blobs only are missing, a check that changes nothing tells what is.
    """
    missing = missing_half(driver)
    if missing and not force and (wish.repair or not missing.startswith("there are repositories")):
        raise click.ClickException(f"{missing}: is all of the storage mounted? --force checks it as it is")


def _require_most(store: Store, absences: Absences, wish: Wish, shown: _Shown) -> None:
    """Fail if so much is lost that what is missing may only be somewhere else."""
    with Contents(store.driver, Pacer(), shown) as contents:
        lost = losses(replace(store, contents=contents), absences, wish, shown.look)
    if lost:
        raise click.ClickException(
            f"{lost}, so nothing was changed: is all of the storage mounted? --force repairs and removes"
        )


class _Shown:
    """Shows on the last line of a terminal how much was read, and what is looked at."""

    def __init__(self, line: StatusLine) -> None:
        self._line = line
        self._read = 0
        self._told = time.monotonic()

    def advance(self, size: int, what: str) -> None:
        """Note that `size` more bytes of `what` were read."""
        self._read += size
        self.look(what)

    def look(self, what: str) -> None:
        """Show what is looked at."""
        now = time.monotonic()
        if self._line.visible and now - self._told >= _SHOWN_SECONDS:
            self._told = now
            self._line.show(f"{spelled(self._read)} read: {what}")


@contextmanager
def _telling_where(check: Check) -> Iterator[None]:
    """Say how to go on with a deep check that is stopped, or breaks off."""
    try:
        yield
    except (KeyboardInterrupt, DriverError):
        if check.at and not check.has_read_all:
            click.echo(f"to go on from here: --from {check.at}", err=True)
        raise


def _print(check: Check, line: StatusLine, contents: Contents, wish: Wish, *, in_json: bool) -> None:
    if in_json:
        print_json_array(map(_row, check.run()), before='{"findings": ', after="")
        click.echo(f', "summary": {json.dumps(_summary(check.sum, contents))}}}')
        return
    for finding in check.run():
        line.clear()
        click.echo(printable(_line(finding, wish)))
    line.clear()
    for text in _closing(check.sum, contents):
        click.echo(text)


def _row(finding: Finding) -> dict[str, Any]:
    damage = finding.damage
    return {
        "kind": damage.kind,
        "damage": damage.is_damage,
        "status": finding.status,
        "error": finding.error,
        "repository": damage.repository,
        "where": damage.where,
        "tags": list(damage.affected.tags),
        "more_tags": damage.affected.more,
        "text": damage.text,
        "advice": damage.advice,
    }


def _summary(found: Sum, contents: Contents) -> dict[str, int]:
    return {
        "damaged": found.damaged,
        "repaired": found.repaired,
        "removed": found.removed,
        "remaining": found.remaining,
        **asdict(found.tally),
        "read": contents.read_bytes,
    }


def _line(finding: Finding, wish: Wish) -> str:
    damage, status = finding.damage, finding.status
    word = "note" if status is Status.FOUND and not damage.is_damage else _WORDS[status]
    tags = f" ({damage.affected})" if damage.affected.tags and "@" in damage.where else ""
    return f"{word}: {damage.where}: {damage.text}{tags}{_rest(finding, wish)}"


def _rest(finding: Finding, wish: Wish) -> str:
    if finding.status in {Status.REPAIRED, Status.REMOVED}:
        return ""
    if finding.status is Status.HELD_UP:
        return "; a garbage collection runs"
    if finding.status is Status.FAILED:
        return f"; this could not be done: {finding.error}"
    if wish.repair and finding.damage.advice.startswith("--repair"):
        return "; this could not be repaired"
    return f"; {finding.damage.advice}"


def _closing(found: Sum, contents: Contents) -> Iterator[str]:
    """Yield what was looked at, and what came of it."""
    tally = found.tally
    looked = f"{tally.repositories} repositories, {tally.tags} tags, {tally.manifests} manifests"
    blobs = f", {tally.blobs} blobs of {spelled(tally.size)}" if tally.blobs else ""
    yield f"{looked}{blobs} looked at; {spelled(contents.read_bytes)} read"
    if tally.unread_manifests:
        yield f"{tally.unread_manifests} manifests were not understood (schema 1); what they name was not looked at"
    if tally.unused_links:
        yield f"{tally.unused_links} links to blobs that no manifest names: registry garbage-collect removes them"
    if tally.purged:
        yield f"{tally.purged} files and uploads that interrupted work has left were removed"
    if tally.foreign:
        yield f"{tally.foreign} files among the blobs are not the registry's, and were passed over"
    if not found.damaged:
        yield "nothing is damaged" if tally.repositories or tally.blobs else "nothing was looked at"
    else:
        done = f"{found.repaired} repaired, {found.removed} removed, {found.remaining} remain"
        yield f"{found.damaged} damaged: {done}"
