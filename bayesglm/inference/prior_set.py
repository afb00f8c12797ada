"""The priors of one model: from what the user wrote to densities bound to the data's scale.

Everything here is on the user's scale; `standardised` is the one place where priors are carried
over to the units that the kernel works in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesglm.inference.contrasts import OF_DIFFERENCE, contrasts, sets
from bayesglm.inference.gaussian import GaussianPrior
from bayesglm.inference.presets import aux_preset
from bayesglm.inference.prior_arguments import (
    PriorScale,
    bound_intercept,
    bound_positive,
    coefficient_priors,
    is_preset,
    rebound,
)
from bayesglm.inference.regression_data import RegressionData
from bayesglm.inference.sufficient import Summary
from bayesglm.kernel.positive_priors import HalfStudentT
from bayesglm.kernel.priors import Flat, JointPrior, Prior
from bayesglm.kernel.sparse_priors import SparsePrior

DEFAULT_SIGMA_DF = 4.0


@dataclass(frozen=True)
class StandardisedPriors:
    """Bound priors in standardised units; the intercept's speaks of ``intercept - shift @ coef``.

    Of several classes they are the priors of the sets that ``contrasts`` makes linear predictors from: the
    coefficients' are those of each set, and the intercept's is bound to the numbers of the sets.
    """

    coef: tuple[Prior, ...]
    intercept: Prior | None
    aux: dict[str, Prior]
    shift: np.ndarray
    positive: np.ndarray
    contrasts: np.ndarray | None = None

    @property
    def n_sets(self) -> int:
        """Sets of an intercept and coefficients."""
        return 1 if self.contrasts is None else self.contrasts.shape[1]

    @property
    def sigma(self) -> Prior:
        """Prior of the noise's standard deviation."""
        return self.aux["sigma"]

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
    aux : dict of Prior
        By name, those of the likelihood's other parameters, such as sigma.
    centred : bool
        Whether the intercept's prior speaks of the intercept at the predictors' means.
    positive : ndarray of bool, shape (p,)
        Coefficients that must be positive.
    labels : tuple of str
        What each prior in ``coef`` is for, in the report.
    exact_fit : bool
        Whether the data are fitted to rounding error, so that sigma's prior was replaced.
    n_predictors : int
        Linear predictors a row: more than one for more than two classes.
    reference : int or None
        Of several classes, the one whose coefficients are zero; the priors are those of the others. None: the
        coefficients of all classes add up to zero, and the priors, normal ones around zero or flat, are those of the
        difference between two of them (see `bayesglm.inference.contrasts`).
    levels : ndarray of shape (n_predictors,) or None
        Of several classes, what the intercepts' prior is around; None: all the same.
    """

    coef: tuple[Prior, ...]
    intercept: Prior | None
    aux: dict[str, Prior]
    centred: bool
    positive: np.ndarray
    labels: tuple[str, ...]
    exact_fit: bool = False
    n_predictors: int = 1
    reference: int | None = None
    levels: np.ndarray | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Before there were other likelihoods than the normal one, its prior was an attribute of its own.
        sigma = state.pop("sigma", None)
        self.__dict__.update(state if sigma is None else {**state, "aux": {"sigma": sigma}})

    @property
    def sigma(self) -> Prior:
        """Prior of the noise's standard deviation."""
        return self.aux["sigma"]

    @property
    def sparse(self) -> SparsePrior | None:
        """The prior on all coefficients together, if that is what they have."""
        return _sparse(self.coef)

    @property
    def sums_to_zero(self) -> bool:
        """Whether the coefficients of several classes add up to zero."""
        return self.n_predictors > 1 and self.reference is None

    @property
    def reached(self) -> np.ndarray:
        """What of an offset, which is added to the log odds against a reference, each linear predictor has."""
        found = np.ones(self.n_predictors)
        if self.reference is not None:
            found[self.reference] = 0.0
        return found

    def labels_of_scales(self, terms: Mapping[str, Sequence[int]]) -> dict[str, tuple[str, ...]] | None:
        """Return names for learned scales, if there is one for each of the terms; see `Posterior`."""
        if self.sparse is None or not self.sparse.hyper_shape:
            return None
        return {self.sparse.hyper[0]: tuple(name for name, positions in terms.items() if len(positions))}

    def standardised(self, units: Summary | RegressionData) -> StandardisedPriors:
        """Carry the priors over to other units."""
        unit = units.y_unit / units.x_unit
        intercept = None
        if self.intercept is not None:
            intercept = self.intercept.transformed(units.y_mean, units.y_unit)
        self._refuse_out_of_range(units, unit)
        matrix = None
        if self.n_predictors > 1:
            assert isinstance(units, RegressionData)
            assert units.classes is not None
            reference = None if self.reference is None else int(np.argsort(units.classes)[self.reference])
            matrix = contrasts(self.n_predictors, reference)
            if intercept is not None:
                levels = np.zeros(self.n_predictors) if self.levels is None else self.levels[units.classes]
                intercept = rebound(self._of_set(intercept), np.arange(matrix.shape[1]), sets(levels, matrix))
        return StandardisedPriors(
            coef=tuple(self._of_set(prior.transformed(0.0, unit[prior.bound[0]])) for prior in self.coef),
            intercept=intercept,
            aux={name: prior.transformed(0.0, _aux_unit(units, name)) for name, prior in self.aux.items()},
            shift=np.zeros(len(unit)) if self.centred else units.x_mean / units.x_unit,
            positive=self.positive,
            contrasts=matrix,
        )

    def _of_set(self, prior: Prior) -> Prior:
        """Return the prior of a set where ``prior`` is that of the difference between two classes."""
        if not self.sums_to_zero:
            return prior
        return prior.moved(prior.bound[1], OF_DIFFERENCE * prior.bound[2])

    def _refuse_out_of_range(self, units: Summary | RegressionData, unit: np.ndarray) -> None:
        """Refuse a prior so far from the data's own scale that no arithmetic can hold both."""
        checked = [
            (label, prior, unit[prior.bound[0]], 0.0)
            for label, prior in zip(self.labels, self.coef, strict=True)
        ]
        checked.extend(
            (f"{name}_prior", prior, _aux_unit(units, name), 0.0) for name, prior in self.aux.items()
        )
        if self.intercept is not None:
            checked.append(("intercept_prior", self.intercept, units.y_unit, units.y_mean))
        for name, prior, scale, shift in checked:
            if not len(prior.bound[1]) or isinstance(prior, Flat):
                continue
            widths, distances = prior.bound[2] / scale, np.abs(prior.bound[1] - shift) / scale
            if isinstance(prior, SparsePrior):  # the second array is a factor of sigma there, no place
                distances = np.zeros(1)
            if widths.min() < 1e-50 or max(widths.max(), distances.max()) > 1e50:
                constant = isinstance(units, Summary) and units.y_sd == 0.0
                if constant and not 1e-50 < abs(units.y_mean) < 1e50:
                    raise ValueError(
                        f"y is constant at {units.y_mean:g}, which tells priors nothing of their scale and is more "
                        "than 1e50 times larger or smaller than 1: divide y by a constant."
                    )
                raise ValueError(
                    f"{name}: {prior.resolved()} is more than 1e50 times larger or smaller than the scale of the data; "
                    "check the units of both."
                )

    def log_density(self, draws: Mapping[str, np.ndarray], x_mean: np.ndarray) -> dict[str, np.ndarray]:
        """Return the log prior density of draws by variable, each shaped as the draws.

        Coefficients whose prior is on all of them together have none of their own, and are left out. Of several
        classes that add up to zero each has a share of the density of the contrasts.
        """
        out = {name: prior.logpdf(draws[name][..., np.newaxis])[..., 0] for name, prior in self.aux.items()}
        coef = draws["coef"]
        if _sparse(self.coef) is None:
            out["coef"] = np.empty(coef.shape)
        for prior in self.coef if "coef" in out else ():
            out["coef"][..., prior.bound[0]] = self._log_density(prior, coef[..., prior.bound[0]])
        if self.intercept is not None:
            level = draws["Intercept"] + (coef @ x_mean if self.centred else 0.0)
            if self.levels is not None:
                level = level - self._expected_levels()
            out["Intercept"] = self._log_density(self.intercept, level[..., np.newaxis])[..., 0]
        if self.reference is not None:  # zero, and no parameters
            for name in out.keys() & {"coef", "Intercept"}:
                np.moveaxis(out[name], 2, 0)[self.reference] = 0.0
        return out

    def _log_density(self, prior: Prior, values: np.ndarray) -> np.ndarray:
        """Return the log density of coefficients or intercepts, of several classes by class."""
        own = self._of_set(prior)
        found = np.asarray(own.logpdf(values))
        if self.sums_to_zero:
            # Squares of contrasts add up to those of coefficients, but there is one contrast fewer.
            found = found - own.logpdf(np.asarray(own.bound[1])) / self.n_predictors
        return found

    def _expected_levels(self) -> np.ndarray:
        """Return what the intercepts of several classes are around, in their coding."""
        assert self.levels is not None
        return self.levels - (self.levels.mean() if self.reference is None else self.levels[self.reference])

    def draw(self, rng: np.random.Generator, size: int, x_mean: np.ndarray) -> dict[str, np.ndarray]:
        """Draw ``size`` parameter sets from the prior; raises ValueError for a flat one."""
        flat = [
            label
            for label, prior in (
                *zip(self.labels, self.coef, strict=True),
                ("Intercept", self.intercept),
                *self.aux.items(),
            )
            if isinstance(prior, Flat)
        ]
        if flat:
            raise ValueError(
                f"The prior of {flat[0]} is flat, so nothing can be drawn from it: give a proper prior, or leave "
                "prior=True out."
            )
        matrix = np.eye(1) if self.n_predictors == 1 else contrasts(self.n_predictors, self.reference)
        shape = (size,) if self.n_predictors == 1 else (size, matrix.shape[1])
        n = int(np.prod(shape))
        coef = np.empty((*shape, len(self.positive)))
        sparse = _sparse(self.coef)
        for prior in self.coef if sparse is None else ():
            coef[..., prior.bound[0]] = self._of_set(prior).draw(rng, n).reshape(*shape, -1)
        if self.n_predictors > 1:
            coef = matrix @ coef
        out = {"coef": coef, **{name: prior.draw(rng, size)[:, 0] for name, prior in self.aux.items()}}
        hyper: dict[str, np.ndarray] = {}
        if sparse is not None:
            coef[:], hyper = sparse.draw_with(rng, out.get("sigma", np.ones(size)))
        if self.intercept is not None:
            level = self._of_set(self.intercept).draw(rng, n)[:, 0].reshape(shape)
            if self.n_predictors > 1:
                level = level @ matrix.T + (0.0 if self.levels is None else self._expected_levels())
            out["Intercept"] = level - (coef @ x_mean if self.centred else 0.0)
        return out | hyper

    def describe(self, columns: Sequence[str], most: int | None = None) -> list[tuple[str, str]]:
        """Return (parameter, prior after scaling) for the report.

        Parameters
        ----------
        columns : sequence of str
            Names of the coefficients.
        most : int, optional
            Of coefficients that share a prior but for its scale or location, up to so many are listed each by itself,
            more by the range. None: all of them.
        """
        lines = [] if self.intercept is None else [("Intercept", str(self.intercept.resolved()))]
        if lines and self.centred:
            lines[0] = ("Intercept (at the predictors' means)", lines[0][1])
        if lines and self.levels is not None:
            lines[0] = (lines[0][0], f"{lines[0][1]} around the classes' shares")
        for label, prior in zip(self.labels, self.coef, strict=True):
            if isinstance(prior, SparsePrior):
                found = [(f"{label}, at sd(x) = 1", str(prior.resolved()))]
            else:
                found = _described(label, prior, columns, most)
            cut = ", cut off below 0" if prior.bound[3] else ""
            lines.extend((name, f"{text}{cut}") for name, text in found)
        lines.extend((name, str(prior.resolved())) for name, prior in self.aux.items())
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
    # Where weights are precisions, noise is that of a row of weight 1, whatever the weights add up to.
    data = PriorScale(
        summary.x_sd,
        summary.y_mean,
        summary.y_sd,
        summary.weight,
        summary.y_unit / summary.sigma_unit,
        summary.x_mean,
    )
    coef = coefficient_priors(data, columns, terms, prior, prior_scale, positive)
    intercept = bound_intercept(data, intercept_prior, prior) if summary.intercept else None
    usual: Prior = HalfStudentT(df=DEFAULT_SIGMA_DF, autoscale=True)
    if is_preset(prior):
        usual = aux_preset(prior).get("sigma", usual)
    sigma = bound_positive(sigma_prior, usual, data.sd_y / data.per_noise, "sigma_prior")
    exact_fit = summary.exact_fit and not np.any(coef.positive & (summary.least_squares < 0.0))
    if exact_fit:
        # The likelihood grows without bound as sigma goes to 0 and says nothing of how far: only a prior at
        # the resolution of the numbers keeps sigma there (one degree of freedom leaves log sigma uniform).
        scale = float(np.sqrt(summary.rss / summary.weight) * summary.sigma_unit)
        sigma = HalfStudentT(df=DEFAULT_SIGMA_DF, scale=scale).bind([0])
    return PriorSet(
        coef=coef.bound,
        intercept=intercept,
        aux={"sigma": sigma},
        centred=bool(center) or intercept_prior is None,
        positive=coef.positive,
        labels=coef.labels,
        exact_fit=exact_fit,
    )


