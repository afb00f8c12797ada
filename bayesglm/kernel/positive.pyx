"""Likelihoods of positive numbers (gamma, inverse Gaussian; log link) and of shares (beta; logit link)."""

import numpy as np

from bayesglm.kernel._special cimport squared_trigamma, stirling, stirling_slope
from bayesglm.kernel._steep cimport STEEP, steep_beta, steep_gamma
from bayesglm.kernel._vector cimport gamma_rows
from bayesglm.kernel.family cimport Rows
from libc.math cimport exp, log, log1p
from scipy.special.cython_special cimport gammaln, psi

from bayesglm.kernel.positive_priors import InverseGamma

cdef double LOG_2PI = 1.8378770664093453
#: Beta distributions both of whose shapes are larger are all but normal, and doubles cannot tell them by other means.
NARROW = 1e11
#: Where all rows are fitted exactly the likelihood may grow without bound as the noise goes to 0: neither numbers nor
#: their linear predictors are told apart when they are as near as this, relative to their size.
RESOLUTION = 1e-12


cdef class PositiveFamily(Family):
    """What these likelihoods share."""

    links = ("log",)

    def _attach(self, y, weight, extra):
        super()._attach(y, weight, extra)
        self.total_weight = len(y) if weight is None else np.sum(weight)
        logs = np.log(y)
        self.logs = np.sum(logs if weight is None else weight * logs)
        self.floor = self.total_weight * RESOLUTION * RESOLUTION

    def check_response(self, y, extra=None):
        """Raise ValueError unless y holds positive numbers."""
        wrong = np.flatnonzero(~(y > 0.0))
        if wrong.size:
            raise ValueError(f"y must be positive for the {type(self).__name__} family; row {wrong[0]} has "
                             f"{y[wrong[0]]:g}. Model zeros apart from the rest, for example by a logistic regression.")

    def inverse_link(self, eta):
        """Return exp(eta)."""
        with np.errstate(over="ignore"):
            return np.exp(eta)

    def mean(self, eta, aux, extra=None):
        """Return the mean of y."""
        return self.inverse_link(eta)

    def _moments(self, y, weight, offset):
        """Return the mean of y over exp(offset), and the squared coefficient of variation around the fit."""
        scaled = y if offset is None else y * np.exp(-offset)
        mean = np.average(scaled, weights=weight)
        return mean, np.average((scaled / mean - 1.0) ** 2, weights=weight)


