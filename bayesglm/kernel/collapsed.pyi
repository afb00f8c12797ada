"""Types of `bayesglm.kernel.collapsed`."""

import numpy as np
from numpy.typing import ArrayLike

from bayesglm.kernel.priors import Prior
from bayesglm.kernel.target import Target

class CollapsedTarget(Target):
    singular: np.ndarray
    projected: np.ndarray
    sigma_prior: Prior
    scale_prior: Prior
    def __init__(
        self,
        weight: float,
        rss: float,
        singular: ArrayLike,
        projected: ArrayLike,
        sigma_prior: Prior,
        scale_prior: Prior,
        intercept: bool = True,
        gap: float = 0.0,
        intercept_sd: float = ...,
    ) -> None: ...
