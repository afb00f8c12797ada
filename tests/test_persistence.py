"""Saving and copying: pickle, cloudpickle, joblib, deepcopy, clone; the same numbers elsewhere, no data inside."""

import copy
import io
import json
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import bayesglm
from bayesglm import BayesianLinearRegression, Normal

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ROOT = Path(bayesglm.__file__).parents[1]


def make_frame(rows=90, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(rows, 3)), columns=list("abc"))
    frame["g"] = rng.choice(list("uvw"), rows)
    frame["y"] = 1.0 + 2.0 * frame["a"] + (frame["g"] == "u") + rng.normal(size=rows)
    return frame


FRAME = make_frame()
FORMULA = "y ~ standardize(a) + bs(b, df=4) + C(g, Sum) + np.exp(c)"
MODELS = {
    "arrays": ({}, FRAME[["a", "b", "c"]].to_numpy()),
    "frame": ({}, FRAME[["a", "b", "c"]]),
    "any prior": ({"prior": "laplace"}, FRAME[["a", "b", "c"]].to_numpy()),
    "mapping of priors": ({"prior": {"a": Normal(0, 1)}}, FRAME[["a", "b", "c"]]),
    "formula": ({"formula": FORMULA}, FRAME),
    "formula, any prior": ({"formula": FORMULA, "prior": "student_t"}, FRAME),
}


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    """A fitted model and rows to predict."""
    params, X = MODELS[request.param]
    return BayesianLinearRegression(draws=50, random_state=0, **params).fit(X, FRAME["y"]), X[:20]


def by_joblib(model, tmp_path):
    joblib.dump(model, tmp_path / "model.joblib", compress=3)
    return joblib.load(tmp_path / "model.joblib")


def by_cloudpickle(model, tmp_path):
    cloudpickle = pytest.importorskip("cloudpickle")
    return pickle.loads(cloudpickle.dumps(model))


WAYS = {
    "pickle": lambda model, tmp_path: pickle.loads(pickle.dumps(model)),
    "old pickle": lambda model, tmp_path: pickle.loads(pickle.dumps(model, protocol=2)),
    "cloudpickle": by_cloudpickle,
    "joblib": by_joblib,
    "deepcopy": lambda model, tmp_path: copy.deepcopy(model),
    "twice": lambda model, tmp_path: copy.deepcopy(pickle.loads(pickle.dumps(copy.deepcopy(model)))),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_copy_does_all_that_the_original_does(case, way, tmp_path):
    model, X = case
    twin = way(model, tmp_path)
    for name in ("coef_", "intercept_", "sigma_", "rank_", "n_features_in_"):
        np.testing.assert_array_equal(getattr(twin, name), getattr(model, name))
    for mine, theirs in zip(twin.predict(X, return_std=True), model.predict(X, return_std=True), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(twin.predict_interval(X), model.predict_interval(X))
    np.testing.assert_array_equal(
        twin.sample_predictive(X, 5, random_state=1), model.sample_predictive(X, 5, random_state=1)
    )
    y = FRAME["y"][:20]
    np.testing.assert_array_equal(twin.log_predictive_density(X, y), model.log_predictive_density(X, y))
    assert str(twin.summary()) == str(model.summary())
    # The chains go on where they stopped, in the copy as in the original.
    mine, theirs = (m.sample_posterior(7)["posterior"]["sigma"].values for m in (twin, model))
    np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(
        twin.to_arviz(X, y)["log_prior"]["coef"].values, model.to_arviz(X, y)["log_prior"]["coef"].values
    )
    refitted = twin.fit(
        MODELS["formula"][1] if twin.formula else X, FRAME["y"][: None if twin.formula else 20]
    )
    assert refitted.predict(X).shape == (20,)


def test_copies_do_not_share_state(case):
    model, X = case
    twin = copy.deepcopy(model)
    expected = model.predict(X)
    twin.coef_[:] = 0.0
    twin.posterior_.draws["sigma"][:] = 1.0
    np.testing.assert_array_equal(model.predict(X), expected)
    assert not np.any(model.posterior_.draws["sigma"] == 1.0)


def test_clone_is_unfitted_with_the_same_parameters(case):
    model, X = case
    fresh = clone(model)
    assert str(fresh.get_params()) == str(model.get_params())
    assert set(vars(fresh)) == set(model.get_params())
    with pytest.raises(NotFittedError):
        fresh.predict(X)


def test_an_unfitted_model_can_be_saved():
    model = BayesianLinearRegression(
        "y ~ a", prior={"a": Normal(0, 1)}, random_state=np.random.default_rng(0)
    )
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), clone(model)):
        assert twin.fit(FRAME).coef_.shape == (1,)


def test_a_pickle_neither_grows_with_the_data_nor_holds_them():
    sizes = {}
    for rows in (200, 20_000):
        frame = make_frame(rows).assign(secret=["s3cret-label"] * rows)
        frame.loc[3, "a"] = 1.2345678901234
        frame.loc[7, "y"] = 9.8765432109876
        for name, (params, X) in MODELS.items():
            columns = list(frame.columns) if "formula" in params else ["a", "b", "c"]
            data = frame[columns] if isinstance(X, pd.DataFrame) else frame[columns].to_numpy()
            model = BayesianLinearRegression(draws=20, random_state=0, **params).fit(data, frame["y"])
            stored = pickle.dumps(model)
            sizes.setdefault(name, []).append(len(stored))
            for value in (1.2345678901234, 9.8765432109876):
                assert np.float64(value).tobytes() not in stored
            assert b"s3cret-label" not in stored
    for name, (small, large) in sizes.items():
        assert abs(large - small) < 500, name
        # 20 draws of up to 10 parameters with their statistics take 18 kB; the exact marginals are as large.
        assert small < 60_000, name


