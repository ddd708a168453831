"""Identities between rules, exactly, by SymPy; and how far neighbouring rules differ as text."""

import ast
import difflib
import inspect

import pytest
import sympy

from firstorder import rules
from firstorder.rules import initial_state
from oracles import REFERENCES, by_name

x, g, w = sympy.symbols("x g w", real=True)
m, mu = sympy.symbols("m mu", real=True)
v, q, u = sympy.symbols("v q u", positive=True)
lr, eps, beta, rho, beta1, beta2 = sympy.symbols("lr eps beta rho beta1 beta2", positive=True)
weight_decay, psi = sympy.symbols("weight_decay psi", positive=True)
t = sympy.Symbol("t", integer=True, nonnegative=True)
ADAM = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps}


def same(a, b):
    """True if two expressions, or two tuples of them, are equal for all values of their symbols."""
    pairs = zip(a, b, strict=True) if isinstance(a, tuple) else [(a, b)]
    return all(sympy.simplify(sympy.nsimplify(p - q, rational=True)) == 0 for p, q in pairs)


def walk(rule, gradients, **hyper):
    """The points and states of a rule on symbolic gradients, started at 0."""
    point, state = sympy.Integer(0), initial_state(rule, x)
    points, states = [point], [state]
    for gradient in gradients:
        point, state = rule(point, gradient, state, **hyper)
        points.append(point)
        states.append(state)
    return points, states


# --------------------------------------------------------------------------------------------------
# One rule inside another


@pytest.mark.parametrize("rule", [rules.momentum, rules.nesterov], ids=by_name)
def test_without_beta_both_momenta_are_sgd(rule):
    after, _ = rule(x, g, rules.Velocity(v), lr=lr, beta=0)
    assert same(after, rules.sgd(x, g, rules.Stateless(), lr=lr)[0])


def test_adam_without_beta1_is_bias_corrected_rmsprop():
    """RMSProp with lr and eps times sqrt(1 - rho**t), which corrects v inside the root."""
    correction = sympy.sqrt(1 - beta2 ** (t + 1))
    adam, adam_state = rules.adam(x, g, rules.Moments(m, v, t), **{**ADAM, "beta1": 0})
    rmsprop, rms_state = rules.rmsprop(
        x, g, rules.Accumulator(v), lr=lr * correction, rho=beta2, eps=eps * correction
    )
    assert same(adam_state.v, rms_state.v)
    # both denominators times the correction; the root is taken apart, as v and 1 - beta2**t are > 0
    root = sympy.Symbol("root", positive=True)
    new_v = beta2 * v + (1 - beta2) * g**2
    apart = (x - adam).subs(sympy.sqrt(new_v / (1 - beta2 ** (t + 1))), root / correction)
    assert same(apart, (x - rmsprop).subs(sympy.sqrt(new_v), root))
    assert not apart.has(v)


def test_adamw_is_adam_and_a_decay_of_the_old_x():
    state = rules.Moments(m, v, t)
    adamw, state_w = rules.adamw(x, g, state, **ADAM, weight_decay=weight_decay)
    adam, state_a = rules.adam(x, g, state, **ADAM)
    assert same(adamw, adam - lr * weight_decay * x)
    assert same(rules.adamw(x, g, state, **ADAM, weight_decay=0)[0], adam)
    assert state_w == state_a


def test_adamw_is_not_adam_with_weight_decay_in_the_gradient():
    state = rules.Moments(m, v, t)
    adamw, _ = rules.adamw(x, g, state, **ADAM, weight_decay=weight_decay)
    coupled, _ = rules.adam(x, g + weight_decay * x, state, **ADAM)
    ones = dict.fromkeys((x, m, v, g, lr, weight_decay), 1)
    halves = dict.fromkeys((beta1, beta2, eps), sympy.Rational(1, 2))
    assert abs((adamw - coupled).subs({**ones, **halves, t: 3}).evalf()) > 0.1


def test_nadam_without_its_schedule_is_nadam_constant():
    """psi = 0 gives mu_t = beta1/2 for all t; psi to infinity gives mu_t = beta1."""
    for psi_limit, constant in [(0, beta1 / 2), (sympy.oo, beta1)]:
        nadam, state_n = rules.nadam(
            x, g, rules.ScheduledMoments(m, v, constant**t, t), **ADAM, psi=psi_limit
        )
        plain, state_p = rules.nadam_constant(
            x, g, rules.Moments(m, v, t), **{**ADAM, "beta1": constant}
        )
        assert same(nadam, plain)
        assert same((state_n.m, state_n.v, state_n.t), tuple(state_p))
        assert same(state_n.mu_prod, constant ** (t + 1))


