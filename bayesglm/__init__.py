"""Bayesian regression for people who know scikit-learn: fit, predict, and the full posterior."""

from bayesglm import metrics, model_selection
from bayesglm._version import __version__
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

__all__ = [
    "R2D2",
    "BayesianLinearRegression",
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
    "load",
    "metrics",
    "model_selection",
]
