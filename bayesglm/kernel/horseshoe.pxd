"""The regularised horseshoe as a map of coordinates, its local scales integrated out."""

from bayesglm.kernel.coefficient_maps cimport CoefMap


cdef class HorseshoeMap(CoefMap):
    cdef double global_scale, slab_scale, slab_df, df_global, df_local, log_constant, local_constant
    cdef const double[:, ::1] knots
    cdef double log_tau_slope, log_ratio_slope, global_slope, log_reference
    cdef const double[::1] unit, centring
    cdef double[::1] level, slope, score, square, weight, weight_square, weight_slab
    cdef Py_ssize_t lay_nodes(self, double ratio, double smallest, double largest) noexcept nogil
    cdef double log_mixture(self, double b, double ratio, Py_ssize_t n, double* d_b, double* d_log_ratio) noexcept nogil
