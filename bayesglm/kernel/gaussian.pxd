"""Targets of models with a Gaussian likelihood, from sufficient statistics."""

from bayesglm.kernel.priors cimport Prior
from bayesglm.kernel.target cimport Target


cdef class ScaleTarget(Target):
    cdef readonly object settings
    cdef double weight, rss, first_knot, knot_step
    cdef bint heavy
    cdef const double[::1] likelihood, prior_precision, gap, knots, knot_slopes
    cdef Prior sigma_prior
    cdef double locate(self, double t, double* width, double* bend) noexcept nogil
    cdef double marginal(self, double log_sigma, double* slope) noexcept nogil


cdef class CorrectedTarget(Target):
    cdef readonly object settings
    cdef readonly ScaleTarget scale
    cdef Py_ssize_t k, intercept
    cdef const double[:, ::1] basis
    cdef const double[::1] data_precision, prior_precision, prior_mean, data_mean, shift
    cdef const double[::1] normal_mean, normal_precision
    cdef Prior coef_prior, intercept_prior
    cdef double[::1] workspace
    cdef double* z
    cdef double* width
    cdef double* theta
    cdef double* grad_theta
    cdef double* grad_z


cdef class SummaryTarget(Target):
    cdef readonly object settings
    cdef double weight, rss, y_mean
    cdef Py_ssize_t n_coef, n_rows
    cdef bint intercept, heavy
    cdef const double[:, ::1] factor
    cdef const double[::1] rotated, shift
    cdef const double[::1] positive
    cdef Prior coef_prior, intercept_prior, sigma_prior
    cdef double[::1] beta, slope, grad_beta, residual
