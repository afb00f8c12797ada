"""The vectorised exp, log1p and sums of kernel/_vector.h, seen through the families that are made of them."""

import math

import numpy as np
import pytest
from mpmath import mp

from bayesglm.families import Bernoulli, Binomial, Gamma, NegativeBinomial, Poisson

#: Where 256 rows are one chunk and 8 one vector: whole ones, one row less, one more.
LENGTHS = [1, 7, 8, 9, 255, 256, 257, 511, 513, 1000]


def exp(x):
    """The kernel's exp: the curvature of Poisson rows is nothing else."""
    x = np.asarray(x, dtype=np.float64)
    return Poisson().value_and_curvature(np.zeros(len(x)), x)[1]


def softplus(x):
    """The kernel's log(1 + exp(x)), row by row: minus the weighted log likelihood of a failure."""
    return np.array(
        [-Bernoulli().loglik_and_score(np.zeros(1), np.array([v]), weight=np.ones(1))[0] for v in x]
    )


def units_in_the_last_place(found, true):
    """Distances from numbers of mpmath, in the spacing of doubles there."""
    return np.array(
        [float(abs(mp.mpf(float(f)) - t)) / np.spacing(float(t)) for f, t in zip(found, true, strict=True)]
    )


def test_exp_is_exact_to_two_units():
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [
            rng.uniform(-708.0, 709.78, 4000),
            rng.normal(size=2000),
            rng.normal(size=500) * 10.0 ** rng.uniform(-18, 0, 500),
            # Where the multiple of log(2) that is taken out changes.
            (np.arange(-1020, 1024) + 0.5) * np.log(2.0),
            [0.0, -0.0, 5e-324, -5e-324, 709.0, 709.782712893384, -708.0],
        ]
    )
    x = np.concatenate([x, np.nextafter(x, np.inf), np.nextafter(x, -np.inf)])
    x = x[(x >= -708.0) & (x <= 709.782712893384)]
    with mp.workdps(40):
        worst = units_in_the_last_place(exp(x), [mp.exp(mp.mpf(float(v))) for v in x]).max()
    assert worst < 2.0


def test_exp_at_the_ends():
    above = [709.7827128933841, 710.0, 745.0, 1e4, 1e300, np.inf]
    below = [np.nextafter(-708.0, -np.inf), -709.5, -745.0, -1e4, -1e300, -np.inf]
    assert np.all(exp(above) == np.inf)
    assert np.all(exp(below) == 0.0)  # instead of subnormal numbers
    found = exp([0.0, np.nan, 1.0, np.nan, np.nan, 2.0, 3.0, 4.0, np.nan])
    np.testing.assert_array_equal(np.isnan(found), [0, 1, 0, 1, 1, 0, 0, 0, 1])
    assert found[0] == 1.0


def test_log1p_is_exact_to_three_units():
    """One of them may be that of the exponential inside."""
    rng = np.random.default_rng(1)
    near = np.log(0.41421356237309503)  # where log(1 + t) changes its expansion
    x = np.concatenate(
        [
            -rng.exponential(3.0, 1500),
            rng.uniform(-700.0, 0.0, 300),
            near + rng.normal(size=200) * 1e-12,
            [0.0],
        ]
    )
    x = np.minimum(x, 0.0)
    with mp.workdps(340):
        true = [mp.log1p(mp.exp(mp.mpf(float(v)))) for v in x]
        worst = units_in_the_last_place(softplus(x), true).max()
    assert worst < 3.0


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("family", "aux"),
    [(Bernoulli(), []), (Binomial(), []), (Poisson(), []), (NegativeBinomial(), [1.7]), (Gamma(), [2.3])],
    ids=lambda value: repr(value) if not isinstance(value, list) else "",
)
def test_rows_do_not_depend_on_their_neighbours(family, aux, weighted):
    """Scores have the bits of a row alone, sums those of its rows to rounding, whatever the last chunk holds."""
    rng = np.random.default_rng(2)
    for n in LENGTHS:
        eta = rng.normal(scale=3.0, size=n)
        y = rng.gamma(1.0, size=n) if isinstance(family, Gamma) else rng.integers(0, 2, n).astype(float)
        weight = rng.uniform(0.5, 2.0, n) if weighted else None
        extra = np.full(n, 3.0) if family.extra else None
        value, score, _ = family.loglik_and_score(y, eta, aux, weight=weight, extra=extra)
        alone = [
            family.loglik_and_score(
                y[i : i + 1],
                eta[i : i + 1],
                aux,
                weight=None if weight is None else weight[i : i + 1],
                extra=None if extra is None else extra[i : i + 1],
            )
            for i in range(n)
        ]
        np.testing.assert_array_equal(score, [one[1][0] for one in alone])
        terms = [one[0] for one in alone]
        assert abs(value - math.fsum(terms)) < 1e-13 * math.fsum(map(abs, terms))
        again, _ = family.value_and_curvature(y, eta, aux, weight=weight, extra=extra)
        assert again == value


@pytest.mark.parametrize("at", [0, 7, 8, 255, 256, 299])
@pytest.mark.parametrize("family", [Bernoulli(), Poisson(), Gamma()], ids=repr)
def test_one_row_that_is_no_number_is_seen_in_the_sum(family, at):
    eta = np.zeros(300)
    eta[at] = np.nan
    aux = [1.0] * len(family.aux)
    assert np.isnan(family.loglik_and_score(np.ones(300), eta, aux)[0])
