"""The regularised horseshoe as a map of coordinates."""

import numpy as np

from libc.math cimport exp, log, log1p, sqrt

from bayesglm.kernel.coefficient_maps cimport CoefMap

from bayesglm.kernel.priors import student_constant

cdef double LOG_2PI = 1.8378770664093453


cdef class HorseshoeMap(CoefMap):
    """The regularised horseshoe of Piironen and Vehtari (2017).

    coef_j ~ N(0, (unit_j s_j)²) with 1/s_j² = 1/(tau lambda_j)² + 1/c², half-t local scales lambda_j, a half-t global
    scale tau, and c² ~ InverseGamma(slab_df/2, slab_df/2 slab_scale²). Coordinates are u = (z_1, ..., z_p,
    log lambda_1, ..., log lambda_p, log(tau/(global_scale sigma)), log(c²/slab_scale²)), with coef_j =
    z_j / sqrt(1/(unit_j s_j)² + information_j) as in `bayesglm.kernel.shrinkage.LearnedScaleMap`. Had z_j the unit
    unit_j s_j, the data would fix the product of z_j and s_j wherever they outdo the prior: a narrow curved ridge,
    on which the chains of such models diverge.

    Parameters
    ----------
    n_coef : int
    global_scale : float
        Scale of tau's half-t prior; a scaled map multiplies it by sigma.
    slab_scale, slab_df : float, default=2.5, 4.0
    df_local, df_global : float, default=1.0
        Degrees of freedom of local and global scales; 1 is half-Cauchy.
    unit : float or array of shape (p,), default=1.0
        The unit of each coefficient in which the scales are given.
    scaled : bool, default=False
        Whether tau is in units of sigma.
    information : float or array of shape (p,), default=0.0
        Precision of the likelihood in each coefficient (a scaled map: at sigma = 1).
    """

    def __init__(self, n_coef, global_scale, slab_scale=2.5, slab_df=4.0, df_local=1.0, df_global=1.0, unit=1.0,
                 scaled=False, information=0.0):
        from scipy.special import gammaln
        self.settings = (n_coef, global_scale, slab_scale, slab_df, df_local, df_global, unit, scaled, information)
        self.n_coef, self.size, self.scaled = n_coef, 2 * n_coef + 2, scaled
        self.global_scale, self.slab_scale, self.slab_df = global_scale, slab_scale, slab_df
        self.df_local, self.df_global = df_local, df_global
        self.unit = np.broadcast_to(np.asarray(unit, dtype=np.float64), (n_coef,)).copy()
        self.information = np.broadcast_to(np.asarray(information, dtype=np.float64), (n_coef,)).copy()
        half = 0.5 * slab_df
        self.log_constant = (np.log(2.0) + student_constant(df_global) + half * np.log(half) - gammaln(half)
                             + n_coef * (np.log(2.0) + student_constant(df_local) - 0.5 * LOG_2PI
                                         + 0.5 * (df_local + 1.0) * np.log(df_local)))
        self.slope, self.score, self.score_x, self.held, self.share = np.zeros((5, n_coef))

    def hyper(self, U):
        """Return ``global_scale``, of shape (...): tau, or tau/sigma of a scaled map."""
        return {"global_scale": self.global_scale * np.exp(np.asarray(U, dtype=np.float64)[..., 2 * self.n_coef])}

    def at(self, coef, unit=1.0):
        """Return coordinates of coefficients, each with the local scale that suits it; ``unit`` is sigma if scaled."""
        p, unit = self.n_coef, unit if self.scaled else 1.0
        coef = np.asarray(coef, dtype=np.float64)
        tau = self.global_scale * unit
        u = np.zeros(self.size)
        u[p:2 * p] = np.log(np.maximum(1.0, np.abs(coef) / (np.asarray(self.unit) * tau)))
        scale = np.asarray(self.unit) / np.sqrt(1.0 / (tau * np.exp(u[p:2 * p])) ** 2 + 1.0 / self.slab_scale ** 2)
        u[:p] = coef * np.sqrt(1.0 / scale ** 2 + np.asarray(self.information) / unit ** 2)
        return u

    cdef double forward(self, const double* u, double* coef) noexcept nogil:
        cdef Py_ssize_t j, p = self.n_coef
        cdef double sigma = exp(u[self.size]) if self.scaled else 1.0, tau, slab, local, odds, scale, held, value
        tau = self.global_scale * exp(u[2 * p]) * sigma
        slab = exp(-u[2 * p + 1]) / (self.slab_scale * self.slab_scale)
        value = self.log_constant
        for j in range(p):
            local = exp(-2.0 * u[p + j])
            odds = self.df_local * local
            value -= u[p + j] * self.df_local + 0.5 * (self.df_local + 1.0) * log1p(odds)
            odds = odds / (1.0 + odds)
            local /= tau * tau
            # The local scale's share of the prior's precision, and the prior's of the posterior's.
            self.share[j] = local / (local + slab)
            scale = self.unit[j] * self.unit[j] / (local + slab)
            held = 1.0 / (1.0 + scale * self.information[j] / (sigma * sigma))
            self.held[j] = held
            self.slope[j] = sqrt(scale * held)
            coef[j] = self.slope[j] * u[j]
            self.score[j] = -u[j] * held
            self.score_x[j] = (self.df_local + 1.0) * odds - self.df_local
            value -= 0.5 * (u[j] * u[j] * held - log(held))
        odds = exp(2.0 * u[2 * p]) / self.df_global
        value += u[2 * p] - 0.5 * (self.df_global + 1.0) * log1p(odds)
        self.global_slope = 1.0 - (self.df_global + 1.0) * odds / (1.0 + odds)
        return value - 0.5 * self.slab_df * (u[2 * p + 1] + exp(-u[2 * p + 1]))

    cdef void pullback(self, const double* u, const double* grad_coef, double* grad_u) noexcept nogil:
        cdef Py_ssize_t j, p = self.n_coef
        cdef double pull, gain, global_drift = 0.0, slab_drift = 0.0, sigma_drift = 0.0
        for j in range(p):
            grad_u[j] = self.score[j] + self.slope[j] * grad_coef[j]
            # By the logarithms of s_j and of sigma, the latter where it is part of the likelihood's precision.
            pull = self.slope[j] * u[j] * grad_coef[j]
            gain = (1.0 - self.held[j]) * (1.0 + self.score[j] * u[j])
            sigma_drift += (1.0 - self.held[j]) * pull + gain
            gain = self.held[j] * pull - gain
            grad_u[p + j] = self.score_x[j] + self.share[j] * gain
            global_drift += self.share[j] * gain
            slab_drift += (1.0 - self.share[j]) * gain
        grad_u[2 * p] = self.global_slope + global_drift
        grad_u[2 * p + 1] = 0.5 * slab_drift - 0.5 * self.slab_df * (1.0 - exp(-u[2 * p + 1]))
        if self.scaled:
            grad_u[self.size] = global_drift + sigma_drift
