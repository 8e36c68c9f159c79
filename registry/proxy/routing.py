"""Which upstream a repository is of, and under which name it is kept here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from registry.foundation.globs import Glob
from registry.oci.errors import NameUnknownError
from registry.oci.reference import parse_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registry.config import Configuration
    from registry.config.upstreams import Upstream

_MOST_REMEMBERED: Final = 1024
_LONGEST_REMEMBERED: Final = 512
"""Characters of what a client says: it may say anything, and what bounds memory is the number of those remembered."""
_LIBRARY: Final = "library"


@dataclass(frozen=True, slots=True)
class Place:
    """A repository that a client has named.

    `name` is the canonical one, under which it is kept and for which rights are asked; `also` are names for which a
    token counts as well. `upstream` is the one that has it, as `remote`; both are "" where it is local. In URLs for
    this client it is called `located`. `unless_local` says that a local repository of the name that was typed wins.
    `is_allowed` is what ``allow`` and ``deny`` say. `takes_pushes` and `takes_deletions` are what the upstream's entry
    says; that of ``proxy``, which is `classic`, takes neither. `namespace` is what the client has said, if it decided.
    """

    name: str
    upstream: str = ""
    remote: str = ""
    also: tuple[str, ...] = ()
    located: str = ""
    unless_local: bool = False
    is_allowed: bool = True
    takes_pushes: bool = True
    takes_deletions: bool = True
    classic: bool = False
    namespace: str = ""


def local(name: str) -> Place:
    """Return the repository of this registry that is called `name`."""
    return Place(name, located=name)


class Routes:
    """The upstreams of a registry, by all that a request may say of them."""

    def __init__(self, upstreams: Iterable[Upstream], own_host: str = "") -> None:
        """Find among `upstreams`, as Configuration.upstreams has them; `own_host` is that of ``http.host``."""
        entries = [_Entry(each) for each in upstreams]
        self._own = own_host.lower()
        self._classic = next((each for each in entries if each.settings.classic), None)
        self._default = next((each for each in entries if each.settings.default), None)
        self._prefixes = {each.settings.prefix: each for each in entries}
        self._hosts = {host.lower(): each for each in entries for host in each.settings.hosts}
        self._namespaces = {name.lower(): each for each in entries for name in each.settings.namespaces}
        self._remembered = lru_cache(_MOST_REMEMBERED)(self._found)

    @classmethod
    def of(cls, configuration: Configuration) -> Self:
        """Return the routes of `configuration`."""
        return cls(configuration.upstreams, urlsplit(configuration.http.host).netloc)

    def find(self, name: str, host: str = "", namespace: str = "") -> Place:
        """Return what `name`, a valid one, means to a client of `host` that says `namespace`, the value of ``?ns=``.

        Nothing that a client says is ever connected to: it is only looked for in the lists of the configuration.

        Raises:
            NameUnknownError: no upstream is meant by `namespace`, or another one has the canonical name.
            NameInvalidError: the canonical name is too long.
        """
        if len(host) + len(namespace) > _LONGEST_REMEMBERED:
            return self._found(name, host, namespace)
        return self._remembered(name, host, namespace)

    def _found(self, name: str, host: str, namespace: str) -> Place:
        if self._classic:
            # As the Go registry does: whatever a client says beside the name means nothing.
            return self._place(self._classic, name, typed=name)
        entry = _of_host(self._hosts, host)
        if entry:
            return self._place(entry, name, typed=name)
        if namespace and namespace.lower() not in {host.lower(), self._own}:
            entry = _of_host(self._namespaces, namespace)
            if not entry:
                raise NameUnknownError("this registry caches no registry of that namespace", {"ns": namespace[:256]})
            # A client chooses this freely, so a right on the name that it types is none on this repository.
            return replace(self._place(entry, name), namespace=namespace)
        entry, rest = self._of_prefix(name)
        if entry:
            return self._place(entry, rest, typed=name)
        if self._default:
            return replace(self._place(self._default, name, typed=name), unless_local=True)
        return local(name)

    def _of_prefix(self, name: str) -> tuple[_Entry | None, str]:
        """Return the upstream with the longest prefix that fits, and what follows that."""
        prefix, slash, rest = name.rpartition("/")
        while slash:
            entry = self._prefixes.get(prefix)
            if entry:
                return entry, name[len(prefix) + 1 :]
            prefix, slash, rest = prefix.rpartition("/")
        return None, rest

    def _place(self, entry: _Entry, name: str, typed: str = "") -> Place:
        settings = entry.settings
        if entry.has_library and "/" not in name:
            name = f"{_LIBRARY}/{name}"
        canonical = parse_name(f"{settings.prefix}/{name}" if settings.prefix else name)
        if not settings.classic and self._of_prefix(canonical)[0] is not entry:
            # It lies below a longer prefix: it would be kept, and rights on it asked, as a repository of that upstream.
            raise NameUnknownError("another upstream has the repositories of that name", {"name": canonical})
        remote = f"{settings.remoteprefix}/{name}" if settings.remoteprefix else name
        return Place(
            canonical,
            settings.name,
            remote,
            also=(typed,) if typed and typed != canonical else (),
            located=typed or canonical,
            is_allowed=entry.allows(remote),
            takes_pushes=settings.push == "allow",
            takes_deletions=not settings.classic,
            classic=settings.classic,
        )


class _Entry:
    """An upstream with its patterns read."""

    def __init__(self, settings: Upstream) -> None:
        self.settings = settings
        self._allow = [Glob.parse(each) for each in settings.allow]
        self._deny = [Glob.parse(each) for each in settings.deny]
        self.has_library = settings.library and not settings.remoteprefix

    def allows(self, remote: str) -> bool:
        if any(each.matches(remote) for each in self._deny):
            return False
        return not self._allow or any(each.matches(remote) for each in self._allow)


def _of_host(entries: Mapping[str, _Entry], host: str) -> _Entry | None:
    """Return the entry of `host`; one that has no port is that of every port."""
    host = host.lower()
    found = entries.get(host)
    if found:
        return found
    name, _, port = host.rpartition(":")
    return entries.get(name) if port.isascii() and port.isdigit() else None
