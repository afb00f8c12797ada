"""Bayesian regression for people who know scikit-learn: fit, predict, and the full posterior."""

from bayesglm import families, metrics, model_selection, testing
from bayesglm._version import __version__
from bayesglm.classification import BayesianLogisticRegression
from bayesglm.composed_model import posterior_of
from bayesglm.glm import BayesianGLM
from bayesglm.linear import BayesianLinearRegression
from bayesglm.model_file import load
from bayesglm.priors import (
    R2D2,
    Cauchy,
    Exponential,
    Flat,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    Horseshoe,
    InverseGamma,
    Laplace,
    Normal,
    StudentT,
)
from bayesglm.regressors import (
    BayesianGammaRegressor,
    BayesianNegativeBinomialRegressor,
    BayesianPoissonRegressor,
    BayesianRobustRegression,
)


def __dir__() -> list[str]:
    """Return the public names; the other modules are not for use from outside."""
    return sorted([*__all__, "__doc__", "__file__", "__name__", "__path__", "priors"])


__all__ = [
    "R2D2",
    "BayesianGLM",
    "BayesianGammaRegressor",
    "BayesianLinearRegression",
    "BayesianLogisticRegression",
    "BayesianNegativeBinomialRegressor",
    "BayesianPoissonRegressor",
    "BayesianRobustRegression",
    "Cauchy",
    "Exponential",
    "Flat",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "HalfStudentT",
    "Horseshoe",
    "InverseGamma",
    "Laplace",
    "Normal",
    "StudentT",
    "__version__",
    "families",
    "load",
    "metrics",
    "model_selection",
    "posterior_of",
    "testing",
]
