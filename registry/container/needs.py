"""What a command needs of the file system, as its configuration says: directories to write to, files to read."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.storage.paths import CLUSTER, ROOT

if TYPE_CHECKING:
    from registry.config import Configuration

_DEFAULT_ROOT: Final = "/var/lib/registry"
_TREES: Final = frozenset(path.split("/")[1] for path in (ROOT, CLUSTER))
"""All that the registry keeps in a root directory is below these; what else is there belongs to others."""
_VARIABLES: Final = ("AWS_", "AZURE_", "GOOGLE_", "OTEL_", "REQUESTS_", "SSL_")
"""How the variables begin that name files for the libraries of object stores, of traces and of TLS."""
_CREDENTIALS: Final = ("path", "htpasswd", "apikeys")
_HOME_FILES: Final = (".aws/credentials", ".aws/config")


@dataclass(frozen=True, slots=True)
class Needs:
    """Paths by what is done with them. They may be missing."""

    files: frozenset[str] = frozenset()
    """Files that are read."""
    made: frozenset[str] = frozenset()
    """Directories in which names are made and deleted, and which are made themselves if they are missing."""
    directories: frozenset[str] = frozenset()
    """Directories in which names are made and deleted."""
    trees: frozenset[str] = frozenset()
    """Directories that are written to, with all that is in them."""
    read_trees: frozenset[str] = frozenset()
    """Directories that are read, with all that is in them."""

    def __or__(self, other: Needs) -> Needs:
        """Return what both need."""
        return Needs(
            self.files | other.files,
            self.made | other.made,
            self.directories | other.directories,
            self.trees | other.trees,
            self.read_trees | other.read_trees,
        )


def needs_of(configuration: Configuration, *, reading: bool = False, serving: bool = True) -> Needs:
    """Return what `configuration` needs. With `reading` its storage is only read; only a server writes elsewhere."""
    needs = Needs(files=_files_among(_texts(configuration)))
    needs |= _needs_of_storage(configuration, reading=reading or configuration.storage.maintenance.readonly.enabled)
    if not serving:
        return needs
    needs |= needs_of_auth(configuration)
    http = configuration.http
    if http.net == "unix":
        needs |= Needs(directories=frozenset({_parent(http.addr)}))
    if cache := http.tls.letsencrypt.cachefile:
        needs |= Needs(made=frozenset({cache}), trees=frozenset({cache}))
    if configuration.ui.enabled and (directory := configuration.ui.index.directory):
        needs |= Needs(made=frozenset({directory}), trees=frozenset({directory}))
    return needs


def needs_of_environment(environ: Mapping[str, str], *, reading: bool = False) -> Needs:
    """Return the files that variables name, such as those of credentials, and where temporary files of pushes go."""
    home = Path(environ.get("HOME") or "/")
    values = [value for name, value in environ.items() if name.startswith(_VARIABLES)]
    named = [*values, *(str(home / name) for name in _HOME_FILES)]
    temporary = None if reading else environ.get("TMPDIR")
    return Needs(files=_files_among(named), directories=frozenset({temporary} if temporary else ()))


def credentials_of(configuration: Configuration) -> frozenset[str]:
    """Return the files of users and keys that the ``auth`` section names."""
    parameters = configuration.auth.parameters if configuration.auth else {}
    named = {key: str(parameters[key]) for key in _CREDENTIALS if parameters.get(key)}
    # API keys that are kept in the storage are no file.
    return frozenset(path for key, path in named.items() if (key, path) != ("apikeys", "storage"))


def _needs_of_storage(configuration: Configuration, *, reading: bool) -> Needs:
    storage = configuration.storage
    if storage.driver != "filesystem":
        return Needs()
    root = str(storage.parameters.get("rootdirectory") or _DEFAULT_ROOT)
    trees = frozenset(f"{root}/{name}" for name in _TREES)
    return Needs(read_trees=trees) if reading else Needs(made=frozenset({root}), trees=trees)


def needs_of_auth(configuration: Configuration) -> Needs:
    """Return the directories in which an access controller makes files."""
    auth = configuration.auth
    if auth is None:
        return Needs()
    named = {key: value for key, value in auth.parameters.items() if isinstance(value, str) and value}
    if auth.name == "htpasswd" and "path" in named and not Path(named["path"]).exists():
        return Needs(directories=frozenset({_parent(named["path"])}))
    if auth.name != "local" or not named.keys() & {"key", "htpasswd"}:
        return Needs()
    key = named.get("key") or str(Path(named["htpasswd"]).with_name("token-key.pem"))
    logins = named.get("refreshtokens") or str(Path(key).with_name("refresh-tokens"))
    return Needs(directories=frozenset({_parent(key), _parent(logins)}), trees=frozenset({logins}))


def _files_among(texts: Iterable[str]) -> frozenset[str]:
    """Return those of `texts`, which may be any, that are absolute paths of files."""
    return frozenset(text for text in texts if text.startswith("/") and os.path.isfile(text))  # noqa: PTH113  any text


def _texts(value: object) -> Iterator[str]:
    """Yield every string in a section."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _texts(each)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _texts(getattr(value, field.name))


def _parent(path: str) -> str:
    return str(Path(path).parent)
