"""The contract of a likelihood: log density of rows given their linear predictors."""


cdef struct Rows:
    # A block of rows. weight and extra may be NULL: all weights 1, no extra column.
    Py_ssize_t n
    const double* y
    const double* weight
    const double* extra


cdef class Family:
    cdef public object link
    cdef readonly object bound
    cdef double loglik(self, const Rows* rows, const double* eta, const double* aux, double* score,
                       double* d_aux) noexcept nogil
    cdef double value(self, const Rows* rows, const double* eta, const double* aux) noexcept nogil
    cdef void curvature(self, const Rows* rows, const double* eta, const double* aux, double* out) noexcept nogil
    cdef double shared(self, const double* aux, double* d_aux) noexcept nogil
