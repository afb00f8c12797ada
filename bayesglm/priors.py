"""Prior distributions, to be given to an estimator."""

from bayesglm.kernel.positive_priors import (
    PRIORS,
    Exponential,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
)
from bayesglm.kernel.priors import Cauchy, Flat, Laplace, Normal, Prior, StudentT

__all__ = [
    "PRIORS",
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
    "Prior",
    "StudentT",
]
