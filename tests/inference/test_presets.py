"""Prior sets by name: each number against its definition, and who goes before whom."""

import numpy as np
import pytest

from bayesglm import BayesianGLM, BayesianLinearRegression, BayesianLogisticRegression, Exponential, Normal
from bayesglm.kernel.priors import Cauchy

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 60
RNG = np.random.default_rng(0)
X = np.column_stack([RNG.normal(scale=3.0, size=N), RNG.random(N) < 0.4, RNG.normal(size=N)]).astype(float)
Y = 10.0 + X @ [1.0, 2.0, 0.0] + RNG.normal(size=N)
SD, SD_Y = X.std(axis=0), Y.std()


def priors(estimator, y):
    found = estimator.set_params(draws=20, random_state=0).fit(X, y).posterior_.prior_set
    (coef,) = found.coef
    return coef, found.intercept, found.aux


def numbers(prior):
    return type(prior), *(np.squeeze(value) for value in prior.bound[1:3])


def test_rstanarm():
    coef, intercept, aux = priors(BayesianLinearRegression(prior="rstanarm"), Y)
    assert isinstance(coef, Normal)
    np.testing.assert_allclose(coef.bound[2], 2.5 * SD_Y / SD)
    assert numbers(intercept) == (Normal, pytest.approx(Y.mean()), pytest.approx(2.5 * SD_Y))
    assert (type(aux["sigma"]), aux["sigma"].bound[2][0]) == (Exponential, pytest.approx(SD_Y))
    coef, intercept, aux = priors(BayesianGLM(family="negative_binomial", prior="rstanarm"), np.arange(N) % 7)
    np.testing.assert_allclose(coef.bound[2], 2.5 / SD)
    assert numbers(intercept) == (Normal, 0.0, 2.5)
    assert aux["phi"].resolved() == Exponential(1.0)


def test_bambi():
    coef, _, aux = priors(BayesianLinearRegression(prior="bambi"), Y)
    np.testing.assert_allclose(coef.bound[2], 2.5 * SD_Y / SD)
    assert (aux["sigma"].df, aux["sigma"].bound[2][0]) == (4.0, pytest.approx(SD_Y))
    _, _, aux = priors(BayesianGLM(family="student_t", prior="bambi"), Y)
    assert str(aux["df"].resolved()) == "Gamma(shape=2, scale=10)"
    _, _, aux = priors(BayesianGLM(family="gamma", prior="bambi"), np.exp(0.1 * Y))
    assert str(aux["shape"].resolved()) == "HalfCauchy(scale=1)"


@pytest.mark.parametrize(("kind", "factor"), [("gaussian", 2.0 * SD_Y), ("logit", 1.0), ("probit", 1.6)])
def test_arm(kind, factor):
    if kind == "gaussian":
        coef, intercept, _ = priors(BayesianLinearRegression(prior="arm"), Y)
    else:
        coef, intercept, _ = priors(BayesianGLM(family="bernoulli", link=kind, prior="arm"), (Y > 11) * 1.0)
    assert isinstance(coef, Cauchy)
    # The second column holds zeros and ones, and its unit is 1.
    np.testing.assert_allclose(coef.bound[2], 2.5 * factor / np.array([2.0 * SD[0], 1.0, 2.0 * SD[2]]))
    assert numbers(intercept) == (Cauchy, 0.0, pytest.approx(10.0 * factor))


def test_what_is_given_goes_first():
    estimator = BayesianLinearRegression(
        prior="arm", intercept_prior=Normal(1.0, 2.0), sigma_prior=Exponential(3.0)
    )
    _, intercept, aux = priors(estimator, Y)
    assert intercept.resolved() == Normal(1.0, 2.0)
    assert aux["sigma"].resolved() == Exponential(3.0)
    coef, _, _ = priors(BayesianLogisticRegression(prior="rstanarm", prior_scale=0.5), Y > 11)
    np.testing.assert_allclose(coef.bound[2], 0.5 / SD)


def test_names_that_are_nearly_right():
    with pytest.raises(ValueError, match="did you mean 'rstanarm'"):
        BayesianLinearRegression(prior="rstanam").fit(X, Y)
