"""Targets: a log density with gradient on R^dim, seen through an affine map or given in Python.

The NUTS kernel knows only `Target.logp_grad`. The densities of regression models live in
`bayesglm.kernel.gaussian`.
"""

import numpy as np

from libc.math cimport NAN
from libc.string cimport memcpy
from scipy.linalg.cython_blas cimport dgemv, dtrmv

#: Log densities of more observations than this are larger than their differences by more digits than doubles have to
#: spare. They are then counted from sigma = 1, which whoever makes the target sees to being near their mode.
HEAVY = 1e8
# A map with no more than one entry in so many is applied entry by entry: in hundreds of dimensions products with all of
# it cost more than many a density.
cdef Py_ssize_t FILLED = 12
# From so many dimensions on a map no longer fits in cache beside all else, and of a triangular one half is left out.
cdef Py_ssize_t LARGE = 200


cdef class Target:
    """A log density with gradient on R^dim.

    A target is shared by nobody: each chain works on its own `clone`, which shares what is
    read-only and owns its scratch memory, so that no locks are needed.
    """

    cdef double logp_grad(self, const double* q, double* grad) noexcept nogil:
        """Return the log density at ``q`` (IN, dim) and write its gradient to ``grad`` (OUT, dim).

        May return NaN or an infinity; the gradient is then unspecified.
        """
        return NAN

    cpdef Target clone(self):
        """Return a target of the same density with scratch memory of its own."""
        return self

    def __call__(self, q):
        """Return the log density at ``q``, shape (dim,), and its gradient, shape (dim,)."""
        cdef double[::1] point = np.array(q, dtype=np.float64).reshape(-1)
        grad = np.zeros(self.dim)
        cdef double[::1] out = grad
        cdef double value = 0.0
        if point.shape[0] != self.dim:
            raise ValueError(f"q has {point.shape[0]} entries, but the target has dimension {self.dim}.")
        if self.dim:
            value = self.logp_grad(&point[0], &out[0])
        return value, grad


cdef class AffineTarget(Target):
    """The density of z where q = shift + factor @ z; the constant log |factor| is left out.

    Parameters
    ----------
    inner : Target
        The density of q.
    shift : ndarray of shape (dim,)
    factor : ndarray of shape (dim, dim)
    """

    def __init__(self, Target inner, shift, factor):
        self.inner = inner
        self.dim = inner.dim
        self.shift = np.ascontiguousarray(shift, dtype=np.float64)
        self.factor = np.ascontiguousarray(factor, dtype=np.float64)
        if self.shift.shape != (self.dim,) or self.factor.shape != (self.dim, self.dim):
            raise ValueError(f"shift and factor must have shapes ({self.dim},) and ({self.dim}, {self.dim}).")
        self._shift = self.shift
        self._factor = self.factor
        self._q = np.empty(self.dim)
        self._grad = np.empty(self.dim)
        self.sparse = np.count_nonzero(self.factor) * FILLED <= self.dim * self.dim
        self.triangular = not self.sparse and self.dim > LARGE and not np.tril(self.factor, -1).any()
        if self.sparse:
            columns, rows = np.nonzero(self.factor.T)
            self._rows, self._values = np.ascontiguousarray(rows), self.factor[rows, columns]
            self._starts = np.searchsorted(columns, np.arange(self.dim + 1))

    cdef double logp_grad(self, const double* q, double* grad) noexcept nogil:
        cdef int n = <int>self.dim, one = 1
        cdef double alpha = 1.0, zero = 0.0, value, total
        cdef Py_ssize_t i, j
        memcpy(&self._q[0], &self._shift[0], self.dim * sizeof(double))
        if self.sparse:
            for j in range(self.dim):
                for i in range(self._starts[j], self._starts[j + 1]):
                    self._q[self._rows[i]] += self._values[i] * q[j]
            value = self.inner.logp_grad(&self._q[0], &self._grad[0])
            for j in range(self.dim):
                total = 0.0
                for i in range(self._starts[j], self._starts[j + 1]):
                    total += self._values[i] * self._grad[self._rows[i]]
                grad[j] = total
            return value
        if self.triangular:
            memcpy(&self._q[0], q, self.dim * sizeof(double))
            dtrmv("L", "T", "N", &n, <double*>&self._factor[0, 0], &n, &self._q[0], &one)
            for i in range(self.dim):
                self._q[i] += self._shift[i]
            value = self.inner.logp_grad(&self._q[0], grad)
            dtrmv("L", "N", "N", &n, <double*>&self._factor[0, 0], &n, grad, &one)
            return value
        # Row-major factor is its transpose to BLAS: q := factor z + shift, grad := factor' g.
        dgemv("T", &n, &n, &alpha, <double*>&self._factor[0, 0], &n, <double*>q, &one, &alpha, &self._q[0], &one)
        value = self.inner.logp_grad(&self._q[0], &self._grad[0])
        dgemv("N", &n, &n, &alpha, <double*>&self._factor[0, 0], &n, &self._grad[0], &one, &zero, grad, &one)
        return value

    cpdef Target clone(self):
        return AffineTarget(self.inner.clone(), self.shift, self.factor)

    def __reduce__(self):
        return AffineTarget, (self.inner, self.shift, self.factor)

    def unwhiten(self, z):
        """Map draws ``z`` of shape (..., dim) back to q."""
        return np.asarray(z) @ self.factor.T + self.shift


cdef class PyTarget(Target):
    """A target given as a Python function; slow, for tests and for densities of one's own.

    Parameters
    ----------
    dim : int
        Number of coordinates.
    function : callable
        Maps an array of shape (dim,) to the log density and its gradient of shape (dim,). An
        exception ends the trajectory as a NaN would and is raised when the chain returns.
    """

    def __init__(self, dim, function):
        self.dim = dim
        self.function = function
        self.error = None

    cdef double logp_grad(self, const double* q, double* grad) noexcept nogil:
        cdef Py_ssize_t i
        cdef double value = NAN
        with gil:
            try:
                point = np.empty(self.dim)
                for i in range(self.dim):
                    point[i] = q[i]
                result, gradient = self.function(point)
                gradient = np.asarray(gradient, dtype=np.float64)
                if gradient.shape != (self.dim,):
                    raise ValueError(f"the gradient has shape {gradient.shape}, not ({self.dim},).")
                for i in range(self.dim):
                    grad[i] = gradient[i]
                value = result
            except BaseException as error:  # noqa: B036 - cannot cross nogil; the chain raises it
                self.error = error
                self.failed = True
        return value

    def raise_error(self):
        """Raise the exception that the function raised, once."""
        if self.error is not None:
            error, self.error, self.failed = self.error, None, False
            raise error
