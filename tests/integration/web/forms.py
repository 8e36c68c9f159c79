"""A browser without scripts that talks to a real server: what tests.web.visiting does, over a connection."""

from __future__ import annotations

from dataclasses import dataclass
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin
from urllib.request import HTTPCookieProcessor, Request, build_opener

from tests.web.visiting import read_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.web.visiting import Form, Page


@dataclass(frozen=True, slots=True)
class Answer:
    """What read_page() looks at of an answer."""

    status_code: int
    headers: Mapping[str, str]
    text: str

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "")


class Visitor:
    """Somebody who looks at the pages of the registry at `url`, and follows wherever these lead."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()))

    def get(self, path: str) -> Page:
        """Open a page."""
        return self._ask(Request(urljoin(self._url, path)))

    def send(self, form: Form, **changes: str) -> Page:
        """Send a form of a page with `changes` of its fields."""
        fields = urlencode(form.fields | changes, doseq=True).encode()
        return self._ask(Request(urljoin(self._url, form.action), fields, {"Origin": self._url}))

    def _ask(self, request: Request) -> Page:
        try:
            with self._opener.open(request, timeout=60) as response:
                answer = Answer(response.status, response.headers, response.read().decode())
                return read_page(response.url, answer)  # type: ignore[arg-type]
        except HTTPError as error:
            return read_page(error.url, Answer(error.code, error.headers, error.read().decode()))  # type: ignore[arg-type]
