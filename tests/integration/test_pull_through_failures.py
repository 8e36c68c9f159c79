"""What clients of a cache get of upstreams that fail: the statuses of docs/pull-through.md, and never a wrong blob."""

from __future__ import annotations

import random
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.content import image
from tests.integration.api import digest_of
from tests.integration.pull_through import caches, entry
from tests.upstreams import Answer, Registry, faults, registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.integration.api import Answer as Got
    from tests.integration.servers import Server
    from tests.upstreams.faults import Fault
    from tests.upstreams.server import Handler

pytestmark = pytest.mark.timeout(200)

CONTENT = random.Random(3).randbytes(3_000_000)
LOGIN = ("alice", "the password of upstream")
NETWORK = {"answertimeout": "2s", "stalltimeout": "500ms", "connecttimeout": "1s"}
METADATA = "http://169.254.169.254/latest/meta-data"
BAD_GATEWAY, TIMED_OUT = (502, "UNAVAILABLE"), (504, "UNAVAILABLE")
CASES: dict[str, tuple[Fault, tuple[int, str]]] = {
    "hang": (faults.hang, TIMED_OUT),
    "reset": (faults.reset(), BAD_GATEWAY),
    "not-found": (faults.status(404), (404, "UNKNOWN")),
    "unauthorized": (faults.status(401), (403, "DENIED")),
    "forbidden": (faults.status(403), (403, "DENIED")),
    "limited": (faults.limited("120"), (429, "TOOMANYREQUESTS")),
    "teapot": (faults.status(418), BAD_GATEWAY),
    "broken": (faults.status(500), BAD_GATEWAY),
    "down": (faults.status(503, Retry_After="7"), BAD_GATEWAY),
    "moved-to-metadata": (faults.redirect(METADATA), BAD_GATEWAY),
    "moved-nowhere": (faults.redirect("http://127.0.0.1:1/"), TIMED_OUT),
    "moved-in-a-circle": (lambda handler, _: handler.send(Answer(307).having(Location=handler.path)), BAD_GATEWAY),
    "gzip": (faults.gzip, BAD_GATEWAY),
    "empty": (faults.empty, BAD_GATEWAY),
}
"""How an upstream fails before it has sent anything that could be passed on, and what clients get."""
CUT = {
    "wrong": faults.wrong,
    "short": faults.short(1_000_000),
    "stall": faults.stall(0),
    "reset-later": faults.reset(1000),
}
"""How an upstream fails after a client was told 200."""
WHOLE = {
    "anonymous": faults.anonymous,
    "extra": faults.extra,
    "chunked": faults.chunked,
    "unsized": faults.unsized,
    "rangeless": faults.rangeless,
}
"""Habits of upstreams that clients do not notice."""
HEALED = {"stalls": faults.stall(1_500_000), "resets": faults.reset(1_500_000), "shorts": faults.short(1_000_000)}
"""How an upstream fails twice in the middle of a blob without a client's noticing."""


def content_of(name: str, what: str) -> bytes:
    """Give what an upstream has. No two have the same, as a cache keeps each blob once."""
    return name.encode() + CONTENT if what == "blob" else image(name.encode())


@dataclass
class Front:
    """A cache whose upstreams are named by how they fail."""

    server: Server
    upstreams: dict[str, Registry]

    def get(self, name: str, what: str) -> Got:
        digest = digest_of(content_of(name, what))
        if what == "blob":
            return self.server.api.blob(f"{name}/app", digest)
        return self.server.api.manifest(f"{name}/app", "v1" if what == "tag" else digest)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    directory = tmp_path_factory.mktemp("failures")
    with ExitStack() as stack:
        upstreams: dict[str, Registry] = {}
        entries: list[dict[str, Any]] = []
        for name in [*_names(), "headless", "storm", "elsewhere", "realm", "metadata-realm"]:
            served = upstreams[name] = stack.enter_context(registry())
            served.put_blob("app", content_of(name, "blob"))
            served.put_manifest("app", content_of(name, "manifest"), "v1")
            auth = {"username": LOGIN[0], "password": LOGIN[1]}
            entries.append(entry(served.url, name=name, network=NETWORK, auth=auth))
        for name, (fault, _) in CASES.items():
            upstreams[name].misbehave(fault, path="/v2/app/")
        for name, fault in (CUT | WHOLE).items():
            upstreams[name].misbehave(fault, method="GET", path="/v2/app/")
        for name, fault in HEALED.items():
            upstreams[name].misbehave(fault, method="GET", path="/v2/app/blobs/", times=2)
        (server,) = stack.enter_context(caches(directory, {"proxies": entries}))
        yield Front(server, upstreams)


def _names() -> Sequence[str]:
    return [*CASES, *CUT, *WHOLE, *HEALED]


