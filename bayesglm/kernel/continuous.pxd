"""Likelihoods of numbers on the real line."""

from bayesglm.kernel.family cimport Family


cdef class RealFamily(Family):
    cdef double total_weight, floor
    cdef bint sigma_estimated, df_estimated, with_errors
    cdef double fixed_sigma, fixed_df


cdef class Gaussian(RealFamily):
    cdef public object sigma


cdef class StudentT(RealFamily):
    cdef public object df


cdef class Laplace(RealFamily):
    pass
