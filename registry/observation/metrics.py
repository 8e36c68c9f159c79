"""Metrics with the names, labels and buckets of the Go registry, and some of our own.

No label ever holds a repository, a digest or a user: the page stays as small with 100,000 repositories.

The processes of a server count in files of a directory that they share. A file belongs to a worker's slot,
not to its pid: the worker that takes the slot of one that died counts on from where that stopped, so counters never
go back and files never pile up.
"""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from prometheus_client import Gauge

    from registry.observation.proxy_metrics import ProxyMetrics
    from registry.observation.record import RequestRecord

_TRIES: Final = 5
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60)
_RUN_SECONDS: Final = (10, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800)
_WAIT_SECONDS: Final = (0.5, 1, 2, 5, 10, 20)
_STORAGE_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BYTES: Final = tuple(1024 * 2**power for power in range(22))
_MEMORY: Final = "/dev/shm"  # noqa: S108  the kernel's own


class Slots:
    """The slots of a server's workers, and the directory that they count in. Lives in the master process."""

    def __init__(self) -> None:
        self.directory = tempfile.mkdtemp(
            prefix="registry-metrics-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None
        )
        self._taken: set[int] = set()

    def take(self) -> int:
        """Return the first slot that is free, for a worker that is about to be forked."""
        slot = next(slot for slot in range(len(self._taken) + 1) if slot not in self._taken)
        self._taken.add(slot)
        return slot

    def leave(self, slot: int) -> None:
        """Let the slot of a worker that has ended be taken again; what it had in flight is forgotten."""
        for path in Path(self.directory).glob(f"gauge_live*_{slot}.db"):
            path.unlink()
        self._taken.discard(slot)

    def remove(self) -> None:
        """Remove the directory."""
        shutil.rmtree(self.directory, ignore_errors=True)


