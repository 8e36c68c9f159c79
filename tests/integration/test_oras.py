from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.clients import require_module

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.content import Samples
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def client(server: Server) -> Any:
    return require_module("oras.client").OrasClient(hostname=server.host, insecure=True)


def write(path: Path, size: int) -> Path:
    path.write_bytes(bytes(range(256)) * (size // 256))
    return path


@pytest.mark.parametrize("chunked", [False, True])
def test_artifact_files_come_back_byte_for_byte(client: Any, server: Server, tmp_path: Path, *, chunked: bool) -> None:
    target = f"{server.host}/oras/files:chunked-{chunked}".lower()
    files = [write(tmp_path / "small.txt", 256), write(tmp_path / "large.bin", 8 << 20)]
    client.push(
        target=target,
        files=[f"{path}:application/vnd.example.file" for path in files],
        disable_path_validation=True,
        do_chunked=chunked,
        chunk_size=3 << 20,
    )

    pulled = client.pull(target=target, outdir=str(tmp_path / "pulled"))
    assert len(pulled) == len(files)
    for path in files:
        assert (tmp_path / "pulled" / path.name).read_bytes() == path.read_bytes()


def test_artifact_about_an_image_is_among_its_referrers(
    client: Any, server: Server, samples: Samples, tmp_path: Path
) -> None:
    samples.layout.push(server.api, "oras/subject", samples.amd64, "image")
    image = samples.amd64
    subject = require_module("oras.oci").Subject(image["mediaType"], image["digest"], image["size"])
    answer = client.push(
        target=f"{server.host}/oras/subject:signature",
        files=[f"{write(tmp_path / 'signature', 256)}:application/vnd.example.signature"],
        disable_path_validation=True,
        subject=subject,
        manifest_annotations={"org.example.by": "oras"},
    )
    assert answer.headers["OCI-Subject"] == image["digest"]

    referrers = server.api.get(f"/v2/oras/subject/referrers/{image['digest']}").json()["manifests"]
    assert [found["digest"] for found in referrers] == [server.api.manifest("oras/subject", "signature").digest]
    assert referrers[0]["annotations"] == {"org.example.by": "oras"}


def test_tags_are_listed_and_deleted(client: Any, server: Server, samples: Samples) -> None:
    for tag in ("one", "two", "three"):
        samples.layout.push(server.api, "oras/tags", samples.amd64, tag)
    repository = f"{server.host}/oras/tags"
    assert sorted(client.get_tags(repository)) == ["one", "three", "two"]
    client.delete_tags(repository, "one")
    assert server.api.manifest("oras/tags", "one").status == 404
