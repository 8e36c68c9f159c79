from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.base import DriverError
from drivers.inmemory import InMemoryDriver
from registry.config.cached import Cached
from registry.config.retention import Keep, Retention
from registry.config.upstreams import Upstream
from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError, ManifestUnknownError
from registry.oci.reference import Tag
from registry.retention import reports as reporting
from registry.retention.plan import Plan
from registry.retention.reports import Reports
from registry.retention.restoring import Outcome, undo
from registry.storage import paths
from registry.storage.repository import Repositories
from tests.drivers.failing import FailingDriver
from tests.drivers.interleaving import InterleavingDriver
from tests.retention.stores import DAY, NOW, DatedDriver, image_of, of_rule, plan, publishing, push, run, tags
from tests.storage.consistency import assert_nothing_dangles

if TYPE_CHECKING:
    from drivers.base import StorageDriver

APP = "team/app"
NEWEST = of_rule(Keep(newest=1))


def filled() -> DatedDriver:
    driver = DatedDriver()
    for age in (3, 2, 1):
        push(driver, APP, f"v{age}", age=age * DAY)
    return driver


def give_back(driver: StorageDriver, number: int = 1) -> dict[str, Outcome]:
    untagged = Reports(driver).tags(number)
    return {each.tag: outcome for each, outcome in undo(driver, publishing(), Repositories(driver), untagged)}


def test_tags_go_and_their_manifests_stay() -> None:
    driver = filled()

    report = run(driver, NEWEST)

    assert (report.untagged, report.repositories, report.ended) == (2, 1, True)
    assert tags(driver, APP) == {"v1"}
    assert len(list(Repositories(driver).open(APP).manifests.digests())) == 3
    assert Reports(driver).report(1) == report


def test_no_rule_takes_a_tag_away_of_what_is_only_cached() -> None:
    driver = filled()
    hub = Upstream(prefix="team")
    for upstream, kept in ((hub, 3), (replace(hub, push="allow"), 1)):
        with Plan(driver, Repositories(driver), NEWEST, NOW, Cached((upstream,))) as made:
            (judged,) = made.judged()
            assert 3 - len(list(judged.going_tags())) == kept


def test_a_manifest_counts_as_pushed_now_when_its_tags_have_gone() -> None:
    driver = filled()
    digest = push(driver, APP, "a", "b", "c", age=4 * DAY)
    driver.now = NOW + 1

    run(driver, NEWEST)

    assert tags(driver, APP) == {"v1"}
    pushed = {
        each: driver.stat(paths.revision_link(APP, each)).modified
        for each in Repositories(driver).open(APP).manifests.digests()
    }
    digests = Repositories(driver).open(APP).manifests.digests()
    pushed = {each: driver.stat(paths.revision_link(APP, each)).modified for each in digests}
    assert pushed.pop(Digest.of(image_of("v1").content)) == NOW - DAY
    assert digest in pushed
    assert set(pushed.values()) == {NOW + 1}


@settings(max_examples=60, deadline=None)
@given(ages=st.lists(st.integers(0, 9), max_size=8), newest=st.integers(1, 5), within=st.integers(1, 9))
def test_a_run_takes_away_what_the_plan_says_and_undo_gives_all_of_it_back(
    ages: list[int], newest: int, within: int
) -> None:
    driver = DatedDriver()
    for number, age in enumerate(ages):
        push(driver, f"app{number % 2}", f"t{number}", age=age * DAY)
    section = of_rule(Keep(newest=newest), Keep(pushedwithin_seconds=within * DAY))
    repositories = {f"app{number % 2}" for number in range(len(ages))}
    before = {name: tags(driver, name) for name in repositories}
    stays = {name: {tag for tag, because in found.items() if because} for name, found in plan(driver, section).items()}

    run(driver, section)

    assert {name: tags(driver, name) for name in repositories} == stays
    assert set(give_back(driver).values()) <= {Outcome.RESTORED}
    assert {name: tags(driver, name) for name in repositories} == before


def test_undo_says_what_was_pushed_since_and_whose_manifest_is_gone() -> None:
    driver = DatedDriver()
    for age, name in enumerate(("newest", "restored", "there", "moved", "gone")):
        push(driver, APP, name, age=age * DAY)
    gone = Repositories(driver).open(APP).tags.resolve(Tag("gone"))
    run(driver, NEWEST)
    push(driver, APP, "there")
    push(driver, APP, "moved", content="another")
    Repositories(driver).open(APP).manifests.delete(gone)

    found = give_back(driver)

    assert {tag: outcome.name.lower() for tag, outcome in found.items()} == {tag: tag for tag in found}
    assert len(found) == 4
    assert tags(driver, APP) == {"newest", "restored", "there", "moved"}