class Metrics:
    """The metrics of this process, which counts at `slot` in `directory`; made after the fork, once."""

    def __init__(self, directory: str, slot: int) -> None:
        # The library looks for the variable when it is imported, and in no other way.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
        from prometheus_client import Counter, Gauge, Histogram, values  # noqa: PLC0415  not loaded where metrics are off

        values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]

        def counter(name: str, text: str, labels: Iterable[str] = ()) -> Counter:
            return Counter(f"registry_{name}", text, labels, registry=None)

        def gauge(name: str, text: str, labels: Iterable[str] = ()) -> Gauge:
            return Gauge(f"registry_{name}", text, labels, registry=None, multiprocess_mode="livesum")

        def latest(name: str, text: str) -> Gauge:
            # "name", as Prometheus labels what it scrapes with a "job" of its own. After a reload, the elected process
            # of the configuration before may still be there: what it did last is less recent.
            return Gauge(f"registry_{name}", text, ["name"], registry=None, multiprocess_mode="livemax")

        def recent(name: str, text: str, labels: Iterable[str]) -> Gauge:
            return Gauge(f"registry_{name}", text, labels, registry=None, multiprocess_mode="livemostrecent")

        def histogram(name: str, text: str, labels: Iterable[str], buckets: Iterable[float]) -> Histogram:
            return Histogram(f"registry_{name}", text, labels, registry=None, buckets=tuple(buckets))

        self._in_flight = gauge("http_in_flight_requests", "Requests being served", ["handler"])
        self._requests = counter("http_requests_total", "Requests served", ["code", "handler", "method"])
        self._seconds = histogram(
            "http_request_duration_seconds",
            "Time from a request to the end of its answer",
            ["handler", "method"],
            _SECONDS,
        )
        self._request_bytes = histogram("http_request_size_bytes", "Bodies of requests", ["handler"], _BYTES)
        self._response_bytes = histogram("http_response_size_bytes", "Bodies of answers", ["handler"], _BYTES)
        self._received = counter("http_received_bytes_total", "Bytes of request bodies", ["handler"])
        self._sent = counter("http_sent_bytes_total", "Bytes of answers' bodies", ["handler"])
        self._storage = histogram(
            "storage_action_seconds", "Time that storage calls took", ["driver", "action"], _STORAGE_SECONDS
        )
        self._circuit = gauge("storage_circuit_open", "Processes that do not ask a silent storage", ["driver"])
        self._cache_requests = counter("storage_cache_requests_total", "Manifests and blobs looked for in a cache")
        self._cache_hits = counter("storage_cache_hits_total", "Manifests and blobs found in a cache")
        self._cache_errors = counter("storage_cache_errors_total", "Calls of a cache that failed")
        self._redis = histogram(
            "storage_cache_redis_seconds", "Time that calls of redis took", ["operation"], _STORAGE_SECONDS
        )
        self.uploads_in_flight = gauge("uploads_in_flight", "Uploads being written to")
        self._workers = gauge("workers", "Worker processes")
        self._threads = gauge("worker_threads", "Threads that the workers may have")
        self._busy = gauge("worker_threads_busy", "Threads that serve a request")
        self._connections = gauge("worker_connections", "Connections that are open")
        self._job_runs = counter("job_runs_total", "Runs of periodic work", ["name", "result"])
        self._job_last_run = latest("job_last_run_timestamp_seconds", "When periodic work was last done")
        self._job_next_run = latest("job_next_run_timestamp_seconds", "When periodic work will be done next")
        endpoint = ["endpoint"]
        self._events = counter("notifications_events_total", "Events by what became of them", ["type", "endpoint"])
        self._answers = counter("notifications_status_total", "Answers of endpoints", ["code", "endpoint"])
        self._pending = recent("notifications_pending_total", "Events that wait", endpoint)
        self._oldest = recent("notifications_oldest_seconds", "How long the oldest event waits", endpoint)
        quota = ["quota"]
        self._quota_limit = recent("quota_limit_bytes", "Bytes that the repositories of a quota may have", quota)
        self._quota_used = recent("quota_used_bytes", "Bytes that the repositories of a quota have", quota)
        self._quota_refused = counter("quota_refused_total", "Pushes that a quota had no room for", quota)
        self._collections = counter("gc_runs_total", "Garbage collections by how they ended", ["result"])
        self._collection_seconds = histogram("gc_run_seconds", "Time that garbage collections took", [], _RUN_SECONDS)
        self._collected = counter("gc_deleted_total", "Manifests, links to blobs and blobs collected", ["kind"])
        self._freed = counter("gc_freed_bytes_total", "Bytes of blobs that were collected")
        self._notices = counter("gc_notices_total", "Pushes that told a garbage collection what they rely on")
        self._collection_waits = histogram(
            "gc_wait_seconds", "Time that pushes waited for a garbage collection", [], _WAIT_SECONDS
        )
        self._retention_runs = counter("retention_runs_total", "Runs of retention by how they ended", ["result"])
        self._untagged = counter("retention_untagged_total", "Tags that retention has taken away")
        self._scrubs = counter("fsck_runs_total", "Scrubs by how they ended", ["result"])
        self._cache_bytes = recent("proxy_cache_bytes", "Bytes that are held of an upstream", ["upstream"])
        self._evicted = counter("proxy_evicted_bytes_total", "Bytes of an upstream that were evicted", ["upstream"])
        # A worker that has not yet seen a new certificate serves the old one: the earliest end is what counts.
        self._not_after = Gauge(
            "registry_tls_certificate_not_after_timestamp_seconds",
            "When the certificate expires that is served",
            ["file"],
            registry=None,
            multiprocess_mode="livemin",
        )

    def request_begins(self, record: RequestRecord) -> None:
        """Count a request in."""
        self._in_flight.labels(record.handler).inc()

    def request_ends(self, record: RequestRecord, *, status: int, sent: int, seconds: float) -> None:
        """Count it out."""
        handler, method = record.handler, record.method.lower()
        self._in_flight.labels(handler).dec()
        self._requests.labels(str(status), handler, method).inc()
        self._seconds.labels(handler, method).observe(seconds)
        self._request_bytes.labels(handler).observe(record.received)
        self._response_bytes.labels(handler).observe(sent)
        self._received.labels(handler).inc(record.received)
        self._sent.labels(handler).inc(sent)

    def storage_called(self, driver: str, action: str, seconds: float) -> None:
        """Count a storage call."""
        self._storage.labels(driver, action).observe(seconds)

    def storage_circuit(self, driver: str, *, is_open: bool) -> None:
        """Take note that this process does not ask the storage for a while, or does again."""
        self._circuit.labels(driver).set(is_open)

    def cache_asked(self, *, hit: bool) -> None:
        """Count a look into a cache."""
        self._cache_requests.inc()
        if hit:
            self._cache_hits.inc()

    def cache_failed(self) -> None:
        """Count a call of a cache that failed."""
        self._cache_errors.inc()

    def redis_called(self, operation: str, seconds: float) -> None:
        """Count a call of redis."""
        self._redis.labels(operation).observe(seconds)

    def worker_loaded(self, *, threads: int, busy: int, connections: int) -> None:
        """Say that this process is a worker, and how much of it is in use."""
        self._workers.set(1)
        self._threads.set(threads)
        self._busy.set(busy)
        self._connections.set(connections)

    def job_noted(self, job: str, *, last_run: float | None, next_run: float | None) -> None:
        """Say when `job` has run and will run, in seconds since 1970; None for what is not known."""
        if last_run is not None:
            self._job_last_run.labels(job).set(last_run)
        if next_run is not None:
            self._job_next_run.labels(job).set(next_run)

    def job_ran(self, job: str, *, failed: bool) -> None:
        """Count a run of `job`."""
        self._job_runs.labels(job, "failure" if failed else "success").inc()

    def notifications_counted(self, endpoint: str, kind: str, number: int) -> None:
        """Count events for an endpoint; `kind` is Events, Successes, Failures, Errors, Dropped or Dead."""
        self._events.labels(kind, endpoint).inc(number)

    def notifications_answered(self, endpoint: str, status: str) -> None:
        """Count an answer of an endpoint: ``200 OK``."""
        self._answers.labels(status, endpoint).inc()

    def notifications_waiting(self, endpoint: str, number: int) -> None:
        """Say how many events wait for an endpoint."""
        self._pending.labels(endpoint).set(number)

    def notifications_oldest(self, endpoint: str, seconds: float) -> None:
        """Say how long the event waits that waits longest; 0 if none does."""
        self._oldest.labels(endpoint).set(seconds)

    def quota_stands(self, quota: str, *, limit: int, used: int) -> None:
        """Say how much the repositories of a quota may have and do have; it is called by its pattern."""
        self._quota_limit.labels(quota).set(limit)
        self._quota_used.labels(quota).set(used)

    def quota_refused(self, quota: str) -> None:
        """Count a push that a quota had no room for."""
        self._quota_refused.labels(quota).inc()

    def collection_ended(self, result: str) -> None:
        """Count a garbage collection; `result` is done, dry_run, refused or failed."""
        self._collections.labels(result).inc()

    def collection_did(self, *, seconds: float, manifests: int, links: int, blobs: int, size: int) -> None:
        """Count what it has deleted: `manifests`, `links` to blobs, `blobs` of `size` bytes together."""
        self._collection_seconds.observe(seconds)
        for kind, number in (("manifest", manifests), ("link", links), ("blob", blobs)):
            self._collected.labels(kind).inc(number)
        self._freed.inc(size)

    def collection_noticed(self) -> None:
        """Count a notice, in which a push tells garbage collections what it relies on."""
        self._notices.inc()

    def collection_waited(self, seconds: float) -> None:
        """Note for how long a push has waited for what a garbage collection was at."""
        self._collection_waits.observe(seconds)

    def retention_ended(self, result: str, untagged: int = 0) -> None:
        """Count a run of retention that has taken so many tags away; `result` is done, dry_run, stopped or failed."""
        self._retention_runs.labels(result).inc()
        self._untagged.inc(untagged)

    def collection_seen(self, ended: float, condemned: int) -> None:
        """Say when the last one ended, in seconds since 1970, and how many bytes it has left that are condemned."""
        last_success, condemned_bytes = self._last_collection
        last_success.set(ended)
        condemned_bytes.set(condemned)

    @cached_property
    def _last_collection(self) -> tuple[Gauge, Gauge]:
        """What the last report says, of whatever host; nothing before there was one."""
        from prometheus_client import Gauge  # noqa: PLC0415  as above

        def recent(name: str, text: str) -> Gauge:
            return Gauge(f"registry_{name}", text, registry=None, multiprocess_mode="livemostrecent")

        return (
            recent("gc_last_success_timestamp_seconds", "When the last garbage collection ended that was done"),
            recent("gc_condemned_bytes", "Bytes that are condemned and not deleted yet"),
        )

    def scrub_ended(self, result: str) -> None:
        """Count a scrub; `result` is clean, damaged, stopped or failed."""
        self._scrubs.labels(result).inc()

    def scrub_seen(self, ended: float, damaged: int) -> None:
        """Say when the last one ended, in seconds since 1970, and how much of what it has found is damaged yet."""
        last_success, damages = self._last_scrub
        last_success.set(ended)
        damages.set(damaged)

    @cached_property
    def _last_scrub(self) -> tuple[Gauge, Gauge]:
        """What is remembered of the last scrub, of whatever host; nothing before there was one."""
        from prometheus_client import Gauge  # noqa: PLC0415  as above

        def recent(name: str, text: str) -> Gauge:
            return Gauge(f"registry_{name}", text, registry=None, multiprocess_mode="livemostrecent")

        return (
            recent("fsck_last_success_timestamp_seconds", "When the last scrub came to its end"),
            recent("fsck_damaged", "Damages that the last scrub has found and nobody has repaired"),
        )

    def cache_holds(self, upstream: str, size: int) -> None:
        """Say how many bytes are held of an upstream."""
        self._cache_bytes.labels(upstream).set(size)

    def cache_evicted(self, upstream: str, size: int) -> None:
        """Count bytes of an upstream that were evicted."""
        self._evicted.labels(upstream).inc(size)

    def of_proxies(self, upstreams: Iterable[str]) -> ProxyMetrics:
        """Return what counts for the upstreams called so; ask once in a process."""
        from registry.observation.proxy_metrics import ProxyMetrics  # noqa: PLC0415  few registries cache others

        return ProxyMetrics(upstreams)

    def certificate_served(self, file: str, not_after: datetime | None) -> None:
        """Say when the certificate in `file` expires, which this worker serves; None leaves what was said before."""
        if not_after is not None:
            self._not_after.labels(file).set(not_after.timestamp())


def exposition(directory: str) -> Callable[[str], tuple[str, bytes]]:
    """Return what gives content type and text of the metrics of all processes, as an Accept header asks for them."""
    from prometheus_client import CollectorRegistry, exposition, multiprocess  # noqa: PLC0415

    class Collector(multiprocess.MultiProcessCollector):
        """Reads the files that have something in them: one that a worker has just made is empty for a moment."""

        def collect(self) -> Any:
            files = [str(path) for path in Path(directory).glob("*.db") if path.stat().st_size]
            return self.merge(files)  # type: ignore[no-untyped-call]

    def render_once(accept: str) -> tuple[str, bytes]:
        registry = CollectorRegistry()
        Collector(registry, directory)  # type: ignore[no-untyped-call]
        encode, content_type = exposition.choose_encoder(accept)
        return content_type, encode(registry)

    def render(accept: str) -> tuple[str, bytes]:
        for _ in range(_TRIES - 1):
            # A worker that begins or has ended makes or removes its files at this moment.
            with suppress(OSError, ValueError, struct.error):
                return render_once(accept)
        return render_once(accept)

    return render
