"""LaTeX, symbolic steps and proofs, against formulas written by hand from the papers."""

import numpy as np
import pytest
import sympy
from sympy import Rational, sqrt

from firstorder import rules, symbolic
from firstorder.rules import RULES, Accumulator, Stateless, nadam_constant
from firstorder.symbolic import equal, first_step, symbol, trace, unrolled, update, weights

ALL = (*RULES, nadam_constant)
EACH = pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.__name__)

lr, beta, beta1, beta2, rho, eps = map(symbol, ("lr", "beta", "beta1", "beta2", "rho", "eps"))
decay, psi = symbol("weight_decay"), symbol("psi")
x0 = sympy.Symbol("x_0", real=True)
g1, g2, g3 = sympy.symbols("g_1:4", real=True)
t = sympy.Symbol("t", integer=True, positive=True)
k = sympy.Symbol("k", integer=True, nonnegative=True)

# --------------------------------------------------------------------------------------------------
# LaTeX

M = r"m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t"
V = r"v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2"
M_HAT = r"\hat m_t &= \frac{m_t}{1 - \beta_1^t}"
V_HAT = r"\hat v_t &= \frac{v_t}{1 - \beta_2^t}"
STEP = r"x_t &= x_{t-1} - \frac{\eta \hat m_t}{\sqrt{\hat v_t} + \varepsilon}"
LATEX = {
    "sgd": [r"x_t &= x_{t-1} - \eta g_t"],
    "momentum": [r"v_t &= \beta v_{t-1} + g_t", r"x_t &= x_{t-1} - \eta v_t"],
    "nesterov": [r"v_t &= \beta v_{t-1} + g_t", r"x_t &= x_{t-1} - \eta (g_t + \beta v_t)"],
    "adagrad": [
        r"v_t &= v_{t-1} + g_t^2",
        r"x_t &= x_{t-1} - \frac{\eta g_t}{\sqrt{v_t} + \varepsilon}",
    ],
    "rmsprop": [
        r"v_t &= \rho v_{t-1} + (1 - \rho) g_t^2",
        r"x_t &= x_{t-1} - \frac{\eta g_t}{\sqrt{v_t} + \varepsilon}",
    ],
    "adadelta": [
        r"v_t &= \rho v_{t-1} + (1 - \rho) g_t^2",
        r"d_t &= \frac{\sqrt{q_{t-1} + \varepsilon}}{\sqrt{v_t + \varepsilon}} g_t",
        r"q_t &= \rho q_{t-1} + (1 - \rho) d_t^2",
        r"x_t &= x_{t-1} - \eta d_t",
    ],
    "adam": [M, V, M_HAT, V_HAT, STEP],
    "yogi": [
        M,
        r"v_t &= v_{t-1} + (1 - \beta_2) \operatorname{sign}(g_t^2 - v_{t-1}) g_t^2",
        M_HAT,
        V_HAT,
        STEP,
    ],
    "adamax": [
        M,
        r"u_t &= \max(\beta_2 u_{t-1}, \lvert g_t \rvert)",
        M_HAT,
        r"x_t &= x_{t-1} - \frac{\eta \hat m_t}{u_t + \varepsilon}",
    ],
    "nadam": [
        r"\mu_t &= \beta_1 (1 - 0.5 \cdot 0.96^{t \psi})",
        r"\mu_{t+1} &= \beta_1 (1 - 0.5 \cdot 0.96^{(t + 1) \psi})",
        r"\Pi_t &= \Pi_{t-1} \mu_t",
        r"m_t &= \mu_t m_{t-1} + (1 - \mu_t) g_t",
        V,
        r"\hat m_t &= \frac{\mu_{t+1} m_t}{1 - \Pi_t \mu_{t+1}} + "
        r"\frac{(1 - \mu_t) g_t}{1 - \Pi_t}",
        V_HAT,
        STEP,
    ],
    "amsgrad": [
        M,
        V,
        r"v^{\max}_t &= \max(v^{\max}_{t-1}, v_t)",
        r"x_t &= x_{t-1} - \frac{\eta m_t}{\sqrt{v^{\max}_t} + \varepsilon}",
    ],
    "adamw": [
        M,
        V,
        M_HAT,
        V_HAT,
        r"x_t &= x_{t-1} - "
        r"\eta \left(\frac{\hat m_t}{\sqrt{\hat v_t} + \varepsilon} + \lambda_w x_{t-1}\right)",
    ],
    "nadam_constant": [
        M,
        V,
        r"\hat m_t &= \frac{\beta_1 m_t}{1 - \beta_1^{t + 1}} + "
        r"\frac{(1 - \beta_1) g_t}{1 - \beta_1^t}",
        V_HAT,
        STEP,
    ],
}


