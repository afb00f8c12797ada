"""More than two classes: rows for all of them, none of which is special, or log odds against one that is named."""

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.model_selection import GridSearchCV

from bayesglm import BayesianLogisticRegression, Flat, Laplace, Normal, load
from bayesglm.inference.contrasts import contrasts, sets
from bayesglm.kernel.priors import StudentT

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
#: Classes turned round.
TURN = np.array([2, 0, 1])
FEW = {"draws": 60, "chains": 2, "random_state": 0}
FILES = Path(__file__).parent / "files" / "1"


def logistic(**settings):
    return BayesianLogisticRegression(**{**FEW, **settings})


@pytest.mark.parametrize("reference", [None, 1])
def test_the_order_of_labels_does_not_matter(reference):
    """Not to the last digit. (When the first class was the reference, turning labels moved a probability by 0.075.)"""
    one = logistic(reference=reference).fit(X, Y)
    turned = None if reference is None else TURN[reference]
    other = logistic(reference=turned).fit(X[::-1], TURN[Y[::-1]])
    for name in ("Intercept", "coef"):
        np.testing.assert_array_equal(other.posterior_.draws[name][:, :, TURN], one.posterior_.draws[name])
    np.testing.assert_array_equal(other.coef_[TURN], one.coef_)
    np.testing.assert_allclose(other.predict_proba(X)[:, TURN], one.predict_proba(X), rtol=1e-12)
    more = [np.asarray(m.sample_posterior(30)["posterior"]["coef"]) for m in (one, other)]
    np.testing.assert_array_equal(more[1][:, :, TURN], more[0])
    names = np.array(["c", "a", "b"])
    words = logistic(reference=None if reference is None else names[reference]).fit(X, names[Y])
    np.testing.assert_array_equal(words.coef_[TURN], one.coef_)


def test_coefficients_add_up_to_zero_and_rows_line_up_with_classes():
    model = logistic().fit(X, Y)
    assert model.coef_.shape == (3, 4)
    assert model.intercept_.shape == (3,)
    for values in (*model.posterior_.draws.values(), *model.sample_posterior(5)["posterior"].values()):
        assert np.abs(np.asarray(values).sum(axis=2)).max() < 1e-10
    # A class's row is its own: where its coefficients are large, so is its probability.
    scores = X @ model.coef_.T + model.intercept_
    assert np.mean(scores.argmax(axis=1) == Y) > 0.95
    assert np.abs(np.corrcoef(scores[:, 0], Y == 0)[0, 1]) > 0.9
    margins = model.decision_function(X)
    assert margins.shape == (len(X), 3)
    np.testing.assert_array_equal(margins.argmax(axis=1), model.predict(X))
    np.testing.assert_allclose(margins.sum(axis=1), 0.0, atol=1e-9)
    far = model.decision_function(1e6 * X)
    assert np.isfinite(far).all()
    np.testing.assert_array_equal(far.argmax(axis=1), model.predict(1e6 * X))


def test_tools_that_read_coefficients_by_class():
    model = logistic()
    chosen = SelectFromModel(model, max_features=2, threshold=-np.inf).fit(X, Y)
    expected = np.sort(np.abs(logistic().fit(X, Y).coef_).sum(axis=0))[-2:]
    np.testing.assert_allclose(
        np.sort(np.abs(chosen.estimator_.coef_).sum(axis=0)[chosen.get_support()]), expected
    )
    assert RFE(model, n_features_to_select=2).fit(X, Y).support_.sum() == 2


def test_shap_explains_the_class_that_it_names():
    shap = pytest.importorskip("shap")
    model = logistic().fit(X, Y)
    found = shap.LinearExplainer(model, X)
    values = np.asarray(found.shap_values(X[:6]))
    assert values.shape == (6, 4, 3)
    for k in range(3):
        line = X[:6] @ model.coef_[k] + model.intercept_[k]
        np.testing.assert_allclose(
            values[..., k].sum(axis=1) + found.expected_value[k], line, rtol=1e-8, atol=1e-8
        )


