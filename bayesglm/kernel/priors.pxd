"""Prior distributions, each with its `nogil` density beside its Python face."""


cdef class Prior:
    cdef public object autoscale
    cdef Py_ssize_t n
    cdef const Py_ssize_t[::1] index
    cdef const double[::1] loc_, inverse_scale
    cdef double log_constant
    cdef readonly object bound
    cdef double add(self, const double* x, double* grad) noexcept nogil


cdef class JointPrior(Prior):
    cdef Prior first, second


cdef class LocationScale(Prior):
    cdef public object loc, scale


cdef class Flat(Prior):
    pass


cdef class Normal(LocationScale):
    pass


cdef class StudentT(LocationScale):
    cdef public object df
    cdef double df_


cdef class Cauchy(LocationScale):
    pass


cdef class Laplace(LocationScale):
    pass
