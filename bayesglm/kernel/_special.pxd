"""Special functions that keep their digits where differences of others lose them, inline."""

from libc.math cimport floor, log, log1p
from scipy.special.cython_special cimport gammaln, psi


cdef inline double log_rising(double phi, double y) noexcept nogil:
    """Return log gamma(phi + y) - log gamma(phi).

    Of a whole number up to 64 it is the logarithm of a product. From 1000 on Stirling's series is exact to rounding
    with the terms used, and the difference loses no digits.
    """
    cdef double top = phi + y, product = 1.0, factor = phi
    cdef int _
    if y == 0.0:
        return 0.0
    if phi < 1000.0:
        if y <= 64.0 and y == floor(y) and phi > 1e-290:
            for _ in range(<int>y):
                product *= factor
                factor += 1.0
            return log(product)
        return gammaln(top) - gammaln(phi)
    return (y * log(phi) + ((top - 0.5) * log1p(y / phi) - y)
            + (1.0 / top - 1.0 / phi) / 12.0 - (1.0 / (top * top * top) - 1.0 / (phi * phi * phi)) / 360.0)


cdef inline double log_rising_slope(double phi, double y) noexcept nogil:
    """Return the derivative of `log_rising` by phi."""
    cdef double top = phi + y
    if y == 0.0:
        return 0.0
    if phi < 1000.0:
        return psi(top) - psi(phi)
    return (log1p(y / phi) + 0.5 * y / (phi * top)
            - (1.0 / (top * top) - 1.0 / (phi * phi)) / 12.0 + (top ** -4 - phi ** -4) / 120.0)


cdef inline double stirling(double x) noexcept nogil:
    """Return x log(x) - x - log gamma(x)."""
    if x < 1000.0:
        return x * log(x) - x - gammaln(x)
    return 0.5 * log(x) - 0.91893853320467274178 - (1.0 - 1.0 / (30.0 * x * x)) / (12.0 * x)


cdef inline double stirling_slope(double x) noexcept nogil:
    """Return the derivative of `stirling`, log(x) - digamma(x)."""
    if x < 1000.0:
        return log(x) - psi(x)
    return 0.5 / x + (1.0 - 0.1 / (x * x)) / (12.0 * x * x)


cdef inline double squared_trigamma(double x) noexcept nogil:
    """Return x² trigamma(x) for x >= 0, 1 at 0: trigamma by recurrence up to 15 and the asymptotic series."""
    cdef double total = 0.0, square, whole = x * x
    if x < 1e-100:
        return 1.0
    while x < 15.0:
        total += 1.0 / (x * x)
        x += 1.0
    square = 1.0 / (x * x)
    return whole * (total + 1.0 / x + 0.5 * square + square / x * (
        1.0 / 6.0 - square * (1.0 / 30.0 - square * (1.0 / 42.0 - square * (1.0 / 30.0 - square * 5.0 / 66.0)))))
