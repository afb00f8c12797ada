"""The rows of a regression, standardised, in blocks of 256 with contiguous columns: read once a gradient.

A block of some tens of columns stays in the processor's cache while its linear predictors, their scores and the
products of both with the rows are computed, so a gradient reads the data from memory once. Dense rows are copied
(as doubles, or as floats, which halves what has to be read); sparse ones stay sparse and are centred as a view.
Linear predictors, scores and sums are doubles always.
"""

import numpy as np

from bayesglm.kernel._blocks cimport BLOCK, matvec_double, matvec_float, rmatvec_double, rmatvec_float
from cpython.exc cimport PyErr_CheckSignals
from libc.string cimport memset

#: Rows a block.
BLOCK_ROWS = BLOCK
# Blocks copied at a time: so many that NumPy's overhead does not show, so few that temporaries stay in cache.
_AT_ONCE = 16


def make_design(X, center=None, unit=None, dtype=np.float64):
    """Return the design of rows X, dense or sparse.

    Parameters
    ----------
    X : ndarray or scipy sparse matrix of shape (n, p)
    center, unit : ndarray of shape (p,), optional
        The design is (X - center)/unit. None: 0 and 1.
    dtype : float64 or float32, default=float64
        Of the copy of dense rows.

    Returns
    -------
    Design
    """
    if hasattr(X, "toarray"):
        return SparseDesign(X, center, unit)
    return DenseDesign(X, center, unit, dtype)


cdef class Design:
    """What designs share: rows (X - center)/unit that nobody writes to; all chains read the same.

    Attributes
    ----------
    n_rows, n_columns, n_blocks : int
    center, unit : ndarray of shape (p,)
    """

    def __init__(self, X, center=None, unit=None):
        self.n_rows, self.n_columns = X.shape
        self.n_blocks = (self.n_rows + BLOCK - 1) // BLOCK
        self.center = np.zeros(self.n_columns) if center is None else np.array(center, dtype=np.float64)
        self.unit = np.ones(self.n_columns) if unit is None else np.array(unit, dtype=np.float64)
        if self.center.shape != (self.n_columns,) or self.unit.shape != (self.n_columns,):
            raise ValueError(f"center and unit must have shape ({self.n_columns},), as many as X has columns.")

    @property
    def shape(self):
        """Rows and columns."""
        return self.n_rows, self.n_columns

    cdef void begin(self, const double* coef, double* level, double* raw) noexcept nogil:
        """Write to ``raw`` (OUT, p) and ``level`` (IN/OUT) what `matvec` wants of coefficients and intercept."""
        cdef Py_ssize_t j
        for j in range(self.n_columns):
            raw[j] = coef[j]

    cdef void end(self, const double* raw, double total, double* grad) noexcept nogil:
        """Add to ``grad`` (IN/OUT, p) what `rmatvec` gathered in ``raw``, given the sum of all scores."""
        cdef Py_ssize_t j
        for j in range(self.n_columns):
            grad[j] += raw[j]

    cdef void matvec(self, Py_ssize_t block, const double* raw, double level, double* eta) noexcept nogil:
        """Write the linear predictors of a block (OUT, 256; past the last row they mean nothing)."""

    cdef void rmatvec(self, Py_ssize_t block, const double* score, double* raw) noexcept nogil:
        """Add the block's products with scores (IN, 256; 0 past the last row) to ``raw`` (IN/OUT, p)."""

    cdef const double* dense(self, Py_ssize_t block, double* scratch) noexcept nogil:
        """Return a block, its columns one after another, either in place or in ``scratch`` (256 p)."""
        return scratch

    def block(self, Py_ssize_t block):
        """Return a block's rows as an array of shape (m, p), for tests."""
        scratch = np.zeros((max(self.n_columns, 1), BLOCK))
        cdef double[:, ::1] view = scratch
        cdef Py_ssize_t i, j
        cdef const double* found = self.dense(block, &view[0, 0])
        for j in range(self.n_columns):
            for i in range(BLOCK):
                view[j, i] = found[j * BLOCK + i]
        return scratch[: self.n_columns, : min(BLOCK, self.n_rows - block * BLOCK)].T.copy()


