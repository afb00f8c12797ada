"""Other likelihoods than the normal one: posteriors equal Stan's, modes under flat priors equal printed fits."""

import numpy as np
import pytest

from bayesglm import BayesianGLM, Flat, HalfCauchy, Normal
from tests.acceptance import published_glm
from tests.acceptance.published import rounding
from tests.oracles import mcse

FLAT = {"prior": Flat(), "intercept_prior": Flat()}
LIMIT = 4.0

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_eight_schools_are_those_of_posteriordb():
    model = BayesianGLM(
        "y ~ 1",
        family="gaussian",
        intercept_prior=Normal(0.0, 5.0),
        aux_priors={"sigma": HalfCauchy(5.0)},
        draws=4000,
        random_state=2,
    ).fit(published_glm.EFFECTS, standard_error="se")
    for key, name in (("mu", "Intercept"), ("tau", "sigma")):
        truth, error = published_glm.SCHOOLS[key]
        values = model.posterior_.draws[name]
        assert abs(values.mean() - truth) < LIMIT * np.hypot(mcse(values), error)


@pytest.mark.parametrize("link", published_glm.BEETLE_FITS)
def test_modes_of_the_beetles(link):
    """And the curvature there, which is the inverse square of the printed standard errors."""
    estimates, errors = published_glm.BEETLE_FITS[link]
    model = BayesianGLM("killed ~ dose", family="binomial", link=link, draws=100, random_state=0, **FLAT)
    model.fit(published_glm.BEETLES, trials="n")
    mode, sd = user_mode(model, published_glm.BEETLES[["dose"]].to_numpy())
    for found, printed in zip(mode, estimates, strict=True):
        assert abs(found - float(printed)) <= rounding(printed) * 1.01
    for found, printed in zip(sd, errors, strict=True):
        assert found == pytest.approx(float(printed), rel=0.02)


def test_mode_of_the_trial():
    model = BayesianGLM("counts ~ outcome + treatment", family="poisson", draws=100, random_state=0, **FLAT)
    model.fit(published_glm.TRIAL)
    mode, sd = user_mode(model, model._design.transform(published_glm.TRIAL))
    for found, printed in zip(mode, published_glm.TRIAL_FIT, strict=False):
        assert abs(found - float(printed)) <= rounding(printed) * 1.01
    np.testing.assert_allclose(mode[3:], 0.0, atol=1e-9)
    for found, printed in zip(sd, published_glm.TRIAL_ERRORS, strict=True):
        assert abs(found - float(printed)) <= rounding(printed) * 1.01


def user_mode(model, X):
    """Mode and inverse curvature of (intercept, coefficients) on the user's scale."""
    route = model._routes[0]
    mean, unit = X.mean(axis=0), X.std(axis=0)
    back = np.diag(np.append(1.0, 1.0 / unit))
    back[0, 1:] = -mean / unit
    covariance = back @ route.laplace.factor @ route.laplace.factor.T @ back.T
    return back @ route.laplace.mode, np.sqrt(np.diag(covariance))
