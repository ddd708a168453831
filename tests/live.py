"""The libraries' own optimizers on three problems, and how far ours may be compared with them.

Every optimizer here acts on each coordinate alone, so one run of a library steps all problems, laid
beside each other in one vector.  A run is made once and kept: no test changes what it depends on.
"""

import inspect
from importlib import import_module

import numpy as np

from firstorder.adapters.libraries import _import_keras, iterates
from oracles import follow, gradients, start
from test_rules_libraries import closed_loops

KERAS_WARNING = "ignore:__array__ implementation"  # Keras on the torch backend, with NumPy 2
MODULES = {"torch": "torch.optim", "keras": "keras.optimizers", "optax": "optax"}
STEPS = 100
RECORDED_GRADIENTS = gradients()
# start and gradient(t, x) of each; only the gradients of the last two depend on the iterate
PROBLEMS = {"recorded": (start(), lambda t, x: RECORDED_GRADIENTS[t - 1]), **closed_loops()}

AWAY = {  # values that no library has as its default
    "lr": 0.03,
    "learning_rate": 0.03,
    "lr_decay": 0.05,
    "momentum": 0.8,
    "dampening": 0.3,
    "weight_decay": 0.1,
    "betas": (0.7, 0.95),
    "beta_1": 0.7,
    "b1": 0.7,
    "beta_2": 0.95,
    "b2": 0.95,
    "alpha": 0.8,
    "rho": 0.8,
    "decay": 0.8,
    "gamma": 0.8,
    "eps": 2e-3,
    "epsilon": 2e-3,
    "eps_root": 1e-3,
    "momentum_decay": 0.3,
    "initial_accumulator_value": 0.3,
    "initial_scale": 0.3,
}


def defaults_of(function):
    """The options of a library's or our optimizer, with their defaults; ``empty`` if required."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in ("x", "g", "state", "params")}


def constructor(framework, optimizer):
    """The class or function that makes an optimizer of a library."""
    if framework == "keras":
        _import_keras()  # on the backend that ``iterates`` takes
    return getattr(import_module(MODULES[framework]), optimizer)


RUNS = {}  # what ``steps_of`` has already returned


def steps_of(framework, optimizer, settings):
    """Iterates of a library, problem -> (STEPS + 1, d)."""
    key = framework, optimizer, tuple(settings.items())
    if key not in RUNS:
        starts, functions = zip(*PROBLEMS.values(), strict=True)
        ends = np.cumsum([len(x) for x in starts])[:-1]

        def gradient(t, x):
            parts = zip(functions, np.split(x, ends), strict=True)
            return np.concatenate([function(t, part) for function, part in parts])

        path = iterates(framework, optimizer, np.concatenate(starts), gradient, STEPS, **settings)
        path.flags.writeable = False
        RUNS[key] = dict(zip(PROBLEMS, np.split(path, ends, axis=1), strict=True))
    return RUNS[key]


def stable_path(rule, x, gradient, steps=STEPS):
    """Iterates of a rule, as far as a start moved by one bit moves none by 1e-12 of its largest.

    Beyond that two correct programs part, because they do not round alike.
    """
    with np.errstate(all="ignore"):
        ours = follow(rule, x, gradient, steps)
        moved = follow(rule, np.nextafter(x, np.inf), gradient, steps)
        apart = (np.abs(ours - moved) > 1e-12 * scale(ours)).any(axis=1)
    return ours[: np.argmax(apart)] if apart.any() else ours


def scale(path):
    """Per coordinate the largest value, or 1 if that is larger: the unit of tolerances."""
    return np.maximum(1.0, np.abs(path).max(axis=0))


def distance(ours, theirs):
    """Largest difference of two paths, in units of ``scale``; infinite where ours is not finite."""
    with np.errstate(all="ignore"):
        apart = (np.abs(ours - theirs[: len(ours)]) / scale(theirs)).max()
    return apart if np.isfinite(apart) else np.inf
