"""Callbacks of scikit-learn 1.9: what a fit tells them, when they fail, and that nothing needs them."""

import copy
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import bayesglm
from bayesglm import BayesianLinearRegression, BayesianLogisticRegression, Normal
from bayesglm.callbacks import STEPS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ROOT = Path(bayesglm.__file__).parents[1]
QUICK = BayesianLinearRegression(draws=20, random_state=0)
needs_callbacks = pytest.mark.skipif(
    not hasattr(QUICK, "set_callbacks"), reason="scikit-learn has callbacks from 1.9 on"
)


class Recorder:
    """Writes down what it is told; fails where it is asked to."""

    def __init__(self, fail_at=None, error=None):
        self.events = []
        self.fail_at, self.error = fail_at, error

    def note(self, event, context, estimator, **given):
        self.events.append((event, context.task_name, context.task_id))
        self.last = {"context": context, "fitted": hasattr(estimator, "posterior_"), **given}
        if self.fail_at == (event, context.task_name):
            raise self.error

    def setup(self, estimator, context):
        self.note("setup", context, estimator)

    def teardown(self, estimator, context):
        self.note("teardown", context, estimator)

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.note("begin", context, estimator, X=X, y=y, metadata=metadata)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.note("end", context, estimator, X=X, y=y, metadata=metadata)
        self.fitted_estimator = fitted_estimator
        return True  # to stop would be wrong, and is not done


class Propagated(Recorder):
    """A recorder that meta-estimators hand on to what they fit."""

    max_propagation_depth = None


#: All that is told of a fit.
WHOLE = [
    ("setup", "fit", 0),
    ("begin", "fit", 0),
    *[(event, "sampling", i) for i in range(STEPS) for event in ("begin", "end")],
    ("end", "fit", 0),
    ("teardown", "fit", 0),
]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    return X, X.sum(axis=1) + rng.normal(size=60)


def test_there_is_something_to_test():
    sklearn_has = pytest.importorskip("sklearn.callback")
    assert issubclass(BayesianLinearRegression, sklearn_has.CallbackSupportMixin)
    assert isinstance(Recorder(), sklearn_has.FitCallback)
    assert not isinstance(Recorder(), sklearn_has.AutoPropagatedCallback)
    assert isinstance(Propagated(), sklearn_has.AutoPropagatedCallback)


@needs_callbacks
@pytest.mark.parametrize(
    "params", [{}, {"prior": "laplace"}, {"positive": True}, {"tune": 0, "progressbar": False}]
)
def test_a_fit_has_a_root_and_twenty_steps(data, params):
    recorder = Recorder()
    model = clone(QUICK).set_params(**params).set_callbacks(recorder).fit(*data)
    assert recorder.events == WHOLE
    alone = clone(QUICK).set_params(**params).set_callbacks().fit(*data)
    np.testing.assert_array_equal(model.posterior_.draws["coef"], alone.posterior_.draws["coef"])
    model.fit(*data)
    assert recorder.events == WHOLE * 2


@needs_callbacks
def test_several_responses_share_the_steps(data):
    recorder = Recorder()
    X, y = data
    clone(QUICK).set_callbacks(recorder).fit(X, np.c_[y, -y, y**2])
    assert recorder.events == WHOLE


@needs_callbacks
def test_what_a_callback_is_given(data):
    X, y = data
    recorder = Recorder()
    model = clone(QUICK).set_callbacks(recorder).fit(X, y)
    assert recorder.fitted_estimator is not model
    np.testing.assert_array_equal(recorder.fitted_estimator.predict(X), model.predict(X))
    seen = {}

    class Looks(Recorder):
        def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None):
            seen[context.task_name] = (X, y, metadata, context.max_subtasks, context.parent)

    weights = np.arange(60)
    clone(QUICK).set_callbacks(Looks()).fit(X, y, weights)
    for task, n_subtasks in (("sampling", 0), ("fit", STEPS)):
        assert seen[task][0] is X
        assert seen[task][1] is y
        assert seen[task][2]["sample_weight"] is weights
        assert seen[task][3] == n_subtasks
    assert seen["fit"][4] is None
    assert seen["sampling"][4].task_name == "fit"
    clone(QUICK).set_callbacks(Looks()).fit(X, y)
    assert seen["fit"][2] is None


