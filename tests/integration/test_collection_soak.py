"""Three servers behind nginx under load while garbage is collected all the time and collectors are killed.

``SOAK_SECONDS=1800 make integration`` goes on for longer than the usual half a minute and prints the figures.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.drivers.stores import STORES
from tests.integration.api import digest_of
from tests.integration.clients import finish, require_program, run
from tests.integration.clusters import running_cluster, shared_directory, shared_store
from tests.integration.collection_load import EXIT_BUSY, PACE, PROGRAM, Client, Tag, faults, work_together
from tests.integration.proxies import start_nginx
from tests.integration.servers import Flavour, clean_environment

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.clusters import Cluster
    from tests.integration.content import Samples
    from tests.integration.engine import Engine

SECONDS = float(os.environ.get("SOAK_SECONDS", "25"))
GRACE_SECONDS = 3.0
CLIENTS = 4
COLLECTORS = 2

pytestmark = pytest.mark.timeout(SECONDS * 2 + 400)


@pytest.fixture(params=["directory", *STORES])
def cluster(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("PACE", json.dumps(PACE))
    root = tmp_path / tmp_path.name
    in_directory = request.param == "directory"
    shared = shared_directory(root) if in_directory else shared_store(request.getfixturevalue(request.param), root)
    start_proxy = partial(start_nginx, root=root if in_directory else None)
    section = {"grace": f"{GRACE_SECONDS:g}s", "untagged": {"enabled": True, "age": "1s"}, "maxshare": 100}
    settings = {"storage": {"maintenance": {"garbagecollection": section}}, "http": {"workers": 2}}
    flavour = Flavour("ours", (*PROGRAM, "serve"), ours=True)
    with running_cluster(tmp_path, shared, start_proxy, settings, flavour=flavour, count=3) as running:
        yield running


@dataclass
class Collecting:
    """Garbage collections one after the other, some of which are killed."""

    configuration: Path
    seed: int
    reports: list[dict[str, object]] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)

    def work(self, over: threading.Event) -> None:
        chance = random.Random(self.seed)
        while not over.wait(0.5):
            self.once(kill_after=chance.uniform(0.5, 5) if chance.random() < 0.3 else None)

    def once(self, kill_after: float | None = None) -> None:
        command = [*PROGRAM, "garbage-collect", "--online", "--json", str(self.configuration)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment(), text=True
        )
        try:
            told, error = process.communicate(timeout=kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.ended["killed"] += 1
            return
        assert process.returncode in {0, EXIT_BUSY}, error
        if process.returncode == 0:
            self.reports.append(json.loads(told))
            self.ended["whole"] += 1
        else:
            self.ended["another on"] += 1


@dataclass
class Copying:
    """Real clients that push one image after another through the proxy; `tags` are those that they say they pushed."""

    cluster: Cluster
    engine: Engine
    samples: Samples
    directory: Path
    tags: dict[Tag, str] = field(default_factory=dict)
    ended: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._skopeo = (require_program("skopeo"), "--insecure-policy", "copy", "--all")
        archive = self.directory / "archive"
        run(*self._skopeo[:3], f"oci:{self.samples.layout.path}:amd64", f"docker-archive:{archive}:soak:1")
        self.engine.docker("load", "--input", archive)
        image = self._local("docker")
        self.engine.docker("tag", "soak:1", image)
        crane = (require_program("crane"), "push", "--insecure", self.directory / "archive", self._local("crane"))
        docker = (self.engine.client, "--host", self.engine.socket, "push", image)
        target = f"docker://{self.cluster.proxy.host}/soak/skopeo:v1"
        certificates = ("--dest-cert-dir", self.cluster.certificates)
        skopeo = (*self._skopeo, *certificates, f"oci:{self.samples.layout.path}:multi", target)
        self._commands: dict[str, tuple[str | Path, ...]] = {"crane": crane, "docker": docker, "skopeo": skopeo}

    def work(self, over: threading.Event) -> None:
        while not over.is_set():
            for name, command in self._commands.items():
                repository = f"soak/{name}"
                began = time.monotonic()
                pushed = finish(*command)
                if pushed.returncode == 0:
                    self.ended[name] += 1
                    answer = self.cluster.proxy.api.manifest(repository, "v1")
                    assert answer.status == 200, (name, answer)
                    self.tags[repository, "v1"] = digest_of(answer.body)
                else:
                    # What it was told at its beginning, it may rely on for the grace, which is hours elsewhere.
                    assert time.monotonic() - began > GRACE_SECONDS, pushed.stdout + pushed.stderr
                    self.ended[f"{name} late"] += 1
                if over.is_set():
                    return
                deleted = self.cluster.proxy.api.delete(f"/v2/{repository}/manifests/v1")
                assert deleted.status in {202, 404, 503}, deleted
                if deleted.status == 202:
                    del self.tags[repository, "v1"]

    def _local(self, name: str) -> str:
        return f"127.0.0.1:{self.cluster.proxy.port}/soak/{name}:v1"


def test_nothing_that_was_acknowledged_is_lost_to_collections_under_load(
    cluster: Cluster, engine: Engine, samples: Samples, tmp_path: Path
) -> None:
    configuration = next(tmp_path.glob("ours-*.yml"))
    apis = [cluster.proxy.api, *(server.api for server in cluster.servers)]
    clients = [Client(f"client{number}", apis, GRACE_SECONDS * 0.8) for number in range(CLIENTS)]
    collectors = [Collecting(configuration, seed) for seed in range(COLLECTORS)]
    copying = Copying(cluster, engine, samples, tmp_path)
    work_together([*clients, *collectors, copying], SECONDS)
    tags = dict(copying.tags)
    for client in clients:
        tags |= client.tags
    assert faults(cluster.proxy.api, tags) == []
    last = Collecting(configuration, COLLECTORS)  # it takes over from one that was killed
    last.once()
    assert last.ended["whole"], last.ended
    run(*PROGRAM, "fsck", "--deep", str(configuration), env=clean_environment())

    done = sum((client.done for client in clients), Counter[str]())
    freed = sum(int(str(report["deleted_bytes"])) for each in collectors for report in each.reports)
    runs = sum((each.ended for each in collectors), Counter[str]())
    print(f"\n{SECONDS:g} s: {dict(done)}; clients: {dict(copying.ended)}; {freed} bytes freed; runs: {dict(runs)}")
    assert freed
    assert done["push_image"] > CLIENTS
    assert runs["whole"]