def test_size_at_the_defaults():
    model = BayesianLinearRegression(random_state=0).fit(FRAME[["a", "b", "c"]], FRAME["y"])
    draws = sum(values.nbytes for values in model.posterior_.draws.values())
    stats = sum(values.nbytes for values in model.posterior_.stats.values())
    assert len(pickle.dumps(model)) < 1.2 * (draws + stats) + 50_000
    assert len(pickle.dumps(model.posterior_)) < 1.2 * (draws + stats) + 50_000


def test_the_posterior_alone_can_be_saved(case):
    posterior = case[0].posterior_
    twin = pickle.loads(pickle.dumps(posterior))
    for name, values in posterior.draws.items():
        np.testing.assert_array_equal(twin.draws[name], values)
    assert twin.names == posterior.names
    np.testing.assert_array_equal(twin.diagnostics.rhat, posterior.diagnostics.rhat)


READER = """
import io, json, pickle, sys
model, X = pickle.load(sys.stdin.buffer)
mean, sd = model.predict(X, return_std=True)
print(json.dumps([mean.tolist(), sd.tolist(), model.predict_interval(X).tolist(),
                  model.sample_posterior(3)["posterior"]["sigma"].values.tolist()]))
"""


@pytest.mark.parametrize("name", ["arrays", "formula"])
def test_a_fresh_process_predicts_the_same_numbers(name):
    params, X = MODELS[name]
    model = BayesianLinearRegression(draws=50, random_state=0, **params).fit(X, FRAME["y"])
    stored = io.BytesIO()
    pickle.dump((model, X[:20]), stored)
    # Loaded at the top level of a script, where patsy's own way of looking names up would fail.
    found = subprocess.run(
        [sys.executable, "-c", READER], input=stored.getvalue(), capture_output=True, check=True, cwd=ROOT
    )
    mean, sd, ends, more = map(np.array, json.loads(found.stdout))
    # BLAS rounds a product by where the array happens to lie in memory: the last digit may differ.
    np.testing.assert_allclose(mean, model.predict(X[:20]), rtol=1e-14)
    np.testing.assert_allclose(sd, model.predict(X[:20], return_std=True)[1], rtol=1e-14)
    np.testing.assert_allclose(ends, model.predict_interval(X[:20]), rtol=1e-12)
    np.testing.assert_array_equal(more, model.sample_posterior(3)["posterior"]["sigma"].values)


# -- pickles of earlier versions -----------------------------------------------------------------------------

OLD = Path(__file__).parent / "pickles" / "0.1.0"
RECORD = json.loads((OLD / "expected.json").read_text())


@pytest.fixture(params=RECORD["models"])
def old(request):
    """A model that version 0.1.0 pickled, five of its rows, and what that version said of them."""
    name = request.param
    rows = pd.DataFrame(RECORD["rows"])
    if not name.startswith("formula"):
        rows = rows[["a", "b"]]
    if name == "positive":
        rows = rows.assign(b=-rows["b"])
    X = rows.to_numpy() if name == "arrays" else rows
    return pickle.loads((OLD / f"{name}.pickle").read_bytes()), X, RECORD["models"][name]


def test_old_pickles_give_the_numbers_that_they_gave(old):
    model, X, expected = old
    mean, sd = model.predict(X, return_std=True)
    for found, key in (
        (mean, "mean"),
        (sd, "sd"),
        (model.coef_, "coef"),
        (model.intercept_, "intercept"),
        (model.sigma_, "sigma"),
        (model.predict_interval(X), "interval"),
    ):
        np.testing.assert_allclose(found, expected[key], rtol=1e-12, err_msg=key)
    more = model.sample_posterior(3)["posterior"]["sigma"].values
    np.testing.assert_allclose(more, expected["more"], rtol=1e-12)
    text = str(model.summary())
    assert "2 chains x 20" in text
    assert all(name in text for name in model.posterior_.names)


def test_old_pickles_can_be_fitted_and_saved_again(old):
    model, _, _ = old
    frame = FRAME[["a", "b"]] if model.formula is None else FRAME
    X = frame.to_numpy() if not hasattr(model, "feature_names_in_") else frame
    for again in (clone(model), model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again.fit(X, FRAME["y"]).predict(X).shape == (90,)
        again.partial_fit(X, FRAME["y"])
        assert again.posterior_.n_rows == 180


def test_old_pickles_have_kept_no_rows_to_add_to(old):
    model, X, expected = old
    y = np.array(RECORD["rows"]["y"])
    with pytest.raises(ValueError, match=r"pickled by bayesglm 0\.1\.0.*fit it"):
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"pickled by bayesglm 0\.1\.0.*fit it"):
        model.merge(model)
    with pytest.raises(ValueError, match=r"pickled by bayesglm 0\.1\.0.*fit it"):
        _ = model.singular_
    np.testing.assert_allclose(model.predict(X), expected["mean"], rtol=1e-12)  # it is as before


def test_functions_of_the_namespace_travel_along():
    namespace = {"floor": np.floor, "unit": 2.0}
    model = BayesianLinearRegression("y ~ floor(a) + I(b * unit)", formula_namespace=namespace, draws=20).fit(
        FRAME
    )
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.predict(FRAME), model.predict(FRAME))
