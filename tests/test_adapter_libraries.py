"""The adapter that runs the libraries' own optimizers: what it returns, refuses and restores."""

import numpy as np
import pytest
import torch

from firstorder.adapters.libraries import iterates
from live import KERAS_WARNING

pytestmark = pytest.mark.filterwarnings(KERAS_WARNING)
SGD = [("torch", "SGD", "lr"), ("keras", "SGD", "learning_rate"), ("optax", "sgd", "learning_rate")]
every_library = pytest.mark.parametrize(("framework", "optimizer", "lr"), SGD)


def double(t, x):
    return 2 * x


@every_library
def test_sgd_on_a_parabola_is_a_geometric_sequence(framework, optimizer, lr):
    path = iterates(framework, optimizer, [1.0, -3.0], double, 50, **{lr: 0.1})
    assert path.dtype == np.float64
    np.testing.assert_allclose(path, np.outer(0.8 ** np.arange(51), [1.0, -3.0]), rtol=1e-13)


@every_library
def test_the_gradient_is_told_the_step_and_the_point_before_it(framework, optimizer, lr):
    asked = []

    def gradient(t, x):
        asked.append((t, x.copy()))
        return np.ones(2)

    path = iterates(framework, optimizer, np.zeros(2), gradient, 3, **{lr: 0.5})
    assert [t for t, _ in asked] == [1, 2, 3]
    np.testing.assert_array_equal([x for _, x in asked], path[:-1])
    np.testing.assert_array_equal(path[:, 0], [0.0, -0.5, -1.0, -1.5])


@every_library
def test_the_start_is_kept_and_the_iterates_are_separate(framework, optimizer, lr):
    """A float32 start becomes float64; a gradient may be read-only and is not changed."""
    start, g = np.array([1.0, 2.0], np.float32), np.array([0.1, 0.2])
    start.flags.writeable = g.flags.writeable = False
    path = iterates(framework, optimizer, start, lambda t, x: g, 4, **{lr: 0.5})
    np.testing.assert_allclose(path, start - 0.5 * np.outer(np.arange(5), [0.1, 0.2]), rtol=1e-15)
    assert iterates(framework, optimizer, start, double, 0, **{lr: 0.5}).shape == (1, 2)


def test_float64_is_the_default_for_the_libraries_and_not_afterwards():
    """NAdam of torch keeps its product, and Keras its learning rate, in the default dtype."""
    import jax
    import keras

    before = torch.get_default_dtype(), keras.config.floatx(), jax.config.jax_enable_x64
    assert before == (torch.float32, "float32", False)
    seen = {}

    def gradient(framework):
        def looked_at(t, x):
            seen[framework] = (
                torch.get_default_dtype(),
                keras.config.floatx(),
                jax.config.jax_enable_x64,
            )
            return x

        return looked_at

    for framework, optimizer, lr in SGD:
        iterates(framework, optimizer, [1.0], gradient(framework), 1, **{lr: 0.1})
    assert seen["torch"][0] == seen["keras"][0] == torch.float64
    assert seen["keras"][1] == "float64"
    assert seen["optax"][2] is True
    assert (torch.get_default_dtype(), keras.config.floatx(), jax.config.jax_enable_x64) == before


@every_library
def test_the_default_dtype_is_restored_after_an_error(framework, optimizer, lr):
    import keras

    def broken(t, x):
        raise ArithmeticError("no gradient")

    with pytest.raises(ArithmeticError):
        iterates(framework, optimizer, [1.0], broken, 1, **{lr: 0.1})
    assert (torch.get_default_dtype(), keras.config.floatx()) == (torch.float32, "float32")


def test_torch_skips_a_step_without_a_gradient():
    """A gradient of None is none; one of zero is a step that momentum makes."""

    def gradient(nothing):
        return lambda t, x: np.ones(1) if t != 2 else nothing

    none = iterates("torch", "Adam", [0.0], gradient(None), 3, lr=0.1)[:, 0]
    zero = iterates("torch", "Adam", [0.0], gradient(np.zeros(1)), 3, lr=0.1)[:, 0]
    assert none[1] == none[2] == pytest.approx(-0.1)
    assert zero[2] - zero[1] == pytest.approx(-0.067, abs=1e-3)


def test_an_unknown_framework_or_optimizer_is_a_value_error():
    with pytest.raises(ValueError, match="framework must be one of torch, keras, optax, got 'd2l'"):
        iterates("d2l", "adam", [1.0], double, 1, lr=0.1)
    for framework, module in [("torch", "torch.optim"), ("keras", "keras.*"), ("optax", "optax")]:
        with pytest.raises(ValueError, match=rf"{module} has no optimizer 'Madam'"):
            iterates(framework, "Madam", [1.0], double, 1)


def test_steps_must_be_a_whole_number():
    with pytest.raises(TypeError, match=r"steps must be a whole number, got 1\.5"):
        iterates("torch", "SGD", [1.0], double, 1.5)
    with pytest.raises(ValueError, match="steps must be at least 0, got -1"):
        iterates("torch", "SGD", [1.0], double, -1)


def test_what_the_library_refuses_is_its_own_error():
    with pytest.raises(ValueError, match="Nesterov momentum requires a momentum"):
        iterates("torch", "SGD", [1.0], double, 1, nesterov=True)
    with pytest.raises(TypeError, match="unexpected keyword"):
        iterates("optax", "sgd", [1.0], double, 1, lr=0.1)
