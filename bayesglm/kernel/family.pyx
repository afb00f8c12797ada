"""The base of all likelihoods: a family's compiled density and its Python face.

A family is a description: it stores what it is given. `bind` makes the copy that the kernel works
with, which knows the data. The families themselves are in `bayesglm.kernel.binary`, `counts`, `categorical` and
`continuous`; a new one is one class there and its name in `bayesglm.families`.
"""

import numpy as np

from bayesglm.kernel._vector cimport softplus_all
from libc.math cimport NAN


cdef class Family:
    """What all likelihoods share; not for use by itself.

    A row's density given its linear predictor eta and the auxiliary parameters, all positive, is split in two:
    what depends on eta, summed row by row (`loglik`), and what depends on the auxiliary parameters and the data
    alone (`shared`), which costs nothing a row and holds all constants: their sum is the log likelihood, whole.

    Attributes
    ----------
    link : str
        Name of the link, one of `links`.
    """

    #: Names of the constructor's parameters.
    names = ("link",)
    #: Names of the links, the default first.
    links = ("identity",)
    #: Whether y takes whole numbers only.
    discrete = False
    #: Whether the log density is concave in eta, so that `curvature` is the observed one.
    log_concave = True
    #: What `extra` is: None, "trials" (numbers of trials) or "standard_error" (known standard errors).
    extra = None
    #: Whether sums of rows with different exposures make sense: an exposure is an offset log(exposure).
    takes_exposure = False
    #: Auxiliary parameters in the units of y.
    in_units_of_y = ()
    #: Whether y in another unit is the same model with another intercept: a log link, y positive and continuous.
    any_unit = False
    #: Number of linear predictors a row has (more than one for more than two classes).
    n_predictors = 1

    # -- description ---------------------------------------------------------------------------

    @property
    def aux(self):
        """Names of the auxiliary parameters that are estimated, all positive, in the kernel's order."""
        return ()

    def get_params(self, deep=True):
        """Return the parameters by name, as scikit-learn's estimators do."""
        return {name: getattr(self, name) for name in self.names}

    def set_params(self, **params):
        """Change parameters in place and return the family, as scikit-learn's estimators do."""
        for name, value in params.items():
            if name not in self.names:
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(self.names) or 'none'}.")
            setattr(self, name, value)
        return self

    def __repr__(self):
        shown = [name for name in self.names
                 if getattr(self, name) is not None and not (name == "link" and self.link == self.links[0])]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def in_words(self):
        """Return name, link and given parameters, for reports."""
        given = [f"{name}={getattr(self, name):g}" for name in self.names
                 if name != "link" and getattr(self, name) is not None]
        return ", ".join([type(self).__name__, *given, f"{self.link} link"])

    def __eq__(self, other):
        return type(self) is type(other) and self.get_params() == other.get_params()

    __hash__ = None

    def __reduce__(self):
        # A description only: whoever needs the bound copy again binds it to data again.
        return type(self), tuple(self.get_params().values())

    # -- data ----------------------------------------------------------------------------------

    def check(self):
        """Raise ValueError, in one sentence, if a parameter of the family is not what it can be."""
        if self.link not in self.links:
            means = {"log": "exp of a sum, so that it is positive; a sum itself is for family='gaussian'",
                     "identity": "a sum; exp of a sum is for others, such as 'gamma', or transform y",
                     "softmax": "a probability for each class"}
            raise ValueError(f"link={self.link!r} is none that the {type(self).__name__} family takes, but "
                             f"{' or '.join(map(repr, self.links))}: its mean is "
                             f"{means.get(self.links[0], 'a share, between 0 and 1 whatever the sum')}.")

    def check_response(self, y, extra=None):
        """Raise ValueError, in one sentence with the row, if y (or ``extra``) has a value outside the domain."""
        raise NotImplementedError

    def remark(self, y):
        """Return what a user should know of a response that will do but is unusual, or None."""
        return None

    def bind(self, y, *, weight=None, extra=None):
        """Return the copy that serves these data; it is read-only and shared by all chains.

        Parameters
        ----------
        y : ndarray of shape (n,)
        weight, extra : ndarray of shape (n,), optional
            Weights of the rows; numbers of trials or standard errors.
        """
        bound = type(self)(**self.get_params())
        bound._attach(y, weight, extra)
        return bound

    def _attach(self, y, weight, extra):
        """Set what the kernel needs of parameters and data."""
        self.check()
        self.bound = True

    def in_unit(self, unit):
        """Return the family of y/unit: parameters that were given in the units of y change with it."""
        return self

    def start(self, y, *, weight=None, extra=None, offset=None):
        """Return where to begin: the linear predictor of a model without predictors, and aux values by name."""
        raise NotImplementedError

    def default_aux_priors(self, y, *, weight=None):
        """Return the priors of the auxiliary parameters by name, scaled to the data."""
        return {}

    # -- the kernel's face ---------------------------------------------------------------------

    cdef double loglik(self, const Rows* rows, const double* eta, const double* aux, double* score,
                       double* d_aux) noexcept nogil:
        """Return the sum of w_i log p(y_i | eta_i, aux) without what `shared` adds.

        Writes its derivative by eta_i to ``score`` (OUT, n) and adds that by each auxiliary parameter to
        ``d_aux`` (IN/OUT). With several linear predictors, eta and score have shape (n_predictors, n). May
        return NaN or an infinity; the outputs are then unspecified. Allocates nothing.
        """
        return NAN

    cdef double value(self, const Rows* rows, const double* eta, const double* aux) noexcept nogil:
        """Return what `loglik` returns, without derivatives."""
        return NAN

    cdef void curvature(self, const Rows* rows, const double* eta, const double* aux, double* out) noexcept nogil:
        """Write minus the second derivative of `loglik` by eta_i, or its expectation, never negative (OUT, n).

        With K > 1 linear predictors, ``out`` has shape (K, K, n): the matrix of every row.
        """

    cdef double shared(self, const double* aux, double* d_aux) noexcept nogil:
        """Return what depends on auxiliary parameters and data alone; add its derivatives to ``d_aux``."""
        return 0.0

    # -- the same for tests and for what is not in a hurry --------------------------------------

    def loglik_and_score(self, y, eta, aux=(), weight=None, extra=None):
        """Return the log likelihood, its derivatives by eta (as eta) and by the auxiliary parameters.

        The kernel's face for tests: binds a copy, then `loglik` and `shared`.
        """
        cdef Rows rows
        cdef Family bound = self.bind(y, weight=weight, extra=extra)
        cdef const double[::1] y_ = np.ascontiguousarray(y, dtype=np.float64)
        cdef const double[::1] eta_ = np.ascontiguousarray(eta, dtype=np.float64).reshape(-1)
        cdef const double[::1] aux_ = np.append(np.asarray(aux, dtype=np.float64), 0.0)
        cdef const double[::1] weight_ = None if weight is None else np.ascontiguousarray(weight, dtype=np.float64)
        cdef const double[::1] extra_ = None if extra is None else np.ascontiguousarray(extra, dtype=np.float64)
        score, d_aux = np.zeros(eta_.shape[0]), np.zeros(aux_.shape[0])
        cdef double[::1] score_ = score, d_aux_ = d_aux
        cdef double value
        rows.n = y_.shape[0]
        rows.y = &y_[0]
        rows.weight = NULL if weight is None else &weight_[0]
        rows.extra = NULL if extra is None else &extra_[0]
        value = bound.loglik(&rows, &eta_[0], &aux_[0], &score_[0], &d_aux_[0])
        value += bound.shared(&aux_[0], &d_aux_[0])
        return value, score.reshape(np.shape(eta)), d_aux[:aux_.shape[0] - 1]

    def value_and_curvature(self, y, eta, aux=(), weight=None, extra=None):
        """Return the log likelihood by `value` and the rows' curvature; the kernel's face for tests."""
        cdef Rows rows
        cdef Family bound = self.bind(y, weight=weight, extra=extra)
        cdef const double[::1] y_ = np.ascontiguousarray(y, dtype=np.float64)
        cdef const double[::1] eta_ = np.ascontiguousarray(eta, dtype=np.float64).reshape(-1)
        cdef const double[::1] aux_ = np.append(np.asarray(aux, dtype=np.float64), 0.0)
        cdef const double[::1] weight_ = None if weight is None else np.ascontiguousarray(weight, dtype=np.float64)
        cdef const double[::1] extra_ = None if extra is None else np.ascontiguousarray(extra, dtype=np.float64)
        out, unused = np.zeros(eta_.shape[0] * self.n_predictors), np.zeros(aux_.shape[0])
        cdef double[::1] out_ = out, unused_ = unused
        cdef double value
        rows.n = y_.shape[0]
        rows.y = &y_[0]
        rows.weight = NULL if weight is None else &weight_[0]
        rows.extra = NULL if extra is None else &extra_[0]
        value = bound.value(&rows, &eta_[0], &aux_[0]) + bound.shared(&aux_[0], &unused_[0])
        bound.curvature(&rows, &eta_[0], &aux_[0], &out_[0])
        return value, out

    # -- predictions: arrays of draws and rows, broadcast against each other ----------------------

    def inverse_link(self, eta):
        """Return the mean (of one trial, of unit exposure) that belongs to a linear predictor."""
        raise NotImplementedError

    def mean(self, eta, aux, extra=None):
        """Return the mean of y; ``aux`` maps names to arrays that broadcast against ``eta``."""
        raise NotImplementedError

    def variance(self, eta, aux, extra=None):
        """Return the variance of y, infinite where there is none."""
        raise NotImplementedError

    def logpdf(self, y, eta, aux, extra=None):
        """Return the log density, or log probability, of y, constants included."""
        raise NotImplementedError

    def cdf(self, y, eta, aux, extra=None):
        """Return the probability of a value up to and including y."""
        raise NotImplementedError

    def quantile(self, q, eta, aux, extra=None):
        """Return the smallest y with cdf(y) >= q."""
        raise NotImplementedError

    def draw(self, rng, eta, aux, extra=None):
        """Draw y from the `numpy.random.Generator` ``rng``, one for every entry of the broadcast arrays."""
        raise NotImplementedError

    def deviance(self, y, mean, aux, extra=None):
        """Return each row's unit deviance at ``mean``, for the share of it that is explained (D²)."""
        raise NotImplementedError


