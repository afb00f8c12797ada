"""Tails of importance weights: the generalised Pareto distribution, and what leave-one-out makes of it.

The largest weights are replaced by quantiles of a generalised Pareto distribution that is fitted to them (Vehtari,
Simpson, Gelman, Yao & Gabry 2024, Pareto smoothed importance sampling); its shape is by Zhang & Stephens (2009).
"""

import numpy as np

from bayesglm.kernel._vector cimport sum_exp, sum_log1p
from bayesglm.kernel.ranks cimport sort_draws
from libc.math cimport INFINITY, NAN, exp, expm1, fabs, isfinite, isnan, log, log1p, sqrt
from libc.stdint cimport int32_t

#: Weights below exp(-708) are no doubles with all their digits.
cdef double LEAST = -708.3964185322641
#: A tail of fewer weights has no shape.
cdef Py_ssize_t SHORTEST = 5
#: Weights that place the threshold above which the largest are looked for.
cdef Py_ssize_t SAMPLE = 128
cdef double EPS = 2.220446049250313e-16


cdef inline Py_ssize_t points_of(Py_ssize_t n) noexcept nogil:
    """Return the number of points of the shape's quadrature for n excesses."""
    return 30 + <Py_ssize_t>sqrt(<double>n)


cdef inline Py_ssize_t first_quartile(Py_ssize_t n) noexcept nogil:
    """Return which of n numbers in ascending order is the first quartile."""
    return max(<Py_ssize_t>(0.25 * n + 0.5) - 1, 0)


cdef double shape_of(const double* x, Py_ssize_t n, double* work, double* scale) noexcept nogil:
    """Return the shape of n excesses in ascending order, the last above 0; write the scale.

    The posterior mean of theta = -shape/scale, by quadrature over quantiles of a prior that the first quartile
    centres; then a weak prior of the shape, worth ten observations at 0.5. ``work`` has room for two numbers a point.
    """
    cdef Py_ssize_t points = points_of(n), j
    cdef double* theta = work
    cdef double* profile = work + points
    cdef double largest = -INFINITY, total = 0.0, kept = 0.0, mean = 0.0, shape
    cdef double quartile = x[first_quartile(n)]
    if quartile <= 0.0:
        quartile = 1e-300
    for j in range(points):
        theta[j] = (1.0 - sqrt(points / (j + 0.5))) / (3.0 * quartile) + 1.0 / x[n - 1]
        shape = sum_log1p(x, -theta[j], n) / n
        profile[j] = n * (log(-theta[j] / shape) - shape - 1.0)
        if profile[j] > largest:
            largest = profile[j]
    for j in range(points):
        profile[j] = exp(profile[j] - largest)
        total += profile[j]
    for j in range(points):
        if profile[j] >= 10.0 * EPS * total or isnan(profile[j]):
            kept += profile[j]
            mean += theta[j] * profile[j]
    mean /= kept
    shape = sum_log1p(x, -mean, n) / n
    scale[0] = -shape / mean
    return (n * shape + 5.0) / (n + 10.0)


cdef Py_ssize_t pick_largest(const double* x, Py_ssize_t n, Py_ssize_t wanted, double* found) noexcept nogil:
    """Write all x from some threshold on, the ``wanted`` largest among them, to ``found``; return their number."""
    cdef double[128] sample
    cdef Py_ssize_t m = min(SAMPLE, n), step = n // m, i, j, count = 0, place
    cdef double value
    for i in range(m):
        value = x[i * step]
        j = i
        while j > 0 and sample[j - 1] < value:
            sample[j] = sample[j - 1]
            j -= 1
        sample[j] = value
    # Twice as many as are wanted, in expectation: too few are rare, and a few too many cost little.
    place = 2 * m * wanted // n
    while count < wanted:
        count = 0
        value = sample[place] if place < m else -INFINITY
        for i in range(n):
            found[count] = x[i]
            count += x[i] >= value
        place = 2 * place + 1
    return count


cdef struct Work:
    double* ratio      # (n,)
    double* found      # (n,)
    double* ordered    # (n,)
    double* excess     # (n,)
    double* quadrature
    int32_t* order     # (n,)
    int32_t* scratch   # (3 n,)


cdef double smooth(double* tail, Py_ssize_t n, double shape, double scale, double threshold) noexcept nogil:
    """Replace the logarithms of weights, in ascending order, by those of expected ones, none of them above 0.

    Returns the sum of what weights are to what they were.
    """
    cdef Py_ssize_t i
    cdef double t, new, ratios = 0.0
    for i in range(n):
        t = -log1p(-(i + 0.5) / n)
        new = log(threshold + scale * (t if fabs(shape) < EPS else expm1(shape * t) / shape))
        if new > 0.0:
            new = 0.0
        ratios += exp(new - tail[i])
        tail[i] = new
    return ratios


