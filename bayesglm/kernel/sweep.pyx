"""The density of a regression at many points in one pass over the data, by matrix-matrix products."""

import numpy as np

from bayesglm.kernel._blocks cimport BLOCK
from bayesglm.kernel.family cimport Rows
from bayesglm.kernel.regression cimport RegressionTarget
from libc.string cimport memcpy
from scipy.linalg.cython_blas cimport dgemm

#: Points whose linear predictors are computed at once: few enough to stay in cache. Parts that begin
#: at multiples of it give the same bits as the whole.
POINTS_AT_ONCE = 256

cdef enum:
    AT_ONCE = 256


def sweep(RegressionTarget target, points, out=None, stop=None):
    """Return the log density at each of many points; holds no GIL.

    Parameters
    ----------
    target : RegressionTarget
        Not in use by another thread.
    points : ndarray of shape (m, dim)
    out : ndarray of shape (m,), optional
    stop : ndarray of uint8, shape (1,), optional
        Looked at before each block: the sweep ends early when another thread sets it, and what it returns is then
        meaningless.

    Returns
    -------
    ndarray of shape (m,)
        Equal to what the target gives point by point, to rounding.
    """
    cdef const unsigned char[::1] stopped = np.zeros(1, dtype=np.uint8) if stop is None else stop
    cdef const double[:, ::1] q = np.ascontiguousarray(points, dtype=np.float64)
    cdef Py_ssize_t m = q.shape[0], p = target.design.n_columns, K = target.n_predictors
    found = np.empty(m) if out is None else out
    cdef double[::1] value = found
    if q.shape[1] != target.dim:
        raise ValueError(f"points have {q.shape[1]} coordinates, but the target has dimension {target.dim}.")
    if not m:
        return found
    cdef Py_ssize_t b, first, size, i, j, k
    cdef int rows_, columns, inner = <int>p, ld = BLOCK
    cdef double one = 1.0, level, unused = 0.0
    cdef Py_ssize_t at = 1 if target.intercept else 0
    cdef const double* x
    cdef const double* linear
    cdef Rows rows
    cdef double[::1] raw = np.empty(m * K * p + 1), levels = np.empty(m * K), aux = np.empty(m * target.n_aux + 1)
    cdef double[::1] eta = np.empty(AT_ONCE * K * BLOCK), scratch = np.empty(BLOCK * p + 1)
    with nogil:
        for i in range(m):
            target.unpack(&q[i, 0])
            # dense() of a sparse design is standardised already: it wants the coefficients themselves.
            linear = target.predictors(&q[i, 0])
            for k in range(K):
                memcpy(&raw[(i * K + k) * p], linear + k * (p + at) + at, p * sizeof(double))
                levels[i * K + k] = linear[k * (p + 1)] if target.intercept else 0.0
            memcpy(&aux[i * target.n_aux], &target._aux[0], target.n_aux * sizeof(double))
            target._d_aux[0] = unused
            value[i] = target.log_prior(&q[i, 0], NULL) + target.family.shared(&target._aux[0], &target._d_aux[0])
        for b in range(target.design.n_blocks):
            if stopped[0]:
                break
            rows = target.rows(b)
            rows_ = <int>rows.n
            x = target.design.dense(b, &scratch[0])
            first = 0
            while first < m:
                size = min(<Py_ssize_t>AT_ONCE, m - first)
                columns = <int>(size * K)
                for j in range(size * K):
                    level = levels[first * K + j]
                    for i in range(rows.n):
                        eta[j * rows.n + i] = level
                    if target._offset is not None:
                        for i in range(rows.n):
                            eta[j * rows.n + i] += target._reached[j % K] * target._offset[b * BLOCK + i]
                if p:
                    dgemm("N", "N", &rows_, &columns, &inner, &one, <double*>x, &ld, &raw[first * K * p], &inner, &one,
                          &eta[0], &rows_)
                for k in range(size):
                    value[first + k] += target.family.value(
                        &rows, &eta[k * K * rows.n], &aux[(first + k) * target.n_aux])
                first += AT_ONCE
    return found
