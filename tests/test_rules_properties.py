"""Equivariances, each for exactly the rules that have it, and a failing example for the others.

With eps = 0 most statements are exact in floating point, because they use powers of two, signs and
permutations only; these are compared without any tolerance.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstorder import rules
from oracles import REFERENCES, TINY, by_name, follow

EVERY = list(REFERENCES)
LINEAR = [rules.sgd, rules.momentum, rules.nesterov]
NORMALISED = [rule for rule in EVERY if rule not in [*LINEAR, rules.adadelta]]

deterministic = settings(derandomize=True, deadline=None, max_examples=40, database=None)
numbers = st.floats(-100, 100).map(lambda v: 0.0 if abs(v) < 1e-3 else v)


@st.composite
def histories(draw, dimension=None):
    """Gradients (steps, d): moderate numbers and exact zeros."""
    d = dimension or draw(st.integers(1, 4))
    rows = st.lists(numbers, min_size=d, max_size=d)
    return np.array(draw(st.lists(rows, min_size=1, max_size=12)))


def path(rule, G, x=None, **changes):
    """Iterates on the gradients G from x (default 0), with the test settings and some changes."""
    hyper = {**REFERENCES[rule].settings, **changes}
    x = np.zeros(G.shape[1]) if x is None else x
    return follow(rule, x, lambda t, x: G[t - 1], len(G), **hyper)


def without_eps(rule):
    """eps so small that it only decides 0/0, for rules that have one."""
    return {"eps": TINY} if "eps" in REFERENCES[rule].settings else {}


EXAMPLE = np.array([[1.0, -2.0], [0.5, 3.0], [-4.0, 1.0]])


def each(rules_):
    return pytest.mark.parametrize("rule", rules_, ids=by_name)


# Scale of the gradients ---------------------------------------------------------------------------


@each(NORMALISED)
@deterministic
@given(G=histories(), power=st.integers(-30, 30))
def test_scale_of_the_gradients_does_not_matter(rule, G, power):
    eps = without_eps(rule)
    np.testing.assert_array_equal(path(rule, 2.0**power * G, **eps), path(rule, G, **eps))


@each([*LINEAR, rules.adadelta])
def test_scale_of_the_gradients_matters(rule):
    assert np.abs(path(rule, EXAMPLE / 64) - path(rule, EXAMPLE)).max() > 0.01


@each(LINEAR)
@deterministic
@given(G=histories(), power=st.integers(-30, 30))
def test_steps_are_proportional_to_the_gradients(rule, G, power):
    np.testing.assert_array_equal(path(rule, 2.0**power * G), 2.0**power * path(rule, G))


@each(NORMALISED)
def test_eps_sets_a_scale(rule):
    eps = {"eps": 1.0}
    assert np.abs(path(rule, 4 * EXAMPLE, **eps) - path(rule, EXAMPLE, **eps)).max() > 1e-4


@each(NORMALISED)
@deterministic
@given(G=histories(), power=st.integers(-10, 10))
def test_eps_scaled_with_the_gradients_is_the_same_rule(rule, G, power):
    scaled = path(rule, 2.0**power * G, eps=2.0**power * 2**-7)
    np.testing.assert_array_equal(scaled, path(rule, G, eps=2**-7))


@deterministic
@given(G=histories(), power=st.integers(-10, 10))
def test_adadelta_has_the_units_of_the_root_of_eps(G, power):
    """Squares of gradients and of steps share one eps, so both must scale together."""
    scaled = path(rules.adadelta, 2.0**power * G, eps=4.0**power * 2**-7)
    np.testing.assert_array_equal(scaled, 2.0**power * path(rules.adadelta, G, eps=2**-7))


# Signs and order of the coordinates ---------------------------------------------------------------


@each(EVERY)
@deterministic
@given(G=histories(3), signs=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
def test_a_mirrored_problem_gives_the_mirrored_path(rule, G, signs):
    x = np.array([1.0, -2.0, 0.5])
    np.testing.assert_array_equal(path(rule, G * signs, x * signs), path(rule, G, x) * signs)


@each(EVERY)
@deterministic
@given(G=histories(4), order=st.permutations(range(4)))
def test_the_order_of_the_coordinates_does_not_matter(rule, G, order):
    x = np.array([1.0, -2.0, 0.5, 0.0])
    np.testing.assert_array_equal(path(rule, G[:, order], x[order]), path(rule, G, x)[:, order])


# Where the origin is ------------------------------------------------------------------------------


@each([rule for rule in EVERY if rule is not rules.adamw])
@deterministic
@given(G=histories(3), shift=st.floats(-10, 10))
def test_the_origin_does_not_matter(rule, G, shift):
    moved, here = path(rule, G, np.full(3, shift)), path(rule, G)
    np.testing.assert_allclose(moved - shift, here, rtol=0, atol=1e-12 * (10 + np.abs(here).max()))


def test_the_origin_matters_to_weight_decay():
    moved = path(rules.adamw, EXAMPLE, np.full(2, 5.0)) - 5
    assert np.abs(moved - path(rules.adamw, EXAMPLE)).max() > 0.01


@deterministic
@given(G=histories(3), shift=st.floats(-10, 10))
def test_the_origin_does_not_matter_to_adamw_without_decay(G, shift):
    moved = path(rules.adamw, G, np.full(3, shift), weight_decay=0.0)
    here = path(rules.adamw, G, weight_decay=0.0)
    np.testing.assert_allclose(moved - shift, here, rtol=0, atol=1e-12 * (10 + np.abs(here).max()))


# Direction of the axes ----------------------------------------------------------------------------


def rotation(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@each(LINEAR)
@deterministic
@given(G=histories(2), angle=st.floats(0, 6.28))
def test_a_turned_problem_gives_the_turned_path(rule, G, angle):
    R, x = rotation(angle), np.array([1.0, -2.0])
    turned, here = path(rule, G @ R.T, R @ x), path(rule, G, x)
    np.testing.assert_allclose(turned, here @ R.T, rtol=0, atol=1e-12 * (1 + np.abs(here).max()))


@each([rule for rule in EVERY if rule not in LINEAR])
def test_the_axes_matter_to_every_coordinate_wise_step_size(rule):
    R = rotation(np.pi / 4)
    turned = path(rule, EXAMPLE @ R.T)
    assert np.abs(turned - path(rule, EXAMPLE) @ R.T).max() > 0.01


# Coordinates do not see each other ----------------------------------------------------------------


@each(EVERY)
@deterministic
@given(G=histories(3))
def test_each_coordinate_is_alone(rule, G):
    together = path(rule, G)
    for i in range(3):
        np.testing.assert_array_equal(together[:, [i]], path(rule, G[:, [i]]))


# Curvature ----------------------------------------------------------------------------------------


def quadratic_path(rule, curvature, **hyper):
    """Iterates on the sum of curvature_i * x_i**2 / 2, which a diagonal change of units makes."""
    x, settings_ = np.array([1.0, 1.0]), {**REFERENCES[rule].settings, **hyper}
    return follow(rule, x, lambda t, x: curvature * x, 30, **settings_)


@each(NORMALISED)
@deterministic
@given(powers=st.tuples(st.integers(-12, 12), st.integers(-12, 12)))
def test_curvature_of_a_separable_quadratic_does_not_matter(rule, powers):
    curved = quadratic_path(rule, 2.0 ** np.array(powers), **without_eps(rule))
    flat = quadratic_path(rule, np.ones(2), **without_eps(rule))
    np.testing.assert_array_equal(curved, flat)


@each([*LINEAR, rules.adadelta])
def test_curvature_of_a_separable_quadratic_matters(rule):
    curved = quadratic_path(rule, np.array([1.0, 0.125]))
    assert abs(curved[-1, 0] - curved[-1, 1]) > 0.01


# Memory -------------------------------------------------------------------------------------------


@deterministic
@given(G=histories())
def test_adagrad_does_not_mind_the_order_of_past_gradients(G):
    last = np.array([[1.0] * G.shape[1]])
    forth = path(rules.adagrad, np.vstack([G, last]))
    back = path(rules.adagrad, np.vstack([G[::-1], last]))
    np.testing.assert_allclose(np.diff(forth, axis=0)[-1], np.diff(back, axis=0)[-1], rtol=1e-12)


@each([rules.momentum, rules.rmsprop, rules.adam, rules.yogi, rules.adamax, rules.amsgrad])
def test_others_mind_the_order_of_past_gradients(rule):
    last = np.ones((1, 2))
    forth = path(rule, np.vstack([EXAMPLE, last]))
    back = path(rule, np.vstack([EXAMPLE[::-1], last]))
    assert np.abs(np.diff(forth, axis=0)[-1] - np.diff(back, axis=0)[-1]).max() > 1e-4


@deterministic
@given(G=histories())
def test_adagrad_never_steps_further_than_lr(G):
    assert np.abs(np.diff(path(rules.adagrad, G, lr=1.0), axis=0)).max() <= 1 + 1e-12


@deterministic
@given(G=histories())
def test_amsgrads_maximum_never_falls(G):
    state, x = rules.initial_state(rules.amsgrad, G[0]), G[0]
    for g in G:
        before = state.v_max
        x, state = rules.amsgrad(x, g, state, beta2=0.5)
        assert (state.v_max >= before).all()
        assert (state.v_max >= state.v).all()
