"""Priors on all coefficients together, for few signals among many predictors.

Each coefficient has a scale of its own, drawn from a distribution that pulls most of them to zero and leaves a
few free. They are descriptions as those in `bayesglm.kernel.priors` are, but a coefficient's density follows only
from the scales of all, so that it is a map of coordinates (`bayesglm.kernel.coefficient_maps`) that does the work.
Where sigma is the noise of the response, scales of coefficients are in units of sigma/sd(x): the standard error of
a coefficient is about sigma/(sd(x) sqrt(n)), and that is what shrinkage has to do with.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from bayesglm.kernel.coefficient_maps import CoefMap
from bayesglm.kernel.horseshoe import HorseshoeMap
from bayesglm.kernel.positive_priors import HalfStudentT
from bayesglm.kernel.priors import Prior, is_positive
from bayesglm.kernel.shrinkage import LearnedScaleMap, R2D2Map


class SparsePrior(Prior):
    """What priors on all coefficients share; not for use by itself.

    Of a bound copy, ``bound`` is (index, noise, unit, False): what sigma is to be multiplied by, and what numbers of
    the prior itself are to be multiplied by, to be in the units of each coefficient.
    """

    #: Names of what is learned with the coefficients.
    hyper: ClassVar[tuple[str, ...]] = ()
    #: Parameters that must be positive numbers.
    numbers: ClassVar[tuple[str, ...]] = ()

    def bind(
        self,
        index: ArrayLike,
        *,
        unit: float | np.ndarray = 1.0,
        shift: float = 0.0,
        positive: bool = False,
        name: str = "prior",
    ) -> Self:
        """Return the copy that serves all coefficients, ``index``; see `Prior.bind` and `for_rows`.

        Raises
        ------
        ValueError
            If a parameter is not a number in its range, or the prior is to serve anything but all coefficients.
        """
        self._check(name)
        if name != "prior":
            raise ValueError(
                f"{name}: {self} is a prior on all coefficients together; give it as prior={self}."
            )
        if positive:
            raise ValueError(
                f"{name}: {self} is symmetrical about zero, so that positive=True cannot go with it; "
                "use HalfNormal or another prior on the positive numbers."
            )
        return super().bind(index, unit=unit, name=name)

    def for_rows(self, n_coef: int, n_rows: float) -> Self:
        """Return a copy whose parameters depend on the number of coefficients and rows no more."""
        self._check("prior")
        return type(self)(**self.get_params())

    def _check(self, name: str) -> None:
        for parameter in self.numbers:
            if not is_positive(getattr(self, parameter)):
                raise ValueError(
                    f"{name}: {parameter} must be a positive finite number; got {getattr(self, parameter)!r} in {self}."
                )

    @property
    def hyper_shape(self) -> tuple[int, ...]:
        """Shape of what is learned, a draw."""
        return ()

    def coef_map(
        self, noise: float = 1.0, *, scaled: bool = True, information: float | np.ndarray = 0.0
    ) -> CoefMap:
        """Return the map that a bound prior stands for.

        Parameters
        ----------
        noise : float, default=1.0
            Unit of the target's sigma; without one, the pseudo-sigma of the likelihood at the intercept.
        scaled : bool, default=True
            Whether the target has a sigma.
        information : float or array of shape (p,), default=0.0
            Precision of the likelihood in each coefficient, at sigma = 1 if there is one.
        """
        raise NotImplementedError

    def draw_with(
        self, rng: np.random.Generator, sigma: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Draw coefficients, shape (size, p), and hyperparameters by name, for each of ``sigma``, shape (size,)."""
        raise NotImplementedError


