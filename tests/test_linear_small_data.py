"""Small and degenerate data: a row, a column, more columns than rows, constants, perfect fits, extreme units."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import bayesglm
from bayesglm import BayesianLinearRegression, Normal
from tests.linear_data import FEW, FRAME, X, exact_fit, y

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def data():
    return X, y


@pytest.fixture
def frame():
    return FRAME.copy()


@pytest.fixture
def fitted():
    return exact_fit()


def test_one_row(data):
    X, y = data
    with pytest.warns(UserWarning, match=r"single row.*sd\(y\) = 0.*scale of 1"):
        model = BayesianLinearRegression(**FEW).fit(X[:1], y[:1])
    assert model.predict(X[:1]) == pytest.approx(y[:1])
    assert np.all(np.isfinite(model.predict(X, return_std=True)))


@pytest.mark.parametrize("rows", [2, 3, 4])
@pytest.mark.parametrize("prior", [None, "laplace"])
def test_few_rows_and_more_columns_than_rows(data, rows, prior):
    X, y = data
    Z = np.hstack([X, X**2])[:rows]
    model = BayesianLinearRegression(prior=prior, **FEW).fit(Z, y[:rows])
    assert np.all(np.isfinite(model.coef_))
    assert 0.0 < model.sigma_ < 10.0
    assert np.all(np.isfinite(model.predict(Z, return_std=True)))


def test_one_feature_equals_the_closed_form():
    # sigma all but known, so that the posterior is the textbook's normal.
    rng = np.random.default_rng(1)
    x = rng.normal(size=30)
    y = 2.0 * x + rng.normal(size=30)
    model = BayesianLinearRegression(
        prior=Normal(1.0, 0.5), sigma_prior=bayesglm.Gamma(1e8, 1e-8), fit_intercept=False, **FEW
    ).fit(x[:, None], y)
    precision = x @ x + 1 / 0.5**2
    assert model.coef_[0] == pytest.approx((x @ y + 1.0 / 0.5**2) / precision, rel=1e-6)
    assert model.posterior_.exact.sd["coef"][0] == pytest.approx(precision**-0.5, rel=1e-4)
    assert model.intercept_ == 0.0
    assert "Intercept" not in model.posterior_.draws


def test_intercept_only(frame):
    expected = frame["y"].mean()
    by_formula = BayesianLinearRegression("y ~ 1", **FEW).fit(frame)
    assert by_formula.coef_.shape == (0,)
    assert by_formula.intercept_ == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(by_formula.predict(frame), expected, rtol=1e-6)
    assert by_formula.predict_interval(frame).shape == (60, 2)
    assert by_formula.posterior_.features == ()


def test_intercept_only_from_a_frame_without_columns(frame):
    model = BayesianLinearRegression(**FEW).fit(frame[[]], frame["y"])
    np.testing.assert_allclose(model.predict(frame[[]]), frame["y"].mean(), rtol=1e-6)


def test_nothing_but_noise(frame):
    model = BayesianLinearRegression("y ~ 0", **FEW).fit(frame)
    assert model.sigma_ == pytest.approx(np.sqrt(np.mean(frame["y"] ** 2)), rel=0.05)
    np.testing.assert_array_equal(model.predict(frame), np.zeros(60))


@pytest.mark.parametrize("prior", [None, "laplace", "student_t"])
def test_duplicate_column_under_a_proper_prior_shares_the_effect(data, prior):
    X, y = data
    model = BayesianLinearRegression(prior=prior, random_state=0).fit(np.c_[X, X[:, 0]], y)
    single = BayesianLinearRegression(random_state=0).fit(X, y)
    assert model.coef_[0] + model.coef_[3] == pytest.approx(single.coef_[0], abs=0.05)
    assert model.coef_[0] == pytest.approx(model.coef_[3], abs=1e-9 if prior is None else 1.0)


def test_constant_column_under_a_proper_prior_keeps_its_prior(data):
    X, y = data
    model = BayesianLinearRegression(prior=Normal(0.3, 2.0), random_state=0).fit(np.c_[X, np.ones(60)], y)
    assert model.coef_[3] == pytest.approx(0.3, abs=1e-9)
    assert model.posterior_.exact.sd["coef"][3] == pytest.approx(2.0, rel=1e-9)


@pytest.mark.parametrize("prior", [None, "flat", "laplace"])
def test_constant_y(data, prior):
    X, _ = data
    with pytest.warns(UserWarning, match=r"(?i)y is constant.*sd\(y\) = 0.*scale of 1") as caught:
        model = BayesianLinearRegression(prior=prior, **FEW).fit(X, np.full(60, 3.0))
    assert len([w for w in caught if not issubclass(w.category, ConvergenceWarning)]) == 1
    np.testing.assert_allclose(model.predict(X), 3.0, rtol=1e-9)
    assert 0.0 < model.sigma_ < 1e-9
    assert np.all(np.isfinite(model.posterior_.stacked()))


def test_constant_y_without_intercept_is_no_perfect_fit(data):
    X, _ = data
    with pytest.warns(UserWarning, match=r"sd\(y\) = 0") as caught:
        model = BayesianLinearRegression(fit_intercept=False, **FEW).fit(X, np.full(60, 3.0))
    assert model.sigma_ > 1.0
    assert not any("rounding error" in str(w.message) for w in caught)


@pytest.mark.parametrize("prior", [None, "flat", "laplace", "cauchy"])
def test_perfect_fit(data, prior):
    X, _ = data
    with pytest.warns(UserWarning, match="fitted to rounding error"):
        model = BayesianLinearRegression(prior=prior, **FEW).fit(X, 1.0 + X @ [1.0, 2.0, 3.0])
    np.testing.assert_allclose(model.coef_, [1.0, 2.0, 3.0], rtol=1e-9)
    assert model.intercept_ == pytest.approx(1.0, rel=1e-9)
    assert 0.0 < model.sigma_ < 1e-9


@pytest.mark.parametrize("offset", [1e6, 1e9, -1e9])
def test_an_offset_of_the_predictors_changes_nothing_but_the_intercept(data, fitted, offset):
    X, y = data
    model = BayesianLinearRegression(random_state=0).fit(X + offset, y)
    np.testing.assert_allclose(model.coef_, fitted.coef_, rtol=1e-6)
    np.testing.assert_allclose(model.predict(X + offset), fitted.predict(X), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        model.predict(X + offset, return_std=True)[1], fitted.predict(X, return_std=True)[1], rtol=1e-5
    )


def test_the_unit_of_a_column_does_not_matter(data, fitted):
    X, y = data
    unit = np.array([1e-8, 1.0, 1e8])
    model = BayesianLinearRegression(random_state=0).fit(X * unit, 1e6 * y)
    np.testing.assert_allclose(model.coef_ * unit / 1e6, fitted.coef_, rtol=1e-9)
    assert model.sigma_ / 1e6 == pytest.approx(fitted.sigma_, rel=1e-9)


def test_numbers_whose_squares_underflow_are_used_or_refused(data, fitted):
    X, y = data
    try:
        model = BayesianLinearRegression(**FEW).fit(1e-200 * X, y)
    except ValueError as error:
        assert "multiply" in str(error) or "small" in str(error)  # noqa: PT017 (either outcome will do)
    else:
        np.testing.assert_allclose(1e-200 * model.coef_, fitted.coef_, rtol=1e-9)
