"""What a fitted model is asked by the fuzzing: each probe checks what one method promises."""

import copy
import pickle
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone

import bayesglm
from bayesglm import metrics
from bayesglm.model_selection import LooSearch
from tests import fuzz_data, fuzz_frames
from tests.fuzz_models import MODELS, Case
from tests.fuzz_promises import expect, finite, good_data, good_model, refusal, state


def check_fitted(model: Any, case: Case) -> None:
    """See that the attributes of a fitted model have their shapes and are finite."""
    posterior = model.posterior_
    p = len(posterior.features)
    lead: tuple[int, ...] = ()
    if case.name in ("logistic", "three classes"):
        lead = (1,) if len(model.classes_) == 2 else (len(model.classes_),)
    elif case.name.startswith("linear") and model._shape:
        lead = model._shape
    coef = finite(model.coef_, "coef_", (*lead, p))
    expect(not model.positive or np.all(coef >= 0.0), "coef_ is negative")
    finite(np.asarray(model.intercept_, dtype=float), "intercept_")
    size = (int(model.chains), int(model.draws))
    for part in posterior.parts:
        for name, values in part.draws.items():
            expect(np.shape(values)[:2] == size, f"draws of {name} have shape {np.shape(values)}")
            finite(values, f"draws of {name}")
    for name in getattr(model, "aux_", {"sigma": 0}):
        expect(np.all(np.asarray(getattr(model, f"{name}_")) > 0.0), f"{name}_ is not positive")
    expect(type(model).__name__ in repr(model), "repr")


def rows(model: Any, case: Case) -> tuple[dict[str, Any], int, np.ndarray]:
    """Return what rows bring to predictions, how many there are, and which are complete."""
    more = {
        key: value
        for key, value in case.more.items()
        if key != "sample_weight" and not isinstance(value, str)
    }
    X = case.X
    n = (
        len(next(iter(X.values())))
        if isinstance(X, dict) and not sparse.issparse(X)
        else X.shape[0]
        if hasattr(X, "shape")
        else len(np.asarray(X))
    )
    complete = np.ones(n, dtype=bool)
    if model.formula is not None:
        design = model._rows(X)
        complete = np.isfinite(design).all(axis=1)
        for value in getattr(model, "_row_names", {}).values():
            complete &= ~np.isnan(np.asarray(X[value], dtype=float))
    return more, n, complete


def shaped(values: Any, n: int, complete: np.ndarray, what: str, last: tuple[int, ...] = ()) -> np.ndarray:
    """See that there is a number for each complete row; what overflows may be infinite."""
    found = np.asarray(values, dtype=float)
    expect(
        found.shape[0] == n and found.shape[found.ndim - len(last) :] == last,
        f"{what} has shape {found.shape}",
    )
    expect(not np.isnan(found[complete]).any(), f"{what} is NaN")
    return found


def is_classifier(model: Any) -> bool:
    return hasattr(model, "classes_")


def probe_moments(model: Any, case: Case) -> None:
    more, n, complete = rows(model, case)
    if is_classifier(model):
        chances = shaped(
            model.predict_proba(case.X, **more), n, complete, "predict_proba", (len(model.classes_),)
        )
        expect(np.allclose(chances[complete].sum(axis=1), 1.0), "probabilities do not sum to one")
        expect(np.all(chances[complete] >= 0.0), "a probability is negative")
        expect(np.isin(model.predict(case.X, **more), model.classes_).all(), "predict gives no class")
        shaped(model.decision_function(case.X, **more), n, complete, "decision_function")
        return
    mean = shaped(model.predict(case.X, **more), n, complete, "predict")
    again, sd = model.predict(case.X, return_std=True, **more)
    shaped(sd, n, complete, "predictive sd")
    expect(again.shape == mean.shape == sd.shape, "shapes of mean and sd differ")
    expect(np.allclose(again, mean, equal_nan=True), "means differ with the sd")
    expect(np.all(sd[complete] >= 0.0), "an sd is negative")


def probe_quantiles(model: Any, case: Case) -> None:
    more, n, complete = rows(model, case)
    kinds = ("mean",) if is_classifier(model) else ("mean", "response")
    for kind in kinds:
        found = shaped(
            model.predict_quantiles(case.X, [0.1, 0.5, 0.9], kind, **more), n, complete, "quantiles", (3,)
        )
        with np.errstate(invalid="ignore"):
            steps = np.diff(found[complete], axis=-1)
        size = np.abs(np.nan_to_num(found[complete], posinf=0.0, neginf=0.0)).max(initial=1.0)
        expect(np.all(np.isnan(steps) | (steps >= -1e-9 * size)), "quantiles do not rise")
        single = np.asarray(model.predict_quantiles(case.X, 0.5, kind, **more))
        expect(single.shape == found.shape[:-1], "a single quantile has an axis")
        expect(np.allclose(single, found[..., 1], rtol=1e-6, equal_nan=True), "a single quantile is another")


