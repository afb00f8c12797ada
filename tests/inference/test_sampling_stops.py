"""Interruption of chains, errors in their densities, and what the progress bar is told."""

import threading
import time

import numpy as np
import pytest

from bayesglm.inference.sampling import Settings, resume, run, seed_sequence
from bayesglm.kernel.target import AffineTarget, PyTarget
from tests.target_cases import scale_target, slow_normal, snapshot


class Recorder:
    """A progress bar that writes down what it is told."""

    def __init__(self, error_after=None):
        self.began, self.seen, self.error_after = [], [], error_after

    def begin(self, chains):
        self.began.append(chains)

    def update(self, done, divergences):
        self.seen.append((done, divergences))
        if self.error_after is not None and len(self.seen) >= self.error_after:
            raise KeyboardInterrupt


def threads_left():
    return [thread for thread in threading.enumerate() if thread.name.startswith("bayesglm")]


@pytest.mark.parametrize("n_threads", [1, 2, 4])
@pytest.mark.parametrize("error_after", [1, 4])
@pytest.mark.parametrize("known_scale", [True, False])
def test_an_interrupt_stops_all_chains(n_threads, error_after, known_scale):
    target = slow_normal(2, 0.002)
    if not known_scale:
        target = AffineTarget(target, np.zeros(2), np.eye(2))
    progress = Recorder(error_after)
    settings = Settings(chains=4, draws=600, n_threads=n_threads)
    begin = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        run(target, settings, seed_sequence(1), known_scale=known_scale, progress=progress)
    assert time.perf_counter() - begin < 0.05 * error_after + 0.5
    assert len(progress.seen) == error_after
    assert not threads_left()


def test_an_interrupt_of_fast_chains_comes_through():
    progress = Recorder(1)
    begin = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        run(
            scale_target(50),
            Settings(chains=2, draws=200_000, n_threads=2),
            seed_sequence(1),
            known_scale=True,
            progress=progress,
        )
    assert time.perf_counter() - begin < 1.5  # most of it is for the memory
    assert not threads_left()


def test_an_interrupt_while_going_on():
    target = slow_normal(2, 0.001)
    found = run(target, Settings(chains=2, draws=2, tune=2), seed_sequence(1), known_scale=True)
    before = snapshot(found.states)
    with pytest.raises(KeyboardInterrupt):
        resume(target, found.states, Settings(chains=2, draws=600, n_threads=2), progress=Recorder(1))
    assert snapshot(found.states) == before
    assert not threads_left()


@pytest.mark.parametrize("n_threads", [1, 3])
def test_an_error_in_the_density_comes_through(n_threads):
    calls = []

    def density(q):
        calls.append(q)
        if len(calls) > 200:
            raise ZeroDivisionError("a density of one's own")
        return -0.5 * q @ q, -q

    with pytest.raises(ZeroDivisionError, match="a density of one's own"):
        run(
            PyTarget(2, density),
            Settings(chains=3, draws=10_000, n_threads=n_threads),
            seed_sequence(1),
            known_scale=True,
        )
    assert not threads_left()


@pytest.mark.parametrize("known_scale", [True, False])
def test_progress_counts_up(known_scale):
    target = slow_normal(2, 0.0005)
    if not known_scale:  # far from standard, so that all windows are run
        target = AffineTarget(target, np.zeros(2), 5 * np.eye(2))
    progress = Recorder()
    settings = Settings(chains=2, draws=60, tune=60, n_threads=2)
    run(target, settings, seed_sequence(1), known_scale=known_scale, progress=progress)
    assert progress.began == [2]
    done = [count for count, _ in progress.seen]
    assert len(done) >= 3
    assert done == sorted(done)
    assert 120 < done[-1] <= 240


def test_fast_runs_never_bother_the_progress_bar():
    progress = Recorder()
    run(
        scale_target(),
        Settings(chains=1, draws=10, tune=10),
        seed_sequence(1),
        known_scale=True,
        progress=progress,
    )
    assert progress.seen == []
