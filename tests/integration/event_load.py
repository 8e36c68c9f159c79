"""Clients that push, and what an endpoint has to be told of that."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.integration.api import OCI_INDEX, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.integration.api import Answer, Api


def manifest(mark: str) -> bytes:
    """Give an index of nothing, which no other `mark` has."""
    content = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": {"mark": mark}}
    return json.dumps(content).encode()


def put(api: Api, repository: str, *tags: str) -> Answer:
    """Push a manifest of its own with `tags`, each of which is an event."""
    content = manifest(f"{repository}:{tags[0]}")
    query = "&".join(f"tag={tag}" for tag in tags)
    return api.put_manifest(repository, f"{digest_of(content)}?{query}", content, OCI_INDEX)


@dataclass(slots=True)
class Pushes:
    """What was acknowledged: the tags of each repository, in their order. A repository has one client at a time."""

    acknowledged: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def one(self, api: Api, repository: str, count: int = 1) -> Answer:
        """Push a manifest with `count` new tags."""
        known = self.acknowledged[repository]
        tags = [f"t{len(known) + number:06}" for number in range(count)]
        answer = put(api, repository, *tags)
        if answer.status == 201:
            known += tags
        return answer

    def many(self, api: Api, clients: int, pushes: int, tags: int = 1) -> None:
        """Have each of so many clients push to a repository of its own."""

        def push(client: int) -> None:
            for _ in range(pushes):
                assert self.one(api, f"team/app{client}", tags).status == 201

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(push, range(clients)))

    @contextmanager
    def going_on(self, api: Api, clients: int) -> Iterator[None]:
        """Push all the time, each client to a repository of its own; every push has to succeed."""
        ended = threading.Event()

        def push(client: int) -> None:
            while not ended.wait(0.01):
                assert self.one(api, f"team/app{client}").status == 201

        with ThreadPoolExecutor(clients) as pool:
            running = [pool.submit(push, client) for client in range(clients)]
            try:
                yield
            finally:
                ended.set()
            for each in running:
                each.result()

    def copy(self) -> Pushes:
        """Give the pushes up to now, to which nothing is added."""
        return Pushes({repository: list(tags) for repository, tags in self.acknowledged.items()})

    def since(self, earlier: Pushes) -> Pushes:
        """Give what was pushed after `earlier` was copied."""
        return Pushes(
            {name: tags[len(earlier.acknowledged.get(name, ())) :] for name, tags in self.acknowledged.items()}
        )

    def delivered_in(self, events: Iterable[Mapping[str, Any]]) -> bool:
        """Tell whether all of them are among `events`."""
        told = pushed(events)
        return all(set(tags) <= set(told[repository]) for repository, tags in self.acknowledged.items())


def pushed(events: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Give the tags of each repository that `events` tell of, in the order in which they came first."""
    told: dict[str, list[str]] = defaultdict(list)
    seen = set()
    for event in events:
        target = event["target"]
        if event["action"] == "push" and event["id"] not in seen:
            seen.add(event["id"])
            told[target["repository"]].append(target["tag"])
    return told
