"""Pages of what is attached to images, of READMEs, and of two images side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browsing import attached
from tests.browsing.attached import encoded, envelope, statement
from tests.browsing.test_attached import push, push_image, push_index, refer_to
from tests.browsing.test_chart import packed
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

    from registry.oci.digest import Digest
    from tests.conftest import Serve

UI = {"enabled": True}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e\x1b"


@pytest.fixture
def client(serve: Serve) -> FlaskClient:
    return serve(ui=UI)


@pytest.fixture
def browser(client: FlaskClient) -> Browser:
    return Browser(client)


def document(name: str, digest: Digest, page: str = "_document", **query: str) -> str:
    more = "".join(f"&{key}={value}" for key, value in query.items())
    return f"/ui/{page}?repository={name}&digest={digest}{more}"


def test_what_is_attached_to_an_image_is_told_in_short_and_leads_to_all_of_it(
    client: FlaskClient, browser: Browser
) -> None:
    image, _ = push_image(client, {}, b"layer", tag="v1")
    report = push(client, {"content": encoded(attached.TRIVY), "type": "application/json"}, subject=refer_to(image))
    bill = {"content": encoded(attached.SPDX_2), "type": "application/spdx+json"}
    push(client, bill, subject=refer_to(image), artifactType="application/spdx+json")
    page = browser.get(document("app", image, "_attached"))

    assert page.status == 200
    assert "1 high" in page.text
    assert "2 packages" in page.text
    assert document("app", report).replace(":", "%3A") in page.links


def test_the_page_of_an_image_leads_to_what_is_attached_and_to_a_comparison(
    client: FlaskClient, browser: Browser
) -> None:
    image, _ = push_image(client, {}, tag="v1")
    links = browser.get("/ui/app:v1").links

    assert document("app", image, "_attached").replace(":", "%3A") in links
    assert "/ui/_compare?repository=app&one=v1" in links


def test_attestations_in_an_index_are_attached_to_it(client: FlaskClient, browser: Browser) -> None:
    index = push_index(client, "v1", ("amd64", "1.3"))
    page = browser.get(document("app", index, "_attached"))

    assert "Bill of materials, Provenance" in page.text
    assert "built from https://git.example/app" in page.text


def test_an_image_with_nothing_attached_says_so(client: FlaskClient, browser: Browser) -> None:
    image, _ = push_image(client, {}, tag="v1")

    assert "Nothing is attached" in browser.get(document("app", image, "_attached")).text


def test_a_bill_of_materials_is_a_table_that_can_be_filtered(client: FlaskClient, browser: Browser) -> None:
    digest = push(client, {"content": encoded(attached.SPDX_2), "type": "application/spdx+json"})
    page = browser.get(document("app", digest))
    filtered = browser.send(page.form("/_document"), filter="ZLIB")

    assert "2 of 2 packages" in page.text
    assert "openssl" in page.text
    assert "1 of 2 packages" in filtered.text
    assert "Apache-2.0" not in filtered.text.partition("As JSON")[0]


def test_vulnerabilities_are_a_table_with_the_worst_first(client: FlaskClient, browser: Browser) -> None:
    digest = push(client, {"content": encoded(attached.CYCLONEDX_VULNERABILITIES), "type": "application/json"})
    text = browser.get(document("app", digest)).text

    assert "1 critical 1 high" in text
    assert text.index("CVE-2026-1") < text.index("CVE-2026-2")
    assert "1, which are said to do no harm here" in text


def test_a_provenance_tells_where_an_image_comes_from(client: FlaskClient, browser: Browser) -> None:
    predicate = statement("https://slsa.dev/provenance/v1", attached.PROVENANCE_1)
    digest = push(client, {"content": encoded(envelope(predicate)), "type": "application/vnd.in-toto+json"})
    text = browser.get(document("app", digest)).text

    assert "https://git.example/app" in text
    assert "e" * 40 in text


def test_a_signature_is_present_and_not_verified(client: FlaskClient, browser: Browser) -> None:
    certificate = attached.pem(attached.certificate("someone@example.org", "https://accounts.example"))
    part = {
        "content": encoded(attached.simple_signing()),
        "type": "application/vnd.dev.cosign.simplesigning.v1+json",
        "annotations": {"dev.sigstore.cosign/certificate": certificate},
    }
    text = browser.get(document("app", push(client, part))).text

    assert "This signature is present. It was not verified" in text
    assert "someone@example.org" in text


def test_what_cannot_be_read_is_said(client: FlaskClient, browser: Browser) -> None:
    digest = push(client, {"content": b"\x00", "type": "application/vnd.cyclonedx+json"})

    assert "What it says cannot be told: it is not JSON." in browser.get(document("app", digest)).text


@pytest.mark.parametrize(
    "written",
    [
        {**attached.SPDX_2, "name": HOSTILE, "packages": [{"name": HOSTILE, "versionInfo": HOSTILE}]},
        {"bomFormat": "CycloneDX", "vulnerabilities": [{"id": HOSTILE, "affects": [{"ref": HOSTILE}]}]},
        statement("https://slsa.dev/provenance/v1", {"buildDefinition": {"buildType": HOSTILE}}),
        statement(HOSTILE, {}),
        {**attached.simple_signing(), "critical": {"identity": {"docker-reference": HOSTILE}, "image": {}}},
        {HOSTILE: HOSTILE},
    ],
    ids=["SBOM", "vulnerabilities", "provenance", "statement", "signature", "unknown"],
)
def test_what_strangers_write_stays_text(client: FlaskClient, browser: Browser, written: object) -> None:
    image, _ = push_image(client, {}, b"layer", tag="v1")
    part = {
        "content": encoded(written),
        "type": "application/json",
        "annotations": {"org.opencontainers.image.title": HOSTILE},
    }
    digest = push(client, part, subject=refer_to(image), annotations={HOSTILE: HOSTILE})

    for path in (document("app", digest), document("app", image, "_attached")):
        html = browser.get(path).html
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert "\u202e" not in html
        assert "\x1b" not in html


def test_the_readme_of_a_repository_is_shown_and_nothing_in_it_is_loaded(client: FlaskClient, browser: Browser) -> None:
    text = f"# App\n\n![logo](https://elsewhere.example/x.png) [docs](https://docs.example) {HOSTILE}"
    push(client, {"content": text.encode(), "type": "text/markdown"}, tag="readme")
    page = browser.get("/ui/_readme?repository=app")

    assert "<h3>App</h3>" in page.html
    assert "elsewhere.example" not in page.html
    assert "https://docs.example" in page.links
    assert "<script>alert" not in page.html
    assert "/ui/_readme?repository=app&newest=readme" in browser.get("/ui/app").links


def test_of_one_attachment_the_first_readme_is_rendered_and_other_texts_are_as_written(
    client: FlaskClient, browser: Browser
) -> None:
    title = {"org.opencontainers.image.title": "readme.md"}
    parts = [{"content": text, "type": "text/markdown", "annotations": title} for text in (b"# One", b"# Two")]
    html = browser.get(document("app", push(client, *parts))).html

    assert "<h3>One</h3>" in html
    assert "<h3>Two</h3>" not in html
    assert "# Two" in html


def test_a_chart_has_the_readme_that_is_in_it(client: FlaskClient, browser: Browser) -> None:
    for version in ("0.9.0", "0.10.0"):
        chart = packed({"app/Chart.yaml": b"name: app", "app/README.md": f"# Version {version}".encode()})
        push(client, {"content": chart, "type": "application/vnd.cncf.helm.chart.content.v1.tar+gzip"}, tag=version)
    (link,) = (each for each in browser.get("/ui/app").links if "_readme" in each)

    assert "<h3>Version 0.10.0</h3>" in browser.get(link).html


def test_a_repository_without_a_readme_says_how_it_gets_one(client: FlaskClient, browser: Browser) -> None:
    push_image(client, {}, tag="v1")

    assert "Push one as a Markdown file" in browser.get("/ui/_readme?repository=app").text


def test_two_images_are_compared(client: FlaskClient, browser: Browser) -> None:
    push_image(client, {"config": {"User": "root"}, "history": [{"created_by": "COPY one"}]}, b"base", b"one", tag="v1")
    push_image(client, {"config": {"User": HOSTILE}, "history": [{"created_by": HOSTILE}]}, b"base", b"two", tag="v2")
    form = browser.get("/ui/_compare?repository=app").form("/_compare")
    page = browser.send(form, one="v1", other="v2")

    assert page.status == 200
    assert "Common base 1 layer " in page.text
    assert "user root <script>alert(1)</script>" in page.text
    assert "- COPY one" in page.text
    assert "<script>alert" not in page.html
    assert "\u202e" not in page.html


def test_a_platform_is_chosen_where_both_have_several(client: FlaskClient, browser: Browser) -> None:
    push_index(client, "v1", ("amd64", "1.3"), ("arm64", "1.3-arm"))
    push_index(client, "v2", ("amd64", "1.4"), ("arm64", "1.4-arm"))
    page = browser.get("/ui/_compare?repository=app&one=v1&other=v2")
    other = browser.send(page.form("/_compare"), platform="linux/arm64")

    assert "zlib 1.3 1.4" in page.text
    assert "zlib 1.3-arm 1.4-arm" in other.text


def test_a_manifest_is_the_same_as_itself(client: FlaskClient, browser: Browser) -> None:
    push_image(client, {}, tag="v1")

    assert "Both are the same manifest" in browser.get("/ui/_compare?repository=app&one=v1&other=v1").text


@pytest.mark.parametrize(
    "path",
    [
        "_compare?repository=secret",
        "_compare?repository=secret&one={secret}&other={secret}",
        "_compare?repository=app&one=v1&other={secret}&with=secret",
        "_readme?repository=secret",
        "_attached?repository=secret&digest={secret}",
        "_document?repository=secret&digest={secret}",
    ],
)
def test_what_is_not_there_and_what_may_not_be_pulled_are_answered_alike(
    serve: Serve, htpasswd: Path, path: str
) -> None:
    rules = [
        {"repositories": "app", "user:alice": ["pull"], "user:ci": ["pull"]},
        {"repositories": "secret", "user:ci": ["pull"]},
    ]
    auth = {"local": {"htpasswd": str(htpasswd), "rules": rules}}
    everything = serve(ui=UI)
    push_image(everything, {}, b"layer", tag="v1")
    digest, _ = push_image(everything, {}, b"secret", name="secret")
    path = f"/ui/{path.format(secret=digest)}"
    alice, ci = Browser(serve(ui=UI, auth=auth)), Browser(serve(ui=UI, auth=auth))
    alice.log_in("alice", "wonderland")
    ci.log_in("ci", "machine")

    assert ci.get(path).status == 200
    assert alice.get(path).status == 404
    assert alice.get(path.replace("secret", "absent")).status == 404


@pytest.mark.parametrize(
    "path",
    ["_compare", "_compare?repository=app&one=:&other=v1", "_document?repository=app", "_readme?repository=UPPER"],
)
def test_a_malformed_question_is_refused(browser: Browser, path: str) -> None:
    assert browser.get(f"/ui/{path}").status == 400
