"""The fast lane: a batch of proposals from an approximation, judged by the exact likelihood in one pass.

Where n is large a posterior is nearly normal, and nearly every proposal from the approximation at its mode is right.
All log densities of a batch come from one pass over the data by matrix products (`bayesglm.kernel.sweep`), and
Metropolis' rule for independent proposals accepts or repeats: w = density/proposal density, min(1, w'/w). That is
exact whatever the approximation, but where w is large a chain waits long. So a pilot batch has to show that it is
not (the Pareto shape of w and the acceptance rate), proposals have a share of heavy tails, and in between come NUTS
transitions: a cycle of kernels that leave the posterior alone leaves it alone, and gets wherever NUTS gets.

Where noise is Student's t the approximation is a mixture around all modes (`mixture.py`), so that chains jump between
them. Where proposals from it are taken too seldom to serve alone, they take turns with NUTS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from scipy.special import gammaln

from bayesglm.inference.mixture import Mixture, fitted, whitened_by
from bayesglm.inference.pareto import pareto_k
from bayesglm.inference.progress import Progress
from bayesglm.inference.sampling import (
    ChainState,
    Run,
    Settings,
    collect,
    first_step_size,
    run,
    start_chain,
)
from bayesglm.inference.threads import in_threads
from bayesglm.kernel.coefficient_maps import MappedTarget
from bayesglm.kernel.nuts import STAT_NAMES, Chain
from bayesglm.kernel.regression import RegressionTarget
from bayesglm.kernel.sweep import POINTS_AT_ONCE, sweep
from bayesglm.kernel.target import AffineTarget

#: Share of proposals from a t distribution, and its degrees of freedom: so that tails are never missed.
HEAVY_SHARE = 0.05
HEAVY_DF = 5.0
#: Proposals of the pilot, and what it has to show.
PILOT = 512
MAX_PARETO_K = 0.5
MIN_ACCEPTANCE = 0.6
#: Proposals a draw by the acceptance rate that the pilot expects: with rate a the autocorrelation is about 1 - a, its
#: power after several; few enough are needed for two draws to be worth nearly two.
MOST_PROPOSALS = 12
PROPOSALS_A_DRAW = ((0.95, 1), (0.8, 2), (0.6, 3), (0.4, 6), (0.0, MOST_PROPOSALS))
#: Proposals of a mixture's pilot, how many pilots it has, each fitting it to what the one before has seen, and what one
#: has to show: more proposals a draw make up for a lower rate.
PILOT_MIXTURE, PILOTS = 4096, 3
MAX_PARETO_K_MIXTURE = 0.7
MIN_ACCEPTANCE_MIXTURE = 0.2
#: An acceptance rate of a mixture that more rounds of fitting it need not raise.
GOOD_ACCEPTANCE = 0.75
#: A NUTS transition every so many draws; with this many numbers in the data it costs as much as a batch of hundreds.
NUTS_EVERY = 50
NUTS_EVERY_LARGE = 250
LARGE = 10_000_000
#: Of the step size that is good for a standard normal target: a little less, for a target that is nearly one.
NUTS_STEP = 0.9
#: Points handed to a thread at a time.
PART = 2 * POINTS_AT_ONCE

_LP, _ACCEPTANCE, _STEP_SIZE, _ENERGY, _DIVERGING = (
    STAT_NAMES.index(name) for name in ("lp", "acceptance_rate", "step_size", "energy", "diverging")
)


class Proposals(Protocol):
    """A distribution that points are proposed from, in the coordinates of the whitened target."""

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Return points, shape (n, dim)."""

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Return its log density there, shape (n,), up to a constant."""


@dataclass(frozen=True)
class AroundMode:
    """Standard normal proposals with a share of heavy tails, around the mode that a target is whitened at.

    Attributes
    ----------
    dim : int
    """

    dim: int

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Draw from the mixture of standard normal and t, shape (n, dim)."""
        found = rng.standard_normal((n, self.dim))
        heavy = rng.random(n) < HEAVY_SHARE
        found[heavy] *= np.sqrt(HEAVY_DF / rng.chisquare(HEAVY_DF, n))[heavy, np.newaxis]
        return found

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Return the log density without the normal's constant."""
        dim = self.dim
        square = np.einsum("ij,ij->i", points, points)
        constant = (
            gammaln(0.5 * (HEAVY_DF + dim)) - gammaln(0.5 * HEAVY_DF) - 0.5 * dim * np.log(0.5 * HEAVY_DF)
        )
        heavy = constant - 0.5 * (HEAVY_DF + dim) * np.log1p(square / HEAVY_DF)
        return np.asarray(np.logaddexp(np.log1p(-HEAVY_SHARE) - 0.5 * square, np.log(HEAVY_SHARE) + heavy))


