"""Ranks and normal scores of draws, for the diagnostics."""

from libc.stdint cimport int32_t

cdef int sort_draws(
    const double* x, Py_ssize_t n, double* ordered, int32_t* order, int32_t* scratch
) except -1 nogil
cdef void fold(
    const double* ordered, const int32_t* order, Py_ssize_t n, double* folded, int32_t* folded_order
) noexcept nogil
cdef void normal_scores(
    const double* ordered, const int32_t* order, Py_ssize_t n, const double* table, double* out
) noexcept nogil
cdef double quantile(const double* ordered, Py_ssize_t n, double p) noexcept nogil
cdef Py_ssize_t count_up_to(const double* ordered, Py_ssize_t n, double q) noexcept nogil
