"""Gamma and beta likelihoods of large shapes, inline: what rows share is taken from each row, so that nothing cancels.

Beyond a shape of `STEEP`, sums over rows and what rows share are as large as the shape, and their difference, the log
likelihood, has no digits left. Of gamma functions that leaves Stirling's series, of powers the divergence of the mean
from y.
"""

from bayesglm.kernel._special cimport stirling, stirling_slope
from bayesglm.kernel.family cimport Rows
from libc.math cimport exp, expm1, fabs, log, log1p

cdef enum:
    STEEP = 100000000


cdef inline double steep_gamma(const Rows* rows, const double* eta, double shape, double* score,
                               double* d_aux) noexcept nogil:
    """Return the sum of w_i shape (1 + u_i - exp(u_i)) with u_i = log(y_i) - eta_i; derivatives unless NULL.

    What rows share is then `stirling` of the shape, and the logarithms of y.
    """
    cdef Py_ssize_t i
    cdef double total = 0.0, gap, rise, w
    for i in range(rows.n):
        w = rows.weight[i] if rows.weight != NULL else 1.0
        gap = log(rows.y[i]) - eta[i]
        rise = expm1(gap)
        # (Near 0 the difference is half of the square.)
        total += w * (gap * gap * (0.5 + gap / 6.0) if fabs(gap) < 1e-5 else rise - gap)
        if score != NULL:
            score[i] = w * shape * rise
    if score != NULL:
        d_aux[0] -= total
    return -shape * total


cdef inline double steep_beta(const Rows* rows, const double* eta, double phi, double* score,
                              double* d_aux) noexcept nogil:
    """Return the log likelihood less what rows share, which is then minus `stirling` of the precision."""
    cdef Py_ssize_t i
    cdef double total = 0.0, small, mean, rest, a, b, y, up, down, far, w
    for i in range(rows.n):
        w = rows.weight[i] if rows.weight != NULL else 1.0
        small = exp(-fabs(eta[i]))
        mean = (1.0 if eta[i] > 0.0 else small) / (1.0 + small)
        rest = (small if eta[i] > 0.0 else 1.0) / (1.0 + small)
        a, b, y = mean * phi, rest * phi, rows.y[i]
        up, down = log1p((y - mean) / mean), log1p((mean - y) / rest)
        far = mean * up + rest * down
        total += w * (phi * far + stirling(a) + stirling(b) - log(y) - log1p(-y))
        if score != NULL:
            # (The slope of `stirling` is log less digamma.)
            score[i] = w * phi * mean * rest * (up - down + stirling_slope(a) - stirling_slope(b))
            d_aux[0] += w * (far + mean * stirling_slope(a) + rest * stirling_slope(b))
    return total
