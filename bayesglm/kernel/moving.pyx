"""The target behind a map that moves with one of its coordinates: positions and widths that follow a scale.

Where rows are few, how widely coefficients spread depends on the noise: they are pinned where it is small and as wide
as their prior where it is large, and no affine map standardises both. `MovingTarget` takes a table of conditional
centres and widths along a path through the scale, and the path's own quantiles; the density is exact for any table.
"""

import numpy as np

from libc.math cimport exp, log

from bayesglm.kernel.target cimport Target


cdef class MovingTarget(Target):
    """The density of (u, t) where x_j = c_j(t) + exp(w_j(t)) u_j and x_pivot = c_pivot(t).

    c and w are cubic between equally spaced knots of t, with given slopes there, and go on straight beyond them. The
    coordinates keep their places: t stands where the pivot is in x.

    Parameters
    ----------
    inner : Target
        The density of x.
    pivot : int
        The coordinate that the others' positions and widths follow.
    first_knot, knot_step : float
        Knots of t: first_knot, first_knot + knot_step, ...
    centre, centre_slope, log_width, log_width_slope : arrays of shape (>= 2, dim)
        c and w at the knots, and their derivatives by t. c_pivot has to rise between knots; w_pivot is not used.
    """

    def __init__(self, Target inner, Py_ssize_t pivot, first_knot, knot_step, centre, centre_slope, log_width,
                 log_width_slope):
        tables = [np.ascontiguousarray(a, dtype=np.float64)
                  for a in (centre, centre_slope, log_width, log_width_slope)]
        if not 0 <= pivot < inner.dim:
            raise ValueError(f"pivot={pivot} is none of the inner target's {inner.dim} coordinates.")
        for table in tables:
            if table.ndim != 2 or len(table) < 2 or table.shape != (len(tables[0]), inner.dim):
                raise ValueError(f"tables must have one shape (knots, {inner.dim}), with two knots or more.")
        self.settings = (pivot, first_knot, knot_step, *tables)
        self.inner, self.pivot, self.dim = inner, pivot, inner.dim
        self.first_knot, self.knot_step, self.last = first_knot, knot_step, len(tables[0]) - 1
        self.centre, self.centre_slope, self.log_width, self.log_width_slope = tables
        self.x, self.width, self.centre_rate, self.width_rate, self.grad_inner = (
            np.empty(self.dim) for _ in range(5))

    cpdef Target clone(self):
        return MovingTarget(self.inner.clone(), *self.settings)

    def __reduce__(self):
        return MovingTarget, (self.inner, *self.settings)

    cdef double locate(self, const double* q, double* bend) noexcept nogil:
        """Set x, widths and their derivatives by t; return the log Jacobian and write c_pivot''/c_pivot' to ``bend``.

        The derivative of x_j by t is ``centre_rate`` plus ``width_rate`` times width times u_j.
        """
        cdef Py_ssize_t i, j, k
        cdef double h = self.knot_step, t = q[self.pivot], y = (t - self.first_knot) / h, z
        # Weights of values and slopes at both knots for the value, its derivative and (of the pivot) its second.
        cdef double a = 1.0, b, c = 0.0, d = 0.0, da = 0.0, db = 1.0, dc = 0.0, dd = 0.0
        cdef double dda = 0.0, ddb = 0.0, ddd = 0.0
        cdef double total = 0.0, slope
        if y <= 0.0 or not y < self.last:
            # (A t that is no number is neither, and makes everything no number.)
            i = 0 if y <= 0.0 else self.last
            k = i
            b = (y - i) * h
        else:
            i = <Py_ssize_t>y
            k = i + 1
            y -= i
            z = 1.0 - y
            a, c = z * z * (1.0 + 2.0 * y), y * y * (1.0 + 2.0 * z)
            b, d = h * y * z * z, -h * y * y * z
            da, db, dc, dd = -6.0 * y * z / h, z * (1.0 - 3.0 * y), 6.0 * y * z / h, -y * (2.0 - 3.0 * y)
            dda, ddb, ddd = 6.0 * (y - z) / (h * h), (6.0 * y - 4.0) / h, (6.0 * y - 2.0) / h
        for j in range(self.dim):
            self.x[j] = (a * self.centre[i, j] + b * self.centre_slope[i, j]
                         + c * self.centre[k, j] + d * self.centre_slope[k, j])
            self.centre_rate[j] = (da * self.centre[i, j] + db * self.centre_slope[i, j]
                                   + dc * self.centre[k, j] + dd * self.centre_slope[k, j])
            if j == self.pivot:
                continue
            slope = (a * self.log_width[i, j] + b * self.log_width_slope[i, j]
                     + c * self.log_width[k, j] + d * self.log_width_slope[k, j])
            total += slope
            self.width[j] = exp(slope)
            self.width_rate[j] = (da * self.log_width[i, j] + db * self.log_width_slope[i, j]
                                  + dc * self.log_width[k, j] + dd * self.log_width_slope[k, j])
            self.x[j] += self.width[j] * q[j]
        j = self.pivot
        slope = self.centre_rate[j]
        bend[0] = (dda * (self.centre[i, j] - self.centre[k, j]) + ddb * self.centre_slope[i, j]
                   + ddd * self.centre_slope[k, j]) / slope
        return total + log(slope)

    cdef double logp_grad(self, const double* q, double* grad) noexcept nogil:
        cdef Py_ssize_t j
        cdef double bend = 0.0, along, value = self.locate(q, &bend)
        value += self.inner.logp_grad(&self.x[0], &self.grad_inner[0])
        self.failed = self.inner.failed
        along = bend + self.grad_inner[self.pivot] * self.centre_rate[self.pivot]
        for j in range(self.dim):
            if j == self.pivot:
                continue
            grad[j] = self.width[j] * self.grad_inner[j]
            along += self.grad_inner[j] * self.centre_rate[j] + self.width_rate[j] * (1.0 + grad[j] * q[j])
        grad[self.pivot] = along
        return value

    def raise_error(self):
        """Raise what an inner target written in Python raised, once."""
        self.failed = False
        if hasattr(self.inner, "raise_error"):
            self.inner.raise_error()

    def unwhiten(self, q):
        """Map points ``q`` of shape (..., dim) to the inner target's coordinates."""
        points = np.ascontiguousarray(q, dtype=np.float64)
        if points.shape[points.ndim - 1] != self.dim:
            raise ValueError(f"q has {points.shape[points.ndim - 1]} entries, but the target has dimension {self.dim}.")
        cdef const double[:, ::1] rows = points.reshape(-1, self.dim)
        found = np.empty((rows.shape[0], self.dim))
        cdef double[:, ::1] out = found
        cdef double bend = 0.0
        cdef Py_ssize_t i, j
        with nogil:
            for i in range(rows.shape[0]):
                self.locate(&rows[i, 0], &bend)
                for j in range(self.dim):
                    out[i, j] = self.x[j]
        return found.reshape(points.shape)
