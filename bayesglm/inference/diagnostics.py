"""Has the sampler converged: R-hat, effective sample sizes, Monte Carlo errors, E-BFMI and warnings.

A fit takes milliseconds, so its check must too. The numbers are those of ArviZ 1.3. Releases before 1.0
differ in ESS tail where draws are tied at the 5 % or the 95 % quantile, because they interpolate
between two equal draws and may, by rounding, end up below both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from scipy.special import ndtri

from bayesglm.inference.threads import in_threads
from bayesglm.kernel import autocovariance

#: R-hat above which chains are taken to disagree (Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021,
#: Bayesian Analysis 16(2), section 4).
MAX_RHAT = 1.01
#: What chance may add to that limit where draws are few.
MAX_RHAT_NOISE = 1.03
#: Effective draws per chain below which R-hat and the sample sizes themselves are unreliable (same section).
MIN_ESS_PER_CHAIN = 100
#: Share of that which is no news: an effective size is itself estimated, to about a tenth where it is of this order,
#: and with a tenth less a Monte Carlo error is a twentieth larger.
SLIGHTLY_FEWER = 0.9
#: E-BFMI below which momenta explore the energies too slowly (Betancourt 2016, arXiv:1604.00695; the value
#: is that of Stan's and ArviZ's `diagnose`).
MIN_BFMI = 0.3
#: Share of a chain's trajectories cut short above which the limit costs efficiency (as in PyMC's checks).
MAX_CUT_SHORT = 0.05

#: Draws that make a second thread worth starting (about half a millisecond of work).
DRAWS_PER_THREAD = 32_000
#: Draws that are worth a piece of their own, so that Ctrl-C need not wait for the rest.
DRAWS_PER_CALL = 500_000


@dataclass(frozen=True)
class Diagnostics:
    """Convergence diagnostics of k parameters.

    Attributes
    ----------
    rhat : (k,)
        The larger of the rank-normalised split R-hat of the draws and of their distances from the
        median. NaN for one chain and for draws that are all equal.
    ess_bulk : (k,)
        Effective sample size of the normal scores of the ranks: that of the mean and of the median.
    ess_tail : (k,)
        The smaller of the effective sample sizes of the 5 % and 95 % quantiles.
    ess_mean : (k,)
        Effective sample size of the draws as they are.
    mcse_mean, mcse_sd : (k,)
        Monte Carlo standard errors of the posterior mean and standard deviation, in the parameter's unit.
    """

    rhat: np.ndarray
    ess_bulk: np.ndarray
    ess_tail: np.ndarray
    ess_mean: np.ndarray
    mcse_mean: np.ndarray
    mcse_sd: np.ndarray


@lru_cache(maxsize=4)
def _normal_scores(size: int) -> np.ndarray:
    """Return Blom's normal scores of ``size`` ranks, by twice the rank, as ties have ranks and a half."""
    ranks = np.arange(2 * size + 1) / 2
    scores = ndtri((ranks - 3 / 8) / (size + 1 / 4))
    scores.flags.writeable = False
    return scores


