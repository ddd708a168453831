"""Every rule on every array library: the same numbers, types kept, nothing changed in place."""

from functools import partial

import numpy as np
import pytest
import sympy

from firstorder import rules
from firstorder.rules import initial_state
from oracles import REFERENCES, by_name, follow, gradients, start

every_rule = pytest.mark.parametrize("rule", REFERENCES, ids=by_name)
STEPS = 100


def numbers(value):
    """A float64 NumPy copy of an array of any library."""
    return np.asarray(value).astype(float)


class Backend:
    """One array library at one precision, and how to get values in and out of it."""

    def __init__(self, name, asarray, tolerance, wrap=lambda rule: rule):
        self.name, self.asarray, self.tolerance, self.wrap = name, asarray, tolerance, wrap

    def path(self, rule, x, G, **hyper):
        """Iterates (steps + 1, d) as float64 NumPy, and the last x and state as they are."""
        step = self.wrap(partial(rule, **hyper))
        x = self.asarray(x)
        state, path = initial_state(rule, x), [numbers(x)]
        for g in G:
            x, state = step(x, self.asarray(g), state)
            path.append(numbers(x))
        return np.stack(path), x, state


def _read_only(dtype):
    def asarray(values):
        array = np.array(values, dtype=dtype)
        array.flags.writeable = False
        return array

    return asarray


def _torch(dtype):
    def asarray(values):
        import torch

        return torch.tensor(np.array(values), dtype=getattr(torch, dtype))

    return asarray


def _jax(dtype):
    def asarray(values):
        import jax.numpy as jnp

        return jnp.asarray(values, dtype=dtype)

    return asarray


def _jit(rule):
    import jax

    return jax.jit(rule)


BACKENDS = [
    Backend("numpy-float64", _read_only("float64"), 1e-12),
    Backend("numpy-float32", _read_only("float32"), 1e-4),
    Backend("torch-float64", _torch("float64"), 1e-12),
    Backend("torch-float32", _torch("float32"), 1e-4),
    Backend("jax-float64", _jax("float64"), 1e-12),
    Backend("jax-float32", _jax("float32"), 1e-4),
    Backend("jax-jit-float64", _jax("float64"), 1e-12, _jit),
    Backend("jax-jit-float32", _jax("float32"), 1e-4, _jit),
]


@pytest.fixture(params=BACKENDS, ids=lambda b: b.name)
def backend(request):
    """Each backend in turn; JAX with 64-bit numbers switched on."""
    if not request.param.name.startswith("jax"):
        yield request.param
        return
    import jax

    with jax.enable_x64(True):
        yield request.param


def reference_path(rule, **hyper):
    G = gradients()
    return follow(rule, start(), lambda t, x: G[t - 1], STEPS, **hyper)


@every_rule
def test_same_numbers(rule, backend):
    hyper = REFERENCES[rule].settings
    path, _, _ = backend.path(rule, start(), gradients(), **hyper)
    expected = reference_path(rule, **hyper)
    scale = np.ptp(expected, axis=0).max()
    tolerance = backend.tolerance * (10 if rule is rules.yogi else 1)  # sign(g**2 - v) may tip
    np.testing.assert_allclose(path, expected, rtol=0, atol=tolerance * scale)


@every_rule
def test_shape_dtype_and_library_are_kept(rule, backend):
    for shape in [(), (1,), (10,), (2, 5)]:
        G = gradients(5)[:, : int(np.prod(shape))].reshape(5, *shape)
        _, x, state = backend.path(rule, np.ones(shape), G)
        like = backend.asarray(np.ones(shape))
        assert type(state) is type(initial_state(rule, like))
        arrays = [v for name, v in state._asdict().items() if name not in ("t", "mu_prod")]
        for value in [x, *arrays]:
            assert isinstance(value, type(like)) or (shape == () and np.isscalar(value))
            assert value.dtype == like.dtype
            assert value.shape == shape


@every_rule
def test_nothing_is_changed_in_place(rule, backend):
    x, g = backend.asarray(start()), backend.asarray(gradients()[0])
    _, state = rule(x, g, initial_state(rule, x))
    before = [numbers(v) for v in (x, g, *state)]
    rule(x, g, state, **REFERENCES[rule].settings)
    for value, old in zip((x, g, *state), before, strict=True):
        np.testing.assert_array_equal(numbers(value), old)


