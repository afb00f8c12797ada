from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from bayesglm.kernel.priors import Prior
from bayesglm.kernel.target import Target

class ScaleTarget(Target):
    def __init__(
        self,
        dim: int,
        weight: float,
        rss: float,
        likelihood: ArrayLike,
        prior_precision: ArrayLike,
        gap: ArrayLike,
        sigma_prior: Prior,
        first_knot: float = 0.0,
        knot_step: float = 1.0,
        knots: ArrayLike = (0.0, 1.0),
        knot_slopes: ArrayLike = (1.0, 1.0),
    ) -> None: ...
    @property
    def settings(self) -> tuple[Any, ...]: ...
    def through(
        self, first_knot: float, knot_step: float, knots: ArrayLike, knot_slopes: ArrayLike
    ) -> Self: ...
    def log_sigma(self, t: ArrayLike) -> np.ndarray: ...
    def log_marginal(self, log_sigma: ArrayLike) -> tuple[np.ndarray, np.ndarray]: ...

class CorrectedTarget(Target):
    def __init__(
        self,
        scale: ScaleTarget,
        basis: ArrayLike,
        data_precision: ArrayLike,
        prior_precision: ArrayLike,
        prior_mean: ArrayLike,
        data_mean: ArrayLike,
        intercept: bool,
        shift: ArrayLike,
        normal_mean: ArrayLike,
        normal_precision: ArrayLike,
        coef_prior: Prior | None,
        intercept_prior: Prior | None,
    ) -> None: ...
    @property
    def settings(self) -> tuple[Any, ...]: ...
    @property
    def scale(self) -> ScaleTarget: ...
    def unwhiten(self, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...

class SummaryTarget(Target):
    def __init__(
        self,
        weight: float,
        y_mean: float,
        rss: float,
        factor: np.ndarray,
        rotated: ArrayLike,
        intercept: bool,
        shift: ArrayLike,
        positive: ArrayLike,
        coef_prior: Prior | None,
        intercept_prior: Prior | None,
        sigma_prior: Prior,
    ) -> None: ...
    @property
    def settings(self) -> tuple[Any, ...]: ...
    def unwhiten(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...
