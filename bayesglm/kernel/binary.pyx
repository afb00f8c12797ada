"""Likelihoods of successes: Bernoulli and binomial, with the links logit, probit and cloglog.

All are concave in the linear predictor. Tails are computed where they are small: a probability within rounding
of one leaves the logarithm of its complement with all its digits.
"""

import numpy as np

from bayesglm.kernel._vector cimport bernoulli_rows, logistic_rows
from bayesglm.kernel.family cimport Rows
from bayesglm.kernel.family import softplus
from libc.math cimport exp, expm1, fabs, log, log1p
from scipy.special.cython_special cimport erfcx

cdef enum:
    LOGIT = 0
    PROBIT = 1
    CLOGLOG = 2

cdef double ROOT_HALF = 0.70710678118654752440
cdef double ROOT_2_OVER_PI = 0.79788456080286535588
cdef double ROOT_1_OVER_2PI = 0.39894228040143267794


cdef inline double success(int code, double eta, double* slope, double* curvature) noexcept nogil:
    """Return the log probability of a success, its derivative and minus its second one."""
    cdef double mean, ratio, tail, hazard
    if code == PROBIT:
        # Mills' ratio keeps its digits however far out eta lies.
        tail = erfcx(fabs(eta) * ROOT_HALF)
        if eta < 0.0:
            hazard = ROOT_2_OVER_PI / tail
            slope[0] = hazard
            # Far out the sum loses its digits; the asymptotic series is exact to rounding there.
            curvature[0] = (hazard * (hazard + eta) if eta > -1000.0
                            else 1.0 - (1.0 - 6.0 / (eta * eta)) / (eta * eta))
            return log(0.5 * tail) - 0.5 * eta * eta
        ratio = exp(-0.5 * eta * eta)
        hazard = ROOT_1_OVER_2PI * ratio / (1.0 - 0.5 * tail * ratio)
        slope[0] = hazard
        curvature[0] = hazard * (hazard + eta)
        return log1p(-0.5 * tail * ratio)
    mean = exp(eta)
    if mean < 1e-4:
        slope[0] = 1.0 - 0.5 * mean * (1.0 - mean / 6.0)
        curvature[0] = slope[0] * mean * (0.5 + mean / 12.0)
        return eta - 0.5 * mean * (1.0 - mean / 12.0)
    if mean > 700.0:
        slope[0] = 0.0
        curvature[0] = 0.0
        return 0.0
    ratio = mean / expm1(mean)
    slope[0] = ratio
    curvature[0] = ratio * (ratio + mean - 1.0)
    return log(-expm1(-mean)) if mean < 1.0 else log1p(-exp(-mean))


cdef inline double failure(int code, double eta, double* slope, double* curvature) noexcept nogil:
    """Return the log probability of a failure, its derivative and minus its second one."""
    cdef double value, mean
    if code == PROBIT:
        value = success(code, -eta, slope, curvature)
        slope[0] = -slope[0]
        return value
    mean = exp(eta)
    slope[0] = -mean
    curvature[0] = mean
    return -mean


