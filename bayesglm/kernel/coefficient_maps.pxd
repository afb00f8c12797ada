"""Maps from coordinates that a chain walks in well to coefficients, and the target behind such a map."""

from bayesglm.kernel.priors cimport Prior
from bayesglm.kernel.target cimport Target


cdef class CoefMap:
    cdef readonly Py_ssize_t size, n_coef
    cdef readonly bint scaled
    cdef readonly object settings
    cdef double forward(self, const double* u, double* coef) noexcept nogil
    cdef void pullback(self, const double* u, const double* grad_coef, double* grad_u) noexcept nogil
    cpdef CoefMap clone(self)


cdef class ElementwiseMap(CoefMap):
    cdef double[::1] slope, score


cdef class PositiveMap(ElementwiseMap):
    cdef const double[::1] unit
    cdef Prior prior


cdef class TailMap(ElementwiseMap):
    cdef const double[::1] df, edge, loc, scale
    cdef double log_constant
    cdef Prior others


cdef class MappedTarget(Target):
    cdef readonly Target inner
    cdef readonly CoefMap coef_map
    cdef readonly Py_ssize_t first, unit
    cdef double[::1] u, grad_u, q_inner, grad_inner
