from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cmp_to_key

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.config.retention import Keep, Retention, RetentionRule
from registry.foundation.patterns import Pattern
from registry.oci.digest import Digest
from registry.retention.history import dump
from registry.retention.versions import precedence
from registry.storage import paths
from tests.retention.stores import DAY, NOW, DatedDriver, of_rule, plan, push

APP = "team/app"
GONE = "0" * 64


@dataclass(frozen=True)
class Pushed:
    """A tag of the model: its age, what it points to, and how many hours ago tag and manifest were pulled."""

    name: str
    age: int
    content: str
    pulled: int | None = None
    digest_pulled: int | None = None


NAMES = ["v1.0.0", "v1.0.0-rc.1", "1.2.0", "1.10.0", "1.2", "latest", "main-1", "main-2", "pr-7", "2.0.0-alpha"]
PATTERNS = ["v*", "main-?", "*", "1.*", "latest"]
REGEXES = ["main-[0-9]+", "v?1.*", "lat", "pr-7|latest"]
HOURS = st.none() | st.integers(0, 8)
pushed_tags = st.lists(
    st.builds(Pushed, st.sampled_from(NAMES), st.integers(-2, 8), st.sampled_from("abc"), HOURS, HOURS),
    unique_by=lambda each: each.name,
)
entries = st.builds(
    Keep,
    tags=st.lists(st.sampled_from(PATTERNS), max_size=2).map(tuple),
    regex=st.none() | st.sampled_from(REGEXES).map(Pattern.parse),
    newest=st.none() | st.integers(1, 4),
    newestversions=st.none() | st.integers(1, 4),
    pushedwithin_seconds=st.none() | st.integers(1, 8).map(lambda hours: hours * 3600.0),
    pulledwithin_seconds=st.none() | st.integers(1, 8).map(lambda hours: hours * 3600.0),
).filter(lambda keep: keep != Keep())


def older(left: str, right: str) -> int:
    """Compare two versions as section 11 of Semantic Versioning says, word for word."""
    (left_core, left_pre), (right_core, right_pre) = (
        each.removeprefix("v").partition("-")[::2] for each in (left, right)
    )
    numbers = [[int(part) for part in core.split(".")] for core in (left_core, right_core)]
    if numbers[0] != numbers[1]:
        return 1 if numbers[0] > numbers[1] else -1
    if not left_pre or not right_pre:
        return bool(right_pre) - bool(left_pre)
    pairs = zip(left_pre.split("."), right_pre.split("."), strict=False)
    for one, other in pairs:
        if one == other:
            continue
        if one.isdigit() and other.isdigit():
            return 1 if int(one) > int(other) else -1
        if one.isdigit() != other.isdigit():
            return -1 if one.isdigit() else 1
        return 1 if one > other else -1
    return len(left_pre.split(".")) - len(right_pre.split("."))


def is_version(name: str) -> bool:
    return re.fullmatch(r"v?\d+\.\d+\.\d+(-.*)?", name) is not None


def candidates(keep: Keep, tags: list[Pushed], known_hours: int) -> list[Pushed]:
    """Return the tags that meet the conditions but for those that count."""
    met = [each for each in tags if not keep.tags or any(fnmatchcase(each.name, pattern) for pattern in keep.tags)]
    if keep.regex:
        met = [each for each in met if re.fullmatch(keep.regex.text, each.name)]
    if keep.pushedwithin_seconds is not None:
        met = [each for each in met if each.age * 3600 <= keep.pushedwithin_seconds]
    if keep.pulledwithin_seconds is not None and known_hours * 3600 >= keep.pulledwithin_seconds:
        limit = keep.pulledwithin_seconds
        met = [each for each in met if any(hours * 3600 <= limit for hours in pulls_of(each, tags))]
    return met


def pulls_of(tag: Pushed, tags: list[Pushed]) -> list[int]:
    """Return how many hours ago it, and what it points to, were pulled."""
    found = [tag.pulled, *(each.digest_pulled for each in tags if each.content == tag.content)]
    return [hours for hours in found if hours is not None]


def kept_by(keep: Keep, tags: list[Pushed], known_hours: int) -> set[str]:
    """Return what `keep` keeps, computed as one would by hand."""
    met = candidates(keep, tags, known_hours)
    kept = {each.name for each in met}
    if keep.newest is not None:
        by_time = sorted(met, key=lambda each: (each.age * -1, each.name), reverse=True)
        kept &= {each.name for each in by_time[: keep.newest]}
    if keep.newestversions is not None:
        versions = sorted(filter(is_version, (each.name for each in met)), key=cmp_to_key(older), reverse=True)
        counted: list[str] = []
        for name in versions:
            if not counted or older(counted[-1], name):
                counted.append(name)
        wanted = counted[: keep.newestversions]
        kept &= {name for name in versions if any(older(name, other) == 0 for other in wanted)}
    return kept


@settings(max_examples=400, deadline=None)
@given(tags=pushed_tags, keep=st.lists(entries, min_size=1, max_size=3), known_hours=st.integers(0, 10))
def test_tags_stay_that_any_entry_keeps_as_a_model_says_and_no_others(
    tags: list[Pushed], keep: list[Keep], known_hours: int
) -> None:
    driver = DatedDriver()
    hour = int(NOW) // 3600
    rows: list[tuple[str, str, int]] = []
    for each in tags:
        digest = push(driver, APP, each.name, content=each.content, age=each.age * 3600.0)
        rows += [(APP, each.name, hour - each.pulled)] if each.pulled is not None else []
        rows += [(APP, str(digest), hour - each.digest_pulled)] if each.digest_pulled is not None else []
    driver.now = NOW - known_hours * 3600.0
    driver.put(paths.PULLS_SINCE, repr(driver.now).encode())
    driver.now = NOW
    for number, row in enumerate(rows):
        driver.put(paths.pulls_batch("20231114", f"host-{number}-{number:020}"), dump([row]))

    stays = {name for name, because in plan(driver, of_rule(*keep)).get(APP, {}).items() if because}

    assert stays == set().union(*(kept_by(each, tags, known_hours) for each in keep))


