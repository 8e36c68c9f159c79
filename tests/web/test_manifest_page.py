"""The page of a tag or a manifest, and that of what refers to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from registry.oci import media_types
from tests.content import descriptor, image, index
from tests.handlers.pushing import push_blob, push_image, push_manifest
from tests.web.images import LAYERS, push_artifact, push_whole_image
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from tests.conftest import Serve

UI = {"enabled": True}
SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"


def _hex(content: bytes) -> str:
    return str(descriptor(content)["digest"]).removeprefix("sha256:")


def test_a_tag_is_shown_with_how_to_pull_it_and_how_it_runs(serve: Serve) -> None:
    client = serve(ui=UI)
    digest = push_whole_image(client, "team/app", "v1")

    page = Browser(client).get("/ui/team/app:v1")

    assert str(digest) in page.text
    assert "docker pull localhost/team/app:v1" in page.text
    assert "skopeo copy --src-tls-verify=false docker://localhost/team/app:v1 oci:app:v1" in page.text
    assert '["/bin/app", "a b"]' in page.text
    assert "LANG=C" in page.text
    assert "8080/tcp" in page.text
    assert "maintainer the team" in page.text


def test_commands_name_the_host_of_the_configuration(serve: Serve) -> None:
    client = serve(ui={**UI, "host": "registry.example"})
    push_image(client, "app", "v1")

    text = Browser(client).get("/ui/app:v1").text
    assert "docker pull registry.example/app:v1" in text
    assert "podman pull registry.example/app:v1" in text, "clients have TLS where the browser has come another way"


def test_without_tls_clients_are_told_to_do_without(serve: Serve) -> None:
    client = serve(ui={**UI, "host": "registry.example:5000"})
    push_image(client, "app", "v1")

    text = Browser(client, "http://registry.example:5000").get("/ui/app:v1").text

    assert "podman pull --tls-verify=false registry.example:5000/app:v1" in text


def test_over_tls_no_client_is_told_to_do_without(serve: Serve) -> None:
    client = serve(ui=UI)
    push_image(client, "app", "v1")

    text = Browser(client, "https://registry.example").get("/ui/app:v1").text

    assert "podman pull registry.example/app:v1" in text
    assert "tls-verify" not in text


def test_layers_stand_beside_the_lines_that_made_them(serve: Serve) -> None:
    client = serve(ui=UI)
    push_whole_image(client, "app", "v1")

    text = Browser(client).get("/ui/app:v1").text

    base, made = (_hex(layer)[:12] for layer in LAYERS)
    assert text.index("ADD base.tar /") < text.index(base) < text.index("ENV LANG=C")
    assert text.index("ENV LANG=C") < text.index("RUN make install") < text.index(made)


def test_a_manifest_is_shown_by_its_digest_and_pulled_by_it(serve: Serve) -> None:
    client = serve(ui=UI)
    digest = push_whole_image(client, "app", "v1")

    page = Browser(client).get(f"/ui/app@{digest}")

    assert f"docker pull localhost/app@{digest}" in page.text
    assert "Delete manifest" in page.text


def test_the_platforms_of_an_index_lead_to_their_images(serve: Serve) -> None:
    client = serve(ui=UI)
    push_blob(client, "app", b"{}")
    child = image()
    digest = push_manifest(client, "app", "child", child, content_type=media_types.OCI_MANIFEST)
    document = json.loads(index(child))
    document["manifests"][0]["platform"] = {"os": "linux", "architecture": "arm64"}
    push_manifest(client, "app", "v1", json.dumps(document).encode(), content_type=media_types.OCI_INDEX)

    page = Browser(client).get("/ui/app:v1")

    assert "linux/arm64" in page.text
    assert f"/ui/app@{digest}" in page.links


def test_a_chart_is_pulled_by_helm(serve: Serve) -> None:
    client = serve(ui=UI)
    push_blob(client, "chart", b"{}")
    document = json.loads(image())
    document["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
    push_manifest(client, "chart", "1.0", json.dumps(document).encode(), content_type=media_types.OCI_MANIFEST)

    text = Browser(client).get("/ui/chart:1.0").text

    assert "helm pull --plain-http oci://localhost/chart --version 1.0" in text
    assert "docker pull" not in text


def test_what_refers_to_an_image_is_a_tree_and_not_verified(serve: Serve) -> None:
    client = serve(ui=UI)
    subject = push_whole_image(client, "app", "v1")
    signature = push_artifact(client, "app", SIGNATURE, subject)
    nested = push_artifact(client, "app", "application/vnd.example.note", signature)
    browser = Browser(client)

    page = browser.get("/ui/app:v1")
    tree = browser.get(f"/ui/_referrers?repository=app&digest={subject}")

    assert "1 signature: present, not verified" in page.text
    assert f"/ui/_referrers?repository=app&digest={str(subject).replace(':', '%3A')}" in page.links
    assert [f"/ui/app@{digest}" in tree.links for digest in (signature, nested)] == [True, True]
    assert "signature: present, not verified" in tree.text
    assert "application/vnd.example.note" in tree.text


def test_a_referrer_leads_to_its_subject(serve: Serve) -> None:
    client = serve(ui=UI)
    subject = push_whole_image(client, "app", "v1")
    signature = push_artifact(client, "app", SIGNATURE, subject)

    assert f"/ui/app@{subject}" in Browser(client).get(f"/ui/app@{signature}").links


def test_the_manifest_and_the_config_are_there_as_json(serve: Serve) -> None:
    client = serve(ui=UI)
    push_whole_image(client, "app", "v1")

    text = Browser(client).get("/ui/app:v1").text

    assert '"schemaVersion": 2' in text
    assert '"created_by": "RUN make install"' in text


@pytest.mark.parametrize("path", ["/ui/app:absent", "/ui/absent:v1", "/ui/app@sha256:" + "0" * 64])
def test_what_is_not_there_is_a_page_that_says_so(serve: Serve, path: str) -> None:
    client = serve(ui=UI)
    push_image(client, "app", "v1")

    assert Browser(client).get(path).status == 404


def test_without_the_right_to_push_nothing_offers_to_tag(serve: Serve, htpasswd: object) -> None:
    push_image(serve(), "app", "v1")
    rules = [{"repositories": "app", "anonymous": ["pull"]}]
    client = serve(ui=UI, auth={"local": {"htpasswd": str(htpasswd), "rules": rules}})

    text = Browser(client).get("/ui/app:v1").text

    assert "Add tag…" not in text
    assert "Delete" not in text
