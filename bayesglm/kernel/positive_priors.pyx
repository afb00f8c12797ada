"""Priors on the positive numbers, for scales and for coefficients that must be positive.

To add one: a class here and its name in `PRIORS`.
"""

import numpy as np

from libc.math cimport INFINITY, log, log1p

from bayesglm.kernel.priors cimport Prior

from bayesglm.kernel.priors import Cauchy, Flat, Laplace, Normal, StudentT, student_constant


cdef class PositiveScale(Prior):
    """What the priors on the positive numbers share."""

    positive = True


cdef class HalfNormal(PositiveScale):
    """The normal distribution with mean 0, folded to the positive numbers.

    Parameters
    ----------
    scale : float or array, default=1.0
        Standard deviation of the unfolded distribution.
    autoscale : bool, default=False
        Multiply the scale by sd(y) (on a coefficient: by sd(y)/sd(x)).
    """

    names = ("scale", "autoscale")

    def __init__(self, scale=1.0, autoscale=False):
        self.scale, self.autoscale = scale, autoscale

    def _log_constants(self):
        return np.full(self.n, 0.5 * np.log(2.0 / np.pi))

    def distribution(self):
        """Return `scipy.stats.halfnorm`, frozen."""
        from scipy.stats import halfnorm
        return halfnorm(0.0, self.bound[2])

    cdef double add(self, const double* x, double* grad) noexcept nogil:
        cdef Py_ssize_t i, j
        cdef double z, total = 0.0
        for i in range(self.n):
            j = self.index[i]
            z = x[j] * self.inverse_scale[i]
            if z < 0.0:
                return -INFINITY
            total += z * z
            grad[j] -= z * self.inverse_scale[i]
        return self.log_constant - 0.5 * total


cdef class HalfStudentT(PositiveScale):
    """Student's t distribution with location 0, folded to the positive numbers.

    Parameters
    ----------
    df : float, default=4.0
        Degrees of freedom.
    scale : float or array, default=1.0
    autoscale : bool, default=False
        See `HalfNormal`.
    """

    names = ("df", "scale", "autoscale")

    def __init__(self, df=4.0, scale=1.0, autoscale=False):
        self.df, self.scale, self.autoscale = df, scale, autoscale

    def _prepare(self):
        self.df_ = self.df

    def _log_constants(self):
        return np.full(self.n, np.log(2.0) + student_constant(self.df))

    def distribution(self):
        """Return a folded `scipy.stats.t`, frozen."""
        return _HalfT(self.df, self.bound[2])

    cdef double add(self, const double* x, double* grad) noexcept nogil:
        cdef Py_ssize_t i, j
        cdef double z, total = 0.0
        for i in range(self.n):
            j = self.index[i]
            z = x[j] * self.inverse_scale[i]
            if z < 0.0:
                return -INFINITY
            total += log1p(z * z / self.df_)
            grad[j] -= (self.df_ + 1.0) * z / (self.df_ + z * z) * self.inverse_scale[i]
        return self.log_constant - 0.5 * (self.df_ + 1.0) * total


cdef class HalfCauchy(PositiveScale):
    """The Cauchy distribution with location 0, folded to the positive numbers.

    Parameters
    ----------
    scale : float or array, default=1.0
        The median.
    autoscale : bool, default=False
        See `HalfNormal`.
    """

    names = ("scale", "autoscale")

    def __init__(self, scale=1.0, autoscale=False):
        self.scale, self.autoscale = scale, autoscale

    def _log_constants(self):
        return np.full(self.n, np.log(2.0 / np.pi))

    def distribution(self):
        """Return `scipy.stats.halfcauchy`, frozen."""
        from scipy.stats import halfcauchy
        return halfcauchy(0.0, self.bound[2])

    cdef double add(self, const double* x, double* grad) noexcept nogil:
        cdef Py_ssize_t i, j
        cdef double z, total = 0.0
        for i in range(self.n):
            j = self.index[i]
            z = x[j] * self.inverse_scale[i]
            if z < 0.0:
                return -INFINITY
            total += log1p(z * z)
            grad[j] -= 2.0 * z / (1.0 + z * z) * self.inverse_scale[i]
        return self.log_constant - total


