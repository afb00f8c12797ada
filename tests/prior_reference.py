"""Every registered prior with an independent distribution to hold it against."""

import numpy as np
from scipy import stats

from bayesglm.kernel.positive_priors import PRIORS

SHAPE = 3.7  # of priors that have one; a number none of them has by default
DF = 2.6


class FoldedT:
    """|T| for T of Student's t, by way of T² ~ F(1, df)."""

    def __init__(self, df, scale):
        self.squared, self.scale = stats.f(1, df), scale

    def logpdf(self, x):
        z = np.asarray(x) / self.scale
        return self.squared.logpdf(z**2) + np.log(2 * z / self.scale)

    def cdf(self, x):
        return self.squared.cdf((np.asarray(x) / self.scale) ** 2)


# An independent distribution for each name, from (loc, scale); a new prior needs one line here.
REFERENCE = {
    "flat": None,
    "normal": stats.norm,
    "student_t": lambda loc, scale: stats.t(DF, loc, scale),
    "cauchy": lambda loc, scale: stats.t(1, loc, scale),
    "laplace": lambda loc, scale: stats.gennorm(1, loc, scale),
    "half_normal": lambda loc, scale: stats.truncnorm(0, np.inf, 0, scale),
    "half_student_t": lambda loc, scale: FoldedT(DF, scale),
    "half_cauchy": lambda loc, scale: FoldedT(1, scale),
    "exponential": lambda loc, scale: stats.gamma(1, 0, scale),
    "gamma": lambda loc, scale: stats.gamma(SHAPE, 0, scale),
    "inverse_gamma": lambda loc, scale: stats.invgamma(SHAPE, 0, scale),
}
NAMES = sorted(PRIORS)
PROPER = [name for name in NAMES if name != "flat"]
POSITIVE = [name for name in NAMES if PRIORS[name].positive]
REAL_LINE = [name for name in NAMES if "loc" in PRIORS[name].names]


def make(name, loc=0.0, scale=1.0, **more):
    """A prior with the parameters it has."""
    cls = PRIORS[name]
    given = {"loc": loc, "scale": scale, "df": DF, "shape": SHAPE, **more}
    return cls(**{key: value for key, value in given.items() if key in cls.names})


def reference(name, loc=0.0, scale=1.0):
    if name == "flat":
        return None
    return REFERENCE[name](loc, scale)
