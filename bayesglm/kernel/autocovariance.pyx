"""R-hat, effective sample sizes and Monte Carlo errors of many parameters, from ranks and autocovariances.

Autocovariances are summed lag by lag, and only as far as Geyer's sequence asks for; well mixed
chains need four to six lags. The indicators of the tails are sets of bits, whose autocovariances are
numbers of common bits.

Definitions: A. Vehtari, A. Gelman, D. Simpson, B. Carpenter and P.-C. Bürkner, Rank-normalization,
folding, and localization: an improved R-hat for assessing convergence of MCMC, Bayesian Analysis
16(2), 2021; C. J. Geyer, Practical Markov chain Monte Carlo, Statistical Science 7(4), 1992.
"""

import numpy as np

from libc.math cimport INFINITY, NAN, isfinite, log10, sqrt
from libc.stdint cimport int32_t, uint64_t
from libc.string cimport memset

from bayesglm.kernel._numeric cimport dot
from bayesglm.kernel.ranks cimport count_up_to, fold, normal_scores, quantile, sort_draws

# Past this many lags a Fourier transform of all of them is cheaper than going on one by one.
cdef Py_ssize_t DIRECT_LAGS = 128

# Standard deviation below which a sequence differs by rounding only; all sequences are of order one.
cdef double CONSTANT = 5e-16

COLUMNS = ("rhat", "ess_bulk", "ess_tail", "ess_mean", "mcse_mean", "mcse_sd")

cdef enum:
    RHAT
    ESS_BULK
    ESS_TAIL
    ESS_MEAN
    MCSE_MEAN
    MCSE_SD


cdef struct Work:
    Py_ssize_t chains       # as given
    Py_ssize_t draws        # a chain, as given
    Py_ssize_t rows         # half chains: 2 * chains
    Py_ssize_t length       # draws of a half chain; an odd chain loses its middle draw
    Py_ssize_t words        # 64-bit words of one row of bits, the last one always zero
    double* x               # (chains * draws): draws of one parameter, later standardised
    double* ordered         # (chains * draws), ascending
    int32_t* order          # (chains * draws): where in x the ordered ones stand
    double* folded          # (rows * length): |draw - median|, ascending
    int32_t* folded_order   # (rows * length)
    int32_t* scratch        # (3 * chains * draws)
    double* series          # (rows, length): a sequence, centred row by row
    double* row_mean        # (rows)
    double* rho             # (length): autocorrelations, then Geyer's sequence
    uint64_t* bits          # (rows, words): one of the tail indicators
    double* edge            # (rows): ones in the first plus ones in the last `length - lag` places
    const double* scores    # (2 * rows * length + 1): normal score by twice the rank


# -- half chains -------------------------------------------------------------------------------------


cdef void drop_middle_draws(Work* w) noexcept nogil:
    """Take the middle draw of each chain (of odd length) out of the sorted draws and renumber the rest."""
    cdef Py_ssize_t n = w.chains * w.draws, i, kept = 0
    cdef int32_t chain, draw
    for i in range(n):
        chain = w.order[i] // <int32_t>w.draws
        draw = w.order[i] - chain * <int32_t>w.draws
        if draw != w.length:
            w.ordered[kept] = w.ordered[i]
            w.order[kept] = chain * <int32_t>(2 * w.length) + draw - (draw > w.length)
            kept += 1


cdef double mean_of(const double* a, Py_ssize_t n) noexcept nogil:
    """Return the mean; that of equal numbers is exact."""
    cdef double first = a[0], s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0
    cdef Py_ssize_t i = 0
    while i + 4 <= n:
        s0 += a[i] - first
        s1 += a[i + 1] - first
        s2 += a[i + 2] - first
        s3 += a[i + 3] - first
        i += 4
    while i < n:
        s0 += a[i] - first
        i += 1
    return first + ((s0 + s1) + (s2 + s3)) / n


cdef void centre_rows(Work* w) noexcept nogil:
    """Subtract the mean of every row of ``series`` and keep it in ``row_mean``."""
    cdef Py_ssize_t r, i
    cdef double* a
    for r in range(w.rows):
        a = w.series + r * w.length
        w.row_mean[r] = mean_of(a, w.length)
        for i in range(w.length):
            a[i] -= w.row_mean[r]