@needs_callbacks
def test_steps_are_told_while_it_samples(data):
    times = []

    class Clock(Recorder):
        def on_fit_task_end(self, estimator, context):
            times.append(time.perf_counter())

    draws = 100_000
    started = time.perf_counter()
    while len(times) == 0 or times[STEPS - 1] - started < 0.4:
        times.clear()
        started = time.perf_counter()
        clone(QUICK).set_params(draws=draws, n_jobs=1).set_callbacks(Clock()).fit(*data)
        draws *= 2
    steps = np.array(times[:STEPS]) - started
    # Told at least every 0.05 s: the middle of them comes near the middle of the time.
    assert 0.2 < steps[STEPS // 2] / steps[-1] < 0.8
    assert len(np.unique(np.round(steps, 3))) >= 5


# -- when something goes wrong ---------------------------------------------------------------------------


@needs_callbacks
@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("error", [ZeroDivisionError("of a callback"), KeyboardInterrupt()])
@pytest.mark.parametrize(
    "moment", [("setup", "fit"), ("begin", "fit"), ("begin", "sampling"), ("end", "sampling"), ("end", "fit")]
)
def test_a_callback_that_fails(data, moment, error, fitted):
    X, y = data
    recorder = Recorder(moment, error)
    model = clone(QUICK)
    if fitted:
        model.fit(X[:30], y[:30])
    model.set_callbacks(recorder)
    before = dict(vars(model))
    with pytest.raises(type(error)):
        model.fit(X, y)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)
    assert recorder.events[0] == ("setup", "fit", 0)
    assert recorder.events[-1] == ("teardown", "fit", 0)
    assert recorder.events.count(("teardown", "fit", 0)) == 1
    recorder.fail_at = None
    recorder.events.clear()
    np.testing.assert_array_equal(model.fit(X, y).coef_, clone(QUICK).set_callbacks().fit(X, y).coef_)
    assert recorder.events == WHOLE


@needs_callbacks
@pytest.mark.parametrize("sampler", ["auto", "nuts"])
@pytest.mark.parametrize("at", [("setup", "fit"), ("begin", "sampling"), ("end", "sampling"), ("end", "fit")])
def test_a_callback_that_fails_in_a_model_of_any_likelihood(data, at, sampler):
    X, y = data
    quick = BayesianLogisticRegression(draws=20, tune=50, random_state=0, sampler=sampler)
    recorder = Recorder(at, OSError("of a callback"))
    model = clone(quick).fit(X, y > 0.0).set_callbacks(recorder)
    before = dict(vars(model))
    with pytest.raises(OSError, match="of a callback"):
        model.fit(X[:30], y[:30] > 0.5)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)
    recorder.fail_at = None
    recorder.events.clear()
    found = model.fit(X[:30], y[:30] > 0.5).posterior_.draws["coef"]
    assert recorder.events == WHOLE
    np.testing.assert_array_equal(found, clone(quick).fit(X[:30], y[:30] > 0.5).posterior_.draws["coef"])


@needs_callbacks
def test_chains_are_stopped_when_a_callback_fails(data):
    model = clone(QUICK).set_params(draws=3_000_000, chains=2)
    model.set_callbacks(Recorder(("begin", "sampling"), KeyboardInterrupt()))
    started = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data)
    assert time.perf_counter() - started < 5.0  # to the end it would take a minute
    assert not hasattr(model, "posterior_")


@needs_callbacks
def test_teardown_after_a_fit_that_fails(data):
    X, y = data
    recorder = Recorder()
    model = clone(QUICK).set_callbacks(recorder)
    for params, rows in [({"draws": 0}, X), ({"prior": "norml"}, X), ({}, X * np.nan)]:
        recorder.events.clear()
        with pytest.raises(ValueError, match=r"draws|prior|NaN"):
            clone(model).set_params(**params).fit(rows, y)
        assert recorder.events == [("setup", "fit", 0), ("begin", "fit", 0), ("teardown", "fit", 0)]
    assert set(vars(model)) == set(model.get_params(deep=False)) | {"_skl_callbacks"}


