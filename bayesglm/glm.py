"""BayesianGLM: a generalised linear model with any family and link, and the full posterior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayesglm.argument_types import CoefficientPriors, PriorLike, RandomState
from bayesglm.families import Bernoulli, resolve_family
from bayesglm.family_base import FamilyModel, Rows
from bayesglm.family_predictor import FamilyPredictor
from bayesglm.kernel.family import Family


class BayesianGLM(FamilyPredictor, FamilyModel):
    """Bayesian generalised linear model.

    The mean of y is a function of intercept + X @ coef + offset; the family says how y is distributed around it.
    The posterior is sampled in coordinates in which it is nearly standard normal: by batches of proposals that
    the exact likelihood judges in one pass over the data where they serve, by NUTS where they do not.

    Parameters
    ----------
    formula : str, optional
        A patsy formula such as ``"y ~ x + np.log(z) + C(group)"``, fitted to a data frame; with or
        without its left side. None: X is the design matrix.
    family : str or Family, default="gaussian"
        "gaussian", "student_t", "laplace", "bernoulli", "binomial", "poisson", "negative_binomial", "gamma",
        "inverse_gaussian", "beta", or an object of `bayesglm.families` with parameters of its own.
    link : str, optional
        None: the family's usual one. "logit", "probit" and "cloglog" for bernoulli and binomial.
    prior : Prior, str, mapping or None, default=None
        Of the coefficients. None: ``Normal(0, 2.5, autoscale=True)``, that is N(0, (2.5/sd(x_j))²) on the scale
        of the link (times sd(y) where the link is the identity; half-normal with ``positive=True``). One prior
        serves every coefficient; a mapping gives priors to columns or terms by name. A name such as
        ``"laplace"`` stands for that family with scale 2.5 and ``autoscale``.
    prior_scale : float, optional
        Replaces the scale of the coefficients' prior; the parameter to search over.
    intercept_prior : Prior, str or None, default=None
        None: Normal with scale 2.5 (sd(y) with the identity) around the linear predictor of a model without
        predictors, on the intercept of the centred predictors.
    aux_priors : mapping of str to prior, optional
        Of the family's auxiliary parameters by name, such as ``{"phi": Exponential(1)}``.
    fit_intercept : bool, default=True
    center : bool, default=True
        Whether a given `intercept_prior` speaks of the intercept at the predictors' means or at zero.
    positive : bool, default=False
        Whether all coefficients must be positive.
    sampler : {"auto", "nuts"}, default="auto"
        "auto": batches where the normal approximation is good enough; "nuts": NUTS always.
    dtype : {"float64", "float32"}, default="float64"
        How predictors are kept for sampling; "float32" halves what is read. Sums are doubles in any case.
    chains : int, default=4
    draws : int, default=1000
        Draws kept a chain.
    tune : int, optional
        Warm-up draws a chain of NUTS. None: 100 where the space turns out to be standardised well, up to 400.
    target_accept : float, default=0.8
        Acceptance rate that the step size is tuned to.
    max_treedepth : int, default=10
        A trajectory has at most 2**max_treedepth steps.
    n_jobs : int, optional
        Threads. None: one a chain up to the number of processors, and one inside a joblib worker. Results
        do not depend on it.
    random_state : None, int, RandomState or Generator, default=None
        The same int gives the same draws.
    progressbar : bool, optional
        None: a bar appears when a fit takes longer than two seconds at a terminal or in a notebook.
    formula_namespace : mapping, optional
        Functions and constants that the formula may use besides patsy's builtins and ``np``.
    formula_strict : bool, default=False
        Take nothing in a formula but columns, numbers, texts, operators and a list of known functions, as is right for
        formulas of strangers: see "Formulas and files of strangers" in docs/saving.md.

    Attributes
    ----------
    coef_ : ndarray of shape (p,)
        Posterior means, in the order of ``coef_names_``.
    coef_names_ : ndarray of shape (p,)
        Names of the coefficients: with a formula patsy's columns, otherwise those of X, or x0, x1, ...
    intercept_ : float
        Posterior mean at X = 0; 0.0 without an intercept.
    aux_ : dict of float
        Posterior means of the auxiliary parameters by name; each also has an attribute of its own, as ``phi_``.
    posterior_ : Posterior
        Draws, statistics and diagnostics as plain NumPy. ``posterior_.how`` is "batch" or "nuts".
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Names of the columns, if X has string column names; with a formula, of those that its right side reads.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesglm import BayesianGLM
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 2))
    >>> y = rng.poisson(np.exp(1 + X @ [0.5, -0.3]))
    >>> model = BayesianGLM(family="poisson", random_state=0).fit(X, y)
    >>> model.coef_.round(1)
    array([ 0.5, -0.3])
    """

    def __init__(
        self,
        formula: str | None = None,
        *,
        family: Any = "gaussian",
        link: str | None = None,
        prior: CoefficientPriors | None = None,
        prior_scale: float | str | None = None,
        intercept_prior: PriorLike | None = None,
        aux_priors: Mapping[str, Any] | None = None,
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
        self.family = family
        self.link = link
        self.prior = prior
        self.prior_scale = prior_scale
        self.intercept_prior = intercept_prior
        self.aux_priors = aux_priors
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

    def _takes_booleans(self) -> bool:
        return isinstance(self.family, Bernoulli) or (
            isinstance(self.family, str) and self.family == "bernoulli"
        )

    def _make_family(self, rows: Rows) -> Family:
        return resolve_family(self.family, self.link)

    def _aux_priors(self) -> dict[str, Any]:
        if self.aux_priors is not None and not isinstance(self.aux_priors, Mapping):
            raise TypeError(
                f"aux_priors must be a mapping of names to priors, such as {{'phi': Exponential(1)}}; got "
                f"{self.aux_priors!r}."
            )
        return dict(self.aux_priors or {})
