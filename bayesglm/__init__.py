"""Bayesian regression for people who know scikit-learn: fit, predict, and the full posterior."""

from bayesglm._version import __version__
from bayesglm.kernel.positive_priors import (
    Exponential,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
)
from bayesglm.kernel.priors import Cauchy, Flat, Laplace, Normal, StudentT
from bayesglm.linear import BayesianLinearRegression

__all__ = [
    "BayesianLinearRegression",
    "Cauchy",
    "Exponential",
    "Flat",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "HalfStudentT",
    "InverseGamma",
    "Laplace",
    "Normal",
    "StudentT",
    "__version__",
]
