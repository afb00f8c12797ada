"""Shapes and precisions so large that what rows share and what they do not cancel to the last digit: against mpmath."""

import numpy as np
import pytest
from mpmath import mp, mpf

from bayesglm.families import Beta, Gamma
from bayesglm.kernel.positive import RESOLUTION

PRECISIONS = (1e3, 0.99e8, 1.01e8, 1e11, 1e14, 1e18, 1e25)
ETAS = (-5.0, -0.3, 0.8, 4.0)


def gamma(y, eta, shape):
    share = y * mp.exp(-eta)
    value = shape * (mp.log(shape) - eta - share) - mp.loggamma(shape) + (shape - 1) * mp.log(y)
    return value, shape * (share - 1), mp.log(shape) + 1 - eta - mp.digamma(shape) + mp.log(y) - share


def beta(y, eta, phi):
    mean = 1 / (1 + mp.exp(-eta))
    a, b = mean * phi, (1 - mean) * phi
    up, down = mp.log(y) - mp.digamma(a), mp.log(1 - y) - mp.digamma(b)
    value = (a - 1) * mp.log(y) + (b - 1) * mp.log(1 - y) - mp.loggamma(a) - mp.loggamma(b) + mp.loggamma(phi)
    return value, phi * mean * (1 - mean) * (up - down), mean * up + (1 - mean) * down + mp.digamma(phi)


@pytest.mark.parametrize(("family", "truth"), [(Gamma(), gamma), (Beta(), beta)], ids=["gamma", "beta"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_density_and_derivatives(family, truth, precision):
    for k, eta in enumerate(ETAS):
        mean = float(family.inverse_link(np.array(eta)))
        sd = np.sqrt(family.variance(np.array(eta), {family.aux[0]: precision}))
        y = np.array([mean + (k - 1.3) * min(float(sd), 0.2 * mean)])
        value, score, slope = family.loglik_and_score(y, np.array([eta]), [precision], weight=np.array([2.0]))
        with mp.workdps(60):
            exact = [float(2 * part) for part in truth(mpf(float(y[0])), mpf(eta), mpf(precision))]
        # As much as y could have been read wrong.
        exact[0] -= RESOLUTION**2 * precision
        exact[2] -= RESOLUTION**2
        # A last digit of the mean is worth so many standard deviations, ...
        digit = np.finfo(float).eps * np.sqrt(precision) * 10.0
        # ... and up to where the split changes, terms of the size of the precision have last digits too.
        digit += 2e-15 * precision if precision < 1e8 else 1e-13
        assert value == pytest.approx(exact[0], abs=20.0 * digit)
        assert score[0] == pytest.approx(exact[1], abs=20.0 * digit * np.sqrt(precision))
        assert slope[0] * precision == pytest.approx(exact[2] * precision, abs=20.0 * digit)
