"""The one-pass summary against least squares in extended precision: accuracy, weights, blocks, threads, types."""

import numpy as np
import pytest

from bayesglm.inference import moments
from bayesglm.inference.sufficient import summarize
from tests.acceptance.nist import solve_doubles
from tests.least_squares import check, coefficients, least_squares, rows, same_bits

pytestmark = pytest.mark.filterwarnings("error")  # what a user would see of a fit

# -- agreement with least squares -------------------------------------------------------------------


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "p"), [(3, 1), (30, 4), (200, 25), (30_000, 3)])
def test_least_squares(n, p, weighted, intercept):
    X, y = rows(n, p)
    w = np.random.default_rng(1).exponential(2.0, n) if weighted else None
    check(X, y, w, intercept)


@pytest.fixture(autouse=True)
def threads_for_small_data(monkeypatch):
    """Let threads share out small data too, which `summarize` would not do for so little."""
    monkeypatch.setattr(moments, "THREADED_BYTES", 0)


def test_cross_products_are_those_of_standardised_data():
    X, y = rows(50, 4)
    X *= [1.0, 100.0, 0.01, 5.0]
    w = np.random.default_rng(2).exponential(1.0, 50)
    for intercept in (True, False):
        s = summarize(X, y, w, intercept=intercept)
        mean = s.x_mean if intercept else 0.0
        Z = (X - mean) / s.x_unit
        r = (y - (s.y_mean if intercept else 0.0)) / s.y_unit
        np.testing.assert_allclose(s.factor.T @ s.factor, (Z.T * w) @ Z, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(s.factor.T @ s.rotated, (Z.T * w) @ r, rtol=1e-10, atol=1e-10)
        assert s.rss + s.rotated @ s.rotated == pytest.approx(w @ r**2, rel=1e-12)
        np.testing.assert_allclose(np.average(Z**2, axis=0, weights=w), 1.0, rtol=1e-10)
        assert np.average(r**2, weights=w) == pytest.approx(1.0, rel=1e-10)


def test_offset_of_a_thousand_million():
    X, y = rows(20_000, 3)
    check(X + 1e9, y, rtol=1e-9)
    check(X + np.array([1e9, -1e9, 0.0]), y - 1e9, rtol=1e-9)


def test_offset_without_an_intercept():
    X, y = rows(2_000, 2)
    X[:, 0] += 1e6
    check(X, y + 3 * X[:, 0], intercept=False, rtol=1e-8)


def test_offset_that_the_first_rows_do_not_show():
    """Sorted data: the first block is constant at zero, the rest lies far away."""
    rng = np.random.default_rng(3)
    n = 40_000
    x = np.where(np.arange(n) < 15_000, 0.0, 1e9 + rng.normal(size=n))
    y = 1e-9 * x + rng.normal(size=n)
    check(np.column_stack([x, rng.normal(size=n)]), y, rtol=1e-9)


def test_drifting_column():
    """A time stamp in nanoseconds."""
    rng = np.random.default_rng(4)
    x = 1.7e18 + 1e9 * np.arange(50_000.0)
    check(
        np.column_stack([x, rng.normal(size=50_000)]),
        rng.normal(size=50_000) + 1e-14 * (x - 1.7e18),
        rtol=1e-9,
    )


def test_scales_far_apart():
    X, y = rows(500, 4)
    check(X * [1e-8, 1.0, 1e8, 1e4], y, rtol=1e-10)
    check(X * [1e-8, 1.0, 1e8, 1e4], y, intercept=False, rtol=1e-10)
    check(X * [1e-100, 1.0, 1e100, 1e4], 1e50 * y, rtol=1e-10)


@pytest.mark.parametrize("scale", [1e-155, 1e-158, 1e-170, 1e155, 1e200])
def test_squares_that_leave_the_range_of_doubles_are_right_or_refused(scale):
    X, y = rows(50, 2)
    for columns, response in ((X * [scale, 1.0], y), (X, scale * y)):
        try:
            found = summarize(columns, response)
        except FloatingPointError:
            continue
        coef, _ = least_squares(columns, response)
        np.testing.assert_allclose(coefficients(found) / coef.astype(float), 1.0, rtol=1e-8)


def test_almost_perfect_fit_reads_the_data_twice():
    """rss comes out of the residuals, not of a difference of large numbers."""
    X, y = rows(300, 3, noise=1e-6)
    check(X, y, rtol=1e-9)
    X, y = rows(300, 3, noise=1e-9)
    found = summarize(X, y)
    _, rss = least_squares(X, y)
    assert found.rss * found.y_unit**2 == pytest.approx(rss, rel=1e-5)


@pytest.mark.parametrize(("degree", "digits"), [(3, 10), (6, 9), (9, 6)])
def test_polynomials(degree, digits):
    x = np.linspace(0.0, 1.0, 60)
    X = x[:, np.newaxis] ** np.arange(1, degree + 1)
    y = np.sin(5 * x) + 0.1 * np.cos(50 * x)
    found = summarize(X, y)
    truth = np.array([float(b) for b in solve_doubles(X, y).estimates[1:]])
    assert np.max(np.abs(coefficients(found) / truth - 1)) < 10.0**-digits
    sd = float(solve_doubles(X, y).residual_sd)
    assert np.sqrt(found.rss / (60 - degree - 1)) * found.y_unit == pytest.approx(sd, rel=1e-9)


def test_ill_conditioned_in_many_blocks(monkeypatch):
    """The second reading, by orthogonal transformations, adds up over blocks, panels and threads too."""
    monkeypatch.setattr(moments, "BLOCK_BYTES", 1 << 13)
    monkeypatch.setattr(moments, "PANEL_BLOCKS", 2)
    rng = np.random.default_rng(5)
    X = rng.normal(size=(3_000, 4))
    X[:, 3] = X[:, 0] - X[:, 1] + 1e-7 * X[:, 3]
    y = X @ [1.0, 2.0, 3.0, 4.0] + rng.normal(size=3_000)
    w = rng.integers(0, 4, 3_000).astype(float)
    # Condition number 1e7, whose square multiplies the residuals' rounding: found 0.4 to 1.4e-7, by order of rows.
    found = check(X, y, rtol=5e-7)
    check(X, y, w, rtol=5e-7)
    same_bits(found, summarize(X, y, n_threads=3))


# -- weights ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("intercept", [True, False])
def test_a_weight_counts_rows(intercept):
    X, y = rows(60, 3)
    w = np.random.default_rng(6).integers(0, 5, 60)
    weighted = summarize(X, y, w.astype(float), intercept=intercept)
    repeated = summarize(np.repeat(X, w, axis=0), np.repeat(y, w), intercept=intercept)
    for name in ("weight", "x_mean", "x_sd", "y_mean", "y_sd", "x_unit", "y_unit", "rotated", "rss"):
        np.testing.assert_allclose(
            getattr(weighted, name), getattr(repeated, name), rtol=1e-11, atol=1e-12, err_msg=name
        )
    np.testing.assert_allclose(weighted.factor, repeated.factor, rtol=1e-10, atol=1e-11)
    assert weighted.n_rows == np.count_nonzero(w)


def test_a_weight_counts_rows_when_they_are_as_many_as_coefficients():
    """Two points seen three times are six rows on a line: a perfect fit, not a lack of rows."""
    X, y = np.array([[0.0], [1.0]]), np.array([1.0, 3.0])
    weighted = summarize(X, y, np.full(2, 3.0))
    repeated = summarize(np.repeat(X, 3, axis=0), np.repeat(y, 3))
    assert repeated.exact_fit
    assert weighted.exact_fit
    assert weighted.rss == pytest.approx(repeated.rss, rel=1e-6)


@pytest.mark.parametrize("first", [False, True])
def test_rows_of_no_weight_do_not_matter(first):
    """Not even if they fill the first block, whose means the others are shifted by."""
    rng = np.random.default_rng(7)
    n = 30_000
    X, y = rows(n, 2)
    X += 1e9
    w = rng.exponential(1.0, n)
    out = np.arange(n) < 27_000 if first else rng.random(n) < 0.3
    w[out] = 0.0
    X[out], y[out] = -12345.0, 1e5
    found = summarize(X, y, w)
    alone = summarize(X[~out], y[~out], w[~out])
    assert found.n_rows == alone.n_rows
    np.testing.assert_allclose(found.x_sd, alone.x_sd, rtol=1e-9)
    np.testing.assert_allclose(coefficients(found), coefficients(alone), rtol=1e-8)
    assert found.rss == pytest.approx(alone.rss, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_weights_of_any_size(scale):
    X, y = rows(40, 2)
    w = scale * np.random.default_rng(8).exponential(1.0, 40)
    check(X, y, w)


# -- memory, types, threads ---------------------------------------------------------------------------


def test_many_blocks():
    X, y = rows(70_000, 3)
    check(X, y)
    check(X, y, np.random.default_rng(0).exponential(1.0, 70_000), intercept=False)


def test_blocks_do_not_matter(monkeypatch):
    X, y = rows(5_000, 4)
    whole = summarize(X, y)
    monkeypatch.setattr(moments, "BLOCK_BYTES", 1 << 12)
    monkeypatch.setattr(moments, "PANEL_BLOCKS", 3)
    pieces = summarize(X, y)
    np.testing.assert_allclose(pieces.factor, whole.factor, rtol=1e-11, atol=1e-11)
    assert pieces.rss == pytest.approx(whole.rss, rel=1e-12)


@pytest.mark.parametrize("intercept", [True, False])
def test_threads_do_not_change_a_bit(intercept, monkeypatch):
    monkeypatch.setattr(moments, "PANEL_BLOCKS", 1)
    X, y = rows(70_000, 3)
    alone = summarize(X, y, intercept=intercept)
    for n_threads in (2, 3, 8):
        same_bits(alone, summarize(X, y, intercept=intercept, n_threads=n_threads))


def test_threads_share_panels_of_wide_data_out(monkeypatch):
    monkeypatch.setattr(moments, "BLOCK_BYTES", 1 << 16)
    X, y = rows(5_000, 150)
    found = summarize(X, y)
    same_bits(found, summarize(X, y, n_threads=2))
    q, r = np.linalg.qr(np.column_stack([np.ones(5_000), X]))
    np.testing.assert_allclose(coefficients(found), np.linalg.solve(r, q.T @ y)[1:], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float16, np.int64, np.int8, np.uint8, np.bool_, np.longdouble]
)
def test_any_real_type_is_converted_exactly(dtype):
    rng = np.random.default_rng(11)
    X = (
        rng.normal(size=(400, 3)) > 0
        if dtype is np.bool_
        else (5 + 3 * rng.normal(size=(400, 3))).clip(0, 100)
    )
    X = X.astype(dtype)
    y = X.astype(float).sum(axis=1) + rng.normal(size=400)
    same_bits(summarize(X, y), summarize(X.astype(np.float64), y))


def test_float32_with_an_offset_loses_nothing_more():
    X = (rows(2_000, 2)[0] + 1000).astype(np.float32)
    check(X.astype(float), rows(2_000, 2)[1])
    same_bits(summarize(X, rows(2_000, 2)[1]), summarize(X.astype(float), rows(2_000, 2)[1]))


def test_integer_response():
    X, _ = rows(100, 2)
    y = np.random.default_rng(12).integers(0, 50, 100)
    same_bits(summarize(X, y), summarize(X, y.astype(float)))


def test_memory_layout_does_not_matter():
    X, y = rows(20_000, 3)
    wide = np.zeros((20_000, 7))
    wide[:, 1::2] = X
    strided = np.repeat(y, 2)[::2]
    expected = summarize(X, y)
    for layout in (np.asfortranarray(X), wide[:, 1::2], X[::-1][::-1]):
        same_bits(expected, summarize(layout, y))
    same_bits(expected, summarize(X, strided))


def test_the_data_are_left_alone():
    X, y = rows(50, 2)
    w = np.ones(50)
    before = X.copy(), y.copy()
    for array in (X, y, w):
        array.flags.writeable = False
    summarize(X, y, w)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])


# -- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 29_999])
@pytest.mark.parametrize("where", ["X", "y", "weights"])
def test_values_that_are_not_finite(where, row, value):
    X, y = rows(30_000, 2)
    w = np.ones(30_000)
    {"X": X[:, 1], "y": y, "weights": w}[where][row] = value
    with pytest.raises(FloatingPointError, match="not finite"), np.errstate(invalid="ignore", over="ignore"):
        summarize(X, y, w)
