"""Maps from coordinates that a chain walks in well to coefficients, and the target behind such a map.

A prior with heavy tails, a bound or a hierarchy makes a posterior that no affine map standardises. A
`CoefMap` gives the coefficients as a smooth function of other coordinates u, in which it does not, and the
density of u that follows from the prior; `MappedTarget` joins it to any target without a prior on those
coefficients. Here are the maps that treat each coefficient by itself; those that share a scale among
coefficients are in `bayesglm.kernel.shrinkage` and `bayesglm.kernel.horseshoe`.
"""

import numpy as np

from libc.math cimport NAN, cosh, exp, fabs, log, log1p, sinh, tanh
from libc.string cimport memcpy

from bayesglm.kernel.priors cimport Prior
from bayesglm.kernel.target cimport Target

from bayesglm.kernel.priors import Cauchy, JointPrior, StudentT, student_constant

#: Scales, times sqrt(df), within which a heavy-tailed coefficient is its own coordinate. Of the chains under
#: separation that the tests run, 1 and 10 have more divergences.
cdef double EDGE = 4.0


cdef class CoefMap:
    """Coefficients as a function of coordinates u, and the density of u; not for use by itself.

    A map that is ``scaled`` multiplies coefficients by a scale of the target's own (sigma of a Gaussian
    likelihood), whose logarithm it finds behind its coordinates, in ``u[size]``.

    Attributes
    ----------
    size : int
        Number of coordinates.
    n_coef : int
        Number of coefficients.
    scaled : bool
    settings : tuple
        Arguments of the constructor.
    """

    cdef double forward(self, const double* u, double* coef) noexcept nogil:
        """Return the log density of ``u`` (IN, size + scaled) and write the coefficients (OUT, n_coef)."""
        return NAN

    cdef void pullback(self, const double* u, const double* grad_coef, double* grad_u) noexcept nogil:
        """Write to ``grad_u`` (OUT, size + scaled) the gradient of the log density plus J' ``grad_coef`` (IN).

        Called after `forward` at the same ``u``, and may use what that left behind.
        """

    cpdef CoefMap clone(self):
        """Return the same map with scratch memory of its own."""
        return type(self)(*self.settings)

    def __reduce__(self):
        return type(self), self.settings

    def log_density_and_gradient(self, u, grad_coef):
        """Return log density, coefficients and what `pullback` makes of ``grad_coef``; the face for tests."""
        cdef double[::1] point = np.array(u, dtype=np.float64).reshape(-1)
        cdef double[::1] slope = np.array(grad_coef, dtype=np.float64).reshape(-1)
        self._check(point.shape[0])
        if slope.shape[0] != self.n_coef:
            raise ValueError(f"grad_coef has {slope.shape[0]} entries, but the map has {self.n_coef} coefficients.")
        coef, gradient = np.zeros(self.n_coef), np.zeros(point.shape[0])
        cdef double[::1] out = coef
        cdef double[::1] grad = gradient
        value = self.forward(&point[0], &out[0])
        self.pullback(&point[0], &slope[0], &grad[0])
        return value, coef, gradient

    def coefficients(self, U):
        """Return the coefficients, shape (..., n_coef), at points ``U`` of shape (..., size + scaled)."""
        return self._forward(U)[1]

    def log_density(self, U):
        """Return the log density, shape (...), at points ``U`` of shape (..., size + scaled)."""
        return self._forward(U)[0]

    def _forward(self, U):
        points = np.ascontiguousarray(U, dtype=np.float64)
        self._check(points.shape[points.ndim - 1])
        cdef const double[:, ::1] rows = points.reshape(-1, self.size + self.scaled)
        values, coef = np.empty(rows.shape[0]), np.empty((rows.shape[0], self.n_coef))
        cdef double[::1] value = values
        cdef double[:, ::1] out = coef
        cdef Py_ssize_t i
        with nogil:
            for i in range(rows.shape[0]):
                value[i] = self.forward(&rows[i, 0], &out[i, 0])
        shape = points.shape[:points.ndim - 1]
        return values.reshape(shape), coef.reshape(*shape, self.n_coef)

    def _check(self, width):
        if width != self.size + self.scaled:
            raise ValueError(f"u has {width} entries, but the map takes {self.size + self.scaled}.")

    def hyper(self, U):
        """Return hyperparameters by name, each of shape (...) or (..., k), at points of shape (..., size + scaled)."""
        return {}

    def at(self, coef, unit=1.0):
        """Return coordinates, shape (size,), of coefficients ``coef``, shape (n_coef,): a point to start from.

        ``unit`` is the scale that a scaled map multiplies by.
        """
        raise NotImplementedError

    def centre(self):
        """Return coordinates, shape (size,), in the middle of the prior."""
        return self.at(np.zeros(self.n_coef))


