"""Pushes as clients do them, and what is expected of the answers."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from registry.oci import media_types
from registry.oci.digest import Digest
from tests.content import image

if TYPE_CHECKING:
    from io import RawIOBase

    from flask.testing import FlaskClient
    from werkzeug.wrappers import Response


def push_blob(client: FlaskClient, name: str, content: bytes, algorithm: str = "sha256") -> Digest:
    """Push `content` in one request."""
    digest = Digest.of(content, algorithm)
    response = client.post(f"/v2/{name}/blobs/uploads/", query_string={"digest": str(digest)}, data=content)
    assert response.status_code == 201, response.data
    return digest


def push_manifest(client: FlaskClient, name: str, reference: str, content: bytes, **options: Any) -> Digest:
    """Push a manifest by tag or digest; all that it names must be there."""
    response = client.put(f"/v2/{name}/manifests/{reference}", data=content, **options)
    assert response.status_code == 201, response.data
    return Digest.parse(response.headers["Docker-Content-Digest"])


def push_image(client: FlaskClient, name: str, *tags: str, config: bytes = b"{}", **more: object) -> Digest:
    """Push an image of nothing but a config, under each of `tags`."""
    push_blob(client, name, config)
    content = image(config, **more)
    for reference in tags or (str(Digest.of(content)),):
        push_manifest(client, name, reference, content, content_type=media_types.OCI_MANIFEST)
    return Digest.of(content)


def streamed(body: IO[bytes] | RawIOBase, length: int | None = None) -> dict[str, Any]:
    """Return how a server hands over `body`, in chunks or with a Content-Length: ``environ_overrides``."""
    if length is None:
        return {"wsgi.input": body, "CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    return {"wsgi.input": body, "CONTENT_LENGTH": str(length)}


def error_of(response: Response) -> tuple[int, str]:
    """Return status and code of an answer, which must be an error in the specification's form."""
    assert response.content_type == media_types.JSON
    assert response.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    assert response.json is not None
    assert set(response.json) == {"errors"}
    for error in response.json["errors"]:
        assert {"code", "message"} <= set(error) <= {"code", "message", "detail"}
        assert isinstance(error["message"], str)
        assert error["message"]
    return response.status_code, response.json["errors"][0]["code"]
