"""What simulations say of posteriors: ranks that must be uniform, their test, tables and pictures."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

from bayesglm.validation import check_fraction

#: Simulated sets of uniform ranks that the test compares with: no p-value is smaller than one in so many.
REFERENCES = 20_000
# At so many points the distribution of ranks is compared with the uniform one, if there are more ranks than that.
_POINTS = 100


@dataclass(frozen=True)
class Calibration:
    """Ranks of true parameters among posterior draws, which are uniform if the posteriors are right.

    Attributes
    ----------
    names : tuple of str
        Of the quantities that were ranked: the parameters, and ``log_likelihood``, that of the simulated response.
    ranks : ndarray of int, shape (n_simulations, n_names)
        How many of `n_ranked` posterior draws were smaller than the truth: 0 to `n_ranked`.
    n_ranked : int
    refused : tuple of str
        Why simulated responses could not be fitted, one entry for each: a classifier needs two classes. That
        depends on the response alone, so that the ranks of the others are still uniform.
    n_warned : int
        Fits that warned of their draws.
    """

    names: tuple[str, ...]
    ranks: np.ndarray = field(repr=False)
    n_ranked: int
    refused: tuple[str, ...] = field(repr=False)
    n_warned: int

    @functools.cached_property
    def p_values(self) -> np.ndarray:
        """P-value of each quantity."""
        return np.array([rank_p_value(column, self.n_ranked) for column in self.ranks.T])

    @property
    def p_value(self) -> float:
        """The smallest p-value, times the number of quantities (Bonferroni), at most 1."""
        return float(min(1.0, len(self.names) * self.p_values.min()))

    def __str__(self) -> str:
        width = max(map(len, self.names))
        lines = [
            f"{len(self.ranks)} simulations, {self.n_ranked} draws ranked; {self.n_warned} fits warned, "
            f"{len(self.refused)} responses could not be fitted",
            f"{'':{width}}  p-value  mean rank",
        ]
        means = self.ranks.mean(axis=0) / self.n_ranked
        for name, p, mean in zip(self.names, self.p_values, means, strict=True):
            lines.append(f"{name:{width}}  {p:7.4f}  {mean:9.3f}")
        return "\n".join([*lines, f"all together: p = {self.p_value:.4f}"])

    def plot(self, names: Sequence[str] | None = None, level: float = 0.95, axes: Any = None) -> Any:
        """Draw for each quantity how far its ranks' distribution function is from the uniform one.

        The band holds all of a curve with probability `level` if the ranks are uniform. A curve above it on the left
        and below on the right has posteriors that are too narrow, the reverse too wide ones; a curve on one side,
        posteriors that are shifted: upwards, to values that are too large.

        Parameters
        ----------
        names : sequence of str, optional
            Quantities to show; None: all.
        level : float, default=0.95
            Of the band, for one curve.
        axes : matplotlib.axes.Axes or array of them, optional
            One for each quantity; None: a new figure.

        Returns
        -------
        matplotlib.figure.Figure
        """
        import matplotlib.pyplot as plt

        check_fraction(level, "level")
        shown = list(self.names if names is None else names)
        for name in shown:
            if name not in self.names:
                raise ValueError(f"names: {name!r} was not ranked; there are {', '.join(self.names)}.")
        if axes is None:
            columns = min(3, len(shown))
            rows = -(-len(shown) // columns)
            _, axes = plt.subplots(
                rows,
                columns,
                figsize=(3.2 * columns, 2.4 * rows),
                squeeze=False,
                layout="constrained",
            )
        flat = np.ravel(axes)
        for name, ax in zip(shown, flat, strict=False):
            column = self.names.index(name)
            _draw_band(ax, self.ranks[:, column], self.n_ranked, level)
            ax.set_title(f"{name}  (p = {self.p_values[column]:.2g})", fontsize="medium")
        for ax in flat[len(shown) :]:
            ax.set_axis_off()
        return flat[0].figure


@dataclass(frozen=True)
class PredictiveCoverage:
    """How often predictions held what was then observed.

    Attributes
    ----------
    levels : ndarray of shape (n_levels,)
        Nominal coverages.
    hits : ndarray of bool, shape (n_simulations, n_levels), or None
        Whether ``predict_interval`` held the new observation; None for classes, which have no such intervals.
    pit : ndarray of shape (n_simulations,)
        Where the new observation lies in the posterior predictive distribution, from 0 to 1: its rank among `n_ranked`
        draws, ties broken at random, plus a uniform number, over ``n_ranked + 1``. Uniform if the predictions are
        right, for discrete responses, too.
    n_ranked : int
    discrete : bool
        Whether the response is discrete: its intervals must cover at least `levels`.
    refused, n_warned
        As in `Calibration`.
    """

    levels: np.ndarray
    hits: np.ndarray | None = field(repr=False)
    pit: np.ndarray = field(repr=False)
    n_ranked: int
    discrete: bool
    refused: tuple[str, ...] = field(repr=False)
    n_warned: int

    @property
    def ranks(self) -> np.ndarray:
        """Ranks of the new observations among the predictive draws, 0 to `n_ranked`."""
        return np.minimum((self.pit * (self.n_ranked + 1)).astype(int), self.n_ranked)

    @property
    def observed(self) -> np.ndarray:
        """Share of new observations inside of the intervals; for classes, `central`."""
        return self.central if self.hits is None else np.asarray(self.hits.mean(axis=0))

    @property
    def central(self) -> np.ndarray:
        """Share of `pit` in the middle, by level: as exact for discrete responses as for others."""
        return np.asarray((np.abs(self.pit - 0.5)[:, np.newaxis] <= 0.5 * self.levels).mean(axis=0))

    @property
    def standard_error(self) -> np.ndarray:
        """Monte Carlo standard error that `observed` has if the coverage is nominal."""
        return np.asarray(np.sqrt(self.levels * (1.0 - self.levels) / len(self.pit)))

    @functools.cached_property
    def p_values(self) -> np.ndarray:
        """By level: that the coverage is nominal; of a discrete response, that it is no less."""
        n, side = len(self.pit), "less" if self.discrete and self.hits is not None else "two-sided"
        held = np.rint(self.observed * n).astype(int)
        found = [stats.binomtest(k, n, p, side).pvalue for k, p in zip(held, self.levels, strict=True)]
        return np.array(found)

    @functools.cached_property
    def p_value(self) -> float:
        """That the ranks are uniform: whether the whole predictive distribution is right. See `rank_p_value`."""
        return rank_p_value(self.ranks, self.n_ranked)

    def __str__(self) -> str:
        kind = (
            "nominal"
            if self.hits is None or not self.discrete
            else "at least nominal for a discrete response"
        )
        lines = [
            f"{len(self.pit)} simulations; {self.n_warned} fits warned, {len(self.refused)} responses could not be "
            f"fitted; coverage should be {kind}",
            "nominal  observed  p-value",
        ]
        for level, share, p in zip(self.levels, self.observed, self.p_values, strict=True):
            lines.append(f"{level:7.2f}  {share:8.3f}  {p:7.4f}")
        return "\n".join([*lines, f"predictive distribution as a whole: p = {self.p_value:.4f}"])

    def plot(self, level: float = 0.95, axes: Any = None) -> Any:
        """Draw how far the distribution function of the ranks is from the uniform one; see `Calibration.plot`.

        Parameters
        ----------
        level : float, default=0.95
            Probability that the band holds all of the curve, if the predictions are right.
        axes : matplotlib.axes.Axes, optional

        Returns
        -------
        matplotlib.figure.Figure
        """
        import matplotlib.pyplot as plt

        check_fraction(level, "level")
        ax = plt.subplots(figsize=(4.8, 3.2), layout="constrained")[1] if axes is None else axes
        _draw_band(ax, self.ranks, self.n_ranked, level)
        ax.set_title(f"new observations  (p = {self.p_value:.2g})", fontsize="medium")
        return ax.figure


def rank_p_value(ranks: np.ndarray, n_ranked: int) -> float:
    """Return the p-value of the hypothesis that ranks are uniform on 0..n_ranked.

    The statistic is the least likely value of the ranks' distribution function anywhere, in terms of the binomial
    distribution that it has there; its own distribution is simulated (Säilynoja, Bürkner & Vehtari 2022, Graphical
    test for discrete uniformity).

    Parameters
    ----------
    ranks : ndarray of int, shape (n,)
    n_ranked : int

    Returns
    -------
    float
        In steps of 1/20,001.
    """
    tails, reference = _reference(len(ranks), n_ranked)
    found = _least_likely(_below(ranks, n_ranked)[np.newaxis], tails)[0]
    # Ties are exact: both come from the same table.
    return float((1 + np.searchsorted(reference, found, side="right")) / (1 + len(reference)))


def _points(n_ranked: int) -> np.ndarray:
    """Return the ranks below which ranks are counted, of 1 to n_ranked."""
    return np.unique(np.linspace(1, n_ranked, min(n_ranked, _POINTS)).round().astype(int))


def _below(ranks: np.ndarray, n_ranked: int) -> np.ndarray:
    """Return how many ranks are below each of the points."""
    counts = np.bincount(ranks, minlength=n_ranked + 1)
    return np.asarray(np.cumsum(counts)[_points(n_ranked) - 1])


def _least_likely(below: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """Return the smallest two-sided binomial tail of counts (sets, points) over the points."""
    return np.asarray(tails[np.arange(tails.shape[0]), below].min(axis=1))


@functools.lru_cache(maxsize=8)
def _reference(n: int, n_ranked: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two-sided tails (points, n + 1) of counts, and the sorted statistic of simulated uniform ranks."""
    points = _points(n_ranked)
    share = points[:, np.newaxis] / (n_ranked + 1)
    counts = np.arange(n + 1)
    lower = stats.binom.cdf(counts, n, share)
    tails = 2.0 * np.minimum(lower, stats.binom.sf(counts - 1, n, share))
    rng = np.random.default_rng(n + 1_000_003 * n_ranked)
    cells = np.diff(np.concatenate([[0], points, [n_ranked + 1]])) / (n_ranked + 1)
    below = np.cumsum(rng.multinomial(n, cells, size=REFERENCES), axis=1)[:, :-1]
    return tails, np.sort(_least_likely(below, tails))


def _draw_band(ax: Any, ranks: np.ndarray, n_ranked: int, level: float) -> None:
    """Draw the difference of distribution functions, and the band that holds it with probability `level`."""
    _, reference = _reference(len(ranks), n_ranked)
    pointwise = np.quantile(reference, 1.0 - level)
    points, n = _points(n_ranked), len(ranks)
    share = points / (n_ranked + 1)
    lower, upper = (stats.binom.ppf(q, n, share) / n - share for q in (pointwise / 2, 1 - pointwise / 2))
    ax.fill_between(share, lower, upper, step="mid", color="0.88", linewidth=0)
    ax.axhline(0.0, color="0.6", linewidth=0.8)
    ax.step(share, _below(ranks, n_ranked) / n - share, where="mid", color="C0", linewidth=1.2)
    ax.set_xlim(0, 1)
    ax.set_xlabel("rank / draws")
    ax.set_ylabel("ECDF difference")
