"""Seeds, threads, warm-up and continuation of chains."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import stats

from bayesglm import BayesianLinearRegression, Laplace
from bayesglm.inference import sampling
from bayesglm.inference.diagnostics import diagnose
from bayesglm.inference.sampling import Settings, resume, run, seed_sequence
from bayesglm.kernel.gaussian import SummaryTarget
from bayesglm.kernel.positive_priors import HalfNormal
from bayesglm.kernel.priors import Normal
from bayesglm.kernel.target import AffineTarget, PyTarget
from tests.target_cases import normal_target, scale_target, snapshot, stretched, z_scores

# -- seeds ----------------------------------------------------------------------------------------------


def states(random_state):
    return seed_sequence(random_state).generate_state(4).tolist()


def test_ints_give_the_same_sequence_always():
    assert (
        states(3)
        == states(np.int64(3))
        == states(np.uint8(3))
        == np.random.SeedSequence(3).generate_state(4).tolist()
    )
    assert states(3) != states(4)
    assert states(0) == states(0)
    assert states(2**70) == states(2**70)
    assert seed_sequence(2**70).entropy == 2**70


def test_none_is_always_another():
    assert states(None) != states(None)
    assert seed_sequence(None).entropy is not None


@pytest.mark.parametrize(
    "make",
    [np.random.RandomState, np.random.default_rng, lambda s: np.random.Generator(np.random.MT19937(s))],
)
def test_generators_are_advanced(make):
    one, other = make(5), make(5)
    first, second = states(one), states(one)
    assert first != second
    assert (first, second) == (states(other), states(other))
    assert states(make(6)) != first


def test_the_module_is_the_global_generator():
    np.random.seed(1)
    first = states(np.random)
    np.random.seed(1)
    assert states(np.random.mtrand._rand) == first
    assert states(np.random) != first


def test_a_seed_sequence_is_taken_as_it_is():
    sequence = np.random.SeedSequence(7, spawn_key=(2,))
    assert seed_sequence(sequence) is sequence


@pytest.mark.parametrize("entropy", [0, 12345, None])
def test_entropy_repeats_a_run(entropy):
    settings = Settings(chains=2, draws=20, tune=10)
    first = seed_sequence(entropy)
    draws = run(scale_target(), settings, first, known_scale=True).draws
    again = run(scale_target(), settings, np.random.SeedSequence(first.entropy), known_scale=True).draws
    np.testing.assert_array_equal(draws, again)


@pytest.mark.parametrize(
    "value", [-1, 1.0, "1", True, np.True_, [1, 2], object(), np.array([1]), np.float64(3)]
)
def test_anything_else_is_refused(value):
    with pytest.raises(
        ValueError, match="random_state must be None, a non-negative int, a RandomState or a Generator; got"
    ):
        seed_sequence(value)


# -- runs -------------------------------------------------------------------------------------------------

SETTINGS = Settings(chains=4, draws=150)


@pytest.mark.parametrize("known_scale", [True, False])
def test_threads_do_not_change_a_draw(known_scale):
    dim = 5
    target = (
        scale_target(dim)
        if known_scale
        else AffineTarget(scale_target(dim), np.full(dim, 0.4), 3 * np.eye(dim))
    )
    found = {}
    for n_threads in (1, 2, 4, 9):
        settings = Settings(chains=4, draws=150, n_threads=n_threads)
        found[n_threads] = run(target, settings, seed_sequence(1), known_scale=known_scale)
    for n_threads in (2, 4, 9):
        np.testing.assert_array_equal(found[1].draws, found[n_threads].draws)
        for name, values in found[1].stats.items():
            np.testing.assert_array_equal(values, found[n_threads].stats[name], err_msg=name)


def test_chains_and_seeds_differ():
    first = run(scale_target(), SETTINGS, seed_sequence(1), known_scale=True).draws
    second = run(scale_target(), SETTINGS, seed_sequence(2), known_scale=True).draws
    flat = np.concatenate([first, second]).reshape(8, -1)
    for i in range(8):
        for j in range(i):
            assert not np.any(flat[i] == flat[j])
            assert abs(np.corrcoef(flat[i], flat[j])[0, 1]) < 0.2


def test_more_chains_leave_the_first_ones_alone():
    few = run(scale_target(), Settings(chains=2, draws=50), seed_sequence(1), known_scale=True).draws
    many = run(scale_target(), Settings(chains=5, draws=50), seed_sequence(1), known_scale=True).draws
    np.testing.assert_array_equal(few, many[:2])


def test_what_a_run_returns():
    found = run(scale_target(), Settings(chains=3, draws=40, tune=25), seed_sequence(1), known_scale=True)
    assert found.draws.shape == (3, 40, 4)
    assert found.tune == 25
    kinds = {name: values.dtype.kind for name, values in found.stats.items()}
    assert kinds == {
        "lp": "f", "acceptance_rate": "f", "step_size": "f", "tree_depth": "i", "n_steps": "i", "diverging": "b",
        "energy": "f", "max_energy_error": "f", "index_in_trajectory": "i", "reached_max_treedepth": "b",
    }  # fmt: skip
    assert all(values.shape == (3, 40) for values in found.stats.values())
    np.testing.assert_array_equal([state.position for state in found.states], found.draws[:, -1])
    for chain in range(3):  # step sizes vary by the jitter alone once adaptation has ended
        steps = found.stats["step_size"][chain]
        assert np.all(np.abs(steps / found.states[chain].step_size - 1) <= 0.1 + 1e-12)
    values = [found.target(q)[0] for q in found.draws[0]]
    np.testing.assert_allclose(found.stats["lp"][0], values, rtol=1e-12)


def test_settings_reach_the_chains():
    settings = Settings(chains=1, draws=300, tune=300, target_accept=0.99, max_treedepth=2, jitter=0.0)
    found = run(scale_target(), settings, seed_sequence(1), known_scale=True)
    assert found.stats["tree_depth"].max() == 2
    assert found.stats["reached_max_treedepth"].any()
    assert np.ptp(found.stats["step_size"]) == 0.0
    assert found.stats["acceptance_rate"].mean() > 0.95


def test_step_size_is_tuned():
    for target_accept in (0.7, 0.9):
        settings = Settings(chains=4, draws=300, tune=300, target_accept=target_accept)
        found = run(scale_target(20), settings, seed_sequence(1), known_scale=True)
        assert found.stats["acceptance_rate"].mean() == pytest.approx(target_accept, abs=0.1)


@pytest.mark.parametrize("known_scale", [True, False])
def test_moments(known_scale):
    """Means and squares of what is standard normal by construction."""
    target = scale_target(6)
    if not known_scale:
        target = AffineTarget(target, np.zeros(6), np.eye(6))
    found = run(target, Settings(chains=4, draws=2500), seed_sequence(8), known_scale=known_scale)
    draws = (found.draws if known_scale else found.target.unwhiten(found.draws))[..., :5]
    assert np.all(np.abs(z_scores(draws, 0.0)) < 4)
    assert np.all(np.abs(z_scores(draws**2, 1.0)) < 4)
    assert np.all(np.abs(z_scores(draws[..., :4] * draws[..., 1:], 0.0)) < 4)
    assert stats.kstest(draws[:, ::5].ravel(), "norm").pvalue > 1e-4


def test_starts_are_spread_out():
    """R-hat has a meaning only if chains start further apart than the posterior is wide."""
    settings = Settings(chains=300, draws=0, tune=0)
    found = run(normal_target(3), settings, seed_sequence(1), known_scale=True)
    assert np.std([state.position for state in found.states]) == pytest.approx(
        sampling.OVERDISPERSION, rel=0.1
    )


def test_a_start_outside_the_support_moves_to_the_centre():
    def ball(q):
        return (-0.5 * q @ q, -q) if q @ q < 0.01 else (-np.inf, -q)

    found = run(PyTarget(2, ball), Settings(chains=3, draws=20, tune=10), seed_sequence(1), known_scale=True)
    assert np.all(np.sum(found.draws**2, axis=-1) < 0.01)


def test_no_start_at_all_is_an_error():
    with pytest.raises(ValueError, match="not finite at the starting point"):
        run(PyTarget(2, lambda q: (np.nan, q)), SETTINGS, seed_sequence(1), known_scale=True)


@pytest.mark.parametrize("tune", [0, 1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("known_scale", [True, False])
def test_short_warm_ups(tune, known_scale):
    target = scale_target(3)
    if not known_scale:
        target = AffineTarget(target, np.zeros(3), np.eye(3))
    found = run(target, Settings(chains=2, draws=5, tune=tune), seed_sequence(1), known_scale=known_scale)
    assert found.tune == tune
    assert np.all(np.isfinite(found.draws))
    assert found.draws.shape == (2, 5, 3)


# -- learning the scale ---------------------------------------------------------------------------------


def test_a_standardised_space_needs_a_hundred_draws():
    target = AffineTarget(scale_target(5), np.zeros(5), np.eye(5))
    # Enough rows for log sigma to be nearly standard, too.
    target = AffineTarget(target, np.array([0, 0, 0, 0, -0.1]), np.diag([1, 1, 1, 1, 0.13]))
    found = run(target, SETTINGS, seed_sequence(1), known_scale=False)
    assert found.target is target
    assert found.tune == sampling.TUNE_UNKNOWN_SCALE // 4


def test_so_it_is_in_many_dimensions_where_trees_are_deeper():
    target = AffineTarget(PyTarget(400, lambda q: (-0.5 * q @ q, -q)), np.zeros(400), np.eye(400))
    found = run(target, Settings(chains=4, draws=60), seed_sequence(1), known_scale=False)
    assert found.tune == sampling.TUNE_UNKNOWN_SCALE // 4
    assert found.stats["tree_depth"].mean() > 3.5
    # Twice as deep is no longer as short as can be.
    narrow = AffineTarget(target.inner, np.zeros(400), np.diag(np.repeat([1.0, 0.1], [390, 10])))
    found = run(narrow, Settings(chains=4, draws=10), seed_sequence(1), known_scale=False)
    assert found.tune == sampling.TUNE_UNKNOWN_SCALE


def test_a_badly_scaled_space_is_recovered():
    """Scales a factor of 10,000 apart, correlations of 0.99 and a start far away."""
    rng = np.random.default_rng(3)
    sd = np.array([0.01, 0.1, 1.0, 100.0, 5.0])
    correlation = np.full((5, 5), 0.0)
    correlation[:2, :2] = correlation[2:4, 2:4] = 0.99
    np.fill_diagonal(correlation, 1.0)
    covariance, mean = np.outer(sd, sd) * correlation, 3 * sd * rng.normal(size=5)
    found = run(
        stretched(covariance, mean),
        Settings(chains=4, draws=1000, tune=800),
        seed_sequence(4),
        known_scale=False,
    )
    assert found.tune == 800
    # The space that the chains walk in has become standard ...
    pooled = found.draws.reshape(-1, 6)
    np.testing.assert_allclose(np.cov(pooled.T), np.eye(6), atol=0.5)
    assert found.stats["n_steps"].mean() < 10
    assert not found.stats["diverging"].any()
    # ... and what they bring back is the density that was asked for.
    draws = found.target.unwhiten(found.draws)[..., :-1]
    assert np.all(np.abs(z_scores((draws - mean) / sd, 0.0)) < 4)
    assert np.all(np.abs(z_scores(((draws - mean) / sd) ** 2, 1.0)) < 4)
    cross = (draws - mean)[..., :1] * (draws - mean)[..., 1:2]
    assert np.all(np.abs(z_scores(cross, covariance[0, 1])) < 4)
    assert np.all(diagnose(np.moveaxis(draws, -1, 0)).ess_bulk > 1000)


def test_the_usual_warm_up_learns_a_moderately_bad_scale():
    sd = np.array([0.05, 1.0, 20.0])
    found = run(
        stretched(np.diag(sd**2), sd), Settings(chains=4, draws=800), seed_sequence(5), known_scale=False
    )
    assert found.tune == sampling.TUNE_UNKNOWN_SCALE
    draws = found.target.unwhiten(found.draws)[..., :-1]
    assert np.all(np.abs(z_scores((draws - sd) / sd, 0.0)) < 4)
    assert np.all(np.abs(z_scores(((draws - sd) / sd) ** 2, 1.0)) < 4)
    assert found.stats["n_steps"].mean() < 10


def test_in_many_dimensions_only_variances_are_learnt(monkeypatch):
    monkeypatch.setattr(sampling, "DENSE_LIMIT", 2)
    sd = np.array([0.1, 1.0, 10.0])
    covariance = np.outer(sd, sd) * (0.5 + 0.5 * np.eye(3))
    found = run(stretched(covariance, sd), Settings(chains=4, draws=800), seed_sequence(6), known_scale=False)
    factor = found.target.factor
    assert np.count_nonzero(factor - np.diag(np.diag(factor))) == 0
    np.testing.assert_allclose(np.diag(factor)[:-1] / sd, 1.0, atol=0.35)
    draws = found.target.unwhiten(found.draws)[..., :-1]
    assert np.all(np.abs(z_scores((draws - sd) / sd, 0.0)) < 4)


def test_a_plain_regression_target_from_a_bad_guess():
    """`SummaryTarget` behind a map that is wrong by factors of a hundred."""
    rng = np.random.default_rng(7)
    X, beta = rng.normal(size=(60, 3)), np.array([1.0, -2.0, 0.5])
    y = X @ beta + 0.3 * rng.normal(size=60)
    q, r = np.linalg.qr(X)
    rss = float(np.sum((y - q @ (q.T @ y)) ** 2))
    plain = SummaryTarget(
        60.0, 0.0, rss, r, q.T @ y, False, np.zeros(3), np.zeros(3), Normal(0.0, 100.0).bind(range(3)), None,
        HalfNormal(100.0).bind([0]),
    )  # fmt: skip
    start = AffineTarget(plain, np.zeros(4), np.diag([0.01, 1.0, 10.0, 1.0]))
    found = run(start, Settings(chains=4, draws=1500, tune=600), seed_sequence(8), known_scale=False)
    theta, sigma = found.target.inner.unwhiten(found.target.unwhiten(found.draws))
    fit = np.linalg.solve(r, q.T @ y)
    assert np.all(np.abs(z_scores(theta, fit)) < 4)  # the priors are as good as flat
    # 1/sigma² is gamma with (n - p - 1)/2 and rss/2 under a flat prior of sigma.
    precision = stats.gamma((60 - 3 - 1) / 2, scale=2 / rss)
    assert np.all(np.abs(z_scores(sigma[..., np.newaxis] ** -2.0, precision.mean())) < 4)
    assert diagnose(np.moveaxis(theta, -1, 0)).rhat.max() < 1.01


# -- going on -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known_scale", [True, False])
def test_going_on_is_as_if_never_stopped(known_scale):
    target = scale_target(5) if known_scale else AffineTarget(scale_target(5), np.full(5, 0.4), 3 * np.eye(5))
    whole = run(target, Settings(chains=3, draws=90), seed_sequence(9), known_scale=known_scale)
    part = run(target, Settings(chains=3, draws=30), seed_sequence(9), known_scale=known_scale)
    rest = resume(part.target, part.states, Settings(chains=3, draws=60))
    np.testing.assert_array_equal(np.concatenate([part.draws, rest.draws], axis=1), whole.draws)
    for name, values in rest.stats.items():
        np.testing.assert_array_equal(values, whole.stats[name][:, 30:], err_msg=name)
    assert rest.tune == 0


def test_going_on_leaves_where_it_started():
    target = scale_target()
    found = run(target, Settings(chains=2, draws=20), seed_sequence(1), known_scale=True)
    before = snapshot(found.states)
    settings = Settings(chains=2, draws=50)
    first = resume(target, found.states, settings)
    assert snapshot(found.states) == before
    second = resume(target, found.states, settings)
    np.testing.assert_array_equal(first.draws, second.draws)
    seeded = resume(target, found.states, settings, random_state=3)
    assert not np.any(seeded.draws == first.draws)
    np.testing.assert_array_equal(seeded.draws, resume(target, found.states, settings, random_state=3).draws)
    assert snapshot(found.states) == before
    further = resume(target, first.states, settings)
    longer = resume(target, found.states, Settings(chains=2, draws=100))
    np.testing.assert_array_equal(np.concatenate([first.draws, further.draws], axis=1), longer.draws)


def test_states_can_be_pickled():
    target = scale_target()
    found = run(target, Settings(chains=2, draws=20), seed_sequence(1), known_scale=True)
    again = pickle.loads(pickle.dumps(found.states))
    settings = Settings(chains=2, draws=20, n_threads=2)
    np.testing.assert_array_equal(
        resume(target, again, settings).draws, resume(target, found.states, settings).draws
    )


def test_going_on_draws_from_the_same_distribution():
    target = scale_target(4)
    found = run(target, Settings(chains=4, draws=10), seed_sequence(10), known_scale=True)
    draws = resume(target, found.states, Settings(chains=4, draws=2500)).draws[..., :3]
    assert np.all(np.abs(z_scores(draws, 0.0)) < 4)
    assert np.all(np.abs(z_scores(draws**2, 1.0)) < 4)


def test_one_chain_learns_variances_where_draws_do_not_determine_a_covariance():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 150))
    y = X[:, 0] + rng.standard_normal(300)
    model = BayesianLinearRegression(prior=Laplace(0, 0.1), chains=1, draws=100, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a hundred draws are few
        model.fit(X, y)
    assert model.posterior_.stats["tree_depth"].mean() < 6


@pytest.mark.parametrize("size", [1e8, 1e200], ids=["no square root", "squares overflow"])
def test_draws_that_determine_no_covariance_give_variances(size):
    """Few rows of noise with heavy tails send chains so far apart that rounding is all that is left of a covariance."""
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(300, 3)) @ np.array([[size, -size, 0.0], [0.0, 1e-9, 0.0], [0.0, 0.0, 2.0]])
    shift, factor = sampling._affine(draws)
    np.testing.assert_allclose(shift, draws.mean(axis=0))
    assert np.all(np.isfinite(factor))
    np.testing.assert_array_equal(factor, np.diag(np.diag(factor)))
    assert factor[2, 2] == pytest.approx(2.0, rel=0.1)
    assert factor[0, 0] == (pytest.approx(size, rel=0.1) if size < 1e100 else 1.0)