@EACH
def test_latex_is_the_algorithm_box(rule):
    first, *lines, last = symbolic.latex(rule).split("\n")
    assert (first, last) == (r"\begin{aligned}", r"\end{aligned}")
    assert [line.removesuffix(r" \\") for line in lines] == LATEX[rule.__name__]
    assert all(line.endswith(r" \\") for line in lines[:-1])


def test_latex_follows_the_code():
    """A rule changed in one place has another formula."""

    def changed(x, g, state: Accumulator, *, lr=0.1, rho=0.9, eps=1e-8):
        """RMSProp with eps inside the root."""
        xp = symbolic  # a line that gets xp is not shown
        v = rho * state.v + (1 - rho) * g**2
        return x - lr * g / xp.sqrt(v + eps), Accumulator(v)

    wrong = LATEX["rmsprop"][1].replace(r"\sqrt{v_t} + \varepsilon", r"\sqrt{v_t + \varepsilon}")
    assert symbolic.latex(changed).split("\n")[1:3] == [LATEX["rmsprop"][0] + r" \\", wrong]


def test_latex_keeps_the_order_of_operations():
    def rule(x, g, state: Accumulator, *, lr=0.1, rho=0.9, eps=1e-8):
        d = (x - (g - lr)) * (-(g + lr)) ** 2
        m = g / (lr / rho) * (g / rho) ** 2
        q = x - (g + lr) * 2 - g * lr / rho
        u = -(g + lr) * 3.5
        return x - u, Accumulator(m * (d * q))

    assert symbolic.latex(rule).split(" \\\\\n") == [
        "\\begin{aligned}\n" + r"d_t &= (x_{t-1} - (g_t - \eta)) (-(g_t + \eta))^2",
        r"m_t &= \frac{g_t}{\frac{\eta}{\rho}} \left(\frac{g_t}{\rho}\right)^2",
        r"q_t &= x_{t-1} - (g_t + \eta) \cdot 2 - \frac{g_t \eta}{\rho}",
        r"u_t &= (-(g_t + \eta)) \cdot 3.5",
        "x_t &= x_{t-1} - u_t\n\\end{aligned}",
    ]


def test_display_shows_formulas_and_compares_lines_of_code():
    shown = symbolic.display(rules.adagrad)
    assert repr(shown) == "v = state.v + g ** 2\nx = x - lr * g / (xp.sqrt(v) + eps)"
    assert shown.markdown == f"$$\n{symbolic.latex(rules.adagrad)}\n$$"


def test_rules_that_cannot_be_read_are_refused():
    def loop(x, g, state: Stateless):
        for _ in range(3):
            x = x - g
        return x, Stateless()

    def unknown_name(x, g, state: Stateless):
        w = 2 * g
        return x - w, Stateless()

    def unknown_function(x, g, state: Stateless):
        xp = rules.namespace(g)
        return x - xp.tanh(g), Stateless()

    def no_state(x, g, state: Stateless):
        return x - g

    with pytest.raises(ValueError, match="loop has a line of another form: for _ in"):
        symbolic.latex(loop)
    with pytest.raises(ValueError, match=r"no LaTeX symbol for 'w'.*QUANTITIES"):
        symbolic.latex(unknown_name)
    with pytest.raises(ValueError, match=r"no LaTeX for tanh"):
        symbolic.latex(unknown_function)
    with pytest.raises(ValueError, match="another form: return x - g"):
        symbolic.latex(no_state)
    with pytest.raises(ValueError, match="rule must be a function"):
        symbolic.latex(3)
    with pytest.raises(ValueError, match=r"no symbol for 'alpha'.*HYPERPARAMETERS"):
        symbol("alpha")


# --------------------------------------------------------------------------------------------------
# Steps


def test_two_steps_of_adam_by_hand():
    run = trace(rules.adam, 2)
    m = beta1 * (1 - beta1) * g1 + (1 - beta1) * g2
    v = beta2 * (1 - beta2) * g1**2 + (1 - beta2) * g2**2
    first = x0 - lr * g1 / (abs(g1) + eps)
    second = first - lr * m / (1 - beta1**2) / (sqrt(v / (1 - beta2**2)) + eps)
    assert equal(run.state[2].m, m)
    assert equal(run.state[2].v, v)
    assert equal(run.x[1], first)
    assert equal(run.x[2], second)
    assert run.g == [None, g1, g2]
    assert [state.t for state in run.state] == [0, 1, 2]


