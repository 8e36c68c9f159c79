"""Configurations that the tests start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.config import Configuration, ConfigurationError
from registry.config.loading import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

SMALLEST = "version: 0.1\nstorage: inmemory\n"
FILESYSTEM = "version: 0.1\nstorage: {filesystem: {rootdirectory: /data}}\n"


def configure(text: str = "", environ: Mapping[str, str] | None = None, *, base: str = SMALLEST) -> Configuration:
    return parse(base + text, "config.yml", environ or {})


def refusal(text: str = "", environ: Mapping[str, str] | None = None, *, base: str = SMALLEST) -> str:
    """Return the one line with which the configuration is refused."""
    with pytest.raises(ConfigurationError) as caught:
        parse(base + text, "config.yml", environ or {})
    assert "\n" not in str(caught.value)
    return str(caught.value)
