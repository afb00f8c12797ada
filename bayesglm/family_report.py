"""The summary table of a model with any likelihood, on the scale of the link or of the response."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from bayesglm.inference.diagnostics import diagnose
from bayesglm.inference.posterior import Posterior, estimated, stack
from bayesglm.report import SummaryTable, summary_table

#: What exp(coef) is, by link.
RATIOS = {
    "logit": "odds ratios",
    "log": "ratios of means",
    "cloglog": "ratios of hazards",
    "softmax": "odds ratios",
}

#: What draws come from where ``posterior_.how`` is "batch".
BATCHES = "proposals from a normal approximation, accepted or refused by the exact density; NUTS now and then"


def family_summary(
    posterior: Posterior,
    family: Any,
    model: str,
    formula: str | None,
    response: str,
    coverage: float,
    scale: str,
) -> SummaryTable:
    """Return the table of a posterior.

    Parameters
    ----------
    posterior : Posterior
    family : Family
    model, formula, response : str
        Names for the header.
    coverage : float
    scale : {"link", "response"}

    Returns
    -------
    SummaryTable

    Raises
    ------
    ValueError
        If `scale` is another, or coefficients do nothing to the response that one number could tell.
    """
    if scale not in ("link", "response"):
        raise ValueError(f"scale must be 'link' or 'response'; got {scale!r}.")
    note = "on the scale of the response, which is that of the link"
    if scale == "response" and family.link != "identity":
        if family.link not in RATIOS:
            raise ValueError(
                f"scale='response': with the {family.link} link what a coefficient does depends on where it starts; "
                "compare predictions instead, predict_interval(X, kind='mean')."
            )
        draws = dict(posterior.draws)
        with np.errstate(over="ignore"):
            draws["coef"] = np.exp(draws["coef"])
            if "Intercept" in draws:
                level = draws["Intercept"]
                draws["Intercept"] = np.exp(level) if family.n_predictors > 1 else family.inverse_link(level)
        shown = stack(estimated(draws, posterior.prior_set.reference))
        posterior = dataclasses.replace(
            posterior, draws=draws, diagnostics=diagnose(shown, posterior.settings.n_threads)
        )
        note = f"coef are exp(coef), {RATIOS[family.link]}; Intercept is the response at X = 0"
        if family.n_predictors > 1:
            against = "the geometric mean of all classes"
            if posterior.prior_set.reference is not None:
                against = _reference(posterior)
            note = f"coef are exp(coef), odds ratios against {against}; Intercept are the odds against it at X = 0"
    table = summary_table(posterior, model, formula, (response,), coverage)
    sampler = BATCHES if posterior.how == "batch" else "NUTS"
    header = [*table.header[:2], ("sampler", sampler), *table.header[2:]]
    if formula is not None:
        header.insert(1, ("family", posterior.likelihood))
    if family.n_predictors > 1:
        header.insert(len(header) - len(posterior.priors), ("classes", _coding(posterior)))
    notes = (*table.notes, f"{note}.") if scale == "response" else table.notes
    return SummaryTable(tuple(header), table.names, table.columns, notes)


def _coding(posterior: Posterior) -> str:
    """Return what coefficients of several classes are, and whose their priors are."""
    if posterior.prior_set.reference is None:
        return "coefficients add up to zero over the classes; priors are of differences between two classes"
    return f"coefficients are log odds ratios against {_reference(posterior)}"


def _reference(posterior: Posterior) -> str:
    """Return the label of the class whose coefficients are zero."""
    reference = posterior.prior_set.reference
    assert posterior.labels is not None
    assert reference is not None
    return repr(posterior.labels["coef"][reference])
