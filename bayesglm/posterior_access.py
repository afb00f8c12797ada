"""What a fitted estimator hands out of its posterior: draws for ArviZ, new draws, the summary table."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from bayesglm import prediction
from bayesglm.arviz_export import NAMINGS, gaussian_groups, to_arviz
from bayesglm.formula import FormulaDesign
from bayesglm.inference.posterior import JointPosterior, Posterior, join_draws, join_stats
from bayesglm.inference.sampling import seed_sequence
from bayesglm.parallel import one_blas_thread
from bayesglm.prediction import Blocks, DrawSource, PointwiseDensity
from bayesglm.report import SummaryTable, summary_table
from bayesglm.snapshot import of_one_fit
from bayesglm.validation import (
    check_bool,
    check_choice,
    check_draws,
    check_fraction,
    check_int,
    check_memory,
    check_weights,
)

#: Which child of the seed predictive draws use: far beyond any number of chains.
PREDICTIVE_STREAM = 1 << 20


class PosteriorAccess:
    """Draws, ArviZ objects and the summary of the estimators."""

    posterior_: Posterior | JointPosterior
    weights_type: str
    _design: FormulaDesign | None
    _responses: tuple[str, ...]
    _routes: tuple[Any, ...]
    _x_mean: np.ndarray

    @property
    def coef_names_(self) -> np.ndarray:
        """Names of the coefficients, in the order of the columns of ``coef_``."""
        check_is_fitted(self)
        return np.asarray(self.posterior_.features, dtype=object)

    @of_one_fit
    def sample_posterior(
        self, draws: int | None = None, random_state: Any = None, *, names: str = "coef"
    ) -> Any:
        """Return posterior draws as an ArviZ object.

        Parameters
        ----------
        draws : int, optional
            None: the draws of `fit`. A number: that many new ones a chain, the chains going on from where
            `fit` left them, without new warm-up. The estimator does not change, so the same call gives
            the same draws; another ``random_state`` gives others.
        random_state : None, int, RandomState or Generator
            Of the new draws.
        names : {"coef", "terms"}, default="coef"
            Whether coefficients are one variable or each its own, as in `to_arviz`.

        Returns
        -------
        arviz.InferenceData or xarray.DataTree
            On ArviZ 0.x and 1.x, with groups ``posterior`` and ``sample_stats``.
        """
        check_is_fitted(self)
        check_choice(names, "names", NAMINGS)
        found, stats = self._draws(draws, random_state)
        return self._export({"posterior": found, "sample_stats": stats}, names)

    @of_one_fit
    def to_arviz(
        self,
        X: Any = None,
        y: Any = None,
        *,
        sample_weight: Any = None,
        prior: bool = False,
        names: str = "coef",
        random_state: Any = None,
    ) -> Any:
        """Return everything that ArviZ's comparisons, predictive checks and sensitivity analyses need.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n, p), optional
            The training data, which the estimator does not keep, or others. None: only what needs no rows.
        y : array-like of shape (n,) or (n, k), optional
            Not needed if the formula has a left side.
        sample_weight : array-like of shape (n,), optional
            Those of `fit`. The log likelihood of a row that counts as w rows is w times as large, so that `az.loo`
            leaves all of them out together; where weights are precisions, the row's noise has the standard
            deviation sigma/sqrt(w), and rows of weight 0 are left out.
        prior : bool, default=False
            Add ``prior`` and ``prior_predictive``, as many draws as the posterior has.
        names : {"coef", "terms"}, default="coef"
            "coef": coefficients are one variable, ``coef``, with the dimension ``feature``. "terms": each is a variable
            of its own under its own name, as in PyMC: ``x``, ``C(g)[T.b]``. There ``/`` becomes ``_``, and a name that
            means something else (``sigma``, ``Intercept``, ``coef``, ``chain``, ``obs`` and the like) gets a ``_`` at
            its end.
        random_state : None, int, RandomState or Generator, default=None
            Of the predictive draws; None: the same as in `fit`.

        Returns
        -------
        arviz.InferenceData or xarray.DataTree
            With groups ``posterior``, ``sample_stats``, ``posterior_predictive``, ``log_likelihood``,
            ``log_prior``, ``observed_data`` and ``constant_data`` (without X if that is sparse); without rows,
            ``posterior`` and ``sample_stats``. With a formula, rows with missing values are left out; the others keep
            their numbers.
        """
        check_choice(names, "names", NAMINGS)
        if X is None:
            return self._without_rows({"y": y, "sample_weight": sample_weight}, prior, names, random_state)
        rows, observed, weights, kept = self._complete_rows(X, y, sample_weight)
        check_bool(prior, "prior")
        parts = self.posterior_.parts
        size = int(np.prod(parts[0].shape))
        check_memory(
            (8.0 if prior else 5.0) * size * rows.shape[0] * len(parts),
            f"to_arviz with {rows.shape[0]} rows and {size} draws",
            "give fewer rows, or fit with fewer draws",
        )
        rng = self._predictive_rng(random_state)
        found = []
        for j, part in enumerate(parts):
            drawn = self._prior_draws(part, rng) if prior else None
            groups = gaussian_groups(
                part.draws,
                rows,
                observed[:, j],
                self._shown_response,
                rng,
                drawn,
                weights,
                precision=self._weights_meaning() == "precision",
            )
            groups["log_prior"] = part.prior_set.log_density(part.draws, self._x_mean)
            found.append(groups)
        joined = self._joined(found)
        joined["sample_stats"] = self.posterior_.stats
        return self._export(joined, names, kept)

    @of_one_fit
    def summary(self, coverage: float = 0.9) -> SummaryTable:
        """Return the table of parameters: moments, intervals, effective sizes, R-hat; prints well.

        Parameters
        ----------
        coverage : float, default=0.9
            Of the equal-tailed intervals.
        """
        check_is_fitted(self)
        check_fraction(coverage, "coverage")
        formula = None if self._design is None else self._design.formula
        moments, precision = getattr(self, "_moments", None), None
        if (
            self._weights_meaning() == "precision"
            and moments is not None
            and moments.weight != moments.n_rows
        ):
            precision = moments.weight / moments.n_rows
        return summary_table(
            self.posterior_, type(self).__name__, formula, self._responses, coverage, precision
        )

    # -- inside --------------------------------------------------------------------------------------

    def _weights_meaning(self) -> str:
        """Return what weights meant to the fit, which `set_params` does not change afterwards."""
        return str(self.__dict__.get("_weighted_as", self.weights_type))

    def _complete_rows(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[Any, np.ndarray, np.ndarray | None, np.ndarray]:
        """Return design matrix, responses (n, k) and weights of rows where nothing is missing, and which they are."""
        rows, observed = self._rows_and_response(X, y)  # type: ignore[attr-defined]
        weights = check_weights(sample_weight, rows.shape[0], self._weights_meaning())
        kept = np.all(np.isfinite(observed), axis=1)
        if isinstance(rows, np.ndarray):
            kept &= np.all(np.isfinite(rows), axis=1)
        if weights is not None and self._weights_meaning() == "precision":
            kept &= weights > 0.0  # of infinite variance: neither a density nor a draw
        return rows[kept], observed[kept], None if weights is None else weights[kept], np.flatnonzero(kept)

    @of_one_fit
    def _pointwise(self, X: Any, y: Any, sample_weight: Any, **row_arguments: Any) -> PointwiseDensity:
        """Return the log densities of observed rows under each draw; weights that are precisions belong to them."""
        for name in row_arguments:
            raise TypeError(
                f"{name} has no meaning for {type(self).__name__}: leave it out, or use a BayesianGLM."
            )
        rows, observed, weights, kept = self._complete_rows(X, y, sample_weight)
        sources = [DrawSource(*part.flat()) for part in self.posterior_.parts]
        noise = None
        if weights is not None and self._weights_meaning() == "precision":
            noise, weights = 1.0 / np.sqrt(weights), None

        def blocks(j: int, here: slice) -> Blocks:
            own = None if noise is None else noise[here]
            return prediction.log_likelihoods(sources[j], rows[here], observed[here, j], own)

        shown = observed if isinstance(self.posterior_, JointPosterior) else observed[:, 0]
        return PointwiseDensity(shown, kept, weights, len(sources), blocks)

    @property
    def _shown_response(self) -> str:
        """Name of the response in ArviZ; several share one variable."""
        return "y" if isinstance(self.posterior_, JointPosterior) else self._responses[0]

    def _draws(self, draws: int | None, random_state: Any) -> tuple[dict, dict]:
        """Return draws and statistics, those of `fit` or new ones."""
        posterior = self.posterior_
        if draws is None:
            if random_state is not None:
                raise ValueError("random_state is for new draws: give draws as well, or leave it out.")
            return posterior.draws, posterior.stats
        check_int(draws, "draws", 1)
        check_draws(draws, 0, posterior.settings.chains, len(posterior.names))
        seeds = None if random_state is None else seed_sequence(random_state)
        found = []
        with one_blas_thread():
            for j, route in enumerate(self._routes):
                own = seeds
                if seeds is not None and len(self._routes) > 1:
                    own = np.random.SeedSequence(
                        seeds.entropy, spawn_key=(*seeds.spawn_key, PREDICTIVE_STREAM + j)
                    )
                found.append(route.more(draws, posterior.settings, own))
        if not isinstance(posterior, JointPosterior):
            return found[0]
        return join_draws([d for d, _ in found]), join_stats([s for _, s in found])

    def _without_rows(self, of_rows: dict[str, Any], prior: bool, names: str, random_state: Any) -> Any:
        """Return what `to_arviz` has to say without X; ``of_rows`` are the arguments that speak of rows."""
        check_is_fitted(self)
        for name, value in of_rows.items():
            if value is not None:
                raise ValueError(f"{name} is given without the rows that it belongs to: give X as well.")
        groups: dict[str, Any] = {"posterior": self.posterior_.draws, "sample_stats": self.posterior_.stats}
        rng = self._predictive_rng(random_state)
        if check_bool(prior, "prior"):
            groups |= self._joined(
                [{"prior": self._prior_draws(part, rng)} for part in self.posterior_.parts]
            )
        return self._export(groups, names)

    def _predictive_rng(self, random_state: Any) -> np.random.Generator:
        """Return what predictive draws for ArviZ are drawn with."""
        own = self.posterior_.parts[0].entropy
        entropy = own if random_state is None else seed_sequence(random_state).entropy
        return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(PREDICTIVE_STREAM,)))

    def _prior_draws(self, part: Posterior, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return as many draws of a response's prior as its posterior has, in the same chains."""
        drawn = part.prior_set.draw(rng, int(np.prod(part.shape)), self._x_mean)
        return {name: values.reshape(*part.shape, *values.shape[1:]) for name, values in drawn.items()}

    def _joined(self, found: list[dict[str, dict[str, np.ndarray]]]) -> dict[str, dict[str, np.ndarray]]:
        """Return the groups of all responses as those of one."""
        if not isinstance(self.posterior_, JointPosterior):
            return found[0]
        return {group: _join_group(group, [groups[group] for groups in found]) for group in found[0]}

    def _export(self, groups: dict, names: str, observations: np.ndarray | None = None) -> Any:
        posterior = self.posterior_
        return to_arviz(
            groups,
            features=posterior.features,
            observations=observations,
            response=self._shown_response,
            responses=posterior.responses if isinstance(posterior, JointPosterior) else None,
            classes=(posterior.parts[0].labels or {}).get("coef"),
            names=names,
            attrs={
                "sampling_time": posterior.seconds,
                "tuning_steps": posterior.tune,
                "sampler": posterior.how,
                "modeling_interface": type(self).__name__,
            },
        )


def _join_group(group: str, parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return one group of several responses: those of parameters behind the draws, those of rows at the end."""
    if group == "constant_data":
        return parts[0]
    axis = 2 if group in ("posterior", "prior", "log_prior") else -1
    return {name: np.stack([part[name] for part in parts], axis=axis) for name in parts[0]}
