"""The repositories of a registry that caches others: local ones, and those of its upstreams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.oci.errors import DeniedError, UpstreamFailedError
from registry.proxy.routing import Routes, local
from registry.upstream.via import goes_round

if TYPE_CHECKING:
    from registry import ports
    from registry.config import Configuration
    from registry.proxy.routing import Place


class Proxied:
    """All that a process has of its upstreams. `pseudonym` is what the servers of this registry are known by in Via."""

    def __init__(self, configuration: Configuration, repositories: ports.Repositories, pseudonym: str) -> None:
        self._routes = Routes.of(configuration)
        self._repositories = repositories
        self._pseudonym = pseudonym

    def place(self, name: str, host: str, namespace: str, *, pushes: bool) -> Place:
        """Return what `name` means as Routes.find() does; `pushes` says that the client wants to push to it.

        To a default upstream that takes no pushes, none goes: the name becomes that of a local repository.
        """
        found = self._routes.find(name, host, namespace)
        if found.unless_local:
            is_local = (pushes and not found.takes_pushes) or self._repositories.catalog.keeps(name)
            return local(name) if is_local else found
        return found

    def open(self, place: Place, visitor: ports.Visitor) -> ports.Repository:
        """Return the repository, for a client that may use it; what it lacks is fetched on behalf of `visitor`.

        Raises:
            DeniedError: the configuration does not let it be fetched.
            UpstreamFailedError: this registry asks itself, through others.
        """
        if not place.is_allowed:
            raise DeniedError(f"this registry is not to fetch {place.remote} from {place.upstream}")
        if place.upstream and goes_round(visitor.via, self._pseudonym):
            raise UpstreamFailedError(
                f"this registry asks itself for {place.name}: the upstreams of registries lead in a circle"
            )
        return self._repositories.open(place.name)

    def close(self) -> None:
        """Let go of all connections."""
