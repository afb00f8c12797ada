"""Maps of coefficients that share a scale: one that is learned, and the R2D2 prior."""

from bayesglm.kernel.coefficient_maps cimport CoefMap
from bayesglm.kernel.priors cimport Prior


cdef class LearnedScaleMap(CoefMap):
    cdef const double[::1] unit, information
    cdef const Py_ssize_t[::1] group
    cdef Prior hyperprior
    cdef readonly Py_ssize_t n_groups
    cdef double[::1] slope, score, held, log_scale_slope, scale, scale_slope


cdef class R2D2Map(CoefMap):
    cdef double first_shape, second_shape, log_constant, concentration, bend
    cdef const double[::1] unit, information
    cdef double[::1] slope, score, held, score_x, share, pull, value
    cdef double logit_slope
