"""The No-U-Turn sampler on a standardised space."""

from bayesglm.kernel._dual_averaging cimport DualAveraging
from bayesglm.kernel.target cimport Target
from numpy.random cimport bitgen_t


cdef struct Node:
    # A finished subtree: momenta at its first and last leaf in the order built (one leaf: only
    # `first_p` is kept), their sum, and the proposal drawn from it.
    double* first_p
    double* last_p
    double* rho
    double* q
    double* g
    double logw
    double lp
    double energy
    long index
    int depth


cdef struct End:
    # A moving end of the trajectory.
    double* q
    double* p
    double* g
    long index


cdef struct Record:
    # What one transition reports.
    double accept_sum
    double max_energy_error
    long n_steps
    bint diverging


cdef class Chain:
    cdef readonly Target target
    cdef readonly object bit_generator
    cdef readonly Py_ssize_t dim
    cdef readonly int max_treedepth
    cdef public double target_accept
    cdef readonly double jitter
    cdef readonly double step_size
    cdef readonly long n_done
    cdef readonly long n_divergent
    cdef readonly long n_leapfrog
    cdef bitgen_t* rng
    cdef double[::1] workspace
    cdef double* q
    cdef double* g
    cdef double* rho
    cdef double* old_end_p
    cdef End left
    cdef End right
    cdef Node stack[33]
    cdef double lp
    cdef bint _adapting
    cdef volatile int stopped
    cdef DualAveraging averaging
    cdef void transition(self, double* out) noexcept nogil
    cdef bint build(self, End* end, double step, int depth, double start_energy, Record* record) noexcept nogil
    cdef double leapfrog(self, End* end, double step, double* lp) noexcept nogil
    cdef bint join(self, Node* a, Node* b) noexcept nogil
