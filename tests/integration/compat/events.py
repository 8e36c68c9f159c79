"""What registries tell the endpoints of ``notifications``: recorded, without what differs from run to run."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from registry.oci import media_types
from tests.integration.api import DOCKER_MANIFEST, Answer, Api
from tests.integration.compat.seeding import CONFIG, DOCKER_IMAGE, LAYER
from tests.integration.event_receiver import EventReceiver
from tests.integration.servers import Server, merged
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from tests.integration.event_receiver import Received
    from tests.integration.servers import Flavour

END = "the-end"
"""The repository whose events are the last ones."""
OUTSTANDING_SECONDS = 20
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_RFC3339_NANO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{0,8}[1-9])?(?:Z|[+-]\d\d:\d\d)"
"""As Go writes a time: without zeros at its end."""
_VARYING = (
    (re.compile(rf'"(id|instanceID)": "{_UUID}"'), r'"\1": "UUID"'),
    (re.compile(rf'"timestamp": "{_RFC3339_NANO}"'), '"timestamp": "TIME"'),
    (re.compile(r'"addr": "127\.0\.0\.1:\d+"'), '"addr": "127.0.0.1:PORT"'),
)
_OF_CLIENT = {"Content-Length", "User-Agent", "Accept-Encoding"}
_DESCRIPTOR = ("mediaType", "size", "digest")
"""The members of a descriptor in registry 2, in their order."""


@dataclass(frozen=True, slots=True)
class Target:
    """The registry that a case works on; `api` knows the prefix of its paths."""

    api: Api
    host: str


@dataclass(frozen=True, slots=True)
class Case:
    """Requests that are made of every registry: in `repository`, or in others whose names begin with it and a slash."""

    name: str
    act: Callable[[Target, str], None]
    unordered: frozenset[str] = frozenset()
    """Of "changes" and "pulls" those whose order is left to chance."""

    @property
    def repository(self) -> str:
        return re.sub(r"\W+", "-", self.name).lower()


@dataclass(frozen=True, slots=True)
class Setting:
    """How registries are set up, and what clients that add `headers` then do. `endpoints` are by their paths."""

    settings: Mapping[str, Any]
    cases: tuple[Case, ...]
    endpoints: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"/all": {}})
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sent:
    """One event as it was sent.

    Of its head the Content-Length, which is right, is left out, and what a client says of itself: ours is another.
    """

    head: tuple[str, ...]
    body: str
    content: str
    """The body with what differs from run to run."""

    @property
    def event(self) -> dict[str, Any]:
        (event,) = json.loads(self.body)["events"]
        return dict(event)

    @property
    def repository(self) -> str:
        return str(self.event["target"]["repository"])

    @property
    def summary(self) -> tuple[str, str]:
        """Return the action, and the tag or else the media type."""
        target = self.event["target"]
        return self.event["action"], target.get("tag") or target.get("mediaType", "")


@dataclass(frozen=True, slots=True)
class GivenApi(Api):
    """The API of a server with ``http.prefix``, for a client that adds `headers` to each of its requests."""

    prefix: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        path = target if target.startswith(self.prefix) else self.prefix + target
        return Api.request(self, method, path, body, {**self.headers, **(headers or {})})


@dataclass(frozen=True, slots=True)
class Recording:
    """What a registry sent to each path of the receiver."""

    sent: Mapping[str, list[Sent]]

    def of(self, case: Case, path: str = "/all") -> dict[str, list[Sent]]:
        """Return the "changes" and the "pulls" of `case`: no order is promised between the two."""
        found: dict[str, list[Sent]] = {"changes": [], "pulls": []}
        for sent in self.sent[path]:
            if f"{sent.repository}/".startswith(f"{case.repository}/"):
                found["pulls" if sent.event["action"] == "pull" else "changes"].append(sent)
        return found

    def counts(self, cases: Iterable[Case]) -> Counter[tuple[str, str]]:
        """Count the events of `cases` by path and repository."""
        return Counter(
            (path, sent.repository)
            for case in cases
            for path in self.sent
            for sent in chain(*self.of(case, path).values())
        )


def record(flavour: Flavour, setting: Setting, directory: Path, expected: Counter[tuple[str, str]]) -> Recording:
    """Run the cases of `setting` against a server, and return what it sent.

    Behind the cases all that is outstanding is waited for: until the events of a last repository come, and for some
    time until there are as many as `expected`, by path and repository.
    """
    with EventReceiver() as receiver:
        endpoints = [
            {"name": path.strip("/"), "url": f"{receiver.url}{path}", "timeout": "10s", **given}
            for path, given in setting.endpoints.items()
        ]
        settings = merged(setting.settings, {"notifications": {"endpoints": endpoints}})
        server = Server(flavour, directory / "root", directory, settings=settings)
        server.start()
        try:
            prefix = str(settings.get("http", {}).get("prefix", "")).rstrip("/")
            target = Target(GivenApi("127.0.0.1", server.port, prefix=prefix, headers=setting.headers), server.host)
            for case in setting.cases:
                case.act(target, case.repository)
            push_image(target.api, END)
            enabled = [path for path, each in setting.endpoints.items() if not each.get("disabled")]
            wait_until("each has the last event", lambda: all(_has_end(receiver, path) for path in enabled))
            with suppress(TimeoutError):
                wait_until("all are there", lambda: not expected - _counts(receiver), seconds=OUTSTANDING_SECONDS)
        finally:
            server.stop_cleanly()
        sent: dict[str, list[Sent]] = {path: [] for path in setting.endpoints}
        for request in receiver.requests:
            sent[request.path].append(_sent(request, server, receiver))
    return Recording(sent)


def push_image(api: Api, repository: str, tag: str = "v1") -> None:
    api.push_blob(repository, CONFIG)
    api.push_blob(repository, LAYER)
    assert api.put_manifest(repository, tag, DOCKER_IMAGE, DOCKER_MANIFEST).status == 201


def as_registry_2(sent: Sent) -> Sent:
    """Return what registry 2 would have sent in the place of an event of registry 3."""
    head = tuple(line.replace("distribution.events.v2+json", "distribution.events.v1+json") for line in sent.head)
    return replace(sent, head=head, body=in_form_of_2(sent.body))


def in_form_of_2(body: str) -> str:
    """Return an envelope of registry 3 as registry 2 would have written it.

    Members of a descriptor have another order, and are absent if they are empty; references do not have all of them.
    """
    document = json.loads(body)
    for event in document["events"]:
        target = event["target"]
        without = {"data", "artifactType"} | ({"platform"} if target["mediaType"] in media_types.INDEXES else set())
        if "references" in target:
            target["references"] = [_descriptor_of_2(reference, without) for reference in target["references"]]
        event["target"] = _descriptor_of_2(target, set())
    return go_json(document)


def _descriptor_of_2(descriptor: dict[str, Any], without: set[str]) -> dict[str, Any]:
    ordered = {name: descriptor[name] for name in _DESCRIPTOR if descriptor[name]}
    return ordered | {name: value for name, value in descriptor.items() if name not in {*_DESCRIPTOR, *without}}


def go_json(document: object) -> str:
    """Write `document` as ``json.MarshalIndent`` does."""
    text = json.dumps(document, ensure_ascii=False, indent=3)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _counts(receiver: EventReceiver) -> Counter[tuple[str, str]]:
    return Counter((each.path, event["target"]["repository"]) for each in receiver.requests for event in each.events())


def _has_end(receiver: EventReceiver, path: str) -> bool:
    targets = [event["target"] for each in receiver.requests if each.path == path for event in each.events()]
    return any(target["repository"] == END and "tag" in target for target in targets)


def _sent(request: Received, server: Server, receiver: EventReceiver) -> Sent:
    assert request.method == "POST"
    assert request.header("Content-Length") == str(len(request.body))
    lines = [f"{name}: {value}" for name, value in request.headers if name not in _OF_CLIENT]
    head = tuple(line.replace(f":{receiver.port}", ":PORT") for line in lines)
    # Go writes the character with which it replaces what is not UTF-8 in another way than that character.
    content = request.body.decode().replace("\\ufffd", "\ufffd")
    body = content.replace(f":{server.port}", ":PORT")
    for pattern, written in _VARYING:
        body = pattern.sub(written, body)
    return Sent(head, body, content)
