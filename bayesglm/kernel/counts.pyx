"""Likelihoods of counts with a log link: Poisson and negative binomial.

A negative binomial row is a logistic one of y successes in y + phi trials at eta - log(phi); what is left of its
density depends on phi and the count alone and is summed over the different counts once a gradient.
"""


import numpy as np

from bayesglm.kernel._special cimport log_rising, log_rising_slope, stirling, stirling_slope
from bayesglm.kernel._vector cimport exp_all, logistic_rows, poisson_rows
from bayesglm.kernel.family cimport Rows
from bayesglm.kernel.family import softplus, whole_quantile
from bayesglm.kernel.positive_priors import InverseGamma
from bayesglm.kernel.priors import is_positive
from libc.math cimport exp, expm1, fabs, log, log1p

cdef class CountFamily(Family):
    """What Poisson and negative binomial likelihoods share."""

    links = ("log",)
    discrete = True
    takes_exposure = True

    def check_response(self, y, extra=None):
        """Raise ValueError unless y holds numbers from 0 up."""
        wrong = np.flatnonzero(~(y >= 0.0))
        if wrong.size:
            raise ValueError(f"y must be counts, 0, 1, 2, ..., for the {type(self).__name__} family; row {wrong[0]} "
                             f"has {y[wrong[0]]:g}.")

    def remark(self, y):
        """Say so if some numbers are no counts: the density is used as it is, as quasi-likelihoods do."""
        wrong = np.flatnonzero(y != np.floor(y))
        if not wrong.size:
            return None
        return (f"y holds numbers that are no counts, such as {y[wrong[0]]:g}, and they are used in the "
                f"{type(self).__name__} density as they are. For rates give the counts and their exposure.")

    def start(self, y, *, weight=None, extra=None, offset=None):
        """Return the log of the mean rate, half a count added, and no auxiliary parameter."""
        w = np.ones(len(y)) if weight is None else weight
        if offset is None:
            return float(np.log(w @ y + 0.5) - np.log(w.sum())), {}
        top = np.max(offset[w > 0.0])
        exposure = w @ np.exp(np.minimum(offset - top, 0.0))  # beyond it are only rows without weight
        return float(np.log(w @ y + 0.5) - np.log(exposure) - top), {}

    def inverse_link(self, eta):
        """Return exp(eta)."""
        with np.errstate(over="ignore"):
            return np.exp(eta)

    def mean(self, eta, aux, extra=None):
        """Return exp(eta)."""
        return self.inverse_link(eta)


#: Log likelihoods of this size are computed by what each row is short of its largest, which keeps its digits.
cdef double LARGE = 1e10
#: Counts beyond this one have log probabilities that are computed from their distance to the mean.
MANY = 1e8


cdef double poisson_gaps(const Rows* rows, const double* eta, double* score) noexcept nogil:
    """Return the sum of w (y d - y expm1(d)) with d = eta - log(y); derivatives unless ``score`` is NULL."""
    cdef Py_ssize_t i
    cdef double total = 0.0, y, w, gap, more
    for i in range(rows.n):
        y = rows.y[i]
        w = rows.weight[i] if rows.weight != NULL else 1.0
        if y > 0.0:
            gap = eta[i] - log(y)
            more = expm1(gap)
            total += w * y * (gap - more)
            more *= y
        else:
            more = exp(eta[i])
            total -= w * more
        if score != NULL:
            score[i] = -w * more
    return total


cdef double negative_binomial_gap(double y, double d, double phi, double* slope, double* by_phi) noexcept nogil:
    """Return log p(y | eta) - log p(y | log(y)) for y > 0 at d = eta - log(y); write its derivatives by eta and phi.

    y d - (y + phi) log((mu + phi)/(y + phi)), with the logarithm written about the smaller of y and phi.
    """
    cdef double top = y + phi, share = y / top, rest = phi / top, bend, small
    if phi > y:
        bend = log1p(share * expm1(d)) if d < 700.0 else d + log(share)
        small = y * d - top * bend
    else:
        bend = log1p(rest * expm1(-d)) if d > -700.0 else log(rest) - d
        small = -phi * d - top * bend
        bend += d
    # mu/(mu + phi) less y/(y + phi), from the side that cannot overflow.
    if d > 0.0:
        slope[0] = phi * expm1(-d) / (1.0 + phi / y * exp(-d))
    else:
        slope[0] = -phi * expm1(d) / (exp(d) + phi / y)
    by_phi[0] = -bend - slope[0] / phi
    return small


