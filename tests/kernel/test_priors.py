"""Every registered prior against SciPy: value, gradient, support, draws and binding."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from bayesglm import priors as public
from bayesglm.kernel.positive_priors import PRIORS
from bayesglm.kernel.priors import Flat, JointPrior, Laplace, Normal, StudentT
from tests.prior_reference import NAMES, POSITIVE, PROPER, REAL_LINE, REFERENCE, make, reference


def points(name, loc, scale, rng):
    """200 ordinary and 20 extreme points of the support."""
    if PRIORS[name].positive:
        ordinary = scale * np.exp(rng.normal(0, 1.5, 200))
        extreme = scale * np.logspace(-2 if name == "inverse_gamma" else -8, 2.5, 20)
    else:
        ordinary = loc + scale * rng.normal(0, 3, 200)
        extreme = loc + scale * np.concatenate([-np.logspace(-7, 7, 10), np.logspace(-7, 7, 10)])
    return np.concatenate([ordinary, extreme])


def single(prior, x):
    """Value and derivative of a prior bound to one coordinate at many points."""
    found = [prior.value_and_gradient([v]) for v in x]
    return np.array([value for value, _ in found]), np.array([gradient[0] for _, gradient in found])


def test_every_prior_has_a_reference():
    assert set(REFERENCE) == set(PRIORS)


def test_the_registry_is_what_the_package_offers():
    assert {cls.__name__ for cls in PRIORS.values()} <= set(public.__all__)
    assert all(getattr(public, cls.__name__) is cls for cls in PRIORS.values())
    import bayesglm

    assert all(getattr(bayesglm, cls.__name__) is cls for cls in PRIORS.values())


# -- density -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_value_is_that_of_scipy(name):
    loc, scale = -1.3, 0.4
    x = points(name, loc, scale, np.random.default_rng(1))
    bound = make(name, loc, scale).bind([0])
    expected = np.zeros(len(x)) if name == "flat" else reference(name, loc, scale).logpdf(x)
    np.testing.assert_allclose(single(bound, x)[0], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(bound.logpdf(x[:, np.newaxis])[:, 0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_the_slope_of_the_value(name):
    loc, scale = 0.7, 2.5
    x = points(name, loc, scale, np.random.default_rng(2))
    bound = make(name, loc, scale).bind([0])
    away = np.abs(x) if PRIORS[name].positive else np.abs(x - loc)
    step = 1e-5 * away  # never across zero or the kink of Laplace's density
    up, down = single(bound, x + step)[0], single(bound, x - step)[0]
    slope = (up - down) / ((x + step) - (x - step))
    noise = 4e-16 * (1 + np.abs(up) + np.abs(x / scale)) / step
    gradient = single(bound, x)[1]
    assert np.all(np.abs(gradient - slope) <= 1e-8 * np.abs(gradient) + 10 * noise)
    # The noise must not excuse everything: the bound is tight at most points.
    assert np.mean(noise <= 1e-5 * np.abs(gradient) + 1e-9) > 0.8 or name == "flat"


@pytest.mark.parametrize("name", NAMES)
def test_many_coordinates_add_up(name):
    rng = np.random.default_rng(3)
    index = np.array([4, 0, 5])
    loc, scale = np.array([0.5, -2.0, 3.0]), np.array([0.1, 10.0, 2.0])
    bound = make(name, loc, scale).bind(index)
    x = np.abs(rng.normal(size=7)) + 0.1
    value, gradient = bound.value_and_gradient(x)
    parts = [make(name, loc[i], scale[i]).bind([0]).value_and_gradient([x[j]]) for i, j in enumerate(index)]
    assert value == pytest.approx(sum(part[0] for part in parts), rel=1e-12)
    assert bound.logpdf(x[index]).sum() == pytest.approx(value, rel=1e-12)
    expected = np.zeros(7)
    expected[index] = [part[1][0] for part in parts]
    np.testing.assert_allclose(gradient, expected, rtol=1e-13)


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("x", [-1e-300, -1e-3, -5.0, -1e300, -np.inf])
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_nothing_below_zero(name, x):
    bound = make(name).bind([0, 1, 2])
    assert bound.value_and_gradient([1.0, x, 1.0])[0] == -np.inf
    assert bound.logpdf([1.0, x, 1.0])[1] == -np.inf
    assert np.all(np.isfinite(bound.logpdf([1.0, x, 1.0])[[0, 2]]))


@pytest.mark.parametrize("name", PROPER)
def test_nan_and_infinity_are_never_a_finite_density(name):
    bound = make(name).bind([0])
    assert not np.isfinite(bound.value_and_gradient([np.nan])[0])
    assert not bound.value_and_gradient([np.inf])[0] > -np.inf


@pytest.mark.parametrize("name", PROPER)
def test_density_integrates_to_one(name):
    bound = make(name, 0.3, 1.7).bind([0])

    def density(x):
        return np.exp(bound.value_and_gradient([x])[0])

    right = integrate.quad(density, 0.3, np.inf, epsabs=1e-10, limit=200)[0]
    left = integrate.quad(density, 1e-12 if PRIORS[name].positive else -np.inf, 0.3, epsabs=1e-10, limit=200)[
        0
    ]
    assert left + right == pytest.approx(1.0, abs=1e-7)


@pytest.mark.parametrize("name", REAL_LINE)
@pytest.mark.parametrize("loc", [-4.0, 0.0, 2.0])
def test_what_is_cut_off_at_zero_integrates_to_one(name, loc):
    bound = make(name, loc, 1.5).bind([0], positive=True)

    def density(x):
        return np.exp(bound.value_and_gradient([x])[0])

    cuts = sorted({0.0, max(loc, 0.0), 5.0, np.inf})
    total = sum(
        integrate.quad(density, low, high, epsabs=1e-11, limit=200)[0] for low, high in pairwise(cuts)
    )
    assert total == pytest.approx(1.0, abs=1e-8)
    assert bound.logpdf([-0.1])[0] == -np.inf
    assert bound.logpdf([0.1])[0] == pytest.approx(bound.value_and_gradient([0.1])[0], rel=1e-12)
    # The shape above zero is that of the whole density.
    whole = make(name, loc, 1.5).bind([0])
    difference = bound.logpdf(np.array([[0.2], [3.0]])) - whole.logpdf(np.array([[0.2], [3.0]]))
    assert difference[0, 0] == pytest.approx(difference[1, 0], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", REAL_LINE)
def test_a_prior_far_below_zero_can_be_cut_off(name):
    """The mass above zero underflows, the density there does not."""
    bound = make(name, -45.0, 1.0).bind([0], positive=True)
    value, gradient = bound.value_and_gradient([0.01])
    assert np.isfinite(value)
    assert gradient[0] < 0
    total = integrate.quad(lambda x: np.exp(bound.value_and_gradient([x])[0]), 0, np.inf, limit=200)[0]
    assert total == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", POSITIVE)
def test_a_positive_prior_is_not_cut_off_again(name):
    assert not make(name).bind([0], positive=True).bound[3]


# -- draws -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROPER)
def test_draws_follow_the_distribution(name):
    loc, scale = np.array([1.0, -3.0]), np.array([0.2, 5.0])
    draws = make(name, loc, scale).bind([0, 1]).draw(np.random.default_rng(5), 4000)
    assert draws.shape == (4000, 2)
    for j in range(2):
        assert stats.kstest(draws[:, j], reference(name, loc[j], scale[j]).cdf).pvalue > 1e-3
    assert abs(stats.spearmanr(*draws.T).statistic) < 4 / np.sqrt(4000)


@pytest.mark.parametrize("name", REAL_LINE)
@pytest.mark.parametrize("loc", [-9.0, -1.0, 3.0])
def test_draws_of_what_is_cut_off(name, loc):
    draws = make(name, loc, 1.0).bind([0], positive=True).draw(np.random.default_rng(6), 3000)[:, 0]
    whole = reference(name, loc, 1.0)
    assert np.all((draws > 0) & np.isfinite(draws))
    assert stats.kstest(draws, lambda x: 1 - whole.sf(x) / whole.sf(0)).pvalue > 1e-3


def test_a_flat_prior_cannot_be_drawn_from():
    with pytest.raises(ValueError, match=r"Flat.* not a probability distribution.*give a proper prior"):
        Flat().bind([0]).draw(np.random.default_rng(0), 3)


# -- binding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_broadcast_and_left_alone_without_autoscale(name):
    index, loc, scale, cut = make(name, 2.0, 3.0).bind([1, 4], unit=7.0, shift=5.0).bound
    np.testing.assert_array_equal(index, [1, 4])
    np.testing.assert_array_equal(loc, [2.0, 2.0] if "loc" in PRIORS[name].names else [0.0, 0.0])
    np.testing.assert_array_equal(scale, [3.0, 3.0] if "scale" in PRIORS[name].names else [1.0, 1.0])
    assert cut is False


@pytest.mark.parametrize("name", [name for name in NAMES if "autoscale" in PRIORS[name].names])
def test_autoscale_multiplies_the_scale_and_shifts_the_location(name):
    prior = make(name, 2.0, [3.0, 4.0], autoscale=True)
    _, loc, scale, _ = prior.bind([1, 4], unit=np.array([7.0, 0.5]), shift=5.0).bound
    np.testing.assert_allclose(scale, [21.0, 2.0])
    if "loc" in PRIORS[name].names:
        np.testing.assert_allclose(loc, [7.0, 7.0])
    assert prior.bound is None
    np.testing.assert_array_equal(prior.scale, [3.0, 4.0])


@pytest.mark.parametrize("kind", [int, np.float32, np.int64, list, tuple, np.array])
def test_parameters_may_be_numbers_of_any_kind(kind):
    given = kind([2, 3]) if kind in (list, tuple, np.array) else kind(2)
    bound = Normal(0, given).bind([0, 1])
    np.testing.assert_array_equal(bound.bound[2], np.broadcast_to(np.array(given, float), 2))


def test_binding_to_no_coordinates():
    value, gradient = Normal().bind([]).value_and_gradient([1.0])
    assert value == 0.0
    assert gradient[0] == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_resolved_is_what_was_used(name):
    prior = make(name, 0.5, 2.0)
    if "autoscale" in prior.names:
        prior.set_params(autoscale=True)
    used = prior.bind([0, 1], unit=3.0, shift=-1.0)
    shown = used.resolved()
    assert type(shown) is type(prior)
    assert not shown.autoscale
    again = shown.bind([0, 1], unit=99.0, shift=99.0)
    x = np.array([0.3, 4.0])
    assert again.value_and_gradient(x)[0] == pytest.approx(used.value_and_gradient(x)[0], rel=1e-14)
    if "scale" in prior.names:
        assert shown.scale == 6.0
        assert "scale=6" in repr(shown)
    uneven = prior.bind([0, 1], unit=np.array([1.0, 10.0])).resolved()
    if "scale" in prior.names:
        np.testing.assert_array_equal(uneven.scale, [2.0, 20.0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("positive", [False, True])
def test_transformed_serves_another_unit(name, positive):
    shift = 1.5 if name in REAL_LINE and not positive else 0.0
    unit = np.array([0.01, 300.0])
    bound = make(name, [0.4, 2.0], [1.0, 3.0]).bind([2, 0], positive=positive)
    moved = bound.transformed(shift, unit)
    x = np.array([7.0, 0.0, 2.0])
    inner = np.zeros(3)
    inner[[2, 0]] = (x[[2, 0]] - shift) / unit
    value, gradient = bound.value_and_gradient(x)
    new_value, new_gradient = moved.value_and_gradient(inner)
    jacobian = 0.0 if name == "flat" else np.log(unit).sum()
    assert new_value == pytest.approx(value + jacobian, rel=1e-11)
    np.testing.assert_allclose(new_gradient[[2, 0]], gradient[[2, 0]] * unit, rtol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_normal_stand_ins(name):
    bound = make(name, 1.5, 2.0).bind([0, 1])
    exact = bound.gaussian()
    if name in ("normal", "flat"):
        np.testing.assert_array_equal(exact[0], 1.5 if name == "normal" else 0.0)
        np.testing.assert_array_equal(exact[1], 0.25 if name == "normal" else 0.0)
    else:
        assert exact is None
    loc, scale = bound.surrogate()
    assert loc.shape == scale.shape == (2,)
    if name != "flat":
        whole = reference(name, 1.5, 2.0)
        np.testing.assert_allclose(whole.cdf(loc), 0.5, atol=1e-9)
        # As wide as the distribution: most of it within two scales, much outside half a scale.
        least = 1e-12 if bound.positive else -np.inf
        inside = whole.cdf(loc + 2 * scale) - whole.cdf(np.maximum(loc - 2 * scale, least))
        core = whole.cdf(loc + scale / 2) - whole.cdf(np.maximum(loc - scale / 2, least))
        assert np.all((inside > 0.8) & (core < 0.75))


# -- several priors of one vector ------------------------------------------------------------------


def test_two_priors_share_a_vector():
    first, second = Laplace(0.0, 2.0).bind([0, 3]), StudentT(3.0, 1.0, 2.0).bind([1])
    joint = JointPrior(JointPrior(first, second), Normal(5.0, 2.0).bind([2]))
    x = np.array([1.0, -2.0, 4.0, -0.5])
    value, gradient = joint.value_and_gradient(x)
    expected = (
        stats.laplace(0, 2).logpdf([1.0, -0.5]).sum()
        + stats.t(3, 1, 2).logpdf(-2.0)
        + stats.norm(5, 2).logpdf(4.0)
    )
    assert value == pytest.approx(expected, rel=1e-13)
    parts = first.value_and_gradient(x)[1] + second.value_and_gradient(x)[1]
    np.testing.assert_allclose(gradient, parts + np.array([0, 0, 0.25, 0]))
    again = pickle.loads(pickle.dumps(joint))
    assert again.value_and_gradient(x)[0] == value


def test_gradients_are_added_to_what_is_there():
    twice = JointPrior(Normal(0.0, 1.0).bind([0]), Normal(0.0, 1.0).bind([0]))
    assert twice.value_and_gradient([0.5])[1][0] == -1.0
