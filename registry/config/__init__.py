"""The Go registry's configuration, a file and REGISTRY_* variables, as frozen values."""

from registry.config.changes import changed_keys
from registry.config.errors import ConfigurationError, Findings
from registry.config.loading import find_path, load
from registry.config.printing import effective
from registry.config.values import Configuration

__all__ = [
    "Configuration",
    "ConfigurationError",
    "Findings",
    "changed_keys",
    "effective",
    "find_path",
    "load",
]
