"""``adapters.torch.Optimizer``: torch's own optimizers, and torch's own contract."""

import copy
import io
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from firstorder import rules
from firstorder.adapters import torch as adapter
from firstorder.adapters.torch import Optimizer
from firstorder.rules import RULES, adam, momentum, nadam, sgd

STEPS = 60


def network(dtype=torch.float64):
    torch.manual_seed(1)
    layers = torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2)
    return torch.nn.Sequential(*layers).to(dtype)


def batch(step, dtype=torch.float64):
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(8, 4, generator=generator, dtype=dtype)
    return x, torch.stack([x.sum(1), x[:, 0] * x[:, 1]], 1)


def train(model, optimizer, steps=STEPS, start=0, scheduler=None):
    """Train and return the parameters after every step, (steps, number of parameters)."""
    path = []
    for step in range(start, start + steps):
        optimizer.zero_grad()
        x, y = batch(step, next(model.parameters()).dtype)
        ((model(x) - y) ** 2).mean().backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        path.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    return torch.stack(path)


def groups(model, **second):
    """Weights in one group, biases in another with hyper-parameters of its own."""
    named = dict(model.named_parameters())
    return [
        {"params": [p for name, p in named.items() if "weight" in name]},
        {"params": [p for name, p in named.items() if "bias" in name], **second},
    ]


# --------------------------------------------------------------------------------------------------
# The same numbers as torch.optim, in two groups and off the defaults.

# rule: (torch's optimizer, its settings, its second group's, the rule's, its second group's)
SAME = {
    "sgd": (torch.optim.SGD, dict(lr=0.1), dict(lr=0.02), dict(lr=0.1), dict(lr=0.02)),
    "momentum": (
        torch.optim.SGD,
        dict(lr=0.05, momentum=0.8),
        dict(momentum=0.3),
        dict(lr=0.05, beta=0.8),
        dict(beta=0.3),
    ),
    "nesterov": (
        torch.optim.SGD,
        dict(lr=0.05, momentum=0.8, nesterov=True),
        dict(lr=0.02),
        dict(lr=0.05, beta=0.8),
        dict(lr=0.02),
    ),
    "adagrad": (
        torch.optim.Adagrad,
        dict(lr=0.1, eps=1e-3),
        dict(eps=1e-2),
        dict(lr=0.1, eps=1e-3),
        dict(eps=1e-2),
    ),
    "rmsprop": (
        torch.optim.RMSprop,
        dict(lr=0.02, alpha=0.8, eps=1e-3),
        dict(alpha=0.97),
        dict(lr=0.02, rho=0.8, eps=1e-3),
        dict(rho=0.97),
    ),
    "adadelta": (
        torch.optim.Adadelta,
        dict(lr=0.7, rho=0.8, eps=1e-4),
        dict(rho=0.6),
        dict(lr=0.7, rho=0.8, eps=1e-4),
        dict(rho=0.6),
    ),
    "adam": (
        torch.optim.Adam,
        dict(lr=0.02, betas=(0.8, 0.95), eps=1e-3),
        dict(betas=(0.5, 0.9)),
        dict(lr=0.02, beta1=0.8, beta2=0.95, eps=1e-3),
        dict(beta1=0.5, beta2=0.9),
    ),
    "adamw": (
        torch.optim.AdamW,
        dict(lr=0.02, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3),
        dict(weight_decay=0.0),
        dict(lr=0.02, beta1=0.8, beta2=0.95, eps=1e-3, weight_decay=0.3),
        dict(weight_decay=0.0),
    ),
    # Torch adds eps to abs(g) inside the maximum; at eps = 0 the two places are one.
    "adamax": (
        torch.optim.Adamax,
        dict(lr=0.02, betas=(0.8, 0.95), eps=0.0),
        dict(lr=0.05),
        dict(lr=0.02, beta1=0.8, beta2=0.95, eps=0.0),
        dict(lr=0.05),
    ),
}
# Torch has no form of these: its NAdam puts the momentum schedule elsewhere, its AMSGrad corrects
# the bias, and it has no Yogi.  They are held to the bare rule below, as all are.
OTHER = {"nadam", "amsgrad", "yogi"}


