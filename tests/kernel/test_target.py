"""Targets: the affine view of a density and densities given as Python functions."""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bayesglm.kernel.gaussian import ScaleTarget
from bayesglm.kernel.positive_priors import HalfNormal
from bayesglm.kernel.target import AffineTarget, PyTarget, Target


def quartic(q):
    """A density without symmetry, so that a transposed factor is noticed."""
    c = np.arange(1.0, len(q) + 1)
    return -np.sum(c * q**4) - q[0] * q[-1] + 0.3 * q[0], -4 * c * q**3 - partial_of_cross(q)


def partial_of_cross(q):
    out = np.zeros(len(q))
    out[0] += q[-1] - 0.3
    out[-1] += q[0]
    return out


def slope(target, q, step=1e-6):
    """Central differences of a target."""
    unit = np.eye(len(q))
    return np.array([(target(q + step * e)[0] - target(q - step * e)[0]) / (2 * step) for e in unit])


def affine(dim, rng):
    return rng.normal(size=dim), rng.normal(size=(dim, dim)) + 2 * np.eye(dim)


@pytest.mark.parametrize("dim", [1, 2, 7])
def test_affine_target_is_the_density_at_the_mapped_point(dim):
    rng = np.random.default_rng(1)
    shift, factor = affine(dim, rng)
    target = AffineTarget(PyTarget(dim, quartic), shift, factor)
    assert target.dim == dim
    for _ in range(5):
        z = rng.normal(size=dim)
        value, gradient = target(z)
        expected, inner = quartic(shift + factor @ z)
        assert value == pytest.approx(expected, rel=1e-13)
        np.testing.assert_allclose(gradient, factor.T @ inner, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(gradient, slope(target, z), rtol=1e-5, atol=1e-4)


def test_a_large_triangular_map_is_applied_as_what_it_is():
    """Of each kind of map: triangular, full, and triangular the other way, which no mode's is."""
    rng, dim = np.random.default_rng(2), 230
    full = rng.normal(size=(dim, dim)) / 20.0 + np.eye(dim)
    shift, z = rng.normal(size=dim), rng.normal(size=dim)
    for factor in (np.triu(full), full, np.tril(full)):
        value, gradient = AffineTarget(PyTarget(dim, quartic), shift, factor).clone()(z)
        expected, inner = quartic(shift + factor @ z)
        assert value == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(gradient, factor.T @ inner, rtol=1e-9, atol=1e-9 * np.abs(inner).max())


def test_affine_target_does_not_change_its_input():
    target = AffineTarget(PyTarget(2, quartic), np.ones(2), np.eye(2))
    z = np.array([0.5, -0.5])
    target(z)
    np.testing.assert_array_equal(z, [0.5, -0.5])


def test_affine_targets_can_be_stacked():
    rng = np.random.default_rng(2)
    (shift, factor), (outer_shift, outer_factor) = affine(3, rng), affine(3, rng)
    inner = PyTarget(3, quartic)
    stacked = AffineTarget(AffineTarget(inner, shift, factor), outer_shift, outer_factor)
    joined = AffineTarget(inner, factor @ outer_shift + shift, factor @ outer_factor)
    z = rng.normal(size=3)
    assert stacked(z)[0] == pytest.approx(joined(z)[0], rel=1e-12)
    np.testing.assert_allclose(stacked(z)[1], joined(z)[1], rtol=1e-10)


def test_unwhiten_maps_any_number_of_draws():
    shift, factor = affine(3, np.random.default_rng(3))
    target = AffineTarget(PyTarget(3, quartic), shift, factor)
    z = np.random.default_rng(4).normal(size=(2, 5, 3))
    out = target.unwhiten(z)
    assert out.shape == (2, 5, 3)
    for i in range(2):
        for j in range(5):
            np.testing.assert_allclose(out[i, j], shift + factor @ z[i, j], rtol=1e-13)
    np.testing.assert_allclose(target.unwhiten(z[0, 0]), out[0, 0], rtol=1e-13)


def test_affine_target_takes_any_memory_layout():
    rng = np.random.default_rng(5)
    shift, factor = affine(4, rng)
    z = rng.normal(size=4)
    plain = AffineTarget(PyTarget(4, quartic), shift, factor)(z)
    other = AffineTarget(PyTarget(4, quartic), np.repeat(shift, 2)[::2], np.asfortranarray(factor))(z)
    assert plain[0] == other[0]
    np.testing.assert_array_equal(plain[1], other[1])


@pytest.mark.parametrize(
    ("shift", "factor"), [(np.zeros(2), np.eye(3)), (np.zeros(3), np.eye(2)), (np.zeros(3), np.ones(3))]
)
def test_affine_target_refuses_wrong_shapes(shift, factor):
    with pytest.raises(ValueError, match=r"shift and factor must have shapes \(3,\) and \(3, 3\)"):
        AffineTarget(PyTarget(3, quartic), shift, factor)


@pytest.mark.parametrize("q", [[], [1.0], [1.0, 2.0, 3.0]])
def test_a_point_of_the_wrong_length_is_refused(q):
    with pytest.raises(ValueError, match=f"q has {len(q)} entries, but the target has dimension 2"):
        PyTarget(2, quartic)(q)


def compiled(dim):
    """A target that holds no GIL: log sigma beside standard normal coordinates."""
    return ScaleTarget(dim, 10.0, 3.0, [2.0], [1.0], [0.5], HalfNormal().bind([0]))


def test_clones_share_no_scratch_memory():
    rng = np.random.default_rng(6)
    shift, factor = 0.1 * rng.normal(size=40), np.eye(40) + 0.01 * rng.normal(size=(40, 40))
    target = AffineTarget(compiled(40), shift, factor)
    points = 0.3 * rng.normal(size=(4, 40))
    alone = [target(q) for q in points]

    def work(i):
        own = target.clone()
        found = [own(points[i]) for _ in range(500)]
        return all(v == alone[i][0] and np.array_equal(g, alone[i][1]) for v, g in found)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    assert target.clone() is not target
    assert target.clone().factor is target.factor


def test_affine_target_pickles():
    shift, factor = affine(3, np.random.default_rng(7))
    target = AffineTarget(compiled(3), shift, factor)
    again = pickle.loads(pickle.dumps(target))
    z = np.array([0.1, 0.2, -0.1])
    assert again(z)[0] == target(z)[0]
    np.testing.assert_array_equal(again(z)[1], target(z)[1])


def test_a_python_function_sees_a_point_of_its_own():
    seen = []

    def function(q):
        seen.append(q)
        value = -0.5 * q @ q
        gradient = -q
        q[:] = np.nan
        return value, gradient.tolist()

    target = PyTarget(2, function)
    value, gradient = target([3.0, 4.0])
    assert value == -12.5
    np.testing.assert_array_equal(gradient, [-3.0, -4.0])
    assert seen[0].dtype == np.float64
    assert target.function is function


class BrokenError(Exception):
    """Not one that the package knows."""


@pytest.mark.parametrize("error", [BrokenError("no"), KeyboardInterrupt(), ZeroDivisionError()])
def test_what_a_python_function_raises_is_kept_and_raised_once(error):
    def function(q):
        raise error

    target = PyTarget(1, function)
    assert not target.failed
    value, _ = target([0.0])
    assert np.isnan(value)
    assert target.failed
    assert target.error is error
    with pytest.raises(type(error)):
        target.raise_error()
    assert not target.failed
    assert target.error is None
    target.raise_error()


@pytest.mark.parametrize("result", [None, 3.0, (1.0, np.ones(1)), (1.0, None), ("a", [1.0, 2.0])])
def test_a_wrong_answer_of_a_python_function_is_an_error(result):
    target = PyTarget(2, lambda q: result)
    target([0.0, 0.0])
    assert target.failed
    with pytest.raises((TypeError, IndexError, ValueError)):
        target.raise_error()


def test_a_list_that_is_too_short_is_an_error():
    """Not a crash, so in a process of its own."""
    code = (
        "from bayesglm.kernel.target import PyTarget\n"
        "for _ in range(2000):\n"
        "    target = PyTarget(50, lambda q: (1.0, [1.0]))\n"
        "    target([0.0] * 50)\n"
        "    assert target.failed and isinstance(target.error, (IndexError, ValueError)), target.error\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 0, found.stderr


def test_the_base_class_has_no_density():
    assert Target().dim == 0
    assert Target()([]) == (0.0, pytest.approx([]))


def test_a_diagonal_map_is_the_same_without_its_products():
    rng = np.random.default_rng(4)
    shift, width = rng.normal(size=4), np.exp(rng.normal(size=4))
    inner = PyTarget(4, lambda q: (-0.25 * np.sum(q**4), -(q**3)))
    z = rng.normal(size=4)
    nearly = np.diag(width)
    nearly[3, 0] = 1e-300
    one, other = AffineTarget(inner, shift, np.diag(width))(z), AffineTarget(inner, shift, nearly)(z)
    assert one[0] == pytest.approx(other[0], rel=1e-14)
    np.testing.assert_allclose(one[1], other[1], rtol=1e-14)


@pytest.mark.parametrize("wide", [[], [0], [3, 39]])
def test_a_map_with_few_columns_off_the_diagonal_is_the_same_column_by_column(wide):
    rng = np.random.default_rng(5)
    shift, factor = rng.normal(size=40), np.diag(np.exp(rng.normal(size=40)))
    factor[:, wide] = rng.normal(size=(40, len(wide)))
    z = rng.normal(size=40)
    value, gradient = AffineTarget(PyTarget(40, quartic), shift, factor)(z)
    expected, inner = quartic(shift + factor @ z)
    assert value == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(gradient, factor.T @ inner, rtol=1e-11, atol=1e-9)
