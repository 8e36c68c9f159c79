"""What a repository may still take: asked before anything of a push is stored, and while it comes.

The limit is a soft one. What other processes have added within the last five seconds is not known yet, and of uploads
that are on their way at the same time each is judged alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from registry.foundation.sizes import spelled
from registry.oci.errors import DeniedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from registry.oci.digest import Digest
    from registry.oci.uploads import Chunk, UploadState
    from registry.ports import Repository
    from registry.quota.counter import Counter
    from registry.quota.groups import Group, Groups

Result = TypeVar("Result")


class QuotaExceededError(DeniedError):
    """A quota has no room for what is pushed. No client tries this again, as it would after a fault."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """The quotas of all repositories, which are only counted, not obeyed, unless `enforced`: operators may do all."""

    groups: Groups
    counter: Counter
    enforced: bool = True

    def of(self, repository: str) -> Allowance | None:
        """Return what a repository may take; None if it has no quota."""
        group = self.groups.of(repository)
        return Allowance(self, group) if group else None

    def close(self) -> None:
        """Write down what this process has added, as it ends.

        Raises:
            DriverError: the storage fails.
        """
        self.counter.write()


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the repositories of `group` may take.

    What a repository has already is not counted again if it is pushed again, but that is looked at only where it would
    be refused otherwise: a push costs no look at the storage. Until the group is counted again, the same may so be
    counted twice.
    """

    quotas: Quotas
    group: Group

    def shares_with(self, repository: str) -> bool:
        """Tell whether what `repository` has is counted already."""
        return self.quotas.groups.of(repository) == self.group

    def admit(self, size: int = 0, has_it: Callable[[], bool] = lambda: False) -> int:
        """Return how much is to be counted for `size` bytes that are pushed: all, or 0 if the repository `has_it`.

        Without a size, it is asked whether there is any room.

        Raises:
            QuotaExceededError: there is no room.
        """
        if not self.quotas.enforced:
            return size
        used, limit = self.quotas.counter.used(self.group), self.group.limit
        if used + max(size, 1) <= limit:
            return size
        if has_it():
            return 0
        self.quotas.counter.refused(self.group)
        wanted = f", and {spelled(size)} are asked for" if size else ""
        told = f"{spelled(used)} of {spelled(limit)} are used{wanted}"
        raise QuotaExceededError(
            f"the quota of {self.group.pattern} has no room: {told}",
            {"quota": self.group.pattern, "limit": limit, "used": used, "requested": size},
        )

    def add(self, size: int) -> None:
        """Count `size` bytes that the repository has from now on."""
        self.quotas.counter.add(self.group, size)

    def append(self, repository: Repository, state: UploadState, chunk: Chunk) -> UploadState:
        """Store a chunk as UploadStore.append() does.

        Raises:
            QuotaExceededError: there is no room for it; the session is gone.
        """
        return self._within(repository, state, chunk, _Admission(self), repository.uploads.append)

    def finish(self, repository: Repository, state: UploadState, chunk: Chunk, digest: Digest) -> int:
        """Store the last chunk and publish the whole as UploadStore.finish() does; count it.

        Raises:
            QuotaExceededError: there is no room for it; the session is gone.
        """
        admission = _Admission(self, lambda: repository.blobs.has(digest))
        size = self._within(
            repository, state, chunk, admission, lambda state, chunk: repository.uploads.finish(state, chunk, digest)
        )
        if not admission.has_it:
            self.add(size)
        return size

    def _within(
        self,
        repository: Repository,
        state: UploadState,
        chunk: Chunk,
        admission: _Admission,
        store: Callable[[UploadState, Chunk], Result],
    ) -> Result:
        try:
            admission.require(state.offset + (chunk.length or 0))
            return store(state, replace(chunk, pieces=admission.admitted(chunk.pieces, state.offset)))
        except QuotaExceededError:
            repository.uploads.discard(state.upload_id)
            raise


class _Admission:
    """Whether an upload may go on; once its repository `has_it` already, it may."""

    def __init__(self, allowance: Allowance, looks: Callable[[], bool] = lambda: False) -> None:
        self.has_it = False
        self._allowance = allowance
        self._looks = looks

    def require(self, size: int) -> None:
        """Return if the upload may have `size` bytes.

        Raises:
            QuotaExceededError: it may not.
        """
        if not self.has_it:
            self.has_it = size > self._allowance.admit(size, self._looks)

    def admitted(self, pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
        """Yield the pieces of an upload that has `size` bytes before them, for as long as there is room."""
        for piece in pieces:
            size += len(piece)
            self.require(size)
            yield piece
