"""Elementary functions over arrays, compiled for several kinds of processor."""


cdef extern from "_vector.h" nogil:
    void exp_all "bg_exp_all"(const double* x, double* out, Py_ssize_t n) noexcept
    void log1p_all "bg_log1p_all"(const double* x, double* out, Py_ssize_t n) noexcept
    void softplus_all "bg_softplus_all"(const double* x, double* out, Py_ssize_t n) noexcept
    double sum_exp "bg_sum_exp"(
        const double* x, double sign, double shift, double limit, Py_ssize_t n) noexcept
    double sum_log1p "bg_sum_log1p"(const double* x, double factor, Py_ssize_t n) noexcept
    double bernoulli_rows "bg_bernoulli"(
        Py_ssize_t n, const double* y, const double* eta, double* score) noexcept
    double logistic_rows "bg_logistic"(
        Py_ssize_t n, const double* y, const double* weight, const double* trials, double slope, double base,
        double shift, const double* eta, double* score, double* softplus) noexcept
    double poisson_rows "bg_poisson"(
        Py_ssize_t n, const double* y, const double* weight, const double* eta, double* score) noexcept
    double gamma_rows "bg_gamma"(
        Py_ssize_t n, const double* y, const double* weight, const double* eta, double* score) noexcept
    double softmax_rows "bg_softmax"(
        Py_ssize_t n, Py_ssize_t K, const double* y, const double* weight, const double* eta, double* score) noexcept