cdef class BinaryFamily(Family):
    """What Bernoulli and binomial likelihoods share."""

    names = ("link",)
    links = ("logit", "probit", "cloglog")
    discrete = True

    def __init__(self, link="logit"):
        self.link = link

    def _attach(self, y, weight, extra):
        from scipy.special import gammaln
        super()._attach(y, weight, extra)
        self.code = self.links.index(self.link)
        self.constant = 0.0
        if extra is not None:
            ways = gammaln(extra + 1.0) - gammaln(y + 1.0) - gammaln(extra - y + 1.0)
            self.constant = np.sum(ways if weight is None else weight * ways)

    cdef double loglik(self, const Rows* rows, const double* eta, const double* aux, double* score,
                       double* d_aux) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total = 0.0, unused = 0.0, y, m, w, s, f, ds = 0.0, df = 0.0
        if self.code == LOGIT:
            if rows.weight == NULL and rows.extra == NULL:
                return bernoulli_rows(rows.n, rows.y, eta, score)
            return logistic_rows(rows.n, rows.y, rows.weight, rows.extra, 0.0, 1.0, 0.0, eta, score, &unused)
        for i in range(rows.n):
            y = rows.y[i]
            m = rows.extra[i] if rows.extra != NULL else 1.0
            w = rows.weight[i] if rows.weight != NULL else 1.0
            s = f = ds = df = 0.0
            if y > 0.0:
                s = y * success(self.code, eta[i], &ds, &unused)
            if m - y > 0.0:
                f = (m - y) * failure(self.code, eta[i], &df, &unused)
            total += w * (s + f)
            if score != NULL:
                score[i] = w * ((y * ds if y > 0.0 else 0.0) + ((m - y) * df if m - y > 0.0 else 0.0))
        return total

    cdef double value(self, const Rows* rows, const double* eta, const double* aux) noexcept nogil:
        return self.loglik(rows, eta, aux, NULL, NULL)

    cdef void curvature(self, const Rows* rows, const double* eta, const double* aux, double* out) noexcept nogil:
        cdef Py_ssize_t i
        cdef double y, m, w, small, unused, up = 0.0, down = 0.0
        for i in range(rows.n):
            y = rows.y[i]
            m = rows.extra[i] if rows.extra != NULL else 1.0
            w = rows.weight[i] if rows.weight != NULL else 1.0
            if self.code == LOGIT:
                small = exp(-fabs(eta[i]))
                out[i] = w * m * small / ((1.0 + small) * (1.0 + small))
            else:
                success(self.code, eta[i], &unused, &up)
                failure(self.code, eta[i], &unused, &down)
                out[i] = w * ((y * up if y > 0.0 else 0.0) + ((m - y) * down if m - y > 0.0 else 0.0))
                if not out[i] > 0.0:
                    out[i] = 0.0

    cdef double shared(self, const double* aux, double* d_aux) noexcept nogil:
        return self.constant

    # -- data ----------------------------------------------------------------------------------

    def start(self, y, *, weight=None, extra=None, offset=None):
        """Return the link of the share of successes, half a success and half a failure added, less the mean offset."""
        w = np.ones(len(y)) if weight is None else weight
        m = np.ones(len(y)) if extra is None else extra
        rate = (w @ y + 0.5) / (w @ m + 1.0)
        level = 0.0 if offset is None else float(w @ offset / w.sum())
        return float(self.link_of(rate)) - level, {}

    def link_of(self, rate):
        """Return the linear predictor that belongs to a probability."""
        from scipy.special import logit, ndtri
        if self.link == "cloglog":
            return np.log(-np.log1p(-np.asarray(rate)))
        return logit(rate) if self.link == "logit" else ndtri(rate)

    # -- predictions ---------------------------------------------------------------------------

    def inverse_link(self, eta):
        """Return the probability of a success."""
        from scipy.special import expit, ndtr
        if self.link == "cloglog":
            with np.errstate(over="ignore"):
                return -np.expm1(-np.exp(eta))
        return expit(eta) if self.link == "logit" else ndtr(eta)

    def log_probabilities(self, eta):
        """Return the logarithms of the probabilities of a failure and of a success."""
        from scipy.special import log_ndtr
        if self.link == "cloglog":
            with np.errstate(over="ignore", divide="ignore"):
                mean = np.exp(eta)
                log_p = np.where(mean < 1e-8, eta - 0.5 * mean, np.log(-np.expm1(-mean)))
            return -mean, log_p
        eta = np.asarray(eta, dtype=np.float64)
        if self.link == "logit":
            return -softplus(eta), -softplus(-eta)
        return log_ndtr(-eta), log_ndtr(eta)

    def mean(self, eta, aux, extra=None):
        """Return trials times probability."""
        return self.inverse_link(eta) * (1.0 if extra is None else extra)

    def variance(self, eta, aux, extra=None):
        """Return m p (1 - p)."""
        log_q, log_p = self.log_probabilities(eta)
        return np.exp(log_p + log_q) * (1.0 if extra is None else extra)

    def logpdf(self, y, eta, aux, extra=None):
        """Return the log probability of y successes."""
        from scipy.special import gammaln, log_ndtr
        y = np.asarray(y)
        if extra is None and self.link != "cloglog":
            # A failure at eta is a success at -eta.
            found = np.asarray(eta) * np.where(y > 0.0, 1.0, -1.0)
            found = log_ndtr(found) if self.link == "probit" else -softplus(-found)
            return np.where((y == 0.0) | (y == 1.0), found, -np.inf)
        log_q, log_p = self.log_probabilities(eta)
        m = np.asarray(1.0 if extra is None else extra)
        with np.errstate(invalid="ignore"):
            inside = (y >= 0.0) & (y <= m) & (y == np.floor(y))
            value = np.where(y > 0.0, y * log_p, 0.0) + np.where(m - y > 0.0, (m - y) * log_q, 0.0)
            if extra is not None:
                value = value + gammaln(m + 1.0) - gammaln(y + 1.0) - gammaln(m - y + 1.0)
        return np.where(inside, value, -np.inf)

    def cdf(self, y, eta, aux, extra=None):
        """Return the probability of at most y successes."""
        from scipy.special import betainc
        m = np.asarray(1.0 if extra is None else extra)
        k = np.floor(y)
        # The regularised incomplete beta function, of the smaller probability so that both tails keep their digits.
        q = np.exp(self.log_probabilities(eta)[0])
        inside = (k >= 0.0) & (k < m)
        safe = np.where(inside, k, 0.0)
        found = betainc(np.where(inside, m - safe, 1.0), safe + 1.0, q)
        return np.where(inside, found, np.where(k < 0.0, 0.0, 1.0))

    def quantile(self, q, eta, aux, extra=None):
        """Return the smallest number of successes y with cdf(y) >= q."""
        from bayesglm.kernel.family import whole_quantile
        m = np.asarray(1.0 if extra is None else extra)
        return whole_quantile(lambda y: self.cdf(y, eta, aux, extra), q, np.broadcast_arrays(q, eta, m)[2])

    def draw(self, rng, eta, aux, extra=None):
        """Draw numbers of successes."""
        p = self.inverse_link(eta)
        if extra is None:
            return (rng.random(np.shape(p)) < p).astype(np.float64)
        return rng.binomial(np.broadcast_to(extra, np.broadcast_shapes(np.shape(p), np.shape(extra))).astype(np.int64),
                            p).astype(np.float64)

    def deviance(self, y, mean, aux, extra=None):
        """Return the unit deviance of successes at their means."""
        from scipy.special import xlogy
        m = np.asarray(1.0 if extra is None else extra)
        with np.errstate(divide="ignore"):
            return 2.0 * (xlogy(y, y) - xlogy(y, mean) + xlogy(m - y, m - y) - xlogy(m - y, m - mean))


