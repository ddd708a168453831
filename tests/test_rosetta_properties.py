"""The dialects of ``rosetta`` against the libraries: at random settings, and under a schedule."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from firstorder.adapters.libraries import _float64, iterates
from firstorder.hyperparameters import names
from firstorder.rosetta import DIALECTS, equivalent
from firstorder.run import run
from live import (
    AWAY,
    KERAS_WARNING,
    RECORDED_GRADIENTS,
    STEPS,
    constructor,
    defaults_of,
    distance,
    stable_path,
)
from oracles import start

pytestmark = pytest.mark.filterwarnings(KERAS_WARNING)
deterministic = settings(derandomize=True, deadline=None, max_examples=10, database=None)


def powers_of_ten(low, high):
    return st.floats(low, high).map(lambda exponent: 10.0**exponent)


FRACTIONS = st.floats(0.0, 0.999)
OPTIONS = {
    "lr": powers_of_ten(-4, -0.5),
    "learning_rate": powers_of_ten(-4, -0.5),
    "lr_decay": st.floats(0.0, 0.3),
    "momentum": FRACTIONS,
    "dampening": st.floats(0.0, 1.0),
    "weight_decay": st.floats(0.0, 0.3),
    "betas": st.tuples(FRACTIONS, FRACTIONS),
    "beta_1": FRACTIONS,
    "b1": FRACTIONS,
    "beta_2": FRACTIONS,
    "b2": FRACTIONS,
    "alpha": FRACTIONS,
    "rho": FRACTIONS,
    "decay": FRACTIONS,
    "eps": powers_of_ten(-12, -1),
    "epsilon": powers_of_ten(-12, -1),
    "eps_root": st.just(0.0) | powers_of_ten(-12, -1),
    "momentum_decay": st.floats(0.0, 2.0),
    "initial_accumulator_value": st.floats(0.0, 1.0),
    "initial_scale": st.floats(0.0, 1.0),
}


@st.composite
def options_of(draw, framework, optimizer):
    """Settings of a dialect; each option that has a default may be left out."""
    hyper = {}
    for p in list(inspect.signature(DIALECTS[framework][optimizer]).parameters.values())[3:]:
        if p.default is p.empty or draw(st.booleans()):
            hyper[p.name] = draw(OPTIONS.get(p.name, st.booleans()))
    if framework == "torch" and hyper.get("nesterov"):  # torch refuses others
        hyper |= {"dampening": 0.0, "momentum": max(0.1, hyper.get("momentum", 0.0))}
    if hyper.get("centered"):  # else v - m**2 is nothing but rounding after a single gradient
        hyper |= {
            name: max(0.1, hyper[name]) for name in ("alpha", "rho", "decay") if name in hyper
        }
        if hyper.get("bias_correction"):
            hyper["initial_scale"] = max(0.1, hyper.get("initial_scale", 0.0))
    return hyper


@st.composite
def histories(draw, dimension=6):
    """Gradients (30 to 100, dimension) of several sizes, with exact zeros and a spike."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    steps = draw(st.integers(30, 100))
    G = rng.standard_normal((steps, dimension)) * np.logspace(-3, 1, dimension)
    G[rng.random(G.shape) < draw(st.sampled_from([0.0, 0.1, 0.5]))] = 0.0
    G[rng.random(steps) < 0.05] = 0.0
    G[draw(st.integers(0, steps - 1))] *= draw(st.sampled_from([1.0, 1000.0, -300.0]))
    return G


every_dialect = pytest.mark.parametrize(
    ("framework", "optimizer"),
    [(framework, o) for framework in ("torch", "keras", "optax") for o in DIALECTS[framework]],
)


@every_dialect
@deterministic
@given(data=st.data())
def test_dialect_is_the_library(framework, optimizer, data):
    hyper, G = data.draw(options_of(framework, optimizer)), data.draw(histories())
    x = np.linspace(-1.0, 2.0, G.shape[1])
    theirs = iterates(framework, optimizer, x, lambda t, x: G[t - 1], len(G), **hyper)
    rule = equivalent(framework, optimizer, **hyper)
    ours = stable_path(rule, x, lambda t, x: G[t - 1], len(G))
    assert len(ours) > 20
    assert distance(ours, theirs) < 1e-10


