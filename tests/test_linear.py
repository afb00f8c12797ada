"""Promises of the estimator's public face: three ways in, priors where the user put them, all that comes after fit."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression

import bayesglm
from bayesglm import BayesianLinearRegression, Flat, HalfNormal, Laplace, Normal, StudentT

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ROOT = Path(bayesglm.__file__).parents[1]
FEW = {"draws": 100, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    return X, 1.0 + X @ [2.0, -1.0, 0.5] + 0.5 * rng.normal(size=60)


@pytest.fixture(scope="module")
def frame(data):
    X, y = data
    return pd.DataFrame(X, columns=list("abc")).assign(y=y, g=list("uvw") * 20)


@pytest.fixture(scope="module")
def fitted(data):
    return BayesianLinearRegression(random_state=0).fit(*data)


@pytest.fixture(scope="module")
def sampled(data):
    """A fit whose posterior is known from its draws only."""
    return BayesianLinearRegression(prior="laplace", random_state=0).fit(*data)


def same(a, b):
    """Whether two fitted estimators hold the same numbers."""
    return (
        np.array_equal(a.coef_, b.coef_)
        and a.intercept_ == b.intercept_
        and a.sigma_ == b.sigma_
        and all(np.array_equal(a.posterior_.draws[k], b.posterior_.draws[k]) for k in a.posterior_.draws)
    )


# -- three ways in ---------------------------------------------------------------------------------------


def test_arrays_are_a_drop_in_for_linear_regression(data):
    X, y = data
    ours = BayesianLinearRegression(prior="flat", intercept_prior="flat", random_state=0).fit(X, y)
    theirs = LinearRegression().fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-9)
    assert ours.intercept_ == pytest.approx(theirs.intercept_, rel=1e-9)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=1e-9)
    assert (ours.coef_.shape, ours.n_features_in_, ours.rank_) == ((3,), 3, 3)
    assert isinstance(ours.intercept_, float)
    assert isinstance(ours.sigma_, float)
    assert not hasattr(ours, "feature_names_in_")


def test_formula_with_its_response(frame, data):
    model = BayesianLinearRegression("y ~ a + b + c", **FEW).fit(frame)
    assert same(model, BayesianLinearRegression(**FEW).fit(*data))
    assert model.posterior_.features == ("a", "b", "c")
    assert list(model.feature_names_in_) == list(frame.columns)


def test_formula_without_its_response(frame):
    one = BayesianLinearRegression("y ~ a + C(g)", **FEW).fit(frame)
    for formula in ("a + C(g)", "~ a + C(g)"):
        assert same(one, BayesianLinearRegression(formula, **FEW).fit(frame.drop(columns="y"), frame["y"]))
    assert one.posterior_.features == ("C(g)[T.v]", "C(g)[T.w]", "a")


def test_a_response_given_beside_a_formula_with_one_is_used(frame):
    model = BayesianLinearRegression("y ~ a", **FEW).fit(frame, 2.0 * frame["y"])
    other = BayesianLinearRegression("y ~ a", **FEW).fit(frame.assign(y=2.0 * frame["y"]))
    assert same(model, other)


def test_names_in_a_formula_come_from_the_namespace_never_from_the_caller(frame):
    def squash(values):
        return np.tanh(values)

    with pytest.raises(ValueError, match="squash.*formula_namespace"):
        BayesianLinearRegression("y ~ squash(a)", **FEW).fit(frame)
    model = BayesianLinearRegression("y ~ squash(a)", formula_namespace={"squash": squash}, **FEW).fit(frame)
    by_hand = BayesianLinearRegression(**FEW).fit(np.tanh(frame[["a"]].to_numpy()), frame["y"])
    np.testing.assert_allclose(model.coef_, by_hand.coef_, rtol=1e-12)


def test_the_example_of_linear_regression():
    X = np.array([[1, 1], [1, 2], [2, 2], [2, 3]])
    y = np.dot(X, np.array([1, 2])) + 3
    with pytest.warns(UserWarning, match="fitted to rounding error") as caught:
        model = BayesianLinearRegression(random_state=0).fit(X, y)
    assert len(caught) == 1
    assert model.score(X, y) == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(model.coef_, [1.0, 2.0], atol=1e-12)
    assert model.intercept_ == pytest.approx(3.0, abs=1e-12)
    np.testing.assert_allclose(model.predict(np.array([[3, 5]])), [16.0], atol=1e-12)
    assert 0.0 < model.sigma_ < 1e-12


def test_diabetes_at_the_defaults_is_quiet_and_close_to_least_squares(recwarn):
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model = BayesianLinearRegression(random_state=0).fit(X, y)
    assert [str(w.message) for w in recwarn] == []
    assert model.score(X, y) == pytest.approx(LinearRegression().fit(X, y).score(X, y), abs=0.01)
    assert list(model.feature_names_in_) == list(X.columns)
    assert model.posterior_.features == tuple(X.columns)
    ends = model.predict_interval(X, 0.9)
    assert 0.85 < np.mean((ends[:, 0] < y) & (y < ends[:, 1])) < 0.95


@pytest.mark.parametrize(
    "convert",
    [
        lambda X, y: (X.astype(np.float32), y),
        lambda X, y: (np.asfortranarray(X), y),
        lambda X, y: (np.repeat(X, 2, axis=0)[::2], np.repeat(y, 2)[::2]),
        lambda X, y: (X.tolist(), y.tolist()),
        lambda X, y: (X.astype(object), y.astype(object)),
        lambda X, y: (pd.DataFrame(X), pd.Series(y)),
        lambda X, y: (pd.DataFrame(X).convert_dtypes(), y),
        lambda X, y: (X, y.astype(np.float32)),
    ],
)
def test_containers_and_dtypes(data, fitted, convert):
    model = BayesianLinearRegression(**FEW).fit(*convert(*data))
    np.testing.assert_allclose(model.coef_, fitted.coef_, rtol=1e-6)


def test_integers_and_booleans_are_numbers(data):
    X, y = data
    for Z in (np.rint(3 * X).astype(int), X > 0, pd.DataFrame(X > 0)):
        model = BayesianLinearRegression(**FEW).fit(Z, y)
        floats = BayesianLinearRegression(**FEW).fit(np.asarray(Z, dtype=float), y)
        np.testing.assert_array_equal(model.coef_, floats.coef_)
        np.testing.assert_array_equal(model.predict(Z), floats.predict(Z))


def test_a_column_vector_as_response_is_what_scikit_learn_says_it_is(data, frame):
    from sklearn.exceptions import DataConversionWarning

    X, y = data
    for column in (y[:, None], frame[["y"]]):
        with pytest.warns(DataConversionWarning, match="column-vector"):
            model = BayesianLinearRegression(**FEW).fit(X, column)
        assert same(model, BayesianLinearRegression(**FEW).fit(X, y))


# -- small and degenerate data ---------------------------------------------------------------------------


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
    with pytest.warns(UserWarning) as caught:
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


# -- priors ----------------------------------------------------------------------------------------------


def test_the_default_prior_is_what_the_page_says(data, fitted):
    X, y = data
    explicit = BayesianLinearRegression(
        prior=Normal(0, 2.5, autoscale=True),
        intercept_prior=Normal(y.mean(), 2.5 * y.std()),
        sigma_prior=bayesglm.HalfStudentT(4, y.std()),
        random_state=0,
    ).fit(X, y)
    np.testing.assert_allclose(explicit.coef_, fitted.coef_, rtol=1e-10)
    by_hand = BayesianLinearRegression(prior=Normal(0, 2.5 * y.std() / X.std(axis=0)), random_state=0).fit(X, y)
    np.testing.assert_allclose(by_hand.coef_, fitted.coef_, rtol=1e-10)


def test_a_number_given_is_a_number_meant(data):
    X, y = data
    for factor in (1.0, 1e3):
        tight = BayesianLinearRegression(prior=Normal(0.25, 1e-6), **FEW).fit(factor * X, factor**2 * y)
        np.testing.assert_allclose(tight.coef_, 0.25, atol=1e-4)


def test_prior_scale_replaces_the_scale(data):
    X, y = data
    for prior, explicit in (
        (None, Normal(0, 0.1, autoscale=True)),
        (Normal(1.0, 5.0), Normal(1.0, 0.1)),
        (Laplace(0.0, 5.0), Laplace(0.0, 0.1)),
        (StudentT(3, 0.0, 5.0), StudentT(3, 0.0, 0.1)),
    ):
        by_scale = BayesianLinearRegression(prior=prior, prior_scale=0.1, **FEW).fit(X, y)
        assert same(by_scale, BayesianLinearRegression(prior=explicit, **FEW).fit(X, y))
    assert prior.scale == 5.0


def test_priors_by_term_and_by_column(frame):
    tight = {"C(g)": Normal(0, 1e-6), "C(g)[T.w]": Normal(5, 1e-6), "a": Flat()}
    model = BayesianLinearRegression("y ~ a + b + C(g)", prior=tight, **FEW).fit(frame)
    found = dict(zip(model.posterior_.features, model.coef_, strict=True))
    assert found["C(g)[T.v]"] == pytest.approx(0.0, abs=1e-4)
    assert found["C(g)[T.w]"] == pytest.approx(5.0, abs=1e-4)
    assert "others" in str(model.summary())  # b has the default


def test_priors_by_column_of_a_frame(frame):
    model = BayesianLinearRegression(prior={"b": Normal(3, 1e-6)}, **FEW).fit(frame[list("abc")], frame["y"])
    assert model.coef_[1] == pytest.approx(3.0, abs=1e-4)


@pytest.mark.parametrize("route", [Normal, Laplace])
@pytest.mark.parametrize("center", [True, False])
def test_center_says_which_intercept_the_prior_speaks_of(data, center, route):
    X, y = data
    far = X + 100.0
    model = BayesianLinearRegression(
        intercept_prior=Normal(7.0, 1e-5), prior=route(0, 10.0), center=center, random_state=0
    ).fit(far, y)
    level = model.intercept_ + (far.mean(axis=0) @ model.coef_ if center else 0.0)
    assert level == pytest.approx(7.0, abs=1e-2)


@pytest.mark.parametrize("center", [True, False])
def test_the_reported_intercept_is_the_one_at_zero(data, center):
    X, y = data
    far = X + 100.0
    model = BayesianLinearRegression(center=center, random_state=0).fit(far, y)
    assert model.intercept_ == pytest.approx(model.predict(np.zeros((1, 3)))[0], rel=1e-9)
    assert model.posterior_.draws["Intercept"].mean() == pytest.approx(model.intercept_, rel=0.02)
    line = model.posterior_.draws["Intercept"] + model.posterior_.draws["coef"] @ far.mean(axis=0)
    assert line.mean() == pytest.approx(y.mean(), abs=0.02)


def test_positive(data):
    X, y = data
    for kwargs in ({"positive": True}, {"prior": HalfNormal(5)}):
        model = BayesianLinearRegression(**kwargs, random_state=0).fit(X, y)
        assert model.posterior_.draws["coef"].min() > 0.0
        assert model.coef_[0] == pytest.approx(1.9, abs=0.3)


def test_without_intercept(data, frame):
    X, y = data
    model = BayesianLinearRegression(fit_intercept=False, prior="flat", **FEW).fit(X, y)
    expected = LinearRegression(fit_intercept=False).fit(X, y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-9)
    for formula in ("y ~ a + b + c - 1", "y ~ 0 + a + b + c"):
        assert same(model, BayesianLinearRegression(formula, prior="flat", **FEW).fit(frame))
    assert same(
        model, BayesianLinearRegression("y ~ a + b + c", prior="flat", fit_intercept=False, **FEW).fit(frame)
    )


# -- predictions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["fitted", "sampled"])
def test_predict_is_deterministic_and_row_wise(request, data, which):
    model, X = request.getfixturevalue(which), data[0]
    mean, sd = model.predict(X, return_std=True)
    again = model.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, again[0])
    np.testing.assert_array_equal(sd, again[1])
    np.testing.assert_allclose(mean, X @ model.coef_ + model.intercept_, rtol=1e-12)
    alone = np.array([np.ravel(model.predict(X[i : i + 1], return_std=True)) for i in range(len(X))])
    np.testing.assert_allclose(alone[:, 0], mean, rtol=1e-10)
    np.testing.assert_allclose(alone[:, 1], sd, rtol=1e-10)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(model.predict_interval(X[order]), model.predict_interval(X)[order], rtol=1e-8)


@pytest.mark.parametrize("which", ["fitted", "sampled"])
def test_intervals_quantiles_and_densities_agree(request, data, which):
    model, (X, y) = request.getfixturevalue(which), data
    np.testing.assert_allclose(
        model.predict_interval(X, 0.8), model.predict_quantiles(X, [0.1, 0.9]), rtol=1e-9
    )
    assert model.predict_quantiles(X, 0.5).shape == (60,)
    assert model.predict_quantiles(X, [0.1, 0.5, 0.9]).shape == (60, 3)
    line, response = model.predict_interval(X, kind="mean"), model.predict_interval(X)
    assert np.all((response[:, 0] < line[:, 0]) & (line[:, 1] < response[:, 1]))
    # The density integrates to the probability between two quantiles.
    ends = model.predict_quantiles(X[:1], [0.05, 0.95])[0]
    nodes, weights = np.polynomial.legendre.leggauss(60)
    at = ends.mean() + 0.5 * np.ptp(ends) * nodes
    density = np.exp(model.log_predictive_density(np.repeat(X[:1], 60, axis=0), at))
    assert 0.5 * np.ptp(ends) * density @ weights == pytest.approx(0.9, abs=1e-7)


@pytest.mark.parametrize("which", ["fitted", "sampled"])
def test_simulated_predictions_have_the_moments_and_quantiles_promised(request, data, which):
    model, X = request.getfixturevalue(which), data[0][:5]
    draws = model.sample_predictive(X, random_state=1)
    assert draws.shape == (4000, 5)
    mean, sd = model.predict(X, return_std=True)
    # The draws of the parameters are nearly independent and most of the variance is fresh noise.
    assert np.all(np.abs(draws.mean(axis=0) - mean) < 4.5 * sd / np.sqrt(4000))
    assert np.all(np.abs(draws.std(axis=0) / sd - 1.0) < 4.5 / np.sqrt(2 * 4000))
    for q in (0.05, 0.5, 0.95):
        below = np.mean(draws < model.predict_quantiles(X, q), axis=0)
        assert np.all(np.abs(below - q) < 4.5 * np.sqrt(q * (1 - q) / 4000))
    lines = model.sample_predictive(X, kind="mean", random_state=1)
    np.testing.assert_allclose(
        lines, (model.posterior_.flat()[0] @ X.T) + model.posterior_.flat()[1][:, None], rtol=1e-9
    )


def test_simulated_predictions_follow_their_seed(fitted, data):
    X = data[0][:3]
    one = fitted.sample_predictive(X, 50, random_state=3)
    np.testing.assert_array_equal(one, fitted.sample_predictive(X, 50, random_state=3))
    assert not np.array_equal(one, fitted.sample_predictive(X, 50, random_state=4))
    assert fitted.sample_predictive(X, 9000, random_state=0).shape == (9000, 3)


def test_the_exact_predictive_is_student_t_under_the_reference_prior():
    # Flat on coefficients, 1/sigma on sigma: closed form. InverseGamma with tiny parameters comes close.
    rng = np.random.default_rng(2)
    X, n, p = rng.normal(size=(25, 2)), 25, 2
    y = X @ [1.0, 2.0] + rng.normal(size=25)
    model = BayesianLinearRegression(
        prior="flat", intercept_prior="flat", sigma_prior=bayesglm.InverseGamma(1e-9, 1e-9), **FEW
    ).fit(X, y)
    Z = np.c_[np.ones(n), X]
    beta, rss = np.linalg.lstsq(Z, y, rcond=None)[:2]
    new = np.c_[np.ones(4), rng.normal(size=(4, p))]
    scale = np.sqrt(rss / (n - p - 1) * (1 + np.einsum("ij,jk,ik->i", new, np.linalg.inv(Z.T @ Z), new)))
    expected = stats.t(n - p - 1, loc=new @ beta, scale=scale)
    np.testing.assert_allclose(model.predict_quantiles(new[:, 1:], 0.9), expected.ppf(0.9), rtol=1e-5)
    np.testing.assert_allclose(model.predict(new[:, 1:], return_std=True)[1], expected.std(), rtol=1e-5)
    np.testing.assert_allclose(
        model.log_predictive_density(new[:, 1:], np.ones(4)), expected.logpdf(1.0), rtol=1e-5
    )


def test_a_formula_keeps_every_row_in_its_place(frame):
    holes = frame.copy()
    holes.loc[[2, 5], "a"] = np.nan
    holes.loc[7, "g"] = None
    with pytest.warns(UserWarning, match=r"dropped 3 of 60 rows \(missing values in 'a', 'g'\)"):
        model = BayesianLinearRegression("y ~ a + C(g)", **FEW).fit(holes)
    assert model.posterior_.n_rows == 57
    mean, sd = model.predict(holes, return_std=True)
    for values in (mean, sd, model.predict_interval(holes)[:, 0], model.sample_predictive(holes, 3)[0]):
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(values)), [2, 5, 7])
    np.testing.assert_allclose(mean[8:], model.predict(frame)[8:], rtol=1e-12)
    assert model.score(holes) == pytest.approx(model.score(holes.dropna()))


def test_a_formula_finds_its_columns_in_any_order(frame):
    model = BayesianLinearRegression("y ~ a + C(g)", **FEW).fit(frame)
    np.testing.assert_array_equal(model.predict(frame[["g", "c", "a"]]), model.predict(frame))
    np.testing.assert_allclose(model.predict(frame.iloc[[3]]), model.predict(frame)[[3]], rtol=1e-12)


def test_scores(fitted, data, frame):
    X, y = data
    weights = np.arange(60.0)
    from sklearn.metrics import r2_score

    assert fitted.score(X, y, weights) == pytest.approx(r2_score(y, fitted.predict(X), sample_weight=weights))
    model = BayesianLinearRegression("y ~ a + b + c", **FEW).fit(frame)
    assert model.score(frame) == pytest.approx(fitted.score(X, y))
    assert model.score(frame, y, weights) == pytest.approx(fitted.score(X, y, weights))


# -- weights, seeds --------------------------------------------------------------------------------------


def test_a_weight_counts_rows(data, frame):
    X, y = data
    weights = np.random.default_rng(0).integers(0, 4, 60)
    weighted = BayesianLinearRegression(**FEW).fit(X, y, weights)
    repeated = BayesianLinearRegression(**FEW).fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-9)
    assert weighted.intercept_ == pytest.approx(repeated.intercept_, rel=1e-9)
    assert weighted.sigma_ == pytest.approx(repeated.sigma_, rel=1e-9)
    for name in weighted.posterior_.exact.sd:
        np.testing.assert_allclose(
            weighted.posterior_.exact.sd[name], repeated.posterior_.exact.sd[name], rtol=1e-8
        )
    np.testing.assert_allclose(weighted.predict_interval(X), repeated.predict_interval(X), rtol=1e-8)
    by_formula = BayesianLinearRegression("y ~ a + b + c", **FEW).fit(frame, sample_weight=weights)
    np.testing.assert_allclose(by_formula.coef_, weighted.coef_, rtol=1e-12)


def test_weights_stay_with_their_rows_when_rows_are_dropped(frame):
    weights = np.arange(1.0, 61.0)
    holes = frame.assign(a=frame["a"].mask(frame.index < 10))
    with pytest.warns(UserWarning, match="dropped 10 of 60"):
        model = BayesianLinearRegression("y ~ a", **FEW).fit(holes, sample_weight=weights)
    rest = BayesianLinearRegression("y ~ a", **FEW).fit(frame[10:], sample_weight=weights[10:])
    assert same(model, rest)


def test_equal_weights_and_none_agree(data):
    X, y = data
    assert BayesianLinearRegression(**FEW).fit(X, y, np.ones(60)).coef_ == pytest.approx(
        BayesianLinearRegression(**FEW).fit(X, y).coef_, rel=1e-12
    )


@pytest.mark.parametrize("prior", [None, "laplace"])
def test_the_same_seed_gives_the_same_draws(data, prior):
    settings = {"prior": prior, "draws": 50}
    one = BayesianLinearRegression(random_state=3, **settings).fit(*data)
    assert same(one, BayesianLinearRegression(random_state=3, **settings).fit(*data))
    assert same(one, BayesianLinearRegression(random_state=np.int64(3), **settings).fit(*data))
    other = BayesianLinearRegression(random_state=4, **settings).fit(*data)
    assert not np.array_equal(one.posterior_.draws["sigma"], other.posterior_.draws["sigma"])


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
def test_generators_as_seeds(data, make):
    one = BayesianLinearRegression(random_state=make(1), draws=50).fit(*data)
    two = BayesianLinearRegression(random_state=make(1), draws=50).fit(*data)
    assert same(one, two)
    again = two.fit(*data).posterior_.draws["sigma"]  # the generator has moved on
    assert not np.array_equal(one.posterior_.draws["sigma"], again)


def test_without_a_seed_the_draws_differ_and_the_exact_numbers_do_not(data):
    one, two = (BayesianLinearRegression(draws=50).fit(*data) for _ in range(2))
    assert not np.array_equal(one.posterior_.draws["sigma"], two.posterior_.draws["sigma"])
    np.testing.assert_array_equal(one.coef_, two.coef_)
    np.testing.assert_array_equal(one.predict(data[0], return_std=True)[1], two.predict(data[0], return_std=True)[1])


def test_the_draws_agree_with_the_exact_moments(fitted):
    posterior = fitted.posterior_
    assert posterior.how == "diagonal"
    assert np.max(np.abs(posterior.z_scores)) < 4.5
    np.testing.assert_allclose(posterior.draws["coef"].mean(axis=(0, 1)), fitted.coef_, atol=0.02)


# -- more draws, ArviZ -----------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["fitted", "sampled"])
def test_sample_posterior(request, which):
    model = request.getfixturevalue(which)
    before = {name: values.copy() for name, values in model.posterior_.draws.items()}
    own = model.sample_posterior()
    np.testing.assert_array_equal(own["posterior"]["coef"].values, before["coef"])
    more = model.sample_posterior(250)
    assert more["posterior"]["coef"].shape == (4, 250, 3)
    assert {"diverging", "lp", "tree_depth", "energy"} <= set(more["sample_stats"].data_vars)
    np.testing.assert_array_equal(
        more["posterior"]["sigma"].values, model.sample_posterior(250)["posterior"]["sigma"].values
    )
    other = model.sample_posterior(250, random_state=1)
    assert not np.array_equal(more["posterior"]["sigma"].values, other["posterior"]["sigma"].values)
    for name, values in before.items():
        np.testing.assert_array_equal(model.posterior_.draws[name], values)
    sigma = more["posterior"]["sigma"].values
    assert not np.isin(sigma, before["sigma"]).any()
    assert abs(sigma.mean() - before["sigma"].mean()) < 0.1 * before["sigma"].mean()


def test_changing_an_exported_posterior_leaves_the_estimator_alone(fitted):
    kept = fitted.posterior_.draws["sigma"].copy()
    fitted.sample_posterior()["posterior"]["sigma"].values[:] = 0.0
    np.testing.assert_array_equal(fitted.posterior_.draws["sigma"], kept)


def groups(exported):
    """Names of the groups, under either ArviZ."""
    names = exported.children if hasattr(exported, "children") else exported.groups()
    return {name.strip("/") for name in names}


EVERYTHING = {
    "posterior",
    "sample_stats",
    "observed_data",
    "constant_data",
    "posterior_predictive",
    "log_likelihood",
    "log_prior",
}


@pytest.mark.parametrize("which", ["fitted", "sampled"])
def test_to_arviz_has_all_groups_and_serves_loo_and_summary(request, data, which):
    import arviz as az

    model, (X, y) = request.getfixturevalue(which), data
    exported = model.to_arviz(X, y, prior=True)
    assert groups(exported) == EVERYTHING | {"prior", "prior_predictive"}
    np.testing.assert_array_equal(exported["observed_data"]["y"].values, y)
    density = exported["log_likelihood"]["y"].values
    mixture = np.log(np.mean(np.exp(density.reshape(-1, 60)), axis=0))
    np.testing.assert_allclose(mixture, model.log_predictive_density(X, y), atol=0.02)
    found = az.loo(exported)
    assert float(found.elpd_loo if hasattr(found, "elpd_loo") else found.elpd) < np.sum(mixture)
    table = az.summary(exported, var_names=["Intercept", "coef", "sigma"])
    assert len(table) == 5
    prior = exported["prior"]["coef"].values
    assert np.all(np.abs(prior.mean(axis=(0, 1))) < 5 * prior.std(axis=(0, 1)) / np.sqrt(4000))


def test_to_arviz_of_a_formula_names_its_columns_and_response(frame):
    model = BayesianLinearRegression("y ~ a + C(g)", **FEW).fit(frame.rename(columns={"y": "y"}))
    exported = model.to_arviz(frame)
    assert list(exported["posterior"]["feature"].values) == ["C(g)[T.v]", "C(g)[T.w]", "a"]
    assert exported["log_likelihood"]["y"].shape == (4, 100, 60)
    renamed = BayesianLinearRegression("np.exp(yield_) ~ a", **FEW).fit(frame.rename(columns={"y": "yield_"}))
    exported = renamed.to_arviz(frame.rename(columns={"y": "yield_"}))
    assert "np.exp(yield_)" in exported["observed_data"].data_vars


def test_to_arviz_under_a_flat_prior_has_no_draws_of_it(data):
    model = BayesianLinearRegression(prior="flat", **FEW).fit(*data)
    assert groups(model.to_arviz(*data)) == EVERYTHING
    with pytest.raises(ValueError, match=r"Flat\(\).*proper prior"):
        model.to_arviz(*data, prior=True)


def test_log_prior_is_the_prior_of_the_draws(data):
    X, y = data
    model = BayesianLinearRegression(prior=Normal(1, 2), sigma_prior=HalfNormal(3), **FEW).fit(X, y)
    found = model.to_arviz(X, y)["log_prior"]
    draws = model.posterior_.draws
    np.testing.assert_allclose(found["coef"].values, stats.norm(1, 2).logpdf(draws["coef"]), rtol=1e-9)
    np.testing.assert_allclose(found["sigma"].values, stats.halfnorm(0, 3).logpdf(draws["sigma"]), rtol=1e-9)
    level = draws["Intercept"] + draws["coef"] @ X.mean(axis=0)
    np.testing.assert_allclose(
        found["Intercept"].values, stats.norm(y.mean(), 2.5 * y.std()).logpdf(level), rtol=1e-9
    )


# -- the life of an estimator ----------------------------------------------------------------------------

BEFORE_FIT = [
    lambda m, X: m.predict(X),
    lambda m, X: m.predict_interval(X),
    lambda m, X: m.predict_quantiles(X, [0.5]),
    lambda m, X: m.sample_predictive(X),
    lambda m, X: m.log_predictive_density(X, X[:, 0]),
    lambda m, X: m.score(X, X[:, 0]),
    lambda m, X: m.sample_posterior(),
    lambda m, X: m.to_arviz(X, X[:, 0]),
    lambda m, X: m.summary(),
]


@pytest.mark.parametrize("call", BEFORE_FIT)
def test_before_fit(data, call):
    for model in (BayesianLinearRegression(), BayesianLinearRegression("y ~ a")):
        with pytest.raises(NotFittedError, match=r"not fitted yet"):
            call(model, data[0])


def test_fit_returns_self_and_changes_no_parameter(data):
    prior = {"x0": Normal(0, 1)}
    model = BayesianLinearRegression(prior=prior, **FEW)
    params = model.get_params()
    assert model.fit(*data) is model
    assert model.get_params() == params
    assert model.prior is prior
    public = {name for name in vars(model) if name not in params}
    assert all(name.endswith("_") or name.startswith("_") for name in public)


def test_fit_does_not_touch_the_data(data):
    X, y = (values.copy() for values in data)
    X.flags.writeable = y.flags.writeable = False
    weights = np.ones(60)
    weights.flags.writeable = False
    BayesianLinearRegression(**FEW).fit(X, y, weights).to_arviz(X, y)
    np.testing.assert_array_equal(X, data[0])


def test_refitting(data, frame):
    X, y = data
    model = BayesianLinearRegression(**FEW).fit(frame[list("abc")], y)
    model.set_params(prior="laplace", draws=30).fit(X[:, :2], y)
    fresh = BayesianLinearRegression(prior="laplace", draws=30, random_state=0).fit(X[:, :2], y)
    assert same(model, fresh)
    assert vars(model).keys() == vars(fresh).keys()
    assert model.n_features_in_ == 2
    model.set_params(formula="y ~ a + C(g)").fit(frame)
    assert model.predict(frame).shape == (60,)
    model.set_params(formula=None).fit(X, y)
    assert vars(model).keys() == vars(fresh).keys()
    assert model.predict(X).shape == (60,)


def test_changing_a_parameter_after_fit_does_not_change_the_fit(data, frame):
    X, y = data
    model = BayesianLinearRegression("y ~ a", **FEW).fit(frame)
    expected, table = model.predict(frame), str(model.summary())
    model.set_params(formula="y ~ a + b", prior="flat", chains=2, draws=7)
    np.testing.assert_array_equal(model.predict(frame), expected)
    assert str(model.summary()) == table
    assert model.sample_posterior(5)["posterior"]["sigma"].shape == (4, 5)


BAD_REFITS = [
    ({"draws": 0}, None),
    ({"prior": "norml"}, None),
    ({"prior_scale": -1}, None),
    ({"formula": "y ~ typo"}, None),
    ({"formula": "y ~ a + (1|g)"}, None),
    ({"random_state": "x"}, None),
    ({}, "NaN"),
    ({"prior": "flat"}, "collinear"),
    ({}, "short"),
]


@pytest.mark.parametrize(("change", "trouble"), BAD_REFITS)
@pytest.mark.parametrize("formula", [None, "y ~ a + b"])
def test_a_failed_refit_leaves_everything_as_it_was(frame, formula, change, trouble):
    model = BayesianLinearRegression(formula, **FEW)
    model.fit(frame if formula else frame[["a", "b"]], frame["y"])
    X, y = frame[["a", "b", "c"]].copy(), frame["y"].copy()
    if trouble == "NaN":
        y[3] = np.nan
    elif trouble == "collinear":
        X = X.assign(b=X["a"])
    elif trouble == "short":
        y = y[:-1]
    model.set_params(**change)
    before = dict(vars(model))
    with pytest.raises((ValueError, TypeError)):
        model.fit(X, y)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)
    assert model.predict(frame[["a", "b"]]).shape == (60,)


def test_an_array_fit_imports_nothing_heavy_that_scikit_learn_does_not():
    code = """
import sys, numpy as np
from sklearn.linear_model import LinearRegression
LinearRegression().fit(np.eye(5), np.arange(5.0)).predict(np.eye(5))
before = set(sys.modules)
from bayesglm import BayesianLinearRegression
model = BayesianLinearRegression(random_state=0, draws=10).fit(np.eye(5), np.arange(5.0))
model.predict(np.eye(5), return_std=True), model.predict_interval(np.eye(5)), str(model.summary())
print(sorted({"arviz", "xarray", "matplotlib", "pandas", "patsy"} & (set(sys.modules) - before)))
"""
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["bayesglm.linear", "bayesglm.base"])
def test_docstring_examples(name):
    import doctest

    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
