"""Likelihoods of positive numbers and of shares."""

from bayesglm.kernel.family cimport Family


cdef class PositiveFamily(Family):
    cdef double total_weight, constant, logs, floor


cdef class Gamma(PositiveFamily):
    pass


cdef class InverseGaussian(PositiveFamily):
    pass


cdef class Beta(PositiveFamily):
    pass
