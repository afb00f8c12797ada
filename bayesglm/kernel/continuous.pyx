"""Likelihoods of numbers on the real line with an identity link: Gaussian, Student's t, Laplace."""

from numbers import Real

import numpy as np

from bayesglm.kernel._special cimport log_rising, log_rising_slope
from bayesglm.kernel.family cimport Rows
from libc.math cimport fabs, log, log1p

from bayesglm.kernel.positive_priors import Gamma, HalfStudentT
from bayesglm.kernel.priors import is_positive

cdef double HALF_LOG_2PI = 0.91893853320467274178


cdef class RealFamily(Family):
    """What likelihoods on the real line share: the linear predictor is the location."""

    links = ("identity",)

    def _attach(self, y, weight, extra):
        super()._attach(y, weight, extra)
        self.total_weight = len(y) if weight is None else np.sum(weight)
        self.with_errors = extra is not None
        # Where all rows are fitted exactly the likelihood would grow without bound as the noise goes to 0: numbers of
        # this size are not known better than to some units of their last digit, nor are linear predictors.
        resolution = 64.0 * np.finfo(np.float64).eps * (np.max(np.abs(y)) or 1.0)
        self.floor = self.total_weight * resolution * resolution

    def check_response(self, y, extra=None):
        """Every finite number will do."""

    def inverse_link(self, eta):
        """Return eta."""
        return np.asarray(eta, dtype=np.float64)

    def mean(self, eta, aux, extra=None):
        """Return eta."""
        return self.inverse_link(eta)


def _positive(value, name, zero=False):
    """Raise ValueError unless ``value`` is a positive finite number (or zero, if that is allowed)."""
    if not is_positive(value) and not (zero and isinstance(value, Real) and value is not False and value == 0):
        raise ValueError(f"{name} must be a positive finite number, or None to estimate it; got {value!r}.")


