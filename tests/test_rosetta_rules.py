"""Every dialect of ``rosetta`` is a rule like the book's: on all array libraries, under run."""

import numpy as np
import pytest
import sympy
import torch

from firstorder.hyperparameters import label, names
from firstorder.objectives import bowl
from firstorder.rosetta import DIALECTS, equivalent
from firstorder.rules import initial_state
from firstorder.run import run
from live import AWAY, KERAS_WARNING, defaults_of, steps_of
from oracles import follow, gradients, start
from test_rules_backends import BACKENDS, numbers

pytestmark = pytest.mark.filterwarnings(KERAS_WARNING)
EVERY = [(framework, optimizer) for framework in DIALECTS for optimizer in DIALECTS[framework]]


def each(dialects):
    """Parametrize by dialects; the ids begin with the names of their functions."""
    ids = [
        f"{label(DIALECTS[framework][optimizer])}-{optimizer}" for framework, optimizer in dialects
    ]
    return pytest.mark.parametrize(("framework", "optimizer"), dialects, ids=ids)


every_dialect = each(EVERY)
STEPS = 30


def switches_of(framework, optimizer):
    """The settings of a dialect's switches as they are and, if it has any, all turned over."""
    defaults = defaults_of(DIALECTS[framework][optimizer])
    switches = {name: value for name, value in defaults.items() if isinstance(value, bool)}
    return [switches, {name: not value for name, value in switches.items()}][: 1 + bool(switches)]


def away(framework, optimizer, **changes):
    """A dialect with all numbers away from their defaults."""
    known = defaults_of(DIALECTS[framework][optimizer])
    hyper = {name: AWAY[name] for name in known if name in AWAY} | changes
    if framework == "torch" and hyper.get("nesterov"):
        hyper["dampening"] = 0.0
    return equivalent(framework, optimizer, **hyper)


def without_decay(framework, optimizer, **changes):
    """The same without weight decay, which needs no gradient to move a coordinate."""
    decay = "weight_decay" in names(DIALECTS[framework][optimizer])
    return away(framework, optimizer, **changes, **({"weight_decay": 0.0} if decay else {}))


def path_of(rule, steps=STEPS):
    G = gradients()
    return follow(rule, start(), lambda t, x: G[t - 1], steps)


# Array libraries ----------------------------------------------------------------------------------


@pytest.fixture(params=[b for b in BACKENDS if "jax-float" not in b.name], ids=lambda b: b.name)
def backend(request):
    """NumPy with read-only arrays, torch, and JAX under jit, each with 64 and 32 bits."""
    if not request.param.name.startswith("jax"):
        yield request.param
        return
    import jax

    with jax.enable_x64(True):
        yield request.param


@every_dialect
def test_same_numbers_types_and_shapes_on_every_library(framework, optimizer, backend):
    for switches in switches_of(framework, optimizer):
        rule = away(framework, optimizer, **switches)
        path, x, state = backend.path(rule, start(), gradients()[:STEPS])
        expected = path_of(rule)
        size = np.ptp(expected, axis=0).max()
        np.testing.assert_allclose(path, expected, rtol=0, atol=backend.tolerance * size)
        like = backend.asarray(start())
        arrays = [v for name, v in state._asdict().items() if name not in ("t", "mu_prod")]
        for value in [x, *arrays]:
            assert (type(value), value.dtype, value.shape) == (type(like), like.dtype, like.shape)


@every_dialect
def test_nothing_is_changed_in_place(framework, optimizer):
    for switches in switches_of(framework, optimizer):
        rule = away(framework, optimizer, **switches)
        x, g = start(), gradients()[0]
        _, state = rule(x, g, initial_state(rule, x))
        for value in state:
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        first, second = rule(x, g, state), rule(x, g, state)
        np.testing.assert_array_equal(first[0], second[0])
        tensors = [torch.tensor(np.array(v)) for v in (x, g)]
        memory = type(state)(*(torch.tensor(v) if np.ndim(v) else v for v in state))
        before = [numbers(v) for v in (*tensors, *memory)]
        rule(*tensors, memory)
        for value, old in zip((*tensors, *memory), before, strict=True):
            np.testing.assert_array_equal(numbers(value), old)


@every_dialect
def test_t_counts_the_steps(framework, optimizer):
    rule = away(framework, optimizer)
    x, state = start(), initial_state(rule, start())
    for steps in range(4):
        assert getattr(state, "t", steps) == steps
        x, state = rule(x, gradients()[steps], state)


@each([dialect for dialect in EVERY if dialect != ("optax", "yogi")])
def test_a_coordinate_that_never_had_a_gradient_stays(framework, optimizer):
    for switches in switches_of(framework, optimizer):
        path = path_of(without_decay(framework, optimizer, **switches), 100)
        assert np.isfinite(path).all()
        np.testing.assert_array_equal(path[:, -1], path[0, -1])


def test_optax_yogi_moves_a_coordinate_that_never_had_a_gradient():
    """Its m starts at 1e-6; the library itself moves as far."""
    drift = np.diff(path_of(equivalent("optax", "yogi", learning_rate=0.01), 100)[[0, -1], -1])
    assert drift == pytest.approx(-1.6e-5, rel=0.02)
    theirs = steps_of("optax", "yogi", {"learning_rate": 0.01})["recorded"]
    assert theirs[-1, -1] - theirs[0, -1] == pytest.approx(drift, rel=1e-9)


