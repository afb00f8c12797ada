"""Maps of coefficients that share a scale: one that is learned, and the R2D2 prior."""

import numpy as np

from libc.math cimport exp, fabs, log, log1p, sqrt

from bayesglm.kernel.coefficient_maps cimport CoefMap
from bayesglm.kernel.priors cimport Prior

cdef double LOG_2PI = 1.8378770664093453


cdef class LearnedScaleMap(CoefMap):
    """Normal priors whose scale, one for all coefficients or one a group, has a prior of its own.

    coef_j ~ N(0, s_j²) with s_j = unit_j l, l the scale of j's group. Coordinates are u = (z_1, ..., z_p, log l_1,
    ..., log l_G) with coef_j = z_j / sqrt(1/s_j² + information_j): z_j has about unit variance in the posterior
    whether, at that l, prior or data are the stronger. (Where one of them always is, the coordinate is the
    "non-centred" or the "centred" one of Papaspiliopoulos, Roberts & Sköld 2007, each of which fails where the other
    succeeds.)

    Parameters
    ----------
    unit : array of shape (p,)
        Scale of the prior of each coefficient at l = 1.
    hyperprior : Prior
        Of the scales l, positive, bound to positions 0, ..., G - 1.
    group : array of int, shape (p,), optional
        Which scale a coefficient has; None: all the first.
    information : float or array of shape (p,), default=0.0
        Precision of the likelihood in each coefficient; roughly, since the prior is the same whatever it is.
    """

    def __init__(self, unit, Prior hyperprior, group=None, information=0.0):
        self.settings = (unit, hyperprior, group, information)
        self.unit = np.ascontiguousarray(unit, dtype=np.float64)
        self.n_coef = self.unit.shape[0]
        if not hyperprior.positive:
            raise ValueError(
                f"hyperprior must be a prior on the positive numbers, such as HalfStudentT; got {hyperprior}.")
        self.hyperprior = hyperprior
        self.n_groups = len(hyperprior.bound[0])
        groups = np.zeros(self.n_coef, np.intp) if group is None else np.ascontiguousarray(group, dtype=np.intp)
        if groups.shape != (self.n_coef,) or np.any((groups < 0) | (groups >= self.n_groups)):
            raise ValueError(f"group must give each of the {self.n_coef} coefficients one of {self.n_groups} scales.")
        self.group = groups
        self.information = np.broadcast_to(np.asarray(information, dtype=np.float64), (self.n_coef,)).copy()
        self.size = self.n_coef + self.n_groups
        self.slope, self.score, self.held = np.zeros(self.n_coef), np.zeros(self.n_coef), np.zeros(self.n_coef)
        self.log_scale_slope = np.zeros(self.n_groups)
        self.scale, self.scale_slope = np.zeros(self.n_groups), np.zeros(self.n_groups)

    def hyper(self, U):
        """Return ``prior_scale``, of shape (...) with one scale and (..., G) with several."""
        scale = np.exp(np.asarray(U, dtype=np.float64)[..., self.n_coef:])
        return {"prior_scale": scale[..., 0] if self.settings[2] is None else scale}

    def at(self, coef, unit=1.0):
        distance = np.asarray(coef, dtype=np.float64) / np.asarray(self.unit)
        group = np.asarray(self.group)
        u = np.zeros(self.size)
        for g in range(self.n_groups):
            mine = group == g
            spread = np.sqrt(np.mean(distance[mine] ** 2)) if mine.any() else 0.0
            scale = spread if spread > 0.0 else 1.0
            u[self.n_coef + g] = np.log(scale)
            told = np.asarray(self.information)[mine] * (np.asarray(self.unit)[mine] * scale) ** 2
            u[:self.n_coef][mine] = distance[mine] / scale * np.sqrt(1.0 + told)
        return u

    cdef double forward(self, const double* u, double* coef) noexcept nogil:
        cdef Py_ssize_t j, g, p = self.n_coef
        cdef double scale, held, value = 0.0
        for g in range(self.n_groups):
            self.scale[g] = exp(u[p + g])
            self.scale_slope[g] = 0.0
            value += u[p + g]
        value += self.hyperprior.add(&self.scale[0], &self.scale_slope[0])
        for g in range(self.n_groups):
            self.log_scale_slope[g] = 1.0 + self.scale_slope[g] * self.scale[g]
        for j in range(p):
            g = self.group[j]
            scale = self.unit[j] * self.scale[g]
            # The prior's share of the precision.
            held = 1.0 / (1.0 + scale * scale * self.information[j])
            self.held[j] = held
            self.slope[j] = scale * sqrt(held)
            coef[j] = self.slope[j] * u[j]
            self.score[j] = -u[j] * held
            value -= 0.5 * (u[j] * u[j] * held + LOG_2PI - log(held))
            self.log_scale_slope[g] += (1.0 - held) * (u[j] * u[j] * held - 1.0)
        return value

    cdef void pullback(self, const double* u, const double* grad_coef, double* grad_u) noexcept nogil:
        cdef Py_ssize_t j, g, p = self.n_coef
        for g in range(self.n_groups):
            grad_u[p + g] = self.log_scale_slope[g]
        for j in range(p):
            grad_u[j] = self.score[j] + self.slope[j] * grad_coef[j]
            grad_u[p + self.group[j]] += self.held[j] * self.slope[j] * u[j] * grad_coef[j]


