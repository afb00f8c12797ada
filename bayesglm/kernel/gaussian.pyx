"""Targets of models with a Gaussian likelihood, from sufficient statistics: no cost depends on n.

`ScaleTarget` serves Gaussian priors on the coefficients. In coordinates z where likelihood and
prior are both diagonal, each z_j given sigma is normal with a known mean and precision, so what the
chain sees is a standard normal vector and the marginal density of log sigma: O(p) a step.
`CorrectedTarget` serves every other prior: the same coordinates for normal priors of like position
and width, times the ratio of the true prior to those: O(p²) a step. `SummaryTarget` is the plain
form, for coefficients that must be positive and as the other two's witness.
"""

import numpy as np

from libc.math cimport exp, expm1, fabs, log, log1p, sqrt
from scipy.linalg.cython_blas cimport dgemv

from bayesglm.kernel._numeric cimport dot, expm1_bend
from bayesglm.kernel.priors cimport Prior
from bayesglm.kernel.target cimport Target

from bayesglm.kernel.target import HEAVY

cdef double LOG_2PI = 1.8378770664093453


cdef class ScaleTarget(Target):
    """Standard normal coordinates u beside t, where log sigma = m(t) has its marginal posterior.

    m is a monotone cubic spline. Laid through the quantiles of the posterior it makes t standard normal
    too, however long the tails of log sigma (few rows leave it very long ones). The density is exact
    for any m: the derivative of m is part of it.

    With a_j the precision of the likelihood in z_j at sigma = 1, b_j that of the prior and d_j the
    distance between their means, the coefficients integrate out:
    log p(log sigma | y) = -W log sigma - rss/(2 sigma²) - ½ sum_j [log(w_j + b_j) + d_j² w_j b_j/(w_j + b_j)]
    + log prior(sigma) + log sigma, with w_j = a_j/sigma². Of more than
    `bayesglm.kernel.target.HEAVY` observations a constant is left out.

    Parameters
    ----------
    dim : int
        Number of coefficients (u) plus one (t).
    weight : float
        W, the sum of the weights of the rows.
    rss : float
        Residual sum of squares.
    likelihood, prior_precision, gap : arrays of shape (r,)
        a_j, b_j and d_j of the coordinates that the data inform (a_j > 0).
    sigma_prior : Prior
        Bound to coordinate 0.
    first_knot, knot_step : float
        Knots of m: first_knot, first_knot + knot_step, ...
    knots, knot_slopes : arrays of shape (>= 2,)
        Values and derivatives of m at the knots; beyond them it goes on straight. The default is
        m(t) = t.
    """

    def __init__(self, dim, weight, rss, likelihood, prior_precision, gap, Prior sigma_prior,
                 first_knot=0.0, knot_step=1.0, knots=(0.0, 1.0), knot_slopes=(1.0, 1.0)):
        self.settings = (dim, weight, rss, likelihood, prior_precision, gap, sigma_prior,
                         first_knot, knot_step, knots, knot_slopes)
        self.dim = dim
        self.weight = weight
        self.heavy = weight > HEAVY
        self.rss = rss
        self.likelihood = np.ascontiguousarray(likelihood, dtype=np.float64)
        self.prior_precision = np.ascontiguousarray(prior_precision, dtype=np.float64)
        self.gap = np.ascontiguousarray(gap, dtype=np.float64)
        self.sigma_prior = sigma_prior
        self.first_knot = first_knot
        self.knot_step = knot_step
        self.knots = np.ascontiguousarray(knots, dtype=np.float64)
        self.knot_slopes = np.ascontiguousarray(knot_slopes, dtype=np.float64)

    def __reduce__(self):
        return type(self), self.settings

    def through(self, first_knot, knot_step, knots, knot_slopes):
        """Return the target with another spline m."""
        return type(self)(*self.settings[:7], first_knot, knot_step, knots, knot_slopes)

    def log_sigma(self, t):
        """Return m(t), an array shaped as ``t``."""
        cdef double[::1] points = np.array(t, dtype=np.float64).reshape(-1)
        cdef double width = 0.0, bend = 0.0
        cdef Py_ssize_t i
        with nogil:
            for i in range(points.shape[0]):
                points[i] = self.locate(points[i], &width, &bend)
        return np.asarray(points).reshape(np.shape(t))

    cdef double locate(self, double t, double* width, double* bend) noexcept nogil:
        """Return m(t) and write m'(t) and m''(t)/m'(t)."""
        cdef Py_ssize_t i, last = self.knots.shape[0] - 1
        cdef double h = self.knot_step, x = (t - self.first_knot) / h, left, right, rise, cubic
        if not 0.0 < x < last:
            i = 0 if not x > 0.0 else last
            width[0] = self.knot_slopes[i]
            bend[0] = 0.0
            return self.knots[i] + (x - i) * h * self.knot_slopes[i]
        i = <Py_ssize_t>x
        x -= i
        left, right = self.knot_slopes[i], self.knot_slopes[i + 1]
        rise = (self.knots[i + 1] - self.knots[i]) / h
        cubic = left + right - 2.0 * rise
        width[0] = left + x * (2.0 * (rise - left - cubic) + 3.0 * x * cubic)
        bend[0] = (2.0 * (rise - left - cubic) + 6.0 * x * cubic) / (h * width[0])
        return self.knots[i] + h * x * (left + x * (rise - left - cubic + x * cubic))

    def log_marginal(self, log_sigma):
        """Return the marginal log density of log sigma and its derivative, arrays shaped as ``log_sigma``."""
        cdef double[::1] points = np.array(log_sigma, dtype=np.float64).reshape(-1)
        values, slopes = np.empty(points.shape[0]), np.empty(points.shape[0])
        cdef double[::1] value = values
        cdef double[::1] slope = slopes
        cdef Py_ssize_t i
        with nogil:
            for i in range(points.shape[0]):
                value[i] = self.marginal(points[i], &slope[i])
        return values.reshape(np.shape(log_sigma)), slopes.reshape(np.shape(log_sigma))

    cdef double marginal(self, double log_sigma, double* slope) noexcept nogil:
        """Return the log density of log sigma and write its derivative to ``slope``."""
        cdef Py_ssize_t j
        cdef double sigma = exp(log_sigma), precision = exp(-2.0 * log_sigma)
        cdef double total, share, pull, logs = 0.0, product = 1.0, quadratic = 0.0, derivative = 0.0
        cdef double prior_slope = 0.0, log_prior
        log_prior = self.sigma_prior.add(&sigma, &prior_slope)
        for j in range(self.likelihood.shape[0]):
            total = precision * self.likelihood[j] + self.prior_precision[j]
            share = precision * self.likelihood[j] / total
            pull = self.gap[j] * self.gap[j] * self.prior_precision[j] * share
            quadratic += pull
            derivative += share + pull * (1.0 - share)
            # One logarithm for a run of factors: their product, as long as it is far from overflow.
            product *= total
            if not 1e-140 < product < 1e140:
                logs += log(product)
                product = 1.0
        logs += log(product)
        slope[0] = (1.0 - self.weight + self.rss * precision + derivative + prior_slope * sigma)
        if self.heavy:
            slope[0] = (1.0 - (self.weight - self.rss) + self.rss * expm1(-2.0 * log_sigma) + derivative
                        + prior_slope * sigma)
            return ((1.0 - (self.weight - self.rss)) * log_sigma + log_prior
                    - 0.5 * (self.rss * expm1_bend(-2.0 * log_sigma) + logs + quadratic))
        return ((1.0 - self.weight) * log_sigma + log_prior
                - 0.5 * (self.weight * LOG_2PI + self.rss * precision + logs + quadratic))

    cdef double logp_grad(self, const double* q, double* grad) noexcept nogil:
        cdef Py_ssize_t j, last = self.dim - 1
        cdef double slope = 0.0, width = 1.0, bend = 0.0, value
        value = self.marginal(self.locate(q[last], &width, &bend), &slope)
        for j in range(last):
            grad[j] = -q[j]
        grad[last] = slope * width + bend
        return value + log(width) - 0.5 * dot(q, q, last)


