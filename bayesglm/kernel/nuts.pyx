"""The No-U-Turn sampler on a standardised space: one transition, its statistics, step-size adaptation.

The space is standardised before the chain sees it, so the kinetic energy is p'p/2 and there is no
metric here. Letters: *q* position, *p* momentum, *g* gradient of the log density, *rho* sum of the
momenta over a (sub)tree, H = p'p/2 - log density.

The tree is that of Betancourt (2017, arXiv:1701.02434, appendix A.3): multinomial weights, uniform
sampling within a subtree and biased progressive sampling between the old tree and a new subtree,
and the generalised U-turn criterion with both checks across the joint of two subtrees. These extra
checks (Stan issue #2800) matter here more than elsewhere: on a nearly standard normal target,
trees lock onto multiples of the period and the plain criterion misses the turn.

Subtrees are built without recursion. Finished subtrees lie on a stack; a new leaf is pushed, and
while the two topmost have equal depth they are joined: a binary counter, which performs the joins
of the recursion in the recursion's order with storage fixed at construction.
`tests/reference_nuts.py` is the recursive twin that must agree draw for draw.
"""

import numpy as np

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport exp, fabs, isfinite, log
from libc.stdint cimport uint64_t
from libc.string cimport memcpy
from numpy.random cimport bitgen_t

from bayesglm.kernel._dual_averaging cimport (
    dual_averaging_final,
    dual_averaging_restart,
    dual_averaging_update,
)
from bayesglm.kernel._numeric cimport dot, dot_sum, logaddexp
from bayesglm.kernel.target cimport Target


cdef extern from "numpy/random/distributions.h" nogil:
    void random_standard_normal_fill(bitgen_t*, Py_ssize_t, double*)


#: Columns of the statistics array, under ArviZ's names.
STAT_NAMES = (
    "lp",
    "acceptance_rate",
    "step_size",
    "tree_depth",
    "n_steps",
    "diverging",
    "energy",
    "max_energy_error",
    "index_in_trajectory",
    "reached_max_treedepth",
)

cdef enum:
    N_STATS = 10
    MAX_TREEDEPTH = 32  # the stack in nuts.pxd holds one more

cdef double MAX_ENERGY_ERROR = 1000.0  # a divergence, as in Stan and PyMC
cdef double INFINITY = float("inf")


cdef inline bint turning(const double* first, const double* last, const double* a, const double* b,
                         Py_ssize_t n) noexcept nogil:
    """Has a span with end momenta ``first`` and ``last`` and momentum sum ``a + b`` turned?"""
    return not (dot_sum(first, a, b, n) > 0.0 and dot_sum(last, a, b, n) > 0.0)


