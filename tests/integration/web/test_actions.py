"""What is done on pages is what clients find then."""

from __future__ import annotations

import json
import shlex
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.integration.clients import finish, require_program, run
from tests.integration.content import Layout
from tests.integration.servers import Server, ours
from tests.integration.web.forms import Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.content import Samples

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A registry with pages, for everybody."""
    directory = tmp_path_factory.mktemp("pages")
    running = Server(ours(), directory / "root", directory, settings={"ui": {"enabled": True}}).start()
    try:
        yield running
    finally:
        running.stop_cleanly()
        shutil.rmtree(running.root)


@pytest.fixture(scope="module")
def skopeo() -> str:
    return require_program("skopeo")


@pytest.fixture
def visitor(server: Server) -> Visitor:
    return Visitor(server.url)


def _push(skopeo: str, server: Server, samples: Samples, sample: str, target: str) -> None:
    every = ["--all"] if sample == "multi" else []
    command = [skopeo, "--insecure-policy", "copy", "--dest-tls-verify=false", *every]
    run(*command, f"oci:{samples.layout.path}:{sample}", f"docker://{server.host}/{target}")


def _digest(skopeo: str, server: Server, image: str) -> str:
    """Return what a client finds under the name of an image."""
    inspected = run(skopeo, "inspect", "--tls-verify=false", f"docker://{server.host}/{image}")
    return str(json.loads(inspected)["Digest"])


def _is_gone(skopeo: str, server: Server, image: str) -> bool:
    return finish(skopeo, "inspect", "--tls-verify=false", f"docker://{server.host}/{image}").returncode != 0


def test_a_tag_that_was_deleted_on_a_page_is_gone_and_the_other_of_the_image_is_not(
    skopeo: str, server: Server, samples: Samples, visitor: Visitor
) -> None:
    for tag in ("v1", "v2"):
        _push(skopeo, server, samples, "amd64", f"deleted/app:{tag}")

    page = visitor.send(visitor.get("/ui/_delete?repository=deleted/app&tag=v1").form("/_delete"))

    assert page.status == 200
    assert _is_gone(skopeo, server, "deleted/app:v1")
    assert _digest(skopeo, server, "deleted/app:v2") == samples.amd64["digest"]


def test_a_tag_that_was_moved_on_a_page_leads_clients_to_the_other_image(
    skopeo: str, server: Server, samples: Samples, visitor: Visitor
) -> None:
    _push(skopeo, server, samples, "debian", "moved/app:stable")
    _push(skopeo, server, samples, "amd64", "moved/app:v2")

    asked = visitor.send(visitor.get("/ui/_tag?repository=moved/app&reference=v2").form("/_tag"), tag="stable")
    assert _digest(skopeo, server, "moved/app:stable") == samples.debian["digest"]
    visitor.send(asked.form("/_tag"))

    assert _digest(skopeo, server, "moved/app:stable") == samples.amd64["digest"]


def test_an_index_that_was_copied_on_a_page_is_pulled_whole_from_there(
    skopeo: str, server: Server, samples: Samples, visitor: Visitor, tmp_path: Path
) -> None:
    _push(skopeo, server, samples, "multi", "copied/app:v1")

    page = visitor.send(
        visitor.get("/ui/_copy?repository=copied/app&reference=v1").form("/_copy"), target="released/app"
    )
    assert page.status == 200
    visitor.send(visitor.get("/ui/_delete?repository=copied/app").form("/_delete"), confirm="copied/app")
    assert _is_gone(skopeo, server, "copied/app:v1")

    command = [skopeo, "--insecure-policy", "copy", "--all", "--src-tls-verify=false"]
    run(*command, f"docker://{server.host}/released/app:v1", f"oci:{tmp_path}/pulled:v1")
    assert Layout(tmp_path / "pulled").tagged("v1")["digest"] == samples.multi["digest"]


def test_the_command_on_the_page_of_an_image_pulls_it(
    skopeo: str, server: Server, samples: Samples, visitor: Visitor, tmp_path: Path
) -> None:
    _push(skopeo, server, samples, "amd64", "pulled/app:v1")
    text = visitor.get("/ui/pulled/app:v1").html
    start = text.index("skopeo copy")
    command = shlex.split(text[start : text.index("<", start)])

    run(skopeo, "--insecure-policy", *command[1:], cwd=tmp_path)

    assert Layout(tmp_path / "app").tagged("v1")["digest"] == samples.amd64["digest"]