cdef class ElementwiseMap(CoefMap):
    """One coordinate a coefficient; `forward` leaves the slope of each and the gradient of the density."""

    cdef void pullback(self, const double* u, const double* grad_coef, double* grad_u) noexcept nogil:
        cdef Py_ssize_t j
        for j in range(self.size):
            grad_u[j] = self.score[j] + self.slope[j] * grad_coef[j]


cdef class PositiveMap(ElementwiseMap):
    """Coefficients that must be positive, as s log(1 + exp(v)): straight far from zero, exponential near it.

    See `bayesglm.kernel.gaussian.SummaryTarget` for why this and not the logarithm.

    Parameters
    ----------
    prior : Prior
        Bound to positions among the p coefficients.
    unit : array of shape (p,)
        The scale s of a coefficient that must be positive, 0 for the others, which stay as they are.
    """

    def __init__(self, Prior prior, unit):
        self.settings = (prior, unit)
        self.prior = prior
        self.unit = np.ascontiguousarray(unit, dtype=np.float64)
        self.size = self.n_coef = self.unit.shape[0]
        self.slope, self.score = np.ones(self.size), np.zeros(self.size)

    def at(self, coef, unit=1.0):
        coef, scale = np.array(coef, dtype=np.float64), np.asarray(self.unit)
        where = scale > 0.0
        position = np.maximum(coef[where] / scale[where], 0.1)
        coef[where] = position + np.log(-np.expm1(-position))
        return coef

    def centre(self):
        return self.at(np.asarray(self.unit))

    cdef double forward(self, const double* u, double* coef) noexcept nogil:
        cdef Py_ssize_t j
        cdef double small, value = 0.0
        for j in range(self.size):
            coef[j] = u[j]
            self.score[j] = 0.0
            if self.unit[j] > 0.0:
                # All from exp(-|v|), which cannot overflow; slope/s is that of log(1 + exp(v)).
                small = exp(-fabs(u[j]))
                coef[j] = self.unit[j] * (log1p(small) + (u[j] if u[j] > 0.0 else 0.0))
                self.slope[j] = self.unit[j] * (1.0 if u[j] > 0.0 else small) / (1.0 + small)
                value += log(self.unit[j]) - log1p(small) + (0.0 if u[j] > 0.0 else u[j])
        value += self.prior.add(coef, &self.score[0])
        for j in range(self.size):
            if self.unit[j] > 0.0:
                self.score[j] = self.score[j] * self.slope[j] + 1.0 - self.slope[j] / self.unit[j]
        return value


cdef class TailMap(ElementwiseMap):
    """Student-t and Cauchy priors in coordinates where their tails are exponential; other priors as they are.

    coef = loc + scale m sinh(v/m), m = 4 sqrt(df): v is the coefficient within some m scales of the location and its
    logarithm beyond. Where the likelihood leaves a coefficient to its prior (separation in logistic regression), its
    posterior has the prior's power for a tail, on which no affine map helps. Coordinates in which that tail were
    normal let coefficients grow too fast: trajectories overshoot where the likelihood ends them, and diverge ten
    times as often as here.

    Parameters
    ----------
    priors : sequence of Prior
        Bound to positions among the coefficients, each of which belongs to one of them.
    n_coef : int
    """

    def __init__(self, priors, n_coef):
        self.settings = (priors, n_coef)
        self.size = self.n_coef = n_coef
        self.slope, self.score = np.ones(n_coef), np.zeros(n_coef)
        df, loc, scale = np.zeros(n_coef), np.zeros(n_coef), np.ones(n_coef)
        self.others = None
        for prior in priors:
            index, centre, width, truncated = prior.bound
            loc[index] = centre
            if isinstance(prior, (StudentT, Cauchy)) and not truncated:
                df[index] = prior.df if isinstance(prior, StudentT) else 1.0
                scale[index] = width
                self.log_constant += len(index) * student_constant(df[index[0]]) if len(index) else 0.0
            else:
                self.others = prior if self.others is None else JointPrior(self.others, prior)
        self.df = df
        self.edge = EDGE * np.sqrt(df)
        self.loc = loc
        self.scale = scale

    def at(self, coef, unit=1.0):
        distance = (np.asarray(coef, dtype=np.float64) - np.asarray(self.loc)) / np.asarray(self.scale)
        mapped = np.asarray(self.df) > 0.0
        edge = np.where(mapped, np.asarray(self.edge), 1.0)
        return np.where(mapped, edge * np.arcsinh(distance / edge), coef)

    def centre(self):
        return self.at(np.asarray(self.loc))

    cdef double forward(self, const double* u, double* coef) noexcept nogil:
        cdef Py_ssize_t j
        cdef double v, wide, distance, df, value = self.log_constant
        for j in range(self.size):
            coef[j] = u[j]
            self.score[j] = 0.0
        if self.others is not None:
            value += self.others.add(coef, &self.score[0])
        for j in range(self.size):
            df = self.df[j]
            if df == 0.0:
                continue
            v = u[j] / self.edge[j]
            wide = cosh(v)
            distance = self.edge[j] * sinh(v)
            coef[j] = self.loc[j] + self.scale[j] * distance
            self.slope[j] = self.scale[j] * wide
            value += log(wide) - 0.5 * (df + 1.0) * log1p(distance * distance / df)
            self.score[j] = (tanh(v) / self.edge[j]
                             - (df + 1.0) * distance * wide / (df + distance * distance))
        return value


