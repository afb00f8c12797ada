"""The regularised horseshoe as a map of coordinates, its local scales integrated out.

Piironen and Vehtari (2017): coef_j ~ N(0, tau² l_j²), 1/l_j² = 1/lambda_j² + (tau/c)², with half-t local
scales lambda_j, a half-t global scale tau and an inverse-gamma slab c². Coordinates for the local scales bend:
the data fix the product of a large coefficient's two, a narrow hyperbola that no step size suits. Integrating
lambda_j out leaves one coordinate a coefficient, at the price of a one-dimensional integral each, which the
trapezoidal rule takes to some eleven digits with some thirty nodes (it is so good for analytic functions:
Trefethen & Weideman 2014). That density has a logarithmic pole at zero and a Cauchy tail; the coordinate
is very nearly its normal score, so that the prior of v_j is all but standard normal whatever tau is, and the
posterior nearly normal both where the data shrink a coefficient and where they fix it.
"""

import functools

import numpy as np

from libc.math cimport INFINITY, asinh, ceil, cosh, exp, fabs, log, log1p, sinh, sqrt

from bayesglm.kernel.coefficient_maps cimport CoefMap

from bayesglm.kernel.priors import student_constant

cdef enum:
    MOST_NODES = 512

cdef double LOG_2PI = 1.8378770664093453
cdef double SMALLEST = 1e-30  # of |v|: the density has a pole at zero
cdef double NEGLIGIBLE = 7.0  # exp(-7²/2) is below the digits kept
cdef double STEP = 0.25  # of the rule: its error is some exp(-pi²/(2 STEP)) of the integral
cdef double HERMITE_STEP = 0.5
cdef double FIRST_KNOT = -30.0
cdef double KNOT_STEP = 0.05


