"""The Go registry's page "Deploy a registry server", typed in its order with this image in the place of registry:2.

No right is prepared: directories are root's, and the key is for root alone. What differs from the page is in `places`:
the engine has no bridge, so ports of containers are the host's (``--network=host`` instead of ``-p``), and no public
registry can be reached, so images come from one of this machine.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.integration.api import Api
from tests.integration.clients import require_program
from tests.integration.image.containers import UID, serves
from tests.integration.image.page import certificates, places, remove
from tests.integration.image.programs import import_httpd
from tests.integration.pages import Reader
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engine import Engine

pytestmark = [pytest.mark.timeout(1500), pytest.mark.usefixtures("image")]

LOCAL: Final = """\
docker run -d -p 5000:5000 --restart=always --name registry registry:2
docker pull ubuntu:16.04
docker tag ubuntu:16.04 localhost:5000/my-ubuntu
docker push localhost:5000/my-ubuntu
docker image remove ubuntu:16.04
docker image remove localhost:5000/my-ubuntu
docker pull localhost:5000/my-ubuntu
docker container stop registry
docker container stop registry && docker container rm -v registry
docker run -d -p 5000:5000 --restart=always --name registry registry:2
docker run -d -p 5001:5000 --name registry-test registry:2
docker run -d -e REGISTRY_HTTP_ADDR=0.0.0.0:5001 -p 5001:5001 --name registry-test registry:2
docker run -d -p 5000:5000 --restart=always --name registry -v /mnt/registry:/var/lib/registry registry:2
"""
TLS: Final = """\
mkdir -p certs
cat domain.crt intermediate-certificates.pem > certs/domain.crt
install -m 0600 domain.key certs/domain.key
docker container stop registry
docker run -d --restart=always --name registry -v "$(pwd)"/certs:/certs -e REGISTRY_HTTP_ADDR=0.0.0.0:443 \
-e REGISTRY_HTTP_TLS_CERTIFICATE=/certs/domain.crt -e REGISTRY_HTTP_TLS_KEY=/certs/domain.key -p 443:443 registry:2
docker pull ubuntu:16.04
docker tag ubuntu:16.04 myregistry.domain.com/my-ubuntu
docker push myregistry.domain.com/my-ubuntu
docker pull myregistry.domain.com/my-ubuntu
"""
SERVICE: Final = """\
docker secret create domain.crt certs/domain.crt
docker secret create domain.key certs/domain.key
docker node update --label-add registry=true node1
docker service create --name registry --secret domain.crt --secret domain.key \
--constraint 'node.labels.registry==true' --mount type=bind,src=/mnt/registry,dst=/var/lib/registry \
-e REGISTRY_HTTP_ADDR=0.0.0.0:443 -e REGISTRY_HTTP_TLS_CERTIFICATE=/run/secrets/domain.crt \
-e REGISTRY_HTTP_TLS_KEY=/run/secrets/domain.key --publish published=443,target=443 --replicas 1 registry:2
docker service rm registry
"""
USERS: Final = """\
mkdir auth
docker run --entrypoint htpasswd httpd:2 -Bbn testuser testpassword > auth/htpasswd
docker run -d -p 5000:5000 --restart=always --name registry -v "$(pwd)"/auth:/auth -e "REGISTRY_AUTH=htpasswd" \
-e "REGISTRY_AUTH_HTPASSWD_REALM=Registry Realm" -e REGISTRY_AUTH_HTPASSWD_PATH=/auth/htpasswd \
-v "$(pwd)"/certs:/certs -e REGISTRY_HTTP_TLS_CERTIFICATE=/certs/domain.crt \
-e REGISTRY_HTTP_TLS_KEY=/certs/domain.key registry:2
! docker pull myregistrydomain.com:5000/my-ubuntu
! docker push myregistrydomain.com:5000/my-ubuntu
docker login myregistrydomain.com:5000
docker push myregistrydomain.com:5000/my-ubuntu
docker pull myregistrydomain.com:5000/my-ubuntu
docker container stop registry
"""
COMPOSE: Final = """\
registry:
  restart: always
  image: registry:2
  ports:
    - 5000:5000
  environment:
    REGISTRY_HTTP_TLS_CERTIFICATE: /certs/domain.crt
    REGISTRY_HTTP_TLS_KEY: /certs/domain.key
    REGISTRY_AUTH: htpasswd
    REGISTRY_AUTH_HTPASSWD_PATH: /auth/htpasswd
    REGISTRY_AUTH_HTPASSWD_REALM: Registry Realm
  volumes:
    - /path/data:/var/lib/registry
    - /path/certs:/certs
    - /path/auth:/auth
"""


@pytest.fixture(autouse=True)
def images(engine: Engine, tmp_path: Path) -> None:
    """The images that the page names."""
    engine.docker("tag", "registry", "registry:2")
    import_httpd(engine, tmp_path)


def test_the_page_is_typed_in_its_order(
    engine: Engine, hub: str, port: int, environment: dict[str, str], swarm: str, tmp_path: Path
) -> None:
    authority = certificates(tmp_path)
    starts = re.compile("docker (run -d|service create)")

    def before(command: str) -> None:
        if starts.match(command):
            remove(engine, "registry")
            remove(engine, "registry-test")

    def after(command: str) -> None:
        if command.startswith("docker service rm"):
            wait_until("its container is gone", lambda: not engine.docker("ps", "--quiet"), seconds=90)
        if starts.match(command):
            tls = authority.trusting_client() if "TLS_CERTIFICATE" in command else None
            wait_until(f"it serves: {command}", lambda: serves(Api("localhost", port, tls)), seconds=90)
            assert Api("localhost", port, tls).get("/v2/").status == (401 if "REGISTRY_AUTH" in command else 200)
            container = engine.docker("ps", "--quiet", "--filter=name=registry").strip()
            assert engine.docker("exec", container, "stat", "-c", "%u", "/proc/1") == f"{UID}\n"

    reader = Reader(
        tmp_path,
        {
            **places(hub, port, tmp_path),
            r"(localhost:5000|myregistry.domain.com|myregistrydomain.com:5000)": f"localhost:{port}",
            r"docker run --entrypoint": "docker run --network=host --entrypoint",
            r"\bnode1\b": swarm,
        },
        answers={"Username: ?$": "testuser", "Password: ?$": "testpassword"},
        environment=environment,
        before=before,
        after=after,
    )
    for part in (LOCAL, TLS, SERVICE, USERS):
        for command in part.splitlines():
            reader.type(command)
    composed(COMPOSE, tmp_path, port)
    (tmp_path / "data").mkdir()
    reader.type(f"{require_program('docker-compose')} up -d")
    try:
        api = Api("localhost", port, authority.trusting_client())
        wait_until("compose's serves", lambda: serves(api), seconds=90)
        reader.type("docker push myregistrydomain.com:5000/my-ubuntu")
        assert {each.stat().st_uid for each in [tmp_path / "data", *(tmp_path / "data").rglob("*")]} == {UID}
    finally:
        reader.type(f"{require_program('docker-compose')} down")


def composed(text: str, directory: Path, port: int) -> None:
    """Write the page's compose file for host networking, with `directory` for its ``/path``."""
    for old, new in (
        ("  ports:\n    - 5000:5000\n", "  net: host\n"),
        ("  environment:\n", f"  environment:\n    REGISTRY_HTTP_ADDR: 0.0.0.0:{port}\n"),
        ("/path/", f"{directory}/"),
    ):
        assert old in text
        text = text.replace(old, new)
    (directory / "docker-compose.yml").write_text(text)
