"""A real browser that looks at pages and remembers all that is wrong with them.

Nothing may be said on its console, nothing asked of another host; each page has a policy that forbids both.
The tests drive it from outside of the page: what a page could not do under its policy, they do not need, either.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from tests.integration.clients import missing, require_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response

Scheme = Literal["light", "dark"]

PROJECT: Final = Path(__file__).parents[3]
AXE: Final = PROJECT / ".npm" / "node_modules" / "axe-core" / "axe.min.js"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HERE: Final = ("localhost", "127.0.0.1")
PHONE: Final = (360, 740)
DESKTOP: Final = (1280, 900)


@dataclass(slots=True)
class Watched:
    """A tab of the browser, at `base`, the address of the pages. `problems` are all that there were, in words.

    `elsewhere` is a host whose pages it visits, too; what these ask and say is not looked at.
    """

    page: Page
    base: str
    elsewhere: str = ""
    problems: list[str] = field(default_factory=list)

    def open(self, path: str = "") -> Page:
        """Go to a page below the address of the pages."""
        self.page.goto(self.base + path)
        # What scripts load later is there then.
        self.page.wait_for_load_state("networkidle")
        return self.page

    def told(self) -> list[str]:
        """Return the problems until now, and forget them: for a test that has asked for one."""
        problems, self.problems[:] = list(self.problems), []
        return problems

    def accessibility(self) -> list[str]:
        """Return what axe finds wrong with the page as it is, with where it is."""
        self.page.evaluate(_axe() + ";0")
        found: list[Any] = self.page.evaluate(
            "axe.run({resultTypes: ['violations']}).then(run => run.violations.map("
            "each => each.id + ': ' + each.help + ' ' + each.nodes.map(node => node.html).join(' ')))"
        )
        return [str(each) for each in found]

    def width_of_content(self) -> int:
        """Return how wide the page is, in pixels, with what sticks out of the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth"))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the browser; root may not have its sandbox."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415  it may be missing
    except ImportError:
        missing("the Python package playwright")
    with sync_playwright() as driving:
        browser = driving.chromium.launch(executable_path=require_program("chromium"), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watched(
    browser: Browser,
    base: str,
    *,
    size: tuple[int, int] = DESKTOP,
    scheme: Scheme = "light",
    scripts: bool = True,
    elsewhere: str = "",
    **more: Any,
) -> Iterator[Watched]:
    """Open a window, which knows of no other, in front of the pages at `base`; at its end there were no problems."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        reduced_motion="reduce",  # nothing is looked at half faded in
        java_script_enabled=scripts,
        **more,
    )
    try:
        tab = Watched(context.new_page(), base, elsewhere)
        _watch(context, tab)
        yield tab
        assert not tab.problems
    finally:
        context.close()


def _watch(context: BrowserContext, tab: Watched) -> None:
    host, root = urlsplit(tab.base).netloc, urlsplit(tab.base).path

    def said(message: ConsoleMessage) -> None:
        # A page of an error has its status, which the browser tells of.
        is_status = message.text.startswith("Failed to load resource: the server responded with a status of 40")
        is_elsewhere = tab.elsewhere and urlsplit(message.location["url"]).netloc == tab.elsewhere
        if is_elsewhere or (is_status and message.location["url"] == tab.page.url):
            return
        tab.problems.append(f"console: {message.type}: {message.text}")

    def asked(request: Request) -> None:
        parts = urlsplit(request.url)
        # A frame has the page from which it goes until it has the next one.
        sender = parts if request.is_navigation_request() else urlsplit(request.frame.url)
        is_elsewhere = tab.elsewhere and sender.netloc == tab.elsewhere
        if parts.scheme != "data" and parts.netloc != host and not is_elsewhere:
            tab.problems.append(f"asked another host: {request.url}")

    def answered(response: Response) -> None:
        if response.request.resource_type != "document" or not urlsplit(response.url).path.startswith(root):
            return
        headers = response.headers
        is_redirect = 300 <= response.status < 400
        if not is_redirect and headers.get("content-security-policy") != POLICY:
            tab.problems.append(f"policy of {response.url}: {headers.get('content-security-policy')}")
        if response.status >= 500:
            tab.problems.append(f"{response.status}: {response.url}")

    if tab.elsewhere:
        # Tests ask nothing of the world, but pages of others do: such as for fonts.
        context.route(lambda url: urlsplit(url).hostname not in _HERE, lambda route: route.fulfill(body=""))
    context.on("console", said)
    context.on("weberror", lambda error: tab.problems.append(f"script: {error.error}"))
    context.on("request", asked)
    context.on("response", answered)


def _axe() -> str:
    if not AXE.exists():
        missing(f"{AXE.relative_to(PROJECT)}, which make installs with npm,")
    return AXE.read_text()
