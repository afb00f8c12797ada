"""The prior arguments of the estimators: from what the user wrote to priors bound to the scale of the data."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from bayesglm.inference.presets import PRESETS, coefficient_preset, intercept_preset
from bayesglm.kernel.positive_priors import PRIORS, HalfNormal
from bayesglm.kernel.priors import Flat, Normal, Prior, is_positive
from bayesglm.kernel.sparse_priors import SPARSE_PRIORS, LearnedNormal, SparsePrior

#: Names that others have for what is called otherwise here.
_OTHER_NAMES = {
    **dict.fromkeys(("gaussian", "ridge", "l2"), "normal"),
    **dict.fromkeys(("lasso", "l1", "double_exponential"), "laplace"),
    **dict.fromkeys(("t", "student", "studentt"), "student_t"),
    **dict.fromkeys(("uniform", "improper", "none"), "flat"),
    **dict.fromkeys(("hs", "regularized_horseshoe", "regularised_horseshoe"), "horseshoe"),
}
#: What ``prior_scale`` may be besides a number: one scale for all coefficients, or one a term.
LEARN = ("learn", "learn by term")
#: Scale of the default priors in units of sd(y)/sd(x) (rstanarm, bambi).
DEFAULT_SCALE = 2.5


@dataclass(frozen=True)
class PriorScale:
    """What priors with ``autoscale`` take from the data.

    Attributes
    ----------
    x_sd : ndarray of shape (p,)
        Standard deviations of the predictors, 0 for a constant one.
    level, spread : float
        Mean and standard deviation of the response, on the scale of the linear predictor.
    weight : float
        How many observations the rows count as.
    per_noise : float
        Scale of the response over that of its noise sigma, in the units in which each is kept.
    x_mean : ndarray of shape (p,), optional
        Means of the predictors, by which some presets tell zeros and ones from other numbers.
    link : str
    """

    x_sd: np.ndarray
    level: float
    spread: float
    weight: float
    per_noise: float = 1.0
    x_mean: np.ndarray | None = None
    link: str = "identity"

    @property
    def unit(self) -> np.ndarray:
        """What a coefficient's scale is multiplied by, shape (p,); 1 stands for what does not vary."""
        found: np.ndarray = self.sd_y / np.where(self.x_sd > 0.0, self.x_sd, 1.0)
        return found

    @property
    def sd_y(self) -> float:
        """The spread, or 1 where there is none."""
        return self.spread if self.spread > 0.0 else 1.0


@dataclass(frozen=True)
class CoefficientPriors:
    """The coefficients' priors, bound, with what each is called in reports, and which must be positive."""

    bound: tuple[Prior, ...]
    labels: tuple[str, ...]
    positive: np.ndarray


def coefficient_priors(
    data: PriorScale,
    columns: Sequence[str],
    terms: Mapping[str, Sequence[int]],
    prior: Any,
    prior_scale: Any,
    positive: bool,
) -> CoefficientPriors:
    """Bind ``prior`` and ``prior_scale`` to positions among the coefficients; see `prior_set.resolve`."""
    p = len(columns)
    learned = learned_scale(prior, prior_scale, p, terms)
    if learned is not None:
        prior = prior_scale = None
    default: Prior = (HalfNormal if positive else Normal)(scale=DEFAULT_SCALE, autoscale=True)
    parts: list[tuple[str, str, Prior, np.ndarray]] = []
    if isinstance(prior, Mapping):
        parts = share_out(prior, columns, terms, default)
    elif p and is_preset(prior):
        mean = np.zeros(p) if data.x_mean is None else data.x_mean
        given = coefficient_preset(prior, mean, data.x_sd, data.sd_y, data.link)
        if prior_scale is not None:
            factor = positive_number(prior_scale, "prior_scale") / DEFAULT_SCALE
            given = given.set_params(scale=factor * given.get_params()["scale"])
        parts, prior_scale = [("coef", "prior", given, np.arange(p))], None
    elif p:
        given = default if prior is None else as_prior(prior, "prior")
        parts = [("coef", "prior", given, np.arange(p))]
    if prior_scale is not None:
        scale = positive_number(prior_scale, "prior_scale")
        parts = [(label, name, rescaled(given, scale, name), index) for label, name, given, index in parts]
    if learned is not None:
        parts = [("coef", "prior", learned, np.arange(p))] if p else []
    unit, flags = data.unit, np.full(p, bool(positive))
    bound: list[Prior] = []
    for _, name, given, index in parts:
        if isinstance(given, SparsePrior):
            whole = given.for_rows(p, data.weight).bind(index, unit=unit, positive=positive, name=name)
            bound.append(whole.moved(unit / data.sd_y * data.per_noise, unit))
            continue
        bound.append(given.bind(index, unit=unit[index], positive=positive, name=name))
        flags[index] |= given.positive
    return CoefficientPriors(tuple(bound), tuple(label for label, *_ in parts), flags)


