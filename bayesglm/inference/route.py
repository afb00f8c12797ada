"""Choose how a posterior is computed, compute it, and bring its draws back to the user's scale."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import stdtrit
from sklearn.exceptions import ConvergenceWarning

from bayesglm.inference.caller import stack_level
from bayesglm.inference.collapsed import Collapsed, collapses
from bayesglm.inference.diagnostics import Diagnostics, diagnose, warning_texts
from bayesglm.inference.exact import ExactPosterior
from bayesglm.inference.gaussian import ConditionalGaussian
from bayesglm.inference.general import sampled_target, unwhiten
from bayesglm.inference.posterior import JointPosterior, Posterior, stack
from bayesglm.inference.prior_set import PriorSet
from bayesglm.inference.progress import Progress
from bayesglm.inference.sampling import (
    TUNE_KNOWN_SCALE,
    TUNE_UNKNOWN_SCALE,
    Run,
    Settings,
    resume,
    run,
    seed_sequence,
)
from bayesglm.inference.shrinkage import shrunk_target
from bayesglm.inference.shrinkage import unwhiten as unwhiten_shrunk
from bayesglm.inference.sufficient import Summary
from bayesglm.kernel.coefficient_maps import MappedTarget
from bayesglm.kernel.target import AffineTarget, Target

#: Probability that a correct sampler is reported to disagree with the exact marginals.
FALSE_ALARM = 1e-5


class Route:
    """A fitted model's way from its summary to draws; can go on drawing later, without the data.

    Parameters
    ----------
    summary : Summary
    priors : PriorSet

    Attributes
    ----------
    how : {"diagonal", "collapsed", "nuts"}
    exact : ExactPosterior or None

    Raises
    ------
    NotIdentifiedError, ArithmeticError
        If the posterior is improper.
    """

    def __init__(self, summary: Summary, priors: PriorSet):
        standardised = priors.standardised(summary)
        gaussian = standardised.gaussian()
        self.conditional: ConditionalGaussian | None = None
        self.exact: ExactPosterior | None = None
        self.collapsed: Collapsed | None = None
        self.target: Target
        self._intercept = summary.intercept
        self._x_mean = summary.x_mean
        self._x_unit = summary.x_unit
        self._y_mean = summary.y_mean
        self._y_unit = summary.y_unit
        self._sigma_unit = summary.sigma_unit
        if gaussian is not None:
            self.how = "diagonal"
            self.conditional = ConditionalGaussian(summary, gaussian)
            self.exact = ExactPosterior(self.conditional, summary)
            self.target = self.conditional.target
        elif collapses(standardised):
            self.how = "collapsed"
            self.collapsed = Collapsed(summary, standardised)
            self.target = self.collapsed.target
        elif standardised.sparse is not None:
            self.how = "nuts"
            self.target = shrunk_target(summary, standardised, standardised.sparse)
        else:
            self.how = "nuts"
            self.target, self.conditional = sampled_target(summary, standardised)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Version 0.1.0 knew weights as frequencies only.
        self.__dict__.update({"_sigma_unit": state["_y_unit"], "collapsed": None, **state})

    def sample(
        self,
        settings: Settings,
        random_state: Any,
        summary: Summary,
        priors: PriorSet,
        features: tuple[str, ...],
        listener: Callable[[float], None] | None = None,
        labels: dict[str, tuple[str, ...]] | None = None,
    ) -> Posterior:
        """Warm up, sample, diagnose.

        Parameters
        ----------
        settings : Settings
        random_state : None, int, RandomState or Generator
        summary, priors
            What the route was made from, for the record.
        features : tuple of str
        listener : callable, optional
            Told the share of the sampling that is done, from 0 to 1.
        labels : dict, optional
            See `Posterior`.

        Returns
        -------
        Posterior
        """
        begin = time.perf_counter()
        seeds = seed_sequence(random_state)
        usual = TUNE_KNOWN_SCALE if self.how == "diagonal" else TUNE_UNKNOWN_SCALE
        total = settings.draws + (usual if settings.tune is None else settings.tune)
        with Progress(total, settings.progressbar, listener) as progress:
            found = run(self.target, settings, seeds, known_scale=self.how == "diagonal", progress=progress)
        self.target = found.target
        self._states = found.states
        draws = self._to_user(found)
        diagnostics = diagnose(stack(draws), settings.n_threads)
        scores = None
        if self.exact is not None:
            scores = _z_scores(draws, diagnostics, self.exact)
        return Posterior(
            draws=draws,
            stats=found.stats,
            features=features,
            how=self.how,
            settings=settings,
            tune=found.tune,
            entropy=seeds.entropy,
            seconds=time.perf_counter() - begin,
            prior_set=priors,
            n_rows=summary.n_rows,
            weight=summary.weight,
            diagnostics=diagnostics,
            exact=self.exact,
            z_scores=scores,
            labels=labels,
        )

    def more(self, draws: int, settings: Settings, random_state: Any = None) -> tuple[dict, dict]:
        """Return ``draws`` further draws a chain and their statistics; the route itself does not change."""
        settings = dataclasses.replace(settings, draws=draws, tune=0)
        with Progress(draws, settings.progressbar) as progress:
            found = resume(self.target, self._states, settings, random_state, progress)
        return self._to_user(found), found.stats

    def _to_user(self, found: Run) -> dict[str, np.ndarray]:
        """Map standardised draws to the user's units; the intercept to that at zero."""
        hyper: dict[str, np.ndarray] = {}
        if self.collapsed is not None:
            theta, sigma, hyper = self.collapsed.complete(found)
        elif isinstance(found.target, AffineTarget) and isinstance(found.target.inner, MappedTarget):
            theta, sigma, hyper = unwhiten_shrunk(found.target, found.draws)
        elif isinstance(found.target, AffineTarget):
            theta, sigma = unwhiten(found.target, self.conditional, found.draws)
        else:
            assert self.conditional is not None
            theta, sigma = self.conditional.unwhiten(found.draws)
        first = int(self._intercept)
        draws = {}
        coef = theta[..., first:] * (self._y_unit / self._x_unit)
        if first:
            draws["Intercept"] = self._y_mean + self._y_unit * theta[..., 0] - coef @ self._x_mean
        draws["coef"] = coef
        draws["sigma"] = sigma * self._sigma_unit
        return draws | hyper