cdef class DenseDesign(Design):
    """A standardised copy of dense rows.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    center, unit : ndarray of shape (p,), optional
    dtype : float64 or float32, default=float64
    """

    def __init__(self, X, center=None, unit=None, dtype=np.float64):
        Design.__init__(self, X, center, unit)
        self._single = np.dtype(dtype) == np.float32
        p, size = self.n_columns, BLOCK * self.n_columns
        # Beginning at a multiple of 64 bytes, the width of the widest registers and of a line of cache.
        owner = np.empty(self.n_blocks * size + 16, dtype=np.float32 if self._single else np.float64)
        first = (-owner.ctypes.data % 64) // owner.itemsize
        flat = owner[first : first + self.n_blocks * size]
        blocks = flat.reshape(self.n_blocks, p, BLOCK)
        for start in range(0, self.n_blocks, _AT_ONCE):
            # Half a second for a million rows of memory that is new to the process: Ctrl-C must not wait for it.
            PyErr_CheckSignals()
            rows = np.asarray(X[start * BLOCK : (start + _AT_ONCE) * BLOCK], dtype=np.float64)
            rows = (rows - self.center) / self.unit
            whole = len(rows) // BLOCK
            blocks[start : start + whole] = rows[: whole * BLOCK].reshape(whole, BLOCK, p).transpose(0, 2, 1)
            if len(rows) > whole * BLOCK:
                rest = rows[whole * BLOCK :]
                blocks[start + whole, :, : len(rest)] = rest.T
                blocks[start + whole, :, len(rest) :] = 0.0
        self._owner = owner
        if self._single:
            self._float = flat
        else:
            self._double = flat

    @property
    def dtype(self):
        """Type of the copy."""
        return np.dtype(np.float32 if self._single else np.float64)

    cdef void matvec(self, Py_ssize_t block, const double* raw, double level, double* eta) noexcept nogil:
        cdef Py_ssize_t p = self.n_columns
        if self._single:
            matvec_float(&self._float[0] + block * p * BLOCK if p else NULL, p, raw, level, eta)
        else:
            matvec_double(&self._double[0] + block * p * BLOCK if p else NULL, p, raw, level, eta)

    cdef void rmatvec(self, Py_ssize_t block, const double* score, double* raw) noexcept nogil:
        cdef Py_ssize_t p = self.n_columns
        if not p:
            return
        if self._single:
            rmatvec_float(&self._float[0] + block * p * BLOCK, p, score, raw)
        else:
            rmatvec_double(&self._double[0] + block * p * BLOCK, p, score, raw)

    cdef const double* dense(self, Py_ssize_t block, double* scratch) noexcept nogil:
        cdef Py_ssize_t i, size = self.n_columns * BLOCK
        if not size:
            return scratch
        if not self._single:
            return &self._double[0] + block * size
        for i in range(size):
            scratch[i] = self._float[block * size + i]
        return scratch


cdef class SparseDesign(Design):
    """Sparse rows, centred and scaled as a view.

    Parameters
    ----------
    X : scipy sparse matrix or array of shape (n, p)
    center, unit : ndarray of shape (p,), optional
    """

    def __init__(self, X, center=None, unit=None):
        Design.__init__(self, X, center, unit)
        rows = X.tocsr()
        self._data = np.ascontiguousarray(rows.data, dtype=np.float64)
        self._columns = np.ascontiguousarray(rows.indices, dtype=np.intc)
        self._starts = np.ascontiguousarray(rows.indptr, dtype=np.intp)
        self._center = self.center
        self._inverse_unit = 1.0 / self.unit

    cdef void begin(self, const double* coef, double* level, double* raw) noexcept nogil:
        cdef Py_ssize_t j
        for j in range(self.n_columns):
            raw[j] = coef[j] * self._inverse_unit[j]
            level[0] -= self._center[j] * raw[j]

    cdef void end(self, const double* raw, double total, double* grad) noexcept nogil:
        cdef Py_ssize_t j
        for j in range(self.n_columns):
            grad[j] += (raw[j] - self._center[j] * total) * self._inverse_unit[j]

    cdef void matvec(self, Py_ssize_t block, const double* raw, double level, double* eta) noexcept nogil:
        cdef Py_ssize_t i, k, first = block * BLOCK, rows = min(<Py_ssize_t>BLOCK, self.n_rows - block * BLOCK)
        cdef double sum
        for i in range(rows):
            sum = level
            for k in range(self._starts[first + i], self._starts[first + i + 1]):
                sum += self._data[k] * raw[self._columns[k]]
            eta[i] = sum
        for i in range(rows, BLOCK):
            eta[i] = 0.0

    cdef void rmatvec(self, Py_ssize_t block, const double* score, double* raw) noexcept nogil:
        cdef Py_ssize_t i, k, first = block * BLOCK, rows = min(<Py_ssize_t>BLOCK, self.n_rows - block * BLOCK)
        for i in range(rows):
            for k in range(self._starts[first + i], self._starts[first + i + 1]):
                raw[self._columns[k]] += self._data[k] * score[i]

    cdef const double* dense(self, Py_ssize_t block, double* scratch) noexcept nogil:
        cdef Py_ssize_t i, j, k, first = block * BLOCK
        cdef Py_ssize_t rows = min(<Py_ssize_t>BLOCK, self.n_rows - block * BLOCK)
        memset(scratch, 0, self.n_columns * BLOCK * sizeof(double))
        for j in range(self.n_columns):
            for i in range(rows):
                scratch[j * BLOCK + i] = -self._center[j] * self._inverse_unit[j]
        for i in range(rows):
            for k in range(self._starts[first + i], self._starts[first + i + 1]):
                j = self._columns[k]
                scratch[j * BLOCK + i] += self._data[k] * self._inverse_unit[j]
        return scratch