cdef class HorseshoeMap(CoefMap):
    """The regularised horseshoe.

    coef_j = unit_j tau T(v_j), with T the inverse normal score of the prior without a slab, and
    coordinates u = (v_1, ..., v_p, log(tau/(global_scale sigma)), log(c²/slab_scale²)), behind which a scaled map
    finds log sigma.

    Parameters
    ----------
    n_coef : int
    global_scale : float
        Scale of tau's half-t prior; a scaled map multiplies it by sigma.
    slab_scale : float, default=2.5
    slab_df : float, default=4.0
        c² ~ InverseGamma(slab_df/2, slab_df/2 slab_scale²): a large coefficient has a t prior of that scale.
    df_local, df_global : float, default=1.0
        Degrees of freedom of local and global scales; 1 is half-Cauchy.
    unit : float or array of shape (p,), default=1.0
        The unit of each coefficient in which the scales are given.
    scaled : bool, default=False
        Whether tau is in units of sigma.
    centring : float or array of shape (p,), default=0.0
        Powers w_j with which the unit of T is a fixed tau instead of tau itself: coef_j = unit_j tau^(1 - w_j)
        reference^w_j T(v_j). 1 suits coefficients that the data fix, 0 the others.
    reference : float, default=1.0
        The fixed tau.
    """

    def __init__(self, n_coef, global_scale, slab_scale=2.5, slab_df=4.0, df_local=1.0, df_global=1.0, unit=1.0,
                 scaled=False, centring=0.0, reference=1.0, straight=np.inf):
        from scipy.special import gammaln
        self.settings = (n_coef, global_scale, slab_scale, slab_df, df_local, df_global, unit, scaled, centring,
                         reference, straight)
        self.n_coef, self.size, self.scaled = n_coef, n_coef + 2, scaled
        self.global_scale, self.slab_scale, self.slab_df = global_scale, slab_scale, slab_df
        self.df_local, self.df_global = df_local, df_global
        self.unit = np.broadcast_to(np.asarray(unit, dtype=np.float64), (n_coef,)).copy()
        self.centring = np.broadcast_to(np.asarray(centring, dtype=np.float64), (n_coef,)).copy()
        self.log_reference = np.log(reference)
        self.knots = _normal_score(float(df_local), float(straight))
        half = 0.5 * slab_df
        self.log_constant = (np.log(2.0) + student_constant(df_global) + half * np.log(half) - gammaln(half)
                             - 0.5 * n_coef * LOG_2PI)
        self.local_constant = 2.0 * np.exp(student_constant(df_local))
        self.level, self.slope, self.score = np.zeros(n_coef), np.zeros(n_coef), np.zeros(n_coef)
        self.square, self.weight = np.zeros(MOST_NODES), np.zeros(MOST_NODES)
        self.weight_square, self.weight_slab = np.zeros(MOST_NODES), np.zeros(MOST_NODES)

    def hyper(self, U):
        """Return tau and the slab's c, ``global_scale`` and ``slab_scale``, in the units of the prior."""
        U = np.asarray(U, dtype=np.float64)
        log_tau = U[..., self.n_coef] + (U[..., self.size] if self.scaled else 0.0)
        return {
            "global_scale": self.global_scale * np.exp(log_tau),
            "slab_scale": self.slab_scale * np.exp(0.5 * U[..., self.n_coef + 1]),
        }

    def at(self, coef, unit=1.0):
        """Return coordinates of the coefficients at the middle of the hyperparameters.

        Parameters
        ----------
        coef : array of shape (p,)
        unit : float, default=1.0
            sigma, where the map is scaled.
        """
        level = np.abs(np.asarray(coef, dtype=np.float64)) / np.asarray(self.unit)
        level /= (self.global_scale * unit) ** (1.0 - np.asarray(self.centring))
        level /= np.exp(self.log_reference * np.asarray(self.centring))
        position = FIRST_KNOT + KNOT_STEP * np.arange(self.knots.shape[1])
        log_level = np.asarray(self.knots)[0]
        u = np.zeros(self.size)
        large = level > 0.0
        u[:self.n_coef][large] = np.exp(np.interp(np.log(level[large]), log_level, position))
        u[:self.n_coef] *= np.sign(coef)
        return u

    cdef double forward(self, const double* u, double* coef) noexcept nogil:
        cdef Py_ssize_t j, k, n, p = self.n_coef
        cdef double tau, ratio, v, place, cubic, bend, ease, rise, fall, shift, share, odds, value
        cdef double smallest = INFINITY, largest = 0.0, d_b = 0.0, d_ratio = 0.0
        tau = self.global_scale * exp(u[p] + (u[self.size] if self.scaled else 0.0))
        ratio = tau / (self.slab_scale * exp(0.5 * u[p + 1]))
        shift = self.log_reference - log(tau)
        for j in range(p):
            v = fabs(u[j]) if fabs(u[j]) > SMALLEST else SMALLEST
            # T = exp(S(log v)): its slope is T S'/v, that slope's logarithmic derivative (S' - 1 + S''/S')/v.
            place = (log(v) - FIRST_KNOT) / KNOT_STEP
            k = <Py_ssize_t>max(0.0, min(place, self.knots.shape[1] - 2.0))
            place = (place - k) * KNOT_STEP
            cubic, bend = self.knots[3, k], self.knots[2, k]
            if not 0.0 <= place <= KNOT_STEP:
                cubic = bend = 0.0
            ease = self.knots[0, k] + place * (self.knots[1, k] + place * (bend + place * cubic))
            rise = self.knots[1, k] + place * (2.0 * bend + 3.0 * place * cubic)
            fall = 2.0 * bend + 6.0 * place * cubic
            ease = exp(ease) / v
            # In units of tau from here on.
            share = exp(self.centring[j] * shift) if self.centring[j] != 0.0 else 1.0
            self.level[j] = v * ease * share
            self.slope[j] = ease * rise * share
            self.score[j] = (rise - 1.0 + fall / rise) / v
            smallest = min(smallest, self.level[j])
            largest = max(largest, self.level[j])
        n = self.lay_nodes(ratio, smallest, largest)
        value = self.log_constant
        self.log_ratio_slope = self.log_tau_slope = 0.0
        for j in range(p):
            value += self.log_mixture(self.level[j], ratio, n, &d_b, &d_ratio) + log(self.slope[j])
            self.log_ratio_slope += d_ratio
            self.log_tau_slope -= self.centring[j] * (1.0 + self.level[j] * d_b)
            self.score[j] += d_b * self.slope[j]
            self.slope[j] *= tau * self.unit[j]
            self.level[j] *= tau * self.unit[j]
            if u[j] < 0.0:
                self.score[j], self.level[j] = -self.score[j], -self.level[j]
            coef[j] = self.level[j]
        odds = exp(2.0 * u[p]) / self.df_global
        self.global_slope = 1.0 - (self.df_global + 1.0) * odds / (1.0 + odds)
        value += u[p] - 0.5 * (self.df_global + 1.0) * log1p(odds)
        return value - 0.5 * self.slab_df * (u[p + 1] + exp(-u[p + 1]))

    cdef void pullback(self, const double* u, const double* grad_coef, double* grad_u) noexcept nogil:
        cdef Py_ssize_t j, p = self.n_coef
        cdef double drift = self.log_ratio_slope + self.log_tau_slope
        for j in range(p):
            grad_u[j] = self.score[j] + self.slope[j] * grad_coef[j]
            drift += grad_coef[j] * self.level[j] * (1.0 - self.centring[j])
        grad_u[p] = self.global_slope + drift
        grad_u[p + 1] = -0.5 * self.log_ratio_slope - 0.5 * self.slab_df * (1.0 - exp(-u[p + 1]))
        if self.scaled:
            grad_u[self.size] = drift

    cdef Py_ssize_t lay_nodes(self, double ratio, double smallest, double largest) noexcept nogil:
        """Lay nodes s = 1/lambda of the integral over the local scale and return their number.

        Half-Cauchy scales: s = d sinh(x) with d = min(1, ratio), an even function of x whose singularities keep pi/2
        away from the real line. Others: s = exp(x).
        """
        cdef Py_ssize_t k, n
        cdef double s, x, x_first = 0.0, width = min(1.0, ratio), power = self.df_local
        if power == 1.0:
            n = <Py_ssize_t>ceil(asinh(NEGLIGIBLE / (smallest * width)) / STEP) + 1
        else:
            x_first = -30.0 / power - log(1.0 + largest)
            n = <Py_ssize_t>ceil((log(NEGLIGIBLE / smallest) - x_first) / (STEP)) + 1
        n = min(n, MOST_NODES)
        for k in range(n):
            if power == 1.0:
                x = k * STEP
                s = width * sinh(x)
                self.weight[k] = (0.5 if k == 0 else 1.0) * STEP * width * cosh(x) / (1.0 + s * s)
            else:
                s = exp(x_first + STEP * k)
                self.weight[k] = STEP * exp(power * log(s) - 0.5 * (power + 1.0) * log(s * s + 1.0 / power))
            self.square[k] = s * s
            self.weight[k] *= self.local_constant * sqrt(s * s + ratio * ratio)
            self.weight_square[k] = self.weight[k] * s * s
            self.weight_slab[k] = self.weight[k] / (s * s + ratio * ratio)
        return n

    cdef double log_mixture(self, double b, double ratio, Py_ssize_t n, double* d_b,
                            double* d_log_ratio) noexcept nogil:
        """Return the log density of b = coef/tau with the local scale integrated out, without (2 pi)^-1/2.

        It is -b² ratio²/2 + log of the integral over s of p(s) sqrt(s² + ratio²) exp(-b² s²/2); writes its derivatives
        by b and by log ratio.
        """
        cdef Py_ssize_t k
        cdef double s, term, half = 0.5 * b * b, slab = ratio * ratio, total = 0.0, inner = 0.0, outer = 0.0
        cdef double limit = NEGLIGIBLE * NEGLIGIBLE / (b * b)
        if self.df_local == 1.0 and b * min(1.0, ratio) > 2.0:
            # The normal factor is the narrowest: equidistant nodes in b s.
            for k in range(18):
                s = HERMITE_STEP * k / b
                term = (0.5 if k == 0 else 1.0) * self.local_constant * HERMITE_STEP / b * exp(-half * s * s)
                term *= sqrt(s * s + slab) / (1.0 + s * s)
                total += term
                inner += term * s * s
                outer += term / (s * s + slab)
        else:
            for k in range(n):
                if self.square[k] > limit:
                    break
                term = exp(-half * self.square[k])
                total += self.weight[k] * term
                inner += self.weight_square[k] * term
                outer += self.weight_slab[k] * term
        d_b[0] = -b * (slab + inner / total)
        d_log_ratio[0] = slab * (outer / total - 2.0 * half)
        return log(total) - half * slab


