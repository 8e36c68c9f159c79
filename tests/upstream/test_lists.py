from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest

from registry.oci import media_types
from registry.oci.errors import UpstreamFailedError
from tests.upstream.content import ABSENT, NAME, image
from tests.upstreams import Answer, faults

if TYPE_CHECKING:
    from registry.upstream.client import Upstream
    from tests.upstreams import Registry
    from tests.upstreams.faults import Fault
    from tests.upstreams.server import Handler

TAGS = [f"{number:02}" for number in range(25)]


@pytest.fixture
def tagged(remote: Registry) -> Registry:
    remote.put_manifest(NAME, image(), *TAGS)
    return remote


def test_a_page_of_tags_begins_behind_one(upstream: Upstream, tagged: Registry) -> None:
    assert upstream.tags(NAME, after="", limit=10) == TAGS[:10]
    assert upstream.tags(NAME, after="09", limit=10) == TAGS[10:20]
    assert upstream.tags(NAME, after="19", limit=10) == TAGS[20:]
    assert upstream.tags(NAME, after="24", limit=10) == []
    assert [each.query for each in tagged.asked[:2]] == [{"n": "10"}, {"n": "10", "last": "09"}]


def test_a_page_of_tags_is_whole_where_the_pages_of_the_upstream_are_shorter(
    upstream: Upstream, tagged: Registry
) -> None:
    tagged.page_size = 3
    assert upstream.tags(NAME, after="", limit=10) == TAGS[:10]
    assert upstream.tags(NAME, after="15", limit=10) == TAGS[16:]


def in_any_order(handler: Handler, _: Answer) -> None:
    """Send all tags whatever is asked for, as registries of version 2 do."""
    handler.send(Answer(200, json.dumps({"name": NAME, "tags": TAGS[::-1]}).encode()))


def by_token(handler: Handler, _: Answer) -> None:
    """Send pages in an order of its own, which are found by a token in the link and not by the last tag."""
    at = int(handler.asked.query.get("page", "0"))
    tags = [*TAGS[1::2], *TAGS[::2]][at : at + 4]
    answer = Answer(200, json.dumps({"name": NAME, "tags": tags}).encode())
    handler.send(answer.having(Link=f'</v2/{NAME}/tags/list?page={at + 4}>; rel="next"') if at + 4 < 25 else answer)


@pytest.mark.parametrize("fault", [in_any_order, by_token])
def test_tags_come_sorted_and_once_whatever_the_order_of_the_upstream(
    upstream: Upstream, tagged: Registry, fault: Fault
) -> None:
    tagged.misbehave(fault)
    found: list[str] = []
    while page := upstream.tags(NAME, after=found[-1] if found else "", limit=7):
        found += page
    assert found == TAGS


def test_the_same_page_for_ever_ends(upstream: Upstream, tagged: Registry) -> None:
    tagged.page_size = 5
    linked = f'</v2/{NAME}/tags/list?n=5&last=00>; rel="next"'
    tagged.misbehave(faults.changed(lambda answer: answer.having(Link=linked)))
    assert upstream.tags(NAME, after="", limit=100) == TAGS[:6]
    assert len(tagged.asked) < 10


def test_new_pages_for_ever_end(upstream: Upstream, tagged: Registry) -> None:
    numbers = itertools.count()

    def another(answer: Answer) -> Answer:
        return answer.having(Link=f'<?page={next(numbers)}>; rel="next"')

    tagged.misbehave(faults.changed(lambda _: another(Answer(200, b'{"tags": []}'))))
    with pytest.raises(UpstreamFailedError, match="pages"):
        upstream.tags(NAME, after="", limit=100)
    assert len(tagged.asked) < 1000


def test_a_link_leads_to_nobody_else(upstream: Upstream, tagged: Registry, other: Registry) -> None:
    tagged.page_size = 5
    linked = f'<{other.url}/v2/{NAME}/tags/list?n=5&last=04>; rel="next"'
    tagged.misbehave(faults.changed(lambda answer: answer.having(Link=linked)), times=1)
    assert upstream.tags(NAME, after="", limit=100) == TAGS
    assert other.asked == []