cdef void fill_series(Work* w, bint squared) noexcept nogil:
    """Copy the halves of every chain of x, or their squares, to ``series`` and centre them."""
    cdef Py_ssize_t n = w.length, r, i
    cdef const double* a
    cdef double* b
    for r in range(w.rows):
        a = w.x + (r // 2) * w.draws + (r % 2) * (w.draws - n)
        b = w.series + r * n
        for i in range(n):
            b[i] = a[i] * a[i] if squared else a[i]
    centre_rows(w)


cdef double variance_of_means(const Work* w) noexcept nogil:
    """Return the sample variance of the row means."""
    cdef Py_ssize_t r
    cdef double mean = mean_of(w.row_mean, w.rows), total = 0.0
    for r in range(w.rows):
        total += (w.row_mean[r] - mean) * (w.row_mean[r] - mean)
    return total / (w.rows - 1)


cdef double split_rhat(const Work* w, double within) noexcept nogil:
    """Return the potential scale reduction of the half chains, whose mean variance is ``within``."""
    return sqrt((variance_of_means(w) * w.length / within + w.length - 1) / w.length)


# -- autocovariances ---------------------------------------------------------------------------------


cdef void lag_pair(const Work* w, Py_ssize_t lag, double* pair) noexcept nogil:
    """Write the mean autocovariances of the rows of ``series`` at ``lag`` and ``lag + 1``."""
    cdef Py_ssize_t n = w.length, m = n - lag - 1, r, i
    cdef const double* a
    cdef const double* b
    cdef double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0, u0 = 0.0, u1 = 0.0, u2 = 0.0, u3 = 0.0
    for r in range(w.rows):
        a = w.series + r * n
        b = a + lag
        i = 0
        while i + 4 <= m:
            s0 += a[i] * b[i]
            s1 += a[i + 1] * b[i + 1]
            s2 += a[i + 2] * b[i + 2]
            s3 += a[i + 3] * b[i + 3]
            u0 += a[i] * b[i + 1]
            u1 += a[i + 1] * b[i + 2]
            u2 += a[i + 2] * b[i + 3]
            u3 += a[i + 3] * b[i + 4]
            i += 4
        while i < m:
            s0 += a[i] * b[i]
            u0 += a[i] * b[i + 1]
            i += 1
        s0 += a[m] * b[m]
    pair[0] = ((s0 + s1) + (s2 + s3)) / (n * w.rows)
    pair[1] = ((u0 + u1) + (u2 + u3)) / (n * w.rows)


cdef inline uint64_t count_ones(uint64_t v) noexcept nogil:
    """Return the number of ones in a word, by sums of ever wider neighbours."""
    v = v - ((v >> 1) & <uint64_t>0x5555555555555555)
    v = (v & <uint64_t>0x3333333333333333) + ((v >> 2) & <uint64_t>0x3333333333333333)
    v = (v + (v >> 4)) & <uint64_t>0x0F0F0F0F0F0F0F0F
    return (v * <uint64_t>0x0101010101010101) >> 56


cdef inline uint64_t bit(const uint64_t* row, Py_ssize_t i) noexcept nogil:
    """Return one bit of a row."""
    return (row[i >> 6] >> (i & 63)) & 1


cdef double bit_lag(Work* w, Py_ssize_t lag) noexcept nogil:
    """Return the mean autocovariance of the rows of ``bits``; lags must come in order: 0, 1, 2, ..."""
    cdef Py_ssize_t n = w.length, skip = lag >> 6, shift = lag & 63, r, i
    cdef const uint64_t* row
    cdef uint64_t together, moved
    cdef double total = 0.0, mean
    for r in range(w.rows):
        row = w.bits + r * w.words
        together = 0
        for i in range(w.words - 1 - skip):
            moved = row[i + skip] >> shift
            if shift:
                moved |= row[i + skip + 1] << (64 - shift)
            together += count_ones(row[i] & moved)
        if lag == 0:
            w.edge[r] = 2.0 * together
            w.row_mean[r] = <double>together / n
        else:
            w.edge[r] -= <double>(bit(row, lag - 1) + bit(row, n - lag))
        mean = w.row_mean[r]
        total += together - mean * w.edge[r] + (n - lag) * mean * mean
    return total / (n * w.rows)


cdef int all_lags(Work* w, bint of_bits, Py_ssize_t lag) except -1 with gil:
    """Write the mean autocovariances at ``lag`` and all later ones to ``rho``, by a Fourier transform."""
    cdef Py_ssize_t r, i
    if of_bits:
        for r in range(w.rows):
            for i in range(w.length):
                w.series[r * w.length + i] = <double>bit(w.bits + r * w.words, i) - w.row_mean[r]
    size = 1 << (2 * w.length - 1).bit_length()
    spectrum = np.fft.rfft(np.asarray(<double[:w.rows, :w.length]>w.series), size, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).sum(axis=0)
    covariance = np.fft.irfft(power, size)[lag:w.length] / (w.length * w.rows)
    np.asarray(<double[:w.length]>w.rho)[lag:] = covariance
    return 0


# -- effective sample size ---------------------------------------------------------------------------


cdef double geyer_time(double* rho, Py_ssize_t last, double even) noexcept nogil:
    """Return the autocorrelation time of ``last + 2`` autocorrelations, after making their pairs decrease."""
    cdef Py_ssize_t t = 1
    cdef double total = 0.0
    if even > 0.0:
        rho[last + 1] = even
    while t <= last - 2:
        if rho[t + 1] + rho[t + 2] > rho[t - 1] + rho[t]:
            rho[t + 1] = 0.5 * (rho[t - 1] + rho[t])
            rho[t + 2] = rho[t + 1]
        t += 2
    for t in range(last + 1):
        total += rho[t]
    return 2.0 * total - 1.0 + rho[last + 1]


cdef double effective_size(Work* w, bint of_bits, double* within) except -1 nogil:
    """Return the effective sample size of ``series``, which is centred, or of ``bits``.

    ``within`` receives the mean sample variance of the rows.
    """
    cdef Py_ssize_t n = w.length, t = 1, lag
    cdef double[2] pair
    cdef double even = 1.0, odd, variance, tau, size = <double>(n * w.rows)
    cdef bint done = False
    if of_bits:
        pair[0] = bit_lag(w, 0)
        pair[1] = bit_lag(w, 1)
    else:
        lag_pair(w, 0, pair)
    within[0] = pair[0] * n / (n - 1.0)
    variance = pair[0] + variance_of_means(w)
    if not variance < INFINITY:
        return NAN
    if variance < CONSTANT * CONSTANT:
        return size
    odd = 1.0 - (within[0] - pair[1]) / variance
    w.rho[0] = even
    w.rho[1] = odd
    while t < n - 3 and even + odd > 0.0:
        lag = t + 1
        if not done and lag >= DIRECT_LAGS:
            all_lags(w, of_bits, lag)
            done = True
        if done:
            pair[0] = w.rho[lag]
            pair[1] = w.rho[lag + 1]
        elif of_bits:
            pair[0] = bit_lag(w, lag)
            pair[1] = bit_lag(w, lag + 1)
        else:
            lag_pair(w, lag, pair)
        even = 1.0 - (within[0] - pair[0]) / variance
        odd = 1.0 - (within[0] - pair[1]) / variance
        w.rho[lag] = even if even + odd >= 0.0 else 0.0
        w.rho[lag + 1] = odd if even + odd >= 0.0 else 0.0
        t += 2
    tau = geyer_time(w.rho, t - 2, even)
    # Antithetic chains do better than independent draws, but not without bound.
    return size / max(tau, 1.0 / log10(size))


cdef double indicator_size(Work* w, double q) except -1 nogil:
    """Return the effective sample size of the indicator of draws up to q."""
    cdef Py_ssize_t size = w.rows * w.length, first, last, i, r, place
    cdef Py_ssize_t below = count_up_to(w.ordered, size, q)
    cdef double within
    if below == 0 or below == size:
        return <double>size
    # The draws above q have the same autocovariances as those up to q: set the fewer bits.
    first = 0 if 2 * below <= size else below
    last = below if 2 * below <= size else size
    memset(w.bits, 0, w.rows * w.words * sizeof(uint64_t))
    for i in range(first, last):
        r = w.order[i] // <int32_t>w.length
        place = w.order[i] - r * w.length
        w.bits[r * w.words + (place >> 6)] |= <uint64_t>1 << (place & 63)
    return effective_size(w, True, &within)


# -- one parameter -----------------------------------------------------------------------------------


cdef bint load(Work* w, const double[:, :, :] draws, Py_ssize_t p) noexcept nogil:
    """Copy the draws of one parameter to x; return False if one is not finite."""
    cdef Py_ssize_t c, d, i = 0
    cdef bint finite = True
    for c in range(w.chains):
        for d in range(w.draws):
            w.x[i] = draws[p, c, d]
            finite &= isfinite(w.x[i])
            i += 1
    return finite


cdef double standardise(Work* w) noexcept nogil:
    """Bring x to mean 0 and mean square 1; return the root mean square it had."""
    cdef Py_ssize_t n = w.chains * w.draws, i
    cdef double mean = mean_of(w.x, n), scale
    for i in range(n):
        w.x[i] -= mean
    scale = sqrt(dot(w.x, w.x, n) / n)
    if scale > 0.0:
        for i in range(n):
            w.x[i] *= 1.0 / scale
    return scale


cdef int one_parameter(Work* w, double* out) except -1 nogil:
    """Write the columns of the parameter whose draws are in x."""
    cdef Py_ssize_t n = w.chains * w.draws, size = w.rows * w.length, i
    cdef double low, high, within, ess, rhat, sd
    cdef double[2] pair

    sort_draws(w.x, n, w.ordered, w.order, w.scratch)
    low = quantile(w.ordered, n, 0.05)
    high = quantile(w.ordered, n, 0.95)
    if w.draws % 2:
        drop_middle_draws(w)
    ess = indicator_size(w, low)
    out[ESS_TAIL] = min(ess, indicator_size(w, high))

    normal_scores(w.ordered, w.order, size, w.scores, w.series)
    centre_rows(w)
    out[ESS_BULK] = effective_size(w, False, &within)
    if w.chains > 1:
        out[RHAT] = split_rhat(w, within)
        fold(w.ordered, w.order, size, w.folded, w.folded_order)
        normal_scores(w.folded, w.folded_order, size, w.scores, w.series)
        centre_rows(w)
        lag_pair(w, 0, pair)
        rhat = split_rhat(w, pair[0] * w.length / (w.length - 1.0))
        if rhat > out[RHAT]:
            out[RHAT] = rhat

    sd = standardise(w)
    fill_series(w, False)
    out[ESS_MEAN] = effective_size(w, False, &within)
    out[MCSE_MEAN] = sd * sqrt(n / (n - 1.0) / out[ESS_MEAN])
    if sd > 0.0:
        fill_series(w, True)
        ess = effective_size(w, False, &within)
        # The mean of x² is one; the variance of x² gives that of the sd (delta method).
        for i in range(n):
            w.x[i] = w.x[i] * w.x[i] - 1.0
        out[MCSE_SD] = 0.5 * sd * sqrt(dot(w.x, w.x, n) / n / ess)
    return 0


def diagnose(const double[:, :, :] draws not None, const double[::1] scores not None):
    """Return the diagnostics of every parameter.

    Parameters
    ----------
    draws : (k, chain, draw)
        Draws, with any strides. At least one chain and four draws.
    scores : (4 * chain * (draw // 2) + 1,)
        Normal score by twice the rank among the draws of all half chains.

    Returns
    -------
    (k, 6) float64
        Columns as in ``COLUMNS``: NaN where a draw is not finite, R-hat of one chain, R-hat and MCSE
        of the sd where all draws are equal.
    """
    cdef Work w
    cdef Py_ssize_t k = draws.shape[0], p
    w.chains = draws.shape[1]
    w.draws = draws.shape[2]
    w.rows = 2 * w.chains
    w.length = w.draws // 2
    w.words = (w.length + 63) // 64 + 1
    cdef Py_ssize_t n = w.chains * w.draws, size = w.rows * w.length
    if w.chains < 1 or w.draws < 4:
        raise ValueError("draws must hold at least one chain of four draws")
    if scores.shape[0] != 2 * size + 1:
        raise ValueError(f"scores must hold {2 * size + 1} numbers, not {scores.shape[0]}")
    w.scores = &scores[0]

    cdef double[:, ::1] out = np.full((k, len(COLUMNS)), NAN)
    cdef double[::1] numbers = np.empty(2 * n + 2 * size + 2 * w.rows + w.length)
    cdef int32_t[::1] places = np.empty(4 * n + size, dtype=np.int32)
    cdef uint64_t[::1] bits = np.empty(w.rows * w.words, dtype=np.uint64)
    w.x = &numbers[0]
    w.ordered = w.x + n
    w.folded = w.ordered + n
    w.series = w.folded + size
    w.row_mean = w.series + size
    w.edge = w.row_mean + w.rows
    w.rho = w.edge + w.rows
    w.order = &places[0]
    w.folded_order = w.order + n
    w.scratch = w.folded_order + size
    w.bits = &bits[0]
    with nogil:
        for p in range(k):
            if load(&w, draws, p):
                one_parameter(&w, &out[p, 0])
    return np.asarray(out)
