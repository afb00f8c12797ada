"""The general route: any likelihood, any prior. Mode, curvature, whitening, then batches where they serve, or NUTS."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bayesglm.inference.diagnostics import (
    MAX_CUT_SHORT,
    MAX_RHAT,
    MIN_BFMI,
    MIN_ESS_PER_CHAIN,
    SLIGHTLY_FEWER,
    Diagnostics,
    bfmi,
    diagnose,
)
from bayesglm.inference.fast_lane import (
    Lane,
    lane_around_mode,
    lane_of_mixture,
    more_batch,
    run_batch,
    run_by_turns,
)
from bayesglm.inference.mixture import around_modes, whitened_by
from bayesglm.inference.mode_shares import wrong_share
from bayesglm.inference.modes import log_mass
from bayesglm.inference.posterior import Posterior, estimated, stack
from bayesglm.inference.prior_set import PriorSet
from bayesglm.inference.progress import Progress
from bayesglm.inference.regression_data import RegressionData
from bayesglm.inference.sampling import (
    TUNE_UNKNOWN_SCALE,
    ChainState,
    Run,
    Settings,
    again,
    continued,
    resume,
    run,
    seed_sequence,
)
from bayesglm.inference.whitening import whitened
from bayesglm.kernel.coefficient_maps import MappedTarget
from bayesglm.kernel.continuous import StudentT
from bayesglm.kernel.family import Family
from bayesglm.kernel.moving import MovingTarget
from bayesglm.kernel.priors import LARGEST
from bayesglm.kernel.target import AffineTarget

#: Chains of fewer draws say nothing of how well they mix.
SHORT = 400
#: Fewer rows than this a coefficient are few.
FEW_ROWS = 20
#: What an R-hat and a share of divergences may be for a run to go on by itself, instead of telling the user.
SLIGHT_RHAT, SLIGHT_DIVERGENCE = 1.03, 0.01


class GeneralRoute:
    """A fitted model's way from its rows to draws; can go on drawing as long as it has them.

    Parameters
    ----------
    data : RegressionData
    priors : PriorSet
    sampler : {"auto", "nuts"}, default="auto"
        Whether batches of proposals may be used.

    Attributes
    ----------
    how : {"batch", "nuts"}
        What made the draws; "nuts" until there are some.
    laplace : LaplaceFit or None
        The approximation at the mode; None where the prior is hierarchical and there is none of use.

    Raises
    ------
    UndeterminedError
        If the posterior is improper.
    """

    def __init__(self, data: RegressionData, priors: PriorSet, sampler: str = "auto"):
        self.how = "nuts"
        self.sampler = sampler
        self.family = data.family
        self._x_mean, self._x_unit = data.x_mean, data.x_unit
        self._y_mean, self._y_unit, self._aux_units = data.y_mean, data.y_unit, data.aux_units
        self._intercept = data.intercept
        self._few_rows = data.n_rows < FEW_ROWS * (data.design.n_columns + 1)
        found = whitened(data, priors)
        self.target: AffineTarget | None = found.target
        self.laplace, self._others, self._directions = found.laplace, found.others, found.directions
        self._contrasts, self._classes = found.contrasts, data.classes

    @classmethod
    def without_rows(cls, family: Family, how: str) -> GeneralRoute:
        """Return the route of a model that was loaded from a file: it has no rows, and says so."""
        route = cls.__new__(cls)
        route.family, route.how, route.target = family, how, None
        return route

    def __getstate__(self) -> dict[str, Any]:
        # A pickle is small and holds nobody's data; what needs them says so.
        return {**self.__dict__, "target": None, "_directions": None, "_lane": None}

    def sample(
        self,
        settings: Settings,
        random_state: Any,
        data: RegressionData,
        priors: PriorSet,
        features: tuple[str, ...],
        listener: Callable[[float], None] | None = None,
        labels: dict[str, tuple[str, ...]] | None = None,
    ) -> Posterior:
        """Warm up, sample, diagnose.

        Parameters
        ----------
        settings : Settings
        random_state : None, int, RandomState, Generator or SeedSequence
        data, priors
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
        assert self.target is not None
        begin = time.perf_counter()
        seeds = seed_sequence(random_state)
        total = settings.draws + (TUNE_UNKNOWN_SCALE if settings.tune is None else settings.tune)
        found: Run | None = None
        with Progress(total, settings.progressbar, listener) as progress:
            if self.sampler == "auto" and self.laplace is not None and self.target.dim:
                found = self._by_proposals(settings, seeds, progress)
            self.how = "nuts" if found is None else "batch"
            if found is None:
                found = run(
                    self.target,
                    settings,
                    seeds,
                    known_scale=False,
                    progress=progress,
                    regions=self._regions(),
                )
            draws = self._to_user(found)
            diagnostics = diagnose(stack(estimated(draws, priors.reference)), settings.n_threads)
            if self.how == "nuts" and settings.tune is None and _falls_a_little_short(found, diagnostics):
                found = again(found, settings, seeds, progress)
                draws = self._to_user(found)
                diagnostics = diagnose(stack(estimated(draws, priors.reference)), settings.n_threads)
        assert isinstance(found.target, AffineTarget)
        remarks = self._remarks(found, self.target, settings)
        self.target = found.target
        self._states: list[ChainState] = found.states
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
            n_rows=data.n_rows,
            weight=data.weight,
            diagnostics=diagnostics,
            exact=None,
            z_scores=None,
            labels=labels,
            likelihood=self.family.in_words(),
            remarks=remarks,
        )

    def more(self, draws: int, settings: Settings, random_state: Any = None) -> tuple[dict, dict]:
        """Return ``draws`` further draws a chain and their statistics; the route itself does not change.

        Raises
        ------
        ValueError
            If the route has been unpickled and has no rows any more.
        """
        if self.target is None:
            raise ValueError(
                "This estimator was loaded without its training data, which new draws need: fit it again, or use the "
                "draws it has by sample_posterior()."
            )
        settings = dataclasses.replace(settings, draws=draws, tune=0)
        with Progress(draws, settings.progressbar) as progress:
            if self.how == "batch":
                bits = continued(self._states, random_state)
                found = more_batch(self.target, self._states, settings, bits, self._lane, progress)
            else:
                found = resume(self.target, self._states, settings, random_state, progress)
        return self._to_user(found), found.stats

    def _by_proposals(
        self, settings: Settings, seeds: np.random.SeedSequence, progress: Progress
    ) -> Run | None:
        """Sample by batches of proposals, alone or taking turns with NUTS, or return None where neither serves."""
        assert self.target is not None
        assert self.laplace is not None
        pilot_seed, *chain_seeds = seeds.spawn(settings.chains + 1)
        rng = np.random.Generator(np.random.PCG64DXSM(pilot_seed))
        robust = isinstance(self.family, StudentT)
        # Where rows are few, a mode may be wide enough for a pilot to be content and too skewed for its shoulders.
        alone = not self._others and not (robust and self._few_rows)
        lane = lane_around_mode(self.target, rng, settings.n_threads) if alone else None
        serves = lane is not None
        if lane is None and robust:
            lane, serves = self._mixture(rng, settings.n_threads)
        if lane is None:
            return None
        if serves:
            found = run_batch(self.target, lane, settings, chain_seeds, rng, progress)
            if self._serves(found):
                self._lane = lane
                return found
        if not self._others:
            return None
        found, self._lane = run_by_turns(self.target, lane, settings, seeds, progress, self._regions())
        return found

    def _mixture(self, rng: np.random.Generator, n_threads: int) -> tuple[Lane, bool]:
        """Return the lane of a mixture around all modes, and whether it serves alone."""
        assert self.target is not None
        assert self.laplace is not None
        fits = (self.laplace, *self._others)
        masses = np.array([log_mass(self.target.inner, fit) for fit in fits])
        mixture = around_modes(self.target, fits, masses, self.target.dim - len(self.family.aux))
        return lane_of_mixture(self.target, mixture, rng, n_threads)

    def _remarks(self, found: Run, whitening: AffineTarget, settings: Settings) -> tuple[str, ...]:
        """Return what is wrong with the shares of several modes, if there are any; ``whitening`` is the first map."""
        if self.laplace is None or not self._others or found.draws.shape[1] < SHORT:
            return ()
        assert isinstance(found.target, AffineTarget)
        if self.how == "batch":
            lane, draws = self._lane, found.draws
        else:
            lane, _ = self._mixture(np.random.default_rng(0), settings.n_threads)
            q = found.target.unwhiten(found.draws.reshape(-1, whitening.dim))
            draws = whitened_by(whitening, q).reshape(found.draws.shape)
        wrong = wrong_share(lane, draws)
        if wrong is None:
            return ()
        at = (self.laplace, *self._others)[wrong.mode].mode
        point = whitened_by(found.target, at[np.newaxis])[np.newaxis]
        where = self._to_user(dataclasses.replace(found, draws=point, states=found.states[:1]))
        place = ", ".join(f"{name} = {np.array2string(v[0, 0], precision=4)}" for name, v in where.items())
        return (
            f"The posterior has {1 + len(self._others)} modes, and chains do not come to each as they should: near "
            f"{place} lies about {100 * wrong.mass:.2g} % of its mass, but {100 * wrong.share:.2g} % of the draws, in "
            f"{wrong.visits} visits. Leave sampler at 'auto', increase draws, or use a prior that decides between "
            "them.",
        )

    def _regions(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return further modes and roots of their covariances in the whitened space."""
        if self.laplace is None or not self._others:
            return []
        inverse = np.linalg.inv(self.laplace.factor)
        return [(inverse @ (fit.mode - self.laplace.mode), inverse @ fit.factor) for fit in self._others]

    def _serves(self, found: Run) -> bool:
        """Whether draws by batches are as many effective ones as a user is told to want; else NUTS is asked."""
        if found.stats["diverging"].any():
            return False  # NUTS' steps in between are not tuned: that says nothing of the posterior
        n_draws = found.draws.shape[1]
        if n_draws <= MIN_ESS_PER_CHAIN:
            return True  # so few cannot be enough, whoever draws them
        diagnostics = diagnose(np.moveaxis(found.draws, -1, 0), 1)
        least = MIN_ESS_PER_CHAIN * found.draws.shape[0]
        ess = np.minimum(diagnostics.ess_bulk, diagnostics.ess_tail)
        if (
            n_draws < SHORT
        ):  # of which twice as many effective ones cannot be asked, nor an R-hat without chance
            return bool(np.all(ess >= SLIGHTLY_FEWER * least) and np.all(diagnostics.rhat <= SLIGHT_RHAT))
        return bool(np.all(ess >= 2.0 * least) and np.all(diagnostics.rhat <= MAX_RHAT))

    def _to_user(self, found: Run) -> dict[str, np.ndarray]:
        """Map whitened draws to the user's units; intercepts to those at zero."""
        target: Any = found.target
        q, hyper = found.draws, {}
        while isinstance(target, (AffineTarget, MovingTarget)):
            q, target = target.unwhiten(q), target.inner
        if isinstance(target, MappedTarget):
            hyper = target.hyper(q)
            q = target.unwhiten(q)
        n_sets, first = 1 if self._contrasts is None else self._contrasts.shape[1], int(self._intercept)
        n_linear = q.shape[-1] - len(self.family.aux)
        linear = q[..., :n_linear].reshape(*q.shape[:2], n_sets, n_linear // n_sets)
        coef, level = linear[..., first:], linear[..., :first]
        if self._directions is not None:
            free = zip(coef, found.states, strict=True)
            coef = np.array([self._directions.coefficients(v, _beside(state)) for v, state in free])
        coef = coef * (self._y_unit / self._x_unit)
        draws: dict[str, np.ndarray] = {}
        if first:
            draws["Intercept"] = self._y_mean + self._y_unit * level[..., 0] - coef @ self._x_mean
        draws["coef"] = coef
        if self._contrasts is None:
            draws = {name: values[:, :, 0] for name, values in draws.items()}
        else:
            assert self._classes is not None
            # In the order of the data first: sums for a class are then the same whatever its label.
            back = np.argsort(self._classes)
            draws = {
                name: np.tensordot(values, self._contrasts, axes=(2, 1)) for name, values in draws.items()
            }
            draws["coef"] = np.moveaxis(draws["coef"], -1, 2)
            draws = {name: values[:, :, back] for name, values in draws.items()}
        for i, name in enumerate(self.family.aux):
            with np.errstate(over="ignore"):
                values = np.exp(q[..., n_linear + i]) * self._aux_units.get(name, 1.0)
            draws[name] = np.minimum(values, LARGEST)
        return {name: np.ascontiguousarray(values) for name, values in (draws | hyper).items()}


def _beside(state: ChainState) -> np.random.Generator:
    """Return a generator for what a chain need not walk: of numbers of its own, the same for the same chain."""
    inside = state.bit_generator.state["state"]
    return np.random.Generator(np.random.PCG64DXSM([inside["state"], inside["inc"]]))


def _falls_a_little_short(found: Run, diagnostics: Diagnostics) -> bool:
    """Whether a run by NUTS has only too few effective draws, or a divergence in a hundred draws at most.

    Chains that disagree, energies that move slowly or trajectories cut short are no such thing: more draws would not
    tell the user's trouble from chance.
    """
    if found.draws.shape[1] < SHORT or not found.draws.size:
        return False
    ess = np.fmin(diagnostics.ess_bulk, diagnostics.ess_tail)
    diverging = float(found.stats["diverging"].mean())
    if (
        np.any(diagnostics.rhat > SLIGHT_RHAT)
        or np.any(np.isnan(ess))
        or diverging > SLIGHT_DIVERGENCE
        or np.any(bfmi(found.stats["energy"]) < MIN_BFMI)
        or found.stats["reached_max_treedepth"].mean(axis=1).max() > MAX_CUT_SHORT
    ):
        return False
    return diverging > 0.0 or bool(np.any(ess < MIN_ESS_PER_CHAIN * found.draws.shape[0]))
