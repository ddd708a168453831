"""Theorems and published counterexamples, run as experiments.

Every prediction is a formula written here; none calls the code that makes the measurement.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from firstorder import rules, run
from firstorder.rules import initial_state
from oracles import TINY


class Quadratic:
    """sum of curvature_i * x_i**2 / 2."""

    name = "quadratic"

    def __init__(self, *curvature):
        self.curvature = np.array(curvature)

    def value(self, x):
        return np.sum(self.curvature * x**2, axis=-1) / 2

    def gradient(self, x):
        return self.curvature * x


class OneDimensional:
    """A function of one coordinate, from its derivative, which may depend on the step."""

    def __init__(self, derivative, value=None):
        self._derivative, self._value = derivative, value

    def value(self, x):
        return self._value(x[..., 0]) if self._value else np.zeros(x.shape[:-1])

    def gradient(self, x, t):
        return self._derivative(x, t)


# Gradient descent ---------------------------------------------------------------------------------


def test_gradient_descent_shrinks_each_eigendirection_by_its_own_factor():
    curvature, lr, steps = np.array([0.2, 1.0, 4.0]), 0.3, 60
    trace = run(rules.sgd, Quadratic(*curvature), np.ones(3), steps, lr=lr)
    predicted = (1 - lr * curvature) ** np.arange(steps + 1)[:, None]
    np.testing.assert_allclose(trace.x, predicted, rtol=1e-12, atol=1e-15)


def test_gradient_descent_is_stable_below_two_over_the_curvature():
    curvature = 4.0
    lr = 2 / curvature * np.array([0.99, 1.0, 1.01])
    below, at, above = run(rules.sgd, Quadratic(curvature), np.ones(1), 1000, lr=lr).x[-1, :, 0]
    assert abs(below) < 1e-8
    assert abs(at) == pytest.approx(1)
    assert abs(above) > 1e8


def test_best_fixed_step_of_gradient_descent():
    """2/(L + m), with the rate (kappa - 1)/(kappa + 1)."""
    m, L = 0.2, 4.0
    lr = np.array([0.95, 1.0, 1.05]) * 2 / (L + m)
    x = run(rules.sgd, Quadratic(m, L), np.ones(2), 200, lr=lr).x
    size = np.abs(x[-1]).max(-1)
    assert size.argmin() == 1
    kappa = L / m
    assert size[1] == pytest.approx(((kappa - 1) / (kappa + 1)) ** 200, rel=1e-9)


# Momentum -----------------------------------------------------------------------------------------


def spectral_radius(lr, beta, curvature):
    """Of [[1 + beta - lr*curvature, -beta], [1, 0]], from the roots of its quadratic."""
    b = 1 + beta - lr * curvature
    roots = (b + np.array([1, -1]) * np.sqrt(complex(b**2 - 4 * beta))) / 2
    return np.abs(roots).max()


@pytest.mark.parametrize(
    ("lr", "beta"), [(0.1, 0.3), (0.1, 0.9), (0.5, 0.9), (1.0, 0.5), (3.5, 0.9)]
)
def test_heavy_ball_converges_at_its_spectral_radius(lr, beta):
    norms = run(rules.momentum, Quadratic(1.0), np.ones(1), 4000, lr=lr, beta=beta)
    envelope = np.abs(norms.x[:, 0]).reshape(-1)[1:].reshape(40, 100).max(1)
    keep = envelope > 1e-250
    rate = np.polyfit(np.arange(40)[keep] * 100, np.log(envelope[keep]), 1)[0]
    assert math.exp(rate) == pytest.approx(spectral_radius(lr, beta, 1.0), abs=1e-3)


def test_heavy_ball_is_stable_below_two_times_one_plus_beta():
    beta = 0.8
    lr = 2 * (1 + beta) * np.array([0.99, 1.01])
    inside, outside = np.abs(
        run(rules.momentum, Quadratic(1.0), np.ones(1), 2000, lr=lr, beta=beta).x[-1, :, 0]
    )
    assert inside < 1e-3
    assert outside > 1e3


def test_best_heavy_ball_makes_all_roots_as_small_as_the_root_of_beta():
    m, L = 0.2, 4.0
    lr, root = (
        4 / (math.sqrt(L) + math.sqrt(m)) ** 2,
        (math.sqrt(L / m) - 1) / (math.sqrt(L / m) + 1),
    )
    for curvature in (m, 1.0, L):
        assert spectral_radius(lr, root**2, curvature) == pytest.approx(root, rel=1e-6)
    x = run(rules.momentum, Quadratic(m, L), np.ones(2), 200, lr=lr, beta=root**2).x
    # at both ends the root r is double, and x_t = (1 + c*t) * r**t fits 1 and 1 - lr*curvature
    r, t = np.array([root, -root]), np.arange(60)[:, None]
    c = (1 - lr * np.array([m, L])) / r - 1
    np.testing.assert_allclose(x[:60], (1 + c * t) * r**t, rtol=1e-6)
    for other_lr, other_beta in [
        (0.9 * lr, root**2),
        (1.1 * lr, root**2),
        (lr, 0.8 * root**2),
        (lr, 1.2 * root**2),
    ]:
        worst = max(spectral_radius(other_lr, other_beta, c) for c in (m, L))
        assert worst > root
        slower = run(
            rules.momentum, Quadratic(m, L), np.ones(2), 200, lr=other_lr, beta=other_beta
        ).x
        assert np.abs(slower[-5:]).max() > np.abs(x[-5:]).max()


def lessard():
    """f' of Lessard, Recht & Packard (2016), eq. 4.11: 25x, x + 24, 25x - 24; m = 1, L = 25."""
    return OneDimensional(
        lambda x, t: np.where(x < 1, 25 * x, np.where(x < 2, x + 24, 25 * x - 24))
    )