@pytest.mark.parametrize("K", [2, 3, 7, 40])
def test_contrasts(K):
    matrix = contrasts(K)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(K - 1), atol=1e-14)
    np.testing.assert_allclose(matrix.sum(axis=0), 0.0, atol=1e-14)
    gaps = matrix[:, np.newaxis] - matrix
    np.testing.assert_allclose(
        (gaps**2).sum(axis=-1), 2.0 * (1.0 - np.eye(K)), atol=1e-13
    )  # of any two classes alike
    values = np.random.default_rng(0).normal(size=K)
    np.testing.assert_allclose(matrix @ sets(values, matrix), values - values.mean(), atol=1e-13)
    against = contrasts(K, 1)
    np.testing.assert_array_equal(against @ sets(values, against), values - values[1])


@pytest.mark.parametrize("reference", [None, 2])
@pytest.mark.parametrize("center", [True, False])
def test_the_prior_is_that_of_differences(reference, center):
    """Prior draws and the log density of draws, against normal densities written down here."""
    scale, width = np.array([0.5, 1.0, 2.0, 3.0]), 1.5
    model = logistic(
        reference=reference, prior=Normal(0, scale), intercept_prior=Normal(0, width), center=center
    )
    model.fit(X, Y)
    priors, middle = model.posterior_.prior_set, X.mean(axis=0)
    drawn = priors.draw(np.random.default_rng(1), 40_000, middle)
    level = drawn["Intercept"] + (drawn["coef"] @ middle if center else 0.0)
    pairs = [(0, 1), (1, 2), (2, 0)] if reference is None else [(0, 2), (1, 2)]
    for k, m in pairs:
        np.testing.assert_allclose((drawn["coef"][:, k] - drawn["coef"][:, m]).std(axis=0), scale, rtol=0.02)
        assert (level[:, k] - level[:, m]).std() == pytest.approx(width, rel=0.02)
    found = priors.log_density(model.posterior_.draws, middle)
    draws = model.posterior_.draws
    cov = 0.5 * (np.eye(2) + 1.0) if reference is None else np.eye(2)
    # The density of differences from the last class is that of contrasts but for a constant: log sqrt(3) each.
    jacobian = 0.5 * np.log(3.0) if reference is None else 0.0
    for j in range(4):
        gaps = draws["coef"][:, :, :2, j] - draws["coef"][:, :, 2:, j]
        expected = multivariate_normal(np.zeros(2), scale[j] ** 2 * cov).logpdf(gaps) + jacobian
        np.testing.assert_allclose(found["coef"][..., j].sum(axis=2), expected, rtol=1e-10)
    level = draws["Intercept"] + (draws["coef"] @ middle if center else 0.0)
    expected = (
        multivariate_normal(np.zeros(2), width**2 * cov).logpdf(level[..., :2] - level[..., 2:]) + jacobian
    )
    np.testing.assert_allclose(found["Intercept"].sum(axis=2), expected, rtol=1e-10)


def test_intercepts_are_around_the_shares_of_the_classes():
    rows = np.flatnonzero((Y != 1) | (np.arange(len(Y)) % 10 == 0))
    for reference in (None, 0):
        priors = logistic(reference=reference).fit(X[rows], Y[rows]).posterior_.prior_set
        drawn = priors.draw(np.random.default_rng(1), 40_000, X[rows].mean(axis=0))
        level = drawn["Intercept"] + drawn["coef"] @ X[rows].mean(axis=0)
        gap = (level[:, 1] - level[:, 0]).mean()
        assert gap == pytest.approx(np.log(5.5 / 50.5), abs=0.06)
    plain = logistic(intercept_prior=Normal(0, 2.5)).fit(X[rows], Y[rows])
    assert plain.posterior_.prior_set.levels is None


