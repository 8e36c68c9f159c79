from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.integration.clients import require_program, run
from tests.integration.content import Layout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.content import Samples
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def crane() -> Callable[..., str]:
    program = require_program("crane")
    return lambda *arguments: run(program, "--insecure", *arguments)


def test_debian_image_is_pulled_and_pushed_with_its_digest(
    crane: Callable[..., str], server: Server, samples: Samples, tmp_path: Path
) -> None:
    samples.layout.push(server.api, "crane/debian", samples.debian, "v1")
    crane("pull", "--format=oci", f"{server.host}/crane/debian:v1", tmp_path / "pulled")
    assert Layout(tmp_path / "pulled").tagged()["digest"] == samples.debian["digest"]

    crane("push", tmp_path / "pulled", f"{server.host}/crane/again:v1")
    assert crane("digest", f"{server.host}/crane/again:v1").strip() == samples.debian["digest"]
    crane("validate", "--remote", f"{server.host}/crane/again:v1")


def test_index_is_pushed_and_pulled_whole(
    crane: Callable[..., str], server: Server, samples: Samples, tmp_path: Path
) -> None:
    samples.layout.push(server.api, "crane/origin", samples.multi, "v1")
    crane("pull", "--format=oci", f"{server.host}/crane/origin:v1", tmp_path / "pulled")
    crane("push", "--index", tmp_path / "pulled", f"{server.host}/crane/index:v1")
    pushed = server.api.manifest("crane/index", "v1").json()
    assert samples.multi["digest"] in {child["digest"] for child in pushed["manifests"]}


def test_copy_keeps_index_and_digest_and_validates(crane: Callable[..., str], server: Server, samples: Samples) -> None:
    samples.layout.push(server.api, "crane/source", samples.multi, "v1")
    crane("copy", f"{server.host}/crane/source:v1", f"{server.host}/crane/target:v2")
    assert server.api.manifest("crane/target", "v2").digest == samples.multi["digest"]
    crane("validate", "--remote", f"{server.host}/crane/target:v2")


def test_appended_layer_makes_a_new_image_on_the_same_base(
    crane: Callable[..., str], server: Server, samples: Samples, tmp_path: Path
) -> None:
    samples.layout.push(server.api, "crane/base", samples.amd64, "v1")
    (tmp_path / "added").write_text("added")
    with tarfile.open(tmp_path / "layer.tar", "w") as layer:
        layer.add(tmp_path / "added", "added")
    base, appended = f"{server.host}/crane/base:v1", f"{server.host}/crane/appended:v1"
    crane("append", "--base", base, "--new_layer", tmp_path / "layer.tar", "--new_tag", appended)
    layers = server.api.manifest("crane/appended", "v1").json()["layers"]
    assert len(layers) == 2
    crane("validate", "--remote", appended)


def test_tags_are_added_listed_and_deleted(crane: Callable[..., str], server: Server, samples: Samples) -> None:
    repository = f"{server.host}/crane/tags"
    samples.layout.push(server.api, "crane/tags", samples.amd64, "v1")
    crane("tag", f"{repository}:v1", "latest")
    assert crane("ls", repository).split() == ["latest", "v1"]
    assert "crane/tags" in crane("catalog", server.host).split()
    assert crane("manifest", f"{repository}:latest").encode() == server.api.manifest("crane/tags", "v1").body

    crane("delete", f"{repository}:latest")
    assert crane("ls", repository).split() == ["v1"]
    crane("delete", f"{repository}@{samples.amd64['digest']}")
    assert server.api.manifest("crane/tags", "v1").status == 404