def test_heavy_ball_with_its_best_parameters_cycles_on_lessards_function():
    """Its three points lie on the two pieces of slope 25, so they solve a linear system."""
    lr, beta = 1 / 9, 4 / 9
    start = np.array([3.3])
    ball = run(rules.momentum, lessard(), start, 3000, lr=lr, beta=beta).x[:, 0]
    slope, offset = 25.0, np.array([-24.0, 0.0, 0.0])  # one point is above 2, two are below 1
    system = np.zeros((3, 3))
    for k in range(3):  # x_{k+1} = x_k - lr*(slope*x_k + offset) + beta*(x_k - x_{k-1})
        system[k, (k + 1) % 3] += 1
        system[k, k] -= 1 + beta - lr * slope
        system[k, (k - 1) % 3] += beta
    cycle = np.linalg.solve(system, -lr * offset)
    assert cycle == pytest.approx([2.1159, 0.6465, -1.8024], abs=1e-4)
    phase = np.abs(ball[-3:, None] - cycle).argmin(1)
    assert sorted(phase) == [0, 1, 2]
    np.testing.assert_allclose(ball[-3:], cycle[phase], rtol=1e-12)
    np.testing.assert_allclose(ball[-300:-3], ball[-297:], rtol=1e-12)


def test_gradient_descent_and_nesterov_converge_on_lessards_function():
    start = np.array([3.3])
    assert abs(run(rules.sgd, lessard(), start, 1000, lr=2 / 26).x[-1, 0]) < 1e-12
    nesterov = run(rules.nesterov, lessard(), start, 1000, lr=1 / 25, beta=2 / 3)
    assert abs(nesterov.x[-1, 0]) < 1e-12


# Noise --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lr", "beta", "curvature", "sigma"),
    [(0.1, 0.0, 2.0, 1.0), (0.5, 0.0, 1.0, 0.3), (0.1, 0.5, 1.0, 1.0), (0.1, 0.9, 1.0, 2.0)],
)
def test_stationary_variance_of_sgd_and_momentum(lr, beta, curvature, sigma):
    """lr*sigma**2*(1 + beta) / (curvature*(1 - beta)*(2*(1 + beta) - lr*curvature))."""
    predicted = lr * sigma**2 * (1 + beta)
    predicted /= curvature * (1 - beta) * (2 * (1 + beta) - lr * curvature)
    runs = 20_000
    trace = run(
        *(rules.momentum, Quadratic(curvature), np.zeros((runs, 1)), 150),
        lr=lr,
        beta=beta,
        noise=sigma,
        seed=3,
    )
    measured = np.mean(trace.x[-1] ** 2)
    assert measured == pytest.approx(predicted, rel=5 * math.sqrt(2 / runs))  # five standard errors
    if beta == 0:
        sgd = run(
            rules.sgd, Quadratic(curvature), np.zeros((runs, 1)), 150, lr=lr, noise=sigma, seed=3
        )
        np.testing.assert_allclose(sgd.x, trace.x, rtol=0, atol=1e-12)


