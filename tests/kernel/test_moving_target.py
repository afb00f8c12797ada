"""The target behind a map that moves with one coordinate: its density, gradient and points, against NumPy's."""

import pickle

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline

from bayesglm.kernel.moving import MovingTarget
from bayesglm.kernel.target import AffineTarget, PyTarget
from tests.target_cases import scale_target

DIM, KNOTS, FIRST, STEP = 4, 6, -1.0, 0.7


def tables(pivot, seed=0):
    rng = np.random.default_rng(seed)
    found = [0.5 * rng.normal(size=(KNOTS, DIM)) for _ in range(4)]
    found[0][:, pivot], found[1][:, pivot] = (
        np.cumsum(rng.uniform(0.5, 1.0, KNOTS)),
        rng.uniform(0.7, 1.3, KNOTS),
    )
    return found


def moving(pivot=1, inner=None):
    return MovingTarget(scale_target(DIM) if inner is None else inner, pivot, FIRST, STEP, *tables(pivot))


def by_hand(q, pivot):
    """The inner point and the log Jacobian, by SciPy's splines: straight beyond the knots."""
    centre, centre_slope, width, width_slope = tables(pivot)
    knots = FIRST + STEP * np.arange(KNOTS)
    inside = np.clip(q[pivot], knots[0], knots[-1])
    parts = []
    for values, slopes in ((centre, centre_slope), (width, width_slope)):
        spline = CubicHermiteSpline(knots, values, slopes)
        parts.append((spline(inside) + (q[pivot] - inside) * spline(inside, 1), spline(inside, 1)))
    (c, c_slope), (w, _) = parts
    x = c + np.exp(w) * q
    x[pivot] = c[pivot]
    return x, np.log(c_slope[pivot]) + np.delete(w, pivot).sum()


POINTS = [-3.0, FIRST, -0.4, FIRST + STEP, 1.234, FIRST + 5 * STEP, 4.0]


@pytest.mark.parametrize("pivot", [0, 1, 3])
@pytest.mark.parametrize("t", POINTS)
def test_it_is_the_density_at_the_mapped_point(pivot, t):
    target = moving(pivot)
    q = np.random.default_rng(3).normal(size=DIM)
    q[pivot] = t
    x, jacobian = by_hand(q, pivot)
    assert target(q)[0] == pytest.approx(target.inner(x)[0] + jacobian, rel=1e-12)
    np.testing.assert_allclose(target.unwhiten(np.stack([q, 2.0 * q]))[0], x, rtol=1e-12)


@pytest.mark.parametrize("pivot", [0, 1, 3])
@pytest.mark.parametrize("t", [-1.5, -0.4, 0.1, 1.234, 2.9])
def test_gradient(pivot, t):
    target = moving(pivot)
    q = np.random.default_rng(4).normal(size=DIM)
    q[pivot] = t
    step = 1e-6 * np.eye(DIM)
    central = [(target(q + e)[0] - target(q - e)[0]) / 2e-6 for e in step]
    np.testing.assert_allclose(target(q)[1], central, rtol=1e-6, atol=1e-6)


def test_gradient_has_no_jumps_at_knots():
    target, q = moving(1), np.random.default_rng(5).normal(size=DIM)
    for knot in FIRST + STEP * np.arange(KNOTS):
        around = []
        for t in (knot - 1e-9, knot + 1e-9):
            q[1] = t
            around.append(np.delete(target(q)[1], 1))
        np.testing.assert_allclose(*around, atol=1e-6)


def test_a_density_stays_one():
    """Two coordinates: the integral over (u, t) is that over x."""
    inner = PyTarget(2, lambda x: (-0.5 * float(x @ x) - np.log(2.0 * np.pi), -x))
    t = np.linspace(-4.0, 4.0, 9)
    centre = np.column_stack([np.sin(t), t + 0.2 * np.sin(t)])
    slope = np.column_stack([np.cos(t), 1.0 + 0.2 * np.cos(t)])
    width, width_slope = (
        np.column_stack([0.3 * np.cos(t), 0.0 * t]),
        np.column_stack([-0.3 * np.sin(t), 0.0 * t]),
    )
    target = MovingTarget(inner, 1, -4.0, 1.0, centre, slope, width, width_slope)
    grid = np.linspace(-12.0, 12.0, 241)
    values = [target(np.array([u, s]))[0] for u in grid for s in grid]
    assert np.exp(values).sum() * 0.1**2 == pytest.approx(1.0, rel=1e-4)


def test_clones_and_pickles_agree_and_own_their_scratch():
    target = AffineTarget(moving(), np.full(DIM, 0.1), 0.5 * np.eye(DIM))
    q = np.full(DIM, 0.3)
    value, slope = target(q)
    for other in (target.clone(), pickle.loads(pickle.dumps(target))):
        other(-q)
        again = target(q)
        assert other(q)[0] == value == again[0]
        np.testing.assert_array_equal(other(q)[1], slope)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_has_no_density(value):
    q = np.zeros(DIM)
    q[1] = value
    assert not np.isfinite(moving()(q)[0])


def test_an_error_in_python_comes_through():
    def fail(x):
        raise RuntimeError("inside")

    target = moving(inner=PyTarget(DIM, fail))
    assert np.isnan(target(np.zeros(DIM))[0])
    assert target.failed
    with pytest.raises(RuntimeError, match="inside"):
        target.raise_error()
    assert not target.failed


def test_wrong_arguments_are_refused():
    inner, parts = scale_target(DIM), tables(1)
    with pytest.raises(ValueError, match="pivot=4 is none of the inner target's 4 coordinates"):
        MovingTarget(inner, 4, FIRST, STEP, *parts)
    with pytest.raises(ValueError, match=r"one shape \(knots, 4\), with two knots or more"):
        MovingTarget(inner, 1, FIRST, STEP, *parts[:3], parts[3][1:])
    with pytest.raises(ValueError, match="with two knots or more"):
        MovingTarget(inner, 1, FIRST, STEP, *(part[:1] for part in parts))
    with pytest.raises(ValueError, match="q has 3 entries"):
        moving().unwhiten(np.zeros((2, 3)))
