"""The NUTS kernel equals the recursive oracle bit for bit, and samples what it should."""

import math
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as distributions

from bayesglm.kernel.nuts import STAT_NAMES, Chain
from bayesglm.kernel.target import PyTarget
from tests.reference_nuts import (
    STATISTICS,
    Point,
    ReferenceChain,
    bad_above_one,
    banana,
    dot,
    equicorrelated,
    funnel,
    leapfrog,
    logaddexp,
    logistic,
    normal,
    ring,
    standard_normal,
    student_t,
)

COLUMN = {name: k for k, name in enumerate(STAT_NAMES)}


@dataclass(frozen=True)
class Case:
    name: str
    function: Callable
    dim: int
    step_size: float
    draws: int = 400
    max_treedepth: int = 10
    target_accept: float = 0.8
    jitter: float = 0.1


CASES = [
    Case("normal1", standard_normal, 1, 1.0),
    Case("normal2", standard_normal, 2, 0.5),
    Case("normal3-no-jitter", standard_normal, 3, 0.8, jitter=0.0),
    Case("normal4-high-accept", standard_normal, 4, 0.2, target_accept=0.99),
    Case("normal5", standard_normal, 5, 0.7),
    Case("normal50", standard_normal, 50, 0.5, draws=150),
    Case("correlated2", equicorrelated(2, 0.99), 2, 0.1),
    Case("correlated5", equicorrelated(5, 0.9), 5, 0.3, draws=300),
    Case("correlated50", equicorrelated(50, 0.5), 50, 0.3, draws=60),
    Case("badly-scaled6", normal(np.diag(10.0 ** np.arange(-2, 4))), 6, 0.05, draws=60),
    Case("student5", student_t(3), 5, 0.5),
    Case("cauchy1", student_t(1), 1, 0.8),
    Case("logistic1", logistic, 1, 1.0),
    Case("funnel5", funnel, 5, 1.5, target_accept=0.5),
    Case("ring2", ring, 2, 0.2, draws=300),
    Case("banana2", banana, 2, 0.2, draws=300),
    Case("nan3", bad_above_one(math.nan), 3, 0.5),
    Case("minus-infinity2", bad_above_one(-math.inf), 2, 0.7),
    Case("infinity2", bad_above_one(math.inf), 2, 0.7),
    Case("shallow5", standard_normal, 5, 0.01, max_treedepth=2, target_accept=0.9999),
    Case("one-doubling2", standard_normal, 2, 0.5, max_treedepth=1),
]


def start(dim):
    return np.linspace(-0.9, 0.8, dim) if dim > 1 else np.array([0.3])


def kernel_chain(function, dim, seed=1, step_size=0.8, position=None, **settings):
    position = start(dim) if position is None else position
    return Chain(PyTarget(dim, function), np.random.PCG64DXSM(seed), position, step_size, **settings)


def buffers(n, dim):
    return np.full((n, dim), np.nan), np.full((n, len(STAT_NAMES)), np.nan)


def run(chain, n, dim):
    draws, stats = buffers(n, dim)
    assert chain.advance(n, draws, stats) == n
    return draws, stats


