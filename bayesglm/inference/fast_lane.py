"""The fast lane: a batch of proposals from a normal approximation, judged by the exact likelihood in one pass.

Where n is large a posterior is nearly normal, and nearly every proposal from the approximation at its mode is right.
All log densities of a batch come from one pass over the data by matrix products (`bayesglm.kernel.sweep`), and
Metropolis' rule for independent proposals accepts or repeats: w = density/proposal density, min(1, w'/w). That is
exact whatever the approximation, but where w is large a chain waits long. So a pilot batch has to show that it is
not (the Pareto shape of w and the acceptance rate), proposals have a share of heavy tails, and in between come NUTS
transitions: a cycle of kernels that leave the posterior alone leaves it alone, and gets wherever NUTS gets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from scipy.special import gammaln

from bayesglm.inference.pareto import pareto_k
from bayesglm.inference.progress import Progress
from bayesglm.inference.sampling import (
    ChainState,
    Run,
    Settings,
    collect,
    first_step_size,
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
PROPOSALS_A_DRAW = ((0.95, 1), (0.8, 2), (0.0, 3))
#: A NUTS transition every so many draws; with this many numbers in the data it costs as much as a batch of hundreds.
NUTS_EVERY = 50
NUTS_EVERY_LARGE = 250
LARGE = 10_000_000
#: Of the step size that is good for a standard normal target: a little less, for a target that is nearly one.
NUTS_STEP = 0.9
#: Points handed to a thread at a time.
PART = 2 * POINTS_AT_ONCE

_LP, _ACCEPTANCE, _STEP_SIZE, _ENERGY = (
    STAT_NAMES.index(name) for name in ("lp", "acceptance_rate", "step_size", "energy")
)


def run_batch(
    target: AffineTarget,
    settings: Settings,
    seeds: np.random.SeedSequence,
    progress: Progress | None = None,
) -> tuple[Run, int] | None:
    """Sample by batches, or return None where the approximation is not good enough for it.

    Parameters
    ----------
    target : AffineTarget
        Of a regression's target, mapped or not, whitened at the mode.
    settings : Settings
    seeds : SeedSequence
        One child is spawned for the pilot, and one a chain.
    progress : Progress, optional

    Returns
    -------
    (Run, int) or None
        The draws, and how many proposals each took. Energies are NaN save those of NUTS transitions: nothing else
        has one.

    Raises
    ------
    KeyboardInterrupt
        As soon as every thread has finished the block of rows it was at.
    """
    pilot_seed, *chain_seeds = seeds.spawn(settings.chains + 1)
    rng = np.random.Generator(np.random.PCG64DXSM(pilot_seed))
    pilot = _proposals(rng, PILOT, target.dim)
    log_weights = _log_densities(target, pilot, settings.n_threads) - _log_proposal(pilot)
    acceptance = _expected_acceptance(log_weights)
    if acceptance < MIN_ACCEPTANCE or not pareto_k(log_weights) < MAX_PARETO_K:
        return None
    thin = next(thin for least, thin in PROPOSALS_A_DRAW if acceptance >= least)
    # Starting points are drawn from the pilot by weight: already from the posterior, as far as it can tell.
    weights = np.exp(log_weights - log_weights.max())
    starts = rng.choice(PILOT, settings.chains, p=weights / weights.sum())
    chains = [
        start_chain(
            target,
            np.random.PCG64DXSM(seed),
            pilot[start],
            NUTS_STEP * first_step_size(target.dim),
            settings,
        )
        for seed, start in zip(chain_seeds, starts, strict=True)
    ]
    return _sample(target, chains, settings, thin, progress), thin


def more_batch(
    target: AffineTarget,
    states: Sequence[ChainState],
    settings: Settings,
    bit_generators: Sequence[np.random.BitGenerator],
    thin: int,
    progress: Progress | None = None,
) -> Run:
    """Let chains go on from where they stopped; ``states`` are not changed."""
    chains = [
        start_chain(target, bit_generator, state.position, state.step_size, settings)
        for state, bit_generator in zip(states, bit_generators, strict=True)
    ]
    return _sample(target, chains, settings, thin, progress)


def _sample(
    target: AffineTarget, chains: list[Chain], settings: Settings, thin: int, progress: Progress | None
) -> Run:
    """Propose, judge, and walk: ``thin`` proposals a draw."""
    n_chains, draws, steps = len(chains), settings.draws, settings.draws * thin
    design = _regression(target).design
    every = NUTS_EVERY if design.n_rows * design.n_columns < LARGE else NUTS_EVERY_LARGE
    if progress is not None:
        progress.begin(n_chains)
    proposals = np.empty((n_chains, steps, target.dim))
    uniforms = np.empty((n_chains, steps))
    for i, chain in enumerate(chains):
        rng = np.random.Generator(chain.bit_generator)
        proposals[i] = _proposals(rng, steps, target.dim)
        uniforms[i] = rng.random(steps)
    flat = proposals.reshape(n_chains * steps, target.dim)
    density = _log_densities(target, flat, settings.n_threads, progress, thin).reshape(n_chains, steps)
    log_weights = density - _log_proposal(flat).reshape(n_chains, steps)
    out, table = np.empty((n_chains, draws, target.dim)), np.zeros((n_chains, draws, len(STAT_NAMES)))
    table[..., _ENERGY] = np.nan
    work = [
        partial(_walk, chain, proposals[i], density[i], log_weights[i], uniforms[i], every, out[i], table[i])
        for i, chain in enumerate(chains)
    ]

    def stop() -> None:
        for chain in chains:
            chain.stop()

    in_threads(work, settings.n_threads, on_failure=stop)
    return collect(target, chains, out, table, 0)


def _walk(
    chain: Chain,
    proposals: np.ndarray,
    density: np.ndarray,
    log_weights: np.ndarray,
    uniforms: np.ndarray,
    every: int,
    out: np.ndarray,
    table: np.ndarray,
) -> None:
    """Make one chain of a batch: Metropolis along the proposals, NUTS every so many draws."""
    thin = len(proposals) // len(out)
    before = chain.position
    value = chain.target(before)[0]
    log_weight = value - float(_log_proposal(before[np.newaxis])[0])
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
            before, value, accepted = chain.position, table[last, _LP], -1
            log_weight = value - float(_log_proposal(before[np.newaxis])[0])
    chain.position = out[-1]


def _proposals(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """Draw from the mixture of standard normal and t, shape (n, dim)."""
    found = rng.standard_normal((n, dim))
    heavy = rng.random(n) < HEAVY_SHARE
    found[heavy] *= np.sqrt(HEAVY_DF / rng.chisquare(HEAVY_DF, n))[heavy, np.newaxis]
    return found


def _log_proposal(points: np.ndarray) -> np.ndarray:
    """Return the log density of `_proposals` without the normal's constant."""
    dim = points.shape[1]
    square = np.einsum("ij,ij->i", points, points)
    constant = gammaln(0.5 * (HEAVY_DF + dim)) - gammaln(0.5 * HEAVY_DF) - 0.5 * dim * np.log(0.5 * HEAVY_DF)
    heavy = constant - 0.5 * (HEAVY_DF + dim) * np.log1p(square / HEAVY_DF)
    return np.asarray(np.logaddexp(np.log1p(-HEAVY_SHARE) - 0.5 * square, np.log(HEAVY_SHARE) + heavy))


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