cdef class Chain:
    """One Markov chain.

    Nothing is allocated after construction, and `advance` holds no GIL. The chain is a function of
    (target, bit generator, position, settings) alone.

    Parameters
    ----------
    target : Target
        Log density; the chain keeps a clone.
    bit_generator : numpy.random.BitGenerator
        The chain's own source of random numbers.
    position : array of shape (dim,)
        Where the chain starts.
    step_size : float
        First step size of the leapfrog.
    max_treedepth : int, default=10
        Doublings after which a trajectory ends in any case, 1 to 32.
    target_accept : float, default=0.8
        Mean acceptance rate that adaptation aims at.
    jitter : float, default=0.1
        Each transition's step size is multiplied by a uniform number from [1 - jitter, 1 + jitter]:
        whitened targets have periodic orbits, which a fixed step could follow for ever.
    """

    def __init__(self, Target target, bit_generator, position, double step_size, int max_treedepth=10,
                 double target_accept=0.8, double jitter=0.1):
        cdef Py_ssize_t stride, i, n_vectors
        cdef double* block
        if not 1 <= max_treedepth <= MAX_TREEDEPTH:
            raise ValueError(f"max_treedepth must be between 1 and {MAX_TREEDEPTH}; got {max_treedepth}.")
        if not (step_size > 0.0 and isfinite(step_size)):
            raise ValueError(f"step_size must be positive and finite; got {step_size}.")
        if not 0.0 < target_accept < 1.0:
            raise ValueError(f"target_accept must be between 0 and 1; got {target_accept}.")
        if not 0.0 <= jitter < 1.0:
            raise ValueError(f"jitter must be at least 0 and less than 1; got {jitter}.")
        self.target = target.clone()
        self.dim = target.dim
        self.max_treedepth = max_treedepth
        self.target_accept = target_accept
        self.jitter = jitter
        self.step_size = step_size
        self.bit_generator = bit_generator
        self.rng = <bitgen_t*>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")

        # One block, vectors padded to cache lines of 64 bytes.
        stride = max(8, (self.dim + 7) // 8 * 8)
        n_vectors = 10 + 5 * (max_treedepth + 1)
        self.workspace = np.zeros(n_vectors * stride + 8)
        block = &self.workspace[0]
        while <size_t>block % 64:
            block += 1
        self.q, self.g, self.rho, self.old_end_p = block, block + stride, block + 2 * stride, block + 3 * stride
        self.left.q, self.left.p, self.left.g = block + 4 * stride, block + 5 * stride, block + 6 * stride
        self.right.q, self.right.p, self.right.g = block + 7 * stride, block + 8 * stride, block + 9 * stride
        for i in range(max_treedepth + 1):
            block += (10 if i == 0 else 5) * stride
            self.stack[i].first_p, self.stack[i].last_p = block, block + stride
            self.stack[i].rho, self.stack[i].q, self.stack[i].g = (
                block + 2 * stride, block + 3 * stride, block + 4 * stride)
        self.position = position

    @property
    def position(self):
        """Where the chain is, array of shape (dim,)."""
        cdef Py_ssize_t i
        out = np.empty(self.dim)
        for i in range(self.dim):
            out[i] = self.q[i]
        return out

    @position.setter
    def position(self, value):
        start = np.array(value, dtype=np.float64)
        cdef Py_ssize_t i
        cdef double lp
        cdef double[::1] point
        if start.shape != (self.dim,):
            raise ValueError(f"position has shape {start.shape}, but the target has dimension {self.dim}.")
        # The left end is free between transitions: nothing of the chain changes if the point is refused.
        point = start
        for i in range(self.dim):
            self.left.q[i] = point[i]
        with nogil:
            lp = self.target.logp_grad(self.left.q, self.left.g)
        self.raise_target_error()
        if not isfinite(lp):
            raise ValueError(f"the log density is not finite at the starting point ({lp}).")
        for i in range(self.dim):
            if not isfinite(self.left.g[i]):
                raise ValueError(f"the gradient is not finite at the starting point (coordinate {i}).")
        memcpy(self.q, self.left.q, self.dim * sizeof(double))
        memcpy(self.g, self.left.g, self.dim * sizeof(double))
        self.lp = lp

    def retarget(self, Target target, position, double step_size):
        """Go on from ``position`` in another parametrisation of the same space.

        Parameters
        ----------
        target : Target
            Of the same dimension; the chain keeps a clone.
        position : array of shape (dim,)
        step_size : float
        """
        cdef Target before = self.target
        if target.dim != self.dim:
            raise ValueError(f"the new target has dimension {target.dim}, the chain {self.dim}.")
        self.target = target.clone()
        try:
            self.position = position
        except BaseException:
            self.target = before
            raise
        self.step_size = step_size

    @property
    def adapting(self):
        """Whether transitions tune the step size; switching on starts afresh, off keeps the average."""
        return self._adapting

    @adapting.setter
    def adapting(self, bint value):
        if value:
            dual_averaging_restart(&self.averaging, self.step_size)
        elif self._adapting:
            self.step_size = dual_averaging_final(&self.averaging, self.step_size)
        self._adapting = value

    def stop(self):
        """Make `advance` return after the draw it is at; callable from another thread."""
        self.stopped = 1

    def resume(self):
        """Undo `stop`."""
        self.stopped = 0

    def advance(self, Py_ssize_t n, double[:, ::1] draws, double[:, ::1] stats):
        """Make ``n`` transitions without the GIL.

        Parameters
        ----------
        n : int
            Number of transitions.
        draws : ndarray of shape (>= n, dim), float64, C-contiguous
            Receives the positions.
        stats : ndarray of shape (>= n, 10), float64, C-contiguous
            Receives the statistics in the order of `STAT_NAMES`.

        Returns
        -------
        int
            Number of transitions made; fewer than ``n`` only after `stop`.
        """
        cdef Py_ssize_t i = 0
        if draws.shape[0] < n or draws.shape[1] != self.dim:
            raise ValueError(f"draws must have shape ({n}, {self.dim}).")
        if stats.shape[0] < n or stats.shape[1] != N_STATS:
            raise ValueError(f"stats must have shape ({n}, {N_STATS}).")
        with self.bit_generator.lock, nogil:
            while i < n and not self.stopped and not self.target.failed:
                self.transition(&stats[i, 0])
                if self.dim:
                    memcpy(&draws[i, 0], self.q, self.dim * sizeof(double))
                if self._adapting:
                    self.step_size = dual_averaging_update(&self.averaging, self.target_accept, stats[i, 1])
                self.n_done += 1
                i += 1
        self.raise_target_error()
        return i

    def raise_target_error(self):
        """Raise what a target written in Python raised."""
        if hasattr(self.target, "raise_error"):
            self.target.raise_error()

    cdef void transition(self, double* out) noexcept nogil:
        """Replace the state by the next one and write its statistics to ``out`` (OUT, N_STATS)."""
        cdef Py_ssize_t n = self.dim, i
        cdef size_t nbytes = n * sizeof(double)
        cdef Record record
        cdef Node* new = &self.stack[0]
        cdef End* end
        cdef double step = self.step_size, kinetic, start_energy, energy, logw = 0.0
        cdef int depth = 0
        cdef bint turned = False, forward
        cdef long index = 0
        cdef uint64_t directions

        if self.jitter > 0.0:
            step *= 1.0 + self.jitter * (2.0 * self.rng.next_double(self.rng.state) - 1.0)
        random_standard_normal_fill(self.rng, n, self.right.p)
        directions = self.rng.next_uint64(self.rng.state)
        kinetic = 0.5 * dot(self.right.p, self.right.p, n)
        start_energy = energy = kinetic - self.lp

        memcpy(self.right.q, self.q, nbytes)
        memcpy(self.right.g, self.g, nbytes)
        memcpy(self.left.q, self.q, nbytes)
        memcpy(self.left.p, self.right.p, nbytes)
        memcpy(self.left.g, self.g, nbytes)
        memcpy(self.rho, self.right.p, nbytes)
        self.left.index = self.right.index = 0
        record.accept_sum = record.max_energy_error = 0.0
        record.n_steps = 0
        record.diverging = False

        while depth < self.max_treedepth:
            forward = directions & 1
            directions >>= 1
            end = &self.right if forward else &self.left
            memcpy(self.old_end_p, end.p, nbytes)
            if not self.build(end, step if forward else -step, depth, start_energy, &record):
                break

            if log(self.rng.next_double(self.rng.state)) < new.logw - logw:
                memcpy(self.q, new.q, nbytes)
                memcpy(self.g, new.g, nbytes)
                self.lp = new.lp
                energy = new.energy
                index = new.index
            logw = logaddexp(logw, new.logw)

            # The criterion is symmetric in time, so the new subtree may stay in the order built:
            # its first leaf touches the old tree's end, its last leaf is the new end. The far end
            # of the old tree is the other moving end, which has not moved.
            end = &self.left if forward else &self.right
            if depth == 0:
                turned = turning(end.p, new.first_p, self.rho, new.first_p, n)
                for i in range(n):
                    self.rho[i] += new.first_p[i]
            else:
                turned = (turning(end.p, new.last_p, self.rho, new.rho, n)
                          or turning(end.p, new.first_p, self.rho, new.first_p, n)
                          or turning(self.old_end_p, new.last_p, new.rho, self.old_end_p, n))
                for i in range(n):
                    self.rho[i] += new.rho[i]
            depth += 1
            if turned:
                break

        self.n_divergent += record.diverging
        self.n_leapfrog += record.n_steps
        out[0] = self.lp
        out[1] = record.accept_sum / record.n_steps
        out[2] = step
        out[3] = depth
        out[4] = record.n_steps
        out[5] = record.diverging
        out[6] = energy
        out[7] = record.max_energy_error
        out[8] = index
        out[9] = depth == self.max_treedepth and not turned

    cdef bint build(self, End* end, double step, int depth, double start_energy, Record* record) noexcept nogil:
        """Extend ``end`` by 2**depth leaves into ``stack[0]``; False if it diverged or turned."""
        cdef Py_ssize_t n = self.dim
        cdef size_t nbytes = n * sizeof(double)
        cdef long leaves = 1L << depth, _leaf
        cdef int top = -1
        cdef double energy, error, lp = 0.0
        cdef Node* node
        for _leaf in range(leaves):
            energy = self.leapfrog(end, step, &lp)
            error = energy - start_energy
            record.n_steps += 1
            if not isfinite(error):
                record.max_energy_error = INFINITY
                record.diverging = True
                return False
            if error <= 0.0:
                record.accept_sum += 1.0
            else:
                record.accept_sum += exp(-error)
            if fabs(error) > fabs(record.max_energy_error):
                record.max_energy_error = error
            if error > MAX_ENERGY_ERROR:
                record.diverging = True
                return False
            top += 1
            node = &self.stack[top]
            memcpy(node.first_p, end.p, nbytes)
            memcpy(node.q, end.q, nbytes)
            memcpy(node.g, end.g, nbytes)
            node.logw = -error
            node.lp = lp
            node.energy = energy
            node.index = end.index
            node.depth = 0
            while top > 0 and self.stack[top - 1].depth == self.stack[top].depth:
                if not self.join(&self.stack[top - 1], &self.stack[top]):
                    return False
                top -= 1
        return True

    cdef double leapfrog(self, End* end, double step, double* lp) noexcept nogil:
        """Move ``end`` by one leapfrog step; return its energy and write its log density."""
        cdef Py_ssize_t n = self.dim, i
        cdef double half = 0.5 * step
        cdef double* q = end.q
        cdef double* p = end.p
        cdef double* g = end.g
        for i in range(n):
            p[i] += half * g[i]
        for i in range(n):
            q[i] += step * p[i]
        lp[0] = self.target.logp_grad(q, g)
        for i in range(n):
            p[i] += half * g[i]
        end.index += 1 if step > 0.0 else -1
        return 0.5 * dot(p, p, n) - lp[0]

    cdef bint join(self, Node* a, Node* b) noexcept nogil:
        """Join ``b`` to the equally deep ``a`` built before it; False if the result has turned."""
        cdef Py_ssize_t n = self.dim, i
        cdef double logw = logaddexp(a.logw, b.logw)
        cdef bint turned
        cdef double* swap
        if log(self.rng.next_double(self.rng.state)) < b.logw - logw:
            a.q, b.q = b.q, a.q
            a.g, b.g = b.g, a.g
            a.lp = b.lp
            a.energy = b.energy
            a.index = b.index
        a.logw = logw
        if a.depth == 0:
            turned = turning(a.first_p, b.first_p, a.first_p, b.first_p, n)
            for i in range(n):
                a.rho[i] = a.first_p[i] + b.first_p[i]
            swap = b.first_p
            b.first_p = a.last_p
            a.last_p = swap
        else:
            turned = (turning(a.first_p, b.last_p, a.rho, b.rho, n)
                      or turning(a.first_p, b.first_p, a.rho, b.first_p, n)
                      or turning(a.last_p, b.last_p, b.rho, a.last_p, n))
            for i in range(n):
                a.rho[i] += b.rho[i]
            swap = b.last_p
            b.last_p = a.last_p
            a.last_p = swap
        a.depth += 1
        return not turned
