from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.clients import require_program, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.content import Samples
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def regctl(server: Server) -> Callable[..., str]:
    program = require_program("regctl")
    run(program, "registry", "set", "--tls=disabled", server.host)
    return lambda *arguments: run(program, *arguments)


def test_debian_image_and_index_are_copied_in_and_out(
    regctl: Callable[..., str], server: Server, samples: Samples, tmp_path: Path
) -> None:
    for tag, descriptor in {"debian": samples.debian, "multi": samples.multi}.items():
        remote = f"{server.host}/regctl/images:{tag}"
        regctl("image", "copy", f"ocidir://{samples.layout.path}:{tag}", remote)
        assert regctl("image", "digest", remote).strip() == descriptor["digest"]
        regctl("image", "copy", remote, f"ocidir://{tmp_path}/pulled:{tag}")
        assert regctl("image", "digest", f"ocidir://{tmp_path}/pulled:{tag}").strip() == descriptor["digest"]


def test_artifact_with_a_subject_is_listed_among_the_referrers_and_filtered(
    regctl: Callable[..., str], server: Server, samples: Samples, tmp_path: Path
) -> None:
    image = f"{server.host}/regctl/subject:v1"
    samples.layout.push(server.api, "regctl/subject", samples.amd64, "v1")
    for kind in ("sbom", "signature"):
        (tmp_path / kind).write_text(kind)
        media_type = f"application/vnd.example.{kind}"
        options = (
            f"--artifact-type={media_type}",
            f"--file-media-type={media_type}",
            f"--annotation=org.example.kind={kind}",
        )
        regctl("artifact", "put", *options, f"--file={tmp_path / kind}", f"--subject={image}")

    listed = json.loads(regctl("artifact", "list", "--format={{json .}}", image))["descriptors"]
    assert len(listed) == 2
    query = ("artifact", "list", "--filter-artifact-type=application/vnd.example.sbom", "--format={{json .}}")
    (sbom,) = json.loads(regctl(*query, image))["descriptors"]
    assert sbom["annotations"]["org.example.kind"] == "sbom"
    assert regctl("artifact", "get", f"{server.host}/regctl/subject@{sbom['digest']}") == "sbom"
    tags = server.api.get("/v2/regctl/subject/tags/list").json()["tags"]
    assert tags == ["v1"], "with a referrers API no client falls back to tags"


def test_copy_with_referrers_takes_the_artifacts_along(
    regctl: Callable[..., str], server: Server, samples: Samples
) -> None:
    samples.layout.push(server.api, "regctl/origin", samples.multi, "v1")
    samples.layout.push(server.api, "regctl/origin", samples.artifact)
    source, target = f"{server.host}/regctl/origin:v1", f"{server.host}/regctl/copied:v1"
    regctl("image", "copy", "--referrers", "--digest-tags", source, target)
    copied = server.api.get(f"/v2/regctl/copied/referrers/{samples.amd64['digest']}").json()["manifests"]
    assert [found["digest"] for found in copied] == [samples.artifact["digest"]]
    assert copied[0]["artifactType"] == "application/vnd.example.sbom"


def test_artifact_without_a_subject_comes_back(regctl: Callable[..., str], server: Server, tmp_path: Path) -> None:
    (tmp_path / "chart.tgz").write_bytes(bytes(range(256)))
    target = f"{server.host}/regctl/chart:1.0.0"
    regctl(
        "artifact",
        "put",
        "--artifact-type=application/vnd.example.chart",
        f"--file={tmp_path}/chart.tgz",
        target,
    )
    regctl("artifact", "get", f"--output={tmp_path}", target)
    manifest = server.api.manifest("regctl/chart", "1.0.0").json()
    assert manifest["artifactType"] == "application/vnd.example.chart"
    assert server.api.blob("regctl/chart", manifest["layers"][0]["digest"]).body == bytes(range(256))


def test_tags_and_repositories_are_listed_and_a_single_tag_deleted(
    regctl: Callable[..., str], server: Server, samples: Samples
) -> None:
    for tag in ("one", "two"):
        samples.layout.push(server.api, "regctl/tags", samples.amd64, tag)
    repository = f"{server.host}/regctl/tags"
    assert regctl("tag", "ls", repository).split() == ["one", "two"]
    assert "regctl/tags" in regctl("repo", "ls", server.host).split()
    regctl("tag", "rm", f"{repository}:one")
    assert regctl("tag", "ls", repository).split() == ["two"]
    assert server.api.manifest("regctl/tags", "two").digest == samples.amd64["digest"]