cdef double negative_binomial_gaps(const Rows* rows, const double* eta, double phi, double* score,
                                   double* by_phi) noexcept nogil:
    """Return the sum of `negative_binomial_gap` over the rows; derivatives unless ``score`` is NULL."""
    cdef Py_ssize_t i
    cdef double total = 0.0, y, w, slope = 0.0, more = 0.0, u
    for i in range(rows.n):
        y = rows.y[i]
        w = rows.weight[i] if rows.weight != NULL else 1.0
        if y > 0.0:
            total += w * negative_binomial_gap(y, eta[i] - log(y), phi, &slope, &more)
        else:
            u = eta[i] - log(phi)
            more = -(u + log1p(exp(-u)) if u > 0.0 else log1p(exp(u)))
            total += w * phi * more
            slope = -phi / (1.0 + exp(-u))
            more -= slope / phi
        if score != NULL:
            score[i] = w * slope
            by_phi[0] += w * more
    return total


cdef class Poisson(CountFamily):
    """Counts whose variance is their mean exp(eta).

    Parameters
    ----------
    link : {"log"}, default="log"
    """

    def __init__(self, link="log"):
        self.link = link

    def _attach(self, y, weight, extra):
        from scipy.special import gammaln
        super()._attach(y, weight, extra)
        y = np.asarray(y)
        constant = gammaln(y + 1.0)
        self.large = bool(np.sum(constant if weight is None else weight * constant) > LARGE)
        if self.large:
            constant = _log_factorial_rest(y)
        self.constant = -np.sum(constant if weight is None else weight * constant)

    cdef double loglik(self, const Rows* rows, const double* eta, const double* aux, double* score,
                       double* d_aux) noexcept nogil:
        if self.large:
            return poisson_gaps(rows, eta, score)
        return poisson_rows(rows.n, rows.y, rows.weight, eta, score)

    cdef double value(self, const Rows* rows, const double* eta, const double* aux) noexcept nogil:
        if self.large:
            return poisson_gaps(rows, eta, NULL)
        return poisson_rows(rows.n, rows.y, rows.weight, eta, NULL)

    cdef void curvature(self, const Rows* rows, const double* eta, const double* aux, double* out) noexcept nogil:
        cdef Py_ssize_t i
        exp_all(eta, out, rows.n)
        if rows.weight != NULL:
            for i in range(rows.n):
                out[i] *= rows.weight[i]

    cdef double shared(self, const double* aux, double* d_aux) noexcept nogil:
        return self.constant

    def variance(self, eta, aux, extra=None):
        """Return exp(eta)."""
        return self.inverse_link(eta)

    def logpdf(self, y, eta, aux, extra=None):
        """Return the log probability of the count y (of other positive numbers its continuation)."""
        from scipy.special import gammaln
        y = np.asarray(y, dtype=np.float64)
        valid = (y >= 0.0) & np.isfinite(y)
        safe = np.where(valid, y, 0.0)
        mean = self.inverse_link(eta)
        with np.errstate(over="ignore", invalid="ignore"):
            found = np.where(mean < np.inf, safe * eta - mean - gammaln(safe + 1.0), -np.inf)
        if np.any(safe > MANY):
            gap = eta - np.log(np.maximum(safe, 1.0))
            with np.errstate(over="ignore"):
                apart = safe * (gap - np.expm1(gap)) - _log_factorial_rest(safe)
            found = np.where((safe > MANY) & (np.abs(gap) < 1.0), apart, found)
        return np.where(valid, found, -np.inf)

    def cdf(self, y, eta, aux, extra=None):
        """Return the probability of at most y."""
        from scipy.special import gammaincc
        k = np.floor(y)
        return np.where(k >= 0.0, gammaincc(np.maximum(k, 0.0) + 1.0, self.inverse_link(eta)), 0.0)

    def quantile(self, q, eta, aux, extra=None):
        """Return the smallest count y with cdf(y) >= q."""
        guess = np.broadcast_arrays(q, self.inverse_link(eta))[1]
        return whole_quantile(lambda y: self.cdf(y, eta, aux), q, guess + 5.0 * np.sqrt(guess))

    def draw(self, rng, eta, aux, extra=None):
        """Draw counts."""
        return _poisson(rng, self.inverse_link(eta))

    def deviance(self, y, mean, aux, extra=None):
        """Return 2 (y log(y/mean) - y + mean)."""
        from scipy.special import xlogy
        with np.errstate(divide="ignore"):
            found = 2.0 * (xlogy(y, y) - xlogy(y, mean) - y + mean)
            if np.any(np.asarray(y) > MANY):
                gap = np.log(mean) - np.log(np.maximum(y, 1.0))
                found = np.where(np.asarray(y) > MANY, 2.0 * y * (np.expm1(gap) - gap), found)
        return found