def adapt_then_freeze(chain, n, dim):
    """Return draws, statistics and step sizes of a run whose first half adapts the step size."""
    chain.adapting = True
    first = run(chain, n // 2, dim)
    adapted = chain.step_size
    chain.adapting = False
    frozen = chain.step_size
    second = run(chain, n - n // 2, dim)
    steps = np.array([adapted, frozen, chain.step_size])
    return np.vstack([first[0], second[0]]), np.vstack([first[1], second[1]]), steps


def assert_same_bits(actual, expected, what):
    different = np.argwhere(actual.view(np.uint64) != expected.view(np.uint64))
    if different.size:
        where = tuple(different[0])
        pytest.fail(f"{what} differ first at {where}: {actual[where]!r}, expected {expected[where]!r}")


def both(case, seed):
    """Return the results of kernel and oracle on equal terms, after checking that they are equal."""
    settings = (case.step_size, case.max_treedepth, case.target_accept, case.jitter)
    bits = np.random.PCG64DXSM(seed), np.random.PCG64DXSM(seed)
    chain = Chain(PyTarget(case.dim, case.function), bits[0], start(case.dim), *settings)
    oracle = ReferenceChain(case.function, bits[1], start(case.dim), *settings)
    draws, stats, steps = adapt_then_freeze(chain, case.draws, case.dim)
    expected_draws, expected_stats, expected_steps = adapt_then_freeze(oracle, case.draws, case.dim)
    # Statistics first: tree_depth or n_steps at the first difference tells more than a position does.
    for name, k in COLUMN.items():
        assert_same_bits(stats[:, k].copy(), expected_stats[:, k].copy(), name)
    assert_same_bits(draws, expected_draws, "draws")
    assert_same_bits(steps, expected_steps, "step sizes")
    assert_same_bits(chain.position, oracle.position, "final positions")
    assert bits[0].state == bits[1].state, "the two have not drawn equally many random numbers"
    return draws, stats


def test_statistics_are_named_as_in_the_oracle():
    assert tuple(STAT_NAMES) == STATISTICS


@pytest.mark.parametrize("seed", [1, 20260])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_kernel_equals_oracle(case, seed):
    _, stats = both(case, seed)
    if case.name == "funnel5":
        assert stats[:, COLUMN["diverging"]].sum() >= 5
        assert np.isfinite(stats[:, COLUMN["max_energy_error"]]).any()
    if case.name == "shallow5":
        assert stats[:, COLUMN["reached_max_treedepth"]].mean() > 0.5


@pytest.mark.parametrize("value", [math.nan, -math.inf, math.inf])
def test_leaves_without_a_finite_density_diverge(value):
    bad = 0
    inner = bad_above_one(value)

    def function(q):
        nonlocal bad
        bad += q[0] > 1.0
        return inner(q)

    draws, stats = run(kernel_chain(function, 3, step_size=0.5), 500, 3)
    diverging = stats[:, COLUMN["diverging"]]
    assert bad > 20
    assert diverging.sum() == bad  # each stops its transition at once
    np.testing.assert_array_equal(np.isposinf(stats[:, COLUMN["max_energy_error"]]), diverging == 1)
    assert draws[:, 0].max() <= 1.0
    assert np.isfinite(stats[:, COLUMN["lp"]]).all()
    assert np.isfinite(stats[:, COLUMN["energy"]]).all()


def test_every_leapfrog_step_costs_one_evaluation():
    calls = 0

    def function(q):
        nonlocal calls
        calls += 1
        return standard_normal(q)

    chain = kernel_chain(function, 2)
    _, stats = run(chain, 200, 2)
    assert calls == 1 + stats[:, COLUMN["n_steps"]].sum()


def test_statistics_are_consistent():
    draws, stats = run(kernel_chain(student_t(3), 5, step_size=0.4), 500, 5)
    column = {name: stats[:, k] for name, k in COLUMN.items()}
    np.testing.assert_array_equal(column["lp"], [student_t(3)(q)[0] for q in draws])
    assert (column["energy"] >= -column["lp"]).all()
    assert ((column["acceptance_rate"] >= 0) & (column["acceptance_rate"] <= 1)).all()
    assert (column["n_steps"] >= 2 ** column["tree_depth"] - 1).all()
    assert (column["n_steps"] < 2 ** (column["tree_depth"] + 1)).all()
    assert (abs(column["index_in_trajectory"]) < 2 ** column["tree_depth"]).all()
    moved = np.any(np.diff(draws, axis=0) != 0, axis=1)
    np.testing.assert_array_equal(moved, column["index_in_trajectory"][1:] != 0)
    assert (abs(column["step_size"] / 0.4 - 1) <= 0.1).all()
    assert np.ptp(column["step_size"]) > 0.07


# Chunks, stopping, seeds


def test_chunks_equal_one_advance():
    whole, pieces = kernel_chain(funnel, 4, step_size=0.5), kernel_chain(funnel, 4, step_size=0.5)
    whole.adapting = pieces.adapting = True
    draws, stats = run(whole, 200, 4)
    parts = [run(pieces, n, 4) for n in [1] * 60 + [39, 0, 1, 100]]
    assert_same_bits(np.vstack([part[0] for part in parts]), draws, "draws")
    assert_same_bits(np.vstack([part[1] for part in parts]), stats, "statistics")
    assert whole.step_size == pieces.step_size


def test_stop_ends_advance_early_and_resume_continues():
    expected, _ = run(kernel_chain(standard_normal, 2), 300, 2)
    calls = 0

    def function(q):
        nonlocal calls
        calls += 1
        if calls == 100:
            chain.stop()
        return standard_normal(q)

    chain = kernel_chain(function, 2)
    draws, stats = buffers(300, 2)
    done = chain.advance(300, draws, stats)
    assert 0 < done < 100
    assert np.isnan(draws[done:]).all()
    assert np.isnan(stats[done:]).all()
    assert chain.advance(300 - done, draws[done:], stats[done:]) == 0  # until resumed
    chain.resume()
    draws[done:] = run(chain, 300 - done, 2)[0]
    assert_same_bits(draws, expected, "draws")


def test_stop_from_another_thread():
    def function(q):
        time.sleep(1e-4)
        return standard_normal(q)

    chain = kernel_chain(function, 1)
    timer = threading.Timer(0.1, chain.stop)
    timer.start()
    done = chain.advance(100_000, *buffers(100_000, 1))
    timer.join()
    assert done < 20_000


def test_seeds_decide_the_draws():
    one, again, other = (run(kernel_chain(standard_normal, 3, seed=s), 50, 3)[0] for s in (5, 5, 6))
    np.testing.assert_array_equal(one, again)
    assert not np.any(one == other)


def test_adaptation_reaches_its_target_and_freezes():
    chain = kernel_chain(standard_normal, 5, step_size=0.01)
    run(chain, 5, 5)
    assert chain.step_size == 0.01  # not adapting until told so
    chain.adapting = True
    run(chain, 300, 5)
    chain.adapting = False
    frozen = chain.step_size
    _, stats = run(chain, 300, 5)
    assert chain.step_size == frozen
    assert 0.65 < stats[:, COLUMN["acceptance_rate"]].mean() < 0.95


def test_adaptation_starts_afresh_when_switched_on():
    chain = kernel_chain(standard_normal, 3)
    oracle = ReferenceChain(standard_normal, np.random.PCG64DXSM(1), start(3), 0.8)
    for adapting, n in [(True, 30), (True, 20), (False, 3), (False, 3), (True, 0), (False, 5), (True, 20)]:
        chain.adapting = oracle.adapting = adapting
        assert_same_bits(run(chain, n, 3)[0], run(oracle, n, 3)[0], "draws")
        assert chain.adapting == adapting
        assert chain.step_size == oracle.step_size


def test_chains_in_threads_do_not_disturb_each_other():
    alone = [run(kernel_chain(funnel, 3, seed=seed), 200, 3)[0] for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda seed: run(kernel_chain(funnel, 3, seed=seed), 200, 3)[0], range(4)))
    np.testing.assert_array_equal(alone, together)


def test_position_is_a_copy():
    origin = np.array([0.1, 0.2])
    chain = kernel_chain(standard_normal, 2, position=origin)
    origin[:] = 7.0
    chain.position[:] = 7.0
    np.testing.assert_array_equal(chain.position, [0.1, 0.2])
    draws, _ = run(chain, 3, 2)
    np.testing.assert_array_equal(chain.position, draws[-1])


# Errors


@pytest.mark.parametrize("size", [1, 3])
def test_position_of_wrong_length(size):
    with pytest.raises(ValueError, match=r"2"):
        kernel_chain(standard_normal, 2, position=np.zeros(size))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_start_without_finite_density(value):
    with pytest.raises(ValueError, match="log density is not finite at the starting point"):
        kernel_chain(bad_above_one(value), 2, position=np.array([2.0, 0.0]))


@pytest.mark.parametrize(
    ("draws", "columns"), [((5, 2), 10), ((10, 3), 10), ((10, 1), 10), ((10, 2), 9)], ids=str
)
def test_buffers_of_wrong_shape(draws, columns):
    with pytest.raises(ValueError):  # noqa: PT011 (any sentence, so long as nothing is written outside)
        kernel_chain(standard_normal, 2).advance(10, np.empty(draws), np.empty((10, columns)))


def test_exception_in_the_target_is_raised():
    seen = []

    def failing(q):
        seen.append(q)
        return standard_normal(q) if len(seen) < 20 else (1 / 0, q)

    chain = kernel_chain(failing, 2)
    with pytest.raises(ZeroDivisionError):
        run(chain, 10, 2)


# Statistics of the draws


def batch_means_z(values, truth, batches=40):
    """Return z-scores of column means, their standard errors from the means of batches."""
    means = values[: len(values) // batches * batches].reshape(batches, -1, values.shape[1]).mean(axis=1)
    return (means.mean(axis=0) - truth) / (means.std(axis=0, ddof=1) / math.sqrt(batches))


@pytest.mark.parametrize(("dim", "step_size", "n"), [(1, 0.9, 40_000), (2, 0.9, 30_000), (100, 0.45, 4_000)])
def test_moments_of_the_standard_normal(dim, step_size, n):
    draws, stats = run(kernel_chain(standard_normal, dim, seed=8, step_size=step_size), n, dim)
    assert not stats[:, COLUMN["diverging"]].any()
    limit = distributions.t(39).isf(1e-4 / dim)
    assert abs(batch_means_z(draws, 0.0)).max() < limit
    assert abs(batch_means_z(draws**2, 1.0)).max() < limit
    assert abs(batch_means_z((draws**2).sum(axis=1, keepdims=True), dim)).max() < limit
    tail = distributions.norm.ppf(0.95)
    assert abs(batch_means_z((abs(draws) > tail).astype(float), 0.1)).max() < limit
    # Variances must mix too: a tree whose size locks onto the period of the orbit gives good means and
    # hopeless squares (squares then have a few effective draws in a thousand).
    monte_carlo = (draws**2).reshape(40, -1, dim).mean(axis=1).var(axis=0, ddof=1) * n / 40
    assert np.median(2.0 / monte_carlo) > 0.1
    np.testing.assert_allclose(draws.var(axis=0), 1.0, atol=5 * math.sqrt(2 / (0.1 * n)))


@pytest.mark.parametrize(("make", "n"), [(Chain, 20_000), (ReferenceChain, 4_000)], ids=["kernel", "oracle"])
@pytest.mark.parametrize("settings", [{}, {"max_treedepth": 2}], ids=["deep", "shallow"])
def test_one_transition_leaves_the_target_invariant(make, n, settings):
    """Exact draws of a logistic distribution, one transition each: independent, so an exact test applies."""
    target = PyTarget(1, logistic) if make is Chain else logistic
    bits = np.random.PCG64DXSM(31)
    before = distributions.logistic.rvs(size=n, random_state=np.random.default_rng(30))
    after = np.empty((n, 1))
    stats = np.empty((n, len(STATISTICS)))
    for k in range(n):
        chain = make(target, bits, before[k : k + 1], 1.9, **settings)
        chain.advance(1, after[k : k + 1], stats[k : k + 1])
    assert np.mean(after[:, 0] != before) > 0.5
    assert distributions.kstest(after[:, 0], "logistic").pvalue > 1e-3
    momentum_energy = stats[:, COLUMN["energy"]] + stats[:, COLUMN["lp"]]
    assert distributions.kstest(2 * momentum_energy, "chi2", args=(1,)).pvalue > 1e-3


def test_no_memory_growth():
    def function(q):
        return -0.5 * float(q[0]) ** 2, -q

    chain = kernel_chain(function, 1)
    draws, stats = buffers(5_000, 1)

    def resident():
        statm = Path("/proc/self/statm")
        return int(statm.read_text().split()[1]) * 4096 if statm.exists() else 0

    chain.advance(5_000, draws, stats)
    before = resident()
    for _ in range(20):
        chain.advance(5_000, draws, stats)
    assert resident() - before < 4_000_000  # a leak of 16 bytes in each of 250,000 leapfrogs shows
    tracemalloc.start()
    chain.advance(1_000, draws, stats)
    before = tracemalloc.get_traced_memory()[0]
    chain.advance(5_000, draws, stats)
    growth = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert growth < 20_000


# The oracle itself


def test_oracle_sums_like_the_kernel():
    a = np.array([1e16, 1.0, -1e16, 1.0, 1.0, 2.0, 3.0, 4.0, 0.5, 0.25])
    assert dot(a, np.ones(10)) == ((1e16 + 1.0) + 3.0) + ((-1e16 + 3.0) + 5.0) + 0.5 + 0.25
    assert dot(np.array([2.0]), np.array([3.0])) == 6.0
    assert logaddexp(-math.inf, -math.inf) == -math.inf
    assert logaddexp(-math.inf, 2.0) == 2.0
    assert logaddexp(1000.0, 1000.0) == 1000.0 + math.log(2)
    assert logaddexp(-3.0, 1.0) == logaddexp(1.0, -3.0) == pytest.approx(np.logaddexp(-3.0, 1.0))


def test_oracle_moments():
    chain = ReferenceChain(standard_normal, np.random.PCG64DXSM(4), np.zeros(1), 0.9)
    draws, _ = run(chain, 8_000, 1)
    assert abs(batch_means_z(draws, 0.0))[0] < 3.5
    assert abs(batch_means_z(draws**2, 1.0))[0] < 3.5
    assert abs(batch_means_z(draws**4, 3.0))[0] < 3.5


def point_of(function, position, momentum):
    lp, gradient = function(position)
    return Point(position, momentum, gradient, lp)


@pytest.mark.parametrize("function", [student_t(3), banana, ring])
def test_leapfrog_is_reversible_and_second_order(function):
    begin = point_of(function, np.array([1.0, 1.4]), np.array([0.7, -0.4]))

    def travel(point, step, n):
        for _ in range(n):
            point = leapfrog(function, point, step)
        return point

    back = travel(travel(begin, 0.02, 20), -0.02, 20)
    assert back.index == 0
    np.testing.assert_allclose(back.position, begin.position, rtol=1e-11)
    np.testing.assert_allclose(back.momentum, begin.momentum, rtol=1e-11)
    errors = [abs(travel(begin, 0.02 / k, 10 * k).energy - begin.energy) for k in (1, 2, 4)]
    assert 3.3 < errors[0] / errors[1] < 4.7
    assert 3.8 < errors[1] / errors[2] < 4.2


def test_leapfrog_preserves_volume():
    origin = np.array([1.0, 1.4, 0.7, -0.4])

    def flow(state):
        point = leapfrog(banana, point_of(banana, state[:2], state[2:]), 0.1)
        return np.concatenate([point.position, point.momentum])

    shifts = 1e-5 * np.eye(4)
    jacobian = np.array([(flow(origin + e) - flow(origin - e)) / 2e-5 for e in shifts])
    assert np.linalg.det(jacobian) == pytest.approx(1.0, abs=1e-7)
