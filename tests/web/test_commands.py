from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from registry.oci.digest import Digest
from registry.web.commands import Target, pull_commands

_DIGEST = Digest("sha256", "a" * 64)
_TAGGED = Target("registry.example", "team/app", _DIGEST, "1.0")
_UNTAGGED = replace(_TAGGED, tag="")


def _lines(target: Target, kind: str) -> dict[str, str]:
    return {each.client: each.line for each in pull_commands(target, kind)}  # type: ignore[arg-type]


def test_an_image_is_pulled_by_its_tag_with_four_clients() -> None:
    assert _lines(_TAGGED, "image") == {
        "docker": "docker pull registry.example/team/app:1.0",
        "podman": "podman pull registry.example/team/app:1.0",
        "crane": "crane pull registry.example/team/app:1.0 app.tar",
        "skopeo": "skopeo copy docker://registry.example/team/app:1.0 oci:app:1.0",
    }


def test_what_has_no_tag_is_pulled_by_its_digest() -> None:
    lines = _lines(_UNTAGGED, "index")
    assert lines["docker"] == f"docker pull registry.example/team/app@{_DIGEST}"
    assert lines["skopeo"] == f"skopeo copy docker://registry.example/team/app@{_DIGEST} oci:app"


def test_a_chart_is_pulled_by_helm_whose_versions_have_plus_signs() -> None:
    lines = _lines(replace(_TAGGED, tag="1.0_build.5"), "chart")
    assert list(lines) == ["helm", "oras"]
    assert lines["helm"] == "helm pull oci://registry.example/team/app --version 1.0+build.5"
    assert _lines(_UNTAGGED, "chart")["helm"] == f"helm pull oci://registry.example/team/app@{_DIGEST}"


def test_an_artifact_is_pulled_by_oras_first() -> None:
    assert list(_lines(_TAGGED, "artifact")) == ["oras", "skopeo"]


def test_without_tls_each_client_is_told_so_but_docker_which_is_configured() -> None:
    plain = replace(_TAGGED, tls=False)
    assert _lines(plain, "image") == {
        "docker": "docker pull registry.example/team/app:1.0",
        "podman": "podman pull --tls-verify=false registry.example/team/app:1.0",
        "crane": "crane pull --insecure registry.example/team/app:1.0 app.tar",
        "skopeo": "skopeo copy --src-tls-verify=false docker://registry.example/team/app:1.0 oci:app:1.0",
    }
    assert _lines(plain, "chart")["helm"].startswith("helm pull --plain-http oci://")
    assert _lines(plain, "artifact")["oras"].startswith("oras pull --plain-http ")


@pytest.mark.parametrize("kind", ["image", "index", "chart", "artifact", "unreadable"])
def test_a_host_that_a_client_has_made_up_is_one_word_for_the_shell(kind: str) -> None:
    host = "evil.example;$(reboot)"
    for line in _lines(replace(_TAGGED, host=host), kind).values():
        assert sum(host in word for word in shlex.split(line)) == 1
