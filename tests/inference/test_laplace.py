"""Newton's method with line search, curvature of priors and maps, and the tail of importance weights."""

from importlib import metadata

import numpy as np
import pytest
from scipy import stats

from bayesglm.inference.curvature import prior_curvature
from bayesglm.inference.laplace import fit_laplace
from bayesglm.inference.pareto import pareto_k
from bayesglm.kernel.priors import Cauchy, Flat, Laplace, Normal, StudentT


def quartic(q):
    """A density that is steeper than a normal one, its mode at (1, -2)."""
    d = np.asarray(q) - [1.0, -2.0]
    return -float(np.sum(d**4 + 0.5 * d**2)), -(4.0 * d**3 + d)


def test_the_mode_is_found_from_far_away():
    fit = fit_laplace(
        quartic, np.array([40.0, -90.0]), lambda q: np.diag(12.0 * (q - [1.0, -2.0]) ** 2 + 1.0)
    )
    np.testing.assert_allclose(fit.mode, [1.0, -2.0], atol=1e-8)
    assert fit.converged
    assert fit.flat.shape == (2, 0)
    np.testing.assert_allclose(fit.factor @ fit.factor.T, np.eye(2), atol=1e-7)


def test_steps_that_overshoot_are_halved():
    """log cosh: from far out a full Newton step leads further out on the other side."""
    fit = fit_laplace(
        lambda q: (-float(np.sum(np.logaddexp(q, -q))), -np.tanh(q)),
        np.array([3.0]),
        lambda q: np.diag(1.0 / np.cosh(q) ** 2),
    )
    assert abs(fit.mode[0]) < 1e-8


def test_a_curvature_that_is_not_positive_is_made_so():
    """A mixture of two normals, started where the density is convex."""

    def target(q):
        a, b = np.exp(-0.5 * (q[0] - 3.0) ** 2), np.exp(-0.5 * (q[0] + 3.0) ** 2)
        return float(np.log(a + b)), np.array([(a * (3.0 - q[0]) + b * (-3.0 - q[0])) / (a + b)])

    def curvature(q):
        h = 1e-5
        return np.array([[(target(q - h)[1][0] - target(q + h)[1][0]) / (2.0 * h)]])

    fit = fit_laplace(target, np.array([0.3]), curvature)
    assert fit.mode[0] == pytest.approx(3.0, abs=1e-6)


def test_directions_without_curvature_are_told():
    direction = np.array([1.0, 1.0]) / np.sqrt(2.0)

    def target(q):
        along = q @ direction - 1.0
        return -0.5 * float(along**2), -along * direction

    fit = fit_laplace(target, np.zeros(2), lambda q: np.outer(direction, direction))
    assert fit.flat.shape == (2, 1)
    np.testing.assert_allclose(np.abs(fit.flat[:, 0]), np.sqrt(0.5), atol=1e-8)


def test_no_mode_is_no_convergence():
    fit = fit_laplace(lambda q: (float(q[0]), np.ones(1)), np.zeros(1), lambda q: np.array([[1e-3]]))
    assert not fit.converged


def test_nothing_to_fit():
    fit = fit_laplace(lambda q: (0.0, np.zeros(0)), np.zeros(0), lambda q: np.zeros((0, 0)))
    assert fit.mode.shape == (0,)
    assert fit.converged


@pytest.mark.parametrize(
    "prior", [Normal(0.5, 2.0), StudentT(4.0, 0.5, 2.0), Cauchy(0.5, 2.0), Flat()], ids=str
)
def test_curvature_of_priors(prior):
    """The second derivative where it is positive, and a positive number where it is not."""
    bound = prior.bind([0])
    for x in (-6.0, -0.3, 0.5, 1.2, 9.0):
        h = 1e-4
        up, down = (bound.value_and_gradient([x + s])[1][0] for s in (h, -h))
        exact = (down - up) / (2.0 * h)
        (found,) = prior_curvature(bound, np.array([x]))
        assert found >= 0.0
        if exact > 0.0:
            assert found == pytest.approx(exact, rel=1e-6)
    assert prior_curvature(Laplace(0.0, 2.0).bind([0]), np.zeros(1))[0] == 0.125


@pytest.mark.parametrize("k", [0.0, 0.3, 0.7])
def test_the_shape_of_a_pareto_tail(k):
    rng = np.random.default_rng(1)
    found = [pareto_k(np.log(stats.genpareto(k, loc=1.0).rvs(4000, random_state=rng))) for _ in range(30)]
    # The prior on k is worth ten observations at 0.5.
    tail = np.ceil(3.0 * np.sqrt(4000))
    expected = (tail * k + 5.0) / (tail + 10.0)
    assert abs(np.mean(found) - expected) < 4.0 * np.std(found) / np.sqrt(30) + 0.02


def test_the_shape_is_that_of_arviz():
    weights = np.random.default_rng(2).standard_t(4.0, 2000)
    if int(metadata.version("arviz").split(".")[0]) >= 1:
        from arviz_stats.base import array_stats

        # 1.x takes the log likelihood, of which weights are the inverse, and a tail of another length.
        assert pareto_k(weights) == pytest.approx(float(array_stats.psislw(-weights)[1]), abs=0.02)
    else:
        from arviz import psislw

        assert pareto_k(weights) == pytest.approx(float(psislw(weights.copy())[1]), abs=1e-6)


def test_weights_without_a_tail():
    assert pareto_k(np.zeros(100)) == -np.inf
    assert pareto_k(np.zeros(10)) == np.inf
    assert pareto_k(np.append(np.zeros(99), np.nan)) == np.inf
    assert pareto_k(np.full(100, -np.inf)) == np.inf
