"""Every page in a real browser: both themes, a desk's width and a phone's; with pictures of each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import pytest

from tests.integration.web.chromium import DESKTOP, PHONE, PROJECT, watched
from tests.integration.web.conftest import PASSWORDS
from tests.integration.web.gallery import APP, CHART, MODEL

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.integration.web.chromium import Scheme, Watched
    from tests.integration.web.conftest import Shown

PICTURES: Final = PROJECT / "build" / "pictures"
"""Where pictures of all pages are put, to be looked at."""
DOCUMENTED: Final = Path(os.environ.get("PICTURES", PICTURES / "documents"))
"""Where those are put that documents show; ``make pictures`` says that it is beside them."""
_WINDOW: Final = (1160, 760)
"""The size of such a picture, but for that of a phone."""


def paths(shown: Shown) -> dict[str, str]:
    """Give every page that is there, by what its picture is called."""
    gallery = shown.gallery
    index, sbom = gallery.index, gallery.sbom
    documents = {
        "bill": sbom,
        "signature": gallery.signature,
        "report": gallery.report,
        "provenance": gallery.provenance,
    }
    return {
        "home": "",
        "level": "shop",
        "repository": APP,
        "nested": "shop/payments",
        "tag": f"{APP}:1.10.1",
        "image": f"{APP}@{shown.gallery.image}",
        "chart": f"{CHART}:0.4.1",
        "artifact": f"{MODEL}:2026-10",
        "referrers": f"_referrers?repository={APP}&digest={quote(index)}",
        "sbom": f"{APP}@{sbom}",
        "attached": f"_attached?repository={APP}&digest={quote(index)}",
        "readme": f"_readme?repository={APP}",
        "readme-missing": "_readme?repository=shop/cart",
        **{name: f"_document?repository={APP}&digest={quote(digest)}" for name, digest in documents.items()},
        "search": "_search?q=store",
        "search-nothing": "_search?q=nothing-like-it",
        "compare": f"_compare?repository={APP}&one=1.9.0&other=1.10.1",
        "keys": "_keys",
        "storage": "_storage",
        "delete-tag": f"_delete?repository={APP}&tag=1.8.0",
        "delete-repository": f"_delete?repository={APP}",
        "retag": f"_tag?repository={APP}&reference=1.10.1",
        "copy": f"_copy?repository={APP}&reference=1.10.1",
        "not-there": "shop/nothing",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_is_whole_readable_to_everybody_and_asks_nobody_else(
    browser: Browser, shown: Shown, size: tuple[int, int], scheme: Scheme
) -> None:
    where = PICTURES / ("phone" if size == PHONE else "desktop") / scheme
    where.mkdir(parents=True, exist_ok=True)
    faults: list[str] = []
    with watched(browser, shown.url, size=size, scheme=scheme) as tab:
        faults += look(tab, "_login", "login", where)
        log_in(tab, "anna")
        for name, path in paths(shown).items():
            faults += look(tab, path, name, where)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("name", "path", "size", "scheme"),
    [
        ("home", "", _WINDOW, "light"),
        ("repository", APP, _WINDOW, "light"),
        ("tag", f"{APP}:1.10.1", _WINDOW, "light"),
        ("tag-phone", f"{APP}:1.10.1", PHONE, "dark"),
    ],
)
def test_what_documents_show_is_seen_without_scrolling(
    browser: Browser, shown: Shown, name: str, path: str, size: tuple[int, int], scheme: Scheme
) -> None:
    with watched(browser, shown.url, size=size, scheme=scheme) as tab:
        log_in(tab, "anna")
        page = tab.open(path)
        page.wait_for_load_state("networkidle")
        DOCUMENTED.mkdir(parents=True, exist_ok=True)
        picture = page.screenshot(path=DOCUMENTED / f"{name}.png")
        assert page.locator("h1").is_visible()
        assert len(picture) < 150_000


def test_the_page_of_a_new_key_is_whole_too(browser: Browser, shown: Shown) -> None:
    with watched(browser, shown.url) as tab:
        page = log_in(tab, "anna")
        tab.open("_keys")
        page.get_by_label("Name").fill("laptop")
        page.get_by_role("button", name="Make the key").click()
        page.get_by_role("heading", name="The key laptop is made").wait_for()
        assert tab.accessibility() == []


@pytest.mark.parametrize("user", ["", "otto"], ids=["anonymous", "otto"])
def test_pages_of_who_may_less_are_whole_too(browser: Browser, shown: Shown, user: str) -> None:
    faults: list[str] = []
    with watched(browser, shown.url) as tab:
        if user:
            log_in(tab, user)
        for name, path in paths(shown).items():
            faults += look(tab, path, name)
    assert not faults, "\n".join(faults)


def test_the_window_may_be_as_narrow_as_the_largest_text_makes_it(browser: Browser, shown: Shown) -> None:
    """WCAG 2.2, 1.4.10: 320 CSS pixels wide, as at 400 %."""
    with watched(browser, shown.url, size=(320, 640)) as tab:
        log_in(tab, "anna")
        wide = {}
        for name, path in paths(shown).items():
            tab.open(path)
            wide[name] = tab.width_of_content()
    assert {name: width for name, width in wide.items() if width > 320} == {}


def test_the_front_page_leads_a_browser_there_and_nobody_else(browser: Browser, shown: Shown) -> None:
    with watched(browser, shown.url) as tab:
        tab.page.goto(shown.server.url)
        assert tab.page.url == shown.url
    assert shown.server.api.get("/").status == 200


def look(tab: Watched, path: str, name: str, pictures: Path | None = None) -> list[str]:
    """Open a page, take its picture, and return what is wrong with it."""
    page = tab.open(path)
    faults = [f"{name}: {each}" for each in tab.accessibility()]
    if page.locator("h1").count() != 1:
        faults.append(f"{name}: it has not one heading of the first level")
    if not page.title():
        faults.append(f"{name}: it has no title")
    width = (page.viewport_size or {"width": 0})["width"]
    if tab.width_of_content() > width:
        faults.append(f"{name}: it is {tab.width_of_content()} pixels wide in a window of {width}")
    if pictures:
        page.screenshot(path=pictures / f"{name}.png", full_page=True)
    return faults + [f"{name}: {each}" for each in tab.told()]


def log_in(tab: Watched, user: str) -> Page:
    """Log in by the form."""
    page = tab.open("_login")
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(PASSWORDS[user])
    page.get_by_role("button", name="Log in").click()
    page.get_by_text(user, exact=True).first.wait_for()
    return page
