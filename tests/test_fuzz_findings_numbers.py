"""What fuzzing found where numbers are near the ends of what doubles hold: refused in a sentence, or done right."""

import mpmath
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.special import ndtri

from bayesglm import (
    BayesianGammaRegressor,
    BayesianGLM,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    Gamma,
    Normal,
    StudentT,
    families,
)
from bayesglm.family_access import _weighted
from tests.linear_data import check_refused

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("error::RuntimeWarning"),
]
FEW = {"draws": 20, "chains": 2, "tune": 20, "random_state": 0, "progressbar": False}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 2))
y = X @ [1.0, -1.0] + RNG.normal(size=30)


class HasArray:
    """Something that turns into records."""

    def __array__(self, dtype=None, copy=None):
        return np.array(np.zeros(30, dtype=[("a", float), ("b", int)]), dtype=dtype)


def fitted_classes():
    return BayesianLogisticRegression(**FEW).fit(X, np.where(y > 0.0, "yes", "no"))


REFUSED = {
    "far offsets": (
        lambda: BayesianGLM(family="student_t", **FEW).fit(X, y, offset=np.where(y > 1.0, 1e160, 0.0)),
        ValueError,
        r"offset holds .*1e100 times",
    ),
    "offsets whose mean overflows": (
        lambda: BayesianGLM(**FEW).fit(X, y, offset=np.where(y > 1.0, 1.5e308, -1.5e308)),
        ValueError,
        r"offset holds .*1e100 times",
    ),
    "largest doubles": (
        lambda: BayesianLinearRegression(**FEW).fit(sparse.csr_array(np.full((30, 1), 1.7e308)), y),
        ValueError,
        r"divide them by a constant",
    ),
    "a prior's scale overflows": (
        lambda: BayesianGLM(**FEW, prior=Gamma(shape=20, scale=1e308, autoscale=True)).fit(X, 100.0 * y),
        ValueError,
        r"^prior: the scale of .*doubles",
    ),
    "records as weights": (
        lambda: BayesianLinearRegression(**FEW).fit(X, y, HasArray()),
        TypeError,
        r"sample_weight must hold numbers",
    ),
    "NA as kind": (
        lambda: fitted_classes().sample_predictive(X, 2, pd.NA),
        ValueError,
        r"kind must be",
    ),
    "a number among labels": (
        lambda: fitted_classes().log_predictive_density(X[:2], np.array(["yes", 7.0], dtype=object)),
        ValueError,
        r"has the class 7.0 in row 1",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_in_a_sentence(call, error, message):
    check_refused(call, error, message)


def test_t_densities_far_out_are_finite():
    found = families.StudentT(df=3.0).logpdf(np.array([1e160, 1e300]), 0.0, {"sigma": np.array(1.0)})
    assert np.diff(found)[0] == pytest.approx(-4.0 * 140.0 * np.log(10.0), rel=1e-12)


def test_priors_of_many_numbers_are_shown_in_one_line():
    shown = repr(Normal(np.geomspace(1e-300, 1e300, 9), np.geomspace(1e-200, 1e200, 9)))
    assert "..." in shown
    assert "\n" not in shown


@pytest.mark.parametrize("df", [1e6, 1e16, 1e307])
def test_t_distributions_of_many_degrees_are_normal(df):
    normal = -0.5 * np.log(2.0 * np.pi)
    assert families.StudentT(df=df).logpdf(0.0, 0.0, {"sigma": np.array(1.0)}) == pytest.approx(
        normal, abs=1.0 / df
    )
    prior = StudentT(df=df, loc=0, scale=1).bind([0])
    assert prior.value_and_gradient(np.zeros(1))[0] == pytest.approx(normal, abs=1.0 / df)


def test_priors_far_out_have_no_density():
    assert Normal(0, 1).bind([0]).logpdf(np.array([1e200])) == -np.inf


def test_quantiles_of_an_inverse_gaussian_without_width():
    aux = {"shape": np.array(6.5e307)}
    found = families.InverseGaussian().quantile(np.array([0.05, 0.5, 0.95]), np.log(0.3), aux)
    np.testing.assert_allclose(found, 0.3, rtol=1e-12)


def test_intervals_without_width_are_not_upside_down():
    model = BayesianGammaRegressor(center=False, random_state=0, progressbar=False)
    model.fit([[0.0, 100.0, 100.0]], [2.70065418])
    for kind in ("mean", "response"):
        low, high = model.predict_interval([[0.0, 100.0, 100.0]], 0.8, kind)[0]
        assert low <= high


@pytest.mark.parametrize("precision", [1e10, 2e12, 4e22, 1e30])
@pytest.mark.parametrize("mean", [0.3, 0.999])
def test_beta_distributions_of_any_precision(precision, mean):
    """Against the normal distribution, which they are to within their skewness."""
    family, aux, eta = families.Beta(), {"precision": np.array(precision)}, np.log(mean / (1.0 - mean))
    mean = 1.0 / (1.0 + np.exp(-eta))
    sd = np.sqrt(mean * (1.0 - mean) / precision)
    rounding = np.spacing(mean) / sd
    skew = 2.0 / np.sqrt(precision * mean * (1.0 - mean))
    for level in (0.05, 0.5, 0.9):
        found = family.quantile(level, eta, aux)
        assert abs((found - mean) / sd - ndtri(level)) < skew + 2.0 * rounding
        assert abs(family.cdf(found, eta, aux) - level) < 1e-6 + rounding
    with mpmath.workdps(60):
        shapes = [mpmath.mpf(float(a)) for a in family._shapes(eta, aux)]
        point = mpmath.mpf(float(mean + 0.5 * sd))
        density = (shapes[0] - 1) * mpmath.log(point) + (shapes[1] - 1) * mpmath.log(1 - point)
        density -= mpmath.loggamma(shapes[0]) + mpmath.loggamma(shapes[1]) - mpmath.loggamma(sum(shapes))
    assert float(family.logpdf(mean + 0.5 * sd, eta, aux)) == pytest.approx(
        float(density), abs=1e-8 + 4.0 * rounding + 4.0 * rounding**2
    )


def test_log_odds_of_probabilities_that_underflow():
    model = BayesianLogisticRegression(center=False, prior="flat", intercept_prior="flat", **FEW)
    found = model.fit([[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "no", "yes"])
    odds = found.decision_function([[1e9], [-1e9]])
    assert not np.isnan(odds).any()
    three = BayesianLogisticRegression(**FEW).fit(X, np.array(list("abc") * 10))
    assert not np.isnan(three.decision_function([[1e6, -1e6], [-1e6, 1e6]])).any()


def test_a_single_row_has_finite_draws_and_a_score():
    for seed in range(3):
        model = BayesianGLM(family="inverse_gaussian", **{**FEW, "random_state": seed}).fit(
            [[0.0, 1.0]], [5.3]
        )
        assert np.isfinite(model.posterior_.draws["shape"]).all()
        assert np.isfinite(model.score([[0.0, 1.0]], [5.3]))


def test_rows_without_weight_say_nothing_even_if_impossible():
    found = _weighted(np.array([[-np.inf, -1.0]]), np.array([0.0, 2.0]))
    np.testing.assert_array_equal(found, [[0.0, -2.0]])


@pytest.mark.parametrize("count", [2.0, 2e8, 1e15])
@pytest.mark.parametrize("phi", [1e-3, 2.0, 1e6, 1e12, 1e18])
def test_large_counts_have_probabilities_with_digits(count, phi):
    family = families.NegativeBinomial()
    with mpmath.workdps(60):
        y, size = mpmath.mpf(count), mpmath.mpf(phi)
        for d in (-30.0, -0.5, -1e-7, 0.0, 0.5, 30.0):
            eta = float(np.log(count) + d)
            mean = mpmath.exp(mpmath.mpf(eta))
            exact = mpmath.loggamma(size + y) - mpmath.loggamma(size) - mpmath.loggamma(y + 1)
            exact += y * mpmath.log(mean / (mean + size)) + size * mpmath.log(size / (mean + size))
            # The linear predictor is itself rounded, by so much.
            rounding = 1e-15 * abs(eta) * float(abs(size * (y - mean) / (mean + size)))
            found = float(family.logpdf(count, eta, {"phi": np.array(phi)}))
            assert found == pytest.approx(float(exact), rel=1e-11, abs=1e-9 + rounding)


def test_large_counts_have_distribution_functions():
    family, aux = families.NegativeBinomial(), {"phi": np.array(2.0)}
    # Gamma distributed with shape 2, but for one in 1e15.
    np.testing.assert_allclose(
        family.cdf(np.array([1e15, 2e15]), np.log(1e15), aux), [0.5939941503, 0.9084218056]
    )
    assert 0.0 < family.cdf(1e150, 350.0, aux) < 1.0