def diagnose(draws: np.ndarray, n_threads: int = 1) -> Diagnostics:
    """Return the convergence diagnostics of many parameters.

    Parameters
    ----------
    draws : (k, chain, draw)
        Draws of k parameters. Any strides will do: pass ``coef.transpose(2, 0, 1)``, not a copy of it.
    n_threads : int, default 1
        Threads to use at most.

    Returns
    -------
    Diagnostics
        Equal to ArviZ's `rhat`, `ess` (bulk; tail at 5 % and 95 %; mean) and `mcse` (mean, sd) to
        rounding, save that a parameter whose draws vary by less than 1e-15 is not taken for constant
        here. All NaN for fewer than four draws a chain, or where a parameter has draws that are not finite.

    Raises
    ------
    ValueError
        If draws does not have three dimensions.
    """
    draws = np.asarray(draws, dtype=np.float64)
    if draws.ndim != 3:
        raise ValueError(f"draws must have the dimensions (parameter, chain, draw), not shape {draws.shape}.")
    k, n_chains, n_draws = draws.shape
    if n_chains == 0 or n_draws < 4:
        return Diagnostics(*np.full((len(autocovariance.COLUMNS), k), np.nan))
    scores = _normal_scores(2 * n_chains * (n_draws // 2))
    n_threads = max(1, min(n_threads, draws.size // DRAWS_PER_THREAD, k))
    if n_threads == 1 and draws.size < DRAWS_PER_CALL:
        columns = autocovariance.diagnose(draws, scores)
    else:
        n_parts = min(k, max(n_threads, draws.size // DRAWS_PER_CALL))
        calls = [partial(autocovariance.diagnose, part, scores) for part in np.array_split(draws, n_parts)]
        columns = np.concatenate(in_threads(calls, n_threads))
    return Diagnostics(**dict(zip(autocovariance.COLUMNS, columns.T.copy(), strict=True)))


def bfmi(energy: np.ndarray) -> np.ndarray:
    """Return the estimated Bayesian fraction of missing information, E-BFMI, of every chain.

    It compares how far the energy moves from one draw to the next with how far it spreads
    (Betancourt 2016, arXiv:1604.00695); independent energies would give 2.

    Parameters
    ----------
    energy : (chain, draw)
        The Hamiltonian at each draw.

    Returns
    -------
    (chain,) array
        NaN for fewer than two draws and for a constant energy.
    """
    energy = np.asarray(energy, dtype=np.float64)
    if energy.shape[1] < 2:
        return np.full(energy.shape[0], np.nan)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return np.square(np.diff(energy, axis=1)).mean(axis=1) / energy.var(axis=1, ddof=1)


def warning_texts(
    names: Sequence[str],
    diagnostics: Diagnostics,
    stats: Mapping[str, np.ndarray],
    *,
    n_chains: int,
    target_accept: float,
    max_treedepth: int,
) -> list[str]:
    """Return what a user should know about the convergence of a fit, one sentence with its remedy each.

    Parameters
    ----------
    names : k strings
        Parameters in the order of the diagnostics, as the user knows them.
    diagnostics : Diagnostics
        Of the same parameters.
    stats : dict of (chain, draw) arrays
        Statistics of the sampler under their ArviZ names: `diverging`, `reached_max_treedepth` and
        `energy` are looked at where there are any.
    n_chains, target_accept, max_treedepth
        The settings of the run.

    Returns
    -------
    list of str
        Empty if nothing is wrong.
    """
    texts = [
        _not_finite(names, diagnostics.ess_bulk),
        _disagreement(names, diagnostics, n_chains),
        _too_few(names, diagnostics, MIN_ESS_PER_CHAIN * n_chains),
        _divergences(stats.get("diverging"), target_accept),
        _cut_short(stats.get("reached_max_treedepth"), max_treedepth),
        _slow_energy(stats.get("energy")),
    ]
    return [text for text in texts if text]


def _not_finite(names: Sequence[str], ess: np.ndarray) -> str:
    bad = np.flatnonzero(np.isnan(ess))
    if bad.size == 0:
        return ""
    return (
        f"The convergence of '{names[bad[0]]}'{_others(bad.size)} cannot be judged, because it has fewer "
        "than four draws a chain or some that are not finite: increase draws, or use a prior that rules out "
        "extreme values."
    )


def _disagreement(names: Sequence[str], diagnostics: Diagnostics, n_chains: int) -> str:
    # Means of 2c half chains that agree differ by chance: R-hat² - 1 is about a chi-square of 2c - 1 degrees of
    # freedom over the effective size, here taken five standard deviations out and over half of it (distances from
    # the median mix more slowly than what the sizes measure). No allowance beyond MAX_RHAT_NOISE:
    # chains that disagree have a small effective size for that very reason.
    rhat, degrees = diagnostics.rhat, 2 * n_chains - 1
    noise = (degrees + 5.0 * np.sqrt(2.0 * degrees)) / np.fmin(diagnostics.ess_bulk, diagnostics.ess_tail)
    limit = np.clip(1.0 + noise, MAX_RHAT, MAX_RHAT_NOISE)
    bad = np.flatnonzero(rhat > limit)
    if bad.size == 0:
        return ""
    worst = bad[np.argmax(rhat[bad])]
    return (
        f"The {n_chains} chains disagree about '{names[worst]}'{_others(bad.size)}, whose R-hat of "
        f"{rhat[worst]:.3f} is above {limit[worst]:.3g}: increase tune and draws, and if that does not help, use a "
        "more informative prior."
    )


def _too_few(names: Sequence[str], diagnostics: Diagnostics, minimum: int) -> str:
    ess = np.fmin(diagnostics.ess_bulk, diagnostics.ess_tail)
    bad = np.flatnonzero(ess < SLIGHTLY_FEWER * minimum)
    if bad.size == 0:
        return ""
    worst = bad[np.argmin(ess[bad])]
    part = "bulk" if diagnostics.ess_bulk[worst] <= diagnostics.ess_tail[worst] else "tail"
    return (
        f"'{names[worst]}'{_others(bad.size)} has an effective sample size ({part}) of only "
        f"{ess[worst]:.0f}, where reliable estimates take {minimum} ({MIN_ESS_PER_CHAIN} a chain): increase "
        "draws."
    )


def _divergences(diverging: np.ndarray | None, target_accept: float) -> str:
    if diverging is None or not np.any(diverging):
        return ""
    if target_accept < 0.99:
        higher = max(0.9, (1 + target_accept) / 2)
        remedy = (
            f"raise target_accept from {target_accept:g} to {higher:.3g}, or use a more informative prior"
        )
    else:
        remedy = "use a more informative prior"
    return (
        f"{np.sum(diverging)} of {np.size(diverging)} draws came out of a divergent trajectory, so part of "
        f"the posterior may have been missed: {remedy}."
    )


def _cut_short(reached: np.ndarray | None, max_treedepth: int) -> str:
    if reached is None or np.size(reached) == 0:
        return ""
    share = np.mean(reached, axis=1)
    worst = int(np.argmax(share))
    if share[worst] <= MAX_CUT_SHORT:
        return ""
    return (
        f"max_treedepth={max_treedepth} cut {100 * share[worst]:.0f} % of the trajectories of chain {worst} "
        "short, which makes its draws more dependent but not wrong: raise max_treedepth to "
        f"{max_treedepth + 2}, or use a more informative prior."
    )


def _slow_energy(energy: np.ndarray | None) -> str:
    if energy is None:
        return ""
    values = bfmi(energy)
    if not np.any(values < MIN_BFMI):
        return ""
    worst = int(np.nanargmin(values))
    return (
        f"The energy of chain {worst} moves slowly (E-BFMI {values[worst]:.2f}, below {MIN_BFMI}), so the "
        "tails may have been explored too little: increase tune and draws, or use priors with lighter tails."
    )


def _others(n_bad: int) -> str:
    """Return a remark on how many parameters share the trouble of the one that is named."""
    return f" (and {n_bad - 1} more)" if n_bad > 1 else ""