@dataclass(frozen=True)
class Lane:
    """How draws are made: what is proposed, how many proposals a draw takes, and how often NUTS makes one instead.

    Attributes
    ----------
    proposals : Proposals
    thin : int
    every : int
    pilot, log_weights : ndarray of shape (m, dim), (m,)
        Proposals, and what the exact density says of them.
    """

    proposals: Proposals
    thin: int
    every: int
    pilot: np.ndarray
    log_weights: np.ndarray


def lane_around_mode(target: AffineTarget, rng: np.random.Generator, n_threads: int) -> Lane | None:
    """Return the lane of the approximation at the mode, or None where it is not good enough.

    Parameters
    ----------
    target : AffineTarget
        Of a regression's target, mapped or not, whitened at the mode.
    rng : Generator
    n_threads : int
    """
    proposals = AroundMode(target.dim)
    pilot, log_weights = _pilot(target, proposals, PILOT, rng, n_threads)
    acceptance = _expected_acceptance(log_weights)
    if acceptance < MIN_ACCEPTANCE or not pareto_k(log_weights) < MAX_PARETO_K:
        return None
    return Lane(proposals, _thin(acceptance), _every(target), pilot, log_weights)


def lane_of_mixture(
    target: AffineTarget, mixture: Mixture, rng: np.random.Generator, n_threads: int
) -> tuple[Lane, bool]:
    """Fit a mixture to the posterior; return its lane, and whether it serves or NUTS has to take turns with it.

    Parameters
    ----------
    target : AffineTarget
        What the mixture is in the coordinates of.
    mixture : Mixture
    rng : Generator
    n_threads : int
    """

    def good(log_weights: np.ndarray) -> bool:
        return _expected_acceptance(log_weights) > GOOD_ACCEPTANCE and pareto_k(log_weights) < MAX_PARETO_K

    mixture = fitted(mixture, partial(_log_densities, target, n_threads=n_threads), rng, good)
    for i in range(PILOTS):
        pilot, log_weights = _pilot(target, mixture, PILOT_MIXTURE, rng, n_threads)
        acceptance = _expected_acceptance(log_weights)
        serves = acceptance >= MIN_ACCEPTANCE_MIXTURE and pareto_k(log_weights) < MAX_PARETO_K_MIXTURE
        if serves or acceptance == 0.0 or i == PILOTS - 1:
            break
        mixture = mixture.moved(pilot, np.nan_to_num(log_weights, nan=-np.inf))
    return Lane(mixture, _thin(acceptance), _every(target), pilot, log_weights), serves


