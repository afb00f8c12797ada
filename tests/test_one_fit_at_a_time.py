"""The same estimator in several threads at once: always one whole fit, for whoever fits and whoever reads."""

import copy
import re
import sys
import threading
import warnings

import numpy as np
import pandas as pd
import pytest

import bayesglm
from bayesglm import (
    BayesianGLM,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianPoissonRegressor,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
LINE = X @ [1.0, -0.5, 0.2] + 0.1 * RNG.normal(size=40)
NEW = RNG.normal(size=(5, 3))
QUICK = {"draws": 20, "chains": 2, "tune": 50, "random_state": 0, "n_jobs": 1}
# Two responses that are so far apart that coefficients of one and intercept of the other show.
MODELS = {
    "linear": (BayesianLinearRegression(**QUICK), LINE, 1e3 - 5.0 * LINE),
    "linear, any prior": (BayesianLinearRegression(prior="laplace", **QUICK), LINE, 1e3 - 5.0 * LINE),
    "counts": (BayesianPoissonRegressor(**QUICK), RNG.poisson(3.0, 40), RNG.poisson(np.exp(3.0 - LINE))),
    "classes": (
        BayesianLogisticRegression(**QUICK),
        np.where(LINE > 0.0, "a", "b"),
        RNG.choice(["c", "d", "e"], 40),
    ),
}


@pytest.fixture(autouse=True)
def frequent_switches():
    """Let threads take turns a thousand times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(*works):
    """Run the works at the same time and raise what they raise."""
    errors = []

    def guarded(work):
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    for error in errors:
        raise error


def answers(model):
    """Return what a model says, one entry for each method."""
    found = [model.predict(NEW), model.sample_predictive(NEW, 3, random_state=1)]
    found.append(model.predict_proba(NEW) if hasattr(model, "predict_proba") else model.predict_interval(NEW))
    found.append(np.array(re.sub(r"\d+ m?s\b", "", str(model.summary()))))
    copied = copy.copy(model)
    return [*found, np.concatenate([np.ravel(copied.coef_), np.ravel(copied.intercept_)])]


@pytest.mark.parametrize("name", MODELS)
def test_readers_see_one_fit_or_the_other(name):
    model, *responses = copy.deepcopy(MODELS[name])
    expected = [answers(copy.copy(model).fit(X, y)) for y in responses]
    model.fit(X, responses[0])
    seen = [set() for _ in expected[0]]
    done = threading.Event()

    def fit():
        try:
            for _ in range(10):
                for y in responses[::-1]:
                    model.fit(X, y)
        finally:
            done.set()

    def read():
        while not done.is_set():
            for i, found in enumerate(answers(model)):
                same = [j for j in (0, 1) if np.array_equal(expected[j][i], found)]
                assert same, f"answer {i} is of neither fit: {found}"
                seen[i].update(same)

    in_threads(fit, read, read)
    assert all(which == {0, 1} for which in seen)  # else nothing was tested


@pytest.mark.parametrize("name", MODELS)
def test_several_fit_the_same_estimator(name):
    model, *responses = copy.deepcopy(MODELS[name])
    alone = [copy.copy(model).fit(X, y) for y in responses]
    expected = [answers(fit) for fit in alone]

    def fit(y):
        for _ in range(4):
            model.fit(X, y)

    for _ in range(3):
        in_threads(*(lambda y=y: fit(y) for y in (*responses, *responses)))
        last = [j for j in (0, 1) if np.array_equal(answers(model)[0], expected[j][0])]
        assert len(last) == 1
        for found, same in zip(answers(model), expected[last[0]], strict=True):
            np.testing.assert_array_equal(found, same)
        assert vars(model).keys() == vars(alone[last[0]]).keys()


def test_frames_of_other_columns_at_the_same_time():
    frames = [pd.DataFrame(X[:, :2], columns=["a", "b"]), pd.DataFrame(X, columns=["u", "v", "w"])]
    formulas = BayesianLinearRegression("a + b", **QUICK), BayesianLinearRegression("u * v + w", **QUICK)
    plain = BayesianLinearRegression(**QUICK)
    expected = [copy.copy(plain).fit(frame, LINE) for frame in frames]

    def fit(frame):
        for _ in range(10):
            plain.fit(frame, LINE)

    in_threads(*(lambda frame=frame: fit(frame) for frame in frames))
    last = expected[len(plain.coef_) - 2]
    assert list(plain.feature_names_in_) == list(last.feature_names_in_)
    assert plain.n_features_in_ == last.n_features_in_
    np.testing.assert_array_equal(plain.posterior_.draws["coef"], last.posterior_.draws["coef"])
    # Formulas, whose evaluation is patsy's, at the same time in different estimators.
    alone = [copy.copy(m).fit(f, LINE).coef_ for m, f in zip(formulas, frames, strict=True)]
    in_threads(*(lambda m=m, f=f: m.fit(f, LINE) for m, f in zip(formulas, frames, strict=True)))
    for model, coef in zip(formulas, alone, strict=True):
        np.testing.assert_array_equal(model.coef_, coef)


def test_rows_of_two_threads_are_added_or_refused():
    model = BayesianLinearRegression(**QUICK).fit(X, LINE)
    outcomes = []

    def add():
        for _ in range(10):
            try:
                model.partial_fit(X, LINE)
                outcomes.append("added")
            except RuntimeError:
                outcomes.append("refused")

    in_threads(add, add, add)
    assert len(outcomes) == 30
    assert model.posterior_.n_rows == 40 * (1 + outcomes.count("added"))


@pytest.mark.parametrize("add", ["partial_fit", "merge"])
def test_no_row_is_lost_in_silence(add, monkeypatch):
    model, other = (BayesianLinearRegression(**QUICK).fit(X, LINE) for _ in range(2))
    sample = BayesianLinearRegression._sample
    rows = []

    def slow(self, moments, settings, tasks=None):
        if not rows:  # another thread is faster
            rows.append(moments)
            in_threads(lambda: model.fit(X[:30], LINE[:30]))
        return sample(self, moments, settings, tasks)

    monkeypatch.setattr(BayesianLinearRegression, "_sample", slow)
    with pytest.raises(RuntimeError, match=r"^Another thread has fitted this estimator"):
        model.partial_fit(X, LINE) if add == "partial_fit" else model.merge(other)
    assert model.posterior_.n_rows == 30
    model.merge(other)
    assert model.posterior_.n_rows == 70


def test_parameters_set_during_a_fit_stay(monkeypatch):
    model = BayesianGLM(family="poisson", **QUICK)
    keep = BayesianGLM._keep

    def slow(self, *args):
        model.set_params(draws=30)
        return keep(self, *args)

    monkeypatch.setattr(BayesianGLM, "_keep", slow)
    model.fit(X, RNG.poisson(3.0, 40))
    assert model.draws == 30
    assert model.posterior_.shape == (2, 20)


def test_a_failure_in_one_thread_leaves_the_fit_of_the_other():
    model = BayesianLinearRegression(**QUICK)
    expected = copy.copy(model).fit(X, LINE).posterior_.draws["coef"]

    def fail():
        for _ in range(30):
            with pytest.raises(ValueError, match="X contains NaN"):
                model.fit(X * np.nan, LINE)

    def fit():
        for _ in range(10):
            model.fit(X, LINE)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        in_threads(fail, fit, fit)
    np.testing.assert_array_equal(model.posterior_.draws["coef"], expected)


def test_filters_of_warnings_are_left_alone(monkeypatch, tmp_path):
    # They belong to the process: two threads that each put back what they have found leave the wrong ones behind.
    users = []

    class Watched(warnings.catch_warnings):
        def __init__(self, **options):
            users.append(sys._getframe(1).f_globals["__name__"])
            super().__init__(**options)

    frame = pd.DataFrame(X, columns=["u", "v", "w"]).assign(y=LINE)
    with monkeypatch.context() as patch:
        patch.setattr(warnings, "catch_warnings", Watched)
        model = BayesianLinearRegression("y ~ center(u) * v", **QUICK).fit(frame[:30]).partial_fit(frame[30:])
        model.save(tmp_path / "model")
        again = bayesglm.load(tmp_path / "model").partial_fit(frame)
        again.predict(frame)
    assert again.posterior_.n_rows == 80
    assert not [user for user in users if user.startswith("bayesglm")]