def test_every_rule_is_compared_or_excused():
    assert {rule.__name__ for rule in RULES} == set(SAME) | OTHER


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("name", SAME)
def test_equals_torch_optim(name, compile, monkeypatch):
    if compile:
        without_inductor(monkeypatch)
    theirs, settings, second, our_settings, our_second = SAME[name]
    a, b = network(), network()
    expected = train(a, theirs(groups(a, **second), **settings))
    rule = getattr(rules, name)
    found = train(b, Optimizer(groups(b, **our_second), rule, compile=compile, **our_settings))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def without_inductor(monkeypatch):
    """Let kernels be made without a C++ compiler, and none be kept for other tests."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    monkeypatch.setattr(adapter, "_fused", cache(adapter._fused.__wrapped__))


def test_comparison_can_fail():
    """Adam that counts its steps from 0 in the second correction is told apart."""

    def wrong(x, g, state: rules.Moments, *, lr=0.02, beta1=0.8, beta2=0.95, eps=1e-3):
        t = state.t + 1
        m = beta1 * state.m + (1 - beta1) * g
        v = beta2 * state.v + (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2 ** (t + 1))
        return x - lr * m_hat / (torch.sqrt(v_hat) + eps), rules.Moments(m, v, t)

    a, b = network(), network()
    expected = train(a, torch.optim.Adam(a.parameters(), lr=0.02, betas=(0.8, 0.95), eps=1e-3))
    assert (train(b, Optimizer(b.parameters(), wrong)) - expected).abs().max() > 1e-3


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_equals_the_bare_rule(rule):
    """The rule applied by hand to NumPy arrays, with the gradients that torch found."""
    model = network()
    optimizer = Optimizer(model.parameters(), rule, lr=0.02)
    xs = [p.detach().numpy().copy() for p in model.parameters()]
    states = [rules.initial_state(rule, x) for x in xs]
    for step in range(STEPS):
        train(model, optimizer, steps=1, start=step)
        for i, p in enumerate(model.parameters()):
            xs[i], states[i] = rule(xs[i], p.grad.numpy(), states[i], lr=0.02)
            np.testing.assert_allclose(p.detach().numpy(), xs[i], rtol=0, atol=1e-12)
    for p, state in zip(model.parameters(), states, strict=True):
        assert list(optimizer.state[p]) == list(state._fields)
        for name, value in optimizer.state[p].items():
            np.testing.assert_allclose(value, getattr(state, name), rtol=1e-10, atol=1e-15)


def test_partial_of_a_rule():
    a, b = network(), network()
    expected = train(a, Optimizer(a.parameters(), adam, lr=0.03, beta1=0.7))
    optimizer = Optimizer(b.parameters(), partial(adam, lr=9.0, beta1=0.7), lr=0.03)
    assert optimizer.param_groups[0]["beta1"] == 0.7
    assert torch.equal(train(b, optimizer), expected)


def test_default_of_the_rule_is_the_default():
    a, b = network(), network()
    optimizer = Optimizer(a.parameters(), nadam)
    assert {k: v for k, v in optimizer.param_groups[0].items() if k != "params"} == {
        "lr": 0.002, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "psi": 0.004, "maximize": False,
    }  # fmt: skip
    expected = train(b, Optimizer(b.parameters(), nadam, lr=0.002, beta1=0.9, psi=0.004))
    assert torch.equal(train(a, optimizer), expected)


def test_a_hyper_parameter_without_default_must_be_given():
    def plain(x, g, state: rules.Stateless, *, lr):
        return x - lr * g, state

    with pytest.raises(ValueError, match="lr"):
        Optimizer(network().parameters(), plain)
    Optimizer(network().parameters(), plain, lr=0.1)


# --------------------------------------------------------------------------------------------------
# Saving, loading, copying: what follows is bit for bit what would have followed.


def restored(how, model, optimizer, rule, **hyper):
    """Return a copy of model and optimizer made in one of the ways there are."""
    if how == "deepcopy":
        return copy.deepcopy((model, optimizer))
    file = io.BytesIO()
    torch.save((model.state_dict(), optimizer.state_dict()), file)
    file.seek(0)
    saved_model, saved = torch.load(file, weights_only=True)
    other = network(next(model.parameters()).dtype)
    if how == "state_dict":
        saved_model, saved = model.state_dict(), optimizer.state_dict()
    other.load_state_dict(saved_model)
    fresh = Optimizer(groups(other, lr=0.5), rule, **hyper)  # its settings are to be overwritten
    fresh.load_state_dict(saved)
    return other, fresh


@pytest.mark.parametrize("how", ["state_dict", "weights_only", "deepcopy"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_restored_optimizer_continues_bit_for_bit(rule, how):
    model = network(torch.float32)
    optimizer = Optimizer(groups(model, lr=np.float64(0.01)), rule, lr=0.03)
    train(model, optimizer, steps=20)
    other, copied = restored(how, model, optimizer, rule)
    assert type(copied.state_dict()["state"][0]) is dict
    expected = train(model, optimizer, steps=40, start=20)
    # Training went on in between: nothing is shared.
    assert torch.equal(train(other, copied, steps=40, start=20), expected)


@pytest.mark.parametrize("how", ["state_dict", "weights_only", "deepcopy"])
def test_restored_compiled_optimizer_shares_no_array(how, monkeypatch):
    """A kernel writes the state in place, so a shared array would be stepped twice."""
    without_inductor(monkeypatch)
    model = network(torch.float32)
    optimizer = Optimizer(groups(model, lr=0.01), adam, compile=True, lr=0.03)
    train(model, optimizer, steps=5)
    other, copied = restored(how, model, optimizer, adam, compile=True)
    assert copied.compile
    expected = train(model, optimizer, steps=10, start=5)
    assert torch.equal(train(other, copied, steps=10, start=5), expected)


def test_counter_is_a_python_number_that_no_dtype_rounds():
    model = network(torch.bfloat16)
    optimizer = Optimizer(groups(model), nadam)
    train(model, optimizer, steps=300)  # bfloat16 has no 257
    _, copied = restored("weights_only", model, optimizer, nadam)
    state = copied.state_dict()["state"][0]
    assert type(state["t"]) is int
    assert state["t"] == 300
    assert type(state["mu_prod"]) is float
    assert state["mu_prod"] == optimizer.state_dict()["state"][0]["mu_prod"] > 0


def test_add_param_group_after_a_restart():
    """Torch adds a default of its own when it unpickles; it is no hyper-parameter."""
    model = network()
    optimizer = Optimizer([model[0].weight], adam)
    optimizer.load_state_dict(optimizer.state_dict())
    for each in optimizer, copy.deepcopy(optimizer):
        each.add_param_group({"params": torch.nn.Parameter(torch.ones(2)), "lr": 0.3})
        assert [group["lr"] for group in each.param_groups] == [0.001, 0.3]


def test_state_of_another_optimizer_is_refused():
    model = network()
    theirs = torch.optim.Adam(model.parameters())
    train(model, theirs, steps=1)
    optimizer = Optimizer(model.parameters(), adam)
    with pytest.raises(ValueError, match=r"state of adam has \('m', 'v', 't'\), got .*exp_avg"):
        optimizer.load_state_dict(theirs.state_dict())
    with pytest.raises(ValueError, match="lacks beta1, beta2, eps"):
        optimizer.load_state_dict(Optimizer(model.parameters(), sgd).state_dict())
    assert not optimizer.state


# --------------------------------------------------------------------------------------------------
# Schedulers, closures, maximize, hooks, groups, missing gradients.

SCHEDULES = {
    "step": lambda o: lr_scheduler.StepLR(o, 7, 0.5),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 40),
    "one_cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.05, total_steps=61, cycle_momentum=False),
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
}


@pytest.mark.parametrize("lr", [0.05, "tensor"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedulers(schedule, lr):
    a, b = network(), network()
    make = SCHEDULES[schedule]
    theirs = torch.optim.Adam(a.parameters(), lr=0.05)
    expected = train(a, theirs, scheduler=make(theirs))
    lr = torch.tensor(0.05, dtype=torch.float64) if lr == "tensor" else lr
    ours = Optimizer(b.parameters(), adam, lr=lr)
    torch.testing.assert_close(train(b, ours, scheduler=make(ours)), expected, rtol=0, atol=1e-12)
    assert float(ours.param_groups[0]["lr"]) != 0.05


def test_plateau_scheduler_and_initial_lr():
    optimizer = Optimizer(network().parameters(), adam, lr=0.05)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=1)
    for loss in (1.0, 1.0, 1.0, 1.0):
        scheduler.step(loss)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.005)
    resumed = Optimizer(
        [{"params": network().parameters(), "initial_lr": 0.05, "name": "all"}], adam, lr=0.05
    )
    assert lr_scheduler.StepLR(resumed, 3, last_epoch=5).base_lrs == [0.05]


def test_closure_is_called_with_gradients_and_its_loss_returned():
    model = network()
    optimizer = Optimizer(model.parameters(), sgd, lr=0.1)
    x, y = batch(0)
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        losses.append(loss.item())
        return loss

    with torch.no_grad():
        returned = [optimizer.step(closure).item() for _ in range(5)]
    assert returned == losses
    assert losses[-1] < losses[0]
    assert optimizer.step() is None


def test_maximize_is_descent_on_the_negative_in_one_group_only():
    p, q = (torch.nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2))
    optimizer = Optimizer([{"params": p, "maximize": True}, {"params": q}], momentum, lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (p**2 + q**2).sum().backward()
        optimizer.step()
    x, v = np.array([1.0, -2.0]), 0.0
    y, w = x.copy(), 0.0
    for _ in range(3):
        v = 0.9 * v - 2 * x
        x = x - 0.1 * v
        w = 0.9 * w + 2 * y
        y = y - 0.1 * w
    np.testing.assert_allclose(p.detach(), x, rtol=1e-6)
    np.testing.assert_allclose(q.detach(), y, rtol=1e-6)


def test_zero_grad_and_hooks():
    model = network()
    optimizer = Optimizer(model.parameters(), adam)
    seen = []
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    train(model, optimizer, steps=2)
    assert seen == ["before", "after"] * 2
    optimizer.zero_grad(set_to_none=False)
    assert all((p.grad == 0).all() for p in model.parameters())
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_parameter_without_gradient_is_skipped_and_not_counted():
    p, q = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    optimizer = Optimizer([p, q], adam, lr=0.1)
    for step in range(4):
        p.grad, q.grad = torch.ones(3), torch.ones(3) if step >= 2 else None
        optimizer.step()
        if step < 2:
            assert torch.equal(q, torch.ones(3))
            assert not optimizer.state[q]
    assert (optimizer.state[p]["t"], optimizer.state[q]["t"]) == (4, 2)


def test_named_parameters_and_a_late_group():
    model = network()
    optimizer = Optimizer(model[0].named_parameters(), adam, lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    optimizer = Optimizer(model[0].parameters(), adam, lr=0.1)
    train(model, optimizer, steps=3)
    before = model[2].weight.detach().clone()
    optimizer.add_param_group({"params": model[2].parameters(), "beta1": 0.5})
    train(model, optimizer, steps=1)
    assert not torch.equal(model[2].weight, before)
    assert [optimizer.state[p]["t"] for p in model.parameters()] == [4, 4, 1, 1]
    assert [group["beta1"] for group in optimizer.param_groups] == [0.9, 0.5]


def test_amp_grad_scaler():
    a, b = network(torch.float32), network(torch.float32)
    x, y = batch(0, torch.float32)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    plain, scaled = (Optimizer(m.parameters(), adam, lr=0.1) for m in (a, b))
    for bad in (False, True):
        for model, optimizer in ((a, plain), (b, scaled)):
            optimizer.zero_grad()
            loss = ((model(x) - y) ** 2).mean()
            (scaler.scale(loss) if optimizer is scaled else loss).backward()
        if bad:  # an overflow: the step is left out
            b[0].weight.grad[0, 0] = torch.inf
        else:
            plain.step()
        scaler.step(scaled)
        scaler.update()
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        torch.testing.assert_close(p, q)
    assert scaled.state[b[0].weight]["t"] == 1


# --------------------------------------------------------------------------------------------------
# In place, nothing shared, shape and dtype kept.


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_update_is_in_place_and_keeps_dtype_and_memory_format(dtype):
    p = torch.nn.Parameter(
        torch.randn(2, 3, 4, 5, dtype=dtype).to(memory_format=torch.channels_last)
    )
    alias, address, version = p.detach(), p.data_ptr(), p._version
    optimizer = Optimizer([p], adam, lr=torch.tensor(0.1, dtype=torch.float64))
    for _ in range(3):
        p.grad = torch.randn_like(p)
        optimizer.step()
    assert p.data_ptr() == address
    assert torch.equal(alias, p)
    assert p._version > version  # autograd must be able to see the change
    assert p.dtype == dtype
    for value in (optimizer.state[p]["m"], optimizer.state[p]["v"]):
        assert (value.dtype, value.stride()) == (dtype, p.stride())
        assert not value.requires_grad


class Kept(NamedTuple):
    x_old: Any
    g_old: Any


def keeper(x, g, state: Kept, *, lr=0.1):
    """Step along 2 g - g_old, and keep what was given without copying it."""
    return x - lr * (2 * g - state.g_old), Kept(x, g)


@pytest.mark.parametrize("compile", [False, True])
def test_state_may_keep_what_the_rule_was_given(compile, monkeypatch):
    if compile:
        without_inductor(monkeypatch)
    p = torch.nn.Parameter(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    optimizer = Optimizer([p], keeper, compile=compile)
    p.grad = torch.zeros_like(p)
    x, g_old = p.detach().numpy().copy(), np.zeros(3)
    for step in range(4):
        g = np.full(3, step + 1.0)
        p.grad.copy_(torch.from_numpy(g))
        optimizer.step()
        p.grad.zero_()
        np.testing.assert_array_equal(optimizer.state[p]["x_old"], x)
        np.testing.assert_array_equal(optimizer.state[p]["g_old"], g)
        x, g_old = x - 0.1 * (2 * g - g_old), g
        np.testing.assert_allclose(p.detach(), x, rtol=1e-15)


# --------------------------------------------------------------------------------------------------
# Errors, each before anything is changed.


@pytest.mark.parametrize(
    ("hyper", "error", "message"),
    [
        ({"learning_rate": 0.1}, TypeError, "adam has no hyper-parameter 'learning_rate'; it has"),
        ({"lr": -0.1}, ValueError, "lr must be finite and at least 0, got -0.1"),
        ({"lr": float("nan")}, ValueError, "lr must be finite and at least 0, got nan"),
        ({"lr": torch.tensor(-1.0)}, ValueError, "lr must be finite and at least 0, got -1"),
        ({"lr": torch.ones(2)}, ValueError, "lr must be one number"),
        ({"lr": [0.1, 0.2]}, ValueError, "lr must be one number"),
        ({"lr": "fast"}, TypeError, "lr must be a number"),
        ({"beta1": 1.0}, ValueError, "beta1 must be at least 0 and below 1, got 1"),
        ({"eps": float("inf")}, ValueError, "eps must be finite and at least 0, got inf"),
    ],
)
def test_bad_hyper_parameters(hyper, error, message):
    p = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(error, match=message):
        Optimizer([p], adam, **hyper)
    with pytest.raises(error, match=message):
        Optimizer([{"params": p, **hyper}], adam)
    optimizer = Optimizer([p], adam)
    with pytest.raises(error, match=message):
        optimizer.add_param_group({"params": torch.nn.Parameter(torch.ones(2)), **hyper})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64])
def test_parameters_that_are_not_floating_point(dtype):
    with pytest.raises(TypeError, match=f"params must be floating point and real, got {dtype}"):
        Optimizer([torch.ones(2, dtype=dtype)], sgd)


def test_sparse_gradient_is_refused_before_any_parameter_moves():
    p = torch.nn.Parameter(torch.ones(2))
    table = torch.nn.Embedding(5, 2, sparse=True)
    before = table.weight.detach().clone()
    optimizer = Optimizer([p, table.weight], sgd)
    (table(torch.tensor([1])) * p).sum().backward()
    with pytest.raises(RuntimeError, match=r"gradients must be dense, got torch\.sparse_coo"):
        optimizer.step()
    assert torch.equal(p, torch.ones(2))
    assert torch.equal(table.weight, before)


def test_what_torch_itself_refuses():
    p = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match="empty parameter list"):
        Optimizer([], sgd)
    with pytest.raises(ValueError, match="non-leaf"):
        Optimizer([p * 2], sgd)
    with pytest.raises(ValueError, match="more than one parameter group"):
        Optimizer([{"params": [p]}, {"params": [p]}], sgd)
    with pytest.raises(TypeError, match="iterable of Tensors"):
        Optimizer(p, sgd)


def test_not_a_rule():
    with pytest.raises(TypeError, match="rule must have a parameter 'state'"):
        Optimizer([torch.nn.Parameter(torch.ones(2))], lambda x, g: x)


# Rules that no kernel can be made of.


def branching(x, g, state: rules.Moments, *, lr=0.1):
    return (x - lr * g if state.t > 3 else x), state._replace(t=state.t + 1)


def forgetful(x, g, state: rules.Moments, *, lr=0.1):
    return x - lr * g, state._replace(t=0)


def confused(x, g, state: rules.Moments, *, lr=0.1):
    return x - lr * g, state._replace(t=state.t + g)


@pytest.mark.parametrize("rule", [branching, forgetful, confused])
def test_rule_that_cannot_be_compiled(rule):
    p = torch.nn.Parameter(torch.ones(2))
    Optimizer([p], rule)
    with pytest.raises(ValueError, match=f"{rule.__name__} cannot be compiled"):
        Optimizer([p], rule, compile=True)
