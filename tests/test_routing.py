"""Weights and return_std through pipelines, searches and ensembles, with and without metadata routing."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.flat_models import FLAT, QUICK

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FOLDS = KFold(3)
since_1_8 = pytest.mark.skipif(
    sklearn.__version__ < "1.8", reason="Pipeline.score asks for another request before 1.8"
)


@pytest.fixture(scope="module")
def data():
    return load_diabetes(return_X_y=True)


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(0).integers(0, 3, 442)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def asking(model):
    """Return a copy that asks for weights wherever it can."""
    return clone(model).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)


# -- without ---------------------------------------------------------------------------------------------


def test_weights_by_the_name_of_the_step(data, weights):
    X, y = data
    pipeline = Pipeline([("scale", StandardScaler()), ("model", clone(FLAT))])
    pipeline.fit(X, y, model__sample_weight=weights)
    assert pipeline["model"].posterior_.weight == weights.sum()
    least_squares = Pipeline([("scale", StandardScaler()), ("model", LinearRegression())])
    least_squares.fit(X, y, model__sample_weight=weights)
    np.testing.assert_allclose(pipeline.predict(X), least_squares.predict(X), rtol=1e-9)


def test_weights_of_a_search_by_name(data, weights):
    # Whether the scores are weighted as well depends on scikit-learn's version, so that a loop would not do.
    X, y = data
    grid = {"fit_intercept": [True, False]}
    ours = GridSearchCV(FLAT, grid, cv=FOLDS).fit(X, y, sample_weight=weights)
    theirs = GridSearchCV(LinearRegression(), grid, cv=FOLDS).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-8
    )
    assert ours.best_estimator_.posterior_.weight == weights.sum()


def test_return_std_without_routing(data):
    X, y = data
    mean, sd = make_pipeline(StandardScaler(), clone(QUICK)).fit(X, y).predict(X, return_std=True)
    expected = clone(QUICK).fit(StandardScaler().fit_transform(X), y)
    np.testing.assert_array_equal(mean, expected.predict(StandardScaler().fit_transform(X)))
    np.testing.assert_array_equal(sd, expected.predict(StandardScaler().fit_transform(X), return_std=True)[1])


# -- with ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("routing")
def test_what_can_be_asked_for():
    requests = clone(QUICK).get_metadata_routing()
    assert requests.fit.requests == {"sample_weight": None}
    assert requests.partial_fit.requests == {"sample_weight": None}
    assert requests.score.requests == {"sample_weight": None}
    assert requests.predict.requests == {"return_std": True}
    model = asking(QUICK).set_partial_fit_request(sample_weight="w").set_predict_request(return_std=False)
    requests = clone(model).get_metadata_routing()
    assert requests.fit.requests == {"sample_weight": True}
    assert requests.partial_fit.requests == {"sample_weight": "w"}
    assert requests.predict.requests == {"return_std": False}


@pytest.mark.usefixtures("routing")
def test_weights_that_nobody_asked_for(data, weights):
    X, y = data
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        make_pipeline(StandardScaler(), clone(QUICK)).fit(X, y, sample_weight=weights)
    deaf = clone(QUICK).set_fit_request(sample_weight=False)
    scaler = StandardScaler().set_fit_request(sample_weight=True)
    pipeline = make_pipeline(scaler, deaf).fit(X, y, sample_weight=weights)
    assert pipeline[-1].posterior_.weight == 442


@pytest.mark.usefixtures("routing")
def test_weights_of_a_pipeline(data, weights):
    X, y = data
    pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=True), asking(FLAT))
    pipeline.fit(X, y, sample_weight=weights)
    rows = StandardScaler().fit(X, sample_weight=weights).transform(X)
    expected = LinearRegression().fit(rows, y, weights)
    np.testing.assert_allclose(pipeline[-1].coef_, expected.coef_, rtol=1e-7)
    assert pipeline[-1].posterior_.weight == weights.sum()


@since_1_8
@pytest.mark.usefixtures("routing")
def test_weights_of_cross_validation_and_searches(data, weights):
    X, y = data
    pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), asking(QUICK))
    found = cross_validate(pipeline, X, y, params={"sample_weight": weights}, cv=FOLDS)["test_score"]
    grid = {"bayesianlinearregression__prior_scale": [0.01, 2.5]}
    search = GridSearchCV(pipeline, grid, cv=FOLDS).fit(X, y, sample_weight=weights)
    expected = []
    for scale in (0.01, 2.5):
        model = make_pipeline(StandardScaler(), clone(QUICK).set_params(prior_scale=scale))
        for train, test in FOLDS.split(X):
            with sklearn.config_context(enable_metadata_routing=False):
                model.fit(X[train], y[train], bayesianlinearregression__sample_weight=weights[train])
            expected.append(r2_score(y[test], model.predict(X[test]), sample_weight=weights[test]))
    expected = np.reshape(expected, (2, 3))
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found, expected[1], rtol=1e-9)
    assert search.best_estimator_[-1].posterior_.weight == weights.sum()


@pytest.mark.usefixtures("routing")
def test_weights_of_other_estimators(data, weights):
    X, y = data
    expected = LinearRegression().fit(X, y, weights).predict(X)
    several = MultiOutputRegressor(asking(FLAT)).fit(X, np.c_[y, -y], sample_weight=weights)
    np.testing.assert_allclose(several.predict(X), np.c_[expected, -expected], rtol=1e-8)
    transformed = TransformedTargetRegressor(asking(FLAT), transformer=StandardScaler())
    np.testing.assert_allclose(transformed.fit(X, y, sample_weight=weights).predict(X), expected, rtol=1e-8)
    bag = BaggingRegressor(asking(FLAT), n_estimators=2, random_state=0).fit(X, y, sample_weight=weights)
    assert len(np.unique([member.coef_[0] for member in bag.estimators_])) == 2


@pytest.mark.usefixtures("routing")
def test_return_std_needs_no_request(data):
    X, y = data
    pipeline = make_pipeline(StandardScaler(), clone(QUICK)).fit(X, y)
    mean, sd = pipeline.predict(X, return_std=True)
    rows = StandardScaler().fit_transform(X)
    expected = clone(QUICK).fit(rows, y).predict(rows, return_std=True)
    np.testing.assert_array_equal(mean, expected[0])
    np.testing.assert_array_equal(sd, expected[1])
    np.testing.assert_array_equal(pipeline.predict(X), mean)
    search = GridSearchCV(pipeline, {"bayesianlinearregression__prior_scale": [2.5]}, cv=FOLDS).fit(X, y)
    np.testing.assert_array_equal(search.best_estimator_.predict(X, return_std=True)[1], sd)
