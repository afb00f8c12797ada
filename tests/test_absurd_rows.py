"""Rows so far out, or so close to zero, that something over- or underflows: a number or one sentence, never NaN."""

import warnings

import numpy as np
import pytest
from scipy.optimize import brentq

import bayesglm
from bayesglm import BayesianGLM, BayesianLinearRegression, BayesianLogisticRegression, family_prediction
from bayesglm.families import Beta, Gamma, InverseGaussian, NegativeBinomial, Poisson
from bayesglm.family_prediction import FamilySource
from bayesglm.family_quantiles import _by_halves

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
MEAN = np.exp(0.5 * X[:, 0])
Y = X[:, 0] + RNG.normal(size=40)
LABELS = (RNG.random(40) < MEAN / (1 + MEAN)).astype(float)
COUNTS = RNG.poisson(3 * MEAN * RNG.gamma(1, 1, 40)).astype(float)

MODELS = {
    "linear": (BayesianLinearRegression, {}, Y),
    "linear, flat, no intercept": (BayesianLinearRegression, {"prior": "flat", "fit_intercept": False}, Y),
    "linear, by draws": (BayesianLinearRegression, {"prior": "laplace"}, Y),
    "linear, learnt scale": (BayesianLinearRegression, {"prior_scale": "learn"}, Y),
    "two responses": (BayesianLinearRegression, {}, np.column_stack([Y, X[:, 1] - Y])),
    "gaussian": (BayesianGLM, {"family": "gaussian"}, Y),
    "student_t": (BayesianGLM, {"family": "student_t"}, Y),
    "laplace": (BayesianGLM, {"family": "laplace"}, Y),
    "poisson": (BayesianGLM, {"family": "poisson"}, COUNTS),
    "negative_binomial": (BayesianGLM, {"family": "negative_binomial"}, COUNTS),
    "gamma": (BayesianGLM, {"family": "gamma"}, MEAN * RNG.gamma(2.0, 0.5, 40)),
    "inverse_gaussian": (BayesianGLM, {"family": "inverse_gaussian"}, RNG.wald(MEAN, 3.0)),
    "beta": (BayesianGLM, {"family": "beta"}, RNG.beta(5 * MEAN / (1 + MEAN), 5 / (1 + MEAN))),
    "probit": (BayesianGLM, {"family": "bernoulli", "link": "probit"}, LABELS),
    "cloglog": (BayesianGLM, {"family": "bernoulli", "link": "cloglog"}, LABELS),
    "two classes": (BayesianLogisticRegression, {}, LABELS),
    "three classes": (BayesianLogisticRegression, {}, np.arange(40) % 3),
}
LARGE = [500.0, 1e5, 1e155, 1e300, 1.7e308]
SMALL = [5e-324]
ROWS = [
    sign * size * np.array(kind)
    for size in LARGE + SMALL
    for sign in (1.0, -1.0)
    for kind in ([1.0, 0.0, 0.0], [1.0, -1.0, 1.0])
]


