"""Requests of clients, step by step as registry.publishing and the stores do them.

`without` names parts of the protocol that are left out, to see what is lost then.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.lifecycle.model.store import (
    YOUNG,
    Run,
    acknowledge,
    break_promise,
    delete_by_user,
    delete_condemned,
    has_content,
    put_content,
    put_link,
    put_notice,
    put_tag,
    read_condemned,
    read_link,
    read_run,
    read_run_now,
    wait_while_closed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.lifecycle.model.exploring import Steps

BLOB, CHILD = "blob", "child"
"""The digests of the blob, and of a manifest that names it and is named by an index."""


@dataclass(frozen=True)
class Writer:
    """A client's requests concerning the link number `link`, which is one of `repository`."""

    link: int
    repository: str
    without: frozenset[str] = frozenset()

    def put(self) -> Steps:
        """Push a manifest that names the blob."""
        done = yield from self._pass([BLOB], self._put, self._put)
        if done:
            yield acknowledge("tag", self.link)
        return done

    def upload(self) -> Steps:
        """Push the blob."""
        done = yield from self._pass([BLOB], self._upload, self._has_or_revives)
        if done:
            yield acknowledge("untagged", self.link)
        return done

    def mount(self, source: int) -> Steps:
        """Mount the blob; where it cannot be mounted nothing is promised, and the client uploads it."""
        done = yield from self._pass([BLOB], partial(self._mount, source), self._has_or_revives)
        if done:
            yield acknowledge("untagged", self.link)
        return done

    def head_put(self) -> Steps:
        """Ask for the blob, and push a manifest that relies on the answer."""
        told = yield from self.has()
        if told:
            yield from self._promised_put()

    def upload_put(self) -> Steps:
        """Push the blob, and then the manifest."""
        told = yield from self.upload()
        if told:
            yield from self._promised_put()

    def mount_put(self, source: int) -> Steps:
        """Mount the blob, and then push the manifest."""
        told = yield from self.mount(source)
        if told:
            yield from self._promised_put()

    def delete_link(self) -> Steps:
        """Delete the blob from the repository."""
        yield delete_by_user(self.link, tag=False)
        yield delete_condemned(self.link)

    def delete_tag(self) -> Steps:
        """Delete the manifest."""
        yield delete_by_user(self.link, tag=True)

    def _promised_put(self) -> Steps:
        done = yield from self.put()
        if not done:
            yield break_promise(self.link)

    def _pass(self, digests: Iterable[str], change: Callable[[], Steps], check: Callable[[], Steps]) -> Steps:
        """Do `change` as registry.storage.passage demands it, and `check` whenever it has to be looked at once more."""
        run: Run = yield read_run
        done = yield from self._tell_and(run, digests, change)
        while done and "confirm" not in self.without:
            latest: Run = yield (read_run_now if run.is_on else read_run)
            if latest.number == run.number:
                break
            run = latest
            del latest
            done = yield from self._tell_and(run, digests, check)
        return done

    def _tell_and(self, run: Run, digests: Iterable[str], act: Callable[[], Steps]) -> Steps:
        if run.is_on and "care" not in self.without:
            if "notice" in self.without:
                yield wait_while_closed(self.repository, digests)
            elif "notice first" in self.without:
                yield wait_while_closed(self.repository, digests)
                yield put_notice(digests)
            else:
                yield put_notice(digests)
                yield wait_while_closed(self.repository, digests)
        done = yield from act()
        return done

    def _put(self) -> Steps:
        there = yield from self._has_or_revives()
        if there:
            yield put_tag(self.link)
        return there

    def _upload(self) -> Steps:
        stored = yield has_content
        if not stored:
            yield put_content
        yield put_link(self.link)
        return True

    def _mount(self, source: int) -> Steps:
        there = yield from Writer(source, "").has()
        if there:
            yield put_link(self.link)
        return there

    def has(self) -> Steps:
        """Look for the link and for the bytes."""
        linked = yield read_link(self.link)
        if not linked:
            return False
        stored = yield has_content
        return stored

    def _has_or_revives(self) -> Steps:
        there = yield from self.has()
        if there or "revival" in self.without:
            return there
        condemned = yield read_condemned(self.link)
        if condemned == YOUNG:
            yield put_link(self.link)
            yield delete_condemned(self.link)
        elif "second look" in self.without:
            return False
        there = yield from self.has()
        return there


@dataclass(frozen=True)
class IndexWriter(Writer):
    """A client's requests concerning an index: `link` is that of its manifest, `blob` that of what this one names."""

    blob: int = 1

    def put(self) -> Steps:
        """Push the index."""
        named = [CHILD] if "depth" in self.without else [CHILD, BLOB]
        done = yield from self._pass(named, self._put, self._put_again)
        if done:
            yield acknowledge("tag", self.link, self.blob)
        return done

    def put_child(self) -> Steps:
        """Push the manifest without a tag."""
        done = yield from self._pass([CHILD, BLOB], self._put_child, self._put_child)
        if done:
            yield acknowledge("untagged", self.link, self.blob)
        return done

    def child_put(self) -> Steps:
        """Push the manifest, and then the index."""
        told = yield from self.put_child()
        if told:
            yield from self._promised_put()

    def has(self) -> Steps:
        """Look for the link of the manifest."""
        linked = yield read_link(self.link)
        return bool(linked)

    def _put_child(self) -> Steps:
        there = yield from self._blob()._has_or_revives()
        if there:
            yield put_link(self.link)
        return there

    def _put_again(self) -> Steps:
        """Push the index once more, and look for the blob: it may be condemned where the manifest stands."""
        if "depth of the second look" not in self.without:
            yield from self._blob()._has_or_revives()
        there = yield from self._put()
        return there

    def _has_or_revives(self) -> Steps:
        there = yield from self.has()
        if there:
            return True
        complete = yield from self._blob()._has_or_revives()
        if not complete:
            return False
        there = yield from super()._has_or_revives()
        return there

    def _blob(self) -> Writer:
        return Writer(self.blob, self.repository, self.without)