def test_nadam_constant_is_adam_with_tomorrows_momentum():
    """Its direction is Adam's m_hat one step on, if the next gradient were this one's leftover."""
    state = rules.Moments(m, v, t)
    nadam, _ = rules.nadam_constant(x, g, state, **ADAM)
    m1 = beta1 * m + (1 - beta1) * g
    v1 = beta2 * v + (1 - beta2) * g**2
    direction = beta1 * m1 / (1 - beta1 ** (t + 2)) + (1 - beta1) * g / (1 - beta1 ** (t + 1))
    assert same(nadam, x - lr * direction / (sympy.sqrt(v1 / (1 - beta2 ** (t + 1))) + eps))


def test_amsgrad_without_a_maximum_in_the_past_is_adam_uncorrected():
    above = sympy.Symbol("above", positive=True)
    new_v = beta2 * v + (1 - beta2) * g**2
    low, _ = rules.amsgrad(x, g, rules.MaxMoments(m, v, 0), **ADAM)
    high, state = rules.amsgrad(x, g, rules.MaxMoments(m, v, new_v + above), **ADAM)
    new_m = beta1 * m + (1 - beta1) * g
    positive = {beta2: sympy.Rational(9, 10), v: 2, g: 3, m: 1, x: 1, lr: 1, eps: 0, beta1: 0}
    assert same(low.subs(positive), (x - lr * new_m / (sympy.sqrt(new_v) + eps)).subs(positive))
    assert same(high, x - lr * new_m / (sympy.sqrt(new_v + above) + eps))
    assert same(state.v_max, new_v + above)


# --------------------------------------------------------------------------------------------------
# Other forms of the momenta


def test_momentum_is_polyaks_two_term_form():
    after, state = rules.momentum(x, g, rules.Velocity(v), lr=lr, beta=beta)
    later, _ = rules.momentum(after, w, state, lr=lr, beta=beta)
    assert same(later, after - lr * w + beta * (after - x))


def test_nesterov_is_sutskevers_look_ahead():
    """theta <- theta + V, V <- beta*V - lr*gradient(theta + beta*V); our x is theta + beta*V."""
    theta, V = sympy.symbols("theta V", real=True)
    ours, state = rules.nesterov(theta + beta * V, g, rules.Velocity(-V / lr), lr=lr, beta=beta)
    new_V = beta * V - lr * g
    assert same(ours, theta + new_V + beta * new_V)
    assert same(-lr * state.v, new_V)


# --------------------------------------------------------------------------------------------------
# Memory written out


def test_unrolled_velocity_sums_powers_of_beta():
    G = sympy.symbols("g1:5", real=True)
    for rule in (rules.momentum, rules.nesterov):
        _, states = walk(rule, G, lr=lr, beta=beta)
        assert same(states[-1].v, sum(beta ** (3 - k) * G[k] for k in range(4)))


def test_unrolled_moments_and_their_missing_weight():
    G = sympy.symbols("g1:5", real=True)
    _, states = walk(rules.adam, G, **ADAM)
    last = states[-1]
    weights = [(1 - beta1) * beta1 ** (3 - k) for k in range(4)]
    assert same(last.m, sum(weight * gk for weight, gk in zip(weights, G, strict=True)))
    assert same(last.v, sum((1 - beta2) * beta2 ** (3 - k) * G[k] ** 2 for k in range(4)))
    assert same(sum(weights), 1 - beta1**4)


def test_unrolled_adagrad_and_rmsprop():
    G = sympy.symbols("g1:4", real=True)
    _, states = walk(rules.adagrad, G, lr=lr, eps=eps)
    assert same(states[-1].v, sum(gk**2 for gk in G))
    _, states = walk(rules.rmsprop, G, lr=lr, rho=rho, eps=eps)
    assert same(states[-1].v, sum((1 - rho) * rho ** (2 - k) * G[k] ** 2 for k in range(3)))


def test_nadams_product_is_the_weight_that_m_lacks():
    """On a constant gradient of 1, m is 1 - mu_1*...*mu_t."""
    one, exact = sympy.Integer(1), {"lr": 1, "beta2": sympy.Rational(9, 10), "eps": 0, "psi": 0}
    _, states = walk(rules.nadam, [one] * 5, beta1=beta1, **exact)
    for k, state in enumerate(states):
        P = (beta1 / 2) ** k
        assert same(state.mu_prod, P)
        assert same(state.m, 1 - P)


@pytest.mark.parametrize("rule", [rules.adam, rules.yogi, rules.adamax], ids=by_name)
def test_bias_correction_gives_a_constant_gradient_back(rule):
    """The numerator is g itself at every step, so lr*g over what the denominator then is."""
    c, hyper = sympy.Symbol("c", positive=True), {**ADAM, "eps": 0}
    hyper["beta2"] = sympy.Rational(99, 100)
    points, states = walk(rule, [c] * 4, **hyper)
    for k in range(1, 5):
        scale = (
            states[k].u
            if rule is rules.adamax
            else sympy.sqrt(states[k].v / (1 - hyper["beta2"] ** k))
        )
        assert same(states[k].m / (1 - beta1**k), c)
        assert same((points[k - 1] - points[k]) / lr, sympy.simplify(c / scale))