def _aux_unit(units: Summary | RegressionData, name: str) -> float:
    """Return the unit in which the kernel has an auxiliary parameter."""
    return units.aux_units.get(name, 1.0) if isinstance(units, RegressionData) else units.sigma_unit


@dataclass(frozen=True)
class _Range:
    """What stands for a parameter that differs between coefficients where a prior is written down."""

    low: float
    high: float

    def __repr__(self) -> str:
        return f"{self.low:.4g} to {self.high:.4g}"


def _described(label: str, prior: Prior, columns: Sequence[str], most: int | None) -> list[tuple[str, str]]:
    """Return (parameter, prior) of one prior after scaling; see `PriorSet.describe`."""
    whole = prior.resolved()
    params = whole.get_params()
    arrays = {name: value for name, value in params.items() if isinstance(value, np.ndarray)}
    positions = prior.bound[0]

    def written(values: Mapping[str, Any]) -> str:
        return str(type(whole)(**{**params, **values}))

    if not arrays:
        return [(label, written({}))]
    if most is not None and len(positions) > most:
        ranges = {name: _Range(values.min(), values.max()) for name, values in arrays.items()}
        return [(label, f"{written(ranges)}, each column its own: posterior_.priors")]
    texts = [
        written({name: float(values[i]) for name, values in arrays.items()}) for i in range(len(positions))
    ]
    if len(set(texts)) == 1:
        return [(label, texts[0])]
    return [(columns[position], text) for position, text in zip(positions, texts, strict=True)]


def _sparse(priors: Sequence[Prior]) -> SparsePrior | None:
    """Return the prior on all coefficients together, if that is what they have."""
    return next((prior for prior in priors if isinstance(prior, SparsePrior)), None)