@pytest.mark.parametrize(
    ("settings", "reference"),
    [
        ({}, None),
        ({"prior": "flat"}, None),
        ({"prior": {"x0": Flat(), "x1": Normal(0, 2)}, "prior_scale": None}, None),
        ({"prior": "rstanarm"}, None),
        ({"prior": Laplace(0, 1)}, 0),
        ({"prior": Normal(0.5, 1)}, 0),
        ({"intercept_prior": StudentT(4, 0, 2)}, 0),
        ({"intercept_prior": Normal(1, 2)}, 0),
        ({"prior": {"x2": Laplace(0, 1)}}, 0),
        ({"prior": Laplace(0, 1), "reference": 2}, 2),
        ({"reference": np.int64(1)}, 1),
        ({"prior": Laplace(0, 1), "fit_intercept": False}, 0),
        ({"intercept_prior": StudentT(4, 0, 2), "fit_intercept": False}, None),
    ],
)
def test_which_coding(settings, reference):
    noisy = np.random.default_rng(0).permutation(Y)  # so that flat priors have a posterior
    model = logistic(**settings).fit(X, noisy)
    assert model.posterior_.prior_set.reference == reference
    text = str(model.summary())
    if reference is None:
        assert np.abs(model.coef_.sum(axis=0)).max() < 1e-9
        assert "add up to zero" in text
        assert len(model.posterior_.names) == 3 * (4 + model.fit_intercept)
    else:
        np.testing.assert_array_equal(model.coef_[reference], 0.0)
        assert model.intercept_[reference] == 0.0
        assert f"log odds ratios against '{reference}'" in text
        assert f"x0[{reference}]" not in text
        np.testing.assert_allclose(model.decision_function(X)[:, reference], 0.0, atol=1e-12)
    np.testing.assert_array_equal(model.decision_function(X).argmax(axis=1), model.predict(X))


def test_odds_ratios():
    model = logistic().fit(X, Y)
    table = model.summary(scale="response")
    assert "against the geometric mean of all classes" in str(table)
    draws = np.exp(model.posterior_.draws["coef"][:, :, 2, 1])
    assert table.to_frame().loc["x1[2]", "mean"] == pytest.approx(draws.mean())
    model = logistic(reference=1).fit(X, Y)
    table = model.summary(scale="response")
    assert "odds ratios against '1'" in str(table)
    assert table.to_frame().index.tolist()[:3] == ["Intercept[0]", "Intercept[2]", "x0[0]"]


@pytest.mark.parametrize(
    ("labels", "reference", "match"),
    [
        (Y, 3, "reference=3 is none of the classes; there are 0, 1, 2"),
        (Y, "1", "did you mean 1"),
        (np.array(["ash", "birch", "cedar"])[Y], "brich", "did you mean 'birch'"),
        (Y, [0], r"reference=\[0\] is none of the classes"),
        (Y, np.nan, "none of the classes"),
        (Y > 0, True, "second of two classes"),
    ],
)
def test_references_that_are_refused(labels, reference, match):
    with pytest.raises(ValueError, match=match):
        logistic(reference=reference).fit(X, labels)


def test_two_classes_are_against_the_first_anyway():
    one, other = logistic().fit(X, Y > 0), logistic(reference=False).fit(X, Y > 0)
    np.testing.assert_array_equal(one.coef_, other.coef_)
    assert one.coef_.shape == (1, 4)


def test_an_offset_needs_a_reference():
    offset = np.linspace(-1.0, 1.0, len(X))
    with pytest.raises(ValueError, match=r"offset.*name one of the classes by reference"):
        logistic().fit(X, Y, offset=offset)
    with pytest.raises(ValueError, match="offset"):
        logistic().fit(X, Y).predict_proba(X, offset=offset)
    model = logistic(reference=1).fit(X, Y, offset=offset)
    draws = model.posterior_.draws
    eta = np.einsum("np,cdkp->ncdk", X, draws["coef"]) + draws["Intercept"]
    eta = eta + offset[:, None, None, None] * np.array([1.0, 0.0, 1.0])
    each = np.exp(eta) / np.exp(eta).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X, offset=offset), each.mean(axis=(1, 2)), rtol=1e-10)
    groups = model.to_arviz(X, Y, offset=offset)
    own = np.log(np.take_along_axis(each, Y[:, None, None, None], axis=-1))[..., 0]
    np.testing.assert_allclose(np.moveaxis(groups["log_likelihood"]["y"].to_numpy(), -1, 0), own, atol=1e-9)
    # A number for all rows moves the intercepts of the others.
    level = logistic(reference=1, draws=400).fit(X, Y, offset=np.full(len(X), 5.0))
    plain = logistic(reference=1, draws=400).fit(X, Y)
    np.testing.assert_allclose(level.intercept_ - plain.intercept_, [-5.0, 0.0, -5.0], atol=0.5)


