"""Likelihoods of counts: Poisson and negative binomial."""

from bayesglm.kernel.family cimport Family


cdef class CountFamily(Family):
    cdef double constant


cdef class Poisson(CountFamily):
    cdef bint large


cdef class NegativeBinomial(CountFamily):
    cdef public object phi
    cdef double fixed
    cdef bint estimated, large
    cdef const double[::1] counts, times
