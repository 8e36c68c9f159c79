from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.api import digest_of
from tests.integration.clients import require_module

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(120)


def repository(server: Server, name: str) -> Any:
    return require_module("dxf").DXF(server.host, name, insecure=True)


def test_blobs_named_by_an_alias_come_back(server: Server, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096
    (tmp_path / "blob").write_bytes(content)
    dxf = repository(server, "dxf/alias")
    digest = dxf.push_blob(str(tmp_path / "blob"))
    dxf.set_alias("latest", digest)
    assert dxf.get_alias("latest") == [digest]
    assert b"".join(dxf.pull_blob(digest)) == content
    assert dxf.list_aliases() == ["latest"]


def test_stream_of_unknown_length_is_pushed_in_one_request(server: Server) -> None:
    pieces = [bytes([number]) * 100_000 for number in range(30)]
    dxf = repository(server, "dxf/stream")
    digest = dxf.push_blob(data=iter(pieces), digest=digest_of(b"".join(pieces)))
    assert dxf.blob_size(digest) == 3_000_000


def test_blob_is_mounted_from_another_repository_and_deleted_from_one(server: Server) -> None:
    source, target = repository(server, "dxf/source"), repository(server, "dxf/target")
    digest = source.push_blob(data=iter([b"shared"]), digest=digest_of(b"shared"))
    assert target.mount_blob("dxf/source", digest) == digest
    source.del_blob(digest)
    assert server.api.blob("dxf/source", digest).status == 404
    assert b"".join(target.pull_blob(digest)) == b"shared"


def test_deleted_alias_is_gone(server: Server) -> None:
    dxf = repository(server, "dxf/deleted")
    digest = dxf.push_blob(data=iter([b"content"]), digest=digest_of(b"content"))
    dxf.set_alias("old", digest)
    dxf.del_alias("old")
    assert server.api.manifest("dxf/deleted", "old").status == 404


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_repositories_and_aliases_are_listed_page_by_page(server: Server, batch_size: int) -> None:
    names = [f"dxf/listed/{number}" for number in range(5)]
    for name in names:
        dxf = repository(server, name)
        dxf.set_alias("alias", dxf.push_blob(data=iter([b"listed"]), digest=digest_of(b"listed")))
        dxf.set_alias("other", digest_of(b"listed"))
    listed = require_module("dxf").DXFBase(server.host, insecure=True).list_repos(batch_size=batch_size)
    assert [name for name in listed if name in names] == names
    assert repository(server, names[0]).list_aliases(batch_size=batch_size) == ["alias", "other"]
