"""Where the configuration is looked for, and the steps from the file to its values."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from registry.config import endpoints, legacy, tree
from registry.config.environment import PATH_VARIABLE, override
from registry.config.errors import ConfigurationError
from registry.config.origins import Origins
from registry.config.proxied import refuse_wrong_proxied
from registry.config.quotas import refuse_wrong_quotas
from registry.config.reading import read, refuse_unusable_text
from registry.config.retention import refuse_wrong_retention
from registry.config.schema import shape_of
from registry.config.support import refuse_unsupported, warn_unsupported
from registry.config.tree import Scalar
from registry.config.values import Configuration
from registry.foundation.unreadable import reason_unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.config.tree import Tree

_DEFAULT_PATHS = ("/etc/distribution/config.yml", "/etc/docker/registry/config.yml")
NOT_FOUND = "no configuration file"
"""Where a configuration is at fault that is in none of the usual places."""
_VERSION = "0.1"


def find_path(argument: str | None, environ: Mapping[str, str]) -> str:
    """Return the configuration file to use: `argument`, else the variable's, else the first that exists.

    Raises:
        ConfigurationError: none is named and none exists, and the text lists where it was looked for; or `argument` is
            empty, as a variable of a script may be that was never set.
    """
    if argument is not None and not argument:
        raise ConfigurationError("CONFIG", "is empty; give the path of a file")
    named = argument or environ.get(PATH_VARIABLE)
    if named:
        return named
    for path in _DEFAULT_PATHS:
        with suppress(OSError):  # in a directory that is not ours to search
            if Path(path).is_file():
                return path
    looked = ", ".join(("the argument CONFIG", PATH_VARIABLE, *_DEFAULT_PATHS))
    raise ConfigurationError(NOT_FOUND, f"looked at {looked}")


def load(path: str, environ: Mapping[str, str]) -> Configuration:
    """Return the configuration in the file at `path` with the REGISTRY_* variables of `environ` applied.

    Raises:
        ConfigurationError: the file cannot be read, a value is wrong, or a feature is not supported yet.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(path, f"cannot be read: {reason_unreadable(error, path)}") from None
    return parse(content, path, environ)


def parse(content: bytes | str, where: str, environ: Mapping[str, str]) -> Configuration:
    """Return the configuration in `content`, which came from `where`; else as `load`."""
    shape = shape_of(Configuration)
    warnings: list[str] = []
    lines: dict[str, int] = {}
    document = tree.parse(content, where, shape, warnings, lines)
    if not isinstance(document, dict):
        raise ConfigurationError(where, "must hold a mapping of keys")
    sources: dict[str, str] = {}
    origins = Origins(where, lines, sources)
    with origins.locating():
        _check_version(document)
        document = override(shape, document, environ, warnings, sources)
        if isinstance(document, dict):
            legacy.modernize(document, warnings, sources)
        refuse_unusable_text(document)
        configuration: Configuration = read(shape, document, "", warnings)
        if configuration.auth and configuration.auth.name.lower() == "none":
            configuration = replace(configuration, auth=None)
        configuration = replace(configuration, notifications=endpoints.named(configuration.notifications))
        endpoints.refuse_wrong_endpoints(configuration.notifications)
        refuse_wrong_quotas(configuration.storage.maintenance.quotas)
        refuse_wrong_retention(configuration.storage.maintenance.retention)
        refuse_wrong_proxied(configuration)
        refuse_unsupported(configuration)
    return replace(configuration, warnings=(*warnings, *warn_unsupported(configuration)), origins=origins)


def _check_version(document: Mapping[str, Tree]) -> None:
    version = document.get("version")
    if version is None:
        raise ConfigurationError("version", f"missing; the format is version {_VERSION}")
    if not isinstance(version, Scalar) or version.text != _VERSION:
        given = version.text if isinstance(version, Scalar) else "not a number"
        raise ConfigurationError("version", f"unsupported ({given}); the format is version {_VERSION}")
