"""The density of (log sigma, log scale) of a Gaussian model whose coefficients share a scale: nothing else is left.

Given sigma and the scale l, coefficients are normal and integrate out. After the singular value decomposition of the
predictors in units of their priors, the data are r independent numbers c_i ~ N(0, sigma² + l² d_i²), a residual sum
of squares, and the mean of y: O(r) an evaluation, and no funnel between scale and coefficients for a chain to
get stuck in.
"""

import numpy as np

from libc.math cimport exp, expm1, log

from bayesglm.kernel._numeric cimport expm1_bend
from bayesglm.kernel.priors cimport Prior
from bayesglm.kernel.target cimport Target

from bayesglm.kernel.target import HEAVY


cdef class CollapsedTarget(Target):
    """Density of (log sigma, log scale), both with a prior on the number itself.

    Of more than `bayesglm.kernel.target.HEAVY` observations a constant is left out.

    Parameters
    ----------
    weight : float
        Number of observations.
    rss : float
        Residual sum of squares.
    singular, projected : array of shape (r,)
        d and c.
    sigma_prior, scale_prior : Prior
        Bound to coordinate 0, each.
    intercept : bool
        Whether the mean of y was subtracted.
    gap, intercept_sd : float
        Of a normal prior of the intercept: its distance from the mean of y, and its standard deviation; infinite if it
        is flat.
    """

    cdef double weight, rss, gap, variance
    cdef bint intercept, heavy
    cdef readonly object singular, projected
    cdef readonly Prior sigma_prior, scale_prior
    cdef const double[::1] _d2, _c2

    def __init__(self, double weight, double rss, singular, projected, Prior sigma_prior, Prior scale_prior,
                 bint intercept=True, double gap=0.0, double intercept_sd=float("inf")):
        self.dim = 2
        self.weight, self.rss, self.intercept, self.gap = weight, rss, intercept, gap
        self.heavy = weight > HEAVY
        self.variance = intercept_sd * intercept_sd
        self.singular = np.ascontiguousarray(singular, dtype=np.float64)
        self.projected = np.ascontiguousarray(projected, dtype=np.float64)
        self._d2, self._c2 = self.singular**2, self.projected**2
        self.sigma_prior, self.scale_prior = sigma_prior, scale_prior

    def __reduce__(self):
        return CollapsedTarget, (self.weight, self.rss, self.singular, self.projected, self.sigma_prior,
                                 self.scale_prior, self.intercept, self.gap, self.variance ** 0.5)

    cdef double logp_grad(self, const double* q, double* grad) noexcept nogil:
        cdef Py_ssize_t i, r = self._d2.shape[0]
        cdef double sigma = exp(q[0]), scale = exp(q[1]), noise = sigma * sigma, spread = scale * scale
        cdef double free = self.weight - r - self.intercept
        cdef double value = -free * q[0] - 0.5 * self.rss / noise + q[0] + q[1]
        cdef double by_noise = 0.0, by_spread = 0.0, variance, slope, by_sigma = 0.0, by_scale = 0.0
        if self.heavy:
            value = (self.rss - free) * q[0] - 0.5 * self.rss * expm1_bend(-2.0 * q[0]) + q[0] + q[1]
        for i in range(r):
            variance = noise + spread * self._d2[i]
            value -= 0.5 * (log(variance) + self._c2[i] / variance)
            slope = 0.5 * (self._c2[i] / variance - 1.0) / variance
            by_noise += slope
            by_spread += slope * self._d2[i]
        if self.intercept and self.variance < 1e300:
            variance = self.variance + noise / self.weight
            value -= 0.5 * (log(variance) + self.gap * self.gap / variance)
            by_noise += 0.5 * (self.gap * self.gap / variance - 1.0) / variance / self.weight
        value += self.sigma_prior.add(&sigma, &by_sigma) + self.scale_prior.add(&scale, &by_scale)
        grad[0] = -free + self.rss / noise + 1.0 + 2.0 * noise * by_noise + by_sigma * sigma
        if self.heavy:
            grad[0] = ((self.rss - free) + self.rss * expm1(-2.0 * q[0]) + 1.0 + 2.0 * noise * by_noise
                       + by_sigma * sigma)
        grad[1] = 1.0 + 2.0 * spread * by_spread + by_scale * scale
        return value