def test_arviz_has_all_classes():
    for reference in (None, "b"):
        found = logistic(reference=reference).fit(X, np.array(["a", "b", "c"])[Y])
        groups = found.to_arviz(X, np.array(["a", "b", "c"])[Y], prior=True)
        for group in ("posterior", "prior", "log_prior"):
            assert groups[group]["coef"].dims == ("chain", "draw", "class", "feature")
            assert groups[group]["Intercept"]["class"].to_numpy().tolist() == ["a", "b", "c"]
        own = groups["log_prior"]["coef"].sel({"class": "b"}).to_numpy()
        assert np.all(own == 0.0) == (reference == "b")
        terms = found.to_arviz(names="terms")["posterior"]
        assert terms["x0"].dims == ("chain", "draw", "class")


@pytest.mark.parametrize("reference", [None, "b"])
def test_files_pickles_and_searches(tmp_path, reference):
    labels = np.array(["a", "b", "c"])[Y]
    model = logistic(reference=reference).fit(X, labels)
    model.save(tmp_path / "model")
    for twin in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert twin.reference == reference
        np.testing.assert_array_equal(twin.coef_, model.coef_)
        np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
        assert str(twin.summary()) == str(model.summary())
        assert twin.posterior_.names == model.posterior_.names
    search = GridSearchCV(model, {"prior_scale": [1e-3, 1.0], "reference": [None, "a"]}, cv=3).fit(X, labels)
    assert search.best_params_["prior_scale"] == 1.0


def test_weights_are_repeated_rows():
    weights = np.random.default_rng(2).integers(0, 3, len(X))
    one = logistic().fit(X, Y, sample_weight=weights)
    other = logistic().fit(np.repeat(X, weights, axis=0), np.repeat(Y, weights))
    np.testing.assert_array_equal(one.coef_, other.coef_)


@pytest.mark.parametrize("name", ["three_classes", "formula_offset", "no_intercept", "two_classes"])
def test_files_of_the_first_layout(name):
    """Written before classes had a row each; the expected numbers are what the model said then."""
    expected = json.loads((FILES / "expected.json").read_text())
    model, then = load(FILES / f"{name}.bayesglm"), expected[name]
    rows, kinds, more = np.array(expected["rows"]), np.array(expected["kinds"]), {}
    if name == "formula_offset":
        rows, kinds = pd.DataFrame(expected["frame"]), None
    elif name == "two_classes":
        kinds = kinds == "ash"
    for method, key in (
        (model.predict_proba, "proba"),
        (model.predict_interval, "interval"),
        (lambda X: model.log_predictive_density(X, kinds), "log_density"),
    ):
        np.testing.assert_allclose(method(rows, **more), then[key], rtol=1e-12)
    assert model.classes_.tolist() == then["classes"]
    coef, intercept = model.coef_, model.intercept_
    if name != "two_classes":
        assert model.posterior_.prior_set.reference == 0
        np.testing.assert_array_equal([coef[0].any(), intercept[0]], 0.0)
        coef, intercept = coef[1:], intercept[1:]
        assert f"log odds ratios against '{then['classes'][0]}'" in str(model.summary())
    np.testing.assert_allclose(coef, then["coef"], rtol=1e-13)
    np.testing.assert_allclose(intercept, then["intercept"], rtol=1e-13)
    assert np.isfinite(model.to_arviz()["posterior"]["coef"].to_numpy()).all()


def test_labels_that_look_like_measurements():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(60, 1))
    many = np.arange(60) % 30
    with pytest.warns(UserWarning, match=r"30 different numbers in 60 rows.*use a regressor"):
        logistic(draws=20, tune=20).fit(rows, many)
    with pytest.warns(UserWarning, match=r"13 different numbers in 60 rows"):
        logistic(draws=20, tune=20).fit(rows, many % 13 + 0.0)
    frame = pd.DataFrame({"x": rows[:, 0], "y": many})
    with pytest.warns(UserWarning, match="use a regressor"):
        logistic(formula="y ~ x", draws=20, tune=20).fit(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        for labels in (many % 3, many % 12, many % 13 == 0, np.char.mod("%d", many)):
            logistic(draws=20, tune=20).fit(rows, labels)
        logistic(draws=20, tune=20).fit(rows[:9], many[:9] % 3)