def test_tags_that_came_back_are_as_old_as_they_were_and_push_no_others_out() -> None:
    driver = DatedDriver()
    for number in range(10):
        push(driver, APP, f"v{number}", age=(20 - number) * DAY)
    newest = of_rule(Keep(newest=8))
    kept = {f"v{number}" for number in range(2, 10)}
    for number in (1, 2):
        driver.now += 1
        run(driver, newest)
        assert tags(driver, APP) == kept
        assert {each.tag: each.pushed for each in Reports(driver).tags(number)} == {
            "v0": NOW - 20 * DAY,
            "v1": NOW - 19 * DAY,
        }

        assert set(give_back(driver, number).values()) == {Outcome.RESTORED}
        assert set(give_back(driver, number).values()) == {Outcome.THERE}


@pytest.mark.parametrize(("content", "seconds"), [("v0", 5), ("another", 5), ("another", 0)])
def test_tag_that_came_back_and_was_pushed_since_is_as_old_as_that_push(content: str, seconds: float) -> None:
    driver = DatedDriver()
    for number in range(3):
        push(driver, APP, f"v{number}", age=(20 - number) * DAY)
    run(driver, of_rule(Keep(newest=2)))
    give_back(driver)
    push(driver, APP, "v0", content=content, age=-seconds)

    run(driver, of_rule(Keep(newest=2)))

    assert tags(driver, APP) == {"v0", "v2"}


def test_undo_that_breaks_off_has_noted_when_those_were_pushed_that_came_back() -> None:
    driver = filled()
    run(driver, NEWEST)
    first, second = Reports(driver).tags(1)
    with pytest.raises(DigestInvalidError):
        list(undo(driver, publishing(), Repositories(driver), [first, replace(second, digest="damaged")]))
    assert tags(driver, APP) == {"v1", first.tag}

    driver.now += 1
    run(driver, NEWEST)

    assert tags(driver, APP) == {"v1"}


def test_damaged_note_of_what_came_back_stops_a_run_and_is_named() -> None:
    driver = filled()
    path = paths.retention_restored(f"{1:020}-{'a' * 16}")
    driver.put(path, b'["app"]')

    with pytest.raises(DriverError, match=path):
        run(driver, NEWEST)
    assert tags(driver, APP) == {"v1", "v2", "v3"}


@pytest.mark.parametrize(("share", "forced", "left"), [(66, False, 3), (67, False, 1), (0, False, 3), (0, True, 1)])
def test_repository_of_which_more_would_go_than_a_run_may_take_is_left_alone(
    share: int, left: int, *, forced: bool
) -> None:
    driver = filled()

    report = run(driver, of_rule(Keep(newest=1), maxshare=share), forced=forced)

    assert len(tags(driver, APP)) == left
    assert [(each.repository, each.tags, each.going) for each in report.refused] == ([(APP, 3, 2)] if left == 3 else [])
    assert Reports(driver).report(1) == report


@pytest.mark.parametrize(("share", "forced", "left"), [(49, False, 2), (50, False, 1), (0, True, 1)])
def test_signatures_go_apart_from_other_tags_and_no_more_of_them_than_a_run_may_take(
    share: int, left: int, *, forced: bool
) -> None:
    driver = DatedDriver()
    signed = [push(driver, APP, f"v{number}", age=DAY) for number in range(3)]
    for number in (signed[0].hex, f"{0:064}"):
        push(driver, APP, f"sha256-{number}.sig", age=DAY)
    section = of_rule(Keep(tags=("v1", "v2")), maxshare=share)

    report = run(driver, section, forced=forced)

    assert sum(tag.endswith(".sig") for tag in tags(driver, APP)) == left
    assert tags(driver, APP) >= {"v1", "v2"}
    assert "v0" not in tags(driver, APP)
    assert [str(each) for each in report.refused] == (["1 of 2 signatures would go"] if left == 2 else [])


