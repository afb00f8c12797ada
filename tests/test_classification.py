"""BayesianLogisticRegression: labels of all kinds, two classes or more, separation, one class, rare events."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score

from bayesglm import BayesianGLM, BayesianLogisticRegression, load

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
N = 400
X = RNG.normal(size=(N, 3))
P = 1.0 / (1.0 + np.exp(-0.3 - X @ [1.0, -0.7, 0.0]))
Y = (RNG.random(N) < P).astype(int)
THREE = np.array(["ash", "birch", "cedar"])[(RNG.random((N, 1)) > np.cumsum([0.3, 0.4])).sum(axis=1)]
FRAME = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=np.where(Y, "yes", "no"), tree=THREE)
QUICK = {"draws": 300, "random_state": 0}


def test_labels_of_all_kinds_are_the_same_model():
    plain = BayesianLogisticRegression(**QUICK).fit(X, Y)
    for labels in (
        Y.astype(bool),
        Y.astype(float),
        Y - 1,
        np.where(Y, "yes", "no"),
        FRAME["y"],
        list(FRAME["y"]),
    ):
        model = BayesianLogisticRegression(**QUICK).fit(X, labels)
        np.testing.assert_array_equal(model.coef_, plain.coef_)
        np.testing.assert_array_equal(model.classes_, np.unique(labels))
        assert set(model.predict(X)) <= set(np.unique(labels))
    formula = BayesianLogisticRegression("y ~ a + b + c", **QUICK).fit(FRAME)
    np.testing.assert_allclose(formula.coef_, plain.coef_, rtol=1e-12)
    assert formula.score(FRAME) == plain.score(X, Y)
    np.testing.assert_allclose(
        formula.log_predictive_density(FRAME), plain.log_predictive_density(X, Y), rtol=1e-10
    )


def test_shapes_and_meanings_of_scikit_learn():
    ours, theirs = BayesianLogisticRegression(random_state=0).fit(X, Y), LogisticRegression(C=6.25).fit(X, Y)
    assert ours.coef_.shape == theirs.coef_.shape
    assert ours.intercept_.shape == theirs.intercept_.shape
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=0.05)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=0.02)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=0.2)
    np.testing.assert_array_equal(ours.predict(X), ours.classes_[(ours.decision_function(X) > 0).astype(int)])
    np.testing.assert_allclose(ours.predict_log_proba(X), np.log(ours.predict_proba(X)))


def test_probabilities_are_averaged_over_draws():
    model = BayesianLogisticRegression(**QUICK).fit(X, Y)
    draws = model.posterior_.draws
    eta = draws["Intercept"][..., None] + draws["coef"] @ X.T
    each = 1.0 / (1.0 + np.exp(-eta))
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], each.mean(axis=(0, 1)), rtol=1e-12)
    flat = each.reshape(-1, N)
    np.testing.assert_allclose(
        model.predict_interval(X, 0.8), np.quantile(flat, [0.1, 0.9], axis=0).T, rtol=1e-10
    )
    np.testing.assert_allclose(model.predict_quantiles(X, 0.5), np.median(flat, axis=0), rtol=1e-10)
    np.testing.assert_allclose(model.sample_predictive(X, kind="mean"), flat, rtol=1e-12)
    drawn = model.sample_predictive(X, 40 * 1200, random_state=1)
    error = np.sqrt(0.25 / len(drawn))
    assert np.abs((drawn == 1).mean(axis=0) - model.predict_proba(X)[:, 1]).max() < 5.0 * error
    assert model.log_predictive_density(X, Y).mean() == pytest.approx(-log_loss(Y, model.predict_proba(X)))
    share, predicted = calibration_curve(Y, model.predict_proba(X)[:, 1], n_bins=4)
    np.testing.assert_allclose(share, predicted, atol=0.12)


def test_more_than_two_classes(tmp_path):
    model = BayesianLogisticRegression(random_state=0).fit(X, THREE)
    assert model.coef_.shape == (3, 3)
    assert model.intercept_.shape == (3,)
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.predict(X), model.classes_[proba.argmax(axis=1)])
    assert model.decision_function(X).shape == (N, 3)
    assert model.predict_interval(X[:5]).shape == (5, 3, 2)
    assert model.sample_predictive(X[:5], 7).shape == (7, 5)
    assert model.sample_predictive(X[:5], 7, kind="mean").shape == (7, 5, 3)
    assert "x0[birch]" in model.posterior_.names
    found = model.to_arviz(X, THREE, prior=True)
    assert found["posterior"]["coef"].dims == ("chain", "draw", "class", "feature")
    assert found["posterior"]["class"].to_numpy().tolist() == ["ash", "birch", "cedar"]
    assert np.isfinite(found["log_prior"]["coef"].to_numpy()).all()
    model.save(tmp_path / "model")
    for twin in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.predict_proba(X), proba)
        np.testing.assert_array_equal(twin.classes_, model.classes_)
    other = LogisticRegression(C=6.25).fit(X, THREE)
    np.testing.assert_allclose(proba, other.predict_proba(X), atol=0.02)
    batch, nuts = (
        model.posterior_,
        BayesianLogisticRegression(sampler="nuts", random_state=1).fit(X, THREE).posterior_,
    )
    assert batch.how == "batch"
    z = (batch.stacked().mean(axis=(1, 2)) - nuts.stacked().mean(axis=(1, 2))) / np.hypot(
        batch.diagnostics.mcse_mean, nuts.diagnostics.mcse_mean
    )
    assert np.abs(z).max() < 4.0


def test_two_classes_are_the_bernoulli_family():
    binary = BayesianGLM(family="bernoulli", random_state=0).fit(X, Y)
    logistic = BayesianLogisticRegression(random_state=0).fit(X, Y)
    np.testing.assert_array_equal(binary.coef_, logistic.coef_[0])


def test_separation_is_finite_and_wide():
    x = np.linspace(-1, 1, 40)[:, None]
    model = BayesianLogisticRegression(random_state=0).fit(x, x[:, 0] > 0)
    posterior = model.posterior_
    assert posterior.n_divergences == 0
    assert posterior.diagnostics.rhat.max() < 1.01
    assert np.isfinite(model.coef_).all()
    assert posterior.draws["coef"].std() > 2.0
    with pytest.raises(ValueError, match="separates the classes"):
        BayesianLogisticRegression(prior="flat", intercept_prior="flat").fit(x, x[:, 0] > 0)


def test_rare_events():
    """Eleven of a hundred thousand: the level is found although no prior could know it."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(20_000, 1))
    y = rng.random(20_000) < 5e-4
    model = BayesianLogisticRegression(draws=200, random_state=0).fit(rows, y)
    assert model.predict_proba(rows)[:, 1].mean() == pytest.approx(y.mean(), rel=0.25)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (np.zeros(N), "one class only, 0.0"),
        (np.full(N, "x"), "one class only, 'x'"),
        (np.where(np.arange(N) == 3, None, FRAME["y"].to_numpy(object)), "y is missing in row 3"),
        (np.linspace(0, 1, N), "Unknown label type"),
    ],
)
def test_labels_that_will_not_do(labels, match):
    with pytest.raises(ValueError, match=match):
        BayesianLogisticRegression().fit(X, labels)