@every_rule
def test_a_coordinate_that_never_had_a_gradient_stays(rule, backend):
    hyper = {"weight_decay": 0.0} if rule is rules.adamw else {}  # decay needs no gradient
    path, _, state = backend.path(rule, start(), gradients(), **hyper)
    assert np.isfinite(path).all()
    assert all(np.isfinite(numbers(value)).all() for value in state)
    np.testing.assert_array_equal(path[:, -1], path[0, -1])


@every_rule
def test_runs_along_a_leading_axis_are_separate_runs(rule, backend):
    factors = np.array([0.5, 1.0, 1.02])
    hyper = {name: value * factors for name, value in REFERENCES[rule].settings.items()}
    columns = {name: backend.asarray(value[:, None]) for name, value in hyper.items()}
    G = gradients()[10:30]  # a zero vector and a spike are in it
    together, _, _ = backend.path(rule, np.tile(start(), (3, 1)), np.stack([G] * 3, 1), **columns)
    for run in range(3):
        alone, _, _ = backend.path(rule, start(), G, **{n: float(v[run]) for n, v in hyper.items()})
        scale = np.ptp(alone, axis=0).max()
        np.testing.assert_allclose(
            together[:, run], alone, rtol=0, atol=10 * backend.tolerance * scale
        )


@every_rule
def test_a_misspelt_hyper_parameter_is_a_type_error(rule):
    x = start()
    with pytest.raises(TypeError, match="learning_rate"):
        rule(x, x, initial_state(rule, x), learning_rate=0.1)
    with pytest.raises(TypeError, match="positional"):
        rule(x, x, initial_state(rule, x), 0.1)


# --------------------------------------------------------------------------------------------------
# SymPy: one symbolic step, evaluated with 40 digits, is another implementation of every step


def symbolic_step(rule):
    """Return a function of (x, g, *state, *hyper) with mpmath numbers, traced through SymPy."""
    x, g = sympy.symbols("x g", real=True)
    kind = type(initial_state(rule, x))
    fields = sympy.symbols([f"state_{name}" for name in kind._fields], real=True)
    hyper = {name: sympy.Symbol(name, positive=True) for name in REFERENCES[rule].settings}
    new_x, new_state = rule(x, g, kind(*fields), **hyper)
    return sympy.lambdify([x, g, *fields, *hyper.values()], [new_x, *new_state], "mpmath")


@every_rule
def test_sympy_gives_the_same_numbers(rule):
    from mpmath import mp, mpf

    settings, columns, steps = REFERENCES[rule].settings, [0, 3, 6, 9], 60
    G, x0 = gradients()[:steps, columns], start()[columns]
    expected = follow(rule, x0, lambda t, x: G[t - 1], steps, **settings)
    step = symbolic_step(rule)
    with mp.workdps(40):
        hyper = [mpf(value) for value in settings.values()]
        for column in range(len(columns)):
            x, state = mpf(x0[column]), list(initial_state(rule, sympy.Symbol("x")))
            state, path = [mpf(int(value)) for value in state], [x0[column]]
            for g in G[:, column]:
                x, *state = step(x, mpf(g), *state, *hyper)
                path.append(float(x))
            np.testing.assert_allclose(path, expected[:, column], rtol=1e-12, atol=1e-12)


@every_rule
def test_sympy_keeps_exact_numbers_exact(rule):
    third = sympy.Rational(1, 3)
    hyper = {name: sympy.Rational(str(value)) for name, value in REFERENCES[rule].settings.items()}
    if rule is rules.nadam:
        hyper["psi"] = sympy.Integer(0)  # its schedule holds the floats 0.5 and 0.96
    x, state = rule(third, -2 * third, initial_state(rule, third), **hyper)
    x, state = rule(x, third, state, **hyper)
    floats = {name: float(value) for name, value in hyper.items()}
    expected = follow(
        rule, np.array([1 / 3]), lambda t, x: np.array([-2 / 3, 1 / 3][t - 1 : t]), 2, **floats
    )
    assert float(x) == pytest.approx(expected[-1, 0], rel=1e-14)
    if rule is not rules.nadam:
        assert not x.atoms(sympy.Float)


# --------------------------------------------------------------------------------------------------
# initial_state


