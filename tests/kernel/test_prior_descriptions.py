"""Priors as descriptions: parameters, copies, equality, repr, and what is said of bad parameters."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone

from bayesglm import priors as public
from bayesglm.kernel.positive_priors import PRIORS, Exponential, Gamma, HalfNormal, HalfStudentT
from bayesglm.kernel.priors import Cauchy, Flat, Normal, Prior, StudentT
from tests.prior_reference import NAMES, REAL_LINE, make


@pytest.mark.parametrize("name", NAMES)
def test_parameters_can_be_read_and_set(name):
    prior = make(name, 1.0, 2.0)
    params = prior.get_params()
    assert tuple(params) == prior.names
    assert prior.get_params(deep=False) == params
    if "scale" in params:
        assert prior.set_params(scale=5.0) is prior
        assert prior.scale == 5.0
    with pytest.raises(ValueError, match=rf"{type(prior).__name__} has no parameter 'width'; it has"):
        prior.set_params(width=1.0)


def test_a_prior_without_parameters_says_so():
    with pytest.raises(ValueError, match="it has none"):
        Flat().set_params(scale=1.0)


def copies(prior):
    yield clone(prior)
    yield copy.copy(prior)
    yield copy.deepcopy(prior)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        yield pickle.loads(pickle.dumps(prior, protocol))


@pytest.mark.parametrize("name", NAMES)
def test_copies_are_equal(name):
    for prior in (make(name), make(name, [1.0, 2.0], np.array([3.0, 4.0]))):
        for other in copies(prior):
            assert type(other) is type(prior)
            assert other == prior
            assert other is not prior


@pytest.mark.parametrize("name", NAMES)
def test_copies_of_bound_priors_give_the_same_density(name):
    bound = make(name, 0.3, [2.0, 5.0]).bind([2, 0], unit=7.0, positive=name in REAL_LINE)
    x = np.array([0.4, -1.0, 2.2])
    for other in (copy.deepcopy(bound), pickle.loads(pickle.dumps(bound))):
        assert other.value_and_gradient(x)[0] == bound.value_and_gradient(x)[0]
        np.testing.assert_array_equal(other.value_and_gradient(x)[1], bound.value_and_gradient(x)[1])
        assert other.bound[3] == bound.bound[3]
    assert clone(bound).bound is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("autoscale", [False, True])
def test_repr_can_be_evaluated(name, autoscale):
    prior = make(name, -0.25, 1.5, autoscale=autoscale)
    text = repr(prior)
    assert eval(text, vars(public)) == prior
    assert ("autoscale" in text) == (autoscale and "autoscale" in prior.names)


def test_repr_shows_arrays_and_four_digits():
    assert repr(Normal(0, 1 / 3)) == "Normal(loc=0, scale=0.3333)"
    assert repr(Normal(np.zeros(2), [1, 2])) == "Normal(loc=[0. 0.], scale=[1, 2])"
    assert len(repr(Normal(np.zeros(10_000)))) < 100
    assert repr(Flat()) == "Flat()"


def test_equality():
    assert Normal(0, 1) == Normal(0.0, 1.0)
    assert Normal(0, 1) != Normal(0, 2)
    assert Normal(0, 1) != Normal(0, 1, autoscale=True)
    assert Normal(0, 1) != Cauchy(0, 1)
    assert Normal(0, [1, 2]) == Normal(0, np.array([1.0, 2.0]))
    assert Normal(0, [1, 2]) != Normal(0, [1, 2, 3])
    assert Normal(0, 1) != "normal"
    assert Normal(0, 1) != 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(Normal(0, 1))


# -- messages ----------------------------------------------------------------------------------

BAD_PARAMETERS = [
    (Normal(scale=0.0), r"p: scale must be positive; got 0 in Normal\(loc=0, scale=0\)\."),
    (Normal(scale=-1.5), r"p: scale must be positive; got -1\.5 in Normal\("),
    (Normal(scale=[1.0, -2.0]), r"p: scale must be positive; got -2 in "),
    (Normal(scale=np.nan), r"p: scale must be a finite number; got nan in "),
    (Normal(scale=np.inf), r"p: scale must be a finite number; got inf in "),
    (Normal(scale="wide"), r"p: scale must be a finite number; got 'wide' in Normal\(loc=0, scale='wide'\)"),
    (Normal(scale="1"), r"p: scale must be a finite number; got '1'"),
    (Normal(scale=None), r"p: scale must be a finite number; got None"),
    (Normal(scale=True), r"p: scale must be a finite number; got True"),
    (Normal(scale=1j), r"p: scale must be a finite number; got 1j"),
    (Normal(scale=Normal()), r"p: scale must be a finite number; got Normal\("),
    (Normal(loc=np.nan), r"p: loc must be a finite number; got nan in Normal\(loc=nan, scale=1\)"),
    (Normal(loc=[0.0, np.inf]), r"p: loc must be a finite number; got \[0\.0, inf\]"),
    (
        Normal(loc=[1.0, 2.0, 3.0]),
        r"p: loc has shape \(3,\), but there are 2 coefficients; give one number or one for each",
    ),
    (Normal(scale=np.ones((2, 1))), r"p: scale has shape \(2, 1\), but there are 2 coefficients"),
    (Normal(autoscale="yes"), r"p: autoscale must be True or False; got 'yes'"),
    (Normal(autoscale=1), r"p: autoscale must be True or False; got 1"),
    (StudentT(df=0), r"p: df must be a positive finite number; got 0 in StudentT\("),
    (StudentT(df=-1.0), r"p: df must be a positive finite number; got -1\.0"),
    (StudentT(df=np.nan), r"p: df must be a positive finite number; got nan"),
    (HalfStudentT(df=np.inf), r"p: df must be a positive finite number; got inf"),
    (HalfStudentT(df="4"), r"p: df must be a positive finite number; got '4'"),
    (HalfStudentT(df=True), r"p: df must be a positive finite number; got True"),
    (StudentT(df=[1.0, 2.0]), r"p: df must be a positive finite number; got \[1\.0, 2\.0\]"),
    (Gamma(shape=0.0), r"p: shape must be a positive finite number; got 0\.0"),
    (Exponential(scale=-2), r"p: scale must be positive; got -2 in Exponential\("),
    (HalfNormal(scale=np.zeros(2)), r"p: scale must be positive; got 0 in HalfNormal\("),
]


@pytest.mark.parametrize(
    ("prior", "message"), BAD_PARAMETERS, ids=[repr(prior)[:40] for prior, _ in BAD_PARAMETERS]
)
def test_bad_parameters_are_named_when_bound(prior, message):
    with pytest.raises(ValueError, match=message) as caught:
        prior.bind([0, 1], name="p")
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_anything_can_be_constructed_and_cloned(name):
    """scikit-learn's rule: constructors store, `fit` checks."""
    cls = PRIORS[name]
    marker = object()
    prior = cls(**dict.fromkeys(cls.names, marker))
    assert all(getattr(prior, parameter) is marker for parameter in cls.names)
    assert isinstance(prior, Prior)
