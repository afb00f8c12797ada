"""Prior sets by name: the defaults of rstanarm, bambi and arm, for people who come from there.

Facts: Goodrich et al., rstanarm (vignette "Prior distributions"); Capretto et al. (2022), Bambi; Gelman, Jakulin,
Pittau & Su (2008), A weakly informative default prior distribution for logistic and other regression models.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bayesglm.kernel.positive_priors import Exponential, Gamma, HalfCauchy, HalfStudentT
from bayesglm.kernel.priors import Cauchy, Normal, Prior

#: Names that ``prior="..."`` takes besides those of single priors.
PRESETS = ("rstanarm", "bambi", "arm")

#: By preset, priors of auxiliary parameters; those in units of the response with ``autoscale``.
_AUX: dict[str, Mapping[str, Prior]] = {
    "rstanarm": {
        "sigma": Exponential(1.0, autoscale=True),
        "scale": Exponential(1.0, autoscale=True),
        "phi": Exponential(1.0),
        "shape": Exponential(1.0),
        "precision": Exponential(1.0),
    },
    "bambi": {
        "sigma": HalfStudentT(4.0, 1.0, autoscale=True),
        "scale": HalfStudentT(4.0, 1.0, autoscale=True),
        "df": Gamma(2.0, 10.0),
        "phi": HalfCauchy(1.0),
        "shape": HalfCauchy(1.0),
        "precision": HalfCauchy(1.0),
    },
    "arm": {},
}


def coefficient_preset(name: str, x_mean: np.ndarray, x_sd: np.ndarray, spread: float, link: str) -> Prior:
    """Return the prior of all coefficients, scales in the user's units.

    Parameters
    ----------
    name : {"rstanarm", "bambi", "arm"}
    x_mean, x_sd : ndarray of shape (p,)
        Of the predictors; those of zeros and ones, which "arm" scales otherwise, are told by sd² = mean (1 - mean).
    spread : float
        Standard deviation of the response where the link is the identity, else 1.
    link : str
    """
    sd = np.where(x_sd > 0.0, x_sd, 1.0)
    if name != "arm":
        return Normal(0.0, 2.5 * spread / sd)
    binary = np.abs(sd**2 - x_mean * (1.0 - x_mean)) <= 1e-9 * sd**2
    width = np.where(binary, 1.0, 2.0 * sd)
    # For the normal model "arm" counts in two standard deviations of the response; a probit is 1.6 times a logit.
    unit = 2.0 * spread if link == "identity" else 1.6 if link == "probit" else 1.0
    return Cauchy(0.0, 2.5 * unit / width)


def intercept_preset(name: str, level: float, spread: float, link: str) -> Prior:
    """Return the prior of the intercept at the predictors' means, in the user's units."""
    identity = link == "identity"
    if name == "arm":
        unit = 2.0 * spread if identity else 1.6 if link == "probit" else 1.0
        return Cauchy(0.0, 10.0 * unit)
    return Normal(level, 2.5 * spread) if identity else Normal(0.0, 2.5)


def aux_preset(name: str) -> Mapping[str, Prior]:
    """Return priors of auxiliary parameters by name; the rest keep the family's own."""
    return _AUX[name]