# Step sizes per coordinate ------------------------------------------------------------------------


def test_adagrads_sum_saturates_without_noise():
    """The bowl of Dive into Deep Learning, 0.1*x1**2 + 2*x2**2, from (-5, -2)."""
    trace = run(rules.adagrad, Quadratic(0.2, 4.0), np.array([-5.0, -2.0]), 2000, lr=0.4)
    v = trace.state.v
    assert v[-1] == pytest.approx([14.432, 232.42], rel=1e-4)
    np.testing.assert_allclose(v[1000], v[-1], rtol=1e-9)
    # with v at rest the rule is gradient descent: x shrinks by 1 - lr*curvature/sqrt(v) a step
    factor = trace.x[501:520, 0] / trace.x[500:519, 0]
    np.testing.assert_allclose(factor, 1 - 0.4 * 0.2 / math.sqrt(14.432), rtol=1e-4)


def test_adagrads_sum_grows_without_bound_under_noise():
    trace = run(rules.adagrad, Quadratic(1.0), np.ones((200, 1)), 4000, lr=0.4, noise=1.0)
    v = trace.state.v[:, :, 0].mean(1)
    assert v[4000] / v[2000] == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("lr", [0.4, 0.01])
def test_rmsprop_ends_in_a_two_cycle_of_half_lr(lr):
    """Equal and opposite points have v = g**2, so each step is lr long: from lr/2 to -lr/2."""
    curvature = np.array([0.2, 4.0])
    trace = run(
        rules.rmsprop, Quadratic(*curvature), np.array([-5.0, -2.0]) * lr, 4000, lr=lr, eps=TINY
    )
    np.testing.assert_allclose(np.abs(trace.x[-20:]), lr / 2, rtol=1e-6)
    np.testing.assert_allclose(trace.x[-19:], -trace.x[-20:-1], rtol=1e-6)
    assert trace.f[-1] == pytest.approx(np.sum(curvature) * (lr / 2) ** 2 / 2, rel=1e-6)


# Adam's step --------------------------------------------------------------------------------------


def adam_bound(beta1, beta2):
    """Supremum of |step|/lr, by Cauchy-Schwarz on the two weighted sums; needs beta1**2 < beta2."""
    return (1 - beta1) / math.sqrt((1 - beta2) * (1 - beta1**2 / beta2))


def adam_bound_at(T, beta1, beta2):
    """Largest |step|/lr at step T: the root of the sum of squared weights of m over those of v."""
    ages = np.arange(T)
    w1 = (1 - beta1) * beta1**ages / (1 - beta1**T)
    w2 = (1 - beta2) * beta2**ages / (1 - beta2**T)
    return math.sqrt(np.sum(w1**2 / w2))


def longest_adam_step(beta1, beta2, T):
    """|step|/lr after T gradients that grow by beta2/beta1; today's gradient is kept at 1."""
    growth, state, one = beta2 / beta1, initial_state(rules.adam, np.zeros(1)), np.ones(1)
    for _ in range(T):
        after, state = rules.adam(
            np.zeros(1), one, state, lr=1.0, beta1=beta1, beta2=beta2, eps=0.0
        )
        state = state._replace(m=state.m / growth, v=state.v / growth**2)
    return -after[0]


@pytest.mark.parametrize(
    ("beta1", "beta2", "value"), [(0.9, 0.999, 7.270), (0.9, 0.99, 2.345), (0.9, 0.95, 1.165)]
)
def test_adams_step_has_this_supremum(beta1, beta2, value):
    assert adam_bound(beta1, beta2) == pytest.approx(value, abs=5e-4)
    assert longest_adam_step(beta1, beta2, 12_000) == pytest.approx(
        adam_bound(beta1, beta2), rel=1e-5
    )


@pytest.mark.parametrize(("T", "value"), [(1, 1.0), (100, 2.243), (1000, 5.781)])
def test_adams_longest_step_at_a_given_time(T, value):
    assert adam_bound_at(T, 0.9, 0.999) == pytest.approx(value, abs=5e-4)
    assert longest_adam_step(0.9, 0.999, T) == pytest.approx(adam_bound_at(T, 0.9, 0.999), rel=1e-9)


