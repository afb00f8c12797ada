"""The priors of one model: from what the user wrote to densities bound to the data's scale.

Everything here is on the user's scale; `standardised` is the one place where priors are carried
over to the units that the kernel works in.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from bayesglm.inference.gaussian import GaussianPrior
from bayesglm.inference.sufficient import Summary
from bayesglm.kernel.positive_priors import PRIORS, HalfNormal, HalfStudentT
from bayesglm.kernel.priors import Flat, JointPrior, Normal, Prior
from bayesglm.kernel.sparse_priors import SPARSE_PRIORS, SparsePrior

#: Scale of the default priors in units of sd(y)/sd(x) (rstanarm, bambi).
DEFAULT_SCALE = 2.5
DEFAULT_SIGMA_DF = 4.0


@dataclass(frozen=True)
class StandardisedPriors:
    """Bound priors in standardised units; the intercept's speaks of ``intercept - shift @ coef``."""

    coef: tuple[Prior, ...]
    intercept: Prior | None
    sigma: Prior
    shift: np.ndarray
    positive: np.ndarray

    @property
    def sparse(self) -> SparsePrior | None:
        """The prior on all coefficients together, if that is what they have."""
        return _sparse(self.coef)

    def joint(self, change: Callable[[Prior], Prior] = lambda prior: prior) -> Prior | None:
        """Return the coefficients' priors as one, each after a change if one is given."""
        joint: Prior | None = None
        for prior in map(change, self.coef):
            joint = prior if joint is None else JointPrior(joint, prior)
        return joint

    def gaussian(self) -> GaussianPrior | None:
        """Return the priors as normal ones, or None if one of them is not."""
        if self.positive.any():
            return None
        return self._as_gaussian(lambda prior: prior.gaussian())

    def surrogate(self) -> GaussianPrior:
        """Return normal priors of like position and width, to standardise the space with."""

        def normal(prior: Prior) -> tuple[np.ndarray, np.ndarray]:
            exact = prior.gaussian()
            if exact is not None:
                return exact
            loc, scale = prior.surrogate()
            return loc, 1.0 / scale**2

        found = self._as_gaussian(normal)
        assert found is not None
        return found

    def _as_gaussian(self, convert: Any) -> GaussianPrior | None:
        offset = int(self.intercept is not None)
        k = offset + len(self.shift)
        loc, precision = np.zeros(k), np.zeros(k)
        parts = [(prior, np.asarray(prior.bound[0]) + offset) for prior in self.coef]
        if self.intercept is not None:
            parts.append((self.intercept, np.array([0])))
        for prior, where in parts:
            normal = convert(prior)
            if normal is None:
                return None
            loc[where], precision[where] = normal
        return GaussianPrior(loc, precision, self.shift, self.sigma)


