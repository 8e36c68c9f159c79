"""Errors that the registry, its drivers and its access controllers share."""

from __future__ import annotations

from registry.foundation.redaction import redacted_setting


class ParameterError(Exception):
    """A plugin's section of the configuration is wrong; the text names the parameter and says what to change.

    It never holds a password or the query of a URL. `path` leads to what is wrong within the section: the
    name that the text begins with, unless another is given.
    """

    def __init__(self, text: str, path: str = "") -> None:
        super().__init__(redacted_setting(text))
        self.path = path or text.partition(":")[0]
