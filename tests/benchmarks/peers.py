"""The registries that are compared: how each is started with its fast settings."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.benchmarks.connection import Connection, RequestError
from tests.integration.servers import START_SECONDS, STOP_SECONDS, debian, distribution_v3, free_port, ours

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ACCELERATED = "/_registry_blobs"
"""Where nginx serves the files of our registry to itself."""

_SECRET = "one secret for every server"
_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Site:
    """Where a registry is to keep its content and listen; `behind` says that nginx is in front of it.

    `storage` is its section of that name, where content is not to be stored in `root`. `endpoint` is the URL that is to
    be told of pushes and deletions, "" for none. `upstream` is the URL of what it is to cache, "" for nothing.
    `environment` is what it needs in addition to ours.
    """

    root: Path
    port: int
    behind: bool
    storage: Mapping[str, object] | None = None
    endpoint: str = ""
    upstream: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that serves a registry; `ours` says that it is ours, of this commit or of an earlier one.

    `tree` says that it keeps the distribution registry's tree. `stores` are the object stores over which it can be
    compared, `reads_only` those of them to whose emulator it pushes no blobs. `door` is the status of a request without
    credentials: 401 where there is access control. `tells` says that it sends events, `caches` that it is a cache of an
    upstream. What precedes the names of cached repositories is `cached`, and `asked` where tags are looked for upstream
    at each request.
    """

    name: str
    command: tuple[str, ...]
    configuration: Callable[[Site], str]
    ours: bool = False
    tree: bool = True
    stores: tuple[str, ...] = ("s3", "gcs", "azure")
    reads_only: tuple[str, ...] = ()
    door: int = 200
    tells: bool = False
    caches: bool = False
    cached: str = ""
    asked: str = ""


def find_peers(wanted: str, *, caches: bool = False) -> list[Peer]:
    """Return our registry and the others that this machine has; `wanted` names some of them, or is empty for all.

    BEFORE names the program of an earlier commit of ours, ZOT that of zot. ``ours-events`` and ``v3-events``, which
    send events, are there only if they are wanted by name; ``ours-proxy``, ``before-proxy`` and ``v3-proxy``, each with
    an upstream of its own, also for none if `caches`.
    """
    here = ours()
    peers = [Peer(here.name, here.command, _configuration_of_ours, ours=True)]
    if v3 := distribution_v3():
        # It sends blobs to Google's own hosts, whatever its SDK is told: newSession in its gcs.go.
        peers.append(Peer(v3.name, v3.command, _configuration_of_distribution, reads_only=("gcs",)))
    if v2 := debian():
        peers.append(Peer(v2.name, v2.command, _configuration_of_distribution, stores=("s3",)))
    if before := os.environ.get("BEFORE"):
        peers.append(Peer("before", (before, "serve"), _configuration_of_ours, ours=True))
    if zot := os.environ.get("ZOT"):
        # It has parameters of its own for S3 and needs a database as well.
        peers.append(Peer("zot", (zot, "serve"), _configuration_of_zot, tree=False, stores=()))
    names = wanted.replace(",", " ").split()
    telling = [replace(peer, name=f"{peer.name}-events", tells=True) for peer in peers if peer.name in {"ours", "v3"}]
    caching = [_cache(peer) for peer in peers if peer.name in {"ours", "before", "v3"}]
    wanted_anyway = [*peers, *(caching if caches else [])]
    return [peer for peer in peers + telling + caching if (peer.name in names if names else peer in wanted_anyway)]


def upstream_peer() -> Peer:
    """Return who stands behind each cache: distribution v3 if this machine has it, ours else."""
    found = {peer.name: peer for peer in find_peers("")}
    return found.get("v3") or next(iter(found.values()))


def _cache(peer: Peer) -> Peer:
    if peer.ours:
        return replace(peer, name=f"{peer.name}-proxy", caches=True, cached="cached/", asked="asked/")
    return replace(peer, name=f"{peer.name}-proxy", caches=True)


@dataclass(slots=True)
class Server:
    """A registry that runs."""

    peer: Peer
    site: Site
    start_seconds: float = 0.0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """The root of its process tree."""
        if self._process is None:
            raise RuntimeError(f"{self.peer.name} was not started")
        return self._process.pid

    def start(self) -> Server:
        """Start it and wait until it answers; `start_seconds` is how long that took."""
        self.site.root.mkdir(parents=True, exist_ok=True)
        path = self.site.root.with_suffix(".conf")
        path.write_text(self.peer.configuration(self.site))
        started = time.perf_counter()
        with self.site.root.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self.peer.command, str(path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**_environment(), **self.site.environment},
                start_new_session=True,
            )
        while not _answers(self.site.port, self.peer.door):
            if self._process.poll() is not None or time.perf_counter() - started > START_SECONDS:
                self.stop()
                said = Path(log.name).read_text(errors="replace")
                raise RuntimeError(f"{self.peer.name} did not start: {said[-2000:]}")
            time.sleep(_POLL_SECONDS)
        self.start_seconds = time.perf_counter() - started
        return self

    def stop(self) -> None:
        """End it and all processes that it has started."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def new_site(root: Path, *, behind: bool = False, storage: Mapping[str, object] | None = None) -> Site:
    """Return a site at `root` with a port that is free."""
    return Site(root, free_port(), behind, storage)


def _answers(port: int, status: int) -> bool:
    try:
        with Connection("127.0.0.1", port) as connection:
            connection.request("GET", "/v2/", expected=status)
    except (OSError, RequestError):
        return False
    return True


def _configuration_of_ours(site: Site) -> str:
    document = _common(site)
    if site.behind:
        document["http"]["accelredirect"] = {"prefix": ACCELERATED}
    if site.upstream:
        cached = {"name": "cached", "remoteurl": site.upstream}
        document["proxies"] = [cached, {**cached, "name": "asked", "cache": {"freshness": "0s"}}]
    return yaml.safe_dump(document)


def _configuration_of_distribution(site: Site) -> str:
    document = _common(site)
    if site.upstream:
        document["proxy"] = {"remoteurl": site.upstream}
    return yaml.safe_dump(document)


def _common(site: Site) -> dict[str, Any]:
    told = {"notifications": {"endpoints": [{"name": "sink", "url": site.endpoint, "ignore": {"actions": ["pull"]}}]}}
    return {
        **(told if site.endpoint else {}),
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {
            **(site.storage or {"filesystem": {"rootdirectory": str(site.root)}}),
            "delete": {"enabled": True},
            "cache": {"blobdescriptor": "inmemory"},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": f"127.0.0.1:{site.port}", "secret": _SECRET},
    }


def _configuration_of_zot(site: Site) -> str:
    document = {
        "distSpecVersion": "1.1.1",
        "storage": {"rootDirectory": str(site.root), "gc": False, "dedupe": True},
        "http": {"address": "127.0.0.1", "port": str(site.port), "compat": ["docker2s2"]},
        "log": {"level": "error"},
    }
    return json.dumps(document)


def _environment() -> Mapping[str, str]:
    """Return our environment without REGISTRY_* and AWS_*, which would change the servers' configuration."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REGISTRY_", "AWS_"))}
    return kept | {"OTEL_TRACES_EXPORTER": "none"}
