"""The page for maintainers."""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

from registry.lifecycle.reports import Report, write_report
from registry.retention.reports import Reports
from tests.handlers.pushing import push_image
from tests.index.hosts import Host
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from drivers.inmemory import InMemoryDriver
    from tests.conftest import Serve

UI = {"enabled": True}


def test_it_says_how_this_registry_stores(serve: Serve) -> None:
    text = Browser(serve(ui=UI)).get("/ui/_storage").text

    assert "Driver inmemory" in text
    assert "Deletion on" in text
    assert "No run has left a report" in text


def test_it_says_what_is_not_configured(serve: Serve) -> None:
    text = Browser(serve(ui=UI)).get("/ui/_storage").text

    assert "ui.index.directory" in text
    assert "There is none" in text
    assert "No tags are taken away by rules" in text


def test_it_says_how_far_the_index_of_this_host_is(serve: Serve, driver: InMemoryDriver, tmp_path: Path) -> None:
    client = serve(ui={**UI, "index": {"directory": str(tmp_path)}})
    push_image(client, "team/app", "v1", "v2")
    before = Browser(client).get("/ui/_storage").text
    Host(tmp_path, driver).catch_up()

    assert "It is not there yet" in before
    assert "1 repository and 2 tags. All of the storage was last read" in Browser(client).get("/ui/_storage").text


def test_pages_say_that_an_index_does_not_follow_changes_any_more(
    serve: Serve, driver: InMemoryDriver, tmp_path: Path
) -> None:
    client = serve(ui={**UI, "index": {"directory": str(tmp_path)}})
    push_image(client, "team/app", "v1")
    host = Host(tmp_path, driver)
    host.catch_up()
    with closing(sqlite3.connect(host.path)) as connection, connection:
        connection.execute("UPDATE state SET value = value - 125 * 1000000000 WHERE key = 'through_ns'")

    home, storage = (Browser(client).get(path).text for path in ("/ui/", "/ui/_storage"))
    assert "The index of this host is behind what has changed" in home
    assert "It does not follow what has changed since" in storage
    host.catch_up()
    home, storage = (Browser(client).get(path).text for path in ("/ui/", "/ui/_storage"))
    assert "is behind" not in home
    assert "It does not follow" not in storage


def test_it_says_what_the_last_runs_have_done(serve: Serve, driver: InMemoryDriver) -> None:
    for run in range(1, 13):
        write_report(driver, Report(run, "host", time.time(), time.time(), deleted_bytes=1024 * run))
    reports = Reports(driver)
    begun = reports.begin("host")
    assert begun

    text = Browser(serve(ui=UI)).get("/ui/_storage").text

    assert "12.0 KiB" in text
    assert "3.0 KiB" in text
    assert " 2.0 KiB" not in text, "it has the last ten"
    assert "goes on, or broke off" in text


def test_it_says_how_the_quotas_stand(serve: Serve) -> None:
    quotas = [{"repositories": "team/*", "limit": "2MiB"}]
    client = serve(ui=UI, storage={"inmemory": {}, "maintenance": {"quotas": quotas}})
    push_image(client, "team/app", "v1")

    assert "team/* " in Browser(client).get("/ui/_storage").text


def test_it_is_for_maintainers_only(serve: Serve, htpasswd: Path) -> None:
    local = {"htpasswd": str(htpasswd), "rules": [], "maintainers": ["user:alice"]}
    client = serve(ui=UI, auth={"local": local})

    stranger, alice, ci = Browser(client), Browser(serve(ui=UI, auth={"local": local})), Browser(client)
    alice.log_in("alice", "wonderland")

    assert "/ui/_login" in stranger.get("/ui/_storage", follow=False).location
    assert alice.get("/ui/_storage").status == 200
    ci.log_in("ci", "machine")
    assert ci.get("/ui/_storage").status == 403
    assert "/ui/_storage" not in ci.get("/ui/").links


def test_the_log_tells_what_was_refused_and_not_what_a_page_only_asks(
    serve: Serve, htpasswd: Path, caplog: pytest.LogCaptureFixture
) -> None:
    local = {"htpasswd": str(htpasswd), "rules": [], "maintainers": ["user:alice"]}
    client = serve(ui=UI, auth={"local": local})
    caplog.set_level(logging.INFO)
    ci = Browser(client)
    assert "/ui/_storage" not in ci.log_in("ci", "machine").links
    assert "denied: " not in caplog.text

    assert ci.get("/ui/_storage").status == 403

    assert caplog.text.count("denied: ci is not one of the maintainers of this registry") == 1
    caplog.clear()
    assert client.get("/v2/team/app/tags/list", auth=("ci", "machine")).status_code == 403
    assert caplog.text.count("denied: ci may not pull team/app") == 1