def softplus(x):
    """Return log(1 + exp(x)) of an array."""
    cdef const double[::1] a = np.ascontiguousarray(x, dtype=np.float64).reshape(-1)
    found = np.empty(a.shape[0])
    cdef double[::1] out = found
    if a.shape[0]:
        with nogil:
            softplus_all(&a[0], &out[0], a.shape[0])
    return found.reshape(np.shape(x))


def whole_quantile(cdf, q, start):
    """Return the smallest whole number y >= 0 with cdf(y) >= q, by bisection; infinite where there is none.

    Parameters
    ----------
    cdf : callable
        Maps an array of whole numbers, shaped as ``start``, to probabilities.
    q : float or ndarray
        Probabilities, broadcast to the shape of ``start``.
    start : ndarray
        A guess of where to look; upper ends are doubled from there.
    """
    high = np.maximum(np.ceil(np.asarray(start, dtype=np.float64)), 1.0)
    q = np.broadcast_to(np.asarray(q, dtype=np.float64), high.shape)
    low = np.full(high.shape, -1.0)
    for _ in range(64):
        short = cdf(high) < q
        if not short.any():
            break
        low = np.where(short, high, low)
        high = np.where(short, 2.0 * high + 1.0, high)
    without = cdf(high) < q
    while True:
        middle = np.floor(0.5 * low + 0.5 * high)
        # Beyond 2^53 neighbouring numbers are more than one apart: stop where there is none in between.
        if not np.any((low < middle) & (middle < high)):
            break
        enough = cdf(middle) >= q
        high, low = np.where(enough, middle, high), np.where(enough, low, middle)
    return np.where(np.isnan(q), np.nan, np.where(without, np.inf, high))