def test_two_steps_of_momentum_adagrad_and_adadelta_by_hand():
    assert equal(trace(rules.momentum, 2).x[2], x0 - lr * (g1 + beta * g1 + g2))
    root = sqrt(g1**2 + g2**2)
    assert equal(
        trace(rules.adagrad, 2).x[2], x0 - lr * g1 / (abs(g1) + eps) - lr * g2 / (root + eps)
    )
    v1 = (1 - rho) * g1**2
    d1 = sqrt(eps) / sqrt(v1 + eps) * g1
    d2 = sqrt((1 - rho) * d1**2 + eps) / sqrt(rho * v1 + (1 - rho) * g2**2 + eps) * g2
    assert equal(trace(rules.adadelta, 2).x[2], x0 - lr * d1 - lr * d2)


@EACH
def test_symbols_then_numbers_is_numbers(rule):
    """Three steps in symbols, then numbers, against the rule on NumPy arrays."""
    values = {lr: 0.3, beta: 0.7, beta1: 0.8, beta2: 0.95, rho: 0.85, eps: 1e-3, decay: 0.1}
    values |= {psi: 0.02, x0: 0.5}
    g = [1.5, 0.0, -3.0]
    run = trace(rule, 3, g=g)
    hyper = {name: values[symbol(name)] for name in symbolic.names(rule)}
    x, state = np.array(values[x0]), rules.initial_state(rule, np.array(values[x0]))
    for gradient in g:
        x, state = rule(x, np.array(gradient), state, **hyper)
    assert float(run.x[3].subs(values).evalf(30)) == pytest.approx(float(x), rel=1e-13)
    for exact, number in zip(run.state[3], state, strict=True):
        assert float(exact.subs(values)) == pytest.approx(float(number), rel=1e-13)


@EACH
def test_update_is_a_step_from_any_state(rule):
    """Two steps of ``trace`` are ``update`` put into itself."""
    steps, step = trace(rule, 2), update(rule)
    at = {step.before["x"]: steps.x[1], step.before["g"]: g2, t: 2}
    for name, value in steps.state[1]._asdict().items():
        if name != "t":
            at[step.before[name]] = value
    assert equal(step.x.subs(at), steps.x[2])
    for field in steps.state[2]._fields:
        assert equal(getattr(step.state, field).subs(at), getattr(steps.state[2], field))


def test_fields_that_cannot_be_negative_are_known_as_such():
    assert update(rules.adam).before["v"].is_nonnegative
    assert update(rules.adam).before["m"].is_nonnegative is None
    assert update(rules.momentum).before["v"].is_nonnegative is None  # a velocity, not a square
    assert update(rules.yogi).before["v"].is_nonnegative
    assert update(rules.adamax).before["u"].is_nonnegative


def test_decimals_become_exact():
    run = trace(rules.rmsprop, 1, x=1, g=[0.5], lr=0.1, rho=0.75, eps=0)
    assert run.x[1] == Rational(4, 5)
    assert trace(rules.nadam, 1, psi=1).state[1].mu_prod == beta1 * Rational(13, 25)


def test_bad_arguments_are_named():
    with pytest.raises(TypeError, match="adam has no hyper-parameter 'rho'"):
        trace(rules.adam, 2, rho=0.9)
    with pytest.raises(ValueError, match="g must have one gradient for each of 3 steps, got 2"):
        trace(rules.adam, 3, g=[1, 2])
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        trace(rules.adam, 0)


# --------------------------------------------------------------------------------------------------
# Running means