cdef int one_row(
    const double* value, Py_ssize_t n, Py_ssize_t length, bint strict, Work* w, double* out
) except -1 nogil:
    """Write elpd, shape of the tail and log mean density of a row with n log densities."""
    cdef Py_ssize_t i, count, strange = 0, less = 0
    cdef double least = INFINITY, largest = -INFINITY, cutoff, threshold, shape = INFINITY, scale = NAN
    cdef double weights, densities
    cdef double* tail
    for i in range(n):
        strange += not (-INFINITY < value[i] < INFINITY)
        least = value[i] if value[i] < least else least
        largest = value[i] if value[i] > largest else largest
    out[2] = largest + log(sum_exp(value, 1.0, -largest, INFINITY, n) / n)
    if strange:
        out[0] = NAN
        out[1] = INFINITY if strict else NAN
        return 0

    # Logarithms of importance ratios, the largest of which is 1.
    for i in range(n):
        w.ratio[i] = least - value[i]
    count = pick_largest(w.ratio, n, length + 1, w.found)
    sort_draws(w.found, count, w.ordered, w.order, w.scratch)
    tail = w.ordered + count - length
    cutoff = (tail - 1)[0]
    if strict:
        cutoff = max(cutoff, LEAST)
        while length > 0 and tail[0] <= cutoff:
            tail += 1
            length -= 1
    threshold = exp(cutoff)
    for i in range(n):
        less += w.ratio[i] < cutoff
    weights = sum_exp(w.ratio, 1.0, 0.0, cutoff, n) + (n - length - less) * threshold
    densities = n
    if length >= SHORTEST and (strict or tail[length - 1] > tail[0]):
        for i in range(length):
            w.excess[i] = exp(tail[i]) - threshold
        if not strict and w.excess[first_quartile(length)] <= w.excess[0]:
            shape = NAN
        else:
            shape = shape_of(w.excess, length, w.quadrature, &scale)
            if not strict and isnan(shape):
                shape = INFINITY
        if isfinite(shape):
            densities = n - length + smooth(tail, length, shape, scale, threshold)
    weights += sum_exp(tail, 1.0, 0.0, INFINITY, length)
    # A weight times the density that it leaves out is the same for all draws but those of the tail.
    out[0] = least + log(densities) - log(weights)
    out[1] = shape
    return 0


def leave_one_out(const double[:, ::1] log_density not None, Py_ssize_t length, bint strict):
    """Return what leaving out one row at a time makes of the log densities of rows, by Pareto-smoothed weights.

    Parameters
    ----------
    log_density : array of shape (m, n)
        Of m rows under n posterior draws.
    length : int
        Number of the largest weights that are smoothed, less than n.
    strict : bool
        How equal weights count: the tail is what is larger than the largest weight that is not of it, and has then
        fewer than ``length`` of them (ArviZ before 1.0); or it has ``length`` weights whatever they are.

    Returns
    -------
    (3, m) float64
        Log density of the row under the posterior of all others; shape of the tail of the weights, infinite where
        too few differ and NaN where they fit none; log density under the posterior of all rows.
    """
    cdef Py_ssize_t m = log_density.shape[0], n = log_density.shape[1], i, k
    cdef double[3] out
    cdef Work w
    if not 0 < length < n:
        raise ValueError(f"length must lie between 1 and {n - 1}, not {length}")
    found = np.empty((3, m))
    cdef double[:, ::1] result = found
    cdef double[::1] numbers = np.empty(4 * n + 2 * points_of(length))
    cdef int32_t[::1] places = np.empty(4 * n, dtype=np.int32)
    w.ratio = &numbers[0]
    w.found = w.ratio + n
    w.ordered = w.found + n
    w.excess = w.ordered + n
    w.quadrature = w.excess + n
    w.order = &places[0]
    w.scratch = w.order + n
    with nogil:
        for i in range(m):
            one_row(&log_density[i, 0], n, length, strict, &w, out)
            for k in range(3):
                result[k, i] = out[k]
    return found


def generalised_pareto(const double[::1] excess not None):
    """Return shape and scale of the generalised Pareto distribution of excesses.

    Parameters
    ----------
    excess : array of shape (n,)
        In ascending order, not negative, the last above 0; at least one.
    """
    cdef Py_ssize_t n = excess.shape[0]
    cdef double scale = NAN, shape
    cdef double[::1] work = np.empty(2 * points_of(n))
    if n == 0 or not excess[n - 1] > 0.0:
        raise ValueError("excess must hold at least one number above 0")
    with nogil:
        shape = shape_of(&excess[0], n, &work[0], &scale)
    return shape, scale
