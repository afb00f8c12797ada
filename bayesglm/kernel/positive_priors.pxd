"""Priors on the positive numbers."""

from bayesglm.kernel.priors cimport Prior


cdef class PositiveScale(Prior):
    cdef public object scale


cdef class HalfNormal(PositiveScale):
    pass


cdef class HalfStudentT(PositiveScale):
    cdef public object df
    cdef double df_


cdef class HalfCauchy(PositiveScale):
    pass


cdef class Exponential(PositiveScale):
    pass


cdef class Gamma(PositiveScale):
    cdef public object shape
    cdef double shape_


cdef class InverseGamma(PositiveScale):
    cdef public object shape
    cdef double shape_