def learned_scale(
    prior: Any, prior_scale: Any, p: int, terms: Mapping[str, Sequence[int]]
) -> LearnedNormal | None:
    """Return the prior that ``prior_scale="learn"`` stands for, or None where there is nothing to learn."""
    if not isinstance(prior_scale, str):
        return None
    if prior_scale not in LEARN:
        raise TypeError(
            f"prior_scale must be a positive number, {', '.join(map(repr, LEARN))} or None; got {prior_scale!r}."
        )
    if prior is not None:
        raise ValueError(
            f"prior_scale={prior_scale!r} learns the scale of the usual normal prior: leave prior={prior!r} out."
        )
    if prior_scale == "learn":
        return LearnedNormal()
    if not terms:
        raise ValueError(
            f"prior_scale={prior_scale!r} needs a formula, whose terms are the groups; or use 'learn'."
        )
    group = np.zeros(p, np.int64)
    for number, positions in enumerate(terms.values()):
        group[list(positions)] = number
    return LearnedNormal(group=np.unique(group, return_inverse=True)[1].astype(np.int64))


def bound_intercept(data: PriorScale, intercept_prior: Any, prior: Any = None) -> Prior:
    """Bind ``intercept_prior``, or what ``prior`` has for it, if that is a preset."""
    given: Prior = Normal(scale=DEFAULT_SCALE, autoscale=True)
    if intercept_prior is None and is_preset(prior):
        given = intercept_preset(prior, data.level, data.sd_y, data.link)
    elif intercept_prior is not None:
        given = as_prior(intercept_prior, "intercept_prior")
    if given.positive:
        raise ValueError(f"intercept_prior must be a prior on the real line, such as Normal; got {given}.")
    if isinstance(given, SparsePrior):
        raise ValueError(
            f"intercept_prior: {given} is a prior on all coefficients together; give Normal or another."
        )
    return given.bind([0], unit=data.sd_y, shift=data.level, name="intercept_prior")


def is_preset(prior: Any) -> bool:
    """Whether ``prior`` is the name of a set of priors."""
    return isinstance(prior, str) and prior in PRESETS


def is_sparse(prior: Any) -> bool:
    """Whether ``prior`` is on all coefficients together, by its name or itself."""
    return isinstance(prior, SparsePrior) or (isinstance(prior, str) and prior in SPARSE_PRIORS)


def bound_positive(given: Any, default: Prior, unit: float, name: str) -> Prior:
    """Bind the prior of a parameter that is positive, such as sigma."""
    prior = default if given is None else as_prior(given, name)
    if not prior.positive and not isinstance(prior, Flat):
        raise ValueError(
            f"{name} must be a prior on the positive numbers, such as HalfNormal(1); got {prior}."
        )
    return prior.bind([0], unit=unit, name=name)


