"""Whoever holds every token ever issued still cannot publish bytes under a digest that is not theirs."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from drivers.base import DriverError, PathNotFoundError, StorageDriver, UploadBusyError
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.oci.errors import RegistryError
from registry.oci.ranges import ByteRange
from registry.oci.uploads import BodyCutShortError, Chunk, OffsetError
from registry.storage import paths
from registry.storage.repository import Repositories
from registry.storage.tokens import UploadTokens
from tests.content import chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.oci.uploads import UploadState

TOKENS = UploadTokens(b"a secret")
WORDS = st.lists(st.sampled_from([b"", b"a", b"b", b"ab", b"a" * 64]), max_size=3)
RECENT = st.integers(0, 4)
ALGORITHMS = st.sampled_from(["sha256", "sha384", "sha512"])


def cut_short(pieces: list[bytes]) -> Iterator[bytes]:
    yield from pieces
    raise BodyCutShortError("the client went away")


class Attacker(RuleBasedStateMachine):
    """Does what the HTTP interface lets it do, in any order, over two sessions."""

    def make_driver(self) -> StorageDriver:
        return InMemoryDriver(lock_seconds=0)

    @initialize()
    def begin(self) -> None:
        self.driver = self.make_driver()
        self.uploads = Repositories(self.driver).open("a").uploads
        self.tokens: list[tuple[UploadState, bytes]] = []
        for algorithm in ("sha256", "sha512"):
            self.keep(self.uploads.start(algorithm), b"")

    def keep(self, state: UploadState, believed: bytes) -> None:
        """Remember a token and the bytes for which it was given."""
        state = TOKENS.load(TOKENS.sign(state), name="a", upload_id=state.upload_id)
        self.tokens.append((state, believed))

    def token(self, number: int) -> tuple[UploadState, bytes]:
        return self.tokens[-1 - number % len(self.tokens)]

    @rule(number=RECENT, pieces=WORDS)
    def append(self, number: int, pieces: list[bytes]) -> None:
        state, believed = self.token(number)
        believed += b"".join(pieces)
        try:
            self.keep(self.uploads.append(state, chunk(*pieces)), believed)
        except OffsetError as error:
            self.keep(error.state, believed)
        except RegistryError:
            pass

    @rule(number=RECENT, pieces=WORDS)
    def append_and_hang_up(self, number: int, pieces: list[bytes]) -> None:
        with suppress(RegistryError):
            self.uploads.append(self.token(number)[0], Chunk(cut_short(pieces), length=99))

    @rule(number=RECENT, start=st.integers(0, 4), pieces=WORDS)
    def append_at(self, number: int, start: int, pieces: list[bytes]) -> None:
        state, believed = self.token(number)
        content = b"".join(pieces)
        with suppress(RegistryError):
            span = Chunk(pieces, ByteRange(start, start + len(content)), len(content))
            self.keep(self.uploads.append(state, span), believed[:start] + content)

    @rule(number=RECENT)
    def ask(self, number: int) -> None:
        state, believed = self.token(number)
        with suppress(RegistryError):
            self.keep(self.uploads.status(state.upload_id), believed)

    @rule(number=RECENT, pieces=WORDS, algorithm=ALGORITHMS)
    def finish_as_what_the_token_was_given_for(self, number: int, pieces: list[bytes], algorithm: str) -> None:
        state, believed = self.token(number)
        with suppress(RegistryError):
            self.uploads.finish(state, chunk(*pieces), Digest.of(believed + b"".join(pieces), algorithm))

    @rule(number=RECENT, pieces=WORDS, algorithm=ALGORITHMS)
    def finish_as_what_is_stored(self, number: int, pieces: list[bytes], algorithm: str) -> None:
        state, _ = self.token(number)
        try:
            with self.driver.open_upload(paths.upload_data("a", state.upload_id)) as writer:
                stored = b"".join(writer.content())
        except PathNotFoundError:
            return
        with suppress(RegistryError):
            self.uploads.finish(state, chunk(*pieces), Digest.of(stored + b"".join(pieces), algorithm))

    @rule(number=RECENT)
    def cancel(self, number: int) -> None:
        with suppress(RegistryError):
            self.uploads.cancel(self.token(number)[0].upload_id)

    @rule(algorithm=ALGORITHMS)
    def start_another(self, algorithm: str) -> None:
        self.keep(self.uploads.start(algorithm), b"")

    @invariant()
    def every_blob_is_what_its_digest_says(self) -> None:
        for algorithm in ("sha256", "sha384", "sha512"):
            root = f"{paths.BLOBS}/{algorithm}"
            for start in self.driver.list(root, limit=1000):
                for name in self.driver.list(f"{root}/{start}", limit=1000):
                    digest = Digest(algorithm, name)
                    assert Digest.of_pieces(self.driver.read(paths.blob_data(digest)), algorithm) == digest


class AttackerOfFiles(Attacker):
    def make_driver(self) -> StorageDriver:
        self.directory = tempfile.TemporaryDirectory()
        return FilesystemDriver(self.directory.name, lock_seconds=0)

    def teardown(self) -> None:
        self.directory.cleanup()


@pytest.mark.parametrize(("attacker", "examples"), [(Attacker, 200), (AttackerOfFiles, 20)])
def test_no_order_of_requests_publishes_bytes_under_another_digest(attacker: type[Attacker], examples: int) -> None:
    run_state_machine_as_test(attacker, settings=settings(max_examples=examples, stateful_step_count=30))


@pytest.mark.parametrize("kind", ["inmemory", "filesystem"])
def test_of_many_who_hold_the_same_token_one_at_a_time_gets_on(
    kind: str,
    driver: InMemoryDriver,
    filesystem: FilesystemDriver,
) -> None:
    uploads = Repositories(driver if kind == "inmemory" else filesystem).open("a").uploads
    state = uploads.start()

    def append(number: int) -> tuple[bytes, UploadState] | None:
        piece = b"%03d" % number * 1000
        try:
            return piece, uploads.append(state, chunk(piece, piece))
        except (OffsetError, UploadBusyError):
            return None

    with ThreadPoolExecutor(8) as pool:
        (piece, told), *others = [each for each in pool.map(append, range(8)) if each]

    assert others == []
    assert uploads.finish(told, chunk(), Digest.of(piece * 2)) == 6000


@pytest.mark.parametrize("kind", ["inmemory", "filesystem"])
def test_those_who_finish_at_once_publish_the_content_or_learn_that_it_is_over(
    kind: str,
    driver: InMemoryDriver,
    filesystem: FilesystemDriver,
) -> None:
    uploads = Repositories(driver if kind == "inmemory" else filesystem).open("a").uploads
    state = uploads.append(uploads.start(), chunk(b"content"))

    def finish(_: int) -> str:
        try:
            uploads.finish(state, chunk(), Digest.of(b"content"))
        except (RegistryError, DriverError) as error:
            return type(error).__name__
        return "published"

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(finish, range(4)))

    assert "published" in outcomes
    assert {*outcomes} <= {"published", "BlobUploadUnknownError", "OffsetError", "UploadBusyError"}
