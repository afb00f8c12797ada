"""Inline vector arithmetic with a fixed order of summation.

A plain sum cannot be vectorised without -ffast-math, which would also delete the NaN tests. Four
accumulators say explicitly in which order to add: the compiler may use its vector registers, and
the pure Python twin in the tests can repeat the sum to the last bit.
"""

from libc.math cimport exp, expm1, fabs, log1p


cdef inline double dot(const double* a, const double* b, Py_ssize_t n) noexcept nogil:
    """Return the inner product of ``a`` and ``b``."""
    cdef double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0, total
    cdef Py_ssize_t i = 0
    while i + 4 <= n:
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
        i += 4
    total = (s0 + s1) + (s2 + s3)
    while i < n:
        total += a[i] * b[i]
        i += 1
    return total


cdef inline double dot_sum(const double* a, const double* b, const double* c, Py_ssize_t n) noexcept nogil:
    """Return the inner product of ``a`` and ``b + c`` without storing the sum."""
    cdef double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0, total
    cdef Py_ssize_t i = 0
    while i + 4 <= n:
        s0 += a[i] * (b[i] + c[i])
        s1 += a[i + 1] * (b[i + 1] + c[i + 1])
        s2 += a[i + 2] * (b[i + 2] + c[i + 2])
        s3 += a[i + 3] * (b[i + 3] + c[i + 3])
        i += 4
    total = (s0 + s1) + (s2 + s3)
    while i < n:
        total += a[i] * (b[i] + c[i])
        i += 1
    return total


cdef inline double logaddexp(double a, double b) noexcept nogil:
    """Return log(exp(a) + exp(b)); neither may be +inf or NaN."""
    cdef double largest
    if a == b:
        return a + 0.6931471805599453
    largest = a if a > b else b
    if largest == -1.0 / 0.0:
        return largest
    return largest + log1p(exp(-fabs(a - b)))


cdef inline double expm1_bend(double x) noexcept nogil:
    """Return exp(x) - 1 - x; near 0, where these cancel, by its series."""
    if fabs(x) > 0.02:
        return expm1(x) - x
    return x * x * (1.0 / 2.0 + x * (1.0 / 6.0 + x * (1.0 / 24.0 + x * (1.0 / 120.0 + x * (
        1.0 / 720.0 + x * (1.0 / 5040.0 + x / 40320.0))))))
