"""A server that finds out while it runs that it may not write: another user has been at its storage."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Final

import pytest

from registry.oci.digest import Digest
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.serving import Serving

NOBODY: Final = 65534
CONFIG: Final = b"{}"
MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
DIGEST: Final = Digest.of(CONFIG)
MANIFEST: Final = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": str(DIGEST), "size": 2},
        "layers": [],
    }
).encode()
AS_MANIFEST: Final = {"Content-Type": MANIFEST_TYPE}

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root may give files away, and needs setpriv for this"
)
WITHOUT_CAPABILITIES: Final = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    """A registry that has an image, and may not do more than any user, whose tree is then given to another one."""
    with serving(tmp_path, before=WITHOUT_CAPABILITIES) as running:
        uploads = f"/v2/app/blobs/uploads/?digest={DIGEST}"
        assert running.request("POST", uploads, CONFIG).status == 201
        assert running.request("PUT", "/v2/app/manifests/v1", MANIFEST, AS_MANIFEST).status == 201
        for place, _, _ in os.walk(tmp_path / "root"):
            os.chown(place, NOBODY, NOBODY)
        yield running


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v2/app/blobs/uploads/", b""),
        ("POST", f"/v2/other/blobs/uploads/?mount={DIGEST}&from=app", b""),
        ("PUT", "/v2/app/manifests/v2", MANIFEST),
        ("DELETE", "/v2/app/manifests/v1", None),
        ("DELETE", f"/v2/app/manifests/{Digest.of(MANIFEST)}", None),
        ("DELETE", f"/v2/app/blobs/{DIGEST}", None),
    ],
)
def test_a_change_is_507_with_a_message_one_line_says_what_to_type_and_pulls_go_on(
    server: Serving, tmp_path: Path, method: str, path: str, body: bytes | None
) -> None:
    answers = [server.request(method, path, body, AS_MANIFEST if body else None) for _ in range(4)]

    assert {answer.status for answer in answers} == {507}
    (error,) = json.loads(answers[0].body)["errors"]
    assert error["message"] == "the storage of this registry cannot be written to"
    lines = {line for line in server.log().splitlines() if f"{method} {path.partition('?')[0]}: filesystem: " in line}
    assert 1 <= len(lines) <= 2, "one of each worker"
    for line in lines:
        assert "Permission denied for user 0; " in line
        assert f"run as root `chown -R 0:0 {tmp_path}/root`" in line
    assert "Traceback" not in server.log()
    assert server.get("/v2/app/manifests/v1", Accept=MANIFEST_TYPE).body == MANIFEST
    assert server.get(f"/v2/app/blobs/{DIGEST}").body == CONFIG