cdef class R2D2Map(CoefMap):
    """The R2D2 prior of Zhang, Naughton, Bondell and Reich (2022): a prior on R², shared out by a Dirichlet.

    coef_j ~ N(0, (sigma s_j)²) with s_j = unit_j sqrt(phi_j R²/(1 - R²)), R² ~ Beta(mean precision, (1 - mean)
    precision) and phi ~ Dirichlet(concentration), a vector of gamma variables g_j over their sum. Coordinates are u =
    (z_1, ..., z_p, x_1, ..., x_p, logit R²), z as in `LearnedScaleMap` and g = log(1 + exp(k x))²/(2k²): large gamma
    variables are squares of nearly normal x, and the logarithm of small ones is straight in x (a normal score would
    end in a cliff there).

    Parameters
    ----------
    n_coef : int
    mean, precision : float, default=0.5, 2.0
    concentration : float, default=0.5
    unit : float or array of shape (p,), default=1.0
        The unit of each coefficient; with sigma and predictors of variance 1 it is 1.
    scaled : bool, default=False
        Whether there is a sigma.
    information : float or array of shape (p,), default=0.0
        Precision of the likelihood in each coefficient (a scaled map: at sigma = 1), as in `LearnedScaleMap`.
    """

    def __init__(self, n_coef, mean=0.5, precision=2.0, concentration=0.5, unit=1.0, scaled=False,
                 information=0.0):
        from scipy.special import betaln, gammaln
        self.settings = (n_coef, mean, precision, concentration, unit, scaled, information)
        self.n_coef, self.size, self.scaled = n_coef, 2 * n_coef + 1, scaled
        self.first_shape, self.second_shape = mean * precision, (1.0 - mean) * precision
        self.unit = np.broadcast_to(np.asarray(unit, dtype=np.float64), (n_coef,)).copy()
        self.information = np.broadcast_to(np.asarray(information, dtype=np.float64), (n_coef,)).copy()
        self.concentration, self.bend = concentration, 0.75 / concentration
        self.log_constant = (-n_coef * (0.5 * LOG_2PI + gammaln(concentration))
                             - betaln(self.first_shape, self.second_shape))
        self.slope, self.score, self.held, self.share = np.zeros((4, n_coef))
        self.score_x, self.pull, self.value = np.zeros((3, n_coef))

    def hyper(self, U):
        """Return ``R2``, of shape (...)."""
        return {"R2": 1.0 / (1.0 + np.exp(-np.asarray(U, dtype=np.float64)[..., 2 * self.n_coef]))}

    def at(self, coef, unit=1.0):
        """Return coordinates of the coefficients at equal shares; ``unit`` is sigma where the map is scaled."""
        distance = np.asarray(coef, dtype=np.float64) / np.asarray(self.unit) / (unit if self.scaled else 1.0)
        u = np.zeros(self.size)
        total = max(np.sum(distance ** 2), 1e-4)
        u[2 * self.n_coef] = np.log(total)
        scale = np.sqrt(total / self.n_coef)
        told = np.asarray(self.information) * (np.asarray(self.unit) * scale) ** 2
        u[:self.n_coef] = distance / scale * np.sqrt(1.0 + told)
        return u

    cdef double forward(self, const double* u, double* coef) noexcept nogil:
        cdef Py_ssize_t j, p = self.n_coef
        cdef double logit = u[2 * p], unit = exp(u[self.size]) if self.scaled else 1.0
        cdef double x, small, rise, soft, scale, held, half, total = 0.0, value = self.log_constant
        for j in range(p):
            x = self.bend * u[p + j]
            small = exp(-fabs(x))
            rise = (1.0 if x > 0.0 else small) / (1.0 + small)
            soft = log1p(small) + (x if x > 0.0 else 0.0)
            if x < -30.0:  # where log(1 + exp(x)) is exp(x)
                soft = exp(x) if x > -700.0 else exp(-700.0)
            # The logarithm of a gamma variable, its slope by u, and the gradient of its density in u.
            self.value[j] = 2.0 * log(soft / self.bend) - 0.6931471805599453
            self.pull[j] = 2.0 * self.bend * rise / soft
            self.share[j] = exp(self.value[j])
            self.score_x[j] = ((self.concentration - self.share[j]) * self.pull[j]
                               + self.bend * (1.0 - rise - rise / soft))
            value += self.concentration * self.value[j] - self.share[j] + log(self.pull[j])
            total += self.share[j]
        half = 0.5 * (logit - log(total))
        for j in range(p):
            self.share[j] /= total
            scale = self.unit[j] * exp(0.5 * self.value[j] + half)
            held = 1.0 / (1.0 + scale * scale * self.information[j])
            self.held[j] = held
            self.slope[j] = unit * scale * sqrt(held)
            coef[j] = self.slope[j] * u[j]
            self.score[j] = -u[j] * held
            value -= 0.5 * (u[j] * u[j] * held - log(held))
        # Beta density of R² in its logit.
        self.logit_slope = self.first_shape - (self.first_shape + self.second_shape) / (1.0 + exp(-logit))
        return value + self.first_shape * logit - (self.first_shape + self.second_shape) * (
            log1p(exp(-fabs(logit))) + (logit if logit > 0.0 else 0.0))

    cdef void pullback(self, const double* u, const double* grad_coef, double* grad_u) noexcept nogil:
        cdef Py_ssize_t j, p = self.n_coef
        cdef double gain, drift = 0.0, sigma_drift = 0.0
        for j in range(p):
            grad_u[j] = self.score[j] + self.slope[j] * grad_coef[j]
            # By the logarithm of the scale of coefficient j.
            gain = self.slope[j] * u[j] * grad_coef[j]
            sigma_drift += gain
            gain = self.held[j] * gain - (1.0 - self.held[j]) * (1.0 + self.score[j] * u[j])
            drift += gain
            grad_u[p + j] = gain
        for j in range(p):
            grad_u[p + j] = 0.5 * self.pull[j] * (grad_u[p + j] - self.share[j] * drift) + self.score_x[j]
        grad_u[2 * p] = self.logit_slope + 0.5 * drift
        if self.scaled:
            grad_u[self.size] = sigma_drift