cdef class Gaussian(RealFamily):
    """Normal noise with standard deviation sigma, to which known standard errors of the rows may be added.

    With standard errors s_i a row's variance is s_i² + sigma²: a meta-analysis, sigma being the spread among studies.

    Parameters
    ----------
    link : {"identity"}, default="identity"
    sigma : float, optional
        None: estimated. It may be 0 where there are standard errors.
    """

    names = ("link", "sigma")
    extra = "standard_error"
    in_units_of_y = ("sigma",)

    def __init__(self, link="identity", sigma=None):
        self.link, self.sigma = link, sigma

    @property
    def aux(self):
        """The auxiliary parameters: sigma, unless it is given."""
        return ("sigma",) if self.sigma is None else ()

    def check(self):
        """Raise ValueError if sigma is neither None nor a number that is not negative."""
        super().check()
        if self.sigma is not None:
            _positive(self.sigma, "sigma", zero=True)

    def check_response(self, y, extra=None):
        """Raise ValueError if the variance of a row would be zero."""
        if self.sigma == 0 and (extra is None or not np.all(extra > 0.0)):
            row = "" if extra is None else f" in row {int(np.argmin(extra > 0.0))}"
            raise ValueError(f"sigma=0 needs a positive standard_error for every row; there is none{row}.")

    def in_unit(self, unit):
        """Return the family of y/unit."""
        return self if self.sigma is None else Gaussian(self.link, self.sigma / unit)

    def _attach(self, y, weight, extra):
        super()._attach(y, weight, extra)
        self.sigma_estimated = self.sigma is None
        self.fixed_sigma = 1.0 if self.sigma is None else self.sigma

    cdef double loglik(self, const Rows* rows, const double* eta, const double* aux, double* score,
                       double* d_aux) noexcept nogil:
        cdef Py_ssize_t i
        cdef double sigma = aux[0] if self.sigma_estimated else self.fixed_sigma
        cdef double precision = 1.0 / (sigma * sigma), total = 0.0, slope = 0.0, r, w, variance
        if rows.extra == NULL:
            for i in range(rows.n):
                w = rows.weight[i] if rows.weight != NULL else 1.0
                r = rows.y[i] - eta[i]
                total += w * r * r
                if score != NULL:
                    score[i] = w * r * precision
            total *= precision
            if self.sigma_estimated and score != NULL:
                d_aux[0] += total / sigma
            return -0.5 * total
        for i in range(rows.n):
            w = rows.weight[i] if rows.weight != NULL else 1.0
            r = rows.y[i] - eta[i]
            variance = sigma * sigma + rows.extra[i] * rows.extra[i]
            total -= 0.5 * w * (r * r / variance + log(variance))
            if score != NULL:
                score[i] = w * r / variance
                slope += w * (r * r / variance - 1.0) / variance
        if self.sigma_estimated and score != NULL:
            d_aux[0] += slope * sigma
        return total

    cdef double value(self, const Rows* rows, const double* eta, const double* aux) noexcept nogil:
        return self.loglik(rows, eta, aux, NULL, NULL)

    cdef void curvature(self, const Rows* rows, const double* eta, const double* aux, double* out) noexcept nogil:
        cdef Py_ssize_t i
        cdef double sigma = aux[0] if self.sigma_estimated else self.fixed_sigma, variance
        for i in range(rows.n):
            variance = sigma * sigma
            if rows.extra != NULL:
                variance += rows.extra[i] * rows.extra[i]
            out[i] = (rows.weight[i] if rows.weight != NULL else 1.0) / variance

    cdef double shared(self, const double* aux, double* d_aux) noexcept nogil:
        cdef double sigma = aux[0] if self.sigma_estimated else self.fixed_sigma
        if self.with_errors:
            return -self.total_weight * HALF_LOG_2PI
        if self.sigma_estimated:
            d_aux[0] += self.floor / (sigma * sigma * sigma) - self.total_weight / sigma
        return -self.total_weight * (HALF_LOG_2PI + log(sigma)) - 0.5 * self.floor / (sigma * sigma)

    # -- data ----------------------------------------------------------------------------------

    def start(self, y, *, weight=None, extra=None, offset=None):
        """Return the mean, and the standard deviation for sigma."""
        free = y if offset is None else y - offset
        mean = np.average(free, weights=weight)
        sd = np.sqrt(np.average((free - mean) ** 2, weights=weight))
        return float(mean), {"sigma": float(sd) if sd > 0.0 else 1.0} if self.sigma is None else {}

    def default_aux_priors(self, y, *, weight=None):
        """Return a half-Student-t prior of sigma with the scale of y."""
        return {"sigma": HalfStudentT(df=4.0, autoscale=True)} if self.sigma is None else {}

    # -- predictions ---------------------------------------------------------------------------

    def _sd(self, aux, extra):
        sigma = np.asarray(aux["sigma"] if self.sigma is None else self.sigma, dtype=np.float64)
        return sigma if extra is None else np.hypot(sigma, extra)

    def variance(self, eta, aux, extra=None):
        """Return sigma² + standard_error²."""
        return np.broadcast_arrays(self._sd(aux, extra) ** 2, eta)[0]

    def logpdf(self, y, eta, aux, extra=None):
        """Return the log density."""
        sd = self._sd(aux, extra)
        with np.errstate(over="ignore"):
            return -0.5 * ((y - eta) / sd) ** 2 - np.log(sd) - HALF_LOG_2PI

    def cdf(self, y, eta, aux, extra=None):
        """Return the probability of a value up to y."""
        from scipy.special import ndtr
        return ndtr((y - eta) / self._sd(aux, extra))

    def quantile(self, q, eta, aux, extra=None):
        """Return the value with cdf q."""
        from scipy.special import ndtri
        return eta + self._sd(aux, extra) * ndtri(q)

    def draw(self, rng, eta, aux, extra=None):
        """Draw numbers."""
        sd = self._sd(aux, extra)
        shape = np.broadcast_shapes(np.shape(eta), np.shape(sd))
        return eta + sd * rng.standard_normal(shape)

    def deviance(self, y, mean, aux, extra=None):
        """Return the squared error (that of weighted rows over their variance, where errors are known)."""
        return (y - mean) ** 2 if extra is None else ((y - mean) / self._sd(aux, extra)) ** 2


