"""Run compiled work in threads while the calling thread stays open to Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

Result = TypeVar("Result")

#: How often the waiting thread looks up, in seconds.
POLL_SECONDS = 0.05


def in_threads(
    calls: Sequence[Callable[[], Result]],
    n_threads: int,
    *,
    on_wait: Callable[[], None] | None = None,
    on_failure: Callable[[], None] | None = None,
) -> list[Result]:
    """Return the results of ``calls``, in their order.

    Python delivers Ctrl-C to the main thread between two of its own instructions, so whoever waits in
    compiled code is deaf to it. Here the calling thread only waits.

    Parameters
    ----------
    calls : sequence of callable
    n_threads : int
    on_wait : callable, optional
        Called about every 0.05 s while there is something to wait for.
    on_failure : callable, optional
        Called before an exception of the calling thread, such as KeyboardInterrupt, goes on: ask the
        calls to stop. Without it they are left to finish by themselves.

    Raises
    ------
    BaseException
        What a call raised, or what came while waiting.
    """
    pool = ThreadPoolExecutor(max(1, min(n_threads, len(calls))), thread_name_prefix="bayesglm")
    try:
        futures: list[Future[Result]] = [pool.submit(call) for call in calls]
        pending: set[Future[Result]] = set(futures)
        while pending:
            pending = wait(pending, timeout=POLL_SECONDS).not_done
            if pending and on_wait is not None:
                on_wait()
    except BaseException:
        if on_failure is not None:
            on_failure()
        pool.shutdown(wait=on_failure is not None, cancel_futures=True)
        raise
    pool.shutdown()
    return [future.result() for future in futures]
