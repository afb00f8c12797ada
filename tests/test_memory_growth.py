"""Memory does not grow with fits: a short part of `tests/reliability/memory_growth.py`, by what Python allocated."""

import gc
import tracemalloc
import warnings

import numpy as np
import pytest

from tests.reliability.memory_growth import one_round

#: Rounds of ten fits, each kind of model once: before measuring, and measured.
WARM_UP, ROUNDS = 6, 12
#: Bytes a round. The smallest array of draws has 2 chains x 50 draws x 5 parameters, 4,000 bytes. Of other objects
#: Python itself keeps some: its cache of attributes holds up to 4,096 names, and new objects come with new ones.
MOST_ARRAYS, MOST_OBJECTS = 1000.0, 8000.0
#: pandas keeps weak references to views of a frame, and drops them in batches of its own size.
OTHERS = [tracemalloc.Filter(False, f"*/{name}/*") for name in ("pandas", "_pytest", "pluggy")]
ARRAYS = np.lib.tracemalloc_domain


def growth(step, rounds):
    """Return the bytes of arrays and of other objects that each call of ``step`` leaves behind."""

    def traced():
        gc.collect()
        snapshot = tracemalloc.take_snapshot().filter_traces(OTHERS)
        arrays = snapshot.filter_traces([tracemalloc.DomainFilter(True, ARRAYS)])
        return np.array([sum(trace.size for trace in part.traces) for part in (arrays, snapshot)])

    tracemalloc.start()
    try:
        step()
        before = traced()
        for _ in range(rounds):
            step()
        return (traced() - before) / rounds
    finally:
        tracemalloc.stop()


def test_fits_leave_nothing_behind(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(WARM_UP):
            one_round(tmp_path)
        arrays, objects = growth(lambda: one_round(tmp_path), ROUNDS)
    assert arrays < MOST_ARRAYS
    assert objects < MOST_OBJECTS


@pytest.mark.parametrize("make", [lambda: np.zeros(500), lambda: [float(i) for i in range(500)]])
def test_a_leak_is_noticed(make):
    kept = []
    arrays, objects = growth(lambda: kept.append(make()), ROUNDS)
    assert arrays > MOST_ARRAYS or objects > MOST_OBJECTS