@pytest.mark.parametrize("what", ["blob", "manifest", "tag"])
@pytest.mark.parametrize("name", CASES)
def test_a_failure_before_the_first_byte_has_a_status_of_its_own(front: Front, name: str, what: str) -> None:
    status, code = CASES[name][1]
    answer = front.get(name, what)

    assert answer.status == status, answer
    assert code in answer.json()["errors"][0]["code"]
    if status == 429:
        assert 0 < int(answer.headers["Retry-After"]) <= 120
    assert "WWW-Authenticate" not in answer.headers, "nobody is to log in to us for that"


@pytest.mark.parametrize("name", CUT)
def test_a_blob_that_breaks_off_or_is_wrong_is_never_whole(front: Front, name: str) -> None:
    answer = front.get(name, "blob")

    assert not answer.complete if answer.status == 200 else answer.status in {502, 504}, answer.status
    assert answer.status != 200 or len(answer.body) < len(CONTENT)
    if name == "wrong":
        # Each of the two workers remembers it, once it has seen it.
        assert 502 in [front.get(name, "blob").status for _ in range(3)], "it is not asked for again soon"
    front.upstreams[name].behave()


@pytest.mark.parametrize("what", ["manifest", "tag"])
@pytest.mark.parametrize("name", ["wrong", "short", "stall"])
def test_a_manifest_that_is_wrong_is_no_answer(front: Front, name: str, what: str) -> None:
    fault = {"wrong": faults.wrong, "short": faults.short(10), "stall": faults.stall(10)}[name]
    front.upstreams[name].misbehave(fault, method="GET", path="/v2/app/manifests/")
    answer = front.get(name, what)
    assert answer.status in {502, 503, 504}, answer
    front.upstreams[name].behave()


@pytest.mark.parametrize("what", ["blob", "manifest", "tag"])
@pytest.mark.parametrize("name", WHOLE)
def test_other_habits_of_upstreams_do_not_show(front: Front, name: str, what: str) -> None:
    answer = front.get(name, what)

    assert (answer.status, answer.complete) == (200, True), answer.status
    assert answer.body == content_of(name, what)


@pytest.mark.parametrize("name", HEALED)
def test_a_blob_that_breaks_off_goes_on_where_it_was(front: Front, name: str) -> None:
    answer = front.get(name, "blob")

    assert (answer.status, answer.complete, answer.body) == (200, True, content_of(name, "blob")), answer.status
    assert front.upstreams[name].count("GET", "/blobs/") == 3


def test_an_upstream_that_answers_no_head_is_asked_by_get(front: Front) -> None:
    front.upstreams["headless"].misbehave(faults.status(405), method="HEAD")
    for what in ("tag", "manifest", "blob"):
        assert front.get("headless", what).body == content_of("headless", what)


def test_an_upstream_that_fails_again_and_again_is_left_alone_for_a_while(front: Front) -> None:
    storm = front.upstreams["storm"]
    storm.misbehave(faults.status(503), path="/v2/app/")
    answers = [front.server.api.manifest("storm/app", f"v{number}") for number in range(30)]

    assert [each.status for each in answers[:5]] == [502] * 5
    refused = [each for each in answers if each.status == 503]
    assert refused
    assert all(0 < int(each.headers["Retry-After"]) <= 60 for each in refused)
    assert storm.count("HEAD") + storm.count("GET", "/manifests/") < len(answers)


def test_no_login_goes_to_another_server(front: Front) -> None:
    first, second = front.upstreams["elsewhere"], front.upstreams["anonymous"]
    first.login = LOGIN
    second.put_blob("app", content_of("elsewhere", "blob"))
    away = faults.elsewhere(second.url.replace("127.0.0.1", "localhost"))

    def behave(handler: Handler, answer: Answer) -> None:
        if answer.status == 401:
            handler.send(answer)
        else:
            away(handler, answer)

    first.misbehave(behave, method="GET", path="/blobs/")
    asked = len(second.asked)

    assert front.get("elsewhere", "blob").body == content_of("elsewhere", "blob")

    assert any(each.authorization for each in first.asked), "the upstream itself gets it"
    assert len(second.asked) > asked
    assert not [each for each in second.asked[asked:] if each.authorization]


def test_no_login_goes_to_a_token_service_elsewhere(front: Front) -> None:
    other = front.upstreams["chunked"].url.replace("127.0.0.1", "localhost")
    asked = front.upstreams["chunked"].count("GET", "/token")
    for name, realm in {"realm": f"{other}/token", "metadata-realm": f"{METADATA}/token"}.items():
        front.upstreams[name].login, front.upstreams[name].realm = LOGIN, realm
        for what in ("blob", "manifest", "tag"):
            answer = front.get(name, what)
            assert (answer.status, answer.json()["errors"][0]["code"]) == (403, "DENIED"), answer
            assert "169.254" not in answer.body.decode(), "what the upstream says of its network is for operators"
    assert front.upstreams["chunked"].count("GET", "/token") == asked
    assert not [each for each in front.upstreams["chunked"].asked if LOGIN[1] in str(each)]
