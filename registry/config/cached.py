"""Which repositories hold what was fetched of an upstream: all that has to treat them otherwise asks here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.foundation.globs import Glob

if TYPE_CHECKING:
    from registry.config.upstreams import Upstream


@dataclass(frozen=True, slots=True)
class Cached:
    """The repositories below the prefixes of `upstreams`, or all where one of them was made of the section ``proxy``.

    An upstream that is not classic has a prefix.
    """

    upstreams: tuple[Upstream, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.upstreams)

    def __contains__(self, repository: str) -> bool:
        """Tell whether the repository called so is cached."""
        return self.upstream_of(repository) is not None

    def upstream_of(self, repository: str) -> Upstream | None:
        """Return the upstream of which the repository called so is cached: the one with the longest prefix."""
        found: Upstream | None = None
        for each in self.upstreams:
            is_longer = found is None or len(each.prefix) > len(found.prefix)
            if is_longer and (each.classic or repository.startswith(f"{each.prefix}/")):
                found = each
        return found

    def is_only_cached(self, repository: str) -> bool:
        """Tell whether the repository is cached, and nothing can be pushed to it."""
        upstream = self.upstream_of(repository)
        return upstream is not None and upstream.push == "deny"


NOTHING: Final = Cached()


def keeps(upstream: Upstream, repository: str) -> bool:
    """Tell whether ``cache.keep`` says that nothing of the repository, which is cached, is evicted.

    Its patterns are for names upstream, as those of ``allow`` and ``deny`` are.
    """
    name = repository if upstream.classic else repository.removeprefix(f"{upstream.prefix}/")
    remote = f"{upstream.remoteprefix}/{name}" if upstream.remoteprefix else name
    return any(Glob.parse(each).matches(remote) for each in upstream.cache.keep)
