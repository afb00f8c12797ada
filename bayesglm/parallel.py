"""How many threads a fit may use, and one BLAS thread in each of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from numbers import Integral
from threading import Lock
from typing import Any

from joblib import cpu_count
from joblib.parallel import get_active_backend
from threadpoolctl import ThreadpoolController


def thread_count(n_jobs: Any, chains: int) -> int:
    """Return the number of threads for ``chains`` chains.

    Parameters
    ----------
    n_jobs : int or None
        None: one a chain up to the number of processors, but a single one inside a joblib worker, whose
        siblings use the other processors. Negative as in scikit-learn: -1 is all processors.
    chains : int
    """
    if n_jobs is None:
        backend, _ = get_active_backend()
        inside = (getattr(backend, "nesting_level", 0) or 0) > 0
        return 1 if inside else min(chains, _processors())
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, Integral):
        raise TypeError(f"n_jobs must be an int (-1 for all processors) or None; got {n_jobs!r}.")
    if n_jobs == 0:
        raise ValueError("n_jobs must not be 0; give the number of threads, -1 for all processors, or None.")
    count = int(n_jobs)
    return min(chains, count if count > 0 else max(1, _processors() + 1 + count))


@lru_cache(maxsize=1)
def _processors() -> int:
    return int(cpu_count())


@lru_cache(maxsize=1)
def _blas_libraries() -> tuple[list[Any], ThreadpoolController]:
    """Return the libraries whose limit is one for the whole process, and those where every thread has its own."""
    found = ThreadpoolController().select(user_api="blas")
    own = found.select(internal_api="openblas").select(threading_layer="openmp")
    return [library for library in found.lib_controllers if library not in own.lib_controllers], own


class _SharedLimit:
    """Limits the BLAS of the process to one thread for as long as anybody is inside.

    If every fit put back what it had found, then of two fits in two threads the one would go on without the
    limit once the other has ended, and put that other's limit back in the end, for good.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.inside = 0
        self.before: list[tuple[Any, int]] = []

    def __enter__(self) -> None:
        with self.lock:
            if self.inside == 0:
                found = [(library, library.get_num_threads()) for library in _blas_libraries()[0]]
                # What is one already may be so for a while, by somebody else's wish: it is left to them.
                self.before = [(library, number) for library, number in found if number != 1]
                _set_threads([(library, 1) for library, _ in self.before])
            self.inside += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                _set_threads(self.before)

    def after_fork(self) -> None:
        """Take a lock that nobody holds: whoever held it in the parent does not exist in the child."""
        self.lock = Lock()


def _set_threads(numbers: list[tuple[Any, int]]) -> None:
    """Give each library its number of threads, whichever thread calls."""
    for library, number in numbers:
        # From 3.8 on threadpoolctl listens to the first thread that has set a limit, and silently to no other; but
        # the last to leave need not be who came first.
        release = getattr(library, "clear_controlling_thread", lambda force: None)
        release(force=True)
        library.set_num_threads(number)
        release(force=True)


_shared_limit = _SharedLimit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shared_limit.after_fork)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS use one thread, so that chains do not compete and sums do not vary; a context manager."""
    with _shared_limit, _blas_libraries()[1].limit(limits=1):
        yield