cdef class Exponential(PositiveScale):
    """The exponential distribution.

    Parameters
    ----------
    scale : float or array, default=1.0
        The mean (not a rate).
    autoscale : bool, default=False
        See `HalfNormal`.
    """

    names = ("scale", "autoscale")

    def __init__(self, scale=1.0, autoscale=False):
        self.scale, self.autoscale = scale, autoscale

    def distribution(self):
        """Return `scipy.stats.expon`, frozen."""
        from scipy.stats import expon
        return expon(0.0, self.bound[2])

    cdef double add(self, const double* x, double* grad) noexcept nogil:
        cdef Py_ssize_t i, j
        cdef double total = 0.0
        for i in range(self.n):
            j = self.index[i]
            if x[j] < 0.0:
                return -INFINITY
            total += x[j] * self.inverse_scale[i]
            grad[j] -= self.inverse_scale[i]
        return self.log_constant - total


cdef class Gamma(PositiveScale):
    """The gamma distribution.

    Parameters
    ----------
    shape : float, default=2.0
    scale : float or array, default=1.0
        Mean divided by shape (not a rate).
    autoscale : bool, default=False
        See `HalfNormal`.
    """

    names = ("shape", "scale", "autoscale")

    def __init__(self, shape=2.0, scale=1.0, autoscale=False):
        self.shape, self.scale, self.autoscale = shape, scale, autoscale

    def _prepare(self):
        self.shape_ = self.shape

    def _log_constants(self):
        from scipy.special import gammaln
        return np.full(self.n, -gammaln(self.shape))

    def distribution(self):
        """Return `scipy.stats.gamma`, frozen."""
        from scipy.stats import gamma
        return gamma(self.shape, 0.0, self.bound[2])

    cdef double add(self, const double* x, double* grad) noexcept nogil:
        cdef Py_ssize_t i, j
        cdef double z, total = 0.0
        for i in range(self.n):
            j = self.index[i]
            z = x[j] * self.inverse_scale[i]
            if not z > 0.0:
                return -INFINITY
            total += (self.shape_ - 1.0) * log(z) - z
            grad[j] += (self.shape_ - 1.0) / x[j] - self.inverse_scale[i]
        return self.log_constant + total


cdef class InverseGamma(PositiveScale):
    """The inverse gamma distribution.

    Parameters
    ----------
    shape : float, default=2.0
    scale : float or array, default=1.0
    autoscale : bool, default=False
        See `HalfNormal`.
    """

    names = ("shape", "scale", "autoscale")

    def __init__(self, shape=2.0, scale=1.0, autoscale=False):
        self.shape, self.scale, self.autoscale = shape, scale, autoscale

    def _prepare(self):
        self.shape_ = self.shape

    def _log_constants(self):
        from scipy.special import gammaln
        return np.full(self.n, -gammaln(self.shape))

    def distribution(self):
        """Return `scipy.stats.invgamma`, frozen."""
        from scipy.stats import invgamma
        return invgamma(self.shape, 0.0, self.bound[2])

    cdef double add(self, const double* x, double* grad) noexcept nogil:
        cdef Py_ssize_t i, j
        cdef double z, total = 0.0
        for i in range(self.n):
            j = self.index[i]
            z = x[j] * self.inverse_scale[i]
            if not z > 0.0:
                return -INFINITY
            total -= (self.shape_ + 1.0) * log(z) + 1.0 / z
            grad[j] += (1.0 / z - self.shape_ - 1.0) / x[j]
        return self.log_constant + total


class _HalfT:
    """The folded t distribution, which `scipy.stats` has not, with the methods that priors use."""

    def __init__(self, df, scale):
        from scipy.stats import t
        self.folded = t(df, 0.0, scale)

    def logpdf(self, x):
        return np.where(np.asarray(x) >= 0, np.log(2.0) + self.folded.logpdf(x), -np.inf)

    def ppf(self, q):
        return self.folded.ppf(0.5 + 0.5 * np.asarray(q))

    def isf(self, q):
        return self.folded.isf(0.5 * np.asarray(q))


#: Priors by the names that `BayesianLinearRegression(prior="...")` takes.
PRIORS = {
    "flat": Flat,
    "normal": Normal,
    "student_t": StudentT,
    "cauchy": Cauchy,
    "laplace": Laplace,
    "half_normal": HalfNormal,
    "half_student_t": HalfStudentT,
    "half_cauchy": HalfCauchy,
    "exponential": Exponential,
    "gamma": Gamma,
    "inverse_gamma": InverseGamma,
}