class Horseshoe(SparsePrior):
    """The regularised horseshoe (Piironen & Vehtari 2017), for a few signals among many predictors.

    A coefficient at sd(x) = 1 is normal with variance 1/(1/(tau lambda)² + 1/c²): a half-t global scale tau in units
    of the noise sigma pulls all coefficients to zero, half-t local scales lambda let single ones escape, and the slab
    c keeps those within reason. Draws of tau/sigma are in the posterior as ``global_scale``.

    Parameters
    ----------
    global_scale : float, optional
        Scale of the prior of tau/sigma. The default follows from `n_signals`.
    n_signals : float, optional
        A guess m at the number of predictors that matter, which gives tau the scale m/(p - m) sigma/sqrt(n). The
        default is a tenth of all predictors. Not both.
    df_local, df_global : float, default=1.0
        Degrees of freedom of the local and global scales; 1 is half-Cauchy.
    slab_scale : float, default=2.5
        In units of sd(y)/sd(x), always: like ``autoscale`` of other priors.
    slab_df : float, default=4.0
        c² ~ InverseGamma(slab_df/2, slab_df/2 slab_scale²), so that a large coefficient has a Student-t prior.
    """

    names = ("global_scale", "n_signals", "df_local", "df_global", "slab_scale", "slab_df")
    hyper = ("global_scale",)
    numbers = ("df_local", "df_global", "slab_scale", "slab_df")

    def __init__(
        self,
        global_scale: float | None = None,
        n_signals: float | None = None,
        df_local: float = 1.0,
        df_global: float = 1.0,
        slab_scale: float = 2.5,
        slab_df: float = 4.0,
    ) -> None:
        self.autoscale = True
        self.global_scale, self.n_signals = global_scale, n_signals
        self.df_local, self.df_global = df_local, df_global
        self.slab_scale, self.slab_df = slab_scale, slab_df

    def _check(self, name: str) -> None:
        super()._check(name)
        for parameter in ("global_scale", "n_signals"):
            value = getattr(self, parameter)
            if value is not None and not is_positive(value):
                raise ValueError(
                    f"{name}: {parameter} must be a positive finite number or None; got {value!r} in {self}."
                )
        if self.global_scale is not None and self.n_signals is not None:
            raise ValueError(f"{name}: give either global_scale or n_signals, not both; got {self}.")

    def bind(
        self,
        index: ArrayLike,
        *,
        unit: float | np.ndarray = 1.0,
        shift: float = 0.0,
        positive: bool = False,
        name: str = "prior",
    ) -> Self:
        """Return the copy that serves all coefficients; see `SparsePrior.bind`.

        Raises
        ------
        ValueError
            As there, or if `for_rows` has not settled the global scale.
        """
        copy = super().bind(index, unit=unit, shift=shift, positive=positive, name=name)
        if copy.global_scale is None:
            raise ValueError(f"{name}: {self} needs its global_scale before it can serve coefficients.")
        return copy

    def for_rows(self, n_coef: int, n_rows: float) -> Self:
        """Return a copy with a number for ``global_scale``.

        Raises
        ------
        ValueError
            If there are no more coefficients than signals.
        """
        copy = super().for_rows(n_coef, n_rows)
        if copy.global_scale is None:
            signals = copy.n_signals
            if signals is None:
                signals = min(max(0.1 * n_coef, 1.0), 0.5 * n_coef)
            if signals >= n_coef:
                raise ValueError(
                    f"prior: n_signals={signals} must be less than the number of coefficients, {n_coef}; "
                    "if all of them matter, use Normal."
                )
            copy.global_scale, copy.n_signals = float(signals / (n_coef - signals) / np.sqrt(n_rows)), None
        return copy

    def coef_map(
        self, noise: float = 1.0, *, scaled: bool = True, information: float | np.ndarray = 0.0
    ) -> HorseshoeMap:
        """Return the map that a bound prior stands for; see `SparsePrior.coef_map`."""
        assert self.global_scale is not None
        _, per_sigma, unit, _ = self.bound
        # The ratio is the same for all coefficients: that of sd(y) to the unit of sigma.
        ratio = float(unit[0] / (per_sigma[0] * noise))
        return HorseshoeMap(
            len(unit),
            self.global_scale,
            self.slab_scale * ratio,
            self.slab_df,
            self.df_local,
            self.df_global,
            per_sigma * noise,
            scaled,
            information,
        )

    def draw_with(
        self, rng: np.random.Generator, sigma: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Draw coefficients and ``global_scale``; see `SparsePrior.draw_with`."""
        assert self.global_scale is not None
        _, per_sigma, unit, _ = self.bound
        shape = len(sigma), len(unit)
        tau = self.global_scale * np.abs(rng.standard_t(self.df_global, len(sigma)))
        local = np.abs(rng.standard_t(self.df_local, shape))
        slab = self.slab_scale * np.sqrt(self.slab_df / rng.chisquare(self.slab_df, len(sigma)))
        free = (tau * sigma)[:, np.newaxis] * local * per_sigma
        scale = 1.0 / np.hypot(1.0 / free, 1.0 / (slab[:, np.newaxis] * unit))
        return scale * rng.standard_normal(shape), {"global_scale": tau}


class R2D2(SparsePrior):
    """The R2D2 prior (Zhang, Naughton, Bondell & Reich 2022): on how much the predictors explain, shared out.

    A coefficient at sd(x) = 1 is normal with variance sigma² phi R²/(1 - R²): R² is the share of the variance of y
    that independent predictors would explain, phi its distribution among them. Draws of R² are in the posterior as
    ``R2``; it is a parameter of the prior and not the fit's coefficient of determination.

    Parameters
    ----------
    mean : float, default=0.5
        Of R², between 0 and 1.
    precision : float, default=2.0
        R² ~ Beta(mean precision, (1 - mean) precision); the default is uniform.
    concentration : float, default=0.5
        phi ~ Dirichlet(concentration, ...): the smaller, the fewer predictors share in R².
    """

    names = ("mean", "precision", "concentration")
    hyper = ("R2",)
    numbers = ("mean", "precision", "concentration")

    def __init__(self, mean: float = 0.5, precision: float = 2.0, concentration: float = 0.5) -> None:
        self.autoscale = True
        self.mean, self.precision, self.concentration = mean, precision, concentration

    def _check(self, name: str) -> None:
        super()._check(name)
        if not self.mean < 1.0:
            raise ValueError(f"{name}: mean must be between 0 and 1, as R² is; got {self.mean!r} in {self}.")

    def coef_map(
        self, noise: float = 1.0, *, scaled: bool = True, information: float | np.ndarray = 0.0
    ) -> R2D2Map:
        """Return the map that a bound prior stands for; see `SparsePrior.coef_map`."""
        per_sigma = self.bound[1]
        return R2D2Map(
            len(per_sigma),
            self.mean,
            self.precision,
            self.concentration,
            per_sigma * noise,
            scaled,
            information,
        )

    def draw_with(
        self, rng: np.random.Generator, sigma: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Draw coefficients and ``R2``; see `SparsePrior.draw_with`."""
        per_sigma = self.bound[1]
        shape = len(sigma), len(per_sigma)
        explained = rng.beta(self.mean * self.precision, (1.0 - self.mean) * self.precision, len(sigma))
        share = rng.dirichlet(np.full(shape[1], self.concentration), len(sigma))
        with np.errstate(divide="ignore"):
            scale = np.sqrt(share * (explained / (1.0 - explained))[:, np.newaxis]) * sigma[:, np.newaxis]
        return scale * per_sigma * rng.standard_normal(shape), {"R2": explained}


class LearnedNormal(SparsePrior):
    """Normal priors whose scale is learned, one for all coefficients or one a group: what ``prior_scale="learn"`` is.

    coef_j ~ N(0, (l unit_j)²), l half-Student-t: unit_j is sd(y)/sd(x_j), so that l is on the scale of
    ``prior_scale``. Draws of l are in the posterior as ``prior_scale``.

    Parameters
    ----------
    df : float, default=4.0
    hyper_scale : float, default=2.5
        Of the half-Student-t prior of l.
    group : array of int, shape (p,), optional
        Number of the scale that each coefficient has. None: the same.
    """

    names = ("df", "hyper_scale", "group")
    numbers = ("df", "hyper_scale")
    hyper = ("prior_scale",)

    def __init__(self, df: float = 4.0, hyper_scale: float = 2.5, group: ArrayLike | None = None) -> None:
        self.autoscale = True
        self.df, self.hyper_scale, self.group = df, hyper_scale, group

    def __repr__(self) -> str:
        each = "" if self.group is None else ", one a term"
        return f"Normal(0, prior_scale), prior_scale ~ {HalfStudentT(self.df, self.hyper_scale)}{each}"

    @property
    def n_groups(self) -> int:
        """Number of scales."""
        return 1 if self.group is None else int(np.asarray(self.group).max(initial=0)) + 1

    @property
    def hyper_shape(self) -> tuple[int, ...]:
        """Shape of what is learned, a draw: a number, or one for each group."""
        return () if self.group is None else (self.n_groups,)

    def _check(self, name: str) -> None:
        super()._check(name)
        if self.group is None:
            return
        group = np.asarray(self.group)
        if group.ndim != 1 or group.dtype.kind not in "iu" or np.any((group < 0) | (group >= len(group))):
            raise ValueError(f"{name}: group must give each coefficient the number of its scale; got {self}.")

    def hyperprior(self) -> Prior:
        """Return the prior of the scales, bound to their positions."""
        return HalfStudentT(self.df, self.hyper_scale).bind(np.arange(self.n_groups))

    def coef_map(
        self, noise: float = 1.0, *, scaled: bool = True, information: float | np.ndarray = 0.0
    ) -> LearnedScaleMap:
        """Return the map that a bound prior stands for; see `SparsePrior.coef_map`."""
        return LearnedScaleMap(self.bound[2], self.hyperprior(), self.group, information)

    def draw_with(
        self, rng: np.random.Generator, sigma: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Draw coefficients and ``prior_scale``; see `SparsePrior.draw_with`."""
        unit = self.bound[2]
        scale = self.hyper_scale * np.abs(rng.standard_t(self.df, (len(sigma), self.n_groups)))
        group = np.zeros(len(unit), np.intp) if self.group is None else np.asarray(self.group)
        coef = scale[:, group] * unit * rng.standard_normal((len(sigma), len(unit)))
        return coef, {"prior_scale": scale[:, 0] if self.group is None else scale}


#: Priors on all coefficients by the names that ``prior="..."`` takes.
SPARSE_PRIORS = {"horseshoe": Horseshoe, "r2d2": R2D2}
