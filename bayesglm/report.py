"""The summary table that a scientist expects, as text, HTML or data frame."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesglm.inference.exact import ExactPosterior
from bayesglm.inference.posterior import JointPosterior, Posterior
from bayesglm.mixture_quantiles import component_quantiles

#: Priors that differ in scale are listed each by itself up to this many, more by the range.
MOST_PRIORS = 6
#: From this size of its numbers (or this standard deviation) on, and below this one, a row is written with exponents.
LARGE, LARGE_SD, SMALL = 1e7, 1e6, 1e-3
#: Smaller standard deviations are, whatever the numbers are.
SMALL_SD = 1e-4
#: More decimals than this are not written.
MOST_DECIMALS = 12


@dataclass(frozen=True)
class SummaryTable:
    """Parameters in rows, their posterior in columns; prints well.

    Attributes
    ----------
    header : tuple of (str, str)
        What the table is about: model, rows, chains, priors.
    names : tuple of str
        Parameters.
    columns : dict of ndarray of shape (k,)
        ``mean``, ``sd``, lower and upper end of the interval, ``mcse_mean``, ``ess_bulk``, ``ess_tail``,
        ``r_hat`` and, where exact marginals are known, ``z``: the distance of the draws' mean from the
        exact one in Monte Carlo standard errors.
    notes : tuple of str
        What the columns mean where it is not plain.
    """

    header: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    columns: dict[str, np.ndarray]
    notes: tuple[str, ...]

    def to_frame(self) -> Any:
        """Return the table as a pandas data frame with unrounded numbers."""
        import pandas as pd

        return pd.DataFrame(self.columns, index=pd.Index(self.names, name="parameter"))

    def _cells(self) -> list[list[str]]:
        """Return the table as strings, rounded to what the posterior's width makes visible."""
        rows = [["", *self.columns]]
        for i, name in enumerate(self.names):
            values = {column: float(numbers[i]) for column, numbers in self.columns.items()}
            rows.append([name, *_written(values)])
        return rows

    def __str__(self) -> str:
        cells = self._cells()
        widths = [max(len(row[j]) for row in cells) for j in range(len(cells[0]))]
        label = max(len(key) for key, _ in self.header)
        lines = [f"{key.ljust(label)}  {value}" for key, value in self.header]
        lines.append("")
        for row in cells:
            lines.append(
                "  ".join(
                    [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
                )
            )
        lines += ["", *self.notes] if self.notes else []
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cells = self._cells()
        head = "".join(
            f"<tr><th style='text-align:left'>{html.escape(key)}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for key, value in self.header
        )
        titles = "".join(f"<th>{html.escape(cell)}</th>" for cell in cells[0])
        body = "".join(
            f"<tr><th style='text-align:left'>{html.escape(row[0])}</th>"
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
            + "</tr>"
            for row in cells[1:]
        )
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f"<table>{head}</table><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>{notes}"


def summary_table(
    posterior: Posterior | JointPosterior,
    model: str,
    formula: str | None,
    responses: Sequence[str],
    coverage: float = 0.9,
    precision: float | None = None,
) -> SummaryTable:
    """Return the table of a posterior.

    Parameters
    ----------
    posterior : Posterior or JointPosterior
    model : str
        Name of the estimator.
    formula : str or None
    responses : sequence of str
    coverage : float, default=0.9
        Of the equal-tailed intervals.
    precision : float, optional
        Mean of the weights, where they are precisions.

    Returns
    -------
    SummaryTable
        With exact means, standard deviations and intervals where they are known, else those of the draws.
    """
    tails = np.array([0.5 - coverage / 2, 0.5 + coverage / 2])
    moments = [_moments(part, tails) for part in posterior.parts]
    mean, sd, ends = (np.concatenate(columns) for columns in zip(*moments, strict=True))
    diagnostics = posterior.diagnostics
    columns = {
        "mean": mean,
        "sd": sd,
        f"{100 * tails[0]:.4g}%": ends[:, 0],
        f"{100 * tails[1]:.4g}%": ends[:, 1],
        "mcse_mean": diagnostics.mcse_mean,
        "ess_bulk": diagnostics.ess_bulk,
        "ess_tail": diagnostics.ess_tail,
        "r_hat": diagnostics.rhat,
    }
    notes: tuple[str, ...] = ()
    if posterior.z_scores is not None:
        columns["z"] = posterior.z_scores
        notes = (
            "mean, sd and interval are exact (quadrature over sigma); the columns after them describe the draws,",
            "z how far their mean lies from the exact one, in Monte Carlo standard errors. About 2 is ordinary: one in",
            "twenty is beyond that by chance, and a warning would tell if one were too far off.",
        )
    chains, draws = posterior.parts[0].shape
    rows = f"{posterior.n_rows}"
    if posterior.weight != posterior.n_rows:
        rows += f" (weights sum to {posterior.weight:.6g})"
    elif precision is not None:
        rows += f" (weights are precisions, {precision:.4g} on average; sigma is that of weight 1)"
    what = formula or f"{', '.join(responses)} ~ {posterior.parts[0].likelihood}"
    warm_up = f" after {posterior.tune} of warm-up"
    if posterior.tune == 0:
        warm_up = ", no warm-up needed" if posterior.how == "batch" else " without warm-up"
    priors = posterior.describe_priors(MOST_PRIORS // len(posterior.parts))
    header = (
        ("model", f"{model}, {what}"),
        ("rows", rows),
        (
            "draws",
            f"{chains} chains x {draws}{warm_up}, "
            f"{posterior.n_divergences} divergences, {1e3 * posterior.seconds:.0f} ms",
        ),
        *(("prior" if i == 0 else "", f"{name} ~ {text}") for i, (name, text) in enumerate(priors)),
    )
    return SummaryTable(header, posterior.names, columns, notes)


def _moments(posterior: Posterior, tails: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return means, standard deviations and quantiles of all parameters of one response."""
    if posterior.exact is not None:
        return _exact(posterior.exact, tails)
    stacked = posterior.stacked()
    with np.errstate(over="ignore", invalid="ignore"):
        ends = np.quantile(stacked.reshape(len(stacked), -1), tails, axis=1).T
        # In a unit of its own, since the square of a draw of 1e160 is none.
        unit = np.ldexp(1.0, np.frexp(np.abs(stacked[:, 0, 0]))[1])[:, np.newaxis, np.newaxis]
        mean, sd = stacked.mean(axis=(1, 2)), (stacked / unit).std(axis=(1, 2)) * unit[:, 0, 0]
    # Draws are numbers or, as odds ratios, infinite; between infinities NumPy says NaN.
    return mean, np.where(np.isnan(sd), np.inf, sd), np.where(np.isnan(ends), np.inf, ends)


def _exact(exact: ExactPosterior, tails: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return means, standard deviations and quantiles of all parameters without Monte Carlo error."""
    order = [name for name in ("Intercept", "coef", "sigma") if name in exact.mean]
    mean = np.concatenate([np.atleast_1d(exact.mean[name]) for name in order])
    sd = np.concatenate([np.atleast_1d(exact.sd[name]) for name in order])
    ends = component_quantiles(*exact.parameter_components(), tails)
    return mean, sd, np.vstack([ends, exact.sigma_quantile(tails)])


def _written(values: Mapping[str, float]) -> list[str]:
    """Return a row of the table, its numbers in one notation and with the digits that mean something."""
    sd = values["sd"]
    ends = [value for column, value in values.items() if column.endswith("%")]
    sizes = [abs(value) for value in (values["mean"], *ends) if np.isfinite(value)]
    largest = max(sizes, default=0.0)
    exponents = largest >= LARGE or (np.isfinite(sd) and sd >= LARGE_SD) or 0.0 < largest < SMALL
    one_sign = all(value > 0.0 for value in ends) or all(value < 0.0 for value in ends)
    row = []
    for column, value in values.items():
        if not np.isfinite(value):
            row.append(str(value))
        elif column.startswith("ess"):
            row.append(f"{value:.0f}")
        elif column == "r_hat":
            row.append(f"{value:.3f}")
        elif column == "z":
            row.append(f"{value:+.1f}")
        elif column in ("sd", "mcse_mean"):
            digits = 3 if column == "sd" else 2
            row.append(_rounded(value, value, exponents or value < SMALL_SD, digits))
        else:
            text = _rounded(value, sd, exponents, 3)
            # Where the interval lies on one side of zero, its near end is no zero.
            row.append(_rounded(value, abs(value), exponents, 2) if one_sign and float(text) == 0.0 else text)
    return row


def _rounded(value: float, unit: float, exponent: bool, digits: int) -> str:
    """Return a number to so many digits of the unit, with an exponent or without."""
    if not np.isfinite(unit) or unit <= 0.0:
        return f"{value:.4g}"
    decimals = digits - 1 - int(np.floor(np.log10(unit)))
    if exponent:
        size = int(np.floor(np.log10(abs(value)))) if value else -decimals
        return f"{value:.{min(max(size + decimals, 0), MOST_DECIMALS)}e}"
    return f"{value:.6g}" if decimals > MOST_DECIMALS else f"{value:.{max(decimals, 0)}f}"