def test_a_left_side_that_is_no_column():
    with pytest.raises(ValueError, match=r"'np.abs\(a\)' is no column but an expression"):
        BayesianLogisticRegression("np.abs(a) ~ b").fit(FRAME)


def test_weights_that_leave_one_class():
    with pytest.raises(ValueError, match="one class only"):
        BayesianLogisticRegression().fit(X, Y, sample_weight=Y)


def test_labels_of_other_rows():
    model = BayesianLogisticRegression(**QUICK).fit(X, THREE)
    with pytest.raises(ValueError, match="'oak' in row 0"):
        model.log_predictive_density(X[:1], ["oak"])
    frame = FRAME.copy()
    frame.loc[2, "a"] = np.nan
    formula = BayesianLogisticRegression("tree ~ a", **QUICK).fit(FRAME)
    assert np.isnan(formula.predict_proba(frame)[2]).all()
    with pytest.raises(ValueError, match="row 2 of X holds a missing value"):
        formula.predict(frame)
    frame.loc[5, "tree"] = None
    with pytest.warns(UserWarning, match="2 of 400 rows"):
        BayesianLogisticRegression("tree ~ a", **QUICK).fit(frame)


def test_in_searches():
    model = BayesianLogisticRegression(draws=50, chains=2, random_state=0)
    assert cross_val_score(model, X, Y, cv=3).mean() > 0.6
    assert cross_val_score(model, X, Y, cv=3, scoring="roc_auc").mean() > 0.65
    assert cross_val_predict(model, X, Y, cv=3, method="predict_proba").shape == (N, 2)
    search = GridSearchCV(model, {"prior_scale": [1e-3, 1.0]}, cv=3, scoring="neg_log_loss").fit(X, Y)
    assert search.best_params_ == {"prior_scale": 1.0}


def test_offset():
    model = BayesianLogisticRegression(fit_intercept=False, random_state=0).fit(X, Y, offset=np.full(N, 0.3))
    np.testing.assert_array_equal(model.intercept_, [0.0])
    free = BayesianLogisticRegression(random_state=0).fit(X, Y)
    np.testing.assert_allclose(model.predict_proba(X, offset=0.3), free.predict_proba(X), atol=0.08)


def test_summary_shows_odds_ratios():
    model = BayesianLogisticRegression("y ~ a + b", **QUICK).fit(FRAME)
    text = str(model.summary(scale="response"))
    assert "odds ratios" in text
    assert "family" in text
    assert "Bernoulli" in text


def test_rows_with_missing_values():
    """Numbers are NaN, a class cannot be, and what counts rows leaves them out; offsets by name count in the score."""
    frame = pd.DataFrame({"x": np.linspace(-2, 2, 40), "z": 8.0 * (np.arange(40) % 2) - 4.0})
    frame["g"] = np.where(np.arange(40) % 3 > 0, "a", "b")
    model = BayesianLogisticRegression("g ~ x", draws=50, chains=2, random_state=0)
    with pytest.warns(UserWarning, match="dropped 1 of 40 rows"):
        model.fit(frame.assign(x=frame["x"].where(frame.index != 3)), offset="z")
    holes = frame.assign(x=frame["x"].where(frame.index != 5))
    whole = frame.drop(index=5)
    for numbers in (
        model.predict_proba(holes),
        model.decision_function(holes),
        model.predict_interval(holes),
    ):
        lost = np.isnan(numbers.reshape(40, -1)).any(axis=1)
        assert np.flatnonzero(lost).tolist() == [5]
    for call in (model.predict, model.sample_predictive):
        with pytest.raises(ValueError, match=r"^row 5 of X holds a missing value"):
            call(holes)
    right = float(np.mean(model.predict(whole) == whole["g"]))
    assert right != np.mean(model.predict(whole, offset=np.zeros(39)) == whole["g"])
    for score in (
        model.score(holes),
        model.score(holes, frame["g"]),
        model.score(whole),
        model.score(whole, whole["g"]),
    ):
        assert score == pytest.approx(right)
