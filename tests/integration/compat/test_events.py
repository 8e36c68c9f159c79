"""Events of ``notifications``: the same requests to each registry, and what it then sends, to the byte."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from difflib import unified_diff
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from tests.integration.clients import missing
from tests.integration.compat.event_cases import AS_BOB, BOB, EVERYTHING, OURS, RAW, SHA512, basic
from tests.integration.compat.event_clients import Clients
from tests.integration.compat.event_reading import build_reader, read_again
from tests.integration.compat.events import Case, Recording, Setting, as_registry_2, in_form_of_2, record
from tests.integration.servers import debian, distribution_v3, ours

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.integration.engine import Engine

# One engine for all of these tests, whatever other tests run in parallel.
pytestmark = [pytest.mark.timeout(200), pytest.mark.xdist_group("docker")]

REGISTRIES = {"registry 2": debian, "registry 3": distribution_v3, "ours": ours}
PAIRS = [("registry 2", "registry 3"), ("registry 2", "ours"), ("registry 3", "ours")]
NOT_AS_REGISTRY_2 = {
    "tag deleted": "2.8 deletes no tags",
    "/actions": "2.8 takes notice of actions only where it ignores media types as well",
}
NOT_AS_OURS = {
    "docker list unasked": "ours serves a list as it is, the Go registries an image of it, which is a second pull",
    "forwarded": "ours believes what a trusted proxy says in Forwarded, the Go registries take no address from it",
}
"""What differs in more than its form, by the name of the case or the path of the endpoint."""

OCTET_STREAM = "application/octet-stream"
FILTERS: Mapping[str, Mapping[str, Any]] = {
    "/all": {},
    "/disabled": {"disabled": True},
    "/old": {"ignoredmediatypes": [OCTET_STREAM]},
    "/types": {"ignore": {"mediatypes": [OCTET_STREAM, "application/x"]}},
    "/actions": {"ignore": {"actions": ["pull", "mount"]}},
    "/both": {"ignoredmediatypes": [OCTET_STREAM], "ignore": {"mediatypes": ["application/x"], "actions": ["delete"]}},
    "/case": {"ignore": {"mediatypes": [OCTET_STREAM.upper()], "actions": ["PULL"]}},
    "/typeless": {"ignore": {"mediatypes": [""]}},
}
HEADERS: Mapping[str, Mapping[str, Any]] = {"/all": {"headers": {"X-Several": ["1", "2"], "lower": ["x"]}}}
REFERENCES = {"notifications": {"events": {"includereferences": True}}}
RAW_REQUESTS = Setting(REFERENCES, RAW, HEADERS)
FILTERED = Setting({}, (EVERYTHING,), FILTERS)
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "without references": {},
    "relative URLs": {"http": {"relativeurls": True}},
    "prefix": {"http": {"prefix": "/pre/fix/"}},
    "host": {"http": {"host": "https://public.example.com:8443"}},
}


@dataclass(frozen=True, slots=True)
class Recorder:
    """Runs each setting once for each registry."""

    factory: pytest.TempPathFactory
    recordings: dict[tuple[str, str], Recording] = field(default_factory=dict)

    def of(self, registry: str, name: str, setting: Setting) -> Recording:
        if (registry, name) not in self.recordings:
            flavour = REGISTRIES[registry]()
            if flavour is None:
                missing(registry)
            assert flavour is not None
            alike = [case for case in setting.cases if flavour.ours and case.name not in NOT_AS_OURS]
            expected = self.of("registry 3", name, setting).counts(alike) if alike else Counter()
            self.recordings[registry, name] = record(flavour, setting, self.factory.mktemp("events"), expected)
        return self.recordings[registry, name]

    def difference(self, pair: tuple[str, str], name: str, setting: Setting, case: Case, path: str = "/all") -> str:
        """Return how what a pair sends for `case` differs, but for the form of registry 2; "" if not at all."""
        older, newer = (self.of(registry, name, setting).of(case, path) for registry in pair)
        found: list[str] = []
        for kind in older:
            sent = [as_registry_2(each) if pair[0] == "registry 2" else each for each in newer[kind]]
            texts = [["\n".join([*each.head, each.body]) for each in events] for events in (older[kind], sent)]
            # Of ours, each worker sends its pulls itself.
            is_unordered = kind in case.unordered or (kind == "pulls" and pair[1] == "ours")
            one, another = (sorted(each) if is_unordered else each for each in texts)
            found += unified_diff("\n\n".join(one).splitlines(), "\n\n".join(another).splitlines(), n=4, lineterm="")
        return "\n".join(found)


def is_documented(pair: tuple[str, str], name: str) -> bool:
    return name in {**(NOT_AS_REGISTRY_2 if "registry 2" in pair else {}), **(NOT_AS_OURS if "ours" in pair else {})}


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    return Recorder(tmp_path_factory)


@pytest.fixture(params=PAIRS, ids=" and ".join)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


@pytest.fixture(scope="module")
def clients(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(REFERENCES, tuple(Clients.create(engine, tmp_path_factory.mktemp("clients")).cases()))


@pytest.mark.parametrize("case", RAW, ids=lambda case: case.name)
def test_events_of_a_request_are_the_same(pair: tuple[str, str], recorder: Recorder, case: Case) -> None:
    difference = recorder.difference(pair, "raw", RAW_REQUESTS, case)
    assert bool(difference) == is_documented(pair, case.name), difference
    assert any(recorder.of(pair[0], "raw", RAW_REQUESTS).of(case).values()) == (case.name != "refused")


@pytest.mark.parametrize("number", range(3), ids=["docker", "skopeo", "crane"])
def test_events_of_a_client_are_the_same(
    pair: tuple[str, str], recorder: Recorder, clients: Setting, number: int
) -> None:
    case = clients.cases[number]
    assert not (difference := recorder.difference(pair, "clients", clients, case)), difference
    kinds = recorder.of(pair[1], "clients", clients).of(case)
    assert {sent.event["action"] for kind in kinds.values() for sent in kind} >= {"push", "pull", "mount"}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_has_the_same_effect_on_events(pair: tuple[str, str], recorder: Recorder, name: str) -> None:
    difference = recorder.difference(pair, name, Setting(SETTINGS[name], (EVERYTHING,)), EVERYTHING)
    assert not difference, difference


@pytest.mark.parametrize("path", FILTERS)
def test_an_endpoint_is_sent_the_same(pair: tuple[str, str], recorder: Recorder, path: str) -> None:
    difference = recorder.difference(pair, "filters", FILTERED, EVERYTHING, path)
    assert bool(difference) == is_documented(pair, path), difference
    assert any(recorder.of(pair[0], "filters", FILTERED).of(EVERYTHING, path).values()) == (path != "/disabled")


def test_the_user_in_an_event_is_the_one_that_has_logged_in(
    pair: tuple[str, str], recorder: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    user, password = BOB
    passwords = tmp_path_factory.mktemp("users") / "htpasswd"
    passwords.write_text(f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n")
    auth = {"auth": {"htpasswd": {"realm": "r", "path": str(passwords)}}}
    setting = Setting(auth, (AS_BOB,), headers=basic(user, password))
    difference = recorder.difference(pair, "htpasswd", setting, AS_BOB)
    assert not difference, difference
    kinds = recorder.of(pair[1], "htpasswd", setting).of(AS_BOB)
    assert {sent.event["actor"]["name"] for kind in kinds.values() for sent in kind} == {user}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_reader(tmp_path_factory.mktemp("go") / "reading")


@pytest.mark.parametrize("registry", ["registry 3", "ours"])
def test_a_program_with_the_package_of_registry_3_reads_each_event_and_would_write_the_same(
    reader: Path, recorder: Recorder, registry: str
) -> None:
    sent = [each.content for each in recorder.of(registry, "raw", RAW_REQUESTS).sent["/all"]]
    assert len(sent) > len(RAW)
    assert read_again(reader, sent, release=3) == sent
    unknown = sent[0].replace('"action"', '"unknown": 1, "action"')
    assert "unknown field" in read_again(reader, [unknown], release=3)[0]


@pytest.mark.parametrize("registry", ["registry 3", "ours"])
def test_a_program_with_the_package_of_registry_2_reads_of_each_event_what_it_knows(
    reader: Path, recorder: Recorder, registry: str
) -> None:
    filtered = recorder.of(registry, "filters", FILTERED).sent["/all"]  # it has no references, which differ more
    sent = [each.content for each in filtered]
    assert read_again(reader, sent, release=2) == [in_form_of_2(each) for each in sent]


def test_events_of_what_only_ours_does_have_the_form_of_the_others(reader: Path, recorder: Recorder) -> None:
    recording = record(ours(), Setting(REFERENCES, OURS), recorder.factory.mktemp("events"), Counter())
    told = [[sent.summary for sent in recording.of(case)["changes"]] for case in OURS]
    assert told == [
        [("push", "application/octet-stream")],
        [*[("push", "application/octet-stream")] * 2, *(("push", tag) for tag in ("v1", "a", "b"))],
        [("push", "application/octet-stream")],
    ]
    (by_sha512,) = recording.of(OURS[2])["changes"]
    assert by_sha512.event["target"]["digest"] == SHA512
    sent = [each.content for each in recording.sent["/all"]]
    assert read_again(reader, sent, release=3) == sent