cdef class Gamma(PositiveFamily):
    """Gamma distributed numbers with mean exp(eta) and a shape: standard deviation mean/sqrt(shape).

    Parameters
    ----------
    link : {"log"}, default="log"
    """

    any_unit = True

    def __init__(self, link="log"):
        self.link = link

    @property
    def aux(self):
        """The auxiliary parameters: the shape."""
        return ("shape",)

    cdef double loglik(self, const Rows* rows, const double* eta, const double* aux, double* score,
                       double* d_aux) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total
        if aux[0] > STEEP:
            return steep_gamma(rows, eta, aux[0], score, d_aux)
        total = gamma_rows(rows.n, rows.y, rows.weight, eta, score)
        if score != NULL:
            for i in range(rows.n):
                score[i] *= aux[0]
            d_aux[0] -= total
        return -aux[0] * total

    cdef double value(self, const Rows* rows, const double* eta, const double* aux) noexcept nogil:
        if aux[0] > STEEP:
            return steep_gamma(rows, eta, aux[0], NULL, NULL)
        return -aux[0] * gamma_rows(rows.n, rows.y, rows.weight, eta, NULL)

    cdef void curvature(self, const Rows* rows, const double* eta, const double* aux, double* out) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(rows.n):
            out[i] = aux[0] * rows.y[i] * exp(-eta[i]) * (rows.weight[i] if rows.weight != NULL else 1.0)

    cdef double shared(self, const double* aux, double* d_aux) noexcept nogil:
        cdef double shape = aux[0]
        if shape > STEEP:
            d_aux[0] += self.total_weight * stirling_slope(shape) - 0.5 * self.floor
            return self.total_weight * stirling(shape) - self.logs - 0.5 * self.floor * shape
        d_aux[0] += self.total_weight * (stirling_slope(shape) + 1.0) + self.logs
        return self.total_weight * (stirling(shape) + shape) + (shape - 1.0) * self.logs

    def start(self, y, *, weight=None, extra=None, offset=None):
        """Return the log of the mean, and the shape by moments."""
        mean, variation = self._moments(y, weight, offset)
        return float(np.log(mean)), {"shape": float(1.0 / max(variation, 1e-8))}

    def default_aux_priors(self, y, *, weight=None):
        """Return an inverse gamma prior of the shape: wide over orders of magnitude, from 0.1 up."""
        return {"shape": InverseGamma(shape=0.4, scale=0.3)}

    def variance(self, eta, aux, extra=None):
        """Return mean²/shape."""
        return self.inverse_link(eta) ** 2 / aux["shape"]

    def logpdf(self, y, eta, aux, extra=None):
        """Return the log density."""
        from scipy.special import gammaln
        shape, y = np.asarray(aux["shape"], dtype=np.float64), np.asarray(y, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            log_y = np.log(y)
            u = log_y - eta
            found = shape * (np.log(shape) + u - np.exp(u)) - gammaln(shape) - log_y
        return np.where(y > 0.0, found, -np.inf)

    def cdf(self, y, eta, aux, extra=None):
        """Return the probability of a value up to y."""
        from scipy.special import gammainc
        y, mean = np.maximum(y, 0.0), self.inverse_link(eta)
        if np.all((mean > 0.0) & (mean < np.inf)):
            return gammainc(aux["shape"], y * aux["shape"] / mean)
        with np.errstate(divide="ignore", over="ignore"):
            return gammainc(aux["shape"], np.exp(np.log(y) + np.log(aux["shape"]) - eta))

    def quantile(self, q, eta, aux, extra=None):
        """Return the value with cdf q."""
        from scipy.special import gammaincinv
        unit, mean = gammaincinv(aux["shape"], q), self.inverse_link(eta)
        if np.all((mean > 0.0) & (mean < np.inf)):
            return unit * mean / aux["shape"]
        with np.errstate(divide="ignore", over="ignore"):
            return np.exp(np.log(unit) - np.log(aux["shape"]) + eta)

    def draw(self, rng, eta, aux, extra=None):
        """Draw numbers."""
        mean, shape = self.inverse_link(eta), aux["shape"]
        size = np.broadcast_shapes(np.shape(mean), np.shape(shape))
        return rng.gamma(np.broadcast_to(shape, size)) * (mean / shape)

    def deviance(self, y, mean, aux, extra=None):
        """Return 2 (y/mean - 1 - log(y/mean))."""
        return 2.0 * (y / mean - 1.0 - np.log(y / mean))


cdef class InverseGaussian(PositiveFamily):
    """Inverse Gaussian numbers with mean mu = exp(eta) and variance mu³/shape.

    Not concave in eta for y below mu/2; `curvature` is Fisher's information, shape/mu.

    Parameters
    ----------
    link : {"log"}, default="log"
    """

    log_concave = False
    any_unit = True
    in_units_of_y = ("shape",)

    def __init__(self, link="log"):
        self.link = link

    @property
    def aux(self):
        """The auxiliary parameters: the shape, in the units of y."""
        return ("shape",)

    def _attach(self, y, weight, extra):
        super()._attach(y, weight, extra)
        self.constant = -1.5 * self.logs - 0.5 * self.total_weight * np.log(2.0 * np.pi)
        # A row's relative variance is its mean over the shape.
        self.floor = RESOLUTION * RESOLUTION * np.sum((1.0 if weight is None else weight) / y)

    cdef double loglik(self, const Rows* rows, const double* eta, const double* aux, double* score,
                       double* d_aux) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total = 0.0, inverse, gap, w
        for i in range(rows.n):
            w = rows.weight[i] if rows.weight != NULL else 1.0
            inverse = exp(-eta[i])
            gap = rows.y[i] * inverse - 1.0
            total += w * gap * gap / rows.y[i]
            if score != NULL:
                score[i] = w * aux[0] * gap * inverse
        if score != NULL:
            d_aux[0] -= 0.5 * total
        return -0.5 * aux[0] * total

    cdef double value(self, const Rows* rows, const double* eta, const double* aux) noexcept nogil:
        return self.loglik(rows, eta, aux, NULL, NULL)

    cdef void curvature(self, const Rows* rows, const double* eta, const double* aux, double* out) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(rows.n):
            out[i] = aux[0] * exp(-eta[i]) * (rows.weight[i] if rows.weight != NULL else 1.0)

    cdef double shared(self, const double* aux, double* d_aux) noexcept nogil:
        d_aux[0] += 0.5 * self.total_weight / aux[0] - 0.5 * self.floor
        return self.constant + 0.5 * self.total_weight * log(aux[0]) - 0.5 * self.floor * aux[0]

    def start(self, y, *, weight=None, extra=None, offset=None):
        """Return the log of the mean, and the shape by moments."""
        mean, variation = self._moments(y, weight, offset)
        return float(np.log(mean)), {"shape": float(mean / max(variation, 1e-8))}

    def default_aux_priors(self, y, *, weight=None):
        """Return an inverse gamma prior of the shape in units of the mean of y."""
        return {"shape": InverseGamma(shape=0.4, scale=0.3 * float(np.average(y, weights=weight)))}

    def variance(self, eta, aux, extra=None):
        """Return mean³/shape."""
        mean = self.inverse_link(eta)
        return mean * mean * (mean / aux["shape"])

    def logpdf(self, y, eta, aux, extra=None):
        """Return the log density."""
        shape, y = np.asarray(aux["shape"], dtype=np.float64), np.asarray(y, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            gap = y * np.exp(-np.asarray(eta)) - 1.0
            found = 0.5 * np.log(shape / (2.0 * np.pi)) - 1.5 * np.log(y) - 0.5 * shape * gap * gap / y
        return np.where(y > 0.0, found, -np.inf)

    def cdf(self, y, eta, aux, extra=None):
        """Return the probability of a value up to y."""
        from scipy.special import erfcx, ndtr
        shape, y = np.asarray(aux["shape"], dtype=np.float64), np.asarray(y, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            inverse = np.exp(-np.asarray(eta))
            root = np.sqrt(shape) / np.sqrt(y)
            low, high = root * (y * inverse - 1.0), root * (y * inverse + 1.0)
            # exp(2 shape/mean) ndtr(-high) with low² = high² - 4 shape/mean: no large numbers cancel.
            found = ndtr(low) + 0.5 * np.exp(-0.5 * low * low) * erfcx(high * np.sqrt(0.5))
        return np.where(y > 0.0, np.where(y < np.inf, np.minimum(found, 1.0), 1.0), 0.0)

    def quantile(self, q, eta, aux, extra=None):
        """Return the value with cdf q, by bisection of its logarithm."""
        # Beyond these ends neither the mean nor its inverse is a double, and nothing changes any more.
        eta, shape, q = np.broadcast_arrays(np.clip(eta, -690.0, 690.0), aux["shape"], np.asarray(q, dtype=np.float64))
        aux = {"shape": shape}
        low, high = eta - 1.0, eta + 1.0
        for _ in range(60):
            outside = (self.cdf(np.exp(low), eta, aux) > q) & (q > 0.0)
            beyond = (self.cdf(np.exp(high), eta, aux) < q) & (q < 1.0)
            if not (outside.any() or beyond.any()):
                break
            low, high = np.where(outside, 2.0 * low - high, low), np.where(beyond, 2.0 * high - low, high)
        for _ in range(64):
            middle = 0.5 * (low + high)
            enough = self.cdf(np.exp(middle), eta, aux) >= q
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        found = np.exp(0.5 * (low + high))
        return np.where(q <= 0.0, 0.0, np.where(q >= 1.0, np.inf, found))

    def draw(self, rng, eta, aux, extra=None):
        """Draw numbers, by the roots of Michael, Schucany & Haas (1976).

        The smaller root is written without a difference, which loses all digits where the mean is far above the shape.
        """
        eta, shape = np.broadcast_arrays(np.asarray(eta, dtype=np.float64), aux["shape"])
        half = 0.5 * rng.standard_normal(eta.shape) ** 2 / shape
        inverse = np.exp(np.minimum(-eta, 690.0))
        with np.errstate(divide="ignore", over="ignore"):
            root = 1.0 / (inverse + half + np.sqrt(half * (half + 2.0 * inverse)))
            share = root * inverse
            return np.where(rng.random(eta.shape) * (1.0 + share) <= 1.0, root, np.exp(eta) / share)

    def deviance(self, y, mean, aux, extra=None):
        """Return (y - mean)²/(mean² y)."""
        return (y / mean - 1.0) ** 2 / y


cdef class Beta(PositiveFamily):
    """Shares strictly between 0 and 1 with mean mu and a precision: Beta(mu precision, (1 - mu) precision).

    Not concave in eta; `curvature` is Fisher's information (Ferrari & Cribari-Neto 2004).

    Parameters
    ----------
    link : {"logit"}, default="logit"
    """

    links = ("logit",)
    log_concave = False

    def __init__(self, link="logit"):
        self.link = link

    @property
    def aux(self):
        """The auxiliary parameters: the precision."""
        return ("precision",)

    def check_response(self, y, extra=None):
        """Raise ValueError unless y lies strictly between 0 and 1."""
        wrong = np.flatnonzero(~((y > 0.0) & (y < 1.0)))
        if wrong.size:
            raise ValueError(f"y must lie strictly between 0 and 1 for the Beta family; row {wrong[0]} has "
                             f"{y[wrong[0]]:g}. Squeeze shares by (y (n - 1) + 0.5)/n, or give numbers of successes to "
                             "the binomial family.")

    cdef double loglik(self, const Rows* rows, const double* eta, const double* aux, double* score,
                       double* d_aux) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total = 0.0, small, mean, rest, a, b, up, down, w, psi_a, psi_b, phi = aux[0]
        if phi > STEEP:
            return steep_beta(rows, eta, phi, score, d_aux)
        for i in range(rows.n):
            w = rows.weight[i] if rows.weight != NULL else 1.0
            # Both shares from exp(-|eta|), so that the smaller one keeps its digits.
            small = exp(-eta[i]) if eta[i] > 0.0 else exp(eta[i])
            mean = (1.0 if eta[i] > 0.0 else small) / (1.0 + small)
            rest = (small if eta[i] > 0.0 else 1.0) / (1.0 + small)
            a, b = mean * phi, rest * phi
            up, down = log(rows.y[i]), log1p(-rows.y[i])
            total += w * ((a - 1.0) * up + (b - 1.0) * down - gammaln(a) - gammaln(b))
            if score != NULL:
                psi_a, psi_b = psi(a), psi(b)
                score[i] = w * phi * mean * rest * ((up - psi_a) - (down - psi_b))
                d_aux[0] += w * (mean * (up - psi_a) + rest * (down - psi_b))
        return total

    cdef double value(self, const Rows* rows, const double* eta, const double* aux) noexcept nogil:
        return self.loglik(rows, eta, aux, NULL, NULL)

    cdef void curvature(self, const Rows* rows, const double* eta, const double* aux, double* out) noexcept nogil:
        cdef Py_ssize_t i
        cdef double small, mean, rest
        for i in range(rows.n):
            small = exp(-eta[i]) if eta[i] > 0.0 else exp(eta[i])
            mean = (1.0 if eta[i] > 0.0 else small) / (1.0 + small)
            rest = (small if eta[i] > 0.0 else 1.0) / (1.0 + small)
            # (phi mean rest)² (trigamma(a) + trigamma(b)), where neither factor overflows.
            out[i] = (rest * rest * squared_trigamma(mean * aux[0]) + mean * mean * squared_trigamma(rest * aux[0]))
            if rows.weight != NULL:
                out[i] *= rows.weight[i]

    cdef double shared(self, const double* aux, double* d_aux) noexcept nogil:
        if aux[0] > STEEP:
            d_aux[0] -= self.total_weight * stirling_slope(aux[0]) + 0.5 * self.floor
            return -self.total_weight * stirling(aux[0]) - 0.5 * self.floor * aux[0]
        d_aux[0] += self.total_weight * psi(aux[0])
        return self.total_weight * gammaln(aux[0])

    def start(self, y, *, weight=None, extra=None, offset=None):
        """Return the logit of the mean less the mean offset, and the precision by moments."""
        # Rounded to 1 or 0, a mean would have no logit.
        mean = np.clip(np.average(y, weights=weight), np.finfo(np.float64).tiny, 1.0 - 0.5 * np.finfo(np.float64).eps)
        variance = max(np.average((y - mean) ** 2, weights=weight), 1e-12)
        level = 0.0 if offset is None else np.average(offset, weights=weight)
        precision = mean * (1.0 - mean) / variance - 1.0
        return float(np.log(mean / (1.0 - mean)) - level), {"precision": float(np.clip(precision, 0.1, 1e8))}

    def default_aux_priors(self, y, *, weight=None):
        """Return an inverse gamma prior of the precision: wide over orders of magnitude, from 0.1 up."""
        return {"precision": InverseGamma(shape=0.4, scale=0.3)}

    # -- predictions ---------------------------------------------------------------------------

    def inverse_link(self, eta):
        """Return the mean."""
        from scipy.special import expit
        return expit(eta)

    def _shapes(self, eta, aux):
        from scipy.special import expit
        phi = np.asarray(aux["precision"], dtype=np.float64)
        # Far out a shape underflows, and no beta distribution has the shape 0.
        least = np.finfo(np.float64).tiny
        return np.maximum(expit(eta) * phi, least), np.maximum(expit(-np.asarray(eta)) * phi, least)

    def variance(self, eta, aux, extra=None):
        """Return mean (1 - mean)/(1 + precision)."""
        a, b = self._shapes(eta, aux)
        phi = np.asarray(aux["precision"], dtype=np.float64)
        return a * b / (phi * phi * (1.0 + phi))

    def logpdf(self, y, eta, aux, extra=None):
        """Return the log density."""
        from scipy.special import betaln
        a, b = self._shapes(eta, aux)
        y = np.asarray(y, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            found = (a - 1.0) * np.log(y) + (b - 1.0) * np.log1p(-y) - betaln(a, b)
            narrow = np.minimum(a, b) > 1e5
            if np.any(narrow):
                # Terms of the size of the precision would cancel: the distance from the mean, and Stirling's series.
                mean, rest, gap = a / (a + b), b / (a + b), y - a / (a + b)
                far = a * np.log1p(gap / mean) + b * np.log1p(-gap / rest)
                normal = 0.5 * (np.log(a) - np.log1p(a / b) - LOG_2PI) - np.log(y) - np.log1p(-y)
                normal += (1.0 / (a + b) - 1.0 / a - 1.0 / b) / 12.0
                found = np.where(narrow, normal + far, found)
        return np.where((y > 0.0) & (y < 1.0), found, -np.inf)

    def cdf(self, y, eta, aux, extra=None):
        """Return the probability of a value up to y."""
        from scipy.special import betainc, ndtr
        a, b = self._shapes(eta, aux)
        y = np.clip(y, 0.0, 1.0)
        narrow = np.minimum(a, b) > NARROW
        if not np.any(narrow):
            return betainc(a, b, y)
        # The Edgeworth series to its second term, of which the next is below 1e-11 (Boost's returns NaN near 1e17).
        mean, sd, skew = self._moments(a, b)
        with np.errstate(over="ignore"):
            z = np.clip((y - mean) / sd, -40.0, 40.0)
        series = ndtr(z) - np.exp(-0.5 * z * z) * skew * (z * z - 1.0) / (6.0 * np.sqrt(2.0 * np.pi))
        a, b = np.where(narrow, 1.0, a), np.where(narrow, 1.0, b)
        return np.where(narrow, np.clip(series, 0.0, 1.0), betainc(a, b, y))

    def quantile(self, q, eta, aux, extra=None):
        """Return the value with cdf q."""
        from scipy.special import betaincinv, ndtri
        a, b = self._shapes(eta, aux)
        narrow = np.minimum(a, b) > NARROW
        if not np.any(narrow):
            return betaincinv(a, b, q)
        mean, sd, skew = self._moments(a, b)
        z = ndtri(q)
        with np.errstate(invalid="ignore"):
            series = np.clip(mean + sd * (z + np.where(np.isfinite(z), skew * (z * z - 1.0) / 6.0, 0.0)), 0.0, 1.0)
        return np.where(narrow, series, betaincinv(np.where(narrow, 1.0, a), np.where(narrow, 1.0, b), q))

    def _moments(self, a, b):
        """Return mean, standard deviation and skewness of beta distributions of large shapes."""
        share, rest = a / (a + b), b / (a + b)
        return share, np.sqrt(share * rest / (a + b)), 2.0 * (rest - share) / np.sqrt((a + b) * share * rest)

    def draw(self, rng, eta, aux, extra=None):
        """Draw shares."""
        return rng.beta(*np.broadcast_arrays(*self._shapes(eta, aux)))

    def deviance(self, y, mean, aux, extra=None):
        """Return twice the gap in log density to a mean of y itself."""
        from scipy.special import logit
        best = self.logpdf(y, logit(y), aux)
        return 2.0 * (best - self.logpdf(y, logit(mean), aux))
