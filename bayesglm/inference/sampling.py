"""Run chains in threads: settings, seeds, warm-up, interrupts and continuation.

The kernel holds no GIL, so chains are plain Python threads. The thread that called waits for them
with a timeout: that is where Ctrl-C arrives and where progress is looked at, so the kernel needs no
signal handling. Results depend on the seed alone, never on the number of threads.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from bayesglm.inference.progress import Progress
from bayesglm.inference.threads import in_threads
from bayesglm.kernel.nuts import STAT_NAMES, Chain
from bayesglm.kernel.target import AffineTarget, Target

#: Draws of warm-up where the posterior's scale is known in advance and only the step size is tuned.
TUNE_KNOWN_SCALE = 100
#: Draws of warm-up where the scale has to be learnt, if it turns out to be needed.
TUNE_UNKNOWN_SCALE = 400
#: The largest dimension in which a full covariance is learnt; beyond it only the variances.
DENSE_LIMIT = 200
#: Fewer draws than this many times the dimension do not determine a covariance (its smallest eigenvalues come out
#: far too small): then, too, only the variances are learnt.
DRAWS_PER_DIMENSION = 5
#: What a chain's steps are tuned to once warm-up has seen a divergence: a likelihood with a wall, such as that of
#: counts that are all zero, needs smaller steps than most.
CAREFUL_ACCEPT = 0.98
#: Where a run falls a little short, it goes on: so many draws to tune the step, and so many to keep one.
TUNE_AGAIN, THIN_AGAIN = 200, 4
#: ... and what the step is tuned to then.
ACCEPT_AGAIN = 0.99
#: Depth of trees that are short enough to need no other map, in few dimensions.
SHORT_DEPTH = 3
#: Starting points are spread by this factor beyond the posterior, so that R-hat keeps its meaning.
OVERDISPERSION = 1.5

_DTYPES: dict[str, Any] = {
    "tree_depth": np.int64,
    "n_steps": np.int64,
    "index_in_trajectory": np.int64,
    "diverging": np.bool_,
    "reached_max_treedepth": np.bool_,
}


@dataclass(frozen=True)
class Settings:
    """Constants of a run; most are the estimators' arguments of the same names.

    Attributes
    ----------
    chains, draws : int
    tune : int or None
        Warm-up draws a chain; None: as many as the route needs (100 where the scale of the posterior is
        known, up to 400 where it is learnt).
    target_accept : float
        Acceptance rate that the step size is tuned to (Hoffman & Gelman 2014; Stan's default is 0.8 too).
    max_treedepth : int
    jitter : float
        Relative width of the random variation of the step size.
    n_threads : int
    progressbar : bool or None
        None: shown when a fit takes longer than two seconds at a terminal or in a notebook.
    """

    chains: int = 4
    draws: int = 1000
    tune: int | None = None
    target_accept: float = 0.8
    max_treedepth: int = 10
    jitter: float = 0.1
    n_threads: int = 1
    progressbar: bool | None = None


@dataclass
class ChainState:
    """Where a chain stopped: all that is needed to go on."""

    position: np.ndarray
    step_size: float
    bit_generator: np.random.BitGenerator


@dataclass
class Run:
    """What the chains produced.

    Attributes
    ----------
    target : Target
        The standardised target that was sampled.
    draws : ndarray of shape (chain, draw, dim)
        Positions in the standardised space.
    stats : dict of ndarray of shape (chain, draw)
        Sampler statistics under ArviZ's names.
    states : list of ChainState
    tune : int
        Warm-up draws that were made a chain.
    """

    target: Target
    draws: np.ndarray
    stats: dict[str, np.ndarray]
    states: list[ChainState]
    tune: int


def seed_sequence(random_state: Any) -> np.random.SeedSequence:
    """Turn ``random_state`` into a seed sequence.

    Parameters
    ----------
    random_state : None, int, SeedSequence, RandomState or Generator
        An int always gives the same sequence; a RandomState or Generator is advanced, so that using
        it twice gives two different ones; None takes fresh entropy from the system.

    Raises
    ------
    ValueError
        If it is none of these, or a negative int.
    """
    if random_state is None:
        return np.random.SeedSequence()
    if isinstance(random_state, np.random.SeedSequence):
        return random_state
    if isinstance(random_state, np.random.Generator):
        return np.random.SeedSequence(random_state.integers(0, 1 << 32, size=4, dtype=np.uint64).tolist())
    if random_state is np.random:
        random_state = np.random.mtrand._rand
    if isinstance(random_state, np.random.RandomState):
        return np.random.SeedSequence(random_state.randint(0, 1 << 32, size=4, dtype=np.uint64).tolist())
    if (
        isinstance(random_state, (int, np.integer))
        and not isinstance(random_state, bool)
        and random_state >= 0
    ):
        return np.random.SeedSequence(int(random_state))
    raise ValueError(
        f"random_state must be None, a non-negative int, a RandomState or a Generator; got {random_state!r}."
    )


def first_step_size(dim: int) -> float:
    """Return a good step size for a standard normal target: close to what tuning finds."""
    return 1.4 * max(dim, 1) ** -0.25


def run(
    target: Target,
    settings: Settings,
    seeds: np.random.SeedSequence,
    *,
    known_scale: bool,
    progress: Progress | None = None,
    regions: Sequence[tuple[np.ndarray, np.ndarray]] = (),
) -> Run:
    """Warm up and sample.

    Parameters
    ----------
    target : Target
        Standardised as well as is known in advance. With ``known_scale=False`` an `AffineTarget`,
        whose map is replaced during warm-up if the draws show that it should be.
    settings : Settings
    seeds : SeedSequence
        One child is spawned a chain.
    known_scale : bool
        Whether the target is known to be standardised, so that only the step size is tuned.
    progress : Progress, optional
    regions : sequence of (shift, factor), optional
        Where the standardised space has further modes: every other chain starts around one of them.

    Returns
    -------
    Run

    Raises
    ------
    KeyboardInterrupt
        As soon as every chain has finished the draw it was at.
    """
    chains = []
    for i, seed in enumerate(seeds.spawn(settings.chains)):
        bit_generator = np.random.PCG64DXSM(seed)
        start = OVERDISPERSION * np.random.Generator(bit_generator).standard_normal(target.dim)
        if regions and i % 2:
            shift, factor = regions[i // 2 % len(regions)]
            start = shift + factor @ start / OVERDISPERSION
        chains.append(start_chain(target, bit_generator, start, first_step_size(target.dim), settings))
    if progress is not None:
        progress.begin(settings.chains)
    if known_scale:
        tune = TUNE_KNOWN_SCALE if settings.tune is None else settings.tune
        draws, table = _advance(chains, settings, progress, tune=tune, keep=settings.draws)
    else:
        assert isinstance(target, AffineTarget)
        target, tune = _adapt(target, chains, settings, progress)
        draws, table = _advance(chains, settings, progress, keep=settings.draws)
    return collect(target, chains, draws, table, tune)


def resume(
    target: Target,
    states: Sequence[ChainState],
    settings: Settings,
    random_state: Any = None,
    progress: Progress | None = None,
) -> Run:
    """Let chains go on from where they stopped, without warm-up; ``states`` are not changed."""
    bit_generators = continued(states, random_state)
    chains = [
        start_chain(target, bit_generator, state.position, state.step_size, settings)
        for state, bit_generator in zip(states, bit_generators, strict=True)
    ]
    if progress is not None:
        progress.begin(len(chains))
    draws, table = _advance(chains, settings, progress, keep=settings.draws)
    return collect(target, chains, draws, table, 0)


def again(
    found: Run, settings: Settings, random_state: np.random.SeedSequence, progress: Progress | None = None
) -> Run:
    """Go on where a run ended, in a map learnt from all its draws, by smaller steps, and keep every fourth draw.

    A kept draw is marked as divergent if any of its four is.
    """
    assert isinstance(found.target, AffineTarget)
    careful = dataclasses.replace(settings, target_accept=max(settings.target_accept, ACCEPT_AGAIN))
    old = found.target
    shift, factor = _affine(found.draws.reshape(-1, old.dim))
    target = AffineTarget(old.inner, old.factor @ shift + old.shift, old.factor @ factor)
    chains = [
        start_chain(
            target,
            bit_generator,
            solve_triangular(factor, state.position - shift, lower=True),
            first_step_size(target.dim),
            careful,
        )
        for state, bit_generator in zip(found.states, continued(found.states, random_state), strict=True)
    ]
    if progress is not None:
        progress.total = TUNE_AGAIN + THIN_AGAIN * settings.draws
        progress.begin(len(chains))
    parts, tables, diverged = [], [], []
    for k in range(THIN_AGAIN):
        draws, table = _advance(chains, careful, progress, tune=0 if k else TUNE_AGAIN, keep=settings.draws)
        kept = slice((-1 - k * settings.draws) % THIN_AGAIN, None, THIN_AGAIN)
        parts.append(draws[:, kept])
        tables.append(table[:, kept])
        diverged.append(table[:, :, STAT_NAMES.index("diverging")])
    every = np.concatenate(diverged, axis=1).reshape(len(chains), settings.draws, THIN_AGAIN)
    table = np.concatenate(tables, axis=1)
    table[:, :, STAT_NAMES.index("diverging")] = every.max(axis=2)
    made = found.tune + found.draws.shape[1] + TUNE_AGAIN
    return collect(target, chains, np.concatenate(parts, axis=1), table, made)


def continued(states: Sequence[ChainState], random_state: Any = None) -> list[np.random.BitGenerator]:
    """Return a generator for each chain to go on with: a copy of its own, or a new one if there is a seed."""
    if random_state is None:
        return [copy.deepcopy(state.bit_generator) for state in states]
    return [np.random.PCG64DXSM(seed) for seed in seed_sequence(random_state).spawn(len(states))]


def start_chain(
    target: Target, bit_generator: Any, position: np.ndarray, step_size: float, settings: Settings
) -> Chain:
    """Make a chain, moving towards the centre if the density vanishes where it should start."""
    for shrink in (1.0, 0.5, 0.25, 0.1, 0.0):
        try:
            return Chain(
                target,
                bit_generator,
                shrink * position,
                step_size,
                max_treedepth=settings.max_treedepth,
                target_accept=settings.target_accept,
                jitter=settings.jitter,
            )
        except ValueError:
            if shrink == 0.0:
                raise
    raise AssertionError("unreachable")


def _advance(
    chains: list[Chain],
    settings: Settings,
    progress: Progress | None,
    *,
    tune: int = 0,
    keep: int,
    adapting: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Advance all chains by ``tune`` draws that adapt and are dropped, and ``keep`` more, which may adapt too."""
    shape = len(chains), chains[0].dim, len(STAT_NAMES)
    draws, table = np.empty((shape[0], keep, shape[1])), np.empty((shape[0], keep, shape[2]))
    dropped = np.empty((shape[0], tune, shape[1])), np.empty((shape[0], tune, shape[2]))

    def work(i: int) -> None:
        chain = chains[i]
        chain.adapting = tune > 0 or adapting
        chain.advance(tune, dropped[0][i], dropped[1][i])
        chain.adapting = adapting
        chain.advance(keep, draws[i], table[i])
        chain.adapting = False

    _in_threads(work, chains, settings.n_threads, progress)
    return draws, table


def _in_threads(
    work: Callable[[int], None], chains: list[Chain], n_threads: int, progress: Progress | None
) -> None:
    """Call ``work(i)`` for every chain; whatever comes in between stops the chains first."""

    def report() -> None:
        if progress is not None:
            progress.update(sum(chain.n_done for chain in chains), sum(chain.n_divergent for chain in chains))

    def stop() -> None:
        for chain in chains:
            chain.stop()

    calls = [partial(work, i) for i in range(len(chains))]
    in_threads(calls, n_threads, on_wait=report, on_failure=stop)


def _adapt(
    target: AffineTarget, chains: list[Chain], settings: Settings, progress: Progress | None
) -> tuple[AffineTarget, int]:
    """Warm up where the scale is not known: learn an affine map from the draws of all chains if needed.

    A first window tunes the step size and shows whether the space is standardised well enough
    (variances within a factor of four, no divergence, short trajectories). If not, mean and covariance
    of its draws replace the map; so do those of two more windows, and a last one tunes the step size. A window
    that ends with divergences asks for smaller steps from there on.
    Returns the target in its last map and the number of draws made a chain.
    """
    total = TUNE_UNKNOWN_SCALE if settings.tune is None else settings.tune
    quarter = total // 4
    windows = [quarter, quarter, total - 2 * quarter - total // 8, total // 8]
    made = 0
    for i, window in enumerate(windows):
        draws, table = _advance(chains, settings, progress, keep=window, adapting=True)
        made += window
        pooled = draws[:, window // 3 :].reshape(len(draws) * (window - window // 3), target.dim)
        # Before that it may be the scale alone that is wrong.
        if i > 1 and table[:, window // 3 :, STAT_NAMES.index("diverging")].any():
            for chain in chains:
                chain.target_accept = max(chain.target_accept, CAREFUL_ACCEPT)
        if i == 0 and settings.tune is None and _is_standardised(pooled, table):
            break
        if i < 3 and len(pooled) > 10 and target.dim:
            shift, factor = _affine(pooled)
            target = AffineTarget(target.inner, target.factor @ shift + target.shift, target.factor @ factor)
            for chain in chains:
                position = solve_triangular(factor, chain.position - shift, lower=True)
                chain.retarget(target, position, first_step_size(target.dim))
    return target, made


def _is_standardised(pooled: np.ndarray, table: np.ndarray) -> bool:
    """Whether a window's draws show variances near one, no divergence, and trajectories as short as they can be."""
    variance = pooled.var(axis=0)
    late = table[:, table.shape[1] // 3 :]
    # Half a turn of a standard normal target takes so many steps, and trees double: in a hundred dimensions 15.
    depth = np.ceil(np.log2(np.pi / first_step_size(pooled.shape[1]) + 1.0))
    return bool(
        np.all((variance > 0.25) & (variance < 4.0))
        and not late[..., STAT_NAMES.index("diverging")].any()
        and late[..., STAT_NAMES.index("tree_depth")].mean() < max(depth, SHORT_DEPTH) + 0.5
    )


def _affine(pooled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and a square root of the covariance of draws, shrunk towards the identity as Stan does.

    Too few draws, or draws whose covariance has no square root, give the root of their variances alone.
    """
    n, dim = pooled.shape
    shift = pooled.mean(axis=0)
    if dim <= DENSE_LIMIT and n >= DRAWS_PER_DIMENSION * dim:
        with np.errstate(over="ignore", invalid="ignore"), contextlib.suppress(np.linalg.LinAlgError):
            covariance = n / (n + 5.0) * np.atleast_2d(np.cov(pooled.T)) + 5e-3 / (n + 5.0) * np.eye(dim)
            factor = np.linalg.cholesky(covariance)
            if np.isfinite(factor).all():
                return shift, factor
    with np.errstate(over="ignore", invalid="ignore"):
        variance = n / (n + 5.0) * pooled.var(axis=0) + 5e-3 / (n + 5.0)
    # Where draws lie so far apart that their squares overflow, the map stays as wide as it was.
    return shift, np.diag(np.sqrt(np.where(np.isfinite(variance), variance, 1.0)))


def collect(target: Target, chains: list[Chain], draws: np.ndarray, table: np.ndarray, tune: int) -> Run:
    """Put together what chains have produced; ``table`` holds the statistics in the order of `STAT_NAMES`."""
    stats = {name: table[..., i].astype(_DTYPES.get(name, np.float64)) for i, name in enumerate(STAT_NAMES)}
    states = [ChainState(chain.position, chain.step_size, chain.bit_generator) for chain in chains]
    return Run(target, draws, stats, states, tune)