def test_a_single_spike_gives_the_bound_that_the_paper_states():
    G = np.zeros((20_000, 1))
    G[-1] = 1.0
    x, state = np.zeros(1), initial_state(rules.adam, np.zeros(1))
    for g in G:
        before = x
        x, state = rules.adam(x, g, state, lr=1.0, eps=TINY)
    assert before[0] - x[0] == pytest.approx((1 - 0.9) / math.sqrt(1 - 0.999), rel=1e-6)


@settings(derandomize=True, deadline=None, max_examples=100, database=None)
@given(
    G=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60),
    beta1=st.floats(0.0, 0.9),
    beta2=st.floats(0.85, 0.999),
)
def test_no_gradients_make_adam_or_adamax_step_further(G, beta1, beta2):
    for rule, bound in [
        (rules.adam, lambda T: adam_bound_at(T, beta1, beta2)),
        (rules.adamax, lambda T: adamax_bound_at(T, beta1, beta2)),
    ]:
        x, state = np.zeros(1), initial_state(rule, np.zeros(1))
        for T, g in enumerate(G, 1):
            after, state = rule(
                x, np.array([g]), state, lr=1.0, beta1=beta1, beta2=beta2, eps=1e-30
            )
            assert abs(after[0] - x[0]) <= bound(T) * (1 + 1e-9)
            x = x * 0


def adamax_bound_at(T, beta1, beta2):
    """Largest |step|/lr at step T: all of u's candidates equal, so gradients fall by beta2."""
    ages = np.arange(T)
    return (1 - beta1) / (1 - beta1**T) * np.sum((beta1 / beta2) ** ages)


def test_adamaxs_step_has_this_supremum():
    beta1, beta2 = 0.9, 0.999
    bound = (1 - beta1) * beta2 / (beta2 - beta1)
    assert bound == pytest.approx(1.00909, abs=5e-6)
    x, state = np.zeros(1), initial_state(rules.adamax, np.zeros(1))
    for T in range(1, 400):
        after, state = rules.adamax(x, np.array([beta2**T]), state, lr=1.0, eps=0.0)
        if T in (1, 10, 100):
            assert -after[0] == pytest.approx(adamax_bound_at(T, beta1, beta2), rel=1e-12)
    assert -after[0] == pytest.approx(bound, rel=1e-9)


def late_bounds(beta1, beta2):
    """Largest |step|/lr of rules that sum or average squares, long after the start."""
    weights = (1 - beta1) * beta1 ** np.arange(2000)
    ahead = np.array([1 - beta1**2, *(beta1 * weights[1:])])  # Nadam without schedule
    squares = (1 - beta2) * beta2 ** np.arange(2000)
    return {
        rules.adagrad: 1.0,
        rules.rmsprop: 1 / math.sqrt(1 - beta2),
        rules.adam: math.sqrt(np.sum(weights**2 / squares)),
        rules.amsgrad: math.sqrt(np.sum(weights**2 / squares)),
        rules.nadam_constant: math.sqrt(np.sum(ahead**2 / squares)),
        rules.yogi: (1 - beta1) / math.sqrt((1 - beta2) * (1 - beta1**2)),
    }


def late_steps(rule, G, beta1, beta2):
    """|step|/lr for the gradients G after a long silence."""
    hyper = {"rho": beta2} if rule is rules.rmsprop else {"beta1": beta1, "beta2": beta2}
    hyper = {} if rule is rules.adagrad else hyper
    x, state = np.zeros(1), initial_state(rule, np.zeros(1))
    if "t" in state._fields:
        state = state._replace(t=10**6)
    for g in G:
        x, state = rule(np.zeros(1), np.array([g]), state, lr=1.0, eps=TINY, **hyper)
        yield abs(x[0])


@settings(derandomize=True, deadline=None, max_examples=60, database=None)
@given(
    G=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60),
    beta1=st.floats(0.0, 0.9),
    beta2=st.floats(0.99, 0.999),
)
def test_no_gradients_make_these_rules_step_further(G, beta1, beta2):
    for rule, bound in late_bounds(beta1, beta2).items():
        assert max(late_steps(rule, G, beta1, beta2)) <= bound * (1 + 1e-9), rule.__name__


