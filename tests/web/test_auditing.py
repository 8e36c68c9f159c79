"""What the audit log has of people on pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.app import create_app
from registry.audit.consumer import NAME
from registry.journal.reader import Reader
from registry.services import build_services
from registry.storage import paths
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.inmemory import InMemoryDriver
    from registry.services import Services
    from tests.conftest import Configure


@pytest.fixture
def services(configuration: Configure, driver: InMemoryDriver, htpasswd: Path) -> Services:
    local = {"htpasswd": str(htpasswd), "apikeys": "storage", "rules": [{"repositories": "a", "user:alice": ["pull"]}]}
    configured = configuration(ui={"enabled": True}, audit={"enabled": True}, auth={"local": local})
    return build_services(configured, driver=driver)


def told(services: Services) -> list[str]:
    """Return what was recorded, each in a line, in an order of its own."""
    assert services.trail
    services.trail.add(all_of_it=True)
    page = Reader(services.driver.log(paths.JOURNAL), NAME, hold_seconds=lambda: 0).page("", limit=100)
    entries = [each.entry for each in page.entries]
    return sorted(
        " ".join(
            filter(
                None,
                [
                    each.origin.actor or f"({each.origin.claimed_user})",
                    each.action,
                    each.kind,
                    each.repository,
                    each.details.get("outcome", "ok"),
                    each.details.get("status", ""),
                ],
            )
        )
        for each in entries
    )


def test_logins_and_logouts_are_told_and_passwords_are_not(services: Services) -> None:
    browser = Browser(create_app(services).test_client())

    browser.log_in("alice", "a wrong one")
    home = browser.log_in("alice", "wonderland")
    browser.send(home.form("/_logout"))

    assert told(services) == [
        "(alice) login registry failed 401",
        "alice login registry ok",
        "alice logout registry ok",
    ]


def test_keys_that_were_made_and_revoked_are_told(services: Services) -> None:
    browser = Browser(create_app(services).test_client())
    browser.log_in("alice", "wonderland")

    browser.send(browser.get("/ui/_keys").form("/_keys"), name="laptop")
    (revoke,) = [link for link in browser.get("/ui/_keys").links if "_revoke" in link]
    browser.send(browser.get(revoke).form("/_revoke"))

    assert told(services) == ["alice create key ok", "alice login registry ok", "alice revoke key ok"]


def test_who_opens_the_page_of_what_is_hidden_is_told(services: Services) -> None:
    browser = Browser(create_app(services).test_client())
    browser.log_in("ci", "machine")

    assert browser.get("/ui/a").status == 404

    assert told(services) == ["ci list repository a denied", "ci login registry ok"]


def test_a_forged_form_is_told(services: Services) -> None:
    browser = Browser(create_app(services).test_client())
    browser.log_in("alice", "wonderland")

    browser.post("/ui/_keys", {"token": "forged"}, {"Sec-Fetch-Site": "cross-site"})

    assert told(services) == ["alice create key denied 403", "alice login registry ok"]