@pytest.mark.parametrize(
    ("rule", "field", "weight"),
    [
        (rules.momentum, "v", beta**k),
        (rules.nesterov, "v", beta**k),
        (rules.adagrad, "v", sympy.Integer(1)),
        (rules.rmsprop, "v", (1 - rho) * rho**k),
        (rules.adadelta, "v", (1 - rho) * rho**k),
        (rules.adam, "m", (1 - beta1) * beta1**k),
        (rules.adam, "v", (1 - beta2) * beta2**k),
        (rules.yogi, "m", (1 - beta1) * beta1**k),
        (rules.amsgrad, "v", (1 - beta2) * beta2**k),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_unrolled_weights(rule, field, weight):
    assert equal(unrolled(rule, field), weight)
    explicit = weights(rule, field, 5)
    assert len(explicit) == 5
    for age, found in enumerate(reversed(explicit)):
        assert equal(found, weight.subs(k, age))


def test_the_weights_of_a_running_mean_add_up_to_what_bias_correction_divides_by():
    assert equal(sum(weights(rules.adam, "m", 6)), 1 - beta1**6)
    total = sympy.summation(unrolled(rules.adam, "m"), (k, 0, t - 1))
    assert equal(total, 1 - beta1**t)
    assert not equal(total, 1 - beta1 ** (t + 1))


def test_the_weights_of_nadam_depend_on_the_step():
    mu = [beta1 * (1 - Rational(24, 25) ** (i * psi) / 2) for i in (1, 2, 3)]
    expected = [(1 - mu[0]) * mu[1] * mu[2], (1 - mu[1]) * mu[2], 1 - mu[2]]
    assert all(map(equal, weights(rules.nadam, "m", 3), expected))
    with pytest.raises(ValueError, match="m of nadam has no weights that depend on k alone"):
        unrolled(rules.nadam, "m")


@pytest.mark.parametrize(
    ("rule", "field"),
    [(rules.yogi, "v"), (rules.adamax, "u"), (rules.adadelta, "q"), (rules.amsgrad, "v_max")],
)
def test_what_is_no_weighted_sum_is_refused(rule, field):
    with pytest.raises(ValueError, match=f"{field} of {rule.__name__} is no weighted sum"):
        weights(rule, field, 3)
    with pytest.raises(ValueError, match=f"{field} of {rule.__name__} has no weights"):
        unrolled(rule, field)


# --------------------------------------------------------------------------------------------------
# First steps and proofs

g = sympy.Symbol("g", positive=True)
mu1, mu2 = (beta1 * (1 - Rational(24, 25) ** (i * psi) / 2) for i in (1, 2))
FIRST = {
    "sgd": g,
    "momentum": g,
    "nesterov": (1 + beta) * g,
    "adagrad": 1,
    "rmsprop": 1 / sqrt(1 - rho),
    "adadelta": sqrt(eps) / sqrt(1 - rho),
    "adam": 1,
    "yogi": 1,
    "adamax": 1,
    "nadam": 1 + mu2 * (1 - mu1) / (1 - mu1 * mu2),
    "amsgrad": (1 - beta1) / sqrt(1 - beta2),
    "adamw": 1 + decay * x0,
    "nadam_constant": 1 + beta1 / (1 + beta1),
}


@EACH
def test_first_steps(rule):
    assert equal(first_step(rule), FIRST[rule.__name__])


@EACH
def test_first_steps_as_measured(rule):
    """The first step of the running rule, with its defaults and a large gradient."""
    hyper = {name: rule.__kwdefaults__[name] for name in symbolic.names(rule)}
    values = {symbol(name): value for name, value in hyper.items()} | {g: 1e6, x0: 2.0}
    start = np.array(2.0)
    x, _ = rule(start, np.array(1e6), rules.initial_state(rule, start), **hyper)
    predicted = float(sympy.sympify(first_step(rule)).subs(values))
    assert (start - x) / hyper["lr"] == pytest.approx(predicted, rel=1e-8)


def test_first_steps_with_numbers():
    assert first_step(rules.rmsprop, rho=0.99) == 10
    assert first_step(rules.adam, lr=0.1, eps=0.5) == g / (g + Rational(1, 2))
    assert first_step(rules.amsgrad, beta1=0.9, beta2=0.999) == sqrt(10)


def test_adam_without_beta1_is_corrected_rmsprop():
    step = update(rules.adam, beta1=0)
    b = step.before
    v_hat = (beta2 * b["v"] + (1 - beta2) * b["g"] ** 2) / (1 - beta2**t)
    assert equal(step.x, b["x"] - lr * b["g"] / (sqrt(v_hat) + eps))


def test_the_short_form_of_adam_has_another_eps():
    """Kingma & Ba (2015), end of section 2; the eps of that form is sqrt(1 - beta2**t) * eps."""
    step = update(rules.adam)
    rate = lr * sqrt(1 - beta2**t) / (1 - beta1**t)

    def short(eps_hat):
        return step.before["x"] - rate * step.state.m / (sqrt(step.state.v) + eps_hat)

    assert equal(step.x, short(sqrt(1 - beta2**t) * eps))
    assert not equal(step.x, short((1 - beta2**t) * eps))
    assert not equal(step.x, short(eps))


def test_equal_decides_or_raises():
    x = sympy.Symbol("x", real=True)
    assert equal(sqrt(x**2), abs(x))
    assert not equal(sqrt(x**2), x)
    assert equal(sqrt((1 - beta1) ** 2), 1 - beta1)  # needs beta1 < 1
    assert not equal(sqrt((1 - beta1) ** 2), beta1 - 1)
    assert equal(0.1 + x, Rational(1, 10) + x)
    below = sympy.Symbol("y", negative=True)
    assert equal(abs(below), -below)
    assert not equal(beta1, beta1 + 1e-15)
    with pytest.raises(ValueError, match="undecided"):
        equal(x + Rational(1, 10**30), x)  # too small to be seen, too large to be 0
    with pytest.raises(ValueError, match="undecided"):
        equal(sympy.Integral(sympy.exp(-(x**2)), (x, 0, sympy.oo)) + sympy.nan, x)


def test_every_name_that_a_rule_uses_has_its_symbol():
    assert set().union(*(symbolic.names(rule) for rule in ALL)) == set(symbolic.HYPERPARAMETERS)
