"""The bucket sort and the folded order against numpy, on draws that suit buckets and on draws that do not."""

import numpy as np
import pytest

from bayesglm.kernel.ranks import folded_draws, sorted_draws

N = 1000


def samples():
    rng = np.random.default_rng(20)
    normal = rng.standard_normal(N)
    return {
        "normal": normal,
        "one": normal[:1],
        "two": normal[:2],
        "ascending": np.arange(N, dtype=float),
        "descending": -np.arange(N, dtype=float),
        "equal": np.full(N, 0.1),
        "two values": rng.integers(0, 2, N).astype(float),
        "rounded": np.round(normal, 1),
        "zeros of both signs": np.where(rng.random(N) < 0.5, -0.0, 0.0),
        "mostly equal": np.where(rng.random(N) < 0.1, normal, 3.0),
        "cauchy": rng.standard_cauchy(N),
        "log-normal": np.exp(20 * normal),
        "one outlier": np.append(normal, 1e300),
        "huge": normal * 1e307,
        "subnormal": normal * 5e-323,
        "offset": 1e8 + 1e-7 * normal,
        "four narrow clusters": np.repeat(np.arange(4.0), N // 4) + 1e-9 * normal,
        "sample misleads": np.where(np.arange(N) % (N // 31) == 0, 1e-12 * normal, normal),
    }


@pytest.mark.parametrize("name", samples())
def test_sorted_draws(name):
    draws = samples()[name]
    ordered, order = sorted_draws(draws)
    np.testing.assert_array_equal(ordered, np.sort(draws))
    np.testing.assert_array_equal(draws[order], ordered)
    np.testing.assert_array_equal(np.sort(order), np.arange(draws.size))


@pytest.mark.parametrize("name", [name for name in samples() if name != "one"])
def test_folded_draws(name):
    draws = samples()[name]
    draws = draws[: draws.size // 2 * 2]
    with np.errstate(over="ignore"):
        distance = np.abs(draws - np.median(draws))
    folded, order = folded_draws(draws)
    np.testing.assert_array_equal(folded, np.sort(distance))
    np.testing.assert_array_equal(distance[order], folded)
    np.testing.assert_array_equal(np.sort(order), np.arange(draws.size))


def test_rejects_what_it_cannot_sort():
    with pytest.raises(ValueError, match="at least one"):
        sorted_draws(np.empty(0))
    with pytest.raises(ValueError, match="even"):
        folded_draws(np.zeros(3))
