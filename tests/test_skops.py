"""skops: models alone and inside others, and priors; what it could not bring back is refused."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bayesglm import BayesianLinearRegression, Laplace, Normal
from bayesglm.priors import PRIORS
from tests.saved_models import ARRAY, Y, fitted

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_skops_saves_what_holds_a_model():
    io = pytest.importorskip("skops.io")
    trusted = ["bayesglm.linear.BayesianLinearRegression"]
    model = BayesianLinearRegression(prior="laplace", draws=10, chains=1, random_state=0)
    pipeline = make_pipeline(StandardScaler(), model).fit(ARRAY, Y)
    twin = io.loads(io.dumps(pipeline), trusted=trusted)
    np.testing.assert_array_equal(twin.predict(ARRAY), pipeline.predict(ARRAY))
    # Priors as candidates of a search are objects of their own.
    grid = {"prior": [Normal(0.0, 1.0), Laplace(0.5, 2.0)]}
    search = GridSearchCV(model, grid, cv=2).fit(ARRAY, Y)
    stored = io.dumps(search)
    types = io.get_untrusted_types(data=stored)
    assert {"bayesglm.kernel.priors.Normal", "bayesglm.kernel.priors.Laplace", *trusted} <= set(types)
    twin = io.loads(stored, trusted=types)
    assert twin.param_grid == grid
    np.testing.assert_array_equal(twin.predict(ARRAY), search.predict(ARRAY))


def test_skops_refuses_what_is_compiled():
    """What it saved of a bound prior would be an empty shell, and reading from that a crash."""
    io = pytest.importorskip("skops.io")
    with pytest.raises(TypeError, match="save the model instead"):
        io.dumps(fitted("laplace").posterior_)


@pytest.mark.parametrize("name", PRIORS)
def test_priors_alone(name):
    own = {"df": 3.5, "shape": 2.5, "loc": -0.5, "scale": np.array([0.5, 2.0]), "autoscale": True}
    prior = PRIORS[name](**{key: own[key] for key in PRIORS[name].names})
    for twin in (copy.deepcopy(prior), pickle.loads(pickle.dumps(prior)), clone(prior)):
        assert twin == prior
    bound = prior.bind([0, 1], unit=3.0)
    twin = pickle.loads(pickle.dumps(bound))
    np.testing.assert_array_equal(
        twin.value_and_gradient([0.5, 2.0])[1], bound.value_and_gradient([0.5, 2.0])[1]
    )
    io = pytest.importorskip("skops.io")
    stored = io.dumps(prior)
    assert io.loads(stored, trusted=io.get_untrusted_types(data=stored)) == prior
