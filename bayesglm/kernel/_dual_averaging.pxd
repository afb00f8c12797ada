"""Step-size adaptation by dual averaging (Hoffman & Gelman 2014, section 3.2).

The shrinkage point is log(2 * start) rather than the paper's log(10 * start): the space is
standardised before sampling, so the first guess is a good one and a factor of ten would waste the
first draws on trajectories that fail.
"""

from libc.math cimport exp, log, pow, sqrt


cdef struct DualAveraging:
    double mu         # shrinkage point of log step size
    double average    # running mean of (target - acceptance), "H bar"
    double smoothed   # weighted mean of log step size, "x bar"
    double count


cdef inline void dual_averaging_restart(DualAveraging* state, double step_size) noexcept nogil:
    state.mu = log(2.0 * step_size)
    state.average = 0.0
    state.smoothed = 0.0
    state.count = 0.0


cdef inline double dual_averaging_update(DualAveraging* state, double target, double acceptance) noexcept nogil:
    """Take one acceptance rate in and return the next step size to try."""
    cdef double eta, weight, log_step
    state.count += 1.0
    eta = 1.0 / (state.count + 10.0)
    state.average = (1.0 - eta) * state.average + eta * (target - acceptance)
    log_step = state.mu - state.average * sqrt(state.count) / 0.05
    # On a density without scale (flat, or NaN everywhere) there is nothing to tune to.
    log_step = min(max(log_step, -70.0), 70.0)
    weight = pow(state.count, -0.75)
    state.smoothed = (1.0 - weight) * state.smoothed + weight * log_step
    return exp(log_step)


cdef inline double dual_averaging_final(const DualAveraging* state, double step_size) noexcept nogil:
    """Return the step size to keep; ``step_size`` if nothing was learnt."""
    return exp(state.smoothed) if state.count > 0.0 else step_size
