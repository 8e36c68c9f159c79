"""What is attached to images in a real browser: it comes with scripts, and is a link away without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.web.chromium import watched
from tests.integration.web.gallery import APP, CHART
from tests.integration.web.test_pages import log_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.integration.web.conftest import Shown


@pytest.mark.parametrize(
    ("path", "place", "text"),
    [
        (f"{APP}:1.10.1", "#attached", "5 packages"),
        (APP, "#readme", "Listens on port 8080."),
        (CHART, "#readme", "The chart of the storefront"),
    ],
    ids=["documents", "README", "README of a chart"],
)
def test_a_page_has_with_scripts_what_is_a_link_away_without(
    browser: Browser, shown: Shown, path: str, place: str, text: str
) -> None:
    with watched(browser, shown.url) as tab:
        log_in(tab, "otto")
        tab.open(path).locator(place).get_by_text(text).wait_for()
        assert not tab.accessibility()
    with watched(browser, shown.url, scripts=False) as tab:
        log_in(tab, "otto")
        page = tab.open(path)
        assert page.get_by_text(text).count() == 0
        page.locator(place).get_by_role("link").click()
        page.locator(place).get_by_text(text).wait_for()


def test_two_images_are_compared_by_keyboard(browser: Browser, shown: Shown) -> None:
    with watched(browser, shown.url) as tab:
        log_in(tab, "otto")
        page = tab.open(f"{APP}:1.10.1")
        page.get_by_role("link", name="Compare…").press("Enter")
        page.get_by_label("After").fill("1.9.0")
        page.get_by_label("After").press("Enter")
        page.get_by_role("heading", name="Layers").wait_for()
        page.get_by_label("Platform").select_option("linux/arm64")
        page.get_by_role("button", name="Compare").press("Enter")
        page.locator("dd", has_text="linux/arm64").wait_for()


def test_a_readme_is_not_shown_where_there_is_none(browser: Browser, shown: Shown) -> None:
    with watched(browser, shown.url) as tab:
        log_in(tab, "otto")
        page = tab.open("shop/cart")
        page.locator("#readme.missing").wait_for(state="attached")
        assert not page.locator("#readme").is_visible()