# A learning rate that falls -----------------------------------------------------------------------

FALLING = 0.1 / np.sqrt(np.arange(1, STEPS + 1))


class Recorded:
    """An objective whose gradient at step t is given, whatever the point is."""

    def value(self, x):
        return np.zeros(x.shape[:-1])

    def gradient(self, x, t):
        return RECORDED_GRADIENTS[t - 1]


def torch_scheduled(optimizer, hyper):
    tensor = torch.tensor(np.array(start()), requires_grad=True)
    own = constructor("torch", optimizer)([tensor], **hyper)
    for lr, g in zip(FALLING, RECORDED_GRADIENTS, strict=True):
        own.param_groups[0]["lr"] = lr
        tensor.grad = torch.tensor(np.array(g))
        own.step()
        yield tensor.detach().numpy().copy()


def keras_scheduled(optimizer, hyper):
    import keras

    variable = keras.Variable(start(), dtype="float64")
    own = constructor("keras", optimizer)(**hyper)
    for lr, g in zip(FALLING, RECORDED_GRADIENTS, strict=True):
        own.learning_rate.assign(lr)
        own.apply([keras.ops.convert_to_tensor(np.array(g))], [variable])
        yield np.array(keras.ops.convert_to_numpy(variable.value))


def scheduled(framework, optimizer, hyper):
    """Iterates of the library on recorded gradients while its learning rate is ``FALLING``."""
    if framework == "optax":
        import jax.numpy as jnp

        hyper = {**hyper, "learning_rate": lambda count: jnp.asarray(FALLING)[count]}
        gradient = lambda t, x: RECORDED_GRADIENTS[t - 1]  # noqa: E731
        return iterates(framework, optimizer, start(), gradient, STEPS, **hyper)
    steps = {"torch": torch_scheduled, "keras": keras_scheduled}[framework]
    with _float64(framework):
        return np.stack([start(), *steps(optimizer, hyper)])


def ours_scheduled(rule):
    name = "lr" if "lr" in names(rule) else "learning_rate"
    return run(rule, Recorded(), start(), STEPS, **{name: lambda t: FALLING[t - 1]}).x


@every_dialect
def test_a_falling_learning_rate_acts_as_in_the_library(framework, optimizer):
    """All numbers away from their defaults: a buffer that holds the learning rate shows it."""
    options = defaults_of(DIALECTS[framework][optimizer])
    hyper = {n: AWAY[n] for n in options if n in AWAY and n not in ("lr", "learning_rate")}
    theirs = scheduled(framework, optimizer, hyper)
    assert distance(ours_scheduled(equivalent(framework, optimizer, **hyper)), theirs) < 1e-12


def test_the_momenta_of_torch_and_keras_part_under_a_falling_learning_rate():
    """Equal for a constant one, with and without Nesterov; Optax has torch's."""
    for nesterov in (False, True):
        hyper = {"momentum": 0.8, "nesterov": nesterov}
        torch_, keras_, optax_ = (
            equivalent(*dialect, **hyper)
            for dialect in [("torch", "SGD"), ("keras", "SGD"), ("optax", "sgd")]
        )
        constant = [
            run(rule, Recorded(), start(), STEPS, **{name: 0.1}).x
            for rule, name in [(torch_, "lr"), (keras_, "learning_rate"), (optax_, "learning_rate")]
        ]
        assert distance(constant[0], constant[1]) < 1e-12
        assert distance(constant[0], constant[2]) < 1e-12
        assert distance(ours_scheduled(torch_), ours_scheduled(keras_)) > 0.01
        assert distance(ours_scheduled(torch_), ours_scheduled(optax_)) < 1e-12
        theirs = scheduled("torch", "SGD", hyper), scheduled("keras", "SGD", hyper)
        assert distance(*theirs) > 0.01
