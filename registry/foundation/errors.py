"""Errors that the registry, its drivers and its access controllers share."""

from __future__ import annotations


class ParameterError(Exception):
    """A plugin's section of the configuration is wrong; the text names the parameter and says what to change."""
