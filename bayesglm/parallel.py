"""How many threads a fit may use, and one BLAS thread in each of them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache
from numbers import Integral
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
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """Return a context in which BLAS uses one thread, so that chains do not compete and sums do not vary."""
    return _controller().limit(limits=1, user_api="blas")
