"""The regularised horseshoe as a map of coordinates."""

from bayesglm.kernel.coefficient_maps cimport CoefMap


cdef class HorseshoeMap(CoefMap):
    cdef double global_scale, slab_scale, slab_df, df_local, df_global, log_constant
    cdef double global_slope, slab_slope, unit_slope
    cdef const double[::1] unit, information
    cdef double[::1] slope, score, score_x, held, share