@functools.cache
def _normal_score(df, straight):
    """Return the cubics of S, shape (4, number of knots), with v exp(v²/(2 df) + S(log v)) the normal score's inverse.

    That is: if v is standard normal, then that is a product of a normal and a half-t variable, as accurately as a
    spline has it; the density does not depend on that.
    """
    from scipy.interpolate import CubicSpline
    from scipy.special import erf, erfinv, log_ndtr, logsumexp, ndtri_exp
    log_b = np.concatenate([np.arange(-36.0, 6.0, 0.1), np.geomspace(6.0, 400.0, 300)])
    # P(|b| > B) over y = log(lambda/B): the rest of a normal beyond exp(-y), weighed with the density of log lambda.
    y = np.arange(-40.0, 80.0, 0.05)
    log_scale = log_b[:, np.newaxis] + y
    log_weight = (np.log(2.0 * 0.05) + student_constant(df) + log_scale
                  - 0.5 * (df + 1.0) * np.logaddexp(0.0, 2.0 * log_scale - np.log(df)))
    beyond = logsumexp(log_weight + np.log(2.0) + log_ndtr(-np.exp(-y)), axis=1)
    within = np.exp(log_weight) @ erf(np.exp(-y) / np.sqrt(2.0))
    v = np.where(log_b < 0.0, np.sqrt(2.0) * erfinv(within), -ndtri_exp(beyond - np.log(2.0)))
    curve = CubicSpline(np.log(v), log_b)
    log_v = np.arange(FIRST_KNOT, np.log(v[-1]), 0.5 * KNOT_STEP)
    if straight < np.inf:
        # T'(v) = T0'(m(v)) with m(v) = v (1 + (v/v0)^6)^(-1/6), which stops at v0 = T0^-1(straight).
        log_v = np.arange(FIRST_KNOT, 12.0, 0.5 * KNOT_STEP)
        edge = np.interp(np.log(straight), log_b, np.log(v))
        held = log_v - np.log1p(np.exp(np.minimum(6.0 * (log_v - edge), 600.0))) / 6.0
        slope = CubicSpline(log_v, np.exp(curve(held) - held + log_v) * curve(held, 1))
        start = np.exp(curve(FIRST_KNOT))
        curve = CubicSpline(log_v, np.log(start + slope.antiderivative()(log_v)))
    knots = np.arange(FIRST_KNOT, log_v[-1], KNOT_STEP)
    return np.ascontiguousarray(CubicSpline(knots, curve(knots)).c[::-1])
