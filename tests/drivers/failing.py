"""A driver under which the power goes at the n-th call, to prove in which order things become durable."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Self

from drivers.base import Claim, DriverError, Found, Result, Stat, StorageDriver, Writer
from drivers.log import Log, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence, Sequence


class PowerLossError(DriverError):
    """The power is gone: this call was not made."""


class FailingDriver(StorageDriver):
    """Passes the first ``fail_at - 1`` calls on to `inner`; the next and all after it raise PowerLossError.

    Calls of its writers count too. With ``fail_at=0`` nothing fails and `calls` tells how many there were::

        dry_run = FailingDriver(inner(), fail_at=0)
        push(dry_run)
        for n in range(1, dry_run.calls + 1):
            medium = inner()
            with suppress(DriverError):
                push(FailingDriver(medium, fail_at=n))
            assert_nothing_dangles(medium)
    """

    name = "failing"

    def __init__(self, inner: StorageDriver, fail_at: int) -> None:
        self._inner = inner
        self._fail_at = fail_at
        self.calls = 0

    @property
    def power_is_gone(self) -> bool:
        return 0 < self._fail_at <= self.calls

    def fail_from_now_on(self) -> None:
        """Let the next call fail, and all after it."""
        self.fail_at_call(1)

    def fail_at_call(self, number: int) -> None:
        """Let the next but ``number - 1`` call fail, and all after it."""
        self._fail_at = self.calls + number

    def work_again(self) -> None:
        """Let no call fail any more."""
        self._fail_at = 0

    def count(self) -> None:
        self.calls += 1
        if self.power_is_gone:
            raise PowerLossError(f"power lost at call {self.calls}")

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        raise NotImplementedError

    def check(self, *, below: Sequence[str] = (), read_only: bool = False) -> None:
        self.count()
        self._inner.check(below=below, read_only=read_only)

    def get(self, path: str, *, limit: int) -> bytes:
        self.count()
        return self._inner.get(path, limit=limit)

    def together(self, *steps: Callable[[], Result]) -> list[Result]:
        return self._inner.together(*steps)  # their calls count, whichever comes first

    def put(self, path: str, content: bytes) -> None:
        self.count()
        self._inner.put(path, content)

    def create(self, path: str, content: bytes) -> None:
        self.count()
        self._inner.create(path, content)

    def replace(self, path: str, content: bytes, *, expected: bytes) -> None:
        self.count()
        self._inner.replace(path, content, expected=expected)

    def delete_if(self, path: str, *, expected: bytes) -> None:
        self.count()
        self._inner.delete_if(path, expected=expected)

    def stat(self, path: str) -> Stat:
        self.count()
        return self._inner.stat(path)

    def read(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        self.count()
        return self._inner.read(path, start, stop)

    def list_prefixes(self, path: str, *, after: str = "", limit: int) -> list[str]:
        self.count()
        return self._inner.list_prefixes(path, after=after, limit=limit)

    def list(self, path: str, *, after: str = "", limit: int) -> list[str]:
        self.count()
        return self._inner.list(path, after=after, limit=limit)

    def delete(self, path: str) -> None:
        self.count()
        self._inner.delete(path)

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        """Count each step: an object store lists a thousand objects with a call, and others come between."""
        self.count()
        for each in self._inner.walk(path, leaf_in=leaf_in):
            yield each
            self.count()

    def scan(self, path: str, *, after: str = "", limit: int) -> Sequence[Found]:
        self.count()
        return self._inner.scan(path, after=after, limit=limit)

    def discard(self, found: Iterable[Found]) -> Sequence[str]:
        """Count each deletion: the power may go after some of them."""
        changed: MutableSequence[str] = []
        for each in found:
            self.count()
            changed += self._inner.discard([each])
        return changed

    def create_upload(self, path: str) -> None:
        self.count()
        self._inner.create_upload(path)

    def upload_size(self, path: str) -> int:
        self.count()
        return self._inner.upload_size(path)

    def open_upload(self, path: str) -> Writer:
        self.count()
        return _FailingWriter(self, self._inner.open_upload(path))

    def read_upload(self, path: str, start: int = 0) -> Iterator[bytes]:
        self.count()
        return self._inner.read_upload(path, start)

    def claim(self, path: str) -> Claim | None:
        self.count()
        return self._inner.claim(path)

    def touch(self, path: str) -> None:
        self.count()
        self._inner.touch(path)

    def local_path(self, path: str) -> str | None:
        return self._inner.local_path(path)

    def open_local(self, path: str) -> BinaryIO | None:
        self.count()
        return self._inner.open_local(path)

    def log(self, path: str) -> Log:
        return _FailingLog(self, self._inner.log(path))

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        return self._inner.redirect_url(path, method=method, client=client)


class _FailingWriter(Writer):
    def __init__(self, driver: FailingDriver, inner: Writer) -> None:
        self._driver = driver
        self._inner = inner

    @property
    def size(self) -> int:
        return self._inner.size

    @property
    def checkpoint(self) -> str:
        return self._inner.checkpoint

    def write(self, piece: bytes) -> None:
        self._driver.count()
        self._inner.write(piece)

    def flush(self) -> None:
        self._driver.count()
        self._inner.flush()

    def content(self) -> Iterator[bytes]:
        self._driver.count()
        return self._inner.content()

    def commit(self, destination: str) -> None:
        self._driver.count()
        self._inner.commit(destination)

    def cancel(self) -> None:
        self._driver.count()
        self._inner.cancel()

    def close(self) -> None:
        # A machine without power holds no locks: the inner writer is let go of in any case.
        try:
            self._driver.count()
        finally:
            self._inner.close()


class _FailingLog(Log):
    def __init__(self, driver: FailingDriver, inner: Log) -> None:
        self._driver = driver
        self._inner = inner

    def append(self, content: bytes) -> int:
        self._driver.count()
        return self._inner.append(content)

    def after(self, position: str, *, before_ns: int, limit: int) -> Page:
        self._driver.count()
        return self._inner.after(position, before_ns=before_ns, limit=limit)

    def count(self, position: str) -> int:
        self._driver.count()
        return self._inner.count(position)

    def trim(self, before_ns: int) -> None:
        self._driver.count()
        self._inner.trim(before_ns)
