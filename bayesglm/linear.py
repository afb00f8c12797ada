"""BayesianLinearRegression: linear regression with Gaussian noise and the full posterior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayesglm.argument_types import CoefficientPriors, PriorLike, RandomState
from bayesglm.base import BayesianRegressor


class BayesianLinearRegression(BayesianRegressor):
    """Bayesian linear regression with the interface of `sklearn.linear_model.LinearRegression`.

    y = intercept + X @ coef + noise, noise ~ Normal(0, sigma²). The posterior is sampled by NUTS from
    sufficient statistics, so its cost does not depend on the number of rows after one pass over them.
    With normal (or flat) priors on the coefficients, `coef_`, `intercept_`, `sigma_`, `predict`, its
    standard deviation, intervals and densities are computed by quadrature over sigma and carry no Monte
    Carlo error.

    Parameters
    ----------
    formula : str, optional
        A patsy formula such as ``"y ~ x + np.log(z) + C(group)"``, fitted to a data frame; with or
        without its left side. None: X is the design matrix.
    prior : Prior, str, mapping or None, default=None
        Of the coefficients. None: ``Normal(0, 2.5, autoscale=True)``, that is N(0, (2.5 sd(y)/sd(x_j))²)
        (half-normal with ``positive=True``). One prior serves every coefficient; a mapping gives priors
        to columns or terms by name and leaves the rest with the default. A name such as ``"laplace"``
        stands for that family with scale 2.5 and ``autoscale``. `Horseshoe` and `R2D2` serve all
        coefficients together.
    prior_scale : float, optional
        Replaces the scale of the coefficients' prior; the parameter to search over.
    intercept_prior : Prior, str or None, default=None
        None: N(mean(y), (2.5 sd(y))²) on the intercept of the centred predictors.
    sigma_prior : Prior, str or None, default=None
        Of the noise's standard deviation. None: half-Student-t with 4 degrees of freedom, scale sd(y).
    fit_intercept : bool, default=True
    center : bool, default=True
        Whether a given `intercept_prior` speaks of the intercept at the predictors' means (bambi, brms,
        rstanarm) or at zero (a plain PyMC or Stan model). `intercept_` is at zero in any case.
    positive : bool, default=False
        Whether all coefficients must be positive.
    chains : int, default=4
    draws : int, default=1000
        Draws kept a chain.
    tune : int, optional
        Warm-up draws a chain. None: 100 where the scale of the posterior is known in advance (normal
        priors), up to 400 where it is not.
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
    weights_type : {"frequency", "precision"}, default="frequency"
        What `sample_weight` means. A frequency of w counts a row as w equal rows, as everywhere in
        scikit-learn: more weight, more data. A precision of w says that a row's noise has variance sigma²/w, as
        in R's ``lm``: the number of rows stays what it is, and only ratios of weights matter to the
        coefficients.
    copy_X, tol
        Accepted, and without effect, for those who come from `LinearRegression`: X is never written to, and
        nothing is iterated to a tolerance.

    Attributes
    ----------
    coef_ : ndarray of shape (p,) or (k, p)
        Posterior means, in the order of ``coef_names_``; one row a response if y has two dimensions.
    coef_names_ : ndarray of shape (p,)
        Names of the coefficients: with a formula patsy's columns, otherwise those of X, or x0, x1, ...
    intercept_ : float or ndarray of shape (k,)
        Posterior mean at X = 0; 0.0 without an intercept.
    sigma_ : float or ndarray of shape (k,)
        Posterior mean of the noise's standard deviation.
    posterior_ : Posterior or JointPosterior
        Draws, statistics and diagnostics as plain NumPy.
    rank_ : int
        Number of directions in which the predictors vary.
    singular_ : ndarray of shape (min(n, p),)
        Singular values of the (centred) predictors.
    n_features_in_ : int
        Columns of X; with a formula, those of the data frame that its right side reads.
    feature_names_in_ : ndarray of str
        Their names, if X has string column names; with a formula in the order in which it names them.

    References
    ----------
    Hoffman & Gelman (2014), The No-U-Turn Sampler. Betancourt (2017), arXiv:1701.02434.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesglm import BayesianLinearRegression
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 2))
    >>> y = 1 + X @ [2, -1] + rng.normal(scale=0.5, size=100)
    >>> model = BayesianLinearRegression(random_state=0).fit(X, y)
    >>> model.coef_.round(2)
    array([ 1.95, -0.91])
    >>> model.predict(X[:2], return_std=True)[1].round(2)
    array([0.57, 0.57])
    """

    def __init__(
        self,
        formula: str | None = None,
        *,
        prior: CoefficientPriors | None = None,
        prior_scale: float | str | None = None,
        intercept_prior: PriorLike | None = None,
        sigma_prior: PriorLike | None = None,
        fit_intercept: bool = True,
        center: bool = True,
        positive: bool = False,
        chains: int = 4,
        draws: int = 1000,
        tune: int | None = None,
        target_accept: float = 0.8,
        max_treedepth: int = 10,
        n_jobs: int | None = None,
        random_state: RandomState | None = None,
        progressbar: bool | None = None,
        formula_namespace: Mapping[str, Any] | None = None,
        weights_type: str = "frequency",
        copy_X: bool = True,
        tol: float = 1e-6,
        formula_strict: bool = False,
    ):
        self.formula = formula
        self.prior = prior
        self.prior_scale = prior_scale
        self.intercept_prior = intercept_prior
        self.sigma_prior = sigma_prior
        self.fit_intercept = fit_intercept
        self.center = center
        self.positive = positive
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
        self.weights_type = weights_type
        self.copy_X = copy_X
        self.tol = tol