@pytest.mark.parametrize("rule", [rules.adam, rules.adamax, rules.adamw], ids=by_name)
def test_a_constant_gradient_gives_steps_of_exactly_lr(rule):
    c, hyper = sympy.Symbol("c", positive=True), {**ADAM, "eps": 0}
    hyper["beta2"] = sympy.Rational(99, 100)
    if rule is rules.adamw:
        hyper["weight_decay"] = 0
    points, _ = walk(rule, [c] * 4, **hyper)
    assert all(same(points[k - 1] - points[k], lr) for k in range(1, 5))


# --------------------------------------------------------------------------------------------------
# First steps, in units of lr, at g = c > 0 and x = 0 with eps = 0


def first_steps():
    c = sympy.Symbol("c", positive=True)
    mu1, mu2 = (
        beta1 * (1 - sympy.Rational(1, 2) * sympy.Rational(24, 25) ** (psi * k)) for k in (1, 2)
    )
    return c, {
        rules.sgd: c,
        rules.momentum: c,
        rules.nesterov: (1 + beta) * c,
        rules.adagrad: 1,
        rules.rmsprop: 1 / sympy.sqrt(1 - rho),
        rules.adadelta: c * sympy.sqrt(eps) / sympy.sqrt((1 - rho) * c**2 + eps),
        rules.adam: 1,
        rules.yogi: 1,
        rules.adamax: 1,
        rules.nadam: mu2 * (1 - mu1) / (1 - mu1 * mu2) + 1,
        rules.nadam_constant: beta1 / (1 + beta1) + 1,
        rules.amsgrad: (1 - beta1) / sympy.sqrt(1 - beta2),
        rules.adamw: 1,
    }


@pytest.mark.parametrize("rule", REFERENCES, ids=by_name)
def test_first_step_in_units_of_lr(rule):
    c, expected = first_steps()
    symbols = {"lr": lr, "beta": beta, "rho": rho, "beta1": beta1, "beta2": beta2}
    symbols |= {
        "eps": eps if rule is rules.adadelta else 0,
        "psi": psi,
        "weight_decay": weight_decay,
    }
    hyper = {name: symbols[name] for name in REFERENCES[rule].settings}
    after, _ = rule(sympy.Integer(0), c, initial_state(rule, x), **hyper)
    difference = sympy.nsimplify(-after / lr - expected[rule], rational=True)
    values = {beta: "1/3", rho: "2/3", beta1: "1/4", beta2: "3/5", eps: "1/7", psi: "2", c: "5/3"}
    exact = difference.subs({name: sympy.Rational(value) for name, value in values.items()})
    assert sympy.simplify(exact) == 0
    assert not exact.free_symbols  # lr and weight_decay have dropped out


# --------------------------------------------------------------------------------------------------
# Neighbours as text


def body(rule):
    """The lines of a rule without its docstring, normalised by Python's own parser."""
    function = ast.parse(inspect.getsource(rule)).body[0]
    return [ast.unparse(statement) for statement in function.body[1:]]


def changed_lines(a, b):
    """(removed, added) statements between two rules."""
    diff = [line for line in difflib.ndiff(body(a), body(b)) if line[0] in "+-"]
    return [d[2:] for d in diff if d[0] == "-"], [d[2:] for d in diff if d[0] == "+"]


ONE_LINE = [
    (rules.adam, rules.yogi),
    (rules.adam, rules.adamw),
    (rules.adam, rules.nadam_constant),
    (rules.momentum, rules.nesterov),
    (rules.adagrad, rules.rmsprop),
]


@pytest.mark.parametrize(("a", "b"), ONE_LINE, ids=by_name)
def test_neighbours_differ_in_exactly_one_line(a, b):
    removed, added = changed_lines(a, b)
    assert len(removed) == len(added) == 1


def test_the_line_that_makes_yogi():
    assert changed_lines(rules.adam, rules.yogi) == (
        ["v = beta2 * state.v + (1 - beta2) * g ** 2"],
        ["v = state.v + (1 - beta2) * xp.sign(g ** 2 - state.v) * g ** 2"],
    )


def test_yogi_moves_v_by_a_share_of_the_new_square_and_adam_by_a_share_of_the_gap():
    state = rules.Moments(m, v, t)
    _, adam = rules.adam(x, g, state, **ADAM)
    _, yogi = rules.yogi(x, g, state, **ADAM)
    assert same(adam.v - v, (1 - beta2) * (g**2 - v))
    assert same(yogi.v - v, (1 - beta2) * sympy.sign(g**2 - v) * g**2)
    assert same((adam.m, adam.t), (yogi.m, yogi.t))
