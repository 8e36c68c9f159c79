"""The suite that every storage driver passes: a test for each sentence of drivers/base.py that can be tested.

A driver's test gives two fixtures and runs all of it::

    class TestMyDriver(DriverConformance):
        @pytest.fixture
        def medium(self) -> MyMedium: ...           # empty

        @pytest.fixture
        def driver(self, medium: MyMedium) -> MyDriver: ...

The driver waits PATIENT_SECONDS for what another one has locked: a busy machine takes its time. Where there are locks,
`impatient` is one that soon gives up.

It is long because the contract is. It is one class so that a driver cannot leave out a part.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
import tracemalloc
import urllib.request
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from drivers.base import (
    PIECE_SIZE,
    ChangedError,
    DriverError,
    Found,
    InvalidPathError,
    ObjectTooLargeError,
    PathExistsError,
    PathNotFoundError,
    StorageDriver,
    UploadBusyError,
    Writer,
)
from drivers.flat import FlatDriver
from tests.drivers.claim_conformance import ClaimConformance
from tests.drivers.log_conformance import LogConformance
from tests.drivers.reading_along_conformance import ReadingAlongConformance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ROOT = "/docker"
"""All paths of the suite are below this one: the medium may hold other things elsewhere."""

UPLOAD = f"{ROOT}/uploads/1/data"
BLOB = f"{ROOT}/blobs/1/data"
LIMIT = 4 * PIECE_SIZE
EVERYTHING = 1_000_000
PATIENT_SECONDS = 60.0

INVALID_PATHS = [
    "",
    "/",
    "a",
    "a/b",
    "/a/",
    "//a",
    "/a//b",
    "/.",
    "/..",
    "/a/../b",
    "/a/..",
    "/../etc/passwd",
    "/.hidden",
    "/a/.hidden",
    "/a b",
    "/a:b",
    "/a%2fb",
    "/a\\b",
    "/a\n",
    "/a\0b",
    "/\u00e4",
]


class Medium(ABC):
    """What a driver keeps its objects on, reached around the driver."""

    @abstractmethod
    def everything(self) -> set[str]:
        """Name all that is there: objects by their path, and temporary things, uploads, locks, open files."""

    @abstractmethod
    def content(self, path: str) -> bytes:
        """Return the object at `path`."""

    @abstractmethod
    def write(self, path: str, content: bytes) -> None:
        """Make an object as another program would."""


class DriverConformance(ClaimConformance, ReadingAlongConformance, LogConformance):
    """Subclass it with the fixtures `driver` and `medium`."""

    memory_bound: ClassVar[int] = 8 * PIECE_SIZE
    """What the driver may allocate while a large upload passes through."""

    examples: ClassVar[int] = 30
    """How many random histories are compared with a dict."""

    @pytest.fixture
    def colleague(self, driver: StorageDriver) -> StorageDriver:
        """The driver as another process has it; override where there can be one."""
        return driver

    @pytest.fixture
    def impatient(self, colleague: StorageDriver) -> StorageDriver:
        """The driver as another process has it that waits for a lock in vain."""
        return colleague

    @pytest.fixture(autouse=True)
    def _nothing_is_left_behind(self, driver: StorageDriver, medium: Medium) -> Iterator[None]:
        assert medium.everything() == set()
        yield
        for path in list(objects_below(driver, ROOT)):
            driver.delete(path)
        assert medium.everything() == set(), "left behind"

    # Objects

    def test_a_usable_medium_passes_the_check(self, driver: StorageDriver) -> None:
        driver.check()

    @pytest.mark.parametrize("size", [0, 1, 4096, PIECE_SIZE - 1, PIECE_SIZE, PIECE_SIZE + 1, LIMIT])
    def test_an_object_is_given_as_it_was_put(
        self, driver: StorageDriver, colleague: StorageDriver, medium: Medium, size: int
    ) -> None:
        content = noise(size)

        driver.put(BLOB, content)

        assert colleague.get(BLOB, limit=LIMIT) == content
        assert b"".join(colleague.read(BLOB)) == content
        assert colleague.stat(BLOB).size == size
        assert medium.content(BLOB) == content
        assert medium.everything() == {BLOB}

    def test_an_object_that_another_program_wrote_is_read(self, driver: StorageDriver, medium: Medium) -> None:
        medium.write(BLOB, b"from elsewhere")

        assert driver.get(BLOB, limit=LIMIT) == b"from elsewhere"
        assert driver.list(f"{ROOT}/blobs", limit=EVERYTHING) == ["1"]

    def test_an_object_of_the_limit_is_given_and_one_byte_more_is_not(self, driver: StorageDriver) -> None:
        driver.put(BLOB, b"12345")

        assert driver.get(BLOB, limit=5) == b"12345"
        for limit in (4, 0):
            with pytest.raises(ObjectTooLargeError):
                driver.get(BLOB, limit=limit)

    def test_many_objects_are_given_in_the_order_of_their_paths(self, driver: StorageDriver) -> None:
        paths = [f"{ROOT}/{number}/link" for number in range(40)]
        for number, path in enumerate(paths[::2]):
            driver.put(path, b"x" * number)

        expected = [b"x" * (number // 2) if not number % 2 and number <= 20 else None for number in range(40)]
        assert list(driver.get_each(paths, limit=10)) == expected
        assert list(driver.get_each(paths[::-1], limit=10)) == expected[::-1]
        assert list(driver.get_each([], limit=10)) == []

    @pytest.mark.parametrize("taken", [0, 1, 20])
    def test_the_reading_of_many_objects_may_end_early(self, driver: StorageDriver, taken: int) -> None:
        driver.put(BLOB, b"x")

        contents = driver.get_each([BLOB] * 40, limit=1)
        for _ in range(taken):
            assert next(contents) == b"x"
        contents.close()  # type: ignore[attr-defined]  # the contract asks for it, Iterator does not have it

        assert list(driver.get_each([BLOB], limit=1)) == [b"x"]

    def test_steps_are_done_and_their_results_come_in_their_order(self, driver: StorageDriver) -> None:
        contents = [noise(number) for number in range(5)]
        paths = [f"{ROOT}/{number}/link" for number in range(5)]

        driver.together(*(partial(driver.put, *each) for each in zip(paths, contents, strict=True)))

        assert driver.together(*(partial(driver.get, path, limit=10) for path in paths)) == contents
        assert driver.together() == []

    def test_steps_overlap_where_a_call_takes_long(self, driver: StorageDriver) -> None:
        parties = 3 if isinstance(driver, FlatDriver) else 1
        meeting = threading.Barrier(parties)

        threads = driver.together(*[lambda: (meeting.wait(PATIENT_SECONDS), threading.get_ident())[1]] * 3)

        assert len(set(threads)) == parties
        assert threads[-1] == threading.get_ident()

    def test_steps_have_steps_of_their_own_however_many_there_are(self, driver: StorageDriver) -> None:
        def count(depth: int) -> int:
            time.sleep(0.001)  # so that all threads are in use
            return 1 + sum(driver.together(*[partial(count, depth - 1)] * 4)) if depth else 1

        assert count(4) == sum(4**depth for depth in range(5))

    def test_an_error_of_a_step_is_raised_when_none_is_on_any_more(self, driver: StorageDriver) -> None:
        on: list[int] = []

        def fail(number: int) -> None:
            on.append(number)
            try:
                if number in {1, 2}:
                    raise ChangedError(str(number))
                time.sleep(0.01)
            finally:
                on.remove(number)

        with pytest.raises(ChangedError, match="1"):
            driver.together(*(partial(fail, number) for number in range(4)))
        assert on == []

    def test_put_replaces_with_a_shorter_object(self, driver: StorageDriver, medium: Medium) -> None:
        driver.put(BLOB, noise(5000))
        driver.put(BLOB, b"short")

        assert driver.get(BLOB, limit=LIMIT) == b"short"
        assert medium.content(BLOB) == b"short"

    def test_create_makes_what_is_not_there_and_leaves_what_is(
        self, driver: StorageDriver, colleague: StorageDriver, medium: Medium
    ) -> None:
        driver.create(BLOB, b"first")

        for other in (driver, colleague):
            with pytest.raises(PathExistsError):
                other.create(BLOB, b"second")
        assert medium.content(BLOB) == b"first"
        assert medium.everything() == {BLOB}

    def test_create_makes_again_what_was_deleted(self, driver: StorageDriver) -> None:
        driver.create(BLOB, b"first")
        driver.delete(BLOB)
        driver.create(BLOB, b"second")

        assert driver.get(BLOB, limit=LIMIT) == b"second"

    def test_if_many_create_one_object_at_a_time_one_succeeds(
        self, driver: StorageDriver, colleague: StorageDriver
    ) -> None:
        together = threading.Barrier(8)

        def created(number: int) -> int | None:
            together.wait()
            try:
                (driver, colleague)[number % 2].create(BLOB, b"%d" % number)
            except PathExistsError:
                return None
            return number

        with ThreadPoolExecutor(8) as pool:
            [winner] = [number for number in pool.map(created, range(8)) if number is not None]
        assert driver.get(BLOB, limit=LIMIT) == b"%d" % winner

    def test_replace_and_delete_if_change_only_what_is_as_expected(
        self, driver: StorageDriver, colleague: StorageDriver, medium: Medium
    ) -> None:
        for path in (BLOB, f"{ROOT}/blobs/2/data"):
            for change in (driver.delete_if, partial(driver.replace, content=b"new")):
                with pytest.raises(ChangedError):
                    change(path, expected=b"old")
        assert medium.everything() == set()
        driver.put(BLOB, b"old")
        for expected in (b"", b"ol", b"older", b"odd", noise(5000)):
            for change in (colleague.delete_if, partial(colleague.replace, content=b"new")):
                with pytest.raises(ChangedError):
                    change(BLOB, expected=expected)
            assert medium.content(BLOB) == b"old"

        colleague.replace(BLOB, b"new", expected=b"old")
        assert driver.get(BLOB, limit=LIMIT) == medium.content(BLOB) == b"new"
        driver.replace(BLOB, b"", expected=b"new")
        colleague.replace(BLOB, b"newer", expected=b"")
        assert medium.everything() == {BLOB}
        driver.delete_if(BLOB, expected=b"newer")
        assert medium.everything() == set()
        assert driver.list(ROOT, limit=1) == []

    def test_if_many_replace_or_delete_one_object_at_a_time_one_succeeds(
        self, driver: StorageDriver, colleague: StorageDriver
    ) -> None:
        for _ in range(5):
            driver.put(BLOB, b"old")
            together = threading.Barrier(8)

            def changed(number: int) -> int | None:
                mine = (driver, colleague)[number % 2]
                together.wait()  # noqa: B023 - called in this very round
                try:
                    if number < 6:
                        mine.replace(BLOB, b"%d" % number, expected=b"old")
                    else:
                        mine.delete_if(BLOB, expected=b"old")
                except ChangedError:
                    return None
                return number

            with ThreadPoolExecutor(8) as pool:
                [winner] = [number for number in pool.map(changed, range(8)) if number is not None]
            if winner < 6:
                assert driver.get(BLOB, limit=LIMIT) == b"%d" % winner
            else:
                assert driver.list(ROOT, limit=1) == []

    def test_a_replacement_loses_nothing_that_is_put_at_the_same_time(
        self, driver: StorageDriver, colleague: StorageDriver
    ) -> None:
        """A counter that two increase, each on what the other has made of it, and a third who puts now and then."""
        driver.put(BLOB, b"0 0")
        put = 0

        def counted(mine: StorageDriver) -> int:
            successes = 0
            while successes < 10:
                seen = mine.get(BLOB, limit=LIMIT)
                epoch, count = seen.split()
                with suppress(ChangedError):
                    mine.replace(BLOB, b"%s %d" % (epoch, int(count) + 1), expected=seen)
                    successes += 1
            return successes

        with ThreadPoolExecutor() as pool:
            counting = [pool.submit(counted, each) for each in (driver, colleague)]
            while not all(each.done() for each in counting):
                put += 1
                driver.put(BLOB, b"%d 0" % put)
                assert driver.get(BLOB, limit=LIMIT).startswith(b"%d " % put), "the put is undone"
            for each in counting:
                each.result()

    def test_what_is_deleted_with_its_directory_is_not_replaced(self, driver: StorageDriver) -> None:
        driver.put(BLOB, b"old")
        driver.delete(f"{ROOT}/blobs")

        for change in (driver.delete_if, partial(driver.replace, content=b"new")):
            with pytest.raises(ChangedError):
                change(BLOB, expected=b"old")
        assert driver.list(ROOT, limit=1) == []

    def test_several_objects_are_put_together(self, driver: StorageDriver, medium: Medium) -> None:
        driver.put(f"{ROOT}/a/link", b"older and longer")
        objects = [(BLOB, noise(5000)), (f"{ROOT}/a/link", b"link"), (f"{ROOT}/a/b/link", b"")]

        driver.put_in_order(objects, best_effort=[(f"{ROOT}/c", b"history")])

        for path, content in (*objects, (f"{ROOT}/c", b"history")):
            assert driver.get(path, limit=LIMIT) == content
            assert medium.content(path) == content
        driver.put_in_order([])

    def test_nobody_sees_an_object_before_all_that_are_put_before_it(
        self, driver: StorageDriver, colleague: StorageDriver
    ) -> None:
        paths = [f"{ROOT}/{number % 3}/{number}" for number in range(12)]
        objects = [(path, b"x") for path in paths]

        def is_there(path: str) -> bool:
            with suppress(PathNotFoundError):
                return colleague.stat(path).size == 1
            return False

        with ThreadPoolExecutor() as pool:
            putting = pool.submit(driver.put_in_order, objects[:9], best_effort=objects[9:])
            seen: list[list[bool]] = []
            while not putting.done():
                # The last object is looked for first: once one is found, all that were put before it must be there.
                seen.append([is_there(path) for path in reversed(paths)])
            putting.result()

        for look in seen:
            assert look == sorted(look)
        assert all(map(is_there, paths))

    def test_objects_of_one_content_may_be_stored_as_one_and_are_deleted_one_by_one(
        self, driver: StorageDriver, medium: Medium
    ) -> None:
        revision, pointer, history = f"{ROOT}/r/link", f"{ROOT}/t/link", f"{ROOT}/t/i/link"
        for _ in range(2):
            driver.put_in_order([(revision, b"x"), (pointer, b"x")], best_effort=[(history, b"x")], copies_of=revision)

        driver.put(pointer, b"y")
        driver.delete(revision)

        assert (medium.content(pointer), medium.content(history)) == (b"y", b"x")
        assert medium.everything() == {pointer, history}

    def test_stat_tells_when_an_object_was_written(self, driver: StorageDriver) -> None:
        driver.put(BLOB, b"x")

        assert abs(driver.stat(BLOB).modified - time.time()) < 60

    @pytest.mark.parametrize("size", [0, 100, PIECE_SIZE])
    def test_an_object_that_is_touched_is_as_new_as_one_that_is_put(self, driver: StorageDriver, size: int) -> None:
        content = noise(size)
        driver.put(BLOB, content)
        put = driver.stat(BLOB).modified
        time.sleep(1.1)  # some stores tell whole seconds

        driver.touch(BLOB)

        assert put + 1 <= driver.stat(BLOB).modified
        assert abs(driver.stat(BLOB).modified - time.time()) < 60
        assert driver.get(BLOB, limit=LIMIT) == content

    def test_what_is_not_there_cannot_be_touched(self, driver: StorageDriver, medium: Medium) -> None:
        driver.put(f"{ROOT}/a/b", b"x")

        for missing in (BLOB, f"{ROOT}/a"):
            with pytest.raises(PathNotFoundError):
                driver.touch(missing)

        driver.delete(f"{ROOT}/a/b")
        assert medium.everything() == set()

    def test_a_touch_undoes_nothing_that_is_put_or_deleted_at_the_same_time(
        self, driver: StorageDriver, colleague: StorageDriver
    ) -> None:
        for round_number in range(8):
            driver.put(BLOB, b"old")
            change = partial(driver.put, BLOB, b"new") if round_number % 2 else partial(driver.delete, BLOB)

            def touch() -> None:
                with suppress(PathNotFoundError):
                    colleague.touch(BLOB)

            in_parallel([touch, change, touch])

            found = [*driver.get_each([BLOB], limit=LIMIT)]
            assert found == ([b"new"] if round_number % 2 else [None])

    @pytest.mark.parametrize("missing", [f"{ROOT}/nothing", f"{ROOT}/a", f"{ROOT}/a/b/c", f"{ROOT}/a/bb"])
    def test_a_mere_prefix_is_as_missing_as_nothing_at_all(self, driver: StorageDriver, missing: str) -> None:
        driver.put(f"{ROOT}/a/b", b"x")

        with pytest.raises(PathNotFoundError):
            driver.get(missing, limit=LIMIT)
        with pytest.raises(PathNotFoundError):
            driver.stat(missing)
        with pytest.raises(PathNotFoundError):
            driver.read(missing)  # at once, before the first piece is asked for

    @pytest.mark.parametrize("component", ["a" * 300, "/a" * 3000])
    def test_an_overlong_path_is_missing_or_invalid(self, driver: StorageDriver, component: str) -> None:
        with pytest.raises((PathNotFoundError, InvalidPathError)):
            driver.get(f"{ROOT}/{component.strip('/')}", limit=LIMIT)

    @pytest.mark.parametrize("path", INVALID_PATHS)
    def test_an_invalid_path_is_refused_by_every_call(self, driver: StorageDriver, path: str) -> None:
        calls: list[Callable[[], object]] = [
            lambda: driver.get(path, limit=LIMIT),
            lambda: list(driver.get_each([path], limit=LIMIT)),
            lambda: driver.put(path, b"x"),
            lambda: driver.create(path, b"x"),
            lambda: driver.stat(path),
            lambda: driver.read(path),
            lambda: list(driver.read(path)),
            lambda: driver.list(path, limit=1),
            lambda: driver.list_prefixes(path, limit=1),
            lambda: driver.holds(path),
            lambda: driver.holds(path, likely="x"),
            lambda: driver.delete(path),
            lambda: list(driver.walk(path)),
            lambda: driver.scan(path, limit=1),
            lambda: driver.discard([Found(path, 1, 0.0, "1 1")]),
            lambda: driver.create_upload(path),
            lambda: driver.start_upload(path, []),
            lambda: driver.end_upload(path, [path]),
            lambda: driver.upload_size(path),
            lambda: driver.open_upload(path),
            lambda: driver.read_upload(path),
            lambda: driver.claim(path),
            lambda: driver.touch(path),
        ]

        for call in calls:
            with pytest.raises(InvalidPathError):
                call()

    @pytest.mark.parametrize(
        ("start", "stop"),
        [
            (0, None),
            (0, 0),
            (0, 1),
            (3, None),
            (3, 5),
            (5, 5),
            (9, 10),
            (9, 99),
            (10, None),
            (10, 12),
            (99, None),
        ],
    )
    def test_a_range_is_half_open_and_ends_with_the_object(
        self, driver: StorageDriver, start: int, stop: int | None
    ) -> None:
        driver.put(BLOB, b"0123456789")

        assert b"".join(driver.read(BLOB, start, stop)) == b"0123456789"[start:stop]

    def test_a_large_object_comes_in_pieces(self, driver: StorageDriver) -> None:
        content = noise(3 * PIECE_SIZE + 17)
        driver.put(BLOB, content)

        pieces = list(driver.read(BLOB, 5))

        assert b"".join(pieces) == content[5:]
        assert max(map(len, pieces)) <= PIECE_SIZE

    @pytest.mark.parametrize("taken", [0, 1])
    def test_a_reader_may_be_closed_early(self, driver: StorageDriver, taken: int) -> None:
        driver.put(BLOB, noise(3 * PIECE_SIZE))

        pieces = driver.read(BLOB)
        for _ in range(taken):
            next(pieces)
        pieces.close()  # type: ignore[attr-defined]  # the contract asks for it, Iterator does not have it

    def test_a_reader_in_the_middle_of_an_object_does_not_see_the_next_one(self, driver: StorageDriver) -> None:
        old = noise(3 * PIECE_SIZE)
        driver.put(BLOB, old)
        pieces = driver.read(BLOB)
        head = next(pieces)

        driver.put(BLOB, bytes(3 * PIECE_SIZE))

        assert head + b"".join(pieces) == old

    def test_readers_see_the_old_object_or_the_new_one(self, driver: StorageDriver, colleague: StorageDriver) -> None:
        versions = [bytes([digit]) * (50_000 + digit) for digit in range(10)]
        driver.put(BLOB, versions[0])
        done = threading.Event()

        def read() -> set[bytes]:
            seen = set()
            while not done.is_set():
                seen |= {colleague.get(BLOB, limit=LIMIT), b"".join(colleague.read(BLOB))}
            return seen

        with ThreadPoolExecutor() as pool:
            readers = [pool.submit(read) for _ in range(3)]
            for version in versions * 3:
                driver.put(BLOB, version)
            done.set()

        assert set[bytes]().union(*(reader.result() for reader in readers)) <= set(versions)

    def test_of_many_puts_to_one_path_one_remains_whole(
        self, driver: StorageDriver, colleague: StorageDriver, medium: Medium
    ) -> None:
        versions = [bytes([digit]) * 50_000 for digit in range(16)]

        in_parallel(
            (lambda version=version, which=which: which.put(BLOB, version))  # type: ignore[misc]
            for version in versions
            for which in (driver, colleague)
        )

        assert medium.content(BLOB) in versions
        assert medium.everything() == {BLOB}

    # Listing

    def test_names_are_listed_in_byte_order_objects_and_prefixes_alike(self, driver: StorageDriver) -> None:
        for path in ("a/b", "a/c", "ab", "a-b/x", "a.b", "A", "_a", "0", "z/y/x"):
            driver.put(f"{ROOT}/{path}", b"x")
        names = ["0", "A", "_a", "a", "a-b", "a.b", "ab", "z"]

        assert driver.list(ROOT, limit=EVERYTHING) == names
        assert driver.list(f"{ROOT}/a", limit=EVERYTHING) == ["b", "c"]
        for limit in range(1, len(names) + 2):
            assert driver.list(ROOT, limit=limit) == names[:limit]
        for after in [*names, "!", "a!", "a/", "a/b", "a0", "zz"]:
            rest = [name for name in names if name > after]
            assert driver.list(ROOT, after=after, limit=EVERYTHING) == rest
            assert driver.list(ROOT, after=after, limit=2) == rest[:2]

    def test_prefixes_are_listed_without_objects(self, driver: StorageDriver) -> None:
        for path in ("a", "a-b/x", "a-c", "a.b/y/z", "b/x", "b-", "b-c", "c/x", "d", "e", "f", "g/x"):
            driver.put(f"{ROOT}/{path}", b"x")
        prefixes = ["a-b", "a.b", "b", "c", "g"]

        for limit in range(1, len(prefixes) + 2):
            assert driver.list_prefixes(ROOT, limit=limit) == prefixes[:limit]
            for after in ["a", *prefixes, "!", "b-", "d", "zz"]:
                rest = [name for name in prefixes if name > after]
                assert driver.list_prefixes(ROOT, after=after, limit=limit) == rest[:limit]
        for path in ("nothing", "a", "b"):
            assert driver.list_prefixes(f"{ROOT}/{path}", limit=EVERYTHING) == []

    def test_nothing_is_listed_below_what_is_not_there_or_is_an_object(self, driver: StorageDriver) -> None:
        driver.put(BLOB, b"x")

        assert driver.list(f"{ROOT}/nothing", limit=EVERYTHING) == []
        assert driver.list(f"{ROOT}/nothing/at/all", limit=EVERYTHING) == []
        assert driver.list(f"{ROOT}/blob", limit=EVERYTHING) == []
        assert driver.list(BLOB, limit=EVERYTHING) == []

    def test_something_is_held_where_a_listing_names_something(self, driver: StorageDriver) -> None:
        driver.put(f"{ROOT}/a/b/c", b"x")
        driver.put(f"{ROOT}/a/d", b"x")

        for likely in ("", "b", "c", "d"):
            assert driver.holds(f"{ROOT}/a", likely=likely)
            assert driver.holds(f"{ROOT}/a/b", likely=likely)
            for path in ("a/b/c", "a/d", "a/nothing", "nothing/at/all"):
                assert not driver.holds(f"{ROOT}/{path}", likely=likely)

        driver.delete(f"{ROOT}/a/b")
        assert driver.holds(f"{ROOT}/a", likely="b")
        assert not driver.holds(f"{ROOT}/a/b", likely="c")

    def test_what_is_held_may_be_of_one_kind(self, driver: StorageDriver) -> None:
        for number in range(40):
            driver.put(f"{ROOT}/a/b{number}/c", b"x")
        driver.put(f"{ROOT}/a/object", b"x")

        for taken in ("b0", "b39"):
            assert driver.holds(f"{ROOT}/a", is_name=taken.__eq__)
            assert driver.holds(f"{ROOT}/a", likely=taken, is_name=taken.__eq__)
            assert driver.holds(f"{ROOT}/a", likely="nothing", is_name=taken.__eq__)
        assert not driver.holds(f"{ROOT}/a", is_name="object".__eq__)
        assert not driver.holds(f"{ROOT}/nothing", is_name=lambda _: True)

    def test_a_listing_sees_what_was_written_and_deleted_before(
        self, driver: StorageDriver, colleague: StorageDriver
    ) -> None:
        for name in ("a", "b"):
            driver.put(f"{ROOT}/{name}", b"x")
            assert name in colleague.list(ROOT, limit=EVERYTHING)
        driver.delete(f"{ROOT}/a")

        assert colleague.list(ROOT, limit=EVERYTHING) == ["b"]

    def test_more_names_than_an_object_store_lists_at_once(self, driver: StorageDriver, medium: Medium) -> None:
        names = sorted(f"{number}" for number in range(1_100))
        in_parallel(
            (lambda name=name: driver.put(f"{ROOT}/many/{name}/{name}", b"x"))  # type: ignore[misc]
            for name in names
        )

        assert driver.list(f"{ROOT}/many", limit=EVERYTHING) == names
        assert driver.list(f"{ROOT}/many", after=names[9], limit=1_005) == names[10:1_015]

        driver.delete(f"{ROOT}/many")

        assert medium.everything() == set()

    # Walking

    def test_a_walk_names_each_object_below_a_path_with_its_size_and_time(
        self, driver: StorageDriver, colleague: StorageDriver
    ) -> None:
        objects = {f"{ROOT}/{path}": b"x" * len(path) for path in ("a/b", "a/c/d/e", "a/c-", "a/c/f", "a/z/y")}
        for path, content in (objects | {f"{ROOT}/ab": b"", f"{ROOT}/a-b/x": b"", f"{ROOT}/b/a/x": b""}).items():
            driver.put(path, content)

        found = list(colleague.walk(f"{ROOT}/a"))

        assert {each.path: each.size for each in found} == {path: len(content) for path, content in objects.items()}
        assert len(found) == len(objects)
        assert all(each.modified == driver.stat(each.path).modified for each in found)
        assert list(driver.walk(f"{ROOT}/a/b")) == list(driver.walk(f"{ROOT}/nothing/at/all")) == []
        assert sorted(each.path for each in driver.walk(ROOT)) == sorted(objects_below(driver, ROOT))

    def test_a_walk_names_more_objects_than_a_store_lists_at_once_and_they_are_discarded(
        self, driver: StorageDriver, medium: Medium
    ) -> None:
        paths = {f"{ROOT}/many/{number % 7}/{number}/link" for number in range(1_100)}
        in_parallel((lambda path=path: driver.put(path, b"x")) for path in [*paths, BLOB])  # type: ignore[misc]

        found = list(driver.walk(f"{ROOT}/many"))

        assert {each.path for each in found} == paths
        assert len(found) == len(paths)
        assert list(driver.discard(found)) == []
        assert medium.everything() == {BLOB}

    def test_a_walk_that_is_told_what_most_prefixes_hold_finds_it_and_all_else(self, driver: StorageDriver) -> None:
        objects = {
            f"{ROOT}/{path}" for path in ("a/1/link", "a/2/link/x", "a/3/other", "a/4/x/link", "b/5/link", "link")
        }
        for path in objects:
            driver.put(path, b"x")

        found = list(driver.walk(ROOT, leaf_in=lambda path: {f"{ROOT}/a": "link", f"{ROOT}/b": "other"}.get(path, "")))
        below = list(driver.walk(f"{ROOT}/a", leaf_in=lambda _: "link"))

        assert sorted(found) == sorted(driver.walk(ROOT))
        assert {each.path for each in found} == objects
        assert sorted(below) == sorted(driver.walk(f"{ROOT}/a"))

    def test_a_scan_finds_in_pages_what_a_walk_does_each_object_once(
        self, driver: StorageDriver, colleague: StorageDriver
    ) -> None:
        below = ("a/b", "a/c/d/e", "a/c-/x", "a/c.d", "a/c/f", "a/c0/x", "a/z/y", "a/z-1/current/link", "a/z/y-")
        for path in (*below, "ab", "a-b/x", "b/a/x"):
            driver.put(f"{ROOT}/{path}", path.encode())

        for limit in (1, 2, 4, len(below), EVERYTHING):
            pages = [driver.scan(f"{ROOT}/a", limit=limit)]
            while pages[-1]:
                pages.append(colleague.scan(f"{ROOT}/a", after=pages[-1][-1].path, limit=limit))
            found = [each for page in pages for each in page]
            assert all(len(page) == limit for page in pages[:-2])
            assert len(found) == len(below)
            assert sorted(found) == sorted(driver.walk(f"{ROOT}/a"))
        assert driver.scan(f"{ROOT}/a/b", limit=1) == driver.scan(f"{ROOT}/nothing/at/all", limit=1) == []

    def test_a_scan_goes_on_after_an_object_that_has_gone(self, driver: StorageDriver) -> None:
        paths = {f"{ROOT}/{number}/link" for number in range(6)}
        for path in paths:
            driver.put(path, b"x")

        first = [each.path for each in driver.scan(ROOT, limit=3)]
        driver.delete(first[-1])
        rest = [each.path for each in driver.scan(ROOT, after=first[-1], limit=EVERYTHING)]

        assert len(first) == len(rest) == 3
        assert {*first, *rest} == paths

    def test_a_scan_finds_more_objects_than_a_store_lists_at_once(self, driver: StorageDriver) -> None:
        paths = {f"{ROOT}/many/{number % 7}/{number}/link" for number in range(1_100)}
        in_parallel((lambda path=path: driver.put(path, b"x")) for path in paths)  # type: ignore[misc]

        found = driver.scan(f"{ROOT}/many", limit=EVERYTHING)

        assert {each.path for each in found} == paths
        assert len(found) == len(paths)

    def test_a_walk_may_end_early(self, driver: StorageDriver) -> None:
        for number in range(3):
            driver.put(f"{ROOT}/{number}/x", b"x")

        steps = driver.walk(ROOT)
        next(steps)
        steps.close()  # type: ignore[attr-defined]  # it need not have it, and then there is nothing to close

        assert len(list(driver.walk(ROOT))) == 3

    def test_what_stays_is_named_once_while_others_come_and_go(
        self, driver: StorageDriver, colleague: StorageDriver
    ) -> None:
        stays = {f"{ROOT}/{number % 3}/{number}/x" for number in range(40)}
        for path in stays:
            driver.put(path, b"x")
        done = threading.Event()

        def come_and_go() -> None:
            number = 0
            while not done.is_set():
                number += 1
                colleague.put(f"{ROOT}/{number % 3}/other-{number % 5}/x", b"y")
                with suppress(PathNotFoundError):
                    colleague.delete(f"{ROOT}/{(number + 1) % 3}/other-{(number + 3) % 5}")

        with ThreadPoolExecutor() as pool:
            other = pool.submit(come_and_go)
            try:
                walks = [[each.path for each in driver.walk(ROOT) if "other" not in each.path] for _ in range(10)]
            finally:
                done.set()
            other.result()
        assert all(sorted(found) == sorted(stays) for found in walks)

    def test_what_has_changed_is_not_discarded(
        self, driver: StorageDriver, colleague: StorageDriver, medium: Medium
    ) -> None:
        paths = [f"{ROOT}/{name}/link" for name in ("same", "put", "replaced", "uploaded", "again", "gone")]
        same, put, replaced, uploaded, again, gone = paths
        for path in paths:
            driver.put(path, b"old")
        found = list(driver.walk(ROOT))

        colleague.put(put, b"new")
        colleague.replace(replaced, b"newer", expected=b"old")
        upload(colleague, b"longer", destination=uploaded)
        colleague.delete(again)
        colleague.put(again, b"short")
        colleague.delete(gone)

        assert sorted(driver.discard(found)) == sorted([put, replaced, uploaded, again])
        assert medium.everything() == {put, replaced, uploaded, again}
        assert medium.content(put) == b"new"
        assert list(driver.discard(each for each in found if each.path in {same, gone})) == []

    def test_the_same_bytes_put_later_are_another_object(self, driver: StorageDriver, medium: Medium) -> None:
        driver.put(BLOB, b"x")
        driver.put(f"{ROOT}/other", b"x")
        found = list(driver.walk(ROOT))
        before = int(driver.stat(BLOB).modified)

        while int(driver.stat(BLOB).modified) == before:
            driver.put(BLOB, b"x")

        assert list(driver.discard(found)) == [BLOB]
        assert medium.everything() == {BLOB}

    def test_nothing_is_listed_where_all_was_discarded(self, driver: StorageDriver) -> None:
        for path in ("a/b/c", "a/b/d", "e"):
            driver.put(f"{ROOT}/{path}", b"x")

        driver.discard(driver.walk(f"{ROOT}/a"))

        assert driver.list(ROOT, limit=EVERYTHING) == ["e"]
        driver.put(f"{ROOT}/a/b/c", b"x")
        assert driver.list(ROOT, limit=EVERYTHING) == ["a", "e"]

    def test_what_is_put_while_others_discard_stays(self, driver: StorageDriver, colleague: StorageDriver) -> None:
        done = threading.Event()

        def discard() -> None:
            while not done.is_set():
                colleague.discard(colleague.walk(ROOT))

        with ThreadPoolExecutor() as pool:
            discarding = pool.submit(discard)
            try:
                for number in range(30):
                    driver.put(BLOB, b"%d" % number)
            finally:
                done.set()
            discarding.result()
        driver.put(BLOB, b"last")

        assert driver.get(BLOB, limit=LIMIT) == b"last"

    # Deleting

    def test_an_object_is_deleted_once(self, driver: StorageDriver, medium: Medium) -> None:
        driver.put(BLOB, b"x")

        driver.delete(BLOB)

        assert medium.everything() == set()
        with pytest.raises(PathNotFoundError):
            driver.get(BLOB, limit=LIMIT)
        with pytest.raises(PathNotFoundError):
            driver.delete(BLOB)

    def test_delete_takes_all_below_and_no_sibling(self, driver: StorageDriver, medium: Medium) -> None:
        kept = {f"{ROOT}/{path}" for path in ("ab", "a-b/x", "a.b", "A/x", "b/a/x")}
        for path in kept | {f"{ROOT}/a/{path}" for path in ("x", "y/z", "y/y/y")}:
            driver.put(path, b"x")

        driver.delete(f"{ROOT}/a")

        assert medium.everything() == kept
        assert driver.list(ROOT, limit=EVERYTHING) == ["A", "a-b", "a.b", "ab", "b"]

    def test_a_prefix_with_nothing_left_below_it_is_listed_no_more(self, driver: StorageDriver) -> None:
        driver.put(f"{ROOT}/a/b/c/d", b"x")
        driver.put(f"{ROOT}/a/e", b"x")

        driver.delete(f"{ROOT}/a/b/c/d")
        assert driver.list(f"{ROOT}/a", limit=EVERYTHING) == ["e"]

        driver.delete(f"{ROOT}/a/e")
        assert driver.list(ROOT, limit=EVERYTHING) == []

    @pytest.mark.parametrize(("deleted", "pause_seconds"), [(BLOB, 0), (f"{ROOT}/blobs", 0.01)])
    def test_a_put_succeeds_while_others_delete(
        self, driver: StorageDriver, colleague: StorageDriver, deleted: str, pause_seconds: float
    ) -> None:
        done = threading.Event()

        def delete() -> None:
            while not done.wait(pause_seconds):
                with suppress(PathNotFoundError):
                    colleague.delete(deleted)

        with ThreadPoolExecutor() as pool:
            deleter = pool.submit(delete)
            try:
                for number in range(50):
                    driver.put(BLOB, b"%d" % number)
            finally:
                done.set()
            deleter.result()
        driver.put(BLOB, b"last")

        assert driver.get(BLOB, limit=LIMIT) == b"last"

    def test_a_local_file_holds_exactly_the_object(self, driver: StorageDriver) -> None:
        driver.put(BLOB, b"content")

        name = driver.local_path(BLOB)

        if name is None:
            pytest.skip("this driver has no local files")
        with open(name, "rb") as file:  # noqa: PTH123 - the contract gives a str
            assert file.read() == b"content"

    def test_a_local_file_is_opened_if_there_is_an_object(self, driver: StorageDriver) -> None:
        driver.put(BLOB, b"content")

        file = driver.open_local(BLOB)

        assert (file is None) == (driver.local_path(BLOB) is None)
        if file is None:
            pytest.skip("this driver has no local files")
        with file:
            assert file.read() == b"content"
        for path in (f"{ROOT}/missing", f"{ROOT}/blobs", f"{BLOB}/below"):
            with pytest.raises(PathNotFoundError):
                driver.open_local(path)

    @pytest.mark.parametrize("client", ["", "192.0.2.1", "2001:db8::1", "nowhere"])
    def test_a_redirect_url_gives_the_object_to_any_client(self, driver: StorageDriver, client: str) -> None:
        driver.put(BLOB, b"content")

        url = driver.redirect_url(BLOB, method="GET", client=client)

        if url is None:
            pytest.skip("this driver has no URLs")
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert answer.read() == b"content"

    def test_a_key_ends_as_the_path_does(self, driver: StorageDriver) -> None:
        key = driver.object_key(BLOB)

        if key is None:
            pytest.skip("this driver has no keys")
        assert f"/{key}".endswith(BLOB)
        assert not key.startswith("/")

    # Uploads

    @pytest.mark.parametrize("sizes", [[], [0], [1], [1] * 300, [5, 0, PIECE_SIZE, 1], [PIECE_SIZE] * 6 + [3]])
    def test_an_upload_becomes_an_object_of_all_its_pieces(
        self, driver: StorageDriver, colleague: StorageDriver, medium: Medium, sizes: list[int]
    ) -> None:
        content = noise(sum(sizes))

        driver.create_upload(UPLOAD)
        with driver.open_upload(UPLOAD) as writer:
            for piece in cut(content, sizes):
                writer.write(piece)
            assert writer.size == len(content)
            writer.commit(BLOB)

        assert medium.content(BLOB) == content
        assert colleague.stat(BLOB).size == len(content)
        assert medium.everything() == {BLOB}
        self.assert_no_upload(colleague)

    def test_an_upload_is_started_with_what_tells_of_it(
        self, driver: StorageDriver, colleague: StorageDriver, medium: Medium
    ) -> None:
        note = f"{UPLOAD.rpartition('/')[0]}/startedat"

        driver.start_upload(UPLOAD, [(note, b"today")])

        assert colleague.get(note, limit=LIMIT) == b"today"
        with colleague.open_upload(UPLOAD) as writer:
            assert writer.size == 0
            writer.write(b"x")
            writer.commit(BLOB)
        assert medium.everything() == {BLOB, note}

    @pytest.mark.parametrize("publishes", [True, False])
    def test_nothing_is_left_of_an_upload_that_has_ended(
        self, driver: StorageDriver, medium: Medium, publishes: bool
    ) -> None:
        directory = UPLOAD.rpartition("/")[0]
        objects = [f"{directory}/{name}" for name in ("startedat", "verified")]
        driver.start_upload(UPLOAD, [(path, b"x") for path in objects])
        with driver.open_upload(UPLOAD) as writer:
            writer.write(b"x")
            if publishes:
                writer.commit(BLOB)
            else:
                writer.cancel()

        for _ in range(2):
            driver.end_upload(directory, [*objects, f"{directory}/never"])
            assert medium.everything() == ({BLOB} if publishes else set())

    @pytest.mark.parametrize("sizes", [[1] * 25, [1, 6 * PIECE_SIZE, 1, 0, 1, 5 * PIECE_SIZE, 70_000]])
    def test_an_upload_goes_on_from_session_to_session(
        self, driver: StorageDriver, colleague: StorageDriver, medium: Medium, sizes: list[int]
    ) -> None:
        content, size = noise(sum(sizes)), 0

        driver.create_upload(UPLOAD)
        for number, piece in enumerate(cut(content, sizes)):
            with (driver, colleague)[number % 2].open_upload(UPLOAD) as writer:
                assert writer.size == size
                writer.write(piece)
            size += len(piece)
            assert driver.upload_size(UPLOAD) == colleague.upload_size(UPLOAD) == size
        with driver.open_upload(UPLOAD) as writer:
            writer.commit(BLOB)

        assert medium.content(BLOB) == content
        assert medium.everything() == {BLOB}
        self.assert_no_upload(colleague)

    def test_nothing_is_published_before_the_commit(self, driver: StorageDriver) -> None:
        driver.create_upload(UPLOAD)
        with driver.open_upload(UPLOAD) as writer:
            writer.write(noise(2 * PIECE_SIZE))
            with pytest.raises(PathNotFoundError):
                driver.stat(BLOB)
        with pytest.raises(PathNotFoundError):
            driver.stat(BLOB)

        with driver.open_upload(UPLOAD) as writer:
            writer.cancel()

    def test_a_commit_replaces_what_lay_there(self, driver: StorageDriver, medium: Medium) -> None:
        driver.put(BLOB, noise(3 * PIECE_SIZE))
        pieces = driver.read(BLOB)
        head = next(pieces)

        upload(driver, b"new")

        assert medium.content(BLOB) == driver.get(BLOB, limit=LIMIT) == b"new"
        assert head + b"".join(pieces) == noise(3 * PIECE_SIZE)

    def test_a_refused_destination_costs_nothing(self, driver: StorageDriver) -> None:
        driver.create_upload(UPLOAD)
        with driver.open_upload(UPLOAD) as writer:
            writer.write(b"kept")
            with pytest.raises(InvalidPathError):
                writer.commit(f"{ROOT}/../{ROOT}")
            writer.commit(BLOB)

        assert driver.get(BLOB, limit=LIMIT) == b"kept"

    @pytest.mark.parametrize("sessions", [0, 1, 3])
    def test_cancel_leaves_nothing(self, driver: StorageDriver, medium: Medium, sessions: int) -> None:
        driver.create_upload(UPLOAD)
        for _ in range(sessions):
            with driver.open_upload(UPLOAD) as writer:
                writer.write(noise(100_000))
        with driver.open_upload(UPLOAD) as writer:
            writer.write(b"more")
            writer.cancel()

        assert medium.everything() == set()
        self.assert_no_upload(driver)

    def test_the_content_of_an_upload_is_what_was_written(
        self, driver: StorageDriver, colleague: StorageDriver, medium: Medium
    ) -> None:
        content = noise(2 * PIECE_SIZE + 100)
        driver.create_upload(UPLOAD)
        with driver.open_upload(UPLOAD) as writer:
            writer.write(content[:50])
        with colleague.open_upload(UPLOAD) as writer:
            writer.write(content[50:])
            pieces = list(writer.content())
            writer.commit(BLOB)

        assert b"".join(pieces) == content == medium.content(BLOB)
        assert max(map(len, pieces)) <= PIECE_SIZE

    def test_a_checkpoint_stands_for_the_bytes_from_close_to_the_next_opening(
        self, driver: StorageDriver, colleague: StorageDriver
    ) -> None:
        driver.create_upload(UPLOAD)
        with driver.open_upload(UPLOAD) as first:
            first.write(b"some")
        with colleague.open_upload(UPLOAD) as second:
            assert second.checkpoint == first.checkpoint
            second.write(b"more")
        with driver.open_upload(UPLOAD) as third:
            assert third.checkpoint == second.checkpoint
            third.cancel()

        assert first.checkpoint != second.checkpoint or not first.checkpoint

    def test_a_writer_that_an_exception_ends_keeps_its_bytes(self, driver: StorageDriver) -> None:
        def hang_up() -> None:
            with driver.open_upload(UPLOAD) as writer:
                writer.write(b"arrived")
                raise ConnectionResetError

        driver.create_upload(UPLOAD)
        with suppress(ConnectionResetError):
            hang_up()

        assert driver.upload_size(UPLOAD) == 7
        with driver.open_upload(UPLOAD) as writer:
            assert b"".join(writer.content()) == b"arrived"
            writer.cancel()

    def test_closing_again_is_harmless(self, driver: StorageDriver) -> None:
        driver.create_upload(UPLOAD)
        writer = driver.open_upload(UPLOAD)
        writer.write(b"x")
        for _ in range(3):
            writer.close()
        with driver.open_upload(UPLOAD) as writer:
            writer.commit(BLOB)
            writer.close()
        writer.close()

        assert driver.get(BLOB, limit=LIMIT) == b"x"

    def test_an_upload_that_was_not_begun_is_missing(self, driver: StorageDriver, medium: Medium) -> None:
        self.assert_no_upload(driver)

        assert medium.everything() == set()

    def test_what_a_driver_keeps_beside_an_upload_is_not_listed(self, driver: StorageDriver) -> None:
        driver.put(f"{ROOT}/uploads/1/startedat", b"now")
        driver.create_upload(UPLOAD)
        with driver.open_upload(UPLOAD) as writer:
            writer.write(b"x")

        assert set(driver.list(f"{ROOT}/uploads/1", limit=EVERYTHING)) | {"data"} == {"data", "startedat"}
        found = {each.path for each in driver.walk(ROOT)}
        assert found | {UPLOAD} == {UPLOAD, f"{ROOT}/uploads/1/startedat"}

        driver.delete(f"{ROOT}/uploads/1")

    def test_delete_takes_uploads_too(self, driver: StorageDriver, medium: Medium) -> None:
        for sessions in range(3):
            driver.create_upload(UPLOAD)
            for _ in range(sessions):
                with driver.open_upload(UPLOAD) as writer:
                    writer.write(b"x" * 100)

            driver.delete(f"{ROOT}/uploads/1")

            assert medium.everything() == set()
            self.assert_no_upload(driver)

    def test_a_purge_takes_nothing_that_is_young_or_complete(self, driver: StorageDriver, medium: Medium) -> None:
        driver.put(BLOB, b"x")
        driver.create_upload(UPLOAD)
        with driver.open_upload(UPLOAD) as writer:
            writer.write(b"under way")
        before = medium.everything()

        assert driver.purge(time.time() - 3600) == 0

        assert medium.everything() == before
        driver.delete(f"{ROOT}/uploads/1")

    def test_many_uploads_at_a_time(self, driver: StorageDriver, medium: Medium) -> None:
        contents = {f"{ROOT}/blobs/{number}/data": noise(200_000, seed=number) for number in range(16)}

        in_parallel(
            (lambda path=path, content=content: upload(driver, content, f"{path}-upload", path))  # type: ignore[misc]
            for path, content in contents.items()
        )

        assert {path: medium.content(path) for path in medium.everything()} == contents

    def test_of_two_writers_neither_publishes_what_the_other_wrote(
        self, driver: StorageDriver, impatient: StorageDriver, medium: Medium
    ) -> None:
        published = []

        def commit(writer: Writer, content: bytes) -> None:
            with suppress(DriverError):
                writer.commit(BLOB)
                published.append(content)

        driver.create_upload(UPLOAD)
        with driver.open_upload(UPLOAD) as writer:
            writer.write(b"common ")
        with driver.open_upload(UPLOAD) as first:
            first.write(b"first")
            with suppress(DriverError), impatient.open_upload(UPLOAD) as second:
                second.write(b"second")
                commit(first, b"common first")
                commit(second, b"common second")
            commit(first, b"common first")

        with suppress(PathNotFoundError):
            driver.delete(f"{ROOT}/uploads/1")
        assert len(published) == 1
        assert medium.content(BLOB) == published[0]

    def test_a_request_that_waits_for_an_upload_does_not_get_it_once_it_has_ended(
        self, driver: StorageDriver, colleague: StorageDriver, medium: Medium
    ) -> None:
        # Without locks both may publish at the same time, each exactly what it saw: the last one stays.
        published = set()
        driver.create_upload(UPLOAD)

        def append_and_commit() -> None:
            with colleague.open_upload(UPLOAD) as late:
                late.write(b" and more")
                late.commit(BLOB)
                published.add(b" and more")

        with ThreadPoolExecutor() as pool:
            with driver.open_upload(UPLOAD) as writer:
                writer.write(b"published")
                waiting = pool.submit(append_and_commit)
                time.sleep(0.1)
                with suppress(DriverError):
                    writer.commit(BLOB)
                    published.add(b"published")
            error = waiting.exception()

        assert error is None or isinstance(error, DriverError)
        assert medium.content(BLOB) in published
        assert medium.everything() == {BLOB}

    def test_an_upload_that_is_open_is_waited_for(self, driver: StorageDriver, colleague: StorageDriver) -> None:
        driver.create_upload(UPLOAD)
        with ThreadPoolExecutor() as pool:
            with driver.open_upload(UPLOAD) as writer:
                writer.write(b"first ")
                waiting = pool.submit(colleague.open_upload, UPLOAD)
                time.sleep(0.1)
            with suppress(UploadBusyError), closing(waiting.result()) as next_writer:
                next_writer.write(b"second")
                with suppress(DriverError):
                    next_writer.commit(BLOB)
                    assert driver.get(BLOB, limit=LIMIT) == b"first second"
        with suppress(PathNotFoundError):
            driver.delete(f"{ROOT}/uploads/1")

    def test_an_upload_that_was_deleted_is_not_published(
        self, driver: StorageDriver, colleague: StorageDriver, medium: Medium
    ) -> None:
        driver.create_upload(UPLOAD)
        with driver.open_upload(UPLOAD) as writer:
            writer.write(b"deleted meanwhile")
            with suppress(UploadBusyError):
                colleague.delete(f"{ROOT}/uploads/1")
                with pytest.raises(DriverError):
                    writer.commit(BLOB)

        with suppress(PathNotFoundError):
            driver.delete(f"{ROOT}/uploads/1")
        assert medium.everything() == set()

    def test_a_large_upload_and_its_download_need_little_memory(self, driver: StorageDriver) -> None:
        piece, written, found = noise(PIECE_SIZE), hashlib.sha256(), hashlib.sha256()
        driver.create_upload(UPLOAD)

        tracemalloc.start()
        try:
            with driver.open_upload(UPLOAD) as writer:
                for _ in range(64):
                    writer.write(piece)
                    written.update(piece)
            with driver.open_upload(UPLOAD) as writer:
                for piece in writer.content():
                    found.update(piece)
                writer.commit(BLOB)
            for piece in driver.read(BLOB):
                found.update(piece)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        twice = written.copy()
        for _ in range(64):
            twice.update(noise(PIECE_SIZE))
        assert found.digest() == twice.digest()
        assert peak < self.memory_bound

    # Histories

    def test_any_history_leaves_what_a_dict_would_hold(self, driver: StorageDriver, medium: Medium) -> None:
        class History(_History):
            def __init__(self) -> None:
                super().__init__(driver, medium)

        run_state_machine_as_test(
            History,
            settings=settings(
                max_examples=self.examples,
                stateful_step_count=20,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

    @staticmethod
    def assert_no_upload(driver: StorageDriver) -> None:
        with pytest.raises(PathNotFoundError):
            driver.upload_size(UPLOAD)
        with pytest.raises(PathNotFoundError):
            driver.open_upload(UPLOAD)


_OBJECTS = [f"{ROOT}/o/{path}" for path in ("a/x", "a/y/z", "a-b", "a.b", "ab")]
_PREFIXES = [f"{ROOT}/o", f"{ROOT}/o/a", f"{ROOT}/o/a/y"]
_UPLOADS = [f"{ROOT}/u/{number}/data" for number in range(2)]
_CONTENTS = st.binary(max_size=9) | st.integers(1, 3).map(lambda size: noise(size * 40_000))


class _History(RuleBasedStateMachine):
    """A driver and, beside it, what a dict would have made of the same calls."""

    def __init__(self, driver: StorageDriver, medium: Medium) -> None:
        super().__init__()
        self.driver = driver
        self.medium = medium
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, bytes] = {}
        self.found: dict[str, Found] = {}
        """Of an earlier walk, what was not changed since."""
        self.stale: list[Found] = []

    @rule(path=st.sampled_from(_OBJECTS), content=_CONTENTS)
    def put(self, path: str, content: bytes) -> None:
        self.driver.put(path, content)
        self.objects[path] = content
        self.change(path)

    def change(self, path: str) -> None:
        if path in self.found:
            self.stale.append(self.found.pop(path))

    @rule()
    def walk(self) -> None:
        self.found = {each.path: each for each in self.driver.walk(_PREFIXES[0])}
        self.stale = []

    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        found = [*self.found.values(), *(each for each in self.stale if not self.may_seem_unchanged(each))]
        chosen = data.draw(st.lists(st.sampled_from(found), unique=True)) if found else []
        changed = [each.path for each in chosen if each in self.stale and each.path in self.objects]
        assert sorted(self.driver.discard(chosen)) == sorted(changed)
        for each in chosen:
            if each.path not in changed:
                self.objects.pop(each.path, None)
                self.change(each.path)

    def may_seem_unchanged(self, stale: Found) -> bool:
        """Tell whether what is in the place of an object may have the version of that."""
        if stale.path not in self.objects:
            return False
        now = self.driver.stat(stale.path)
        return now.size == stale.size and int(now.modified) == int(stale.modified)

    @rule(path=st.sampled_from(_OBJECTS + _PREFIXES))
    def delete(self, path: str) -> None:
        gone = [name for name in self.objects if name == path or name.startswith(f"{path}/")]
        if not gone:
            with pytest.raises(PathNotFoundError):
                self.driver.delete(path)
            return
        self.driver.delete(path)
        for name in gone:
            del self.objects[name]
            self.change(name)

    @rule(path=st.sampled_from(_UPLOADS))
    def begin(self, path: str) -> None:
        if path not in self.uploads:
            self.driver.create_upload(path)
            self.uploads[path] = b""

    @precondition(lambda self: self.uploads)
    @rule(data=st.data(), pieces=st.lists(_CONTENTS, max_size=3))
    def append(self, data: st.DataObject, pieces: list[bytes]) -> None:
        path = data.draw(st.sampled_from(sorted(self.uploads)))
        with self.driver.open_upload(path) as writer:
            for piece in pieces:
                writer.write(piece)
        self.uploads[path] += b"".join(pieces)

    @precondition(lambda self: self.uploads)
    @rule(data=st.data(), piece=_CONTENTS, destination=st.sampled_from(_OBJECTS))
    def commit(self, data: st.DataObject, piece: bytes, destination: str) -> None:
        path = data.draw(st.sampled_from(sorted(self.uploads)))
        with self.driver.open_upload(path) as writer:
            writer.write(piece)
            writer.commit(destination)
        self.objects[destination] = self.uploads.pop(path) + piece
        self.change(destination)

    @precondition(lambda self: self.uploads)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(self.uploads)))
        with self.driver.open_upload(path) as writer:
            writer.cancel()
        del self.uploads[path]

    @invariant()
    def objects_are_as_in_the_dict(self) -> None:
        assert {path: self.medium.content(path) for path in objects_below(self.driver, _PREFIXES[0])} == self.objects
        for path, content in self.objects.items():
            assert self.driver.get(path, limit=LIMIT) == content

    @invariant()
    def a_walk_names_what_is_in_the_dict(self) -> None:
        for prefix in _PREFIXES:
            sizes = [(path, len(content)) for path, content in self.objects.items() if path.startswith(f"{prefix}/")]
            assert sorted((each.path, each.size) for each in self.driver.walk(prefix)) == sorted(sizes)

    @rule(limit=st.integers(1, 4))
    def scan(self, limit: int) -> None:
        found: list[Found] = []
        while page := self.driver.scan(_PREFIXES[0], after=found[-1].path if found else "", limit=limit):
            found += page
        assert sorted(found) == sorted(self.driver.walk(_PREFIXES[0]))

    @invariant()
    def names_are_as_in_the_dict(self) -> None:
        for prefix in _PREFIXES:
            below = [path.removeprefix(f"{prefix}/") for path in self.objects if path.startswith(f"{prefix}/")]
            assert self.driver.list(prefix, limit=EVERYTHING) == sorted({rest.split("/")[0] for rest in below})

    @invariant()
    def uploads_are_as_in_the_dict(self) -> None:
        for path in _UPLOADS:
            if path in self.uploads:
                assert self.driver.upload_size(path) == len(self.uploads[path])
            else:
                with pytest.raises(PathNotFoundError):
                    self.driver.upload_size(path)

    def teardown(self) -> None:
        for path in self.uploads:
            with self.driver.open_upload(path) as writer:
                assert b"".join(writer.content()) == self.uploads[path]
                writer.cancel()
        for path in self.objects:
            self.driver.delete(path)
        assert self.medium.everything() == set()


def noise(size: int, *, seed: int = 0) -> bytes:
    """Return `size` bytes that look like nothing else, the same each time."""
    return random.Random(seed).randbytes(size)


def cut(content: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """Yield `content` in pieces of `sizes`."""
    for size in sizes:
        yield content[:size]
        content = content[size:]


def upload(driver: StorageDriver, content: bytes, path: str = UPLOAD, destination: str = BLOB) -> None:
    """Publish `content` by way of an upload."""
    driver.create_upload(path)
    with driver.open_upload(path) as writer:
        writer.write(content)
        writer.commit(destination)


def in_parallel(calls: Iterable[Callable[[], object]]) -> None:
    """Make `calls` in several threads; raise what any of them raises."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        for future in [pool.submit(call) for call in calls]:
            future.result()


def objects_below(driver: StorageDriver, path: str) -> Iterator[str]:
    """Yield the paths of all objects below `path`, as the driver tells of them."""
    for name in driver.list(path, limit=EVERYTHING):
        child = f"{path}/{name}"
        try:
            driver.stat(child)
        except PathNotFoundError:
            yield from objects_below(driver, child)
        else:
            yield child