cdef class StudentT(RealFamily):
    """Student-t noise with scale sigma and df degrees of freedom: outliers count for little.

    Not concave in the location: a row far out pulls less than one nearby. `curvature` is Fisher's information. The
    "mean" is the location, also where df is so small that there is no mean.

    Parameters
    ----------
    link : {"identity"}, default="identity"
    df : float, optional
        None: estimated, with a Gamma(2, scale 10) prior (Juárez & Steel 2010).
    """

    names = ("link", "df")
    log_concave = False
    in_units_of_y = ("sigma",)

    def __init__(self, link="identity", df=None):
        self.link, self.df = link, df

    @property
    def aux(self):
        """The auxiliary parameters: sigma, and df unless it is given."""
        return ("sigma", "df") if self.df is None else ("sigma",)

    def check(self):
        """Raise ValueError if df is neither None nor a positive number."""
        super().check()
        if self.df is not None:
            _positive(self.df, "df")

    def _attach(self, y, weight, extra):
        super()._attach(y, weight, extra)
        self.df_estimated = self.df is None
        self.fixed_df = 1.0 if self.df is None else self.df

    cdef double loglik(self, const Rows* rows, const double* eta, const double* aux, double* score,
                       double* d_aux) noexcept nogil:
        cdef Py_ssize_t i
        cdef double sigma = aux[0], df = aux[1] if self.df_estimated else self.fixed_df
        cdef double logs = 0.0, shares = 0.0, r, square, w, share
        cdef double width = df * sigma * sigma
        for i in range(rows.n):
            w = rows.weight[i] if rows.weight != NULL else 1.0
            r = rows.y[i] - eta[i]
            square = r * r
            logs += w * log1p(square / width)
            if score != NULL:
                # The share of z² in df + z²; 1 where the square overflows.
                share = 1.0 / (1.0 + width / square) if square > 0.0 else 0.0
                score[i] = w * (df + 1.0) * (share / r if square > 0.0 else 0.0)
                shares += w * share
        if score != NULL:
            d_aux[0] += (df + 1.0) * shares / sigma
            if self.df_estimated:
                d_aux[1] += 0.5 * ((df + 1.0) / df * shares - logs)
        return -0.5 * (df + 1.0) * logs

    cdef double value(self, const Rows* rows, const double* eta, const double* aux) noexcept nogil:
        return self.loglik(rows, eta, aux, NULL, NULL)

    cdef void curvature(self, const Rows* rows, const double* eta, const double* aux, double* out) noexcept nogil:
        cdef Py_ssize_t i
        cdef double df = aux[1] if self.df_estimated else self.fixed_df
        cdef double information = (df + 1.0) / ((df + 3.0) * aux[0] * aux[0])
        for i in range(rows.n):
            out[i] = information * (rows.weight[i] if rows.weight != NULL else 1.0)

    cdef double shared(self, const double* aux, double* d_aux) noexcept nogil:
        cdef double df = aux[1] if self.df_estimated else self.fixed_df
        cdef double sigma = aux[0]
        d_aux[0] += self.floor / (sigma * sigma * sigma) - self.total_weight / sigma
        if self.df_estimated:
            d_aux[1] += self.total_weight * 0.5 * (log_rising_slope(0.5 * df, 0.5) - 1.0 / df)
        return (self.total_weight * (log_rising(0.5 * df, 0.5) - 0.5 * log(df * 3.14159265358979323846) - log(sigma))
                - 0.5 * self.floor / (sigma * sigma))

    # -- data ----------------------------------------------------------------------------------

    def start(self, y, *, weight=None, extra=None, offset=None):
        """Return the median, and for sigma the median distance from it."""
        free = y if offset is None else y - offset
        middle = weighted_median(free, weight)
        spread = 1.4826 * weighted_median(np.abs(free - middle), weight)
        if not spread > 0.0:
            gaps = free - middle
            top = float(np.abs(gaps).max()) or 1.0
            spread = top * np.sqrt(np.average((gaps / top) ** 2, weights=weight)) or 1.0
        return middle, {"sigma": float(spread), **({"df": 5.0} if self.df is None else {})}

    def default_aux_priors(self, y, *, weight=None):
        """Return half-Student-t with the scale of y for sigma, Gamma(2, scale 10) for df."""
        df = {"df": Gamma(shape=2.0, scale=10.0)} if self.df is None else {}
        return {"sigma": HalfStudentT(df=4.0, autoscale=True), **df}

    # -- predictions ---------------------------------------------------------------------------

    def _df(self, aux):
        return np.asarray(aux["df"] if self.df is None else self.df, dtype=np.float64)

    def variance(self, eta, aux, extra=None):
        """Return sigma² df/(df - 2), infinite for df up to 2."""
        df = self._df(aux)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(df > 2.0, df / (df - 2.0), np.inf)
        return np.broadcast_arrays(np.asarray(aux["sigma"]) ** 2 * ratio, eta)[0]

    def logpdf(self, y, eta, aux, extra=None):
        """Return the log density."""
        from scipy.special import poch
        df, sigma = self._df(aux), np.asarray(aux["sigma"])
        constant = np.log(poch(0.5 * df, 0.5) / np.sqrt(df)) - 0.5 * np.log(np.pi) - np.log(sigma)
        return constant - 0.5 * (df + 1.0) * _log1p_square((y - eta) / sigma, df)

    def cdf(self, y, eta, aux, extra=None):
        """Return the probability of a value up to y."""
        from scipy.special import stdtr
        return stdtr(self._df(aux), (y - eta) / aux["sigma"])

    def quantile(self, q, eta, aux, extra=None):
        """Return the value with cdf q."""
        from scipy.special import stdtrit
        # SciPy's quantiles of levels 0 and 1 are plus infinity, or NaN before 1.14.
        q = np.asarray(q, dtype=np.float64)
        z = np.where((q == 0.0) | (q == 1.0), np.copysign(np.inf, q - 0.5), stdtrit(self._df(aux), q))
        return eta + aux["sigma"] * z

    def draw(self, rng, eta, aux, extra=None):
        """Draw numbers."""
        df, sigma = self._df(aux), np.asarray(aux["sigma"])
        shape = np.broadcast_shapes(np.shape(eta), np.shape(sigma), np.shape(df))
        return eta + sigma * rng.standard_t(np.broadcast_to(df, shape))

    def deviance(self, y, mean, aux, extra=None):
        """Return (df + 1) log(1 + z²/df)."""
        df = self._df(aux)
        return (df + 1.0) * _log1p_square((y - mean) / aux["sigma"], df)


