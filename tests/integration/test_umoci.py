from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.clients import require_program, run
from tests.integration.content import Layout

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(300)


def test_image_made_by_umoci_unpacks_to_the_same_files_after_a_round_trip(server: Server, tmp_path: Path) -> None:
    umoci, skopeo = require_program("umoci"), require_program("skopeo")
    tree = tmp_path / "tree"
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/busybox").write_bytes(b"not really")
    (tree / "usr/bin/sh").symlink_to("busybox")
    made, pulled = tmp_path / "made", tmp_path / "pulled"
    run(umoci, "init", "--layout", made)
    run(umoci, "new", "--image", f"{made}:v1")
    for number in range(5):
        (tree / "usr/number").write_text(str(number))
        run(umoci, "insert", "--image", f"{made}:v1", tree / "usr", "/usr")
    run(umoci, "config", "--image", f"{made}:v1", "--config.cmd", "/usr/bin/sh")

    remote = f"docker://{server.host}/umoci/layers:v1"
    run(skopeo, "--insecure-policy", "copy", "--dest-tls-verify=false", f"oci:{made}:v1", remote)
    run(skopeo, "--insecure-policy", "copy", "--src-tls-verify=false", remote, f"oci:{pulled}:v1")

    digest = Layout(made).tagged("v1")["digest"]
    assert server.api.manifest("umoci/layers", "v1").digest == digest
    assert Layout(pulled).tagged("v1")["digest"] == digest
    assert len(Layout(pulled).document(digest)["layers"]) == 5
    run(umoci, "unpack", "--image", f"{pulled}:v1", tmp_path / "bundle")
    run("diff", "--recursive", "--no-dereference", tree, tmp_path / "bundle/rootfs")