cdef class CorrectedTarget(Target):
    """Any prior, in the coordinates (u, t) that a normal stand-in for it makes standard normal.

    log p(u, t) = log p_normal(u, t) + log prior(theta) - log prior_normal(theta), with theta = basis @ z
    and z_j = mean_j(sigma) + u_j / sqrt(precision_j(sigma)). The map depends on sigma, so the funnel
    that a joint density of coefficients and sigma has for few rows is gone before sampling starts.

    Parameters
    ----------
    scale : ScaleTarget
        The density under the normal stand-in.
    basis : array of shape (k, k)
        From z to (intercept, coefficients).
    data_precision, prior_precision, prior_mean, data_mean : arrays of shape (k,)
        Of z: precision of the likelihood at sigma = 1 and of the normal prior, and their means.
    intercept : bool
        Is parameter 0 an intercept?
    shift : array of shape (p,)
        The intercept's prior speaks of ``intercept - shift @ coef``.
    normal_mean, normal_precision : arrays of shape (k,)
        The normal stand-in; precision 0 is flat.
    coef_prior, intercept_prior : Prior or None
        The priors themselves, bound to positions among the coefficients and to coordinate 0.
    """

    def __init__(self, ScaleTarget scale, basis, data_precision, prior_precision, prior_mean, data_mean, intercept,
                 shift, normal_mean, normal_precision, coef_prior, intercept_prior):
        self.settings = (scale, basis, data_precision, prior_precision, prior_mean, data_mean, intercept, shift,
                         normal_mean, normal_precision, coef_prior, intercept_prior)
        self.scale = scale
        self.dim = scale.dim
        self.k = scale.dim - 1
        self.intercept = intercept
        self.basis = np.ascontiguousarray(basis, dtype=np.float64)
        self.data_precision = np.ascontiguousarray(data_precision, dtype=np.float64)
        self.prior_precision = np.ascontiguousarray(prior_precision, dtype=np.float64)
        self.prior_mean = np.ascontiguousarray(prior_mean, dtype=np.float64)
        self.data_mean = np.ascontiguousarray(data_mean, dtype=np.float64)
        self.shift = np.ascontiguousarray(shift, dtype=np.float64)
        self.normal_mean = np.ascontiguousarray(normal_mean, dtype=np.float64)
        self.normal_precision = np.ascontiguousarray(normal_precision, dtype=np.float64)
        self.coef_prior = coef_prior
        self.intercept_prior = intercept_prior
        self.workspace = np.zeros(5 * self.k + 1)
        self.z = &self.workspace[0]
        self.width, self.theta = self.z + self.k, self.z + 2 * self.k
        self.grad_theta, self.grad_z = self.z + 3 * self.k, self.z + 4 * self.k

    def __reduce__(self):
        return type(self), self.settings

    cpdef Target clone(self):
        return type(self)(*self.settings)

    def unwhiten(self, draws):
        """Map draws of (u, t), shape (..., k + 1), to theta, shape (..., k), and sigma, shape (...)."""
        log_sigma = self.scale.log_sigma(draws[..., self.k])
        data = np.exp(-2.0 * log_sigma)[..., np.newaxis] * np.asarray(self.data_precision)
        total = data + np.asarray(self.prior_precision)
        z = data * np.asarray(self.data_mean) + np.asarray(self.prior_precision) * np.asarray(self.prior_mean)
        z = z / total + draws[..., :self.k] / np.sqrt(total)
        return z @ np.asarray(self.basis).T, np.exp(log_sigma)

    cdef double logp_grad(self, const double* q, double* grad) noexcept nogil:
        cdef Py_ssize_t j, k = self.k, first = self.intercept
        cdef int size = <int>k, one = 1
        cdef double alpha = 1.0, zero = 0.0, value, data, total, share, held, gap, distance, level, slope, drift = 0.0
        cdef double width = 1.0, bend = 0.0, precision = exp(-2.0 * self.scale.locate(q[k], &width, &bend))
        value = self.scale.logp_grad(q, grad)
        if k == 0:
            return value
        for j in range(k):
            data = precision * self.data_precision[j]
            total = data + self.prior_precision[j]
            self.width[j] = 1.0 / sqrt(total)
            self.z[j] = ((data * self.data_mean[j] + self.prior_precision[j] * self.prior_mean[j]) / total
                         + self.width[j] * q[j])
        # Row-major basis is its transpose to BLAS: theta := basis z, grad_z := basis' grad_theta.
        dgemv("T", &size, &size, &alpha, <double*>&self.basis[0, 0], &size, self.z, &one, &zero,
              self.theta, &one)
        for j in range(first, k):
            distance = self.theta[j] - self.normal_mean[j]
            value += 0.5 * self.normal_precision[j] * distance * distance
            self.grad_theta[j] = self.normal_precision[j] * distance
        if k > first:
            value += self.coef_prior.add(self.theta + first, self.grad_theta + first)
        if first:
            level = self.theta[0]
            for j in range(1, k):
                level -= self.shift[j - 1] * self.theta[j]
            distance = level - self.normal_mean[0]
            value += 0.5 * self.normal_precision[0] * distance * distance
            slope = self.normal_precision[0] * distance
            value += self.intercept_prior.add(&level, &slope)
            self.grad_theta[0] = slope
            for j in range(1, k):
                self.grad_theta[j] -= self.shift[j - 1] * slope
        dgemv("N", &size, &size, &alpha, <double*>&self.basis[0, 0], &size, self.grad_theta, &one, &zero,
              self.grad_z, &one)
        for j in range(k):
            grad[j] += self.width[j] * self.grad_z[j]
            share = precision * self.data_precision[j] * self.width[j] * self.width[j]
            gap = self.data_mean[j] - self.prior_mean[j]
            held = self.prior_precision[j] * self.width[j] * self.width[j]
            drift += self.grad_z[j] * share * (self.width[j] * q[j] - 2.0 * held * gap)
        grad[k] += width * drift
        return value