def probe_interval(model: Any, case: Case) -> None:
    more, n, complete = rows(model, case)
    for kind in ("mean",) if is_classifier(model) else ("mean", "response"):
        found = shaped(model.predict_interval(case.X, 0.8, kind, **more), n, complete, "interval", (2,))
        expect(np.all(found[complete][..., 0] <= found[complete][..., 1]), "an interval is upside down")


def probe_draws(model: Any, case: Case) -> None:
    more, n, complete = rows(model, case)
    for kind in ("mean", "response"):
        found = model.sample_predictive(case.X, 3, kind, 0, **more)
        expect(found.shape[:2] == (3, n), f"sample_predictive has shape {found.shape}")
        if found.dtype.kind == "f":
            expect(not np.isnan(found[:, complete]).any(), "a predictive draw is NaN")


def probe_density(model: Any, case: Case) -> None:
    more, n, complete = rows(model, case)
    density = np.asarray(model.log_predictive_density(case.X, case.y, **more))
    expect(density.shape[0] == n, f"density has shape {density.shape}")
    observed = model._rows_and_response(case.X, case.y)[1].reshape(n, -1)
    complete = complete & np.isfinite(observed).all(axis=1)
    shaped(density, n, complete, "density")
    if not is_classifier(model):
        score = shaped(model.crps(case.X, case.y, **more), n, complete, "crps")
        expect(
            np.all(score[complete] >= -1e-9 * np.abs(score[complete]).max(initial=1.0)), "crps is negative"
        )


def probe_score(model: Any, case: Case) -> None:
    more, n, _ = rows(model, case)
    weighted = case.more.get("sample_weight")
    if is_classifier(model):
        more = {}
    found = model.score(case.X, case.y, sample_weight=weighted, **more)
    expect(isinstance(found, float), f"score is a {type(found).__name__}")
    expect(found <= 1.0 + 1e-9 or (np.isnan(found) and n < 2), f"score is {found}")


def probe_summary(model: Any, case: Case) -> None:
    table = model.summary()
    expect(len(str(table)) > 50 and len(table._repr_html_()) > 50, "summary prints nothing")
    if hasattr(model, "_family"):
        expect(len(str(model.summary(coverage=0.5, scale="response"))) > 50, "summary prints nothing")


def probe_posterior(model: Any, case: Case) -> None:
    for draws in (None, 2):
        found = model.sample_posterior(draws).posterior
        for name in found.data_vars:
            finite(found[name].values, f"sample_posterior of {name}")


def probe_arviz(model: Any, case: Case) -> None:
    more, _, _ = rows(model, case)
    weighted = case.more.get("sample_weight")
    found = model.to_arviz(case.X, case.y, sample_weight=weighted, **more)
    for name in found.log_likelihood.data_vars:
        expect(not np.isnan(found.log_likelihood[name].values).any(), "log likelihood is NaN")


def _same(model: Any, other: Any, case: Case) -> None:
    more, _, _ = rows(model, case)
    method = "predict_proba" if is_classifier(model) else "predict"
    first, second = (getattr(one, method)(case.X, **more) for one in (model, other))
    expect(np.array_equal(first, second, equal_nan=True), "predictions differ after saving")


def probe_pickle(model: Any, case: Case) -> None:
    _same(model, pickle.loads(pickle.dumps(model)), case)


