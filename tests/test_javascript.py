"""Generated JavaScript in Node, against the Python that it was generated from."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest

from firstorder import javascript, rules
from firstorder.hyperparameters import names
from firstorder.objectives import (
    beale,
    bowl,
    conditioned,
    himmelblau,
    lessard,
    parabola,
    plateau,
    quadratic,
    reddi,
    rosenbrock,
    saddle,
    valley,
    valley_turned,
)
from firstorder.rules import RULES, Stateless, initial_state, momentum, nadam_constant
from firstorder.run import run

if os.environ.get("CI") and not shutil.which("node"):
    pytest.fail("Node is needed to check the generated JavaScript", pytrace=False)
needs_node = pytest.mark.skipif(
    not shutil.which("node"), reason="NODE IS MISSING: the generated JavaScript was not checked"
)

EVERY = (*RULES, nadam_constant)
EACH_RULE = pytest.mark.parametrize("rule", EVERY, ids=lambda rule: rule.__name__)
OBJECTIVES = {
    objective.name if objective.name.isidentifier() else f"objective{i}": objective
    for i, objective in enumerate(
        [
            bowl,
            valley,
            valley_turned,
            rosenbrock,
            beale,
            himmelblau,
            saddle,
            plateau,
            lessard,
            parabola(0.37),
            quadratic((0.3, 7.1), 17.5),
            conditioned(1234.5, 6),
            reddi(3.25),
            reddi(101, 101),
        ]
    )
}


def node(script, data=None):
    """Run a script whose last line is an expression of ``data``; return its value."""
    *lines, last = script.rstrip().split("\n")
    program = "\n".join(
        [
            "const data = JSON.parse(require('fs').readFileSync(0, 'utf8'));",
            *lines,
            f"process.stdout.write(JSON.stringify({last}));",
        ]
    )
    result = subprocess.run(
        ["node", "--eval", program], input=json.dumps(data), capture_output=True, text=True
    )
    assert not result.stderr, result.stderr
    return json.loads(result.stdout)


def gradients(steps=100, d=6):
    """Gradients of all sizes with exact zeros, one coordinate always 0, and spikes."""
    rng = np.random.default_rng(7)
    g = rng.standard_normal((steps, d)) * np.logspace(-3, 3, d)
    g[rng.random((steps, d)) < 0.1] = 0
    g[:, 2] = 0
    g[:30, 3] = 0
    g[[10, 50, 51]] = 0
    g[20] *= 50
    g[60, 0] *= 1000
    g[80, 5] *= -300
    return g


def settings(rule):
    """Hyper-parameters away from the defaults."""
    away = {"lr": 0.013, "beta": 0.77, "beta1": 0.83, "beta2": 0.971, "rho": 0.88, "eps": 3e-6}
    away |= {"weight_decay": 0.07, "psi": 0.021}
    return {name: away[name] for name in names(rule)}


def in_python(rule, start, g, hyper):
    x, state = start, initial_state(rule, start)
    path = [x]
    for gradient in g:
        x, state = rule(x, gradient, state, **hyper)
        path.append(x)
    return np.array(path)


# as small as the steps, so that rounding is relative to the steps
START = np.linspace(-0.002, 0.003, 6)


def same(path, wanted):
    return np.allclose(path, wanted, rtol=1e-12, atol=1e-12 * np.abs(wanted).max(0))


def in_node(source, name, start, g, hyper):
    lines = [
        javascript.RUN,
        source,
        "const recorded = {gradient: (x, t) => data.g[t - 1]};",
        f"run({name}, recorded, data.start, data.g.length, data.hyper)",
    ]
    data = {"start": start.tolist(), "g": g.tolist(), "hyper": hyper}
    return np.array(node("\n".join(lines), data))


@needs_node
@EACH_RULE
@pytest.mark.parametrize("defaults", [True, False])
def test_a_rule_takes_the_same_100_steps(rule, defaults):
    hyper = {} if defaults else settings(rule)
    g = gradients()
    path = in_node(javascript.rule(rule), rule.__name__, START, g, hyper)
    wanted = in_python(rule, START, g, hyper)
    assert path.shape == (101, 6)
    assert same(path, wanted)
    assert np.abs(wanted[-1] - wanted[0]).max() > 1e-3  # it did move


CHANGES = [
    ("adam", "beta2 ** t", "beta2 ** (t + 1e-9)"),
    ("adam", "state.t + 1", "state.t"),
    ("adamax", "Math.max", "Math.min"),
    ("yogi", "Math.sign(g ** 2 - state.v)", "1"),
    ("nadam", "mu_prod: 1.0", "mu_prod: 1.00000001"),
    ("rmsprop", "eps = 1e-08", "eps = 1.001e-08"),
]


@needs_node
@pytest.mark.parametrize(("name", "right", "wrong"), CHANGES)
def test_a_small_change_is_found(name, right, wrong):
    rule = getattr(rules, name)
    source = javascript.rule(rule)
    assert right in source
    g = gradients()
    path = in_node(source.replace(right, wrong), name, START, g, {}).astype(float)
    assert not same(path, in_python(rule, START, g, {}))


@needs_node
@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_has_the_same_value_and_gradient(name):
    objective = OBJECTIVES[name]
    low, high = np.transpose(objective.window)
    x = np.random.default_rng(3).uniform(low, high, (200, objective.dimension))
    script = "\n".join(
        [
            javascript.objective(objective, name),
            f"const f = {name};",
            "[data.map((x) => f.value(x)), data.map((x, i) => f.gradient(x, i + 1)), f]",
        ]
    )
    values, slopes, about = node(script, x.tolist())
    if hasattr(objective, "losses"):
        wanted = np.array([objective.gradient(xi, t) for t, xi in enumerate(x, start=1)])
    else:
        wanted = objective.gradient(x)
    # where terms cancel, the size of the terms is what rounding is relative to
    assert np.allclose(values, objective.value(x), rtol=1e-12, atol=1e-14 * np.ptp(values))
    assert np.allclose(slopes, wanted, rtol=1e-12, atol=1e-14 * np.abs(wanted).max())
    assert about["start"] == objective.start.tolist()
    assert about["minimisers"] == objective.minimisers.tolist()
    assert about["window"] == [list(pair) for pair in objective.window]


@needs_node
def test_a_wrong_digit_of_an_objective_is_found():
    source = javascript.objective(beale)
    x = [[0.3, -0.7], [2.0, 1.1]]
    right = node(f"{source}\ndata.map((x) => beale.value(x))", x)
    wrong = node(f"{source.replace('2.625', '2.625001')}\ndata.map((x) => beale.value(x))", x)
    assert np.allclose(right, beale.value(np.array(x)), rtol=1e-12)
    assert not np.allclose(wrong, right, rtol=1e-12)


@needs_node
def test_the_three_together_run_as_in_python():
    script = "\n".join(
        [
            javascript.RUN,
            javascript.rule(momentum),
            javascript.objective(valley_turned),
            "run(momentum, valley_turned, valley_turned.start, 50, {lr: 0.2, beta: 0.6})",
        ]
    )
    trace = run(momentum, valley_turned, valley_turned.start, 50, lr=0.2, beta=0.6)
    assert np.allclose(node(script), trace.x, rtol=1e-12, atol=1e-12)


@needs_node
def test_an_online_problem_is_told_the_step_and_projected():
    problem = reddi(3.5)
    script = "\n".join(
        [
            javascript.RUN,
            javascript.rule(momentum),
            javascript.objective(problem, "problem"),
            "const clip = (x) => x.map((xi) => Math.min(1, Math.max(-1, xi)));",
            "run(momentum, problem, problem.start, 40, {lr: 0.3, beta: 0.5}, clip)",
        ]
    )
    trace = run(momentum, problem, [0.0], 40, lr=0.3, beta=0.5, project=problem.project)
    assert np.allclose(node(script), trace.x, rtol=1e-12, atol=1e-12)
    assert trace.x.min() == -1


@EACH_RULE
def test_the_lines_are_those_of_the_python(rule):
    lines = javascript.rule(rule).split("\n")
    python = str(javascript.inspect.getsource(rule))
    for line in lines:
        if line.startswith("  const ") and not line.startswith("  const t "):
            formula = line.strip().removeprefix("const ").removesuffix(";")
            formula = formula.replace("Math.max", "xp.maximum").replace("Math.", "xp.")
            assert formula.replace(" ", "") in python.replace(" ", "")


def test_adam_reads_like_adam():
    assert javascript.rule(rules.adam) == (
        "function adam(x, g, state, "
        "{lr = 0.001, beta1 = 0.9, beta2 = 0.999, eps = 1e-08} = {}) {\n"
        "  const t = state.t + 1;\n"
        "  const m = beta1 * state.m + (1 - beta1) * g;\n"
        "  const v = beta2 * state.v + (1 - beta2) * g ** 2;\n"
        "  const m_hat = m / (1 - beta1 ** t);\n"
        "  const v_hat = v / (1 - beta2 ** t);\n"
        "  return [x - lr * m_hat / (Math.sqrt(v_hat) + eps), {m, v, t}];\n"
        "}\n"
        "adam.initial = {m: 0, v: 0, t: 0};\n"
    )


def test_what_cannot_be_translated_is_refused():
    def rule(x, g, state: Stateless):
        xp = rules.namespace(g)
        return x - xp.tanh(g), Stateless()

    with pytest.raises(ValueError, match=r"no JavaScript for tanh"):
        javascript.rule(rule)
    with pytest.raises(ValueError, match="name must be a JavaScript identifier, got 'parabola, "):
        javascript.objective(parabola(2.0))