cdef class SummaryTarget(Target):
    """Density of (intercept, coefficients, log sigma) for any priors, from a summary of the data.

    A coefficient that must be positive enters as v with coef = s log(1 + exp(v)): straight where the data
    push it away from zero, exponential where they push it towards zero (where its posterior becomes a
    logistic distribution of v). The logarithm would turn the former into a cliff. The intercept is that of the
    centred predictors; its prior speaks of ``intercept - shift @ coef``. Of more than
    `bayesglm.kernel.target.HEAVY` observations a constant is left out.

    Parameters
    ----------
    weight, y_mean, rss : float
        Sum of the weights, weighted mean of y, residual sum of squares.
    factor : array of shape (r, p)
        R with R'R the cross-products of the (centred) predictors.
    rotated : array of shape (r,)
        R^-T X'y.
    intercept : bool
        Is there one?
    shift : array of shape (p,)
        Zero, or the predictors' means if the prior is on the intercept at zero.
    positive : array of shape (p,)
        The scale s of a coefficient that must be positive, 0 for the others.
    coef_prior : Prior or None
        Bound to positions among the coefficients; None without any.
    intercept_prior : Prior or None
        Bound to coordinate 0.
    sigma_prior : Prior
        Bound to coordinate 0.
    """

    def __init__(self, weight, y_mean, rss, factor, rotated, intercept, shift, positive, coef_prior,
                 intercept_prior, sigma_prior):
        self.settings = (weight, y_mean, rss, factor, rotated, intercept, shift, positive, coef_prior,
                         intercept_prior, sigma_prior)
        self.weight = weight
        self.heavy = weight > HEAVY
        self.y_mean = y_mean
        self.rss = rss
        self.factor = np.ascontiguousarray(factor, dtype=np.float64)
        self.rotated = np.ascontiguousarray(rotated, dtype=np.float64)
        self.n_rows, self.n_coef = factor.shape
        self.intercept = intercept
        self.shift = np.ascontiguousarray(shift, dtype=np.float64)
        self.positive = np.ascontiguousarray(positive, dtype=np.float64)
        self.coef_prior = coef_prior
        self.intercept_prior = intercept_prior
        self.sigma_prior = sigma_prior
        self.dim = self.n_coef + self.intercept + 1
        self.beta = np.empty(self.n_coef)
        self.slope = np.empty(self.n_coef)
        self.grad_beta = np.empty(self.n_coef)
        self.residual = np.empty(self.n_rows)

    def __reduce__(self):
        return type(self), self.settings

    cpdef Target clone(self):
        return type(self)(*self.settings)

    def unwhiten(self, points):
        """Map points of this target to theta, shape (..., k), and sigma, shape (...)."""
        theta = np.array(points[..., :self.dim - 1])
        where = np.flatnonzero(self.positive)
        columns = where + self.intercept
        theta[..., columns] = np.asarray(self.positive)[where] * np.logaddexp(0.0, theta[..., columns])
        return theta, np.exp(points[..., self.dim - 1])

    cdef double logp_grad(self, const double* q, double* grad) noexcept nogil:
        cdef Py_ssize_t j, p = self.n_coef, last = self.dim - 1
        cdef int rows = <int>self.n_rows, columns = <int>self.n_coef, one = 1
        cdef double alpha = 1.0, zero = 0.0, scale, squares = 0.0, gap, level, small
        cdef double sigma = exp(q[last]), precision = exp(-2.0 * q[last]), slope = 0.0, value
        cdef const double* v = q + (1 if self.intercept else 0)
        cdef double* grad_v = grad + (1 if self.intercept else 0)

        value = q[last] + self.sigma_prior.add(&sigma, &slope)
        if p:
            for j in range(p):
                self.grad_beta[j] = 0.0
                self.beta[j] = v[j]
                self.slope[j] = 1.0
                if self.positive[j] > 0.0:
                    # Both from exp(-|v|), which cannot overflow; slope is that of log(1 + exp(v)).
                    small = exp(-fabs(v[j]))
                    self.beta[j] = self.positive[j] * (log1p(small) + (v[j] if v[j] > 0.0 else 0.0))
                    self.slope[j] = (1.0 if v[j] > 0.0 else small) / (1.0 + small)
                    value += log(self.positive[j]) - log1p(small) + (0.0 if v[j] > 0.0 else v[j])
            if rows:
                # Row-major factor is its transpose to BLAS: residual := R beta - Q'y.
                for j in range(rows):
                    self.residual[j] = self.rotated[j]
                scale = -1.0
                dgemv("T", &columns, &rows, &alpha, <double*>&self.factor[0, 0], &columns, &self.beta[0], &one, &scale,
                      &self.residual[0], &one)
                squares += dot(&self.residual[0], &self.residual[0], rows)
                scale = -precision
                dgemv("N", &columns, &rows, &scale, <double*>&self.factor[0, 0], &columns, &self.residual[0], &one,
                      &zero, &self.grad_beta[0], &one)
            value += self.coef_prior.add(&self.beta[0], &self.grad_beta[0])
        if self.intercept:
            gap = q[0] - self.y_mean
            squares += self.weight * gap * gap
            grad[0] = -self.weight * gap * precision
            level = q[0]
            for j in range(p):
                level -= self.shift[j] * self.beta[j]
            gap = 0.0
            value += self.intercept_prior.add(&level, &gap)
            grad[0] += gap
            for j in range(p):
                self.grad_beta[j] -= self.shift[j] * gap
        for j in range(p):
            grad_v[j] = self.grad_beta[j]
            if self.positive[j] > 0.0:
                grad_v[j] = grad_v[j] * self.positive[j] * self.slope[j] + 1.0 - self.slope[j]
        if self.heavy:
            grad[last] = (1.0 - (self.weight - self.rss) + self.rss * expm1(-2.0 * q[last]) + squares * precision
                          + slope * sigma)
            return (value - (self.weight - self.rss) * q[last]
                    - 0.5 * (self.rss * expm1_bend(-2.0 * q[last]) + squares * precision))
        squares += self.rss
        grad[last] = 1.0 - self.weight + squares * precision + slope * sigma
        return value - self.weight * (q[last] + 0.5 * LOG_2PI) - 0.5 * squares * precision
