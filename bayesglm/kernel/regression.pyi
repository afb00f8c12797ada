"""Types of `bayesglm.kernel.regression`."""

import numpy as np

from bayesglm.kernel.design import Design
from bayesglm.kernel.family import Family
from bayesglm.kernel.priors import Prior
from bayesglm.kernel.target import Target

class RegressionTarget(Target):
    design: Design
    family: Family
    n_linear: int
    n_aux: int
    n_predictors: int
    n_sets: int
    contrasts: np.ndarray | None
    intercept: bool
    shift: np.ndarray
    coef_prior: Prior | None
    intercept_prior: Prior | None
    aux_prior: Prior | None
    def __init__(
        self,
        design: Design,
        family: Family,
        y: np.ndarray,
        *,
        weight: np.ndarray | None = None,
        extra: np.ndarray | None = None,
        offset: np.ndarray | None = None,
        intercept: bool = True,
        shift: np.ndarray | None = None,
        coef_prior: Prior | None = None,
        intercept_prior: Prior | None = None,
        aux_prior: Prior | None = None,
        contrasts: np.ndarray | None = None,
    ) -> None: ...
    def clone(self) -> RegressionTarget: ...
    def linear_predictor(self, q: np.ndarray) -> np.ndarray: ...
    def information(self, q: np.ndarray) -> np.ndarray: ...
