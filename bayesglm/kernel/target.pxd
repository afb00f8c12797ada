"""Targets: a log density with gradient on R^dim, and nothing else."""


cdef class Target:
    cdef readonly Py_ssize_t dim
    cdef readonly bint failed
    cdef double logp_grad(self, const double* q, double* grad) noexcept nogil
    cpdef Target clone(self)


cdef class AffineTarget(Target):
    cdef readonly Target inner
    cdef readonly object shift
    cdef readonly object factor
    cdef bint sparse, triangular
    cdef const double[::1] _shift
    cdef const double[:, ::1] _factor
    cdef const Py_ssize_t[::1] _starts
    cdef const Py_ssize_t[::1] _rows
    cdef const double[::1] _values
    cdef double[::1] _q
    cdef double[::1] _grad


cdef class PyTarget(Target):
    cdef readonly object function
    cdef readonly object error
