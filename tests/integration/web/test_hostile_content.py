"""Images and documents of people who mean harm, in a real browser: what they say is text, on a phone, too."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.browsing.attached import CYCLONEDX_VULNERABILITIES, PROVENANCE_1, SPDX_2, TRIVY, envelope, statement
from tests.integration.api import OCI_MANIFEST
from tests.integration.servers import Server, ours
from tests.integration.web.chromium import PHONE, watched
from tests.integration.web.gallery import CONFIG, EMPTY, LAYER, push

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Dialog

    from tests.integration.api import Api
    from tests.integration.web.chromium import Watched

APP: Final = "evil/app"
LONG: Final = "long" * 25_000
SCRIPT: Final = (
    "<script>alert(1)</script>\"'><img src=x onerror=alert(1)><svg/onload=alert(1)>"
    "<img src=http://evil.example/x.png>\u202efdp.exe\u2066\x1b[2J"
)
TEXTS: Final = {"script": SCRIPT, "long": LONG}
README: Final = f"""# Read me {SCRIPT}

{SCRIPT}

<script src="http://evil.example/x.js"></script>
<iframe src="javascript:alert(1)"></iframe> <style>body {{ display: none }}</style>
<form action="http://evil.example/"><button>Win a prize</button></form>

![logo](http://evil.example/logo.png) ![logo](javascript:alert(1)) ![logo](data:image/svg+xml,<svg/onload=alert(1)>)

[script](javascript:alert(1)) [spelt](JaVaScRiPt&colon;alert(1)) [data](data:text/html,<script>alert(1)</script>)
[breaking out]("onmouseover="alert(1)) <javascript:alert(1)>

```"><script>alert(1)</script>
{LONG}
```

| {SCRIPT.replace("|", "")} | {"wide" * 200} |
|---|---|
| `{LONG}` | {LONG} |
"""


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a registry's pages, and those of what is hostile in it."""
    directory = tmp_path_factory.mktemp("hostile")
    server = Server(ours(), directory / "root", directory, settings={"ui": {"enabled": True}}).start()
    try:
        found: dict[str, str] = {}
        for name, text in TEXTS.items():
            found |= {f"{name}: {each}": path for each, path in _fill(server.api, f"{APP}/{name}", text).items()}
        yield f"{server.url}/ui/", found
    finally:
        server.stop_cleanly()
        shutil.rmtree(server.root)


def _fill(api: Api, name: str, text: str) -> dict[str, str]:
    """Push an image that says `text` wherever it can, with documents that do; the paths of their pages are given."""
    digests = [_image(api, name, text, tag, [text] * number) for number, tag in enumerate(("v1", "v2"), 1)]
    subject = {"mediaType": OCI_MANIFEST, "digest": digests[0], "size": len(api.manifest(name, digests[0]).body)}
    documents = {
        "SBOM": ("application/spdx+json", _said(SPDX_2, text)),
        "vulnerabilities": ("application/vnd.cyclonedx+json", _said(CYCLONEDX_VULNERABILITIES, text)),
        "report": ("application/json", _said(TRIVY, text)),
        "provenance": (
            "application/vnd.in-toto+json",
            envelope(statement("https://slsa.dev/provenance/v1", _said(PROVENANCE_1, text))),
        ),
        "statement": ("application/vnd.in-toto+json", statement(text, {text: text})),
        "unknown": (f"application/{text}", {text: text}),
    }
    found = {
        "home": "",
        "repository": name,
        "image": f"{name}:v1",
        "referrers": f"_referrers?repository={name}&digest={digests[0]}",
        "compared": f"_compare?repository={name}&one=v1&other=v2",
        "README": f"_readme?repository={name}",
    }
    for kind, (media_type, document) in documents.items():
        told = {"mediaType": media_type, "annotations": {"org.opencontainers.image.title": text, "anything": text}}
        digest = push(
            api,
            name,
            (EMPTY, b"{}"),
            [(told, json.dumps(document).encode())],
            artifactType=media_type,
            subject=subject,
            annotations={"org.opencontainers.image.created": text, "anything": text},
        )
        found[kind] = f"_document?repository={name}&digest={digest}"
        found[f"{kind} as a manifest"] = f"{name}@{digest}"
    readme = {"mediaType": "text/markdown", "annotations": {"org.opencontainers.image.title": "README.md"}}
    push(api, name, (EMPTY, b"{}"), [(readme, README.encode())], ["readme"], artifactType="text/markdown")
    return found


def _image(api: Api, name: str, text: str, tag: str, environment: list[str]) -> str:
    config = {
        **dict.fromkeys(("os", "architecture", "author", "created"), text),
        "config": {
            **dict.fromkeys(("User", "WorkingDir", "StopSignal"), text),
            "Env": [*environment, f"A={text}"],
            "Labels": {"org.opencontainers.image.source": "javascript:alert(1)", "anything": text, text: "anything"},
            "Entrypoint": [text],
            "Cmd": [text],
            "ExposedPorts": {text: {}},
            "Volumes": {text: {}},
        },
        "history": [{"created_by": text, "comment": text, "created": text}, {"created_by": tag}],
    }
    annotations = {"org.opencontainers.image.url": "javascript:alert(1)", "anything": text, text: "anything"}
    layers = [({"mediaType": LAYER, "annotations": {text: text}}, each) for each in (b"base", tag.encode())]
    return push(api, name, (CONFIG, json.dumps(config).encode()), layers, [tag], annotations=annotations)


def _said(document: Any, text: str) -> Any:
    """Give a document with `text` in the place of all that does not say what kind of document it is."""
    if isinstance(document, dict):
        kept = {"spdxVersion", "bomFormat", "specVersion", "SchemaVersion", "Severity", "severity", "bom-ref", "ref"}
        return {key: each if key in kept else _said(each, text) for key, each in document.items()}
    if isinstance(document, list):
        return [_said(each, text) for each in document]
    return text if isinstance(document, str) else document


def test_nothing_that_was_pushed_runs_loads_or_breaks_a_page(
    browser: Browser, paths: tuple[str, dict[str, str]]
) -> None:
    base, found = paths
    faults: list[str] = []

    def opened(dialog: Dialog) -> None:
        faults.append(f"a dialog on {tab.page.url}")
        dialog.dismiss()

    with watched(browser, base, size=PHONE) as tab:
        tab.page.on("dialog", opened)
        for name, path in found.items():
            page = tab.open(path)
            page.locator("[hx-trigger=load]").last.wait_for(state="detached")
            if "script:" in name and path and "alert(1)" not in page.locator("main").inner_text():
                faults.append(f"{name}: it does not say what was pushed")
            faults += [f"{name}: {each}" for each in _broken(tab)]
    assert not faults, "\n".join(faults)


def _broken(tab: Watched) -> list[str]:
    faults = tab.told()
    width = tab.width_of_content()
    if width > PHONE[0]:
        faults.append(f"it is {width} pixels wide")
    if tab.page.locator("h1").count() != 1:
        faults.append("it has not one heading of the first level")
    if tab.page.locator(
        "main iframe, main style, main script, main svg, main img, main form[action*='evil.example']"
    ).count():
        faults.append("it has an element that was pushed")
    if tab.page.locator("a[href^='javascript' i], a[href^='data' i], [src*='evil'], [onerror], [onload]").count():
        faults.append("it has an address or a handler that was pushed")
    return faults