@needs_callbacks
def test_a_teardown_that_fails(data):
    model = clone(QUICK).set_callbacks(Recorder(("teardown", "fit"), RuntimeError("of a teardown")))
    with pytest.raises(RuntimeError, match="of a teardown"):
        model.fit(*data)
    assert not hasattr(model, "posterior_")
    assert not any("callback_fit" in name for name in vars(model))


@needs_callbacks
def test_a_callback_that_fits_another_model(data):
    class Fits(Recorder):
        def on_fit_task_end(self, estimator, context):
            self.other = clone(QUICK).set_callbacks().fit(*data)

    callback = Fits()
    model = clone(QUICK).set_callbacks(callback).fit(*data)
    np.testing.assert_array_equal(model.posterior_.draws["coef"], callback.other.posterior_.draws["coef"])


@needs_callbacks
def test_only_fit_reports(data):
    X, y = data
    recorder = Recorder()
    first = clone(QUICK).set_callbacks(recorder).partial_fit(X[:30], y[:30])
    second = clone(QUICK).set_callbacks(recorder).partial_fit(X[30:], y[30:])
    first.merge(second).sample_posterior(10)
    assert recorder.events == []


# -- copies ----------------------------------------------------------------------------------------------


@needs_callbacks
def test_copies_keep_callbacks_as_scikit_learn_does(data):
    recorder = Recorder()
    model = clone(QUICK).set_callbacks(recorder)
    assert clone(model)._skl_callbacks == [recorder]
    assert "_skl_callbacks" not in vars(clone(model).set_callbacks())
    again = pickle.loads(pickle.dumps(model.fit(*data)))
    assert isinstance(again._skl_callbacks[0], Recorder)
    again.fit(*data)
    assert again._skl_callbacks[0].events == WHOLE * 2
    assert recorder.events == WHOLE


class Silent:
    """A callback that keeps nothing."""

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = on_fit_task_end = setup


@needs_callbacks
def test_a_pickle_holds_no_data_for_the_callbacks():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 3))
    y = X.sum(axis=1)
    y += rng.normal(size=len(y))
    alone = clone(QUICK).set_callbacks().fit(X, y)
    model = clone(QUICK).set_callbacks(Silent()).fit(X, y)
    assert len(pickle.dumps(model)) < len(pickle.dumps(alone)) + 500
    assert len(pickle.dumps(copy.deepcopy(model))) < len(pickle.dumps(alone)) + 500
    assert vars(model).keys() - vars(alone).keys() == {"_skl_callbacks"}


# -- in other estimators ---------------------------------------------------------------------------------


@needs_callbacks
def test_handed_on_by_a_search_and_a_pipeline(data):
    recorder = Propagated()
    pipeline = make_pipeline(StandardScaler(), clone(QUICK))
    grid = {"bayesianlinearregression__prior_scale": [0.1, 2.5]}
    search = GridSearchCV(pipeline, grid, cv=KFold(3)).set_callbacks(recorder).fit(*data)
    assert recorder.events[0] == ("setup", "fit", 0)
    assert recorder.events[-1] == ("teardown", "fit", 0)
    assert sum(event[0] == "setup" for event in recorder.events) == 1
    n_fits = 2 * 3 + 1
    assert sum(event[:2] == ("end", "sampling") for event in recorder.events) == n_fits * STEPS
    steps = [context for context in recorder.last["context"] if context.task_name == "sampling"]
    assert len(steps) == n_fits * STEPS
    lineage = steps[0]
    names = []
    while lineage is not None:
        names.append((lineage.estimator_name, lineage.source_estimator_name))
        lineage = lineage.parent
    assert names[:3] == [
        ("BayesianLinearRegression", None),
        ("BayesianLinearRegression", "Pipeline"),
        ("Pipeline", "GridSearchCV"),
    ]
    assert "_skl_callbacks" not in vars(search.best_estimator_[-1])


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_scores_of_every_fit_of_a_search(data, n_jobs):
    callback = pytest.importorskip("sklearn.callback")
    X, y = data
    monitor = callback.ScoringMonitor(scoring="r2")
    grid = {"prior": [Normal(0, 0.1), Normal(0, 2.5)]}
    search = GridSearchCV(clone(QUICK).set_callbacks(monitor), grid, cv=KFold(3), n_jobs=n_jobs).fit(X, y)
    found = sorted(row["r2"] for row in monitor.get_logs().data)
    expected = [search.score(X, y)] + [
        clone(QUICK).set_params(prior=prior).fit(X[train], y[train]).score(X[train], y[train])
        for prior in grid["prior"]
        for train, _ in KFold(3).split(X)
    ]
    np.testing.assert_allclose(found, sorted(expected), rtol=1e-9)