@every_rule
def test_initial_state_is_zeros_like_x(rule, backend):
    x = backend.asarray(start())
    state = initial_state(rule, x)
    for name, value in state._asdict().items():
        if name == "t":
            assert value == 0
            assert type(value) is int
        elif name == "mu_prod":
            assert value == 1.0
        else:
            assert type(value) is type(x)
            assert value.dtype == x.dtype
            np.testing.assert_array_equal(numbers(value), np.zeros(10))


@every_rule
def test_counters_start_at_whole_zero_and_products_at_one(rule):
    state = initial_state(rule, start())
    assert type(getattr(state, "t", 0)) is int
    assert getattr(state, "t", 0) == 0
    assert getattr(state, "mu_prod", 1.0) == 1.0


def test_initial_state_of_partials():
    x = start()
    once = partial(rules.adam, lr=0.5)
    twice = partial(once, beta1=0.5)
    for rule in (once, twice):
        state = initial_state(rule, x)
        assert isinstance(state, rules.Moments)
        assert state.t == 0
        assert state.m.shape == x.shape


@pytest.mark.parametrize("wrong", [None, "adam", len, lambda x, g, state: x, lambda x, g: x, 3])
def test_initial_state_of_something_else_is_a_type_error(wrong):
    with pytest.raises(TypeError, match="rule must have a parameter 'state'"):
        initial_state(wrong, start())


def test_states_are_shared_by_families():
    kinds = {rule.__name__: type(initial_state(rule, start())).__name__ for rule in REFERENCES}
    assert kinds == {
        "sgd": "Stateless",
        "momentum": "Velocity",
        "nesterov": "Velocity",
        "adagrad": "Accumulator",
        "rmsprop": "Accumulator",
        "adadelta": "SquaredDeltas",
        "adam": "Moments",
        "yogi": "Moments",
        "adamax": "MaxNorm",
        "nadam": "ScheduledMoments",
        "nadam_constant": "Moments",
        "amsgrad": "MaxMoments",
        "adamw": "Moments",
    }


@every_rule
def test_the_new_state_has_the_order_of_the_fields(rule):
    """Each field, by its name, is what its comment says after two known gradients."""
    hyper, x = REFERENCES[rule].settings, np.zeros(2)
    g1, g2 = np.array([1.0, -2.0]), np.array([-3.0, 0.5])
    _, state = rule(x, g1, initial_state(rule, x), **hyper)
    _, state = rule(x, g2, state, **hyper)
    b1, b2 = hyper.get("beta1"), hyper.get("beta2", hyper.get("rho"))
    expected = {"t": 2}
    if b1:
        expected["m"] = (1 - b1) * (b1 * g1 + g2)
    if b2:
        expected["v"] = (1 - b2) * (b2 * g1**2 + g2**2)
    if rule in (rules.momentum, rules.nesterov):
        expected["v"] = hyper["beta"] * g1 + g2
    if rule is rules.adagrad:
        expected["v"] = g1**2 + g2**2
    if rule is rules.yogi:  # first g**2 is above v = 0; then 9 is above, 0.25 below v of about 0.2
        v1 = (1 - b2) * g1**2
        expected["v"] = v1 + (1 - b2) * g2**2 * np.sign(g2**2 - v1)
    if rule is rules.adamax:
        expected["u"] = np.maximum(b2 * np.abs(g1), np.abs(g2))
    if rule is rules.amsgrad:
        expected["v_max"] = np.maximum((1 - b2) * g1**2, expected["v"])
    if rule is rules.nadam:
        mu1, mu2 = (b1 * (1 - 0.5 * 0.96 ** (t * hyper["psi"])) for t in (1, 2))
        expected["m"] = mu2 * (1 - mu1) * g1 + (1 - mu2) * g2
        expected["mu_prod"] = mu1 * mu2
    if rule is rules.adadelta:
        eps, v1 = hyper["eps"], (1 - b2) * g1**2
        d1 = np.sqrt(eps) / np.sqrt(v1 + eps) * g1
        q1 = (1 - b2) * d1**2
        d2 = np.sqrt(q1 + eps) / np.sqrt(expected["v"] + eps) * g2
        expected["q"] = b2 * q1 + (1 - b2) * d2**2
    for name, value in state._asdict().items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-14, err_msg=name)