cdef class MappedTarget(Target):
    """A target whose coefficients are a function of other coordinates.

    Its coordinates are those of the inner target before the coefficients, those of the map, and those of the
    inner target after the coefficients.

    Parameters
    ----------
    inner : Target
        Without a prior on the coefficients, which are its coordinates ``first``, ..., ``first + n_coef - 1``.
    coef_map : CoefMap
    first : int
    unit : int, default=-1
        Which coordinate of the inner target is the logarithm of the scale that a scaled map needs; counted from
        the end if negative. Not one of the coefficients.
    """

    def __init__(self, Target inner, CoefMap coef_map, Py_ssize_t first, Py_ssize_t unit=-1):
        cdef Py_ssize_t last = first + coef_map.n_coef
        if first < 0 or last > inner.dim:
            raise ValueError(f"coefficients {first} to {last - 1} are not among the inner target's {inner.dim}.")
        self.inner, self.coef_map, self.first, self.unit = inner, coef_map, first, unit
        if self.unit < 0:
            self.unit += inner.dim
        if coef_map.scaled and (first <= self.unit < last or not 0 <= self.unit < inner.dim):
            raise ValueError(f"unit={unit} is not a coordinate of the inner target beside the coefficients.")
        self.dim = inner.dim - coef_map.n_coef + coef_map.size
        self.u, self.grad_u = np.zeros(coef_map.size + 1), np.zeros(coef_map.size + 1)
        self.q_inner, self.grad_inner = np.zeros(inner.dim + 1), np.zeros(inner.dim + 1)

    def __reduce__(self):
        return MappedTarget, (self.inner, self.coef_map, self.first, self.unit)

    cpdef Target clone(self):
        return MappedTarget(self.inner.clone(), self.coef_map.clone(), self.first, self.unit)

    def raise_error(self):
        """Raise what an inner target written in Python raised, once."""
        if hasattr(self.inner, "raise_error"):
            self.inner.raise_error()
            self.failed = False

    def coordinates(self, q):
        """Return the map's coordinates, with the log scale of a scaled map behind, of points ``q`` (..., dim)."""
        q = np.asarray(q, dtype=np.float64)
        u = q[..., self.first:self.first + self.coef_map.size]
        if not self.coef_map.scaled:
            return u
        where = self.unit + (0 if self.unit < self.first else self.coef_map.size - self.coef_map.n_coef)
        return np.concatenate([u, q[..., where:where + 1]], axis=q.ndim - 1)

    def unwhiten(self, q):
        """Map points ``q`` of shape (..., dim) to the inner target's coordinates."""
        q = np.asarray(q, dtype=np.float64)
        coef = self.coef_map.coefficients(self.coordinates(q))
        parts = q[..., :self.first], coef, q[..., self.first + self.coef_map.size:]
        return np.concatenate(parts, axis=q.ndim - 1)

    def hyper(self, q):
        """Return the map's hyperparameters by name at points ``q`` of shape (..., dim)."""
        return self.coef_map.hyper(self.coordinates(q))

    cdef double logp_grad(self, const double* q, double* grad) noexcept nogil:
        cdef Py_ssize_t first = self.first, size = self.coef_map.size, p = self.coef_map.n_coef
        cdef Py_ssize_t rest = self.inner.dim - first - p
        cdef double* inner = &self.q_inner[0]
        cdef double* grad_inner = &self.grad_inner[0]
        cdef double value
        memcpy(inner, q, first * sizeof(double))
        memcpy(inner + first + p, q + first + size, rest * sizeof(double))
        memcpy(&self.u[0], q + first, size * sizeof(double))
        self.u[size] = inner[self.unit] if self.coef_map.scaled else 0.0
        value = self.coef_map.forward(&self.u[0], inner + first)
        value += self.inner.logp_grad(inner, grad_inner)
        self.failed = self.inner.failed
        self.coef_map.pullback(&self.u[0], grad_inner + first, &self.grad_u[0])
        if self.coef_map.scaled:
            grad_inner[self.unit] += self.grad_u[size]
        memcpy(grad, grad_inner, first * sizeof(double))
        memcpy(grad + first, &self.grad_u[0], size * sizeof(double))
        memcpy(grad + first + size, grad_inner + first + p, rest * sizeof(double))
        return value