cdef class NegativeBinomial(CountFamily):
    """Overdispersed counts: mean mu = exp(eta), variance mu + mu²/phi.

    Parameters
    ----------
    link : {"log"}, default="log"
    phi : float, optional
        None: estimated. It is the inverse of what others call the dispersion; Poisson counts have phi = infinity.
    """

    names = ("link", "phi")

    def __init__(self, link="log", phi=None):
        self.link, self.phi = link, phi

    @property
    def aux(self):
        """The auxiliary parameters: phi, unless it is given."""
        return ("phi",) if self.phi is None else ()

    def check(self):
        """Raise ValueError if phi is neither None nor a positive number."""
        super().check()
        phi = self.phi
        if phi is not None and not is_positive(phi):
            raise ValueError(f"phi must be a positive finite number, or None to estimate it; got {phi!r}.")

    def _attach(self, y, weight, extra):
        from scipy.special import gammaln
        super()._attach(y, weight, extra)
        self.estimated = self.phi is None
        self.fixed = 1.0 if self.estimated else self.phi
        counts, which = np.unique(np.asarray(y, dtype=np.float64), return_inverse=True)
        self.counts = counts
        self.times = np.bincount(which, weights=weight, minlength=len(counts)).astype(np.float64)
        constants = gammaln(counts + 1.0)
        self.large = bool(np.asarray(self.times) @ constants > LARGE)
        if self.large:
            constants = _log_factorial_rest(counts)
        self.constant = -float(np.asarray(self.times) @ constants)

    cdef double loglik(self, const Rows* rows, const double* eta, const double* aux, double* score,
                       double* d_aux) noexcept nogil:
        cdef Py_ssize_t i
        cdef double phi = aux[0] if self.estimated else self.fixed, soft = 0.0, total, slopes = 0.0
        if self.large:
            total = negative_binomial_gaps(rows, eta, phi, score, &soft)
            if self.estimated and score != NULL:
                d_aux[0] += soft
            return total
        total = logistic_rows(rows.n, rows.y, rows.weight, NULL, 1.0, phi, log(phi), eta, score, &soft)
        if self.estimated and score != NULL:
            for i in range(rows.n):
                slopes += score[i]
            d_aux[0] -= soft + slopes / phi
        return total

    cdef double value(self, const Rows* rows, const double* eta, const double* aux) noexcept nogil:
        return self.loglik(rows, eta, aux, NULL, NULL)

    cdef void curvature(self, const Rows* rows, const double* eta, const double* aux, double* out) noexcept nogil:
        cdef Py_ssize_t i
        cdef double phi = aux[0] if self.estimated else self.fixed, small
        for i in range(rows.n):
            small = exp(-fabs(eta[i] - log(phi)))
            out[i] = (rows.y[i] + phi) * small / ((1.0 + small) * (1.0 + small))
            if rows.weight != NULL:
                out[i] *= rows.weight[i]

    cdef double shared(self, const double* aux, double* d_aux) noexcept nogil:
        cdef Py_ssize_t i
        cdef double phi = aux[0] if self.estimated else self.fixed, total = self.constant
        for i in range(self.counts.shape[0]):
            if self.large:
                # What log p(y | log(y)) has of phi: counts of 1e15 have logarithms of gamma functions without digits.
                if self.counts[i] > 0.0:
                    total += self.times[i] * (stirling(phi) - stirling(phi + self.counts[i]))
                    if self.estimated:
                        d_aux[0] += self.times[i] * (stirling_slope(phi) - stirling_slope(phi + self.counts[i]))
                continue
            total += self.times[i] * log_rising(phi, self.counts[i])
            if self.estimated:
                d_aux[0] += self.times[i] * log_rising_slope(phi, self.counts[i])
        return total

    # -- data ----------------------------------------------------------------------------------

    def start(self, y, *, weight=None, extra=None, offset=None):
        """Return the log of the mean rate and phi by moments."""
        level, _ = super().start(y, weight=weight, offset=offset)
        if self.phi is not None:
            return level, {}
        w = np.ones(len(y)) if weight is None else weight
        mean = np.exp(level + (0.0 if offset is None else offset)) * np.ones(len(y))
        excess = w @ ((y - mean) ** 2 - mean) / (w @ mean**2)
        return level, {"phi": float(np.clip(1.0 / max(excess, 1e-3), 0.05, 100.0))}

    def default_aux_priors(self, y, *, weight=None):
        """Return an inverse gamma prior of phi.

        Its density of 1/phi falls slowly from Poisson counts on and leaves room for overdispersion of any size, phi
        down to some hundredths; heavy towards large phi, so that Poisson counts are not made overdispersed.
        """
        return {"phi": InverseGamma(shape=0.4, scale=0.3)} if self.phi is None else {}

    # -- predictions ---------------------------------------------------------------------------

    def _phi(self, aux):
        return aux["phi"] if self.phi is None else self.phi

    def variance(self, eta, aux, extra=None):
        """Return mu + mu²/phi."""
        mean = self.inverse_link(eta)
        return mean + mean**2 / self._phi(aux)

    def logpdf(self, y, eta, aux, extra=None):
        """Return the log probability of the count y (of other positive numbers its continuation)."""
        from scipy.special import gammaln
        phi = np.asarray(self._phi(aux), dtype=np.float64)
        y = np.asarray(y, dtype=np.float64)
        valid = (y >= 0.0) & np.isfinite(y)
        safe = np.where(valid, y, 0.0)
        u = eta - np.log(phi)
        found = safe * u - (safe + phi) * softplus(u) + _log_rising(phi, safe) - gammaln(safe + 1.0)
        if np.any(safe > MANY):
            apart, at_best = _gaps(np.maximum(safe, 1.0), eta, phi)
            found = np.where(safe > MANY, apart + (at_best - _log_factorial_rest(safe)), found)
        return np.where(valid, found, -np.inf)

    def cdf(self, y, eta, aux, extra=None):
        """Return the probability of at most y."""
        from scipy.special import betainc, expit, gammainc
        phi = np.asarray(self._phi(aux), dtype=np.float64)
        k = np.floor(y)
        found = betainc(phi, np.maximum(k, 0.0) + 1.0, expit(np.log(phi) - eta))
        # Of so many the Poisson part of the variance is nothing, and they are gamma distributed as their means are.
        smooth = (k > 1e10) & (phi < 1e-6 * k) | np.isnan(found)
        if np.any(smooth):
            with np.errstate(over="ignore", invalid="ignore"):
                found = np.where(smooth, gammainc(phi, np.maximum(k + 0.5, 0.0) * np.exp(np.log(phi) - eta)), found)
        return np.where(k >= 0.0, found, 0.0)

    def quantile(self, q, eta, aux, extra=None):
        """Return the smallest count y with cdf(y) >= q."""
        mean, phi = self.inverse_link(eta), self._phi(aux)
        guess = np.broadcast_arrays(q, mean + 5.0 * np.sqrt(mean) * np.sqrt(1.0 + mean / phi))[1]
        return whole_quantile(lambda y: self.cdf(y, eta, aux), q, guess)

    def draw(self, rng, eta, aux, extra=None):
        """Draw counts: Poisson with gamma distributed means."""
        phi = self._phi(aux)
        mean = self.inverse_link(eta)
        shape = np.broadcast_shapes(np.shape(mean), np.shape(phi))
        return _poisson(rng, rng.gamma(phi, 1.0, size=shape) * (mean / phi))

    def deviance(self, y, mean, aux, extra=None):
        """Return 2 (y log(y/mean) - (y + phi) log((y + phi)/(mean + phi)))."""
        from scipy.special import xlogy
        phi = self._phi(aux)
        with np.errstate(divide="ignore"):
            found = 2.0 * (xlogy(y, y) - xlogy(y, mean) - (y + phi) * np.log1p((y - mean) / (mean + phi)))
            if np.any(np.asarray(y) > MANY):
                apart = _gaps(np.maximum(y, 1.0), np.log(mean), phi)[0]
                found = np.where(np.asarray(y) > MANY, -2.0 * apart, found)
        return found