@pytest.mark.parametrize("tags", [None, []])
def test_a_repository_without_tags_has_none(upstream: Upstream, remote: Registry, tags: object) -> None:
    remote.misbehave(faults.status(200, json.dumps({"name": NAME, "tags": tags}).encode()))
    assert upstream.tags(NAME, after="", limit=10) == []


@pytest.mark.parametrize("nonsense", ["-b", 3, None, "c d", "", [], {}])
def test_a_list_with_what_is_not_a_tag_is_a_failure(upstream: Upstream, remote: Registry, nonsense: object) -> None:
    for tags in ([nonsense], ["a", nonsense, "c"]):
        remote.behave()
        remote.misbehave(faults.status(200, json.dumps({"tags": tags}).encode()))
        with pytest.raises(UpstreamFailedError, match="not a list"):
            upstream.tags(NAME, after="", limit=10)


@pytest.mark.parametrize(
    "fault",
    [
        faults.html,
        faults.empty,
        faults.status(200, b"[]"),
        faults.status(200, b'{"tags": {}, "manifests": {}}'),
        faults.status(200, b"{}"),
        faults.status(200, b"[" * 100_000),
        faults.status(200, b" " * (5 * 1024 * 1024)),
        faults.status(405),
        faults.status(500),
        faults.gzip,
    ],
)
def test_what_is_not_a_list_is_a_failure(upstream: Upstream, tagged: Registry, fault: Fault) -> None:
    tagged.misbehave(fault)
    with pytest.raises(UpstreamFailedError, match=r"^hub"):
        upstream.tags(NAME, after="", limit=10)
    with pytest.raises(UpstreamFailedError, match=r"^hub"):
        upstream.referrers(NAME, ABSENT)


def test_referrers_come_from_all_pages(upstream: Upstream, remote: Registry) -> None:
    subject = {"mediaType": media_types.OCI_MANIFEST, "digest": str(ABSENT), "size": 6}
    digests = [str(remote.put_manifest(NAME, image(subject=subject, annotations={"n": n}))) for n in ("a", "b")]
    first = faults.changed(lambda answer: answer.having(Link='<?page=2>; rel="next"'))
    remote.misbehave(first, times=1)
    found = upstream.referrers(NAME, ABSENT)
    assert found is not None
    assert [each["digest"] for each in found] == digests * 2


def test_an_upstream_without_such_lists_is_told_from_an_empty_one(upstream: Upstream, remote: Registry) -> None:
    assert upstream.referrers(NAME, ABSENT) == []
    remote.misbehave(faults.status(404))
    assert upstream.referrers(NAME, ABSENT) is None


def test_a_list_that_ends_in_a_404_is_a_failure(upstream: Upstream, remote: Registry) -> None:
    remote.misbehave(faults.changed(lambda answer: answer.having(Link='<?page=2>; rel="next"')), times=1)
    remote.misbehave(faults.status(404))
    with pytest.raises(UpstreamFailedError, match="404"):
        upstream.referrers(NAME, ABSENT)


@pytest.mark.parametrize("nonsense", [None, 1, "sha256", [], {}, {"digest": 1}, {"digest": "md5:0"}])
def test_a_list_with_what_is_not_a_descriptor_is_a_failure(
    upstream: Upstream, remote: Registry, nonsense: object
) -> None:
    for listed in ([nonsense], [{"digest": str(ABSENT), "size": 6}, nonsense]):
        remote.behave()
        remote.misbehave(faults.status(200, json.dumps({"manifests": listed}).encode()))
        with pytest.raises(UpstreamFailedError, match="not a list"):
            upstream.referrers(NAME, ABSENT)


def test_endless_referrers_are_a_failure(upstream: Upstream, remote: Registry) -> None:
    page = json.dumps({"manifests": [{"digest": str(ABSENT), "filler": "x" * 1_000_000}]}).encode()
    numbers = itertools.count()
    remote.misbehave(
        faults.changed(lambda _: Answer(200, page).having(Link=f'<?page={next(numbers)}>; rel="next"')),
    )
    with pytest.raises(UpstreamFailedError, match="referrers"):
        upstream.referrers(NAME, ABSENT)
    assert len(remote.asked) == 5
