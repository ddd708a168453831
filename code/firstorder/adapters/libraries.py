"""The optimizers of torch, Keras and Optax themselves, run in float64: what ``rosetta`` must equal.

path = iterates("keras", "Adam", start, lambda t, x: 2 * x, 100, learning_rate=0.01)

Keras runs on the backend that the environment variable KERAS_BACKEND names, or on torch.
"""

import os
from contextlib import contextmanager

import numpy as np

from firstorder.hyperparameters import check_whole


def iterates(framework, optimizer, start, gradient, steps, **hyper):
    """Return the iterates (steps + 1, d) of an optimizer of a library.

    ``framework``  "torch", "keras" or "optax"
    ``optimizer``  the library's own name of it
    ``start``      (d,), floating point
    ``gradient``   a function of the step, 1, 2, ..., and the point before it, both NumPy; None for
                   a step at which torch gets no gradient
    ``hyper``      by the library's names, passed on as they are

    Raises ``ValueError`` for an unknown framework or optimizer, and what the library raises.
    """
    steps = check_whole("steps", steps)
    if framework not in _STEPPERS:
        raise ValueError(f"framework must be one of {', '.join(_STEPPERS)}, got {framework!r}")
    with _float64(framework):
        x = np.array(start, dtype=np.float64)
        step = _STEPPERS[framework](optimizer, x, hyper)
        path = [x]
        for t in range(1, steps + 1):
            path.append(step(gradient(t, path[-1])))
    return np.stack(path)


def _torch(optimizer, x, hyper):
    import torch

    tensor = torch.tensor(x, requires_grad=True)
    optimizer = _named(torch.optim, optimizer)([tensor], **hyper)

    def step(g):
        tensor.grad = None if g is None else torch.tensor(np.asarray(g))
        optimizer.step()
        return tensor.detach().numpy().copy()

    return step


def _keras(optimizer, x, hyper):
    keras = _import_keras()
    variable = keras.Variable(x, dtype="float64")
    optimizer = _named(keras.optimizers, optimizer)(**hyper)
    optimizer.build([variable])

    def step(g):
        optimizer.apply([keras.ops.convert_to_tensor(g, dtype="float64")], [variable])
        return np.array(keras.ops.convert_to_numpy(variable.value))

    return step


def _optax(optimizer, x, hyper):
    import jax
    import jax.numpy as jnp
    import optax

    optimizer = _named(optax, optimizer)(**hyper)
    x, state = jnp.asarray(x), optimizer.init(jnp.asarray(x))

    @jax.jit
    def update(x, g, state):
        updates, state = optimizer.update(g, state, x)
        return optax.apply_updates(x, updates), state

    def step(g):
        nonlocal x, state
        x, state = update(x, jnp.asarray(g), state)
        return np.array(x)

    return step


_STEPPERS = {"torch": _torch, "keras": _keras, "optax": _optax}


@contextmanager
def _float64(framework):
    """Make float64 the default: NAdam of torch keeps a product, Keras lr, in the default dtype."""
    if framework == "optax":
        import jax

        before = jax.config.jax_enable_x64
        jax.config.update("jax_enable_x64", True)  # releases differ in a context for it
        try:
            yield
        finally:
            jax.config.update("jax_enable_x64", before)
        return
    import torch

    keras = _import_keras() if framework == "keras" else None
    dtype, floatx = torch.get_default_dtype(), keras and keras.config.floatx()
    torch.set_default_dtype(torch.float64)
    if keras:
        keras.config.set_floatx("float64")
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        if keras:
            keras.config.set_floatx(floatx)


def _import_keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    return keras


def _named(module, name):
    if not hasattr(module, name):
        raise ValueError(f"{module.__name__} has no optimizer {name!r}")
    return getattr(module, name)
