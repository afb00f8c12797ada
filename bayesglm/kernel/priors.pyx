"""Prior distributions: one class each, with its compiled density and its Python face.

A prior is a description: it stores what it is given and checks it when a model is fitted. `bind`
makes the copy that the kernel works with: parameters broadcast over the coordinates it is
responsible for and scaled to the data where ``autoscale`` asks for it. Parameters have SciPy's
names and meanings (scales, not rates). Here are the base class and the priors on the real line;
those on the positive numbers are in `bayesglm.kernel.positive_priors`.
"""

from numbers import Real

import numpy as np

from libc.math cimport fabs, log1p

#: The largest double.
LARGEST = float(np.finfo(np.float64).max)


def is_positive(value):
    """Return whether ``value`` is a positive number that a double holds."""
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and 0.0 < float(value) < np.inf
    except OverflowError:
        return False


cdef class Prior:
    """What all priors share; not for use by itself.

    Attributes
    ----------
    bound : tuple or None
        Of a bound copy: (index, loc, scale, positive), the coordinates, the location and scale
        actually used and whether the density is cut off at zero.
    """

    names = ()
    positive = False

    # -- description ---------------------------------------------------------------------------

    def get_params(self, deep=True):
        """Return the parameters by name, as scikit-learn's estimators do."""
        return {name: getattr(self, name) for name in self.names}

    def set_params(self, **params):
        """Change parameters in place and return the prior, as scikit-learn's estimators do."""
        for name, value in params.items():
            if name not in self.names:
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(self.names) or 'none'}.")
            setattr(self, name, value)
        return self

    def __repr__(self):
        shown = [name for name in self.names if name != "autoscale" or self.autoscale is not False]
        return f"{type(self).__name__}({', '.join(f'{name}={_show(getattr(self, name))}' for name in shown)})"

    def __eq__(self, other):
        return type(self) is type(other) and all(
            np.array_equal(value, getattr(other, name)) for name, value in self.get_params().items())

    __hash__ = None

    def __reduce__(self):
        if self.bound is None:  # nothing but a call of the class, which skops takes for data
            return type(self), tuple(self.get_params().values())
        return _rebuild, (type(self), self.get_params(), self.bound)

    def __getstate__(self):
        # Only skops asks for this, of a bound copy, and the kernel would believe whatever came back.
        raise TypeError("a prior bound to data cannot be saved by itself without code; save the model instead.")

    # -- binding -------------------------------------------------------------------------------

    def bind(self, index, *, unit=1.0, shift=0.0, positive=False, name="prior"):
        """Return the copy that serves the coordinates ``index`` of a parameter vector.

        Parameters
        ----------
        index : array of int, shape (m,)
            Coordinates that this prior is responsible for.
        unit : float or array of shape (m,), default=1.0
            With ``autoscale``, what the scale is multiplied by.
        shift : float, default=0.0
            With ``autoscale``, what is added to the location.
        positive : bool, default=False
            Cut the density off at zero (and normalise what is left).
        name : str, default="prior"
            What to call the prior in error messages.

        Raises
        ------
        ValueError
            If a parameter is not a number, not finite, of the wrong length, or a scale not positive.
        """
        bound = type(self)(**self.get_params())
        if not isinstance(self.autoscale, (bool, np.bool_)):
            raise ValueError(f"{name}: autoscale must be True or False; got {self.autoscale!r}.")
        positions = np.ascontiguousarray(index, dtype=np.intp)
        for parameter in ("df", "shape"):
            if parameter in self.names:
                value = getattr(self, parameter)
                if not is_positive(value):
                    raise ValueError(f"{name}: {parameter} must be a positive finite number; got {value!r} in {self}.")
        loc = _broadcast(getattr(self, "loc", 0.0), positions.size, "loc", name, self)
        scale = _broadcast(getattr(self, "scale", 1.0), positions.size, "scale", name, self)
        if not np.all(scale > 0):
            raise ValueError(f"{name}: scale must be positive; got {_show(scale[scale <= 0][0])} in {self}.")
        if self.autoscale:
            with np.errstate(over="ignore", invalid="ignore"):  # refused below
                loc, scale = loc + shift, scale * unit
        beyond = ~((scale >= 1.0 / LARGEST) & (scale <= LARGEST) & np.isfinite(loc))
        if np.any(beyond):
            raise ValueError(f"{name}: the scale of {self} is {_show(scale[beyond][0])} in the units of the data, "
                             "which doubles do not hold: rescale the data or the prior.")
        bound._attach((positions, np.ascontiguousarray(loc), np.ascontiguousarray(scale),
                       bool(positive) and not self.positive))
        return bound

    def _attach(self, state):
        """Set the arrays that the kernel reads."""
        self.bound = state
        self.index, loc, scale, truncated = state
        self.n = loc.size
        self.loc_ = loc
        self.inverse_scale = 1.0 / scale
        self._prepare()
        self.log_constant = self._log_constants().sum() - np.log(scale).sum()
        if truncated:
            self.log_constant -= self._log_mass_above_zero().sum()

    def _prepare(self):
        """Copy shape parameters to C."""

    def _log_constants(self):
        """Log of the normalising constants at scale 1, shape (n,)."""
        return np.zeros(self.n)

    def _log_mass_above_zero(self):
        """Log of the prior probability of a positive value, shape (n,); 0 for what is not a distribution."""
        distribution = self.distribution()
        return np.zeros(self.n) if distribution is None else distribution.logsf(0.0)

    def resolved(self):
        """Return the prior with the location and scale that a bound copy uses."""
        params = self.get_params()
        params["autoscale"] = False
        for key, value in zip(("loc", "scale"), self.bound[1:3], strict=True):
            if key in params:
                equal = value.size and np.allclose(value, value[0], rtol=1e-9, atol=0.0)
                params[key] = float(value[0]) if equal else value
        return type(self)(**{key: params[key] for key in self.names})

    def transformed(self, shift, unit):
        """Return the bound copy that serves (x - shift)/unit instead of x."""
        _, loc, scale, _ = self.bound
        return self.moved((loc - shift) / unit, scale / unit)

    def moved(self, loc, scale):
        """Return the bound copy with another location and scale, arrays of shape (n,)."""
        index, _, _, truncated = self.bound
        copy = type(self)(**self.get_params())
        copy._attach((index, np.ascontiguousarray(loc), np.ascontiguousarray(scale), truncated))
        return copy

    def surrogate(self):
        """Return location and scale, each of shape (n,), of a normal distribution of like position and width."""
        distribution = self.distribution()
        if distribution is None:
            return np.zeros(self.n), np.full(self.n, np.inf)
        low, middle, high = (np.asarray(distribution.ppf(q)) for q in (0.16, 0.5, 0.84))
        return middle, 0.6 * (high - low)

    def gaussian(self):
        """Return (location, precision), each of shape (n,), of a bound normal or flat prior, else None."""
        return None

    # -- densities and draws -------------------------------------------------------------------

    cdef double add(self, const double* x, double* grad) noexcept nogil:
        """Return the log density at ``x`` (IN) and add its gradient to ``grad`` (IN/OUT).

        Both are indexed by ``index``. Outside the support the value is -inf and the gradient is
        unspecified.
        """
        return 0.0

    def value_and_gradient(self, x):
        """Return log density and gradient of a bound prior at ``x``; the kernel's face for tests."""
        cdef double[::1] point = np.array(x, dtype=np.float64)
        gradient = np.zeros(point.shape[0])
        cdef double[::1] out = gradient
        return self.add(&point[0], &out[0]), gradient

    def distribution(self):
        """Return the frozen `scipy.stats` distribution of a bound prior, or None for a flat one."""
        return None

    def logpdf(self, x):
        """Log density of a bound prior, elementwise; ``x`` has shape (..., n)."""
        if self.distribution() is None:
            return np.zeros(np.shape(x))
        out = self._logpdf(x)
        if self.bound[3]:
            out = np.where(np.asarray(x) > 0, out - self._log_mass_above_zero(), -np.inf)
        return out

    def _logpdf(self, x):
        """Log density before anything is cut off."""
        with np.errstate(over="ignore"):  # far out
            return self.distribution().logpdf(x)

    def draw(self, rng, size):
        """Draw from a bound prior: array of shape (size, n) from the `numpy.random.Generator` ``rng``."""
        distribution = self.distribution()
        if distribution is None:
            raise ValueError(f"{self} is not a probability distribution, so nothing can be drawn from it; "
                             "give a proper prior.")
        # From above, so that what is cut off far in the upper tail keeps its digits; 1 - u is never 0.
        above = np.exp(self._log_mass_above_zero()) if self.bound[3] else 1.0
        return distribution.isf(above * (1.0 - rng.random((size, self.n))))


