"""Every rule compiled gives the numbers of the rule itself, and is compiled only a few times."""

import shutil
import warnings
from functools import cache, partial

import pytest
import torch

from firstorder.adapters import torch as adapter
from firstorder.adapters.torch import Optimizer
from firstorder.rules import RULES, adam, initial_state

STEPS = 50
EVERY_RULE = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
HAS_COMPILER = any(shutil.which(name) for name in ("c++", "g++", "clang++"))


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    """Warnings are errors, a compilation too many is an error, and no kernel outlives its test."""
    torch._dynamo.reset()
    monkeypatch.setattr(adapter, "_fused", cache(adapter._fused.__wrapped__))
    limit = torch._dynamo.config.patch(fail_on_recompile_limit_hit=True)
    with limit, warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


class Counting:
    """A backend that compiles nothing and counts how often it was asked to."""

    def __init__(self):
        self.compilations = 0

    def __call__(self, graph, inputs):
        self.compilations += 1
        return graph.forward


def lr(step):
    return 0.03 / (1 + 0.1 * step)


def gradient(shape, step, dtype):
    """Seeded, with exact zeros and, at step 20, a spike."""
    generator = torch.Generator().manual_seed(1000 * step + sum(shape))
    g = torch.randn(shape, generator=generator, dtype=dtype)
    g[..., :1] = 0.0
    return g * (100.0 if step == 20 else 1.0)


@EVERY_RULE
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_rule_equals_the_rule(rule, backend):
    """The function itself under torch.compile, with numbers as numbers: namespace() included."""
    compiled = torch.compile(rule, backend=backend, fullgraph=True)
    x = y = torch.linspace(-1.0, 2.0, 7, dtype=torch.float64)
    state = expected = initial_state(rule, x)
    for step in range(5):
        g = gradient((7,), step, torch.float64)
        x, state = compiled(x, g, state, lr=0.03)
        y, expected = rule(y, g, expected, lr=0.03)
        torch.testing.assert_close((x, *state), (y, *expected), rtol=1e-14, atol=1e-15)


@EVERY_RULE
def test_compiled_rule_is_compiled_at_most_three_times(rule):
    count = Counting()
    compiled = torch.compile(rule, backend=count, fullgraph=True)
    x = torch.linspace(-1.0, 2.0, 7, dtype=torch.float64)
    state = initial_state(rule, x)
    for step in range(STEPS):
        x, state = compiled(x, gradient((7,), step, x.dtype), state, lr=lr(step))
    assert 1 <= count.compilations <= 3


def test_counting_can_fail():
    """With every number a constant, each step is compiled anew."""
    count = Counting()
    compiled = torch.compile(adam, backend=count, dynamic=False)
    x = torch.ones(7, dtype=torch.float64)
    state = initial_state(adam, x)
    for step in range(5):
        x, state = compiled(x, gradient((7,), step, x.dtype), state, lr=lr(step))
    assert count.compilations == 5


SHAPES = [(3, 4), (5,), (2, 3, 4), (1,), (6, 1)]


def optimizers(rule, shapes, dtype, **hyper):
    """The same parameters twice, under an eager and under a compiled optimizer."""
    torch.manual_seed(3)
    eager = [torch.nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in shapes]
    fused = [torch.nn.Parameter(p.detach().clone()) for p in eager]
    return Optimizer(eager, rule, **hyper), Optimizer(fused, rule, compile=True, **hyper)


def compare(eager, fused, rtol, atol, steps=STEPS):
    """Step both through a schedule on the same gradients; compare parameters and states."""
    pairs = list(zip(eager.param_groups[0]["params"], fused.param_groups[0]["params"], strict=True))
    for step in range(steps):
        eager.param_groups[0]["lr"] = fused.param_groups[0]["lr"] = lr(step)
        for p, q in pairs:
            p.grad = gradient(p.shape, step, p.dtype)
            q.grad = p.grad.clone()
        eager.step()
        fused.step()
        for p, q in pairs:
            torch.testing.assert_close(q, p, rtol=rtol, atol=atol)
    for p, q in pairs:
        torch.testing.assert_close(fused.state[q], eager.state[p], rtol=rtol, atol=atol)
        for name, value in eager.state[p].items():
            assert type(fused.state[q][name]) is type(value)


@EVERY_RULE
def test_fused_optimizer_equals_eager_and_is_compiled_twice(rule, monkeypatch):
    """One kernel for all shapes, and one for single elements."""
    count = Counting()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=count, fullgraph=True))
    compare(*optimizers(rule, SHAPES, torch.float64), rtol=1e-14, atol=1e-15)
    compare(*optimizers(rule, [(8,), (9, 2)], torch.float64), rtol=1e-14, atol=1e-15, steps=3)
    assert count.compilations == 2


def test_comparison_can_fail(monkeypatch):
    """A kernel that is given the bias corrections of the first step at every step is told apart."""
    split = adapter._split

    def stuck(rule):
        counters, number_part, array_part = split(rule)
        return counters, lambda t, *hyper: (number_part(0, *hyper)[0], [t + 1]), array_part

    monkeypatch.setattr(adapter, "_split", stuck)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    eager, fused = optimizers(adam, SHAPES, torch.float64)
    compare(eager, fused, rtol=1e-14, atol=1e-15, steps=1)
    with pytest.raises(AssertionError, match="not close"):
        compare(eager, fused, rtol=1e-14, atol=1e-15, steps=3)


inductor = pytest.mark.skipif(not HAS_COMPILER, reason="the real kernel needs a C++ compiler")


@inductor
@EVERY_RULE
def test_real_kernel_equals_eager(rule):
    compare(*optimizers(rule, [(3, 7), (40,)], torch.float64), rtol=1e-12, atol=1e-14)


@inductor
@pytest.mark.parametrize(
    ("dtype", "rtol"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)], ids=str
)
def test_real_kernel_in_other_precisions(dtype, rtol):
    compare(*optimizers(adam, [(3, 7), (40,)], dtype, beta2=0.999), rtol=rtol, atol=rtol, steps=20)


@inductor
def test_real_kernel_on_a_parameter_that_is_not_contiguous():
    """The kernel is made for the shape, and writes where the parameter lies."""
    eager, fused = optimizers(adam, [(7, 3)], torch.float64)
    for optimizer in (eager, fused):
        p = optimizer.param_groups[0]["params"][0]
        p.data = p.data.t()
    memory = p.data_ptr()
    compare(eager, fused, rtol=1e-12, atol=1e-14, steps=5)
    assert p.data_ptr() == memory
    assert fused.state[p]["m"].stride() == p.stride() == (1, 3)