def share_out(
    priors: Mapping[Any, Any], columns: Sequence[str], terms: Mapping[str, Sequence[int]], default: Prior
) -> list[tuple[str, str, Prior, np.ndarray]]:
    """Give every column the prior of its own name, else of its term, else the default."""
    owner: list[Any] = [None] * len(columns)
    for by_column in (False, True):
        for key in priors:
            if key == "Intercept":
                raise ValueError("prior['Intercept']: give the intercept's prior as intercept_prior.")
            if key not in columns and key not in terms:
                near = difflib.get_close_matches(str(key), [*columns, *terms], n=1)
                hint = (
                    f"did you mean {near[0]!r}?"
                    if near
                    else f"there are {', '.join(map(repr, columns[:20]))}."
                )
                raise ValueError(f"prior[{key!r}]: no column or term of that name; {hint}")
            if (key in columns) == by_column:
                for position in [columns.index(key)] if by_column else terms[key]:
                    owner[position] = key
    parts = []
    for key, value in priors.items():
        index = np.array([i for i, name in enumerate(owner) if name == key], dtype=np.intp)
        given = as_prior(value, f"prior[{key!r}]")
        if index.size:
            parts.append((f"coef[{key}]", f"prior[{key!r}]", given, index))
    rest = np.array([i for i, name in enumerate(owner) if name is None], dtype=np.intp)
    if rest.size:
        parts.append(("coef, all others", "prior", default, rest))
    return parts


def as_prior(value: Any, name: str) -> Prior:
    """Return ``value`` as a prior: an object, or the name of one with its usual scale."""
    if isinstance(value, str):
        if value in SPARSE_PRIORS:
            return SPARSE_PRIORS[value]()
        if value not in PRIORS:
            lower = value.lower()
            near = [_OTHER_NAMES[lower]] if lower in _OTHER_NAMES else []
            near += difflib.get_close_matches(lower, [*PRIORS, *SPARSE_PRIORS, *PRESETS], n=1)
            hint = (
                f"did you mean {near[0]!r}?"
                if near
                else f"known are {', '.join([*PRIORS, *SPARSE_PRIORS, *PRESETS])}."
            )
            raise ValueError(f"{name}={value!r} is not the name of a prior; {hint}")
        usual = DEFAULT_SCALE if name.startswith(("prior", "intercept")) else 1.0
        return Flat() if value == "flat" else PRIORS[value](scale=usual, autoscale=True)
    example = "HalfNormal(1)" if name == "sigma_prior" else "Normal(0, 1)"
    if isinstance(value, type) and issubclass(value, Prior):
        raise TypeError(
            f"{name} must be a prior, not the class {value.__name__}: write one such as {example}."
        )
    if not isinstance(value, Prior):
        number = isinstance(value, Real) and not isinstance(value, bool)
        scale = (
            f"; a normal prior of that scale is prior_scale={value!r}" if number and name == "prior" else ""
        )
        raise TypeError(
            f"{name} must be a prior such as {example}, the name of one, or None; got {value!r}{scale}."
        )
    return value


def rescaled(prior: Prior, scale: float, name: str) -> Prior:
    """Return a copy of ``prior`` with another scale."""
    if "scale" not in prior.names:
        raise ValueError(
            f"prior_scale has no meaning for {name}={prior}, which has no scale; leave one of them out."
        )
    return type(prior)(**{**prior.get_params(), "scale": scale})


def positive_number(value: Any, name: str) -> float:
    """Return ``value`` if it is a positive finite number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a positive number or None; got {value!r}.")
    if not is_positive(value):
        raise ValueError(f"{name} must be positive and finite; got {value!r}.")
    return float(value)


def rebound(prior: Prior, index: np.ndarray, moved: np.ndarray | float = 0.0) -> Prior:
    """Return a bound prior that serves other coordinates, as many or by one number for all; ``moved`` adds to loc."""
    _, loc, scale, truncated = prior.bound
    copy = type(prior)(**prior.get_params())
    loc, scale = (
        np.array(np.broadcast_to(a, np.shape(index)), dtype=np.float64) for a in (loc + moved, scale)
    )
    copy._attach((np.ascontiguousarray(index, dtype=np.intp), loc, scale, truncated))
    return copy