def symbols_like(values):
    """Name -> a positive symbol, or a pair of them, and symbol -> number."""
    symbols, given = {}, {}
    for name, value in values.items():
        pair = isinstance(value, tuple)
        found = sympy.symbols(f"{name}1 {name}2" if pair else name, positive=True)
        symbols[name] = found
        given |= dict(zip(found, value, strict=True)) if pair else {found: value}
    return symbols, given


@pytest.mark.parametrize("steps_before", [0, 4])
@every_dialect
def test_a_symbolic_step_gives_the_same_numbers(framework, optimizer, steps_before):
    """x, g, the state but for its t and all numbers among the options are symbols."""
    for switches in switches_of(framework, optimizer):
        rule = away(framework, optimizer, **switches)
        kind = type(initial_state(rule, 0.0))
        memory = {name: 0.4 + 0.1 * i for i, name in enumerate(kind._fields) if name != "t"}
        t = {"t": steps_before} if "t" in kind._fields else {}
        hyper = {n: v for n, v in rule.keywords.items() if not isinstance(v, bool)}
        (x, g), fields = sympy.symbols("x g", real=True), symbols_like(memory)
        options = symbols_like(hyper)
        new_x, state = rule(x, g, kind(**fields[0], **t), **options[0])
        given = {x: 0.3, g: -0.7} | fields[1] | options[1]
        found = [float(sympy.sympify(value).subs(given)) for value in (new_x, *state)]
        arrays = {name: np.array([value]) for name, value in memory.items()}
        new_x, state = rule(np.array([0.3]), np.array([-0.7]), kind(**arrays, **t))
        assert found == pytest.approx([float(np.squeeze(v)) for v in (new_x, *state)], rel=1e-12)


# run ----------------------------------------------------------------------------------------------


def lr_name(rule):
    """What a dialect calls the learning rate; None for d2l's Adadelta, which has none."""
    return next((name for name in ("lr", "learning_rate") if name in names(rule)), None)


@every_dialect
def test_a_sweep_is_its_separate_runs(framework, optimizer):
    rule = away(framework, optimizer)
    name = lr_name(rule) or "rho"
    values = np.array([0.01, 0.03, 0.2])
    together = run(rule, bowl, [1.0, -2.0], 40, **{name: values})
    for i, value in enumerate(values):
        alone = run(rule, bowl, [1.0, -2.0], 40, **{name: value})
        np.testing.assert_allclose(together.x[:, i], alone.x, rtol=1e-13)
    assert np.ptp(together.x[-1], axis=0).min() > 1e-3


@every_dialect
def test_run_keeps_float32(framework, optimizer):
    x = np.array([1.0, -2.0], np.float32)
    for switches in switches_of(framework, optimizer):
        rule = away(framework, optimizer, **switches)
        assert run(rule, bowl, x, 5).x.dtype == np.float32
        for name, value in rule.keywords.items():
            if isinstance(value, float):
                assert run(rule, bowl, x, 5, **{name: [value, value / 2]}).x.dtype == np.float32


def test_run_overrides_numbers_pairs_and_switches():
    at = {"objective": bowl, "start": [1.0, -2.0], "steps": 40}
    once = run(equivalent("torch", "Adam", lr=0.1), **at, betas=(0.8, 0.9), amsgrad=True, eps=0.01)
    direct = equivalent("torch", "Adam", lr=0.1, betas=(0.8, 0.9), amsgrad=True, eps=0.01)
    np.testing.assert_array_equal(once.x, run(direct, **at).x)
    for left_out in ("betas", "amsgrad", "eps"):
        fewer = {n: v for n, v in direct.keywords.items() if n != left_out}
        assert np.abs(run(equivalent("torch", "Adam", **fewer), **at).x - once.x).max() > 1e-4
    assert once.hyper == {"betas": (0.8, 0.9), "amsgrad": True, "eps": 0.01}
    with pytest.raises(TypeError, match=r"keras_adam has no hyper-parameter 'lr'.*learning_rate"):
        run(equivalent("keras", "Adam"), **at, lr=0.1)


def test_a_learning_rate_that_is_required_may_be_left_to_run():
    later = run(equivalent("optax", "adam", b1=0.8), bowl, [1.0, -2.0], 9, learning_rate=0.1)
    now = run(equivalent("optax", "adam", b1=0.8, learning_rate=0.1), bowl, [1.0, -2.0], 9)
    np.testing.assert_array_equal(later.x, now.x)
    with pytest.raises(TypeError, match="learning_rate"):
        run(equivalent("optax", "adam", b1=0.8), bowl, [1.0, -2.0], 9)


@every_dialect
def test_a_schedule_is_told_the_step(framework, optimizer):
    """A rule stepped by hand with the same numbers."""
    rule = away(framework, optimizer)
    name, values = lr_name(rule) or "rho", 0.3 / np.arange(1, 21)
    x = np.array([1.0, -2.0])
    trace, state = run(rule, bowl, x, 20, **{name: lambda t: values[t - 1]}), initial_state(rule, x)
    for t, value in enumerate(values):
        x, state = rule(x, bowl.gradient(x), state, **{name: float(value)})
        np.testing.assert_array_equal(trace.x[t + 1], x)