def test_yogis_and_nadams_steps_have_these_suprema():
    bounds = late_bounds(0.9, 0.999)
    assert bounds[rules.yogi] == pytest.approx(7.255, abs=5e-4)
    assert bounds[rules.nadam_constant] == pytest.approx(8.415, abs=5e-4)
    *_, yogi = late_steps(rules.yogi, 0.9 ** np.arange(300.0)[::-1], 0.9, 0.999)
    assert yogi == pytest.approx(bounds[rules.yogi], rel=1e-9)
    growing = 0.9 * (0.9 / 0.999) ** np.arange(300.0)[::-1]
    growing[-1] = 1.9
    *_, nadam = late_steps(rules.nadam_constant, growing, 0.9, 0.999)
    assert nadam == pytest.approx(bounds[rules.nadam_constant], rel=1e-9)


# The median to which Yogi goes --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("draw", "value"),
    [
        (lambda rng, n: rng.standard_normal(n), stats.chi2(3).median()),
        (lambda rng, n: rng.uniform(-1, 1, n), 0.25 ** (1 / 3)),
    ],
    ids=["normal", "uniform"],
)
def test_yogis_second_moment_goes_to_the_median_weighted_by_the_squares(draw, value):
    """E[g**2; g**2 < v] = E[g**2; g**2 > v]: for a normal g the median of chi-square(3)."""
    rng = np.random.default_rng(5)
    x, state = np.zeros(500), initial_state(rules.yogi, np.zeros(500))
    late = []
    for t in range(3000):
        x, state = rules.yogi(x, draw(rng, 500), state, beta2=0.99)
        if t >= 1500:
            late.append(state.v.mean())
    assert np.mean(late) == pytest.approx(value, rel=0.02)


# Where Adam fails ---------------------------------------------------------------------------------


def reddi(C):
    """Reddi, Kale & Kumar (2018), section 3: slope C every third step, else -1; best x: -1."""
    return OneDimensional(lambda x, t: np.full_like(x, C if t % 3 == 1 else -1.0))


def test_adam_goes_to_the_worst_point_where_amsgrad_goes_to_the_best():
    """beta1 = 0, beta2 = 1/(1 + C**2), lr/sqrt(t), projected to [-1, 1]."""
    C = 3.0
    setting = {
        "lr": lambda t: 0.5 / math.sqrt(t),
        "beta1": 0.0,
        "beta2": 1 / (1 + C**2),
        "project": lambda x: np.clip(x, -1, 1),
    }
    adam = run(rules.adam, reddi(C), np.array([0.0]), 6000, **setting).x[-300:, 0]
    amsgrad = run(rules.amsgrad, reddi(C), np.array([0.0]), 6000, **setting).x[-300:, 0]
    assert adam.min() > 0.98
    assert amsgrad.max() < -0.96
    sgd = run(
        rules.sgd, reddi(C), np.array([0.0]), 6000, lr=setting["lr"], project=setting["project"]
    )
    assert sgd.x[-300:, 0].max() < -0.95


def test_adam_with_its_default_beta2_does_not_fail_there():
    trace = run(
        *(rules.adam, reddi(3.0), np.array([0.0]), 6000),
        lr=lambda t: 0.5 / math.sqrt(t),
        beta1=0.0,
        project=lambda x: np.clip(x, -1, 1),
    )
    assert trace.x[-300:, 0].max() < -0.95


def test_yogi_forgets_a_spike_linearly_and_adam_exponentially():
    beta2, spike = 0.99, 100.0
    G = np.r_[spike, np.ones(60)][:, None]
    v = {}
    for rule in (rules.adam, rules.yogi):
        x, state, v[rule] = np.zeros(1), initial_state(rule, np.zeros(1)), []
        for g in G:
            x, state = rule(x, g, state, beta2=beta2)
            v[rule].append(state.v[0])
    start, after = (1 - beta2) * spike**2, np.arange(61)
    np.testing.assert_allclose(v[rules.adam], (start - 1) * beta2**after + 1, rtol=1e-12)
    np.testing.assert_allclose(v[rules.yogi], start - (1 - beta2) * after, rtol=1e-12)
