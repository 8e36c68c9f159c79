"""A browser without scripts, for tests of pages: it keeps cookies, and sends forms as they stand on a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urljoin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

HOME = "/ui/"


@dataclass
class Form:
    """A form of a page: where it is sent to, by which method, and its fields as they would be sent.

    `choices` are the values of what is sent only if somebody ticks it.
    """

    action: str
    method: str = "get"
    fields: dict[str, list[str]] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    buttons: dict[str, list[str]] = field(default_factory=dict)
    text: str = ""


@dataclass
class Page:
    """What a browser has been answered."""

    response: TestResponse
    forms: list[Form]
    links: list[str]
    text: str

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def html(self) -> str:
        return self.response.text

    @property
    def location(self) -> str:
        return self.response.headers.get("Location", "")

    def form(self, action: str) -> Form:
        """Return the form of the page that is sent to `action`, whatever its query is."""
        found = [form for form in self.forms if form.action.partition("?")[0].endswith(action)]
        assert found, f"no form for {action}, but {[form.action for form in self.forms]}"
        return found[0]


class Browser:
    """Somebody who looks at pages through `client`, which keeps its cookies."""

    def __init__(self, client: FlaskClient, base_url: str = "http://localhost") -> None:
        self.client = client
        self.base_url = base_url

    def get(self, path: str = HOME, headers: Mapping[str, str] | None = None, *, follow: bool = True) -> Page:
        """Open a page; where it leads elsewhere, that."""
        sent = {"Accept": "text/html", **(headers or {})}
        response = self.client.get(path, base_url=self.base_url, headers=sent)
        return self._arrived(path, response, follow=follow)

    def post(
        self,
        path: str,
        data: Mapping[str, str | Sequence[str]],
        headers: Mapping[str, str] | None = None,
        *,
        follow: bool = True,
    ) -> Page:
        """Send a form as browsers do from a page of ours, or with other `headers`."""
        sent = {"Sec-Fetch-Site": "same-origin"} if headers is None else dict(headers)
        response = self.client.post(path, base_url=self.base_url, data=dict(data), headers=sent)
        return self._arrived(path, response, follow=follow)

    def send(self, form: Form, *, follow: bool = True, **changes: str | Sequence[str]) -> Page:
        """Send `form` with `changes` of its fields, whose names have ``_`` for ``-``."""
        fields: dict[str, str | Sequence[str]] = {**form.fields}
        fields |= changes
        if form.method == "get":
            response = self.client.get(form.action, base_url=self.base_url, query_string=fields)
            return self._arrived(form.action, response, follow=follow)
        return self.post(form.action, fields, follow=follow)

    def log_in(self, user: str, password: str) -> Page:
        """Log in by the form for that."""
        return self.send(self.get("/ui/_login").form("/_login"), user=user, password=password)

    def _arrived(self, path: str, response: TestResponse, *, follow: bool) -> Page:
        for _ in range(10):
            if not follow or response.status_code not in {302, 303}:
                break
            path = urljoin(path, response.headers["Location"])
            response = self.client.get(path, base_url=self.base_url)
        return read_page(path, response)


def read_page(path: str, response: TestResponse) -> Page:
    """Return what is in a page."""
    reader = _Reader(path)
    if response.content_type and response.content_type.startswith("text/html"):
        reader.feed(response.text)
    return Page(response, reader.forms, reader.hrefs, " ".join("".join(reader.words).split()))


def forms_of(path: str, html: str) -> list[Form]:
    """Return the forms of a page of any site."""
    reader = _Reader(path)
    reader.feed(html)
    return reader.forms


class _Reader(HTMLParser):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._form: Form | None = None
        self._select: str | None = None
        self.forms: list[Form] = []
        self.hrefs: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.hrefs.append(given["href"])
        if tag == "form":
            self._form = Form(urljoin(self._path, given.get("action", self._path)), given.get("method", "get").lower())
            self.forms.append(self._form)
        if self._form is not None:
            self._field(self._form, tag, given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        if tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._form is not None:
            self._form.text += data

    def _field(self, form: Form, tag: str, given: Mapping[str, str]) -> None:
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            if "selected" in given or self._select not in form.fields:
                form.fields[self._select] = [value]
        elif tag == "button" and name:
            form.buttons.setdefault(name, []).append(value)
        elif tag in {"input", "textarea"} and name:
            ticked = given.get("type") in {"checkbox", "radio"}
            if ticked and "checked" not in given:
                form.choices.setdefault(name, []).append(value or "on")
            else:
                form.fields.setdefault(name, []).append(value or ("on" if ticked else ""))