@dataclass(frozen=True)
class PriorSet:
    """Bound priors on the user's scale.

    Attributes
    ----------
    coef : tuple of Prior
        Bound to positions among the coefficients, which they share out between them.
    intercept : Prior or None
    sigma : Prior
    centred : bool
        Whether the intercept's prior speaks of the intercept at the predictors' means.
    positive : ndarray of bool, shape (p,)
        Coefficients that must be positive.
    labels : tuple of str
        What each prior in ``coef`` is for, in the report.
    exact_fit : bool
        Whether the data are fitted to rounding error, so that sigma's prior was replaced.
    """

    coef: tuple[Prior, ...]
    intercept: Prior | None
    sigma: Prior
    centred: bool
    positive: np.ndarray
    labels: tuple[str, ...]
    exact_fit: bool

    def standardised(self, summary: Summary) -> StandardisedPriors:
        """Carry the priors over to the units of ``summary``."""
        unit = summary.y_unit / summary.x_unit
        intercept = None
        if self.intercept is not None:
            intercept = self.intercept.transformed(summary.y_mean, summary.y_unit)
        self._refuse_out_of_range(summary, unit)
        return StandardisedPriors(
            coef=tuple(prior.transformed(0.0, unit[prior.bound[0]]) for prior in self.coef),
            intercept=intercept,
            sigma=self.sigma.transformed(0.0, summary.sigma_unit),
            shift=np.zeros(len(unit)) if self.centred else summary.x_mean / summary.x_unit,
            positive=self.positive,
        )

    def _refuse_out_of_range(self, summary: Summary, unit: np.ndarray) -> None:
        """Refuse a prior so far from the data's own scale that no arithmetic can hold both."""
        checked = [
            (label, prior, unit[prior.bound[0]], 0.0)
            for label, prior in zip(self.labels, self.coef, strict=True)
        ]
        checked.append(("sigma_prior", self.sigma, summary.sigma_unit, 0.0))
        if self.intercept is not None:
            checked.append(("intercept_prior", self.intercept, summary.y_unit, summary.y_mean))
        for name, prior, scale, shift in checked:
            if not len(prior.bound[1]) or isinstance(prior, Flat):
                continue
            widths, distances = prior.bound[2] / scale, np.abs(prior.bound[1] - shift) / scale
            if widths.min() < 1e-50 or max(widths.max(), distances.max()) > 1e50:
                raise ValueError(
                    f"{name}: {prior.resolved()} is more than 1e50 times larger or smaller than the scale of the data; "
                    "check the units of both."
                )

    def log_density(self, draws: Mapping[str, np.ndarray], x_mean: np.ndarray) -> dict[str, np.ndarray]:
        """Return the log prior density of draws by variable, each shaped as the draws.

        Coefficients whose prior is on all of them together have none of their own, and are left out.
        """
        out = {"sigma": self.sigma.logpdf(draws["sigma"][..., np.newaxis])[..., 0]}
        coef = draws["coef"]
        if _sparse(self.coef) is None:
            out["coef"] = np.empty(coef.shape)
        for prior in self.coef if "coef" in out else ():
            out["coef"][..., prior.bound[0]] = prior.logpdf(coef[..., prior.bound[0]])
        if self.intercept is not None:
            level = draws["Intercept"] + (coef @ x_mean if self.centred else 0.0)
            out["Intercept"] = self.intercept.logpdf(level[..., np.newaxis])[..., 0]
        return out

    def draw(self, rng: np.random.Generator, size: int, x_mean: np.ndarray) -> dict[str, np.ndarray]:
        """Draw ``size`` parameter sets from the prior; raises ValueError for a flat one."""
        flat = [
            label
            for label, prior in (
                *zip(self.labels, self.coef, strict=True),
                ("Intercept", self.intercept),
                ("sigma", self.sigma),
            )
            if isinstance(prior, Flat)
        ]
        if flat:
            raise ValueError(
                f"The prior of {flat[0]} is flat, so nothing can be drawn from it: give a proper prior, or leave "
                "prior=True out."
            )
        coef = np.empty((size, len(self.positive)))
        sparse = _sparse(self.coef)
        hyper: dict[str, np.ndarray] = {}
        for prior in self.coef if sparse is None else ():
            coef[:, prior.bound[0]] = prior.draw(rng, size)
        out = {"coef": coef, "sigma": self.sigma.draw(rng, size)[:, 0]}
        if sparse is not None:
            coef[:], hyper = sparse.draw_with(rng, out["sigma"])
        if self.intercept is not None:
            level = self.intercept.draw(rng, size)[:, 0]
            out["Intercept"] = level - (coef @ x_mean if self.centred else 0.0)
        return out | hyper

    def describe(self) -> list[tuple[str, str]]:
        """Return (parameter, prior after scaling) for the report."""
        lines = [] if self.intercept is None else [("Intercept", str(self.intercept.resolved()))]
        if lines and self.centred:
            lines[0] = ("Intercept (at the predictors' means)", lines[0][1])
        for label, prior in zip(self.labels, self.coef, strict=True):
            cut = ", cut off below 0" if prior.bound[3] else ""
            where = f"{label}, at sd(x) = 1" if isinstance(prior, SparsePrior) else label
            lines.append((where, f"{prior.resolved()}{cut}"))
        lines.append(("sigma", str(self.sigma.resolved())))
        return lines


