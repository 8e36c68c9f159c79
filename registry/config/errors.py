"""The one error of this package."""

from __future__ import annotations

from registry.foundation.redaction import redacted_setting


class ConfigurationError(Exception):
    """The configuration cannot be used. `where` is the key (``http.net``), variable or file at fault.

    The text is one line, ``where: reason``, and never holds the value of a secret.
    """

    def __init__(self, where: str, reason: str) -> None:
        self.where = where
        self.reason = redacted_setting(reason)
        super().__init__(" ".join(f"{where}: {self.reason}".split()))
