"""Bayesian regression for people who know scikit-learn: fit, predict, and the full posterior."""

from bayesglm import metrics, model_selection
from bayesglm._version import __version__
from bayesglm.linear import BayesianLinearRegression
from bayesglm.model_file import load
from bayesglm.priors import (
    Cauchy,
    Exponential,
    Flat,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    Laplace,
    Normal,
    StudentT,
)

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
    "load",
    "metrics",
    "model_selection",
]
