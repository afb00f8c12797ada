"""Promises of the estimator: three ways in, priors where the user put them, weights, seeds."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

import bayesglm
from bayesglm import BayesianLinearRegression, Flat, HalfNormal, Laplace, Normal, StudentT
from tests.linear_data import FEW, FRAME, X, exact_fit, same, y

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
    assert list(model.feature_names_in_) == ["a", "b", "c"]


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

    with pytest.raises(ValueError, match=r"squash.*formula_namespace"):
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


def test_a_column_vector_is_one_response_in_two_dimensions_as_for_linear_regression(data, frame):
    X, y = data
    flat = BayesianLinearRegression(**FEW).fit(X, y)
    for column in (y[:, None], frame[["y"]]):
        model = BayesianLinearRegression(**FEW).fit(X, column)
        np.testing.assert_array_equal(model.coef_, flat.coef_[np.newaxis])
        np.testing.assert_array_equal(model.intercept_, [flat.intercept_])
        np.testing.assert_allclose(model.predict(X), flat.predict(X)[:, np.newaxis], rtol=1e-14)


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
    by_hand = BayesianLinearRegression(prior=Normal(0, 2.5 * y.std() / X.std(axis=0)), random_state=0).fit(
        X, y
    )
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
    predicted = one.to_arviz(*data)["posterior_predictive"]["y"].values
    np.testing.assert_array_equal(predicted, two.to_arviz(*data)["posterior_predictive"]["y"].values)
    again = two.fit(*data).posterior_.draws["sigma"]  # the generator has moved on
    assert not np.array_equal(one.posterior_.draws["sigma"], again)


def test_without_a_seed_the_draws_differ_and_the_exact_numbers_do_not(data):
    one, two = (BayesianLinearRegression(draws=50).fit(*data) for _ in range(2))
    assert not np.array_equal(one.posterior_.draws["sigma"], two.posterior_.draws["sigma"])
    np.testing.assert_array_equal(one.coef_, two.coef_)
    np.testing.assert_array_equal(
        one.predict(data[0], return_std=True)[1], two.predict(data[0], return_std=True)[1]
    )


def test_the_draws_agree_with_the_exact_moments(fitted):
    posterior = fitted.posterior_
    assert posterior.how == "diagonal"
    assert np.max(np.abs(posterior.z_scores)) < 4.5
    np.testing.assert_allclose(posterior.draws["coef"].mean(axis=(0, 1)), fitted.coef_, atol=0.02)
