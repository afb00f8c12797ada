"""Products of a block of rows with coefficients and scores, compiled for several kinds of processor."""


cdef extern from "_blocks.h" nogil:
    enum: BLOCK

    void matvec_double "bg_matvec_double"(
        const double* x, Py_ssize_t p, const double* coef, double level, double* eta) noexcept
    void matvec_float "bg_matvec_float"(
        const float* x, Py_ssize_t p, const double* coef, double level, double* eta) noexcept
    void rmatvec_double "bg_rmatvec_double"(
        const double* x, Py_ssize_t p, const double* score, double* grad) noexcept
    void rmatvec_float "bg_rmatvec_float"(
        const float* x, Py_ssize_t p, const double* score, double* grad) noexcept
