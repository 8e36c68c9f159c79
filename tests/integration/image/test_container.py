"""The image, built by a Docker engine and run by it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from registry import __version__
from registry.cli import commands
from registry.foundation.extras import DISTRIBUTION
from tests.integration.api import Api
from tests.integration.image.containers import add_user, certificates, owned, push_and_pull
from tests.integration.waiting import wait_until
from tests.server.tls.authority import Authority
from tests.test_lock import pins

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engine import Engine
    from tests.integration.image.containers import Container

pytestmark = pytest.mark.timeout(1500)

SECOND = 10**9
LARGEST_BYTES = 220 * 10**6
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")


def test_an_image_is_pushed_pulled_and_outlives_a_restart_of_the_registry(
    engine: Engine, container: Container, busybox: str
) -> None:
    container.run("--restart=always")
    push_and_pull(engine, busybox, container.host)
    engine.docker("container", "restart", "registry")
    wait_until("it is back", lambda: container.answers(Api("localhost", container.port)))
    engine.docker("pull", f"{container.host}/my-{busybox}")
    engine.docker("image", "remove", f"{container.host}/my-{busybox}")

    engine.docker("container", "stop", "registry")
    assert container.state()["ExitCode"] == 0
    assert "Traceback" not in container.log


@pytest.mark.parametrize("user", ["1000:0", "12345:0", "0:0"])
def test_any_user_of_group_0_serves_from_a_read_only_root(
    engine: Engine, container: Container, busybox: str, user: str
) -> None:
    container.run("--user", user, *HARDENED)
    push_and_pull(engine, busybox, container.host)
    assert engine.docker("exec", "registry", "id", "-u") == f"{user.partition(':')[0]}\n"


def test_storage_is_bind_mounted_from_the_host(container: Container, tmp_path: Path) -> None:
    root = owned(tmp_path / "mnt/registry")
    api = container.run("-v", f"{root}:/var/lib/registry")
    digest = api.push_blob("image/mounted", b"content")
    stored = root / "docker/registry/v2/blobs/sha256" / digest[7:9] / digest[7:] / "data"
    assert stored.read_bytes() == b"content"


def test_a_directory_that_is_not_the_users_to_write_stops_it_with_one_line(
    engine: Engine, container: Container, tmp_path: Path
) -> None:
    root = tmp_path / "of-root"
    root.mkdir(mode=0o755)
    options = ("-d", "--network=host", "--name=registry", "--user=1000:0", "-v", f"{root}:/var/lib/registry")
    engine.docker("run", *options, container.image)
    wait_until("it has ended", lambda: not container.state()["Running"])
    assert container.state()["ExitCode"] == 1


def test_tls_is_turned_on_by_variables(engine: Engine, container: Container, busybox: str, tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "ca")
    certs = certificates(tmp_path / "certs", authority)
    api = container.run(
        *("-v", f"{certs}:/certs", "-e", "REGISTRY_HTTP_TLS_CERTIFICATE=/certs/domain.crt"),
        *("-e", "REGISTRY_HTTP_TLS_KEY=/certs/domain.key"),
        tls=authority,
    )
    assert api.begin_upload("image/tls").headers["Location"].startswith("https://")
    push_and_pull(engine, busybox, container.host)


def test_basic_authentication_is_turned_on_by_variables(
    engine: Engine, container: Container, busybox: str, tmp_path: Path
) -> None:
    auth = owned(tmp_path / "auth")
    add_user(engine, auth)
    container.run(
        *("-v", f"{auth}:/auth", "-e", "REGISTRY_AUTH=htpasswd", "-e", "REGISTRY_AUTH_HTPASSWD_REALM=Registry Realm"),
        *("-e", "REGISTRY_AUTH_HTPASSWD_PATH=/auth/htpasswd"),
    )
    with pytest.raises(pytest.fail.Exception, match="no basic auth credentials"):
        push_and_pull(engine, busybox, container.host)
    engine.docker("login", "--username=testuser", "--password=testpassword", container.host)
    push_and_pull(engine, busybox, container.host)
    engine.docker("logout", container.host)


def test_the_health_check_says_healthy(container: Container) -> None:
    container.run()
    wait_until("it is healthy", lambda: container.state()["Health"]["Status"] == "healthy", seconds=60)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--version",), f"registry {DISTRIBUTION} v"),
        (("config", "show"), "rootdirectory: /var/lib/registry"),
        (("config", "show", "/etc/docker/registry/config.yml"), "rootdirectory: /var/lib/registry"),
        (("/bin/registry", "config", "show", "/etc/distribution/config.yml"), "addr: :5000"),
        (("sh", "-c", "id -u"), "0\n"),
        (("serve", "--help"), "Usage: registry serve"),
    ],
)
def test_arguments_go_where_the_go_registrys_image_sends_them(
    engine: Engine, image: str, arguments: tuple[str, ...], said: str
) -> None:
    assert said in engine.docker("run", "--rm", "--network=host", image, *arguments)


def test_every_command_goes_to_the_registry(engine: Engine, image: str) -> None:
    said = {name: engine.docker("run", "--rm", "--network=host", image, name, "--help") for name in commands.commands}
    assert {name: text for name, text in said.items() if not text.startswith(f"Usage: registry {name}")} == {}


def test_the_bill_of_materials_lists_what_is_installed_and_all_of_it_is_pinned(engine: Engine, image: str) -> None:
    run = ("run", "--rm", "--network=host", "--entrypoint", "/opt/registry/bin/python", image, "-c")
    listed = json.loads(engine.docker(*run, "print(open('/opt/registry/share/sbom.cdx.json').read())"))
    assert listed["bomFormat"] == "CycloneDX"
    assert listed["metadata"]["component"]["type"] == "container"
    debian = [each for each in listed["components"] if each.get("purl", "").startswith("pkg:deb/debian/")]
    query = ("--entrypoint", "dpkg-query", image, "--show", "--showformat=${Package} ${Version}\n")
    installed = engine.docker("run", "--rm", "--network=host", *query).splitlines()
    assert {f"{each['name']} {each['version']}" for each in debian} == set(installed)
    python = [each for each in listed["components"] if each not in debian]
    components = {canonicalize_name(each["name"]): each["version"] for each in python}
    names = "from importlib.metadata import distributions; print(*(each.name for each in distributions()))"
    assert set(components) == {canonicalize_name(name) for name in engine.docker(*run, names).split()}
    del components[canonicalize_name(DISTRIBUTION)]
    pinned = {name: {pin.version for pin in found} for name, found in pins("requirements.txt").items()}
    assert {name: version for name, version in components.items() if version not in pinned.get(name, ())} == {}


def test_the_image_is_declared_as_registry_2_is(engine: Engine, image: str) -> None:
    declared = json.loads(engine.docker("image", "inspect", image))[0]
    config = declared["Config"]
    assert config["Volumes"] == {"/var/lib/registry": {}}
    assert config["ExposedPorts"] == {"5000/tcp": {}}
    assert config["Entrypoint"] == ["/entrypoint.sh"]
    assert config["Cmd"] == ["/etc/distribution/config.yml"]
    assert config["User"] == ""
    assert config["Healthcheck"]["Interval"] == 5 * SECOND


def test_the_image_is_small_and_says_what_it_is(engine: Engine, image: str) -> None:
    declared = json.loads(engine.docker("image", "inspect", image))[0]
    assert declared["Size"] < LARGEST_BYTES
    labels = {key.removeprefix("org.opencontainers.image."): text for key, text in declared["Config"]["Labels"].items()}
    assert labels["title"] == "registry"
    assert labels["version"] == __version__
    assert labels["licenses"] == "Apache-2.0"
    assert set(labels) == {"title", "description", "licenses", "version", "revision"}


def test_nothing_is_left_of_apt_and_debian_is_whole(engine: Engine, image: str) -> None:
    run = ("run", "--rm", "--network=host", image, "sh", "-c")
    left = (
        "find /var/lib/apt/lists /var/cache/apt /var/log /usr/share/man /usr/share/locale -type f 2>/dev/null || true"
    )
    assert engine.docker(*run, left) == ""
    assert (
        engine.docker(*run, "dpkg --audit; stat -c '%a %U %G' /etc/shadow /tmp") == "640 root shadow\n1777 root root\n"
    )
    assert "ca-certificates" in engine.docker(*run, "dpkg-query --show --showformat '${Package} '")


def test_s3_and_its_sources_of_credentials_find_their_data(engine: Engine, image: str) -> None:
    services = ("s3", "sts", "sso", "sso-oidc", "signin")
    make = (
        "from botocore.session import get_session; "
        f"[get_session().create_client(each, region_name='us-east-1') for each in {services}]"
    )
    engine.docker("run", "--rm", "--network=host", "--entrypoint", "/opt/registry/bin/python", image, "-c", make)


def test_it_has_the_libraries_of_ldap(engine: Engine, image: str) -> None:
    python = ("run", "--rm", "--network=host", "--entrypoint", "/opt/registry/bin/python", image, "-c")
    assert engine.docker(*python, "import ldap.filter; print(ldap.filter.escape_filter_chars('*'))").strip() == r"\2a"
