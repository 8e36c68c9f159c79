"""``registry retention``: which tags stay, and taking the others away."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import click

from registry.commands.layout import Group, examples, json_option
from registry.commands.operator import Automaton
from registry.commands.ownership import as_owner, journal_of
from registry.commands.printing import print_json_array
from registry.commands.progress import Count, StatusLine
from registry.commands.retention_runs import list_command, row_of, show_command, undo_command
from registry.commands.source import Storage, config_option, open_configured, repository_patterns
from registry.config.cached import Cached
from registry.foundation.times import rfc3339
from registry.jobs.cluster import member_name
from registry.retention.jobs import ACTOR
from registry.retention.plan import Plan
from registry.retention.reports import Refused, Reports, Untagged
from registry.retention.untagging import Untagging
from registry.services import build_publishing
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from registry.config import Configuration
    from registry.inventory.patterns import Pattern
    from registry.retention.plan import Judged

    LoadConfiguration = Callable[[str | None], Configuration]

_KEY: Final = "storage.maintenance.retention"


@click.group("retention", cls=Group)
def retention_commands() -> None:
    """Take away tags that are too old or too many, by the rules of storage.maintenance.retention."""


retention_commands.add_command(list_command)
retention_commands.add_command(show_command)
retention_commands.add_command(undo_command)


@retention_commands.command(
    "plan", epilog=examples("registry retention plan", "registry retention plan 'ci/**' --json")
)
@click.argument("names", nargs=-1, metavar="[REPOSITORY|PATTERN]...")
@json_option
@config_option
@click.pass_obj
def plan_command(load: LoadConfiguration, names: tuple[str, ...], config: str | None, *, in_json: bool) -> None:
    """Say of each tag whether it stays, because of which entry of its rule, or goes. Nothing is changed.

    A REPOSITORY may be a pattern: 'team/*', 'team/**'. The exit status is 1 if there is no such repository.
    """
    storage, patterns = _opened(load, config), repository_patterns(names)
    outcome = _Outcome(storage)
    with _planned(storage, time.time()) as plan:
        judged = outcome.counted(plan.judged(_chosen(patterns)))
        if in_json:
            print_json_array(row for each in judged for row in _rows(each))
        else:
            for each in judged:
                _print_verdicts(each)
    outcome.conclude(patterns, "would go")


@retention_commands.command(
    "run", epilog=examples("registry retention run --dry-run", "registry retention run 'ci/**' --force")
)
@click.argument("names", nargs=-1, metavar="[REPOSITORY|PATTERN]...")
@click.option(
    "-n/ ",
    "--dry-run/--no-dry-run",
    default=None,
    help=f"Take nothing away, say what would go. By default as {_KEY}.dryrun says.",
)
@click.option("--force", is_flag=True, help="Take away more of a repository's tags than maxshare allows, too.")
@json_option
@config_option
@click.pass_obj
def run_command(  # noqa: PLR0913 - one for each option
    load: LoadConfiguration,
    names: tuple[str, ...],
    config: str | None,
    *,
    dry_run: bool | None,
    force: bool,
    in_json: bool,
) -> None:
    """Take away the tags that no rule keeps. Their manifests stay: the garbage collection decides on those.

    A REPOSITORY may be a pattern: 'team/*', 'team/**'. One of whose tags more would go than maxshare allows is left as
    it is; the exit status is 1 then. What a run has taken away, `registry retention undo` gives back.
    """
    storage, patterns = _opened(load, config), repository_patterns(names)
    maintenance = storage.configuration.storage.maintenance
    outcome = _Outcome(storage, forced=force)
    if maintenance.retention.dryrun if dry_run is None else dry_run:
        with _planned(storage, time.time()) as plan:
            _print_gone(outcome.going(plan, patterns), "would untag", outcome, in_json=in_json)
        outcome.conclude(patterns, "would go")
        if dry_run is None:
            click.echo(f"{_KEY}.dryrun is on; --no-dry-run takes them away, or set it to false", err=True)
    elif maintenance.readonly.enabled:
        raise click.ClickException("storage.maintenance.readonly is on: no tag is taken away")
    else:
        with as_owner(storage.configuration.storage):
            untagging = _begun(storage, force=force)
            with _planned(storage, untagging.report.begun) as plan:
                _print_gone(outcome.untagged(untagging, plan, patterns), "untagged", outcome, in_json=in_json)
                plan.fold_pulls()
        outcome.conclude(patterns, "went")
    if outcome.refusals:
        sys.exit(1)


@dataclass
class _Outcome:
    """Counts what goes in `storage`, and tells on stderr what is refused, unless that is `forced`."""

    storage: Storage
    forced: bool = False
    run: int | None = None
    repositories: int = 0
    gone: int = 0
    refusals: int = 0
    line: StatusLine = field(default_factory=StatusLine)

    def counted(self, judged: Iterator[Judged]) -> Iterator[Judged]:
        """Yield what is `judged`, and count it."""
        with self.line as line:
            looked_at = Count(line, "repositories")
            for each in judged:
                looked_at.add(each.repository)
                self.repositories += 1
                refused = each.refused(forced=self.forced)
                for share in refused.values():
                    self.refusals += 1
                    self._tell(Refused(each.repository, share.tags, share.going, str(share.kind)))
                self.gone += sum(share.going for share in each.shares if share.kind not in refused)
                yield each

    def going(self, plan: Plan, patterns: Sequence[Pattern]) -> Iterator[Untagged]:
        """Yield the tags that would go."""
        for judged in self.counted(plan.judged(_chosen(patterns))):
            for each in judged.going_tags(forced=self.forced):
                yield Untagged(judged.repository, each.tag, each.digest, each.pushed)

    def untagged(self, untagging: Untagging, plan: Plan, patterns: Sequence[Pattern]) -> Iterator[Untagged]:
        """Yield each tag when it has gone."""
        yield from untagging.run(plan, _chosen(patterns))
        report = untagging.report
        self.run, self.repositories, self.gone = report.run, report.repositories, report.untagged
        self.refusals = report.refusals
        for refused in report.refused:
            self._tell(refused)
        if report.kept:
            click.echo(f"{report.kept} tags were pushed or moved meanwhile, and stay", err=True)

    def conclude(self, patterns: Sequence[Pattern], verb: str) -> None:
        """Tell on stderr what was done.

        Raises:
            ClickException: `patterns` were given, and mean no repository.
        """
        if patterns and not self.repositories:
            raise click.ClickException(f"no repository matches {' or '.join(each.text for each in patterns)}")
        number = "" if self.run is None else f"run {self.run}: "
        click.echo(f"{number}{self.gone} tags {verb} in {self.repositories} repositories", err=True)

    def _tell(self, refused: Refused) -> None:
        share = self.storage.configuration.storage.maintenance.retention.maxshare
        click.echo(
            f"{refused.repository}: {refused}, more than maxshare, {share} %; none goes without --force", err=True
        )


def _opened(load: LoadConfiguration, config: str | None) -> Storage:
    storage = open_configured(load, config)
    if not storage.configuration.storage.maintenance.retention.rules:
        raise click.ClickException(f"there are no rules in {_KEY}: all tags stay")
    if not storage.driver.holds(paths.REPOSITORIES):
        # It may be the bare mount point of a storage that is not mounted, to which nothing is to be written.
        raise click.ClickException("no repository is stored there yet, or it is not mounted: there are no tags")
    return storage


@contextmanager
def _planned(storage: Storage, now: float) -> Iterator[Plan]:
    section = storage.configuration.storage.maintenance.retention
    with Plan(storage.driver, storage.repositories, section, now, Cached(storage.configuration.upstreams)) as plan:
        plan.read_pulls()
        yield plan


def _begun(storage: Storage, *, force: bool) -> Untagging:
    configuration = storage.configuration
    storage.driver.check()
    report = Reports(storage.driver).begin(member_name(configuration.http.addr))
    if report is None:
        raise click.ClickException("another run has begun at this moment; try again")
    journal = journal_of(configuration, storage.driver)
    publishing = build_publishing(configuration, storage.driver, journal, Automaton(ACTOR))
    return Untagging(storage.driver, storage.repositories, publishing, report, forced=force)


def _chosen(patterns: Sequence[Pattern]) -> Callable[[str], bool]:
    return lambda name: not patterns or any(pattern.means(name) for pattern in patterns)


def _print_gone(gone: Iterable[Untagged], verb: str, outcome: _Outcome, *, in_json: bool) -> None:
    if in_json:
        print_json_array(map(row_of, gone), before='{"tags": ', after="")
        told = {"run": outcome.run, "repositories": outcome.repositories, "refusals": outcome.refusals}
        click.echo(f", {json.dumps(told)[1:]}")
    else:
        for each in gone:
            click.echo(f"{verb} {each.repository}:{each.tag} {each.digest}")


def _print_verdicts(judged: Judged) -> None:
    if judged.rule is None:
        click.echo(f"stays  {judged.repository}  all tags: no rule with keep is for it")
    for each in judged.verdicts():
        name = f"{judged.repository}:{each.tag}"
        click.echo(f"stays  {name}  {each.because}" if each.because else f"goes   {name}")


def _rows(judged: Judged) -> Iterator[dict[str, Any]]:
    for each in judged.verdicts():
        row: dict[str, Any] = {"repository": judged.repository, "tag": each.tag, "stays": bool(each.because)}
        is_refused = not each.because and each.kind in judged.refused()
        row |= {"because": each.because or None, "rule": judged.rule, "refused": is_refused}
        yield row | {"digest": each.digest or None, "pushed": rfc3339(each.pushed)}