@pytest.mark.parametrize("section", [Retention(), of_rule(), of_rule(Keep(newest=1), repositories="other/**")])
def test_without_a_rule_or_without_keep_no_tag_is_judged(section: Retention) -> None:
    driver = DatedDriver()
    push(driver, APP, "v1", age=1000 * DAY)

    assert plan(driver, section) == {APP: {}}


def test_rule_with_the_longest_glob_decides_alone() -> None:
    driver = DatedDriver()
    for repository in ("ci/a/b", "ci/a", "other"):
        push(driver, repository, "old", age=10 * DAY)
        push(driver, repository, "new", age=DAY)
    rules = (
        RetentionRule(("**", "x"), (Keep(tags=("nothing",)),)),
        RetentionRule(("ci/**",), (Keep(newest=1),)),
        RetentionRule(("ci/a/*",)),
    )

    found = plan(driver, Retention(rules=rules))

    assert found == {"ci/a": {"new": "keep[0]: newest 1", "old": ""}, "ci/a/b": {}, "other": {"new": "", "old": ""}}


def test_signature_stays_with_its_manifest_and_is_not_counted() -> None:
    driver = DatedDriver()
    old = push(driver, APP, "v1", age=9 * DAY)
    for suffix in ("", ".sig", ".att", ".sbom"):
        push(driver, APP, f"sha256-{old.hex}{suffix}", age=DAY)
    push(driver, APP, "v2", age=8 * DAY)

    found = plan(driver, of_rule(Keep(newest=1)))[APP]

    assert {tag for tag, because in found.items() if not because} == {"v1"}
    assert found[f"sha256-{old.hex}.sig"] == "the manifest that it is about is there"


def test_list_of_referrers_whose_tag_has_half_of_a_sha512_stays_with_its_manifest() -> None:
    driver = DatedDriver()
    push(driver, APP, "v1")
    digest = Digest.of(b"bytes", "sha512")
    driver.put(paths.revision_link(APP, digest), str(digest).encode())
    push(driver, APP, f"sha512-{digest.hex[:64]}", f"sha512-{'1' * 64}", age=2 * DAY)

    found = plan(driver, of_rule(Keep(tags=("v1",))))[APP]

    assert {tag for tag, because in found.items() if not because} == {f"sha512-{'1' * 64}"}


def test_signature_whose_manifest_is_gone_goes_an_hour_after_its_push() -> None:
    driver = DatedDriver()
    push(driver, APP, "v1")
    push(driver, APP, f"sha256-{GONE}.sig", age=3601)
    push(driver, APP, f"sha256-{GONE}.att", age=3599)

    found = plan(driver, of_rule(Keep(newest=100)))[APP]

    assert {tag for tag, because in found.items() if not because} == {f"sha256-{GONE}.sig"}


def test_signature_whose_manifest_is_gone_stays_if_an_entry_means_it() -> None:
    driver = DatedDriver()
    push(driver, APP, "v1", f"sha256-{GONE}.sig", age=DAY)

    assert all(plan(driver, of_rule(Keep(tags=("v1", "*.sig"))))[APP].values())


def test_signatures_of_another_repository_stay() -> None:
    driver = DatedDriver()
    for number in range(6):
        push(driver, "sigs", f"sha256-{number:064}.sig", age=DAY)

    assert all(plan(driver, of_rule(Keep(newest=5)))["sigs"].values())


def test_tag_that_leads_nowhere_stays() -> None:
    driver = DatedDriver()
    push(driver, APP, "v1")
    driver.put(paths.tag_link(APP, "torn"), b"sha25")

    assert plan(driver, of_rule(Keep(tags=("v1",))))[APP]["torn"] == "it leads nowhere"


def test_what_another_program_left_among_tags_is_not_judged() -> None:
    driver = DatedDriver()
    push(driver, APP, "v1")
    for left in ("-thumbs/current/link", "Thumbs.db", "v2/current/other", "v2/link"):
        driver.put(f"{paths.tags(APP)}/{left}", b"x")

    assert plan(driver, of_rule(Keep(newest=1)))[APP].keys() == {"v1"}


@pytest.mark.parametrize(
    "tag", ["1.2.3", "v1.2.3", "0.0.0", "1.0.0-rc.1", "1.0.0-0a.b-c", "1.0.0_20130313", "1.0.0-a_b"]
)
def test_tag_is_a_version(tag: str) -> None:
    assert precedence(tag)


@pytest.mark.parametrize(
    "tag", ["1.2", "1", "1.2.3.4", "01.2.3", "1.2.3-01", "1.2.3-", "latest", "v", "1.2.3-a..b", "V1.2.3"]
)
def test_tag_is_not_a_version(tag: str) -> None:
    assert precedence(tag) is None


def test_versions_are_in_the_order_of_semantic_versioning() -> None:
    # https://semver.org section 11, and what differs in a comparison of text.
    order = ["1.0.0-0", "1.0.0-9", "1.0.0-10", "1.0.0--", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta"]
    order += ["1.0.0-alpha-x", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1-a", "1.0.1"]
    order += ["1.2.0", "1.10.0", "2.0.0", "10.0.0"]

    order_by_key = sorted(map(str, reversed(order)), key=lambda tag: precedence(tag) or "")
    assert order_by_key == order
    assert precedence("v1.0.0") == precedence("1.0.0") == precedence("1.0.0_build")
