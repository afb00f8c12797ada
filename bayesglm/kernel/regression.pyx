"""The density of a regression's parameters: rows in blocks, a family, priors; one gradient reads the data once.

Coordinates are, for each linear predictor, the intercept (if there is one) and the coefficients, then the
logarithms of the auxiliary parameters, everything in the units of the design. Where a row has more linear predictors
than the data can tell apart (one for each class), coordinates have a set less, and contrasts make the coefficients of
all linear predictors from them. Priors speak of the auxiliary parameters themselves: the Jacobian of the logarithm is
part of the density.
"""

import numpy as np

from bayesglm.kernel._blocks cimport BLOCK
from bayesglm.kernel._numeric cimport dot
from bayesglm.kernel.design cimport DenseDesign
from libc.math cimport exp
from libc.string cimport memcpy, memset
from scipy.linalg.cython_blas cimport dgemm, dgemv


cdef class RegressionTarget(Target):
    """Density of the parameters of a regression with any family.

    Parameters
    ----------
    design : Design
        The rows, standardised.
    family : Family
        A description; the target binds it to the data.
    y : ndarray of shape (n,)
    weight, extra, offset : ndarray of shape (n,), optional
        Weights of the rows; numbers of trials or standard errors; what is added to the linear predictors.
    intercept : bool, default=True
    shift : ndarray of shape (p,), optional
        The intercept's prior speaks of ``intercept - shift @ coef``. None: zeros.
    coef_prior : Prior, optional
        Bound to positions among the coefficients of all sets, one set after another. None: flat.
    intercept_prior : Prior, optional
        Bound to the numbers of the sets, 0 to n_sets - 1. None: flat.
    aux_prior : Prior, optional
        Of the auxiliary parameters, bound to their positions in ``family.aux`` (several by `JointPrior`). None: flat.
    contrasts : ndarray of shape (n_predictors, n_sets), optional
        Coefficients and intercept of linear predictor k are the sum over sets j of ``contrasts[k, j]`` times those of
        set j; offsets are added to the sets. None: each linear predictor has a set of its own.

    Attributes
    ----------
    n_linear, n_aux, n_predictors, n_sets : int
        Intercepts and coefficients among the coordinates; auxiliary parameters; linear predictors of a row; sets of
        an intercept and coefficients among the coordinates.
    """

    def __init__(self, Design design, family, y, *, weight=None, extra=None, offset=None, intercept=True, shift=None,
                 coef_prior=None, intercept_prior=None, aux_prior=None, contrasts=None):
        y = np.ascontiguousarray(y, dtype=np.float64)
        weight, extra, offset = (None if a is None else np.ascontiguousarray(a, dtype=np.float64)
                                 for a in (weight, extra, offset))
        for name, array in (("y", y), ("weight", weight), ("extra", extra), ("offset", offset)):
            if array is not None and array.shape != (design.n_rows,):
                raise ValueError(f"{name} has shape {array.shape}, but the design has {design.n_rows} rows.")
        shift = np.zeros(design.n_columns) if shift is None else np.ascontiguousarray(shift, dtype=np.float64)
        bound = family if family.bound is not None else family.bind(y, weight=weight, extra=extra)
        if contrasts is not None:
            contrasts = np.ascontiguousarray(contrasts, dtype=np.float64)
            if contrasts.ndim != 2 or len(contrasts) != bound.n_predictors:
                raise ValueError(f"contrasts has shape {contrasts.shape}, but a row has {bound.n_predictors} linear "
                                 "predictors.")
        self._set(design, bound, (y, weight, extra, offset), intercept, shift, coef_prior, intercept_prior,
                  aux_prior, contrasts)

    cdef void _set(self, Design design, Family family, tuple arrays, bint intercept, shift, Prior coef_prior,
                   Prior intercept_prior, Prior aux_prior, contrasts) except *:
        cdef Py_ssize_t K = family.n_predictors, p = design.n_columns
        cdef Py_ssize_t m = K if contrasts is None else contrasts.shape[1]
        self.design, self.family, self.arrays = design, family, arrays
        self._y, self._weight, self._extra, self._offset = arrays
        self.intercept, self.shift = intercept, shift
        self.coef_prior, self.intercept_prior, self.aux_prior = coef_prior, intercept_prior, aux_prior
        self.contrasts, self._contrasts = contrasts, contrasts
        self._shift = shift
        self.n_predictors, self.n_sets, self.n_aux = K, m, len(family.aux)
        self.n_linear = m * (p + self.intercept)
        self.dim = self.n_linear + self.n_aux
        # What of an offset, which is added to the sets, reaches each linear predictor.
        self._reached = np.ones(K) if contrasts is None else contrasts.sum(axis=1)
        # One entry more than needed, so that there is an address where nothing is.
        self._coef, self._grad = np.empty(m * p + 1), np.empty(m * p + 1)
        self._raw, self._grad_raw = np.empty(K * p + 1), np.empty(K * p + 1)
        self._of_predictors = np.empty(K * (p + self.intercept) + 1)
        self._eta, self._score = np.empty((K + 1) * BLOCK), np.empty((K + 1) * BLOCK)
        self._padded = np.empty(BLOCK)
        self._aux, self._d_aux = np.empty(self.n_aux + 1), np.empty(self.n_aux + 1)
        self._levels, self._set_levels = np.empty(2 * K), np.empty(2 * m + 1)
        # Several linear predictors of dense rows are products of matrices, which BLAS has faster ones for.
        self._products = K > 1 and p > 0 and isinstance(design, DenseDesign) and design.dtype == np.float64
        self._ones = np.ones(BLOCK)

    cpdef Target clone(self):
        cdef RegressionTarget copy = RegressionTarget.__new__(RegressionTarget)
        copy._set(self.design, self.family, self.arrays, self.intercept, self.shift, self.coef_prior,
                  self.intercept_prior, self.aux_prior, self.contrasts)
        return copy

    def __reduce__(self):
        raise TypeError("a regression's target holds its data and cannot be pickled; fit the model again instead.")

    # -- one point -----------------------------------------------------------------------------

    cdef Rows rows(self, Py_ssize_t block) noexcept nogil:
        """Return the data of a block."""
        cdef Rows rows
        cdef Py_ssize_t first = block * BLOCK
        rows.n = min(<Py_ssize_t>BLOCK, self.design.n_rows - first)
        rows.y = &self._y[first]
        rows.weight = &self._weight[first] if self._weight is not None else NULL
        rows.extra = &self._extra[first] if self._extra is not None else NULL
        return rows

    cdef const double* predictors(self, const double* q) noexcept nogil:
        """Return intercept and coefficients of all linear predictors, one after another: of ``q`` or in scratch."""
        cdef int width = <int>(self.design.n_columns + (1 if self.intercept else 0))
        cdef int K = <int>self.n_predictors, m = <int>self.n_sets
        cdef double one = 1.0, zero = 0.0
        if self._contrasts is None or not width:
            return q
        # Row-major matrices are their transposes to BLAS: B' = q' C'.
        dgemm("N", "N", &width, &K, &m, &one, <double*>q, &width, <double*>&self._contrasts[0, 0], &m, &zero,
              &self._of_predictors[0], &width)
        return &self._of_predictors[0]

    cdef void unpack(self, const double* q) noexcept nogil:
        """Set coefficients, levels and auxiliary parameters from coordinates."""
        cdef Py_ssize_t k, i, p = self.design.n_columns, first = 1 if self.intercept else 0, width = p + first
        cdef const double* linear = self.predictors(q)
        for k in range(self.n_sets):
            memcpy(&self._coef[k * p], q + k * width + first, p * sizeof(double))
        for k in range(self.n_predictors):
            self._levels[k] = linear[k * width] if self.intercept else 0.0
            self.design.begin(linear + k * width + first, &self._levels[k], &self._raw[k * p])
        for i in range(self.n_aux):
            self._aux[i] = exp(q[self.n_linear + i])

    cdef void predict(self, Py_ssize_t block, Rows* rows) noexcept nogil:
        """Write the linear predictors of a block to the scratch, one predictor after another."""
        cdef Py_ssize_t k, i, p = self.design.n_columns, first = block * BLOCK
        cdef int n = <int>rows.n, K = <int>self.n_predictors, inner = <int>p, ld = BLOCK
        cdef double one = 1.0
        if self._products:
            for k in range(K):
                for i in range(n):
                    self._eta[k * n + i] = self._levels[k]
            dgemm("N", "N", &n, &K, &inner, &one, <double*>self.design.dense(block, NULL), &ld, &self._raw[0], &inner,
                  &one, &self._eta[0], &n)
        for k in range(0 if self._products else K):
            # A block writes all of its 256 rows; the next predictor begins where this one's rows end.
            self.design.matvec(block, &self._raw[k * p], self._levels[k], &self._eta[k * rows.n])
        if self._offset is not None:
            for k in range(K):
                for i in range(n):
                    self._eta[k * n + i] += self._reached[k] * self._offset[first + i]

    cdef double log_prior(self, const double* q, double* grad) noexcept nogil:
        """Return the log prior of coordinates with Jacobians; add its gradient unless ``grad`` is NULL.

        Works on the coefficients that `unpack` has set.
        """
        cdef Py_ssize_t k, i, j, p = self.design.n_columns, first = 1 if self.intercept else 0, at, m = self.n_sets
        cdef double value = 0.0
        cdef double* level = &self._set_levels[0]
        cdef double* slope = &self._set_levels[m]
        memset(&self._grad[0], 0, (m * p + 1) * sizeof(double))
        memset(slope, 0, m * sizeof(double))
        if self.coef_prior is not None:
            value += self.coef_prior.add(&self._coef[0], &self._grad[0])
        if self.intercept and self.intercept_prior is not None:
            for k in range(m):
                level[k] = q[k * (p + first)]
                if p:
                    level[k] -= dot(&self._shift[0], &self._coef[k * p], p)
            value += self.intercept_prior.add(level, slope)
            for k in range(m):
                for j in range(p):
                    self._grad[k * p + j] -= slope[k] * self._shift[j]
                if grad != NULL:
                    grad[k * (p + first)] += slope[k]
        if grad != NULL:
            for k in range(m):
                at = k * (p + first) + first
                for j in range(p):
                    grad[at + j] += self._grad[k * p + j]
        memset(&self._d_aux[0], 0, (self.n_aux + 1) * sizeof(double))
        if self.aux_prior is not None:
            value += self.aux_prior.add(&self._aux[0], &self._d_aux[0])
        for i in range(self.n_aux):
            value += q[self.n_linear + i]
            if grad != NULL:
                grad[self.n_linear + i] += self._d_aux[i] * self._aux[i] + 1.0
        return value

    cdef double logp_grad(self, const double* q, double* grad) noexcept nogil:
        cdef Py_ssize_t b, k, i, p = self.design.n_columns, first = 1 if self.intercept else 0
        cdef int width = <int>(p + first), K = <int>self.n_predictors, m = <int>self.n_sets
        cdef int n, inner = <int>p, ld = BLOCK, step = 1
        cdef double value = 0.0, total, one = 1.0, zero = 0.0
        cdef double* slopes = grad if self._contrasts is None else &self._of_predictors[0]
        cdef const double* score
        cdef Rows rows
        self.unpack(q)
        memset(grad, 0, self.dim * sizeof(double))
        memset(&self._grad_raw[0], 0, (self.n_predictors * p + 1) * sizeof(double))
        memset(&self._d_aux[0], 0, (self.n_aux + 1) * sizeof(double))
        memset(&self._levels[self.n_predictors], 0, self.n_predictors * sizeof(double))
        for b in range(self.design.n_blocks):
            rows = self.rows(b)
            self.predict(b, &rows)
            value += self.family.loglik(&rows, &self._eta[0], &self._aux[0], &self._score[0], &self._d_aux[0])
            if self._products:
                n = <int>rows.n
                dgemm("T", "N", &inner, &K, &n, &one, <double*>self.design.dense(b, NULL), &ld, &self._score[0], &n,
                      &one, &self._grad_raw[0], &inner)
                dgemv("T", &n, &K, &one, &self._score[0], &n, &self._ones[0], &step, &one, &self._levels[K], &step)
                continue
            for k in range(self.n_predictors):
                score = &self._score[k * rows.n]
                total = 0.0
                for i in range(rows.n):
                    total += score[i]
                self._levels[self.n_predictors + k] += total
                if rows.n < BLOCK:
                    memset(&self._padded[0], 0, BLOCK * sizeof(double))
                    memcpy(&self._padded[0], score, rows.n * sizeof(double))
                    score = &self._padded[0]
                self.design.rmatvec(b, score, &self._grad_raw[k * p])
        value += self.family.shared(&self._aux[0], &self._d_aux[0])
        for k in range(self.n_predictors):
            total = self._levels[self.n_predictors + k]
            memset(slopes + k * (p + first), 0, (p + first) * sizeof(double))
            if self.intercept:
                slopes[k * (p + 1)] = total
            self.design.end(&self._grad_raw[k * p], total, slopes + k * (p + first) + first)
        if self._contrasts is not None and width:
            # Of the sets, G' = B' C in BLAS's order.
            dgemm("N", "T", &width, &m, &K, &one, slopes, &width, <double*>&self._contrasts[0, 0], &m, &zero, grad,
                  &width)
        for i in range(self.n_aux):
            grad[self.n_linear + i] = self._d_aux[i] * self._aux[i]
        return value + self.log_prior(q, grad)

    # -- the same for Newton's method and for tests ------------------------------------------------

    def linear_predictor(self, q):
        """Return the linear predictors at a point, shape (n_predictors, n)."""
        cdef const double[::1] point = np.ascontiguousarray(q, dtype=np.float64)
        out = np.empty((self.n_predictors, self.design.n_rows))
        cdef double[:, ::1] view = out
        cdef Py_ssize_t b, k, i
        cdef Rows rows
        self._check(point.shape[0])
        self.unpack(&point[0])
        for b in range(self.design.n_blocks):
            rows = self.rows(b)
            self.predict(b, &rows)
            for k in range(self.n_predictors):
                for i in range(rows.n):
                    view[k, b * BLOCK + i] = self._eta[k * rows.n + i]
        return out

    def information(self, q):
        """Return the sum of the rows' X' W X with the family's curvature W, shape (n_linear, n_linear).

        That is minus the second derivative of the log likelihood, or its expectation, by the linear coordinates of
        all sets; the prior is not part of it.
        """
        cdef const double[::1] point = np.ascontiguousarray(q, dtype=np.float64)
        cdef Py_ssize_t b, k, l, i, j, p = self.design.n_columns, first = 1 if self.intercept else 0
        cdef Py_ssize_t width = p + first, K = self.n_predictors
        cdef int size = <int>width, rows_ = BLOCK, order
        cdef double one = 1.0, value
        cdef const double* x
        cdef Rows rows
        self._check(point.shape[0])
        blocks = np.zeros((K, K, max(width, 1), max(width, 1)))
        cdef double[:, :, :, ::1] out = blocks
        cdef double[::1] scratch = np.empty(BLOCK * p + 1), plain = np.ones(BLOCK * max(width, 1))
        cdef double[::1] scaled = np.zeros(BLOCK * max(width, 1)), curvature = np.empty(K * K * BLOCK)
        order = size
        if not width:
            return np.zeros((0, 0))
        with nogil:
            self.unpack(&point[0])
            for b in range(self.design.n_blocks):
                rows = self.rows(b)
                self.predict(b, &rows)
                self.family.curvature(&rows, &self._eta[0], &self._aux[0], &curvature[0])
                x = self.design.dense(b, &scratch[0])
                if p:
                    memcpy(&plain[first * BLOCK], x, p * BLOCK * sizeof(double))
                for k in range(K):
                    for l in range(k, K):
                        for j in range(width):
                            for i in range(rows.n):
                                value = curvature[(k * K + l) * rows.n + i]
                                scaled[j * BLOCK + i] = value * plain[j * BLOCK + i]
                            for i in range(rows.n, BLOCK):
                                scaled[j * BLOCK + i] = 0.0
                        dgemm("T", "N", &size, &size, &rows_, &one, &plain[0], &rows_, &scaled[0], &rows_, &one,
                              &out[k, l, 0, 0], &order)
        for k in range(K):
            for l in range(k):
                blocks[k, l] = blocks[l, k].T
        if self.contrasts is not None:
            # (set, predictor) and then (set, set) in place of (predictor, predictor).
            blocks = np.tensordot(self.contrasts, blocks, axes=(0, 0))
            blocks = np.tensordot(self.contrasts, blocks, axes=(0, 1)).transpose(1, 0, 2, 3)
        return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3)).reshape(self.n_linear, self.n_linear)

    def _check(self, size):
        if size != self.dim:
            raise ValueError(f"q has {size} entries, but the target has dimension {self.dim}.")