cdef class Bernoulli(BinaryFamily):
    """One trial a row: y is 0 or 1.

    Parameters
    ----------
    link : {"logit", "probit", "cloglog"}, default="logit"
    """

    def check_response(self, y, extra=None):
        """Raise ValueError unless y holds zeros and ones."""
        wrong = np.flatnonzero((y != 0.0) & (y != 1.0))
        if wrong.size:
            raise ValueError(f"y must be 0 or 1 for the Bernoulli family; row {wrong[0]} has {y[wrong[0]]:g}. "
                             "For numbers of successes use the binomial family with trials.")

    def probabilities(self, eta):
        """Return the probabilities of both classes along a new last axis."""
        return np.exp(np.stack(self.log_probabilities(eta), axis=-1))


cdef class Binomial(BinaryFamily):
    """Numbers of successes y in known numbers of trials.

    Parameters
    ----------
    link : {"logit", "probit", "cloglog"}, default="logit"
    """

    extra = "trials"

    def check_response(self, y, extra=None):
        """Raise ValueError unless y and trials are whole numbers with 0 <= y <= trials."""
        if extra is None:
            raise ValueError("trials is missing: give the binomial family the number of trials of every row.")
        wrong = np.flatnonzero((extra != np.floor(extra)) | (extra < 0.0))
        if wrong.size:
            raise ValueError(f"trials must be whole numbers, 0 or more; row {wrong[0]} has {extra[wrong[0]]:g}.")
        wrong = np.flatnonzero((y != np.floor(y)) | (y < 0.0) | (y > extra))
        if wrong.size:
            i = wrong[0]
            raise ValueError(f"y must be a number of successes, from 0 to the row's trials; row {i} has {y[i]:g} of "
                             f"{extra[i]:g}. Multiply shares of successes by their trials.")
