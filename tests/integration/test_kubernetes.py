"""The Kubernetes manifests against the schemas of the API that they are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.clients import require_module

MANIFESTS = Path(__file__).parents[2] / "deploy/kubernetes/registry.yaml"
VERSIONS = ("1.25", "1.34")
"""The oldest that has all the APIs, without a beta, and a new one."""


def documents() -> list[Any]:
    return list(yaml.safe_load_all(MANIFESTS.read_text()))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", documents(), ids=lambda each: each["kind"])
def test_every_manifest_is_as_the_api_wants_it_with_no_key_that_it_does_not_know(document: Any, version: str) -> None:
    require_module("kubernetes_validate").validate(document, version, strict=True)


def test_a_misspelt_key_is_found() -> None:
    validation = require_module("kubernetes_validate")
    (deployment,) = (each for each in documents() if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    container["readinesProbe"] = container.pop("readinessProbe")
    with pytest.raises(validation.ValidationError, match="readinesProbe"):
        validation.validate(deployment, VERSIONS[-1], strict=True)