@needs_callbacks
def test_scores_are_weighted_and_need_not_be(data):
    callback = pytest.importorskip("sklearn.callback")
    X, y = data
    weights = np.random.default_rng(0).integers(0, 3, 60)

    def unweighted(estimator, X, y):
        return {"ours": r2_score(y, estimator.predict(X))}

    for scoring, name in (("r2", "r2"), (unweighted, "ours")):
        monitor = callback.ScoringMonitor(scoring=scoring)
        model = clone(QUICK).set_callbacks(monitor).fit(X, y)
        assert monitor.get_logs().data[0][name] == pytest.approx(r2_score(y, model.predict(X)))
    monitor = callback.ScoringMonitor(scoring="r2")
    model = clone(QUICK).set_callbacks(monitor).fit(X, y, weights)
    expected = r2_score(y, model.predict(X), sample_weight=weights)
    assert monitor.get_logs().data[0]["r2"] == pytest.approx(expected)


@needs_callbacks
def test_a_formula_estimator_is_scored_on_its_frame(data):
    callback = pytest.importorskip("sklearn.callback")
    frame = pd.DataFrame(data[0], columns=["a", "b", "c"])
    monitor = callback.ScoringMonitor(scoring="r2")
    model = BayesianLinearRegression("center(a) + b:c", draws=20).set_callbacks(monitor).fit(frame, data[1])
    assert monitor.get_logs().data[0]["r2"] == pytest.approx(r2_score(data[1], model.predict(frame)))


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar(data, capsys, monkeypatch, n_jobs):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "200")
    callback = pytest.importorskip("sklearn.callback")
    clone(QUICK).set_callbacks(callback.ProgressBar()).fit(*data)
    shown = capsys.readouterr().out
    assert "BayesianLinearRegression - fit" in shown
    assert "100%" in shown
    bar = callback.ProgressBar(max_propagation_depth=None)
    search = GridSearchCV(clone(QUICK), {"prior_scale": [0.1, 2.5]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(bar).fit(*data)
    shown = capsys.readouterr().out
    # Four fits of the search and the last one.
    assert shown.count("BayesianLinearRegression - fit") == 5
    assert shown.count("100%") == 7


# -- without scikit-learn's callbacks --------------------------------------------------------------------


def test_everything_works_where_there_are_none(data):
    code = """
import sys
sys.modules["sklearn.callback"] = None
import numpy as np
from bayesglm import BayesianLinearRegression
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
y = X.sum(axis=1) + rng.normal(size=60)
model = BayesianLinearRegression(draws=20, random_state=0)
assert not hasattr(model, "set_callbacks")
try:
    model.fit(X * np.nan, y)
except ValueError:
    assert not hasattr(model, "coef_")
print(repr(float(model.fit(X, y).posterior_.draws["coef"].sum())))
print(repr(float(model.partial_fit(X, y).coef_.sum())))
"""
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert found.stderr == ""
    model = clone(QUICK).fit(*data)
    draws = float(model.posterior_.draws["coef"].sum())
    assert found.stdout.split() == [repr(draws), repr(float(model.partial_fit(*data).coef_.sum()))]