@pytest.mark.parametrize("content", ["v3", "another"])
def test_tag_that_is_pushed_between_any_two_calls_of_a_run_stays(content: str) -> None:
    """The same manifest again, or another one."""
    counting = FailingDriver(filled(), fail_at=0)
    run(counting, NEWEST)
    for moment in range(1, counting.calls + 1):
        driver = filled()

        def again(driver: DatedDriver = driver) -> None:
            driver.now = NOW + 5
            manifest = image_of(content)
            tag, repository = Tag("v3"), Repositories(driver).open(APP)
            publishing().push_manifest(repository, manifest, Digest.of(manifest.content), [tag])

        run(InterleavingDriver(driver, moment, again), NEWEST)

        assert Repositories(driver).open(APP).tags.resolve(Tag("v3")) == Digest.of(image_of(content).content), moment
        assert_nothing_dangles(driver, APP)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_signature_whose_manifest_comes_while_a_run_is_on_stays(algorithm: str) -> None:
    digest = Digest.of(image_of("late").content, algorithm)
    signature = f"{algorithm}-{digest.hex[:64]}"

    def signed() -> DatedDriver:
        driver = filled()
        push(driver, APP, signature, age=DAY)
        return driver

    outcomes = set()
    counting = FailingDriver(signed(), fail_at=0)
    run(counting, NEWEST)
    for moment in range(1, counting.calls + 1):
        driver = signed()
        judged: list[bool] = []

        def come(driver: DatedDriver = driver, judged: list[bool] = judged) -> None:
            judged.append(bool(list(Reports(driver).tags(1))))
            Repositories(driver).open(APP).manifests.put(image_of("late"), digest)

        run(InterleavingDriver(driver, moment, come), NEWEST)
        outcomes.add((*judged, signature in tags(driver, APP)))

    # It may be judged before, and is looked at once more; when it has gone, the manifest comes too late.
    assert outcomes == {(False, True), (True, True), (True, False)}


def test_run_that_breaks_off_at_any_call_leaves_a_report_by_which_all_comes_back() -> None:
    counting = FailingDriver(filled(), fail_at=0)
    run(counting, NEWEST)
    for moment in range(1, counting.calls + 1):
        driver = filled()
        with suppress(DriverError):
            run(FailingDriver(driver, fail_at=moment), NEWEST)
        if Reports(driver).report(1):
            give_back(driver)

        assert tags(driver, APP) == {"v1", "v2", "v3"}, moment
        assert_nothing_dangles(driver, APP)


def test_reports_that_can_be_undone_are_not_pushed_out_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "KEPT", 2)
    driver = filled()
    run(driver, NEWEST)
    for _ in range(4):
        run(driver, NEWEST)

    assert [report.run for report in Reports(driver).all()] == [1, 4, 5]
    assert {each.tag for each in Reports(driver).tags(1)} == {"v2", "v3"}


def test_oldest_reports_go() -> None:
    driver = filled()
    for number in range(reporting.KEPT + 2):
        push(driver, APP, f"other{number}", age=DAY)
        push(driver, APP, "v1")
        run(driver, NEWEST)

    assert [report.run for report in Reports(driver).all()] == list(range(3, reporting.KEPT + 3))


def test_damaged_report_is_one_that_broke_off() -> None:
    driver = filled()
    run(driver, NEWEST)
    driver.put(paths.retention_summary(1), b"{")

    (report,) = Reports(driver).all()

    assert (report.run, report.ended, report.untagged) == (1, False, 0)


def test_damaged_list_of_tags_is_an_error_that_names_it() -> None:
    driver = filled()
    run(driver, NEWEST)
    driver.put(paths.retention_part(1, 0), b'{"repository": 1}')

    with pytest.raises(DriverError, match=paths.retention_part(1, 0)):
        list(Reports(driver).tags(1))


def test_of_two_hosts_that_begin_at_a_time_one_runs() -> None:
    driver = InMemoryDriver()
    begun = []
    interleaved = InterleavingDriver(driver, 2, lambda: begun.append(Reports(driver).begin("other")))

    assert Reports(interleaved).begin("host") is None
    assert begun[0]
    assert begun[0].run == 1


def test_tag_that_is_deleted_between_any_two_calls_of_a_run_is_no_fault() -> None:
    counting = FailingDriver(filled(), fail_at=0)
    run(counting, NEWEST)
    told = set()
    for moment in range(1, counting.calls + 1):
        driver = filled()

        def delete(driver: DatedDriver = driver) -> None:
            with suppress(ManifestUnknownError):
                Repositories(driver).open(APP).tags.delete(Tag("v3"))

        run(InterleavingDriver(driver, moment, delete), NEWEST)

        assert tags(driver, APP) == {"v1"}, moment
        told.add(frozenset(each.tag for each in Reports(driver).tags(1)))
    assert told == {frozenset({"v2"}), frozenset({"v2", "v3"})}


def test_retention_is_off_by_default() -> None:
    assert (Retention().enabled, Retention().dryrun, Retention().maxshare) == (False, True, 20)
