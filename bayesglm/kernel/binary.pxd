"""Likelihoods of successes: Bernoulli and binomial, with three links."""

from bayesglm.kernel.family cimport Family


cdef class BinaryFamily(Family):
    cdef int code
    cdef double constant


cdef class Bernoulli(BinaryFamily):
    pass


cdef class Binomial(BinaryFamily):
    pass
