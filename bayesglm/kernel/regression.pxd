"""The target of the general route: any likelihood of linear predictors, any prior."""

from bayesglm.kernel.design cimport Design
from bayesglm.kernel.family cimport Family, Rows
from bayesglm.kernel.priors cimport Prior
from bayesglm.kernel.target cimport Target


cdef class RegressionTarget(Target):
    cdef readonly Design design
    cdef readonly Family family
    cdef readonly Py_ssize_t n_linear, n_aux, n_predictors, n_sets
    cdef readonly bint intercept
    cdef readonly object shift, contrasts
    cdef readonly Prior coef_prior, intercept_prior, aux_prior
    cdef tuple arrays
    cdef const double[::1] _y, _weight, _extra, _offset, _shift, _reached
    cdef const double[:, ::1] _contrasts
    # Scratch, one set a clone.
    cdef double[::1] _coef, _raw, _grad, _grad_raw, _of_predictors, _eta, _score, _padded, _aux, _d_aux
    cdef double[::1] _levels, _set_levels, _ones
    cdef bint _products
    cdef void _set(self, Design design, Family family, tuple arrays, bint intercept, shift, Prior coef_prior,
                   Prior intercept_prior, Prior aux_prior, contrasts) except *
    cdef Rows rows(self, Py_ssize_t block) noexcept nogil
    cdef const double* predictors(self, const double* q) noexcept nogil
    cdef void unpack(self, const double* q) noexcept nogil
    cdef void predict(self, Py_ssize_t block, Rows* rows) noexcept nogil
    cdef double log_prior(self, const double* q, double* grad) noexcept nogil
