"""The rows of a regression in blocks that stay in the processor's cache."""


cdef class Design:
    cdef readonly Py_ssize_t n_rows, n_columns, n_blocks
    cdef readonly object center, unit
    cdef void begin(self, const double* coef, double* level, double* raw) noexcept nogil
    cdef void end(self, const double* raw, double total, double* grad) noexcept nogil
    cdef void matvec(self, Py_ssize_t block, const double* raw, double level, double* eta) noexcept nogil
    cdef void rmatvec(self, Py_ssize_t block, const double* score, double* raw) noexcept nogil
    cdef const double* dense(self, Py_ssize_t block, double* scratch) noexcept nogil


cdef class DenseDesign(Design):
    cdef object _owner
    cdef bint _single
    cdef const double[::1] _double
    cdef const float[::1] _float


cdef class SparseDesign(Design):
    cdef const double[::1] _data, _center, _inverse_unit
    cdef const int[::1] _columns
    cdef const Py_ssize_t[::1] _starts
