"""The target behind a map that moves with one of its coordinates."""

from bayesglm.kernel.target cimport Target


cdef class MovingTarget(Target):
    cdef readonly Target inner
    cdef readonly Py_ssize_t pivot
    cdef readonly tuple settings
    cdef Py_ssize_t last
    cdef double first_knot, knot_step
    cdef const double[:, ::1] centre, centre_slope, log_width, log_width_slope
    cdef double[::1] x, width, centre_rate, width_rate, grad_inner
    cdef double locate(self, const double* q, double* bend) noexcept nogil
