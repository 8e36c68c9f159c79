"""Runs docker-compose against the test's own engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.clients import require_program, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engine import Engine


def compose(engine: Engine, file: Path, *arguments: str) -> str:
    """Run docker-compose on `file` and give its output."""
    command = (require_program("docker-compose"), "--host", engine.socket, "--project-name", "page", "--file", file)
    return run(*command, *arguments, env={"REGISTRY_HTTP_SECRET": "secret", "S3_SECRET_KEY": "secret of the store"})
