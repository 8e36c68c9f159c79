"""Clients pull through two caches with one storage while all is evicted and collected again and again.

With SOAK_SECONDS in the environment it goes on for longer than the usual few seconds.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.content import image
from tests.integration.api import digest_of
from tests.integration.clients import finish, run
from tests.integration.collection_load import EXIT_BUSY, PACE, PROGRAM, work_together
from tests.integration.pull_through import caches, entry
from tests.integration.servers import Flavour, clean_environment
from tests.upstreams import Registry, registry

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.integration.servers import Server

SECONDS = float(os.environ.get("SOAK_SECONDS", "15"))
CLIENTS = 4
IMAGES = 12
ROUNDS = 1.5
"""How often clients go through all images."""
SECTION = {"grace": "3s", "untagged": {"enabled": True, "age": "1s"}, "maxshare": 100}
LAYERS = [random.Random(seed).randbytes(200_000) for seed in range(IMAGES)]

pytestmark = pytest.mark.timeout(SECONDS * 2 + 200)


@pytest.fixture
def upstream() -> Iterator[Registry]:
    """Images of two repositories, each of which shares its layers with others."""
    with registry() as served:
        for number in range(IMAGES):
            for name in ("app", "other"):
                layers = LAYERS[number], LAYERS[(number + 1) % IMAGES]
                config = f'{{"number":{number}}}'.encode()
                for content in (config, *layers):
                    served.put_blob(name, content)
                served.put_manifest(name, image(config, *layers), f"v{number}")
        yield served


@dataclass
class Client:
    """Pulls images by their tags, one after the other: a few for a while, then others, so that the rest may go."""

    servers: Sequence[Server]
    seed: int
    done: Counter[str] = field(default_factory=Counter)

    def work(self, over: threading.Event) -> None:
        chance, began = random.Random(self.seed), time.monotonic()
        while not over.is_set():
            first = int((time.monotonic() - began) / SECONDS * IMAGES * ROUNDS)
            number = (first + chance.randrange(2)) % IMAGES
            self.pull(chance.choice(self.servers), chance.choice(["app", "other"]), number)

    def pull(self, server: Server, name: str, number: int) -> None:
        answer = server.api.manifest(f"up/{name}", f"v{number}")
        assert answer.status == 200, answer
        assert digest_of(answer.body) == answer.digest
        document = answer.json()
        for described in (document["config"], *document["layers"]):
            self._blob(server, f"up/{name}", described["digest"])
        self.done["images"] += 1

    def _blob(self, server: Server, name: str, digest: str) -> None:
        for _ in range(3):
            got = server.api.blob(name, digest)
            assert got.status == 200, got
            assert not got.complete or digest_of(got.body) == digest, "a whole blob is the right one"
            if got.complete:
                return
            self.done["broken"] += 1
        pytest.fail(f"{digest} breaks off each time")


@dataclass
class Command:
    """A command of ours that runs again and again; its name and what it ends with."""

    arguments: tuple[str, ...]
    allowed: frozenset[int]
    ended: Counter[int] = field(default_factory=Counter)

    def work(self, over: threading.Event) -> None:
        while not over.wait(0.3):
            finished = finish(*PROGRAM, *self.arguments, env=clean_environment())
            assert finished.returncode in self.allowed, (self.arguments, finished.stdout + finished.stderr)
            self.ended[finished.returncode] += 1


def test_nobody_misses_anything_while_what_is_cached_is_evicted_collected_and_checked(
    tmp_path: Path, upstream: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACE", json.dumps(PACE))
    flavour = Flavour("ours", (*PROGRAM, "serve"), ours=True)
    settings = {
        "proxies": [entry(upstream.url)],
        "storage": {"maintenance": {"garbagecollection": SECTION}},
    }
    with caches(tmp_path, settings, count=2, flavour=flavour) as servers:
        path = str(tmp_path / f"ours-{servers[0].port}.yml")
        clients = [Client(servers, seed) for seed in range(CLIENTS)]
        commands = [
            Command(("garbage-collect", "--online", path), frozenset({0, EXIT_BUSY})),
            Command(("proxy", "evict", "--config", path, "up/**"), frozenset({0, 1, EXIT_BUSY})),
            Command(("fsck", "--deep", path), frozenset({0, EXIT_BUSY})),
        ]
        work_together([*clients, *commands], SECONDS)
        pulled = sum((client.done for client in clients), Counter[str]())
        ended = [dict(command.ended) for command in commands]
        fetched = upstream.count("GET", "/blobs/")
        print(f"\n{SECONDS:g} s: {dict(pulled)}; collections, evictions, checks: {ended}; {fetched} blobs fetched")
        assert pulled["images"] > IMAGES
        assert pulled["broken"] * 100 < pulled["images"]
        assert all(command.ended[0] for command in commands)
        clients[0].pull(servers[0], "app", 0)  # the last eviction may have ended after the last pull
        for server in servers:
            server.stop_cleanly()
        run(*PROGRAM, "fsck", "--deep", path, env=clean_environment())
        run(*PROGRAM, "proxy", "evict", "--config", path, "up/**", env=clean_environment())
        run(*PROGRAM, "garbage-collect", "--offline", "--grace", "0s", "-m", path, env=clean_environment())
        servers[0].start()
        last = Client(servers[:1], CLIENTS)
        for number in range(IMAGES):
            for name in ("app", "other"):
                last.pull(servers[0], name, number)
        assert not last.done["broken"]
        assert upstream.count("GET", "/blobs/") > fetched + IMAGES, "most of it was gone, and has come again"
