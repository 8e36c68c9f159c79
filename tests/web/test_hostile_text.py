"""What others have pushed is text on every page, whatever it is."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.oci import media_types
from registry.web.site import EXTENSION
from registry.web.words import visible
from tests.content import image
from tests.handlers.pushing import push_blob, push_manifest
from tests.web.images import CONFIG, push_whole_image
from tests.web.visiting import Browser, Page

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from registry.web.site import Site
    from tests.conftest import Serve

UI = {"enabled": True}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'></code><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "\u202eevil\u202c\u2066\u2069",
    "\x00\x07\x1b[31mred",
    "http://evil.example/pixel.png",
)


class _Elements(HTMLParser):
    """The elements of a page, and where they lead."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def _require_harmless(page: Page) -> None:
    """Check that a page has no element, handler or address that a text of others has made."""
    elements = _Elements()
    elements.feed(page.html)
    assert page.status == 200
    for tag, attributes in elements.found:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("href", "src", "action", "hx-get", "hx-post"):
            assert (attributes.get(name) or "/ui/").startswith(("/ui/", "#")), (tag, attributes)
    tags = [tag for tag, _ in elements.found]
    assert tags.count("script") == 2
    assert "svg" not in tags
    assert tags.count("img") == 1
    assert "49" not in page.text.split()
    hidden = [each for each in page.html if not (each.isprintable() or each in "\n\t")]
    assert not hidden


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_an_image_stay_texts(serve: Serve, text: str) -> None:
    client = serve(ui=UI)
    config: dict[str, Any] = {
        "os": text,
        "architecture": text,
        "author": text,
        "created": text,
        "config": {
            "Env": [text],
            "Labels": {text: text},
            "Entrypoint": [text],
            "Cmd": [text],
            "User": text,
            "WorkingDir": text,
            "ExposedPorts": {text: {}},
            "Volumes": {text: {}},
        },
        "history": [{"created_by": text, "comment": text, "created": text}, *CONFIG["history"]],
    }
    digest = push_whole_image(client, "app", "v1", config=config, annotations={text: text, "url": text})
    browser = Browser(client)

    for path in ("/ui/app", "/ui/app:v1", f"/ui/app@{digest}"):
        _require_harmless(browser.get(path))


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_referrers_and_artifacts_stay_texts(serve: Serve, text: str) -> None:
    client = serve(ui=UI)
    subject = push_whole_image(client, "app", "v1")
    referrer = _artifact(client, text, subject)
    browser = Browser(client)

    for path in ("/ui/app:v1", f"/ui/app@{referrer}", f"/ui/_referrers?repository=app&digest={subject}"):
        _require_harmless(browser.get(path))


def _artifact(client: FlaskClient, text: str, subject: object) -> object:
    content = json.loads(image(b"{}", b"a file"))
    content["artifactType"] = text
    content["annotations"] = {text: text}
    content["layers"][0] |= {"mediaType": text, "annotations": {"org.opencontainers.image.title": text}}
    content["subject"] = {"mediaType": media_types.OCI_MANIFEST, "digest": str(subject), "size": 1}
    for blob in (b"{}", b"a file"):
        push_blob(client, "app", blob)
    return push_manifest(client, "app", "artifact", json.dumps(content).encode(), content_type=media_types.OCI_MANIFEST)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_in_a_query_stays_text(serve: Serve, text: str) -> None:
    client = serve(ui=UI)
    push_whole_image(client, "app", "v1")

    browser = Browser(client)

    for query in (
        "app?" + _query(sort=text, filter=text, after=text, nested=text),
        "_search?" + _query(q=text),
        "_search?" + _query(q="app", after=text),
    ):
        _require_harmless(browser.get(f"/ui/{query}"))


@pytest.mark.parametrize("text", HOSTILE)
def test_platforms_that_only_one_of_two_images_has_stay_texts(serve: Serve, text: str) -> None:
    client = serve(ui=UI)
    for tag in ("one", "two"):
        entries = []
        for name in (text, f"{text}{tag}"):
            config = {**CONFIG, "os": name, "architecture": name, "author": tag}
            digest = push_whole_image(client, "app", "any", config=config)
            size = len(client.get(f"/v2/app/manifests/{digest}").data)
            platform = {"os": name, "architecture": name}
            entries.append(
                {"mediaType": media_types.OCI_MANIFEST, "digest": str(digest), "size": size, "platform": platform}
            )
        index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}
        push_manifest(client, "app", tag, json.dumps(index).encode(), content_type=media_types.OCI_INDEX)
    page = Browser(client).get("/ui/_compare?repository=app&one=one&other=two")

    assert ("Only before" in page.text) == text.isprintable()
    _require_harmless(page)


@pytest.mark.parametrize(
    "template",
    ["{{ text }}", "{{ [text] | join(',') }}", "{{ 'x' ~ text }}", '<i title="{{ text }}"></i>', "{{ said }}"],
)
def test_every_expression_of_a_template_is_made_visible(serve: Serve, template: str) -> None:
    class Said:
        def __str__(self) -> str:
            return "\u202e<b>"

    site: Site = serve(ui=UI).application.extensions[EXTENSION]
    made = site.templates.from_string(template).render(text="\u202e<b>", said=Said())

    assert "\\u202e&lt;b&gt;" in made
    assert "\u202e" not in made


def _query(**values: str) -> str:
    return urlencode(values)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("a\u202eb", "a\\u202eb"),
        ("\u2066hidden\u2069", "\\u2066hidden\\u2069"),
        ("bell\x07", "bell\\x07"),
        ("one\n\ttwo", "one\n\ttwo"),
        ("\ud800", "\\ud800"),
        ("مرحبا", "مرحبا"),
    ],
)
def test_what_turns_hides_or_controls_text_is_seen(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(alphabet=st.characters()))
def test_whatever_is_shown_can_be_printed_and_sent(text: str) -> None:
    shown = visible(text)
    shown.encode()
    assert all(each.isprintable() or each in "\n\t" for each in shown)