def run_batch(
    target: AffineTarget,
    lane: Lane,
    settings: Settings,
    seeds: Sequence[np.random.SeedSequence],
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> Run:
    """Sample by batches.

    Parameters
    ----------
    target : AffineTarget
        Of a regression's target, mapped or not, whitened at the mode.
    lane : Lane
    settings : Settings
    seeds : sequence of SeedSequence
        One a chain.
    rng : Generator
        The pilot's.
    progress : Progress, optional

    Returns
    -------
    Run
        Energies are NaN save those of NUTS transitions: nothing else has one.

    Raises
    ------
    KeyboardInterrupt
        As soon as every thread has finished the block of rows it was at.
    """
    # Starting points are drawn from the pilot by weight: already from the posterior, as far as it can tell.
    weights = np.nan_to_num(np.exp(lane.log_weights - np.nanmax(lane.log_weights)))
    starts = rng.choice(len(weights), settings.chains, p=weights / weights.sum())
    chains = [
        start_chain(
            target,
            np.random.PCG64DXSM(seed),
            lane.pilot[start],
            NUTS_STEP * first_step_size(target.dim),
            settings,
        )
        for seed, start in zip(seeds, starts, strict=True)
    ]
    return _sample(target, chains, settings, lane, progress)


def run_by_turns(
    target: AffineTarget,
    lane: Lane,
    settings: Settings,
    seeds: np.random.SeedSequence,
    progress: Progress | None,
    regions: Sequence[tuple[np.ndarray, np.ndarray]],
) -> tuple[Run, Lane]:
    """Sample by NUTS, warmed up as it is alone, and by proposals of a mixture, every other draw by each.

    Parameters
    ----------
    target, lane, settings
        See `run_batch`; the lane's proposals are a `Mixture`.
    seeds : SeedSequence
        One child is spawned a chain.
    progress : Progress, optional
    regions : sequence of (shift, factor)
        See `sampling.run`.

    Returns
    -------
    (Run, Lane)
        In the map that warm-up has learnt.
    """
    warm = run(
        target,
        replace(settings, draws=0),
        seeds,
        known_scale=False,
        progress=progress,
        regions=regions,
    )
    assert isinstance(warm.target, AffineTarget)
    assert isinstance(lane.proposals, Mixture)
    lane = replace(
        lane,
        proposals=replace(lane.proposals, target=warm.target),
        thin=MOST_PROPOSALS,
        every=2,
        pilot=whitened_by(warm.target, target.unwhiten(lane.pilot)),
    )
    bits = [state.bit_generator for state in warm.states]
    found = more_batch(warm.target, warm.states, settings, bits, lane, progress)
    found.tune = warm.tune
    return found, lane


def more_batch(
    target: AffineTarget,
    states: Sequence[ChainState],
    settings: Settings,
    bit_generators: Sequence[np.random.BitGenerator],
    lane: Lane,
    progress: Progress | None = None,
) -> Run:
    """Let chains go on from where they stopped; ``states`` are not changed."""
    chains = [
        start_chain(target, bit_generator, state.position, state.step_size, settings)
        for state, bit_generator in zip(states, bit_generators, strict=True)
    ]
    return _sample(target, chains, settings, lane, progress)


def _thin(acceptance: float) -> int:
    return next(thin for least, thin in PROPOSALS_A_DRAW if acceptance >= least)


def _every(target: AffineTarget) -> int:
    design = _regression(target).design
    return NUTS_EVERY if design.n_rows * design.n_columns < LARGE else NUTS_EVERY_LARGE


def _pilot(
    target: AffineTarget, proposals: Proposals, n: int, rng: np.random.Generator, n_threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return proposals and their log weights."""
    pilot = proposals.draw(rng, n)
    return pilot, _log_densities(target, pilot, n_threads) - proposals.log_density(pilot)


def _sample(
    target: AffineTarget, chains: list[Chain], settings: Settings, lane: Lane, progress: Progress | None
) -> Run:
    """Propose, judge, and walk."""
    thin, propose = lane.thin, lane.proposals
    n_chains, draws, steps = len(chains), settings.draws, settings.draws * thin
    if progress is not None:
        progress.begin(n_chains)
    proposals = np.empty((n_chains, steps, target.dim))
    uniforms = np.empty((n_chains, steps))
    for i, chain in enumerate(chains):
        rng = np.random.Generator(chain.bit_generator)
        proposals[i] = propose.draw(rng, steps)
        uniforms[i] = rng.random(steps)
    flat = proposals.reshape(n_chains * steps, target.dim)
    density = _log_densities(target, flat, settings.n_threads, progress, thin).reshape(n_chains, steps)
    log_weights = density - propose.log_density(flat).reshape(n_chains, steps)
    out, table = np.empty((n_chains, draws, target.dim)), np.zeros((n_chains, draws, len(STAT_NAMES)))
    table[..., _ENERGY] = np.nan
    work = [
        partial(_walk, chain, lane, proposals[i], density[i], log_weights[i], uniforms[i], out[i], table[i])
        for i, chain in enumerate(chains)
    ]

    def stop() -> None:
        for chain in chains:
            chain.stop()

    in_threads(work, settings.n_threads, on_failure=stop)
    return collect(target, chains, out, table, 0)


def _walk(
    chain: Chain,
    lane: Lane,
    proposals: np.ndarray,
    density: np.ndarray,
    log_weights: np.ndarray,
    uniforms: np.ndarray,
    out: np.ndarray,
    table: np.ndarray,
) -> None:
    """Make one chain of a batch: Metropolis along the proposals, NUTS every so many draws."""
    thin, every, propose = lane.thin, lane.every, lane.proposals
    before = chain.position
    value = chain.target(before)[0]
    log_weight = value - float(propose.log_density(before[np.newaxis])[0])
    with np.errstate(divide="ignore"):
        log_uniforms = np.log(uniforms).tolist()
    # Plain numbers and numbers of proposals, from which the draws are gathered in one go at the end.
    weights = log_weights.tolist()
    accepted = -1
    for first in range(0, len(out), every):
        last = min(first + every - 1, len(out))
        states, ratios = [], []
        for t in range(first, last):
            ratio = 0.0
            for i in range(thin * t, thin * (t + 1)):
                ratio = weights[i] - log_weight
                # A density that is not a number accepts nothing: the comparison is false.
                if log_uniforms[i] < ratio:
                    accepted, log_weight = i, weights[i]
            states.append(accepted)
            ratios.append(ratio)
        here = np.array(states, dtype=np.intp)
        rows, moved = slice(first, last), here >= 0
        out[rows] = np.where(moved[:, np.newaxis], proposals[here], before)
        table[rows, _LP] = np.where(moved, density[here], value)
        table[rows, _ACCEPTANCE] = np.nan_to_num(np.exp(np.minimum(ratios, 0.0)), nan=0.0)
        table[rows, _STEP_SIZE] = chain.step_size
        if last < len(out):
            chain.position = proposals[accepted] if accepted >= 0 else before
            if chain.advance(1, out[last : last + 1], table[last : last + 1]) < 1:
                return
            if isinstance(propose, Mixture):
                # Its steps suit one mode and are too large for a narrower one: others get proposals.
                table[last, _DIVERGING] = 0.0
            before, value, accepted = chain.position, table[last, _LP], -1
            log_weight = value - float(propose.log_density(before[np.newaxis])[0])
    chain.position = out[-1]


def _expected_acceptance(log_weights: np.ndarray) -> float:
    """Return how often a chain of independent proposals moves in the long run: 0 if there is no weight."""
    if not np.isfinite(log_weights.max()):
        return 0.0
    # The state is drawn by weight then, so that the rate is the mean over pairs of min(w, w') over that of w. In
    # ascending order each weight is the smaller one of twice as many pairs as come after it, and of one with itself.
    ordered = np.sort(np.exp(log_weights - log_weights.max()))
    n = len(ordered)
    return float(ordered @ (2.0 * (n - np.arange(n)) - 1.0)) / (n * float(ordered.sum()))


def _regression(target: AffineTarget) -> RegressionTarget:
    """Return the regression inside."""
    inner = target.inner
    found: RegressionTarget = inner.inner if isinstance(inner, MappedTarget) else inner
    return found


def _log_densities(
    target: AffineTarget,
    points: np.ndarray,
    n_threads: int,
    progress: Progress | None = None,
    thin: int = 1,
) -> np.ndarray:
    """Return the log density at whitened points, shape (m,); the points are shared out among threads.

    Parts begin at multiples of what the kernel takes at once, so that results do not depend on their number.
    """
    regression = _regression(target)
    found, stop = np.empty(len(points)), np.zeros(1, dtype=np.uint8)
    done = [0]

    def part(first: int) -> None:
        here = slice(first, first + PART)
        q = target.unwhiten(points[here])
        if isinstance(target.inner, MappedTarget):
            own = target.inner.clone()
            prior = own.coef_map.log_density(own.coordinates(q))
            sweep(own.inner, own.unwhiten(q), found[here], stop)
            found[here] += prior
        else:
            sweep(regression.clone(), q, found[here], stop)
        done[0] += len(q)

    def report() -> None:
        if progress is not None:
            progress.update(done[0] // thin, 0)

    def halt() -> None:
        stop[0] = 1

    calls: list[Callable[[], None]] = [partial(part, first) for first in range(0, len(points), PART)]
    in_threads(calls, n_threads, on_wait=report, on_failure=halt)
    return found
