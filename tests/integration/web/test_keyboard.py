"""What people do without a mouse, and without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.web.chromium import watched
from tests.integration.web.gallery import APP, PLAIN
from tests.integration.web.test_pages import log_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.integration.web.conftest import Shown


def test_one_finds_and_opens_an_image_with_keys_alone(browser: Browser, shown: Shown) -> None:
    with watched(browser, shown.url) as tab:
        page = log_in(tab, "anna")
        page.keyboard.press("/")
        assert focused(page) == "search"
        page.keyboard.type("storefront")
        page.keyboard.press("Enter")
        page.wait_for_url("**/_search?q=storefront")
        while not page.locator(f"[data-row].current a[href$='/{APP}']").count():
            page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url(shown.url + APP)
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("k")
        assert page.locator("[data-row].current").count() == 1
        page.keyboard.press("g")
        page.keyboard.press("h")
        page.wait_for_url(shown.url)
        page.keyboard.press("?")
        assert page.locator("dialog#help").is_visible()
        page.keyboard.press("Escape")
        assert not page.locator("dialog#help").is_visible()


def test_the_first_press_of_tab_leads_past_the_bar(browser: Browser, shown: Shown) -> None:
    with watched(browser, shown.url) as tab:
        page = tab.open("base/debian")
        page.keyboard.press("Tab")
        assert page.locator(":focus").inner_text() == "Skip to the content"
        page.keyboard.press("Enter")
        assert focused(page) == "main"


@pytest.mark.parametrize("path", ["", APP, f"{APP}:latest", "_keys", "_storage", f"_delete?repository={APP}"])
def test_all_that_can_be_pressed_is_reached_by_tab_and_seen_to_be(browser: Browser, shown: Shown, path: str) -> None:
    with watched(browser, shown.url) as tab:
        log_in(tab, "anna")
        page = tab.open(path)
        page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
        wanted = page.locator(
            "a[href]:visible, button:visible, input:not([type=hidden]):visible, select:visible"
        ).count()
        reached: set[str] = set()
        page.evaluate("document.activeElement.blur()")
        for _ in range(3 * wanted + 20):
            page.keyboard.press("Tab")
            place, outline = page.evaluate(
                "(() => { const it = document.activeElement;"
                " const all = [...document.querySelectorAll('a[href], button, input, select')];"
                " return [String(all.indexOf(it)), getComputedStyle(it).outlineStyle] })()"
            )
            if place == "-1":
                continue
            assert outline != "none", page.locator(":focus").evaluate("each => each.outerHTML")
            reached.add(place)
        assert len(reached) >= wanted


def test_the_theme_is_switched_and_stays(browser: Browser, shown: Shown) -> None:
    with watched(browser, shown.url, scheme="dark") as tab:
        page = tab.open()
        dark = background(page)
        page.get_by_role("button", name="Theme: auto").click()
        light = background(page)
        assert dark != light
        tab.open("base/debian")
        assert background(page) == light
        page.get_by_role("button", name="Theme: light").click()
        assert background(page) == dark


def test_the_tree_opens_in_place_and_closes(browser: Browser, shown: Shown) -> None:
    with watched(browser, shown.url) as tab:
        page = tab.open()
        page.get_by_role("link", name="debian").wait_for()
        page.get_by_role("button", name="Collapse base").click()
        assert not page.get_by_role("link", name="debian").is_visible()
        page.get_by_role("button", name="Expand base").click()
        assert page.get_by_role("link", name="debian").is_visible()


def test_everything_can_be_done_without_scripts(browser: Browser, shown: Shown) -> None:
    name = "tools/linter"
    with watched(browser, shown.url, scripts=False) as tab:
        page = log_in(tab, "anna")
        page.get_by_role("link", name="tools/linter").click()
        assert page.url == shown.url + name
        page.get_by_role("link", name="latest", exact=True).first.click()
        page.get_by_role("link", name="Copy").click()
        page.get_by_label("To the repository").fill("tools/copied")
        page.get_by_label("Under the tag").fill("one")
        page.get_by_role("button", name="Copy").click()
        page.get_by_text("tools/copied").first.wait_for()
        tab.open("tools/copied")
        page.get_by_label("Tag one").check()
        page.get_by_role("button", name="Delete selected tags").click()
        page.get_by_role("button", name="Delete").click()
        tab.open("tools/copied:one")
        assert page.get_by_text("404").is_visible()
        page.get_by_role("button", name="Log out").click()
        tab.open(name)
        assert "_login" in page.url


def test_somebody_who_has_not_logged_in_sees_what_is_for_everybody(browser: Browser, shown: Shown) -> None:
    with watched(browser, shown.url) as tab:
        page = tab.open()
        names = page.locator(".tree .name").all_inner_texts()
        assert names == ["base/", "debian", "python"]
        for name in PLAIN:
            tab.open(name)
            assert ("_login" in page.url) is not name.startswith("base/")


def focused(page: Page) -> str:
    """Give the id of what has the focus."""
    found: str = page.evaluate("document.activeElement.id")
    return found


def background(page: Page) -> str:
    """Give the colour of the page."""
    found: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return found
