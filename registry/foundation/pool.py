"""A pool of threads that does its work also where this process may have no more threads."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class Pool(ThreadPoolExecutor):
    """Threads that are started when there is work. Where none can be started, the caller does the work itself."""

    def submit(
        self, work: Callable[_Arguments, _Result], /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> Future[_Result]:
        """Have `work` done, by a thread of the pool or before this returns."""
        return self._begin(partial(work, *args, **kwargs)).future

    def together(self, steps: Sequence[Callable[[], _Result]]) -> list[_Result]:
        """Do `steps`, the last one and those that no thread has begun by then in this thread; return their results.

        So steps may themselves call this: nobody waits for work that no thread has. Each step has the context variables
        of the caller.

        Raises:
            What the first of the steps has raised that has; all have ended.
        """
        tasks = [self._begin(partial(copy_context().run, step)) for step in steps[:-1]]
        tasks += map(_Task, steps[-1:])
        for task in reversed(tasks):
            task.run()
        errors = [task.future.exception() for task in tasks]
        for error in filter(None, errors):
            raise error
        return [task.future.result() for task in tasks]

    def _begin(self, work: Callable[[], Any]) -> _Task:
        task = _Task(work)
        try:
            super().submit(task.run)
        except RuntimeError:
            # No thread was started, but the task is in the queue: a thread that is there already may take it as well.
            task.run()
        return task


class _Task:
    """Work that is done once, whoever of those that have it comes first."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.future: Future[Any] = Future()
        self._work = work
        self._taken = Lock()

    def run(self) -> None:
        if not self._taken.acquire(blocking=False) or not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001  the future raises it to whoever asks for the result
            self.future.set_exception(error)
        else:
            self.future.set_result(result)