def _rebuild(cls, params, bound):
    prior = cls(**params)
    if bound is not None:
        prior._attach(bound)
    return prior


def _show(value):
    return f"{value:.4g}" if isinstance(value, float) else np.array2string(
        value, precision=4, threshold=6, max_line_width=10**6) if isinstance(value, np.ndarray) else repr(value)


def _broadcast(value, n, parameter, name, prior):
    """Return ``value`` as n finite doubles."""
    try:
        array = np.asarray(np.nan if np.iscomplexobj(value) else value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.array(np.nan)
    if isinstance(value, (bool, str)) or not np.all(np.isfinite(array)):
        raise ValueError(f"{name}: {parameter} must be a finite number; got {value!r} in {prior}.")
    if array.ndim > 1 or (array.ndim == 1 and array.size != n):
        raise ValueError(f"{name}: {parameter} has shape {array.shape}, but there are {n} coefficients; "
                         "give one number or one for each.")
    return np.broadcast_to(array, n).astype(np.float64)


cdef class JointPrior(Prior):
    """Two bound priors over disjoint coordinates of one vector.

    Parameters
    ----------
    first, second : Prior
    """

    def __init__(self, Prior first, Prior second):
        self.first, self.second = first, second

    def __reduce__(self):
        return JointPrior, (self.first, self.second)

    cdef double add(self, const double* x, double* grad) noexcept nogil:
        return self.first.add(x, grad) + self.second.add(x, grad)


cdef class LocationScale(Prior):
    """What the priors on the real line share."""


cdef class Flat(Prior):
    """The improper uniform prior: density 1 everywhere.

    The posterior is proper only if the data identify the parameter.
    """

    names = ()

    def __init__(self):
        self.autoscale = False

    def gaussian(self):
        """Return location 0 and precision 0."""
        return np.zeros(self.n), np.zeros(self.n)


cdef class Normal(LocationScale):
    """The normal distribution N(loc, scale²).

    Parameters
    ----------
    loc : float or array, default=0.0
    scale : float or array, default=1.0
        Standard deviation.
    autoscale : bool, default=False
        Multiply the scale by sd(y)/sd(x) of the data (an intercept: by sd(y), and add mean(y) to loc).
    """

    names = ("loc", "scale", "autoscale")

    def __init__(self, loc=0.0, scale=1.0, autoscale=False):
        self.loc, self.scale, self.autoscale = loc, scale, autoscale

    def _log_constants(self):
        return np.full(self.n, -0.5 * np.log(2.0 * np.pi))

    def gaussian(self):
        """Return location and precision 1/scale²."""
        return np.asarray(self.loc_), np.asarray(self.inverse_scale) ** 2

    def distribution(self):
        """Return `scipy.stats.norm`, frozen."""
        from scipy.stats import norm
        return norm(*self.bound[1:3])

    cdef double add(self, const double* x, double* grad) noexcept nogil:
        cdef Py_ssize_t i, j
        cdef double z, total = 0.0
        for i in range(self.n):
            j = self.index[i]
            z = (x[j] - self.loc_[i]) * self.inverse_scale[i]
            total += z * z
            grad[j] -= z * self.inverse_scale[i]
        return self.log_constant - 0.5 * total


cdef class StudentT(LocationScale):
    """Student's t distribution.

    Parameters
    ----------
    df : float, default=4.0
        Degrees of freedom.
    loc : float or array, default=0.0
    scale : float or array, default=1.0
    autoscale : bool, default=False
        See `Normal`.
    """

    names = ("df", "loc", "scale", "autoscale")

    def __init__(self, df=4.0, loc=0.0, scale=1.0, autoscale=False):
        self.df, self.loc, self.scale, self.autoscale = df, loc, scale, autoscale

    def _prepare(self):
        self.df_ = self.df

    def _log_constants(self):
        return np.full(self.n, student_constant(self.df))

    def distribution(self):
        """Return `scipy.stats.t`, frozen."""
        from scipy.stats import t
        return t(self.df, *self.bound[1:3])

    cdef double add(self, const double* x, double* grad) noexcept nogil:
        cdef Py_ssize_t i, j
        cdef double z, total = 0.0
        for i in range(self.n):
            j = self.index[i]
            z = (x[j] - self.loc_[i]) * self.inverse_scale[i]
            total += log1p(z * z / self.df_)
            grad[j] -= (self.df_ + 1.0) * z / (self.df_ + z * z) * self.inverse_scale[i]
        return self.log_constant - 0.5 * (self.df_ + 1.0) * total


cdef class Cauchy(LocationScale):
    """The Cauchy distribution.

    Parameters
    ----------
    loc : float or array, default=0.0
    scale : float or array, default=1.0
        Half of the interquartile range.
    autoscale : bool, default=False
        See `Normal`.
    """

    names = ("loc", "scale", "autoscale")

    def __init__(self, loc=0.0, scale=1.0, autoscale=False):
        self.loc, self.scale, self.autoscale = loc, scale, autoscale

    def _log_constants(self):
        return np.full(self.n, -np.log(np.pi))

    def distribution(self):
        """Return `scipy.stats.cauchy`, frozen."""
        from scipy.stats import cauchy
        return cauchy(*self.bound[1:3])

    cdef double add(self, const double* x, double* grad) noexcept nogil:
        cdef Py_ssize_t i, j
        cdef double z, total = 0.0
        for i in range(self.n):
            j = self.index[i]
            z = (x[j] - self.loc_[i]) * self.inverse_scale[i]
            total += log1p(z * z)
            grad[j] -= 2.0 * z / (1.0 + z * z) * self.inverse_scale[i]
        return self.log_constant - total


cdef class Laplace(LocationScale):
    """The Laplace (double exponential) distribution, whose mode is the lasso.

    Parameters
    ----------
    loc : float or array, default=0.0
    scale : float or array, default=1.0
        Mean absolute deviation from loc; the standard deviation is sqrt(2) times as large.
    autoscale : bool, default=False
        See `Normal`.
    """

    names = ("loc", "scale", "autoscale")

    def __init__(self, loc=0.0, scale=1.0, autoscale=False):
        self.loc, self.scale, self.autoscale = loc, scale, autoscale

    def _log_constants(self):
        return np.full(self.n, -np.log(2.0))

    def distribution(self):
        """Return `scipy.stats.laplace`, frozen."""
        from scipy.stats import laplace
        return laplace(*self.bound[1:3])

    def _logpdf(self, x):
        # SciPy takes the logarithm of a density that underflows 745 scales away.
        loc, scale = self.bound[1:3]
        return -np.abs((x - loc) / scale) - np.log(2.0 * scale)

    cdef double add(self, const double* x, double* grad) noexcept nogil:
        cdef Py_ssize_t i, j
        cdef double z, total = 0.0
        for i in range(self.n):
            j = self.index[i]
            z = (x[j] - self.loc_[i]) * self.inverse_scale[i]
            total += fabs(z)
            grad[j] -= self.inverse_scale[i] if z > 0.0 else (-self.inverse_scale[i] if z < 0.0 else 0.0)
        return self.log_constant - total


def student_constant(df):
    """Log of the normalising constant of Student's t at scale 1."""
    from scipy.special import poch  # which keeps the digits that logarithms of large gamma functions cancel
    return np.log(poch(0.5 * df, 0.5) / np.sqrt(df)) - 0.5 * np.log(np.pi)
