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
from bayesglm.kernel.sparse_priors import R2D2, SPARSE_PRIORS, Horseshoe

__all__ = [
    "PRIORS",
    "R2D2",
    "SPARSE_PRIORS",
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
    "Prior",
    "StudentT",
]
