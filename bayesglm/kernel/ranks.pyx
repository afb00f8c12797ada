"""Ranks, normal scores and quantiles of one parameter's draws, all from one bucket sort.

The draws |x - median| need no second sort: the two sides of the median are sorted runs of them, and
are merged.
"""

import numpy as np

from libc.math cimport INFINITY, fabs, floor
from libc.stdint cimport int32_t
from libc.string cimport memset

# Buckets per draw: fewer make the last, insertion sort long, more make them miss the cache.
cdef Py_ssize_t BUCKETS = 2

# Draws that place the buckets: their quartiles stand for those of all draws.
cdef Py_ssize_t SAMPLE = 31

# Moves per draw that the insertion sort may make before the draws are left to numpy.
cdef Py_ssize_t MOVES = 12


cdef bint fill_keys(const double* x, Py_ssize_t n, double* scratch, int32_t* key) noexcept nogil:
    """Write the bucket of every draw; return False where the quartiles (almost) coincide."""
    cdef Py_ssize_t m = min(SAMPLE, n), step = n // m, i, j
    cdef double centre, scale, value, top = 0.5 * (BUCKETS * n - 1)
    for i in range(m):
        value = x[i * step]
        j = i
        while j > 0 and scratch[j - 1] > value:
            scratch[j] = scratch[j - 1]
            j -= 1
        scratch[j] = value
    centre = scratch[m // 2]
    scale = scratch[3 * m // 4] - scratch[m // 4]
    if not 1e-300 < scale < INFINITY:
        return False
    scale = 1.0 / (0.75 * scale)
    # z / (1 + |z|) spreads a normal, a skewed and even a Cauchy sample evenly enough over (-1, 1).
    for i in range(n):
        value = (x[i] - centre) * scale
        value = 1e9 if value > 1e9 else value
        value = -1e9 if value < -1e9 else value
        key[i] = <int32_t>((1.0 + value / (1.0 + fabs(value))) * top)
    return True


cdef bint bucket_sort(
    const double* x, Py_ssize_t n, double* ordered, int32_t* order, int32_t* scratch
) noexcept nogil:
    """Sort as `sort_draws` does; return False where that would take too long."""
    cdef int32_t* key = scratch
    cdef int32_t* start = scratch + n
    cdef Py_ssize_t i, j, moves = MOVES * n
    cdef int32_t place, count, total = 0
    cdef double value
    if not fill_keys(x, n, ordered, key):
        return False
    memset(start, 0, BUCKETS * n * sizeof(int32_t))
    for i in range(n):
        start[key[i]] += 1
    for i in range(BUCKETS * n):
        count = start[i]
        start[i] = total
        total += count
    for i in range(n):
        place = start[key[i]]
        start[key[i]] = place + 1
        ordered[place] = x[i]
        order[place] = <int32_t>i
    # Buckets are in order, draws within one are not; nor need keys rounded the wrong way be.
    for i in range(1, n):
        value = ordered[i]
        if ordered[i - 1] > value:
            place = order[i]
            j = i
            while j > 0 and ordered[j - 1] > value:
                ordered[j] = ordered[j - 1]
                order[j] = order[j - 1]
                j -= 1
            ordered[j] = value
            order[j] = place
            moves -= i - j
            if moves < 0:
                return False
    return True


cdef int numpy_sort(const double* x, Py_ssize_t n, double* ordered, int32_t* order) except -1 with gil:
    """Sort as `sort_draws` does, whatever the draws look like."""
    cdef Py_ssize_t i
    cdef Py_ssize_t[::1] places = np.argsort(<double[:n]><double*>x).astype(np.intp, copy=False)
    for i in range(n):
        order[i] = <int32_t>places[i]
        ordered[i] = x[places[i]]
    return 0


cdef int sort_draws(
    const double* x, Py_ssize_t n, double* ordered, int32_t* order, int32_t* scratch
) except -1 nogil:
    """Write the n draws in ascending order, and where in x they stand; scratch has room for 3 n."""
    if not bucket_sort(x, n, ordered, order, scratch):
        numpy_sort(x, n, ordered, order)
    return 0


cdef void fold(
    const double* ordered, const int32_t* order, Py_ssize_t n, double* folded, int32_t* folded_order
) noexcept nogil:
    """Sort |x - median| of an even number of sorted draws.

    The smaller half is merged upwards and, in the same loop, the larger half downwards: neither
    comes to the end of a run, and the processor works on both at once. Which side is next cannot be
    predicted, so it enters as a number and not as a branch.
    """
    cdef Py_ssize_t half = n // 2, i, pick
    cdef Py_ssize_t low = half - 1, high = half, lowest = 0, highest = n - 1, left
    cdef double median = 0.5 * (ordered[low] + ordered[high])
    for i in range(half):
        left = median - ordered[low] <= ordered[high] - median
        pick = high + (low - high) * left
        folded[i] = fabs(ordered[pick] - median)
        folded_order[i] = order[pick]
        low -= left
        high += 1 - left

        left = median - ordered[lowest] > ordered[highest] - median
        pick = highest + (lowest - highest) * left
        folded[n - 1 - i] = fabs(ordered[pick] - median)
        folded_order[n - 1 - i] = order[pick]
        lowest += left
        highest -= 1 - left


cdef void normal_scores(
    const double* ordered, const int32_t* order, Py_ssize_t n, const double* table, double* out
) noexcept nogil:
    """Write the normal score of every draw where it stands; equal draws share the mean of their ranks.

    ``table`` holds the score by twice the rank, so that means of ranks are integers too.
    """
    cdef Py_ssize_t i = 0, j, tied
    cdef double score
    while i < n:
        j = i + 1
        if j == n or ordered[j] != ordered[i]:
            out[order[i]] = table[2 * j]
        else:
            while j < n and ordered[j] == ordered[i]:
                j += 1
            score = table[i + 1 + j]
            for tied in range(i, j):
                out[order[tied]] = score
        i = j


cdef double quantile(const double* ordered, Py_ssize_t n, double p) noexcept nogil:
    """Return the p-quantile by linear interpolation (type 7), rounded as numpy rounds it."""
    cdef double place = (n - 1) * p, part = place - floor(place), low, high
    cdef Py_ssize_t i = <Py_ssize_t>floor(place)
    low = ordered[i]
    high = ordered[i + 1] if i + 1 < n else low
    if part >= 0.5:
        return high - (high - low) * (1.0 - part)
    return low + (high - low) * part


cdef Py_ssize_t count_up_to(const double* ordered, Py_ssize_t n, double q) noexcept nogil:
    """Return how many of the sorted draws are at most q."""
    cdef Py_ssize_t low = 0, high = n, middle
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] <= q:
            low = middle + 1
        else:
            high = middle
    return low


def sorted_draws(const double[::1] draws not None):
    """Return the draws in ascending order and where they stood.

    Parameters
    ----------
    draws : (n,)
        Finite numbers, at least one.

    Returns
    -------
    ordered : (n,) float64
    order : (n,) int32
        ``ordered == draws[order]``.
    """
    cdef Py_ssize_t n = draws.shape[0]
    if n == 0:
        raise ValueError("draws must hold at least one number")
    cdef double[::1] ordered = np.empty(n)
    cdef int32_t[::1] order = np.empty(n, dtype=np.int32)
    cdef int32_t[::1] scratch = np.empty((1 + BUCKETS) * n, dtype=np.int32)
    with nogil:
        sort_draws(&draws[0], n, &ordered[0], &order[0], &scratch[0])
    return np.asarray(ordered), np.asarray(order)


def folded_draws(const double[::1] draws not None):
    """Return |draws - median| in ascending order and where they stood.

    Parameters
    ----------
    draws : (n,)
        Finite numbers; n is even.

    Returns
    -------
    folded : (n,) float64
    order : (n,) int32
    """
    cdef Py_ssize_t n = draws.shape[0]
    if n == 0 or n % 2:
        raise ValueError("draws must hold an even number of numbers")
    cdef double[::1] ordered, folded = np.empty(n)
    cdef int32_t[::1] order, folded_order = np.empty(n, dtype=np.int32)
    ordered, order = sorted_draws(draws)
    with nogil:
        fold(&ordered[0], &order[0], n, &folded[0], &folded_order[0])
    return np.asarray(folded), np.asarray(folded_order)
