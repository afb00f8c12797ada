"""Estimators whose answers somebody else knows: least squares under flat priors, and a frame to fit them to."""

import numpy as np
import pandas as pd

from bayesglm import BayesianLinearRegression

#: Few draws, where draws do not matter.
QUICK = BayesianLinearRegression(draws=20, random_state=0)
#: Its posterior mean is least squares.
FLAT = BayesianLinearRegression(prior="flat", intercept_prior="flat", draws=20, random_state=0)


def mixed_frame(n=120, seed=0):
    """Two numbers, a factor of three levels and a response."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 2)), columns=["a", "b"])
    frame["g"] = (list("uvw") * n)[:n]
    frame["y"] = 1.0 + 2.0 * frame["a"] - frame["b"] + (frame["g"] == "u") + rng.normal(size=n)
    return frame