def fit(kind, params, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(draws=30, chains=2, random_state=0, **params).fit(X, y)


@pytest.fixture(scope="module")
def models():
    return {name: fit(*case) for name, case in MODELS.items()}


def methods(model, y):
    """Yield what can be asked of a row, and in which results an infinity has a meaning."""
    yield "sample_mean", lambda x: model.sample_predictive(x, kind="mean", random_state=0), True
    yield "log_predictive_density", lambda x: model.log_predictive_density(x, y), True
    if isinstance(model, BayesianLogisticRegression):
        yield "predict_proba", model.predict_proba, False
        yield "decision_function", model.decision_function, False
        yield "predict_interval", model.predict_interval, False
        return
    yield "predict", model.predict, False
    yield "std", lambda x: model.predict(x, return_std=True)[1], False
    yield "predict_interval", model.predict_interval, False
    yield "predict_interval of the mean", lambda x: model.predict_interval(x, kind="mean"), False
    yield "predict_quantiles", lambda x: model.predict_quantiles(x, [1e-12, 0.5, 0.99]), False
    yield "all quantiles", lambda x: model.predict_quantiles(x, [0.0, 1.0]), True
    yield "crps", lambda x: model.crps(x, y), False
    yield "sample_predictive", lambda x: model.sample_predictive(x, random_state=0), True


@pytest.mark.parametrize("name", MODELS)
def test_a_number_or_a_sentence(models, name):
    model, y = models[name], MODELS[name][2][:1]
    no_variance = name == "student_t"
    for row in ROWS:
        for what, call, may_be_infinite in methods(model, y):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", RuntimeWarning)
                    warnings.filterwarnings(
                        "ignore", "overflow encountered in matmul"
                    )  # NumPy's, in `predict`
                    found = np.asarray(call(row[np.newaxis]), dtype=float)
            except ValueError as error:
                if "row 0 of X holds numbers so large" not in str(error) or np.abs(row).max() < 500.0:
                    raise
                continue
            assert not np.isnan(found).any(), (what, row)
            infinite = may_be_infinite or (what == "std" and no_variance)
            assert infinite or np.isfinite(found).all(), (what, row)
            if name == "linear" and "quantile" not in what and what != "log_predictive_density":
                assert np.isfinite(found).all(), (what, row)


@pytest.mark.parametrize(
    "name", ["linear", "linear, flat, no intercept", "linear, by draws", "two responses"]
)
def test_far_out_a_line_is_a_multiple_of_another(models, name):
    model = models[name]
    near, far = 1e100 * X[:3], 1e250 * X[:3]
    k = 1e150
    assert np.allclose(model.predict(far) / k, model.predict(near), rtol=1e-12)
    pairs = [
        (model.predict(x, return_std=True)[1], model.predict_interval(x), model.predict_quantiles(x, [0.1]))
        for x in (near, far)
    ]
    for here, there in zip(*pairs, strict=True):
        assert np.allclose(there / k, here, rtol=1e-9)
    y = model.predict(near)
    assert np.allclose(model.crps(far, k * y) / k, model.crps(near, y), rtol=1e-9)
    density = model.log_predictive_density(near, y) - np.log(k)
    if name != "linear, by draws":  # whose components are so much narrower than they are apart
        assert np.allclose(model.log_predictive_density(far, k * y), density, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:overflow encountered in matmul")
def test_the_row_is_named(models):
    rows = np.vstack([X[:3], [[1.7e308, 0.0, 1.7e308]], X[3:5]])
    for model in models.values():
        for call in (model.predict_interval, model.predict):
            with pytest.raises(ValueError, match=r"^row 3 of X holds numbers so large"):
                call(rows)


def test_a_formula_leaves_missing_rows_as_they_are():
    frame = {"y": Y, "x": X[:, 0]}
    model = BayesianLinearRegression("y ~ x", random_state=0).fit(frame)
    found = model.predict({"x": [0.0, np.nan, 1e300]})
    assert np.isnan(found).tolist() == [False, True, False]
    with pytest.raises(ValueError, match=r"^row 2 of X"):
        model.predict_interval({"x": [0.0, np.nan, 1.7e308]})


def mixture(family, high, low, share, **aux):
    """Return posterior draws of an intercept: a share of them ``high``, the others ``low``."""
    n = 500
    level = np.where(np.arange(n) < share * n, high, low)
    return FamilySource(family, np.zeros((n, 1)), level, {name: np.full(n, v) for name, v in aux.items()})


@pytest.mark.parametrize(
    ("family", "aux"),
    [
        (Gamma(), {"shape": 2.0}),
        (Poisson(), {}),
        (NegativeBinomial(), {"phi": 2.0}),
        (InverseGaussian(), {"shape": 1.0}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_means_that_underflow_beside_others_that_overflow(family, aux):
    source, row = mixture(family, 1e5, -1e5, 0.2, **aux), np.zeros((1, 1))
    found = family_prediction.quantiles(source, row, [0.0, 0.1, 0.5, 0.7, 1.0])
    assert np.all((found[0, :4] >= 0.0) & (found[0, :4] < 1e-290))
    assert found[0, 4] == np.inf
    if not isinstance(family, InverseGaussian):  # which has a limit as its mean goes to infinity
        with pytest.raises(ValueError, match="row 0 of X"):
            family_prediction.quantiles(source, row, 0.9)
    with pytest.raises(ValueError, match="row 0 of X"):
        family_prediction.moments(source, row)
    density = family_prediction.log_density(source, row, np.ones(1))
    assert not np.isnan(density).any()


@pytest.mark.parametrize("level", [0.05, 0.3, 0.5, 0.9])
@pytest.mark.parametrize(
    ("family", "aux"),
    [(Gamma(), {"shape": 0.7}), (InverseGaussian(), {"shape": 2.0}), (Beta(), {"precision": 3.0})],
    ids=lambda value: type(value).__name__,
)
def test_quantiles_by_halves(family, aux, level):
    """A distribution function solved by SciPy."""
    eta = np.linspace(-6.0, 3.0, 50)[np.newaxis]
    many = {name: np.full(50, value) for name, value in aux.items()}

    def excess(log_y):
        return float(family.cdf(np.exp(log_y), eta, many).mean()) - level

    true = np.exp(brentq(excess, -300.0, 0.0 if isinstance(family, Beta) else 30.0, xtol=1e-13))
    found = _by_halves(family, level, eta, many, None, True)
    np.testing.assert_allclose(found, true, rtol=1e-9)


def test_counts_by_halves():
    eta = np.linspace(-2.0, 8.0, 50)[np.newaxis]
    for level in (0.05, 0.3, 0.5, 0.9):
        (found,) = _by_halves(Poisson(), level, eta, {}, None, True)
        below = [float(Poisson().cdf(k, eta, {}).mean()) for k in (found - 1.0, found)]
        assert found == np.floor(found)
        assert below[0] < level <= below[1]


def test_a_gamma_regression_whose_mean_underflows():
    for seed in (0, 2, 3):  # in which all slopes are positive
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(40, 3))
        y = np.exp(0.5 * rows[:, 0]) * rng.gamma(2.0, 0.5, size=40)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = bayesglm.BayesianGammaRegressor(draws=200, chains=2, random_state=0).fit(rows, y)
        assert model.posterior_.draws["coef"][..., 0].min() > 0.0
        assert np.array_equal(model.predict_interval([[-1e300, 0.0, 0.0]]), [[0.0, 0.0]])
