"""What may be absent without being damage: what a cache has not fetched, or has let go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from drivers.base import PathNotFoundError
from registry.config.cached import NOTHING
from registry.storage import paths

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from registry.config.cached import Cached
    from registry.oci.digest import Digest
    from registry.storage.validation import ValidationPolicy


@dataclass(frozen=True, slots=True)
class Absences:
    """Tells it of a repository: of one that is pushed to, by the `policy`; of what is `cached`, otherwise."""

    policy: ValidationPolicy
    cached: Cached = NOTHING

    def policy_of(self, driver: StorageDriver, name: str, digest: Digest) -> ValidationPolicy:
        """Return what a manifest of the repository `name` may name that is not there."""
        if name not in self.cached:
            return self.policy
        if self.may_dangle(name) or _was_fetched(driver, name, digest):
            return replace(self.policy, sparse=True)
        return self.policy

    def may_dangle(self, name: str) -> bool:
        """Tell whether what leads to nothing in the repository is no damage: who asks for it has it fetched anew.

        A Go registry that caches lets bytes, and links of manifests, go before what leads to them.
        """
        return self.cached.is_only_cached(name)


def _was_fetched(driver: StorageDriver, name: str, digest: Digest) -> bool:
    try:
        driver.stat(paths.fetched_manifest(name, digest))
    except PathNotFoundError:
        return False
    return True