def _z_scores(draws: dict[str, np.ndarray], diagnostics: Diagnostics, exact: ExactPosterior) -> np.ndarray:
    """Return how far the draws' means lie from the exact ones, in Monte Carlo standard errors."""
    found = stack({name: values.mean(axis=(0, 1), keepdims=True) for name, values in draws.items()})[:, 0, 0]
    parts = [np.atleast_1d(exact.mean[name]) for name in ("Intercept", "coef", "sigma") if name in exact.mean]
    # A posterior as narrow as the numbers' own resolution (a perfect fit) is rounded, not wrong.
    rounding = 64.0 * np.finfo(float).eps * exact.magnitude
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = (found - np.concatenate(parts)) / np.hypot(diagnostics.mcse_mean, rounding)
    return np.where(np.isfinite(scores), scores, np.nan)


def warn(posterior: Posterior | JointPosterior) -> None:
    """Issue a ConvergenceWarning for whatever is wrong with the draws, with its remedy."""
    responses = getattr(posterior, "responses", (None,))
    for response, part in zip(responses, posterior.parts, strict=True):
        for text in _complaints(part):
            if response is not None:
                text = f"Response {response!r}: {text}"
            warnings.warn(text, ConvergenceWarning, stacklevel=stack_level())


def _complaints(posterior: Posterior) -> list[str]:
    """Say what is wrong with the draws of one response, and what helps."""
    settings = posterior.settings
    texts = warning_texts(
        posterior.names,
        posterior.diagnostics,
        posterior.stats,
        n_chains=settings.chains,
        target_accept=settings.target_accept,
        max_treedepth=settings.max_treedepth,
    )
    if settings.chains == 1 and posterior.exact is None:
        texts.append(
            "A single chain cannot be compared with others, so that being stuck or a second mode would go unnoticed: "
            "use chains=4."
        )
    texts += [*posterior.remarks, *_disagreement(posterior)]
    if posterior.exact is not None and not np.isfinite(posterior.exact.sd["sigma"]):
        texts.append(
            f"With sigma_prior={dict(posterior.priors)['sigma']} and so few rows the posterior of sigma has no finite "
            f"{'standard deviation' if np.isfinite(posterior.exact.mean['sigma']) else 'mean'}, shown as inf: give a "
            "prior with lighter tails, such as HalfNormal, or more rows."
        )
    return texts


def _disagreement(posterior: Posterior) -> list[str]:
    """Compare the draws with the exact marginals: an error here is one of the sampler or of luck."""
    scores = posterior.z_scores
    if scores is None or not np.isfinite(scores).any():
        return []
    n_draws = int(np.prod(posterior.shape))
    # The Monte Carlo error is itself estimated, from few draws badly: hence Student's t.
    limit = -stdtrit(max(4.0, n_draws / 20.0), 0.5 * FALSE_ALARM / len(scores))
    worst = int(np.nanargmax(np.where(np.isfinite(scores), np.abs(scores), 0.0)))
    if abs(scores[worst]) <= limit:
        return []
    return [
        f"The draws of {posterior.names[worst]!r} have a mean {abs(scores[worst]):.1f} Monte Carlo standard errors "
        f"from the exact one, where chance allows {limit:.1f}: sample again with more draws, and if it stays, "
        "please report it (coef_, intercept_, sigma_ and predict do not depend on the draws)."
    ]
