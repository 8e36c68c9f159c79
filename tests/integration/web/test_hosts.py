"""People at a browser whose requests two hosts answer, now one and now the other, behind a proxy with TLS."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import pytest

from tests.integration.secrecy import SUITE
from tests.integration.waiting import wait_until
from tests.integration.web.chromium import watched
from tests.integration.web.conftest import PASSWORDS
from tests.integration.web.hosts import LABEL, NOBODY, TAGS, TEAM, at_provider, note_secrets, two_hosts
from tests.integration.web.test_pages import log_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from typing import Any

    from playwright.sync_api import Browser

    from tests.integration.web.chromium import Watched
    from tests.integration.web.hosts import Hosts

ATTEMPTS = 20
"""Within so many, chance sends something to either host."""
OUT_OF_ORDER = "console: error: Failed to load resource: the server responded with a status of 503 ()"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with two_hosts(tmp_path_factory.mktemp("hosts")) as running:
        yield running


def window(browser: Browser, hosts: Hosts, **more: Any) -> AbstractContextManager[Watched]:
    """Open a window of a browser that does not know who has made the certificate."""
    return watched(browser, hosts.url, ignore_https_errors=True, elsewhere=hosts.provider.host, **more)


def test_a_session_is_good_at_every_host_of_the_registry_and_no_script_reads_its_cookie(
    browser: Browser, hosts: Hosts
) -> None:
    with window(browser, hosts) as tab:
        page = log_in(tab, "anna")
        (session,) = [each for each in page.context.cookies() if "session" in each["name"]]
        assert session["name"] == "__Host-registry-session"
        assert (session["secure"], session["httpOnly"], session["sameSite"]) == (True, True, "Lax")
        assert session["path"] == "/"
        assert page.evaluate("document.cookie") == ""
        note_secrets(page)
        for _ in range(ATTEMPTS):
            tab.open(TEAM)
            page.get_by_text("anna", exact=True).first.wait_for()
            if all(hosts.served(f"GET /ui/{TEAM}")):
                return
    raise AssertionError("one host has answered all")


def test_a_form_of_one_host_may_be_sent_to_the_other(browser: Browser, hosts: Hosts) -> None:
    with window(browser, hosts) as tab:
        page = log_in(tab, "anna")
        for tag in TAGS:
            asked, answered = hosts.served("GET /ui/_delete"), hosts.served("POST /ui/_delete")
            tab.open(f"_delete?repository={TEAM}&tag={tag}")
            page.get_by_role("button", name="Delete", exact=True).click()
            page.get_by_role("heading", name="Deleted").wait_for()
            tab.open(f"{TEAM}:{tag}")
            page.get_by_text("404").wait_for()
            if hosts.newly_served("GET /ui/_delete", asked) != hosts.newly_served("POST /ui/_delete", answered):
                return
    raise AssertionError("the host of each form has answered it")


def test_a_key_is_good_at_every_host_until_it_is_revoked_at_one(browser: Browser, hosts: Hosts) -> None:
    with window(browser, hosts) as tab:
        page = log_in(tab, "otto")
        key = made_key(tab, "laptop")
        assert answers(hosts, "otto", key) == {200}
        tab.open("_keys")
        page.get_by_role("link", name="Revoke laptop").click()
        page.get_by_role("button", name="Revoke").click()
        page.get_by_text("You have no keys yet.").wait_for()
    wait_until("no host takes the key", lambda: answers(hosts, "otto", key) == {401})


def test_who_logs_out_is_nobody_at_every_host(browser: Browser, hosts: Hosts) -> None:
    with window(browser, hosts) as tab:
        page = log_in(tab, "anna")
        page.get_by_role("button", name="Log out", exact=True).click()
        page.get_by_role("button", name="Log in", exact=True).wait_for()
        assert all(is_nobody(tab) for _ in range(6))


def test_who_logs_out_everywhere_is_so_in_other_browsers_and_at_every_host(browser: Browser, hosts: Hosts) -> None:
    with window(browser, hosts) as here, window(browser, hosts) as there, window(browser, hosts) as other:
        for tab in (here, there):
            log_in(tab, "anna")
        log_in(other, "otto")
        here.open("_keys").get_by_role("button", name="Log out everywhere").click()
        here.page.get_by_role("button", name="Log in", exact=True).wait_for()
        wait_until("every host has heard of it", lambda: all(is_nobody(there) for _ in range(6)))
        assert not any(is_nobody(other) for _ in range(6))
        log_in(there, "anna")
        assert not is_nobody(there)


def test_somebody_of_a_group_of_the_provider_sees_what_is_for_the_group_here(browser: Browser, hosts: Hosts) -> None:
    with window(browser, hosts) as tab:
        note_secrets(tab.page)
        page = at_provider(tab, hosts, "alice")
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url(hosts.url)
        page.get_by_text("alice@corp.example", exact=True).wait_for()
        tab.open(TEAM)
        page.get_by_role("heading", name=TEAM).wait_for()
        assert page.get_by_role("link", name="Delete repository…").count() == 0
        key = made_key(tab, "pipeline")
        assert answers(hosts, "alice@corp.example", key, f"/v2/{TEAM}/tags/list") == {200}
        note_secrets(page)
        page.get_by_role("button", name="Log out", exact=True).click()
        page.get_by_role("heading", name="Logged out").wait_for()
        page.get_by_role("link", name="Log out there, too").click()
        page.wait_for_url(f"http://{hosts.provider.host}/**")


def test_who_was_sent_to_the_provider_by_one_host_may_come_back_to_the_other(browser: Browser, hosts: Hosts) -> None:
    sent, back = "GET /ui/_oidc/corp?next", "GET /ui/_oidc/corp?code"
    for number in range(ATTEMPTS):
        before = {request: hosts.served(request) for request in (sent, back)}
        with window(browser, hosts) as tab:
            note_secrets(tab.page)
            page = at_provider(tab, hosts, f"person{number}")
            page.get_by_role("button", name="Continue").click()
            page.get_by_text(f"person{number}@corp.example", exact=True).wait_for()
        if hosts.newly_served(sent, before[sent]) != hosts.newly_served(back, before[back]):
            return
    raise AssertionError("everybody has come back to the same host")


def test_who_does_not_consent_at_the_provider_is_told_so_and_is_nobody(browser: Browser, hosts: Hosts) -> None:
    with window(browser, hosts) as tab:
        page = at_provider(tab, hosts, "bob")
        page.get_by_role("link", name="Cancel").click()
        page.get_by_role("alert").get_by_text(f"You cannot log in here with {LABEL}.").wait_for()
        assert not tab.accessibility()
        assert is_nobody(tab)


def test_a_provider_that_is_down_is_a_page_that_says_so_and_passwords_go_on(browser: Browser, hosts: Hosts) -> None:
    message = "does not answer as it should. Please try again later, or log in otherwise."
    with window(browser, hosts) as tab:
        page = tab.open("_login")
        page.get_by_role("link", name=f"Log in with {NOBODY}").click()
        page.get_by_role("alert").get_by_text(f"{NOBODY} {message}").wait_for()
        assert not tab.accessibility()
        assert {each for each in tab.told() if not each.startswith("503: ")} <= {OUT_OF_ORDER}
        page.get_by_label("User").fill("anna")
        page.get_by_label("Password").fill(PASSWORDS["anna"])
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("anna", exact=True).wait_for()


def test_a_provider_that_goes_down_while_one_logs_in_is_a_page_that_says_so(browser: Browser, hosts: Hosts) -> None:
    sent: list[str] = []
    with window(browser, hosts) as tab:
        note_secrets(tab.page)
        tab.page.on("request", lambda request: sent.extend(re.findall(r"[?&]state=([^&]+)", request.url)))
        page = at_provider(tab, hosts, "carol")
        hosts.provider.stop()
        try:
            tab.open(f"_oidc/corp?code=made-up-code&state={sent[0]}&iss=http://{hosts.provider.host}")
            page.get_by_role("alert").get_by_text(f"{LABEL} does not answer as it should.").wait_for()
            assert {each for each in tab.told() if not each.startswith("503: ")} <= {OUT_OF_ORDER}
        finally:
            hosts.provider.start(hosts.callback)


def test_no_log_has_what_browsers_bring_back_from_a_provider_nor_passwords_of_forms(
    browser: Browser, hosts: Hosts
) -> None:
    """The page of an error refers to itself: its query comes back with each file that it loads."""
    with window(browser, hosts) as tab:
        log_in(tab, "anna")
        note_secrets(tab.page)
        tab.open("_oidc/corp?code=code-of-nobody&state=state-of-nobody")
        SUITE.add("code-of-nobody")
        SUITE.add("state-of-nobody")
    proxy = hosts.cluster.proxy.log
    log = proxy + "".join(server.log for server in hosts.cluster.servers)
    assert "GET /ui/_oidc/corp?code=...&state=..." in log
    assert '/ui/_oidc/corp" "Mozilla' in proxy
    assert SUITE.leaks() == []


def made_key(tab: Watched, name: str) -> str:
    """Make a key that may pull everything, and return it."""
    page = tab.open("_keys")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Make the key").click()
    key = page.locator("#key-text").inner_text()
    SUITE.add(key)
    return key


def is_nobody(tab: Watched) -> bool:
    """Tell whether the next host sends the browser to the page to log in."""
    return "/ui/_login?next=" in tab.open("_keys").url


def answers(hosts: Hosts, user: str, password: str, path: str = "/v2/") -> set[int]:
    """Return the statuses with which the hosts answer a client that has logged in."""
    told = base64.b64encode(f"{user}:{password}".encode()).decode()
    SUITE.add(told)
    return {server.api.get(path, Authorization=f"Basic {told}").status for server in hosts.cluster.servers}
