"""The eviction as periodic work, and what it leaves for those who come later."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from drivers.base import PathNotFoundError
from drivers.filesystem.driver import FilesystemDriver
from registry.config import Configuration
from registry.config.remote import Proxy
from registry.config.upstreams import Upstream, UpstreamCache
from registry.config.values import Maintenance, ReadOnly, Storage
from registry.jobs.job import JobFailedError
from registry.proxy.eviction.jobs import Schedule, jobs
from registry.proxy.eviction.outcomes import last_swept
from registry.storage import paths
from tests.drivers.failing import FailingDriver
from tests.proxy.caches import DAY, HOUR, Stored

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.base import StorageDriver

OLD = 8 * DAY


def configuration(*, ttl: float = 7 * DAY, size: int = 0) -> Configuration:
    cache = UpstreamCache(ttl_seconds=ttl, size=size)
    entry = Upstream(name="hub", remoteurl="https://hub.example", prefix="hub", cache=cache)
    return Configuration("0.1", Storage("inmemory", {}), proxies=(entry,))


def run(driver: StorageDriver, told: Configuration, *, after: float = 0.0) -> float | None:
    return Schedule(told, driver, None, now=lambda: time.time() + after).run()


def test_a_sweep_of_any_host_puts_off_the_next_one_for_an_hour() -> None:
    stored = Stored()
    stored.image("hub/a", "v1", layers=(b"a",), age=OLD)
    assert run(stored.driver, configuration()) is None
    assert stored.tags("hub/a") == []

    stored.image("hub/b", "v1", layers=(b"b",), age=OLD)
    pause = run(stored.driver, configuration(), after=HOUR / 2)
    assert stored.tags("hub/b") == ["v1"]
    assert pause
    assert HOUR / 2 - 5 <= pause <= HOUR / 2 + 65
    run(stored.driver, configuration(), after=HOUR + 1)
    assert stored.tags("hub/b") == []


def test_other_rules_hold_at_once() -> None:
    stored = Stored()
    stored.image("hub/a", "v1", age=2 * DAY)
    run(stored.driver, configuration())
    assert stored.tags("hub/a") == ["v1"]

    run(stored.driver, configuration(ttl=DAY))

    assert stored.tags("hub/a") == []


def test_of_hosts_one_sweeps_at_a_time() -> None:
    stored = Stored()
    stored.image("hub/a", "v1", age=OLD)
    claim = stored.driver.claim(paths.EVICTION_CLAIM)
    assert claim

    assert run(stored.driver, configuration()) == 600
    assert stored.tags("hub/a") == ["v1"]
    claim.release()
    run(stored.driver, configuration())
    assert stored.tags("hub/a") == []


def test_what_is_held_is_remembered_for_metrics_and_later_hosts() -> None:
    stored = Stored()
    stored.image("hub/a", "v1", layers=(bytes(1000),), age=HOUR)

    run(stored.driver, configuration())

    swept = last_swept(stored.driver)
    assert swept
    assert [each.upstream for each in swept.outcomes] == ["hub"]
    assert swept.outcomes[0].size > 1000


def test_nothing_is_evicted_where_nothing_is_cached_or_may_be_written() -> None:
    told = configuration()
    read_only = Storage("inmemory", {}, maintenance=Maintenance(readonly=ReadOnly(enabled=True)))
    stored = Stored()

    def names(told: Configuration) -> list[str]:
        return [job.name for job in jobs(told, stored.driver, None, lambda: False)]

    assert names(told) == ["eviction"]
    assert names(replace(told, proxies=())) == []
    assert names(replace(told, storage=read_only)) == []


def test_a_classic_cache_leaves_the_go_registry_when_to_forget_what() -> None:
    stored = Stored()
    digest = stored.image("library/alpine", "latest", layers=(b"alpine",), age=DAY)
    stored.image("library/old", "latest", layers=(b"old",), age=OLD)
    stored.image("team/pushed", "latest", layers=(b"pushed",), age=DAY, fetched=False)
    told = Configuration(
        "0.1", Storage("inmemory", {}), proxy=Proxy(remoteurl="https://hub.example", ttl_seconds=7 * DAY)
    )

    run(stored.driver, told)

    state = json.loads(stored.driver.get(paths.SCHEDULER, limit=10_000))
    key = f"library/alpine@{digest}"
    assert state[key]["Key"] == key
    assert state[key]["EntryType"] == 1
    left = datetime.fromisoformat(state[key]["ExpiryData"]).timestamp() - time.time()
    assert 6 * DAY - HOUR < left < 6 * DAY + HOUR
    assert sorted(entry["EntryType"] for entry in state.values()) == [0, 0, 1]
    assert not any("library/old" in each or "team/pushed" in each for each in state)


def test_entries_for_the_go_registry_are_not_written_where_content_stays_for_ever() -> None:
    stored = Stored()
    stored.image("library/alpine", "latest", age=DAY)
    proxy = Proxy(remoteurl="https://hub.example", ttl_seconds=0)

    run(stored.driver, Configuration("0.1", Storage("inmemory", {}), proxy=proxy))

    with pytest.raises(PathNotFoundError):
        stored.driver.stat(paths.SCHEDULER)


def test_where_processes_share_a_storage_a_process_of_its_own_sweeps(tmp_path: Path) -> None:
    driver = FilesystemDriver(str(tmp_path))
    stored = Stored()
    digest = stored.image("hub/a", "v1", layers=(b"a",))
    for found in stored.driver.walk("/docker"):
        driver.put(found.path, stored.driver.get(found.path, limit=10_000))
    link = tmp_path / paths.revision_link("hub/a", digest)[1:]
    for path in tmp_path.rglob("*"):
        os.utime(path, (time.time() - OLD, time.time() - OLD))
    told = replace(configuration(), storage=Storage("filesystem", {"rootdirectory": str(tmp_path)}))
    assert link.exists()

    assert run(driver, told) is None

    assert not link.exists()
    assert last_swept(driver)


def test_a_storage_that_fails_is_told_in_one_line_and_asked_again_soon() -> None:
    stored = Stored()
    stored.image("hub/a", "v1", age=OLD)

    with pytest.raises(JobFailedError, match="cannot be evicted") as failed:
        run(FailingDriver(stored.driver, fail_at=4), configuration())

    assert failed.value.pause_seconds == 600
