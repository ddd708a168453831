"""Every rule against its written-out definition, its defaults and torch.optim."""

import inspect

import numpy as np
import pytest
import torch

from firstorder import rules
from oracles import REFERENCES, TINY, by_name, follow, gradients, start

every_rule = pytest.mark.parametrize("rule", REFERENCES, ids=by_name)
torch_rules = pytest.mark.parametrize(
    "rule", [r for r, reference in REFERENCES.items() if reference.torch], ids=by_name
)

A = np.diag(np.logspace(-2, 1, 10)) + 0.02 * np.ones((10, 10))  # an ill-conditioned quadratic
ROSENBROCK_START = np.array([-1.2, 1.0])


def rosenbrock_gradient(x):
    """A hundredth of the gradient, so that sgd is stable with all settings used here."""
    a, b = x
    return np.array([-2 * (1 - a) - 400 * a * (b - a**2), 200 * (b - a**2)]) / 100


def closed_loops():
    """Problems whose gradient depends on the iterate: start and gradient(t, x)."""
    noise = gradients(seed=7) / 50
    return {
        "quadratic": (start(), lambda t, x: A @ x + noise[t - 1]),
        "rosenbrock": (ROSENBROCK_START, lambda t, x: rosenbrock_gradient(x)),
    }


def torch_path(build, x, gradient, steps, hyper):
    """Iterates (steps + 1, d) of the optimizer of torch, in float64."""
    tensor = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    optimizer, path = build(tensor, hyper), [np.array(x)]
    for t in range(1, steps + 1):
        tensor.grad = torch.as_tensor(gradient(t, tensor.detach().numpy().copy()).copy())
        optimizer.step()
        path.append(tensor.detach().numpy().copy())
    return np.stack(path)


def test_every_rule_has_a_row_of_references():
    assert set(rules.RULES) <= set(REFERENCES)
    assert all(callable(row.definition) for row in REFERENCES.values())


@every_rule
def test_defaults_are_those_of_the_table(rule):
    parameters = inspect.signature(rule).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert defaults == REFERENCES[rule].defaults


@every_rule
def test_settings_differ_from_the_defaults(rule):
    defaults, settings, *_ = REFERENCES[rule]
    assert defaults.keys() == settings.keys()
    assert not [name for name in defaults if defaults[name] == settings[name]]


@pytest.mark.parametrize("which", ["defaults", "settings"])
@every_rule
def test_rule_is_its_definition(rule, which):
    reference, G = REFERENCES[rule], gradients()
    hyper = getattr(reference, which)
    passed = {} if which == "defaults" else hyper  # the defaults of the rule itself
    path = follow(rule, start(), lambda t, x: G[t - 1], len(G), **passed)
    for t in range(1, len(G) + 1):
        expected = reference.definition(path[t - 1], G[:t], **hyper)
        np.testing.assert_allclose(path[t], expected, rtol=1e-12, atol=1e-12, err_msg=f"step {t}")


@torch_rules
def test_rule_is_torch_on_recorded_gradients(rule):
    reference, G = REFERENCES[rule], gradients()
    hyper = _as_torch(rule)
    ours = follow(rule, start(), lambda t, x: G[t - 1], len(G), **hyper)
    theirs = torch_path(reference.torch, start(), lambda t, x: G[t - 1], len(G), hyper)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("problem", closed_loops())
@torch_rules
def test_rule_is_torch_in_a_closed_loop(rule, problem):
    x, gradient = closed_loops()[problem]
    hyper = _as_torch(rule)
    ours = follow(rule, x, gradient, 100, **hyper)
    theirs = torch_path(REFERENCES[rule].torch, x, gradient, 100, hyper)
    assert np.ptp(ours, axis=0).min() > 1e-3  # it went somewhere
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10)


def _as_torch(rule):
    """The settings, with eps too small to count where torch has it in another place."""
    hyper = REFERENCES[rule].settings
    return {**hyper, "eps": TINY} if rule is rules.adamax else hyper