def probe_save(model: Any, case: Case) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model"
        model.save(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _same(model, bayesglm.load(path), case)


def probe_more(model: Any, case: Case) -> None:
    if case.name.startswith("linear"):
        other = copy.deepcopy(model).partial_fit(case.X, case.y, case.more.get("sample_weight"))
        check_fitted(other, case)


def probe_clone(model: Any, case: Case) -> None:
    other = clone(model)
    expect(not hasattr(other, "posterior_"), "a clone is fitted")
    if model.random_state is None:
        return
    _same(model, other.fit(case.X, case.y, **case.more), case)


def probe_scorer(model: Any, case: Case) -> None:
    if rows(model, case)[0] or getattr(model, "_row_names", {}) or not rows(model, case)[2].all():
        return
    weighted = case.more.get("sample_weight")
    scorers = [metrics.log_density_scorer]
    if not is_classifier(model):
        scorers += [
            metrics.crps_scorer,
            metrics.interval_scorer,
            metrics.coverage_scorer,
            metrics.pinball_scorer,
        ]
    for scorer in scorers:
        expect(not np.isnan(scorer(model, case.X, case.y, sample_weight=weighted)), "a scorer gives NaN")


def tried(call: Callable[[], Any]) -> Any:
    """Return what the call returns, or None if it is refused by us."""
    try:
        return call()
    except Exception as error:
        refusal(error)
        return None


def probe_odd_rows(model: Any, case: Case) -> None:
    rng = np.random.default_rng(case.seed)
    for _ in range(3):
        odd = _odd_rows(case, rng)
        for method in ("predict", "predict_proba") if is_classifier(model) else ("predict",):
            tried(lambda method=method, odd=odd: getattr(model, method)(odd))


def _odd_rows(case: Case, rng: np.random.Generator) -> Any:
    if isinstance(case.params.get("formula"), str) or rng.random() < 0.3:
        return fuzz_frames.spoiled(case.X, rng)
    X = case.X.toarray() if sparse.issparse(case.X) else np.asarray(case.X, dtype=float)
    X = np.where(rng.random(X.shape) < 0.1, rng.choice(fuzz_data.SPICES), X)
    makers = {**fuzz_data.CONTAINERS, **fuzz_data.ODD_CONTAINERS}
    name = str(rng.choice(list(makers)))
    dtype = str(rng.choice(["float64", *fuzz_data.DTYPES, *fuzz_data.ODD_DTYPES]))
    try:
        return makers[name](fuzz_data.cast(X, dtype, rng))
    except (ValueError, TypeError):
        return fuzz_data.SCALARS[rng.integers(len(fuzz_data.SCALARS))]


def probe_odd_arguments(model: Any, case: Case) -> None:
    rng = np.random.default_rng(case.seed)
    more, _, _ = rows(model, case)
    X = case.X
    pool = [
        *fuzz_data.SCALARS,
        [0.1, 2.0],
        [np.nan],
        [[0.1]],
        ["a"],
        0.0,
        1.0,
        [0.0, 1.0],
        "mean",
        "response",
        10**9,
    ]
    for _ in range(6):
        value = pool[rng.integers(len(pool))]
        calls: list[Callable[[], Any]] = [
            lambda value=value: model.predict_quantiles(X, value, "mean", **more),
            lambda value=value: model.predict_quantiles(X, 0.5, value, **more),
            lambda value=value: model.predict_interval(X, value, "mean", **more),
            lambda value=value: model.predict_interval(X, 0.5, value, **more),
            lambda value=value: model.sample_predictive(X, value, **more),
            lambda value=value: model.sample_predictive(X, 2, value, **more),
            lambda value=value: model.sample_predictive(X, 2, "mean", value, **more),
            lambda value=value: model.log_predictive_density(X, value, **more),
            lambda value=value: model.score(X, case.y, value),
            lambda value=value: model.score(X, value),
            lambda value=value: model.summary(value),
            lambda value=value: model.sample_posterior(value),
            lambda value=value: model.sample_posterior(2, value),
            lambda value=value: model.to_arviz(X, value),
            lambda value=value: model.to_arviz(X, case.y, sample_weight=value),
            lambda value=value: model.to_arviz(X, case.y, prior=value, **more),
            lambda value=value: model.predict(value),
        ]
        if not is_classifier(model):
            calls.append(lambda value=value: model.crps(X, value, **more))
        if MODELS[case.name][3]:
            calls.append(lambda value=value: model.predict(X, **{MODELS[case.name][3][0]: value}))
        tried(calls[rng.integers(len(calls))])


def probe_merge(model: Any, case: Case) -> None:
    if not case.name.startswith("linear"):
        return
    rng = np.random.default_rng(case.seed)
    X, y = good_data(case)
    other = good_model(case).fit(X, y)
    mine = copy.deepcopy(model)
    pool = [other, copy.deepcopy(model), good_model(case), *fuzz_data.SCALARS]
    before = state(mine)
    if tried(lambda: mine.merge(pool[rng.integers(min(8, len(pool)))])) is None:
        expect(state(mine) == before, "a failed merge changed the estimator")
    before = state(mine)
    odd = _odd_rows(case, rng)
    if tried(lambda: mine.partial_fit(odd, case.y)) is None:
        expect(state(mine) == before, "a failed partial_fit changed the estimator")


def probe_search(model: Any, case: Case) -> None:
    if rows(model, case)[0] or getattr(model, "_row_names", {}) or "prior" in case.params or case.n < 3:
        return
    grid = {"prior_scale": [0.5, 2.0]}
    search = LooSearch(clone(model), grid).fit(case.X, case.y, case.more.get("sample_weight"))
    expect(np.isfinite(search.best_score_), "best_score_ is not finite")
