"""Types of `bayesglm.kernel.sweep`."""

import numpy as np

from bayesglm.kernel.regression import RegressionTarget

POINTS_AT_ONCE: int

def sweep(
    target: RegressionTarget,
    points: np.ndarray,
    out: np.ndarray | None = None,
    stop: np.ndarray | None = None,
) -> np.ndarray: ...