def resolve(
    summary: Summary,
    columns: Sequence[str],
    terms: Mapping[str, Sequence[int]],
    *,
    prior: Any = None,
    prior_scale: Any = None,
    intercept_prior: Any = None,
    sigma_prior: Any = None,
    center: bool = True,
    positive: bool = False,
) -> PriorSet:
    """Turn the estimator's prior arguments into bound priors.

    Parameters
    ----------
    summary : Summary
        Gives the scale of the data to priors with ``autoscale``.
    columns : sequence of str
        Names of the coefficients.
    terms : mapping of str to sequence of int
        Names of terms and the columns they stand for; empty for arrays.
    prior, prior_scale, intercept_prior, sigma_prior, center, positive
        See `bayesglm.BayesianLinearRegression`.

    Returns
    -------
    PriorSet

    Raises
    ------
    ValueError, TypeError
        In one sentence that names the parameter and what to do.
    """
    p = len(columns)
    y_sd = summary.y_sd if summary.y_sd > 0.0 else 1.0
    unit = y_sd / np.where(summary.x_sd > 0.0, summary.x_sd, 1.0)
    default: Prior = (HalfNormal if positive else Normal)(scale=DEFAULT_SCALE, autoscale=True)

    parts: list[tuple[str, str, Prior, np.ndarray]] = []
    if isinstance(prior, Mapping):
        parts = _share_out(prior, columns, terms, default)
    elif p:
        given = default if prior is None else _as_prior(prior, "prior")
        parts = [("coef", "prior", given, np.arange(p))]
    if prior_scale is not None:
        scale = _positive_number(prior_scale, "prior_scale")
        parts = [(label, name, _rescaled(given, scale, name), index) for label, name, given, index in parts]

    flags = np.full(p, bool(positive))
    bound: list[Prior] = []
    for _, name, given, index in parts:
        if isinstance(given, SparsePrior):
            whole = given.for_rows(p, summary.weight).bind(index, unit=unit, positive=positive, name=name)
            bound.append(whole.moved(unit / y_sd * (summary.y_unit / summary.sigma_unit), unit))
            continue
        bound.append(given.bind(index, unit=unit[index], positive=positive, name=name))
        flags[index] |= given.positive
    given = Normal(scale=DEFAULT_SCALE, autoscale=True)
    if intercept_prior is not None:
        given = _as_prior(intercept_prior, "intercept_prior")
    if given.positive:
        raise ValueError(f"intercept_prior must be a prior on the real line, such as Normal; got {given}.")
    intercept = None
    if summary.intercept:
        intercept = given.bind([0], unit=y_sd, shift=summary.y_mean, name="intercept_prior")
    given = HalfStudentT(df=DEFAULT_SIGMA_DF, autoscale=True)
    if sigma_prior is not None:
        given = _as_prior(sigma_prior, "sigma_prior")
    if not given.positive and not isinstance(given, Flat):
        raise ValueError(
            f"sigma_prior must be a prior on the positive numbers, such as HalfNormal(1); got {given}."
        )
    # Where weights are precisions, noise is that of a row of weight 1, whatever the weights add up to.
    sigma = given.bind([0], unit=y_sd * (summary.sigma_unit / summary.y_unit), name="sigma_prior")
    exact_fit = summary.exact_fit and not np.any(flags & (summary.least_squares < 0.0))
    if exact_fit:
        # The likelihood grows without bound as sigma goes to 0 and says nothing of how far: only a prior at
        # the resolution of the numbers keeps sigma there (one degree of freedom leaves log sigma uniform).
        scale = float(np.sqrt(summary.rss / summary.weight) * summary.sigma_unit)
        sigma = HalfStudentT(df=DEFAULT_SIGMA_DF, scale=scale).bind([0])
    return PriorSet(
        coef=tuple(bound),
        intercept=intercept,
        sigma=sigma,
        centred=bool(center) or intercept_prior is None,
        positive=flags,
        labels=tuple(label for label, *_ in parts),
        exact_fit=exact_fit,
    )


def _share_out(
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
        given = _as_prior(value, f"prior[{key!r}]")
        if index.size:
            parts.append((f"coef[{key}]", f"prior[{key!r}]", given, index))
    rest = np.array([i for i, name in enumerate(owner) if name is None], dtype=np.intp)
    if rest.size:
        parts.append(("coef, all others", "prior", default, rest))
    return parts


def _as_prior(value: Any, name: str) -> Prior:
    """Return ``value`` as a prior: an object, or the name of one with its usual scale."""
    if isinstance(value, str):
        if value in SPARSE_PRIORS:
            return SPARSE_PRIORS[value]()
        if value not in PRIORS:
            near = difflib.get_close_matches(value, [*PRIORS, *SPARSE_PRIORS], n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"known are {', '.join([*PRIORS, *SPARSE_PRIORS])}."
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
        raise TypeError(f"{name} must be a prior such as {example}, the name of one, or None; got {value!r}.")
    return value


def _sparse(priors: Sequence[Prior]) -> SparsePrior | None:
    """Return the prior on all coefficients together, if that is what they have."""
    return next((prior for prior in priors if isinstance(prior, SparsePrior)), None)


def _rescaled(prior: Prior, scale: float, name: str) -> Prior:
    """Return a copy of ``prior`` with another scale."""
    if "scale" not in prior.names:
        raise ValueError(
            f"prior_scale has no meaning for {name}={prior}, which has no scale; leave one of them out."
        )
    return type(prior)(**{**prior.get_params(), "scale": scale})


def _positive_number(value: Any, name: str) -> float:
    """Return ``value`` if it is a positive finite number."""
    if isinstance(value, str) and value == "learn":
        raise ValueError(
            f"{name}='learn' is not there yet; give a positive number, or search one with GridSearchCV."
        )
    if isinstance(value, bool) or not isinstance(value, (Real, np.number)):
        raise TypeError(f"{name} must be a positive number or None; got {value!r}.")
    number = float(value)
    if not 0.0 < number < np.inf:
        raise ValueError(f"{name} must be positive and finite; got {value!r}.")
    return number
