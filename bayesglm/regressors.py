"""Regressors for one kind of response each: counts, overdispersed counts, positive numbers, outliers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayesglm.argument_types import CoefficientPriors, PriorLike, RandomState
from bayesglm.families import Gamma, NegativeBinomial, Poisson, StudentT
from bayesglm.family_base import FamilyModel, Rows
from bayesglm.family_predictor import FamilyPredictor
from bayesglm.kernel.family import Family


class BayesianPoissonRegressor(FamilyPredictor, FamilyModel):
    """Counts whose mean is exp(intercept + X @ coef + offset) and whose variance is that mean.

    Drawn with ``exposure`` a mean is proportional to it. Counts with more variance than that are for
    `BayesianNegativeBinomialRegressor`.

    Parameters
    ----------
    formula : str, optional
        A patsy formula, with or without its left side. None: X is the design matrix.
    prior, prior_scale, intercept_prior, fit_intercept, center, positive, sampler, dtype
        See `BayesianGLM`.
    chains, draws, tune, target_accept, max_treedepth, n_jobs, random_state, progressbar
        See `BayesianGLM`.
    formula_namespace : mapping, optional
        See `BayesianGLM`.
    formula_strict : bool, default=False
        See `BayesianGLM`.

    Attributes
    ----------
    coef_ : ndarray of shape (p,)
        Posterior means.
    coef_names_ : ndarray of shape (p,)
        Names of the coefficients, as in `BayesianGLM`.
    intercept_ : float
    posterior_ : Posterior
        Draws, statistics and diagnostics as plain NumPy.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesglm import BayesianPoissonRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 2))
    >>> y = rng.poisson(np.exp(1 + X @ [0.5, -0.3]))
    >>> BayesianPoissonRegressor(random_state=0).fit(X, y).coef_.round(1)
    array([ 0.5, -0.3])
    """

    def __init__(
        self,
        formula: str | None = None,
        *,
        prior: CoefficientPriors | None = None,
        prior_scale: float | str | None = None,
        intercept_prior: PriorLike | None = None,
        fit_intercept: bool = True,
        center: bool = True,
        positive: bool = False,
        sampler: str = "auto",
        dtype: str = "float64",
        chains: int = 4,
        draws: int = 1000,
        tune: int | None = None,
        target_accept: float = 0.8,
        max_treedepth: int = 10,
        n_jobs: int | None = None,
        random_state: RandomState | None = None,
        progressbar: bool | None = None,
        formula_namespace: Mapping[str, Any] | None = None,
        formula_strict: bool = False,
    ):
        self.formula = formula
        self.prior = prior
        self.prior_scale = prior_scale
        self.intercept_prior = intercept_prior
        self.fit_intercept = fit_intercept
        self.center = center
        self.positive = positive
        self.sampler = sampler
        self.dtype = dtype
        self.chains = chains
        self.draws = draws
        self.tune = tune
        self.target_accept = target_accept
        self.max_treedepth = max_treedepth
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.progressbar = progressbar
        self.formula_namespace = formula_namespace
        self.formula_strict = formula_strict

    def _make_family(self, rows: Rows) -> Family:
        return Poisson()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags


class BayesianNegativeBinomialRegressor(FamilyPredictor, FamilyModel):
    """Overdispersed counts: mean mu = exp(intercept + X @ coef + offset), variance mu + mu²/phi.

    Poisson counts have phi = infinity; the smaller phi, the more they vary.

    Parameters
    ----------
    formula : str, optional
        A patsy formula, with or without its left side. None: X is the design matrix.
    prior, prior_scale, intercept_prior, fit_intercept, center, positive, sampler, dtype
        See `BayesianGLM`.
    chains, draws, tune, target_accept, max_treedepth, n_jobs, random_state, progressbar
        See `BayesianGLM`.
    formula_namespace : mapping, optional
        See `BayesianGLM`.
    formula_strict : bool, default=False
        See `BayesianGLM`.
    phi : float, optional
        None: estimated.
    phi_prior : Prior, str or None, default=None
        None: an inverse gamma distribution that falls slowly towards Poisson counts and leaves room for any
        overdispersion.

    Attributes
    ----------
    coef_ : ndarray of shape (p,)
        Posterior means.
    coef_names_ : ndarray of shape (p,)
        Names of the coefficients, as in `BayesianGLM`.
    intercept_ : float
    phi_ : float
        Posterior mean of phi, where it is estimated.
    posterior_ : Posterior
        Draws, statistics and diagnostics as plain NumPy.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesglm import BayesianNegativeBinomialRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 2))
    >>> y = rng.poisson(np.exp(1 + X @ [0.5, -0.3]) * rng.gamma(2.0, 0.5, size=1000))
    >>> BayesianNegativeBinomialRegressor(random_state=0).fit(X, y).coef_.round(1)
    array([ 0.5, -0.3])
    """

    def __init__(
        self,
        formula: str | None = None,
        *,
        phi: float | None = None,
        phi_prior: PriorLike | None = None,
        prior: CoefficientPriors | None = None,
        prior_scale: float | str | None = None,
        intercept_prior: PriorLike | None = None,
        fit_intercept: bool = True,
        center: bool = True,
        positive: bool = False,
        sampler: str = "auto",
        dtype: str = "float64",
        chains: int = 4,
        draws: int = 1000,
        tune: int | None = None,
        target_accept: float = 0.8,
        max_treedepth: int = 10,
        n_jobs: int | None = None,
        random_state: RandomState | None = None,
        progressbar: bool | None = None,
        formula_namespace: Mapping[str, Any] | None = None,
        formula_strict: bool = False,
    ):
        self.formula = formula
        self.phi = phi
        self.phi_prior = phi_prior
        self.prior = prior
        self.prior_scale = prior_scale
        self.intercept_prior = intercept_prior
        self.fit_intercept = fit_intercept
        self.center = center
        self.positive = positive
        self.sampler = sampler
        self.dtype = dtype
        self.chains = chains
        self.draws = draws
        self.tune = tune
        self.target_accept = target_accept
        self.max_treedepth = max_treedepth
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.progressbar = progressbar
        self.formula_namespace = formula_namespace
        self.formula_strict = formula_strict

    def _make_family(self, rows: Rows) -> Family:
        return NegativeBinomial(phi=self.phi)

    def _aux_priors(self) -> dict[str, Any]:
        given = {"phi": self.phi_prior}
        return {name: prior for name, prior in given.items() if prior is not None}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags


class BayesianGammaRegressor(FamilyPredictor, FamilyModel):
    """Positive numbers with mean mu = exp(intercept + X @ coef + offset) and standard deviation mu/sqrt(shape).

    For amounts whose spread grows with their size, such as costs, durations and claims.

    Parameters
    ----------
    formula : str, optional
        A patsy formula, with or without its left side. None: X is the design matrix.
    prior, prior_scale, intercept_prior, fit_intercept, center, positive, sampler, dtype
        See `BayesianGLM`.
    chains, draws, tune, target_accept, max_treedepth, n_jobs, random_state, progressbar
        See `BayesianGLM`.
    formula_namespace : mapping, optional
        See `BayesianGLM`.
    formula_strict : bool, default=False
        See `BayesianGLM`.
    shape_prior : Prior, str or None, default=None
        Of the shape of the gamma distribution. None: weakly informative over orders of magnitude.

    Attributes
    ----------
    coef_ : ndarray of shape (p,)
        Posterior means.
    coef_names_ : ndarray of shape (p,)
        Names of the coefficients, as in `BayesianGLM`.
    intercept_ : float
    shape_ : float
        Posterior mean of the shape.
    posterior_ : Posterior
        Draws, statistics and diagnostics as plain NumPy.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesglm import BayesianGammaRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 2))
    >>> y = np.exp(1 + X @ [0.5, -0.3]) * rng.gamma(3.0, 1 / 3.0, size=500)
    >>> BayesianGammaRegressor(random_state=0).fit(X, y).coef_.round(1)
    array([ 0.5, -0.3])
    """

    def __init__(
        self,
        formula: str | None = None,
        *,
        shape_prior: PriorLike | None = None,
        prior: CoefficientPriors | None = None,
        prior_scale: float | str | None = None,
        intercept_prior: PriorLike | None = None,
        fit_intercept: bool = True,
        center: bool = True,
        positive: bool = False,
        sampler: str = "auto",
        dtype: str = "float64",
        chains: int = 4,
        draws: int = 1000,
        tune: int | None = None,
        target_accept: float = 0.8,
        max_treedepth: int = 10,
        n_jobs: int | None = None,
        random_state: RandomState | None = None,
        progressbar: bool | None = None,
        formula_namespace: Mapping[str, Any] | None = None,
        formula_strict: bool = False,
    ):
        self.formula = formula
        self.shape_prior = shape_prior
        self.prior = prior
        self.prior_scale = prior_scale
        self.intercept_prior = intercept_prior
        self.fit_intercept = fit_intercept
        self.center = center
        self.positive = positive
        self.sampler = sampler
        self.dtype = dtype
        self.chains = chains
        self.draws = draws
        self.tune = tune
        self.target_accept = target_accept
        self.max_treedepth = max_treedepth
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.progressbar = progressbar
        self.formula_namespace = formula_namespace
        self.formula_strict = formula_strict

    def _make_family(self, rows: Rows) -> Family:
        return Gamma()

    def _aux_priors(self) -> dict[str, Any]:
        given = {"shape": self.shape_prior}
        return {name: prior for name, prior in given.items() if prior is not None}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags


class BayesianRobustRegression(FamilyPredictor, FamilyModel):
    """Linear regression with Student-t noise, on which outliers have little influence.

    y = intercept + X @ coef + sigma t, t with df degrees of freedom: as few as the data ask for, so that a line
    follows the bulk of them.

    Parameters
    ----------
    formula : str, optional
        A patsy formula, with or without its left side. None: X is the design matrix.
    prior, prior_scale, intercept_prior, fit_intercept, center, positive, sampler, dtype
        See `BayesianGLM`.
    chains, draws, tune, target_accept, max_treedepth, n_jobs, random_state, progressbar
        See `BayesianGLM`.
    formula_namespace : mapping, optional
        See `BayesianGLM`.
    formula_strict : bool, default=False
        See `BayesianGLM`.
    df : float, optional
        Degrees of freedom of the noise. None: estimated.
    sigma_prior, df_prior : Prior, str or None, default=None
        None: half-Student-t with the scale of y; Gamma(2, scale 10) (Juárez & Steel 2010).

    Attributes
    ----------
    coef_ : ndarray of shape (p,)
        Posterior means.
    coef_names_ : ndarray of shape (p,)
        Names of the coefficients, as in `BayesianGLM`.
    intercept_ : float
    sigma_, df_ : float
        Posterior means of scale and, where they are estimated, degrees of freedom of the noise.
    posterior_ : Posterior
        Draws, statistics and diagnostics as plain NumPy.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesglm import BayesianRobustRegression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = 1 + X @ [2.0, -1.0] + 0.3 * rng.normal(size=200)
    >>> y[:10] += 50.0
    >>> BayesianRobustRegression(random_state=0).fit(X, y).coef_.round(1)
    array([ 2., -1.])
    """

    def __init__(
        self,
        formula: str | None = None,
        *,
        df: float | None = None,
        sigma_prior: PriorLike | None = None,
        df_prior: PriorLike | None = None,
        prior: CoefficientPriors | None = None,
        prior_scale: float | str | None = None,
        intercept_prior: PriorLike | None = None,
        fit_intercept: bool = True,
        center: bool = True,
        positive: bool = False,
        sampler: str = "auto",
        dtype: str = "float64",
        chains: int = 4,
        draws: int = 1000,
        tune: int | None = None,
        target_accept: float = 0.8,
        max_treedepth: int = 10,
        n_jobs: int | None = None,
        random_state: RandomState | None = None,
        progressbar: bool | None = None,
        formula_namespace: Mapping[str, Any] | None = None,
        formula_strict: bool = False,
    ):
        self.formula = formula
        self.df = df
        self.sigma_prior = sigma_prior
        self.df_prior = df_prior
        self.prior = prior
        self.prior_scale = prior_scale
        self.intercept_prior = intercept_prior
        self.fit_intercept = fit_intercept
        self.center = center
        self.positive = positive
        self.sampler = sampler
        self.dtype = dtype
        self.chains = chains
        self.draws = draws
        self.tune = tune
        self.target_accept = target_accept
        self.max_treedepth = max_treedepth
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.progressbar = progressbar
        self.formula_namespace = formula_namespace
        self.formula_strict = formula_strict

    def _make_family(self, rows: Rows) -> Family:
        return StudentT(df=self.df)

    def _aux_priors(self) -> dict[str, Any]:
        given = {"sigma": self.sigma_prior, "df": self.df_prior}
        return {name: prior for name, prior in given.items() if prior is not None}