cdef class Laplace(RealFamily):
    """Laplace noise: the location is the median, and coefficients are those of median regression.

    The density has a kink in every row; `curvature` is Fisher's information.

    Parameters
    ----------
    link : {"identity"}, default="identity"
    """

    in_units_of_y = ("scale",)

    def __init__(self, link="identity"):
        self.link = link

    @property
    def aux(self):
        """The auxiliary parameters: the scale, which is the mean distance from the median."""
        return ("scale",)

    cdef double loglik(self, const Rows* rows, const double* eta, const double* aux, double* score,
                       double* d_aux) noexcept nogil:
        cdef Py_ssize_t i
        cdef double total = 0.0, r, w, precision = 1.0 / aux[0]
        for i in range(rows.n):
            w = rows.weight[i] if rows.weight != NULL else 1.0
            r = rows.y[i] - eta[i]
            total += w * fabs(r)
            if score != NULL:
                score[i] = w * precision * (1.0 if r > 0.0 else (-1.0 if r < 0.0 else 0.0))
        if score != NULL:
            d_aux[0] += total * precision * precision
        return -total * precision

    cdef double value(self, const Rows* rows, const double* eta, const double* aux) noexcept nogil:
        return self.loglik(rows, eta, aux, NULL, NULL)

    cdef void curvature(self, const Rows* rows, const double* eta, const double* aux, double* out) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(rows.n):
            out[i] = (rows.weight[i] if rows.weight != NULL else 1.0) / (aux[0] * aux[0])

    cdef double shared(self, const double* aux, double* d_aux) noexcept nogil:
        cdef double precision = 1.0 / aux[0]
        d_aux[0] += (self.floor * precision * precision - self.total_weight) * precision
        return -self.total_weight * log(2.0 * aux[0]) - 0.5 * self.floor * precision * precision

    # -- data ----------------------------------------------------------------------------------

    def start(self, y, *, weight=None, extra=None, offset=None):
        """Return the median, and the mean distance from it for the scale."""
        free = y if offset is None else y - offset
        middle = weighted_median(free, weight)
        scale = np.average(np.abs(free - middle), weights=weight)
        return middle, {"scale": float(scale) if scale > 0.0 else 1.0}

    def default_aux_priors(self, y, *, weight=None):
        """Return a half-Student-t prior of the scale with the scale of y."""
        return {"scale": HalfStudentT(df=4.0, autoscale=True)}

    # -- predictions ---------------------------------------------------------------------------

    def variance(self, eta, aux, extra=None):
        """Return 2 scale²."""
        return np.broadcast_arrays(2.0 * np.asarray(aux["scale"]) ** 2, eta)[0]

    def logpdf(self, y, eta, aux, extra=None):
        """Return the log density."""
        return -np.abs(y - eta) / aux["scale"] - np.log(2.0 * np.asarray(aux["scale"]))

    def cdf(self, y, eta, aux, extra=None):
        """Return the probability of a value up to y."""
        z = (y - eta) / aux["scale"]
        tail = 0.5 * np.exp(-np.abs(z))
        return np.where(z < 0.0, tail, 1.0 - tail)

    def quantile(self, q, eta, aux, extra=None):
        """Return the value with cdf q."""
        q = np.asarray(q, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(q < 0.5, np.log(2.0 * q), -np.log(2.0 * (1.0 - q)))
        return eta + aux["scale"] * z

    def draw(self, rng, eta, aux, extra=None):
        """Draw numbers."""
        shape = np.broadcast_shapes(np.shape(eta), np.shape(aux["scale"]))
        return eta + aux["scale"] * rng.laplace(size=shape)

    def deviance(self, y, mean, aux, extra=None):
        """Return 2 |y - mean|/scale."""
        return 2.0 * np.abs(y - mean) / aux["scale"]


def _log1p_square(z, df):
    """Return log(1 + z²/df), also where z² overflows."""
    far = np.abs(z) > 1e150
    near = np.log1p(np.where(far, 0.0, z) ** 2 / df)
    return np.where(far, 2.0 * np.log(np.where(far, np.abs(z), 1.0)) - np.log(df), near)


def weighted_median(values, weight=None):
    """Return the median of values, each of which counts as often as its weight says."""
    order = np.argsort(values)
    total = np.cumsum(np.ones(len(order)) if weight is None else weight[order])
    half = 0.5 * total[len(total) - 1]
    upper = values[order[np.searchsorted(total, half, side="right").clip(max=len(order) - 1)]]
    lower = values[order[np.searchsorted(total, half * (1.0 - 1e-15))]]
    return float(0.5 * (lower + upper))