def _log_factorial_rest(y):
    """Return log(y!) less y log(y) - y, which are as large as each other."""
    from scipy.special import gammaln
    safe = np.maximum(y, 1e-300)
    return np.where(y > 1e5, 0.5 * np.log(2.0 * np.pi * safe) + 1.0 / (12.0 * safe),
                    gammaln(y + 1.0) - np.where(y > 0.0, y * np.log(safe) - y, 0.0))


def _gaps(y, eta, phi):
    """Return how far log probabilities of counts y > 0 are below those at the mean y, and what these have of phi."""
    y, eta, phi = np.broadcast_arrays(y, eta, phi)
    shape = y.shape
    cdef const double[::1] a = np.ascontiguousarray(y, dtype=np.float64).reshape(-1)
    cdef const double[::1] b = np.ascontiguousarray(eta - np.log(y), dtype=np.float64).reshape(-1)
    cdef const double[::1] c = np.ascontiguousarray(phi, dtype=np.float64).reshape(-1)
    apart, at_best = np.empty(a.shape[0]), np.empty(a.shape[0])
    cdef double[::1] first = apart
    cdef double[::1] second = at_best
    cdef double slope = 0.0, by_phi = 0.0
    cdef Py_ssize_t i
    for i in range(a.shape[0]):
        first[i] = negative_binomial_gap(a[i], b[i], c[i], &slope, &by_phi)
        second[i] = stirling(c[i]) - stirling(c[i] + a[i])
    return apart.reshape(shape), at_best.reshape(shape)


def _log_rising(phi, y):
    """Return log gamma(phi + y) - log gamma(phi) of arrays."""
    phi, y = np.broadcast_arrays(np.asarray(phi, dtype=np.float64), np.asarray(y, dtype=np.float64))
    shape = phi.shape
    cdef const double[::1] a = np.ascontiguousarray(phi).reshape(-1), b = np.ascontiguousarray(y).reshape(-1)
    found = np.empty(a.shape[0])
    cdef double[::1] out = found
    cdef Py_ssize_t i
    with nogil:
        for i in range(a.shape[0]):
            out[i] = log_rising(a[i], b[i])
    return found.reshape(shape)


def _poisson(rng, mean):
    """Draw Poisson counts; beyond 1e18, where no integer holds them, their means."""
    mean = np.asarray(mean)
    large = ~(mean < 1e18)
    return np.where(large, mean, rng.poisson(np.where(large, 0.0, mean)))
