"""Training: against plain loops over torch.optim, against closed forms, and run against run."""

import functools
import io
import itertools
import sys

import numpy as np
import pytest
import torch

from firstorder import rules
from firstorder.datasets import Dataset, digits, minibatches
from firstorder.train import (
    History,
    linear_regression,
    mlp,
    softmax_regression,
    train,
)


def classes(n=70, n_val=23, d=6, k=4, seed=0):
    """Overlapping clouds, one a class; the last feature is always 0."""
    rng = np.random.default_rng(seed)
    centres = 1.5 * rng.standard_normal((k, d))
    y = rng.permutation(np.arange(n + n_val) % k)
    x = centres[y] + rng.standard_normal((n + n_val, d))
    x[:, -1] = 0
    return Dataset("clouds", "classification", x[:n], y[:n], x[n:], y[n:])


def line(n=60, n_val=20, d=3, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n + n_val, d)) @ np.diag([1.0, 0.6, 1.4])
    y = x @ [1.0, -2.0, 0.5] + 0.7 + 0.3 * rng.standard_normal(n + n_val)
    return Dataset("line", "regression", x[:n], y[:n], x[n:], y[n:])


# --------------------------------------------------------------------------------------------------
# One run is a plain loop over torch.optim


def torch_network(model, data, seed):
    """The same network out of torch's modules, with the same initial weights."""
    widths = model.widths(data)
    activation = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[model.activation]
    layers, at, start = [], 0, torch.from_numpy(model.start(data, seed))
    for inputs, outputs in itertools.pairwise(widths):
        linear = torch.nn.Linear(inputs, outputs, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(start[at : at + inputs * outputs].reshape(inputs, outputs).T)
            linear.bias.copy_(start[at + inputs * outputs : at + (inputs + 1) * outputs])
        at += (inputs + 1) * outputs
        layers += [linear, activation()]
    assert at == len(start)
    return torch.nn.Sequential(*layers[:-1])


def torch_loop(model, data, make_optimizer, *, epochs, batch_size, seed, schedule=None):
    """Train with torch's own modules, losses and optimizer; return what History records."""
    network = torch_network(model, data, seed)
    optimizer = make_optimizer(network.parameters())
    x, y, x_val, y_val = map(torch.from_numpy, data[2:6])
    if data.task == "regression":

        def criterion(outputs, y):
            return torch.nn.functional.mse_loss(outputs[:, 0], y) / 2
    else:
        criterion = torch.nn.functional.cross_entropy

    batches = minibatches(len(x), batch_size, epochs=epochs + 1, seed=seed)
    per_epoch = len(x) // batch_size
    loss, train_loss, val_loss, accuracy = [], [], [], []
    for k in range(epochs * per_epoch + 1):
        if k % per_epoch == 0:
            with torch.no_grad():
                train_loss.append(criterion(network(x), y).item())
                val_loss.append(criterion(network(x_val), y_val).item())
                accuracy.append((network(x_val).argmax(1) == y_val).double().mean().item())
        value = criterion(network(x[batches[k]]), y[batches[k]])
        loss.append(value.item())
        if k < epochs * per_epoch:
            if schedule is not None:
                optimizer.param_groups[0]["lr"] = schedule(k + 1)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    parts = [p for m in network if isinstance(m, torch.nn.Linear) for p in (m.weight.T, m.bias)]
    w = torch.cat([p.detach().flatten() for p in parts]).numpy()
    return loss, train_loss, val_loss, accuracy, w


def check_run(history, i, j, expected, tolerance=1e-10):
    loss, train_loss, val_loss, accuracy, w = expected
    np.testing.assert_allclose(history.loss[:, i, j], loss, rtol=0, atol=tolerance)
    np.testing.assert_allclose(history.train_loss[:, i, j], train_loss, rtol=0, atol=tolerance)
    np.testing.assert_allclose(history.val_loss[:, i, j], val_loss, rtol=0, atol=tolerance)
    np.testing.assert_allclose(history.parameters[i, j], w, rtol=0, atol=tolerance)
    if history.val_accuracy is not None:
        np.testing.assert_array_equal(history.val_accuracy[:, i, j], accuracy)


OPTIMIZERS = {
    "sgd": (rules.sgd, {"lr": 0.3}, torch.optim.SGD, {"lr": 0.3}),
    "momentum": (
        rules.momentum,
        {"lr": 0.07, "beta": 0.8},
        torch.optim.SGD,
        {"lr": 0.07, "momentum": 0.8},
    ),
    "nesterov": (
        rules.nesterov,
        {"lr": 0.05, "beta": 0.85},
        torch.optim.SGD,
        {"lr": 0.05, "momentum": 0.85, "nesterov": True},
    ),
    "adagrad": (
        rules.adagrad,
        {"lr": 0.1, "eps": 1e-3},
        torch.optim.Adagrad,
        {"lr": 0.1, "eps": 1e-3},
    ),
    "rmsprop": (
        rules.rmsprop,
        {"lr": 0.01, "rho": 0.8, "eps": 1e-4},
        torch.optim.RMSprop,
        {"lr": 0.01, "alpha": 0.8, "eps": 1e-4},
    ),
    "adadelta": (
        rules.adadelta,
        {"lr": 2.0, "rho": 0.9, "eps": 1e-4},
        torch.optim.Adadelta,
        {"lr": 2.0, "rho": 0.9, "eps": 1e-4},
    ),
    "adam": (
        rules.adam,
        {"lr": 0.02, "beta1": 0.8, "beta2": 0.95, "eps": 1e-5},
        torch.optim.Adam,
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-5},
    ),
    "adamax": (
        rules.adamax,
        {"lr": 0.03, "beta1": 0.85, "beta2": 0.97, "eps": 1e-14},
        torch.optim.Adamax,
        {"lr": 0.03, "betas": (0.85, 0.97), "eps": 1e-14},
    ),
    "adamw": (
        rules.adamw,
        {"lr": 0.02, "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.2},
        torch.optim.AdamW,
        {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.2},
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_is_a_loop_over_torch_optim(name):
    rule, ours, optimizer, theirs = OPTIMIZERS[name]
    model, data, settings = mlp((7, 5)), classes(), {"epochs": 9, "batch_size": 16}
    history = train(model, data, rule, seeds=[11], **settings, **ours)
    expected = torch_loop(model, data, lambda p: optimizer(p, **theirs), seed=11, **settings)
    check_run(history, 0, 0, expected)
    assert history.train_loss[-1, 0, 0] < 0.7 * history.train_loss[0, 0, 0]  # it did train


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (linear_regression, line()),
        (softmax_regression, classes()),
        (mlp(8, "relu"), classes()),
        (mlp((6, 4), "relu"), line()),
        (mlp(5, "tanh"), line()),
    ],
    ids=lambda value: value.name,
)
def test_every_model_is_that_of_torch(model, data):
    settings = {"epochs": 6, "batch_size": 9}
    history = train(model, data, rules.adam, lr=0.03, seeds=[4], **settings)
    expected = torch_loop(model, data, lambda p: torch.optim.Adam(p, 0.03), seed=4, **settings)
    check_run(history, 0, 0, expected)


def test_many_runs_at_once_are_loops_over_torch_optim():
    lrs, seeds = [0.003, 0.01, 0.1], [5, 2]
    model, data, settings = mlp(6), classes(), {"epochs": 5, "batch_size": 20}
    history = train(model, data, rules.adam, lr=lrs, beta1=0.7, seeds=seeds, **settings)
    for i, lr in enumerate(lrs):
        for j, seed in enumerate(seeds):
            make = functools.partial(torch.optim.Adam, lr=lr, betas=(0.7, 0.999))
            check_run(history, i, j, torch_loop(model, data, make, seed=seed, **settings))


def test_a_schedule_is_a_function_of_the_step():
    def schedule(t):
        return 0.5 / t**0.5

    model, data, settings = mlp(6), classes(), {"epochs": 5, "batch_size": 20}
    history = train(model, data, rules.sgd, lr=schedule, seeds=[3], **settings)
    expected = torch_loop(
        model, data, lambda p: torch.optim.SGD(p, 1.0), seed=3, schedule=schedule, **settings
    )
    check_run(history, 0, 0, expected)
    np.testing.assert_array_equal(history.lr, [0.5])


# --------------------------------------------------------------------------------------------------
# Run against run


@pytest.mark.parametrize("rule", [*rules.RULES, rules.nadam_constant], ids=lambda r: r.__name__)
def test_many_runs_at_once_equal_separate_runs(rule):
    lrs, seeds = np.array([0.004, 0.02, 0.05]), [7, 1, 8]
    settings = {"epochs": 4, "batch_size": 12}
    together = train(mlp(5), classes(), rule, lr=lrs, seeds=seeds, **settings)
    for i, lr in enumerate(lrs):
        for j, seed in enumerate(seeds):
            alone = train(mlp(5), classes(), rule, lr=lr, seeds=[seed], **settings)
            np.testing.assert_allclose(together.loss[:, i, j], alone.loss[:, 0, 0], atol=1e-10)
            np.testing.assert_allclose(together.parameters[i, j], alone.parameters[0, 0], atol=1e-9)


def test_paired_hyperparameters_follow_the_learning_rates():
    lrs, betas = [0.01, 0.05, 0.02], [0.5, 0.9, 0.99]
    settings = {"epochs": 4, "batch_size": 12, "seeds": 2}
    paired = train(mlp(5), classes(), rules.adam, lr=lrs, beta2=betas, **settings)
    for i in range(3):
        alone = train(mlp(5), classes(), rules.adam, lr=lrs[i], beta2=betas[i], **settings)
        np.testing.assert_allclose(paired.loss[:, i], alone.loss[:, 0], atol=1e-10)
    one_lr = train(mlp(5), classes(), rules.adam, lr=0.05, beta2=betas, **settings)
    np.testing.assert_array_equal(one_lr.lr, [0.05, 0.05, 0.05])
    np.testing.assert_allclose(one_lr.loss[:, 1], paired.loss[:, 1], atol=1e-10)


def test_a_schedule_of_several_learning_rates():
    lrs = np.array([0.1, 0.3])
    settings = {"epochs": 4, "batch_size": 12, "seeds": 2}
    together = train(mlp(5), classes(), rules.sgd, lr=lambda t: lrs * 0.9**t, **settings)
    np.testing.assert_allclose(together.lr, [0.09, 0.27])
    for i in range(2):
        alone = train(mlp(5), classes(), rules.sgd, lr=lambda t, i=i: lrs[i] * 0.9**t, **settings)
        np.testing.assert_allclose(together.loss[:, i], alone.loss[:, 0], atol=1e-10)


def test_a_permuted_grid_permutes_the_results():
    lrs, order = np.array([0.001, 0.3, 0.02, 0.1]), [2, 0, 3, 1]
    settings = {"epochs": 4, "batch_size": 12, "seeds": 3}
    first = train(mlp(5), classes(), rules.momentum, lr=lrs, **settings)
    second = train(mlp(5), classes(), rules.momentum, lr=lrs[order], **settings)
    for name in ("loss", "train_loss", "val_loss", "val_accuracy"):
        ours, theirs = getattr(first, name), getattr(second, name)
        np.testing.assert_allclose(ours[:, order], theirs, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(first.lr[order], second.lr)
    assert first.best().lr == second.best().lr


@pytest.mark.parametrize("model", [mlp(5, "relu"), mlp(5, "tanh"), linear_regression])
def test_a_diverging_run_leaves_the_others_alone(model):
    settings = {"epochs": 40, "batch_size": 12, "seeds": 3}
    calm = train(model, line(), rules.sgd, lr=[0.01, 0.02, 0.05], **settings)
    wild = train(model, line(), rules.sgd, lr=[0.01, 1e200, 0.05], **settings)
    assert (calm.diverged_at == -1).all()
    for name in ("loss", "train_loss", "val_loss"):
        np.testing.assert_array_equal(getattr(calm, name)[:, ::2], getattr(wild, name)[:, ::2])
    np.testing.assert_array_equal(calm.parameters[::2], wild.parameters[::2])
    assert (wild.diverged_at[::2] == -1).all()
    assert (wild.diverged_at[1] > 0).all()
    assert not np.isfinite(wild.train_loss[-1, 1]).any()


def test_diverged_at_is_the_first_step_that_is_not_finite():
    settings = {"epochs": 60, "batch_size": 12, "seeds": 4}
    wild = train(linear_regression, line(), rules.sgd, lr=[0.1, 40.0, 900.0], **settings)
    first = np.where(np.isfinite(wild.loss).all(0), -1, (~np.isfinite(wild.loss)).argmax(0))
    np.testing.assert_array_equal(wild.diverged_at, first)
    assert (first[1] > first[2]).all()
    assert (first[2] > 1).all()


def test_parameters_that_are_not_finite_count_as_diverged():
    # a relu hides a bias of minus infinity from the loss
    bias = torch.zeros(3 * 4 + 4 + 4 + 1, dtype=torch.float64)
    bias[3 * 4 + 2] = torch.inf

    def sink(x, g, state: rules.Stateless, *, lr=1.0):
        return (x - bias if lr > 1 else x), state

    settings = {"epochs": 1, "batch_size": 30, "seeds": 2}
    history = train(mlp(4, "relu"), line(), sink, lr=2.0, **settings)
    assert np.isfinite(history.loss).all()
    np.testing.assert_array_equal(history.diverged_at, [[1, 1]])
    history = train(mlp(4, "relu"), line(), sink, lr=0.5, **settings)
    np.testing.assert_array_equal(history.diverged_at, [[-1, -1]])


def test_divergence_can_be_an_error():
    settings = {"epochs": 60, "batch_size": 12, "seeds": [6, 9]}
    at = train(linear_regression, line(), rules.sgd, lr=[0.1, 900.0], **settings).diverged_at[1]
    step, seed = min(zip(at, (6, 9), strict=True))
    with pytest.raises(
        FloatingPointError, match=f"at step {step} with learning rate 900 and seed {seed}"
    ):
        train(
            linear_regression, line(), rules.sgd, lr=[0.1, 900.0], on_nonfinite="raise", **settings
        )


def test_runs_repeat_and_leave_the_global_random_state_alone():
    settings = {"epochs": 2, "batch_size": 12, "seeds": 2}
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = train(mlp(5), classes(), rules.adam, **settings)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    torch.manual_seed(99)
    second = train(mlp(5), classes(), rules.adam, **settings)
    np.testing.assert_array_equal(first.loss, second.loss)
    np.testing.assert_array_equal(first.parameters, second.parameters)


def test_a_seed_fixes_weights_and_batches_for_every_learning_rate_and_rule():
    settings = {"epochs": 1, "batch_size": 12, "seeds": [3, 4]}
    adam = train(mlp(5), classes(), rules.adam, lr=[0.1, 0.2], **settings)
    sgd = train(mlp(5), classes(), rules.sgd, lr=[0.0, 0.0], **settings)
    np.testing.assert_allclose(adam.loss[0, 0], adam.loss[0, 1], rtol=1e-14)
    np.testing.assert_allclose(adam.loss[0], sgd.loss[0], rtol=1e-14)
    assert adam.loss[0, 0, 0] != adam.loss[0, 0, 1]
    # at rest the loss follows the batches alone, the same for both runs of a seed
    np.testing.assert_allclose(sgd.loss[:, 0], sgd.loss[:, 1], rtol=1e-14)
    assert (np.diff(sgd.loss[:, 0], axis=0) != 0).all()


def test_initial_weights():
    data = classes(d=400, k=10, n=500)
    for activation, gain in (("tanh", 1), ("relu", 2)):
        w = mlp((300, 200), activation).start(data, 5)
        first, second = w[: 400 * 300], w[400 * 300 + 300 :][: 300 * 200]
        third = w[400 * 300 + 300 + 300 * 200 + 200 :][: 200 * 10]
        assert first.var() == pytest.approx(gain / 400, rel=0.03)
        assert second.var() == pytest.approx(gain / 300, rel=0.03)
        assert third.var() == pytest.approx(1 / 200, rel=0.1)
        assert abs(first.mean()) < 4 * first.std() / np.sqrt(first.size)
        assert (w[400 * 300 :][:300] == 0).all()
        assert (w[-10:] == 0).all()
    assert softmax_regression.start(data, 5)[:4000].std() == pytest.approx(0.01, rel=0.05)


# --------------------------------------------------------------------------------------------------
# Known answers


def test_linear_regression_reaches_least_squares():
    data = line()
    design = np.c_[data.x_train, np.ones(60)]
    w, *_ = np.linalg.lstsq(design, data.y_train)
    lowest = 0.5 * np.mean((design @ w - data.y_train) ** 2)
    history = train(
        linear_regression, data, rules.sgd, lr=[0.3, 0.5], epochs=400, batch_size=60, seeds=2
    )
    np.testing.assert_allclose(history.parameters, np.broadcast_to(w, (2, 2, 4)), atol=1e-10)
    np.testing.assert_allclose(history.train_loss[-1], lowest, rtol=1e-12)


def test_the_first_step_of_linear_regression_by_hand():
    # the factor two trap: the gradient is the mean of (prediction - y) x, without a 2
    data = line()
    settings = {"epochs": 1, "batch_size": 60, "seeds": [2]}
    history = train(linear_regression, data, rules.sgd, lr=0.25, **settings)
    w = linear_regression.start(data, 2)
    design = np.c_[data.x_train, np.ones(60)]
    error = design @ w - data.y_train
    np.testing.assert_allclose(history.loss[0, 0, 0], np.mean(error**2) / 2, rtol=1e-12)
    np.testing.assert_allclose(
        history.parameters[0, 0], w - 0.25 * design.T @ error / 60, rtol=0, atol=1e-14
    )


def test_digits_are_learnt():
    data = digits()
    settings = {"lr": [0.01, 0.02], "epochs": 4, "batch_size": 32, "seeds": 2}
    softmax = train(softmax_regression, data, rules.adam, **settings)
    assert (softmax.final("val_accuracy") > 0.93).all()
    network = train(mlp(32), data, rules.adam, **settings)
    assert (network.final("val_accuracy") > 0.95).all()
    assert (network.val_accuracy[0] < 0.3).all()
    assert (network.train_loss[-1] < 0.1 * network.train_loss[0]).all()


def test_float32_agrees_to_its_precision():
    settings = {"lr": [0.003, 0.01], "epochs": 3, "batch_size": 12, "seeds": 2}
    double = train(mlp(5), classes(), rules.adam, **settings)
    single = train(mlp(5), classes(), rules.adam, dtype="float32", **settings)
    assert double.parameters.dtype == np.float64
    assert single.parameters.dtype == np.float32
    np.testing.assert_allclose(single.loss, double.loss, rtol=2e-5)
    assert (single.loss != double.loss).any()


# --------------------------------------------------------------------------------------------------
# History


def test_shapes_and_labels():
    rule = functools.partial(rules.adam, beta1=0.5)
    history = train(
        mlp((4, 3)), classes(), rule, lr=[0.1, 0.2, 0.3], epochs=2, batch_size=16, seeds=5
    )
    assert (history.steps, history.epochs) == (8, 2)
    assert history.loss.shape == (9, 3, 5)
    for metric in (history.train_loss, history.val_loss, history.val_accuracy):
        assert metric.shape == (3, 3, 5)
        assert metric.dtype == np.float64
    assert history.diverged_at.shape == (3, 5)
    assert history.parameters.shape == (3, 5, (6 + 1) * 4 + (4 + 1) * 3 + (3 + 1) * 4)
    np.testing.assert_array_equal(history.lr, [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(history.seeds, range(5))
    assert (history.rule, history.model, history.data) == ("adam", "MLP 4-3", "clouds")
    assert history.hyper == {"lr": [0.1, 0.2, 0.3]}
    assert history.seconds > 0


def test_partial_rules_and_defaults():
    settings = {"epochs": 2, "batch_size": 12, "seeds": 2}
    bound = train(mlp(4), classes(), functools.partial(rules.adam, lr=0.04, beta1=0.5), **settings)
    given = train(mlp(4), classes(), rules.adam, lr=0.04, beta1=0.5, **settings)
    np.testing.assert_array_equal(bound.loss, given.loss)
    np.testing.assert_array_equal(bound.lr, [0.04])
    np.testing.assert_array_equal(train(mlp(4), classes(), rules.adamax, **settings).lr, [0.002])


def test_without_a_validation_part():
    data = line()
    data = data._replace(x_val=data.x_val[:0], y_val=data.y_val[:0])
    history = train(linear_regression, data, rules.sgd, epochs=1, batch_size=10, seeds=1)
    assert history.val_loss is None
    assert history.val_accuracy is None
    with pytest.raises(ValueError, match="of must be a metric that was measured, got 'val_loss'"):
        history.final("val_loss")


def test_a_regression_has_no_accuracy():
    history = train(linear_regression, line(), rules.sgd, epochs=1, batch_size=10, seeds=1)
    assert history.val_accuracy is None
    assert history.val_loss.shape == (2, 1, 1)


def made_up(train_loss, lr, **metrics):
    """A History of 4 steps an epoch out of (epochs + 1, n_lr, n_seeds) metrics."""
    train_loss = np.asarray(train_loss, dtype=float)
    epochs, n_lr, n_seeds = train_loss.shape
    filled = {
        "loss": np.zeros((4 * (epochs - 1) + 1, n_lr, n_seeds)),
        "val_loss": None,
        "val_accuracy": None,
        "diverged_at": np.full((n_lr, n_seeds), -1),
        "parameters": np.zeros((n_lr, n_seeds, 1)),
        "seeds": np.arange(n_seeds),
        "seconds": 1.0,
    } | metrics
    return History(train_loss=train_loss, lr=np.asarray(lr, dtype=float), **filled)


def test_quantiles_are_those_of_numpy():
    values = np.random.default_rng(0).random((4, 3, 7))
    history = made_up(values, [1, 2, 3])
    shares = (0.0, 0.1, 0.25, 0.5, 0.77, 1.0)
    expected = np.quantile(values, shares, axis=-1)
    np.testing.assert_allclose(history.quantiles(shares), expected, rtol=1e-14)
    np.testing.assert_allclose(history.quantiles()[1], history.median(), rtol=0)
    np.testing.assert_allclose(history.median(), np.median(values, axis=-1), rtol=1e-14)
    even = values[..., :6]
    np.testing.assert_allclose(
        made_up(even, [1, 2, 3]).median(), np.median(even, axis=-1), rtol=1e-14
    )


def test_diverged_seeds_count_as_infinite():
    history = made_up([[[1, 2, 3, 4, 5]], [[3, np.nan, 1, np.inf, 2]]], [1])
    np.testing.assert_array_equal(
        history.quantiles((0, 0.5, 0.6, 1))[:, 1, 0], [1, 3, np.inf, np.inf]
    )
    np.testing.assert_array_equal(history.quantiles((0.25,))[:, 1, 0], [2])


def test_best_is_the_lowest_median_at_the_end():
    end = [[5, 6, 90], [3, 4, 80], [1, 9, 9]]
    history = made_up([np.zeros((3, 3)), end], [0.1, 0.2, 0.4])
    assert history.best() == (0.2, 1, 4.0, True)


@pytest.mark.parametrize(
    ("lr", "end", "lr_best", "interior"),
    [
        ([0.1, 0.2, 0.4], [1, 2, 3], 0.1, False),
        ([0.1, 0.2, 0.4], [3, 2, 1], 0.4, False),
        ([0.4, 0.1, 0.2], [3, 2, 1], 0.2, True),  # the grid need not be sorted
        ([0.2, 0.1, 0.4], [np.nan, 5, np.inf], 0.1, False),
        ([0.4, 0.1, 0.2], [1, 2, 1], 0.2, True),  # a tie: the smaller
        ([0.3], [1], 0.3, False),
    ],
)
def test_best_knows_whether_it_is_interior(lr, end, lr_best, interior):
    best = made_up([np.zeros((len(lr), 1)), np.reshape(end, (-1, 1))], lr).best()
    assert (best.lr, best.interior) == (lr_best, interior)
    assert lr[best.index] == lr_best


def test_best_accuracy_is_the_highest():
    accuracy = np.array([np.zeros((3, 1)), [[0.5], [0.9], [0.8]]])
    history = made_up(np.zeros((2, 3, 1)), [1, 2, 3], val_accuracy=accuracy)
    assert history.best("val_accuracy") == (2.0, 1, 0.9, True)


def test_steps_to_a_target():
    metric = [[[4, 5]], [[2, 5]], [[1, 5]], [[3, np.nan]]]
    accuracy = np.array([[[0.1, 0.2]], [[0.5, 0.3]], [[0.4, 0.9]], [[0.7, 0.9]]])
    loss = np.arange(13, 0, -1.0).reshape(13, 1, 1) * [1, 2]
    history = made_up(metric, [1], loss=loss, val_accuracy=accuracy)
    np.testing.assert_array_equal(history.steps_to(2), [[4, np.inf]])
    np.testing.assert_array_equal(history.steps_to(4), [[0, np.inf]])
    np.testing.assert_array_equal(history.steps_to(0.5, "val_accuracy"), [[4, 8]])
    np.testing.assert_array_equal(history.steps_to(10, "loss"), [[3, 8]])


def test_an_unknown_metric_is_named():
    with pytest.raises(ValueError, match=r"of must be one of loss, .* got 'accuracy'"):
        made_up(np.zeros((2, 1, 1)), [1]).best("accuracy")


# --------------------------------------------------------------------------------------------------
# Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("progress", "stream", "shown"),
    [(True, Terminal(), True), (True, io.StringIO(), False), (False, Terminal(), False)],
    ids=["terminal", "notebook", "not asked for"],
)
def test_a_bar_is_shown_on_a_terminal_only(progress, stream, shown, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", stream)
    train(mlp(4), classes(), rules.sgd, epochs=2, batch_size=12, seeds=1, progress=progress)
    assert ("11/11" in stream.getvalue()) is shown  # 2 x 5 steps and the last row
    assert (stream.getvalue() != "") is shown
    assert capsys.readouterr().out == ""


# --------------------------------------------------------------------------------------------------
# Bad input


def replaced(data, **parts):
    return data._replace(**{name: np.asarray(value) for name, value in parts.items()})


def nan_in(array):
    array = array.copy()
    array.flat[3] = np.nan
    return array


C, L = classes(), line()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "mlp"}, TypeError, "model must be linear_regression, .* got 'mlp'"),
        ({"model": mlp}, TypeError, "model must be .* got <function mlp"),
        ({"model": linear_regression}, ValueError, "model must suit a classification.*linear reg"),
        ({"data": L}, ValueError, "model must suit a regression, .* got softmax regression"),
        ({"data": (1, 2)}, TypeError, "data must be a Dataset, got tuple"),
        ({"data": C._replace(task="both")}, ValueError, "data.task must be .* got 'both'"),
        (
            {"data": C._replace(x_train=[[1.0]])},
            TypeError,
            "data.x_train must be an array of floats",
        ),
        (
            {"data": replaced(C, x_train=C.x_train.astype(int))},
            TypeError,
            "data.x_train must be an array of floats",
        ),
        (
            {"data": replaced(C, y_train=C.y_train * 1.0)},
            TypeError,
            "data.y_train must be an array of whole",
        ),
        ({"data": replaced(C, x_val=nan_in(C.x_val))}, ValueError, "x_val must be finite, got nan"),
        (
            {"data": replaced(L, y_train=nan_in(L.y_train)), "model": linear_regression},
            ValueError,
            "y_train must be finite, got nan",
        ),
        ({"data": replaced(C, x_train=C.x_train[0])}, ValueError, r"x_train must have shape \(n"),
        ({"data": replaced(C, x_val=C.x_val[:, 1:])}, ValueError, r"x_val must have .*\(23, 5\)"),
        ({"data": replaced(C, y_train=C.y_train[1:])}, ValueError, r"y_train must have .*\(69,\)"),
        (
            {"data": replaced(C, x_train=C.x_train[:0], y_train=C.y_train[:0])},
            ValueError,
            "x_train must have at least one row",
        ),
        (
            {"data": replaced(C, x_train=C.x_train[:, :0], x_val=C.x_val[:, :0])},
            ValueError,
            r"x_train must have shape \(n, d\) with d >= 1, got \(70, 0\)",
        ),
        ({"data": replaced(C, y_train=C.y_train - 1)}, ValueError, "from 0 to 2, .* got -1 to 2"),
        ({"data": replaced(C, y_val=C.y_val + 1)}, ValueError, "from 0 to 3, .* got 1 to 4"),
        ({"rule": 3}, TypeError, "rule must be a rule .* got 3"),
        ({"rule": lambda x, g, s: (x, s)}, TypeError, "rule must have a parameter 'state'"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
        ({"epochs": 2.0}, TypeError, "epochs must be a whole number, got 2.0"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"batch_size": 71}, ValueError, "batch_size must be at most .* 70, got 71"),
        ({"batch_size": True}, TypeError, "batch_size must be a whole number, got True"),
        ({"seeds": 0}, ValueError, "seeds must be at least 1, got 0"),
        ({"seeds": 1.5}, TypeError, "seeds must be a whole number, got 1.5"),
        ({"seeds": []}, ValueError, "seeds must be .* got none"),
        ({"seeds": [1, -1]}, ValueError, "seeds must be at least 0, got -1"),
        ({"seeds": [1, "a"]}, TypeError, "seeds must be a whole number, got 'a'"),
        ({"on_nonfinite": "stop"}, ValueError, "on_nonfinite must be 'record' or 'raise', .*stop"),
        ({"dtype": "int64"}, ValueError, "dtype must be 'float64' or 'float32', got 'int64'"),
        ({"device": "nowhere"}, ValueError, "device must be one that torch has here, .*nowhere"),
        ({"learning_rate": 1}, TypeError, "adam has no hyper-parameter 'learning_rate'; it has lr"),
        ({"lr": -0.1}, ValueError, "lr must be finite and at least 0, got -0.1"),
        ({"lr": [0.1, np.inf]}, ValueError, "lr must be finite and at least 0, got inf"),
        ({"lr": "a"}, TypeError, "lr must be a number or an array of numbers, got 'a'"),
        ({"lr": []}, ValueError, r"lr must be a number or one-dimensional, got shape \(0,\)"),
        ({"lr": [[0.1]]}, ValueError, r"lr must be a number or one-dim.*, got shape \(1, 1\)"),
        ({"beta1": 1.0}, ValueError, "beta1 must be at least 0 and below 1, got 1"),
        (
            {"lr": [0.1, 0.2], "beta1": [0.1, 0.2, 0.3]},
            ValueError,
            "must agree in length, got beta1 3, lr 2",
        ),
        (
            {"lr": lambda t: 0.1 if t < 10 else -1.0},
            ValueError,
            "lr must be finite and at least 0, got -1",
        ),
        ({"lr": lambda t: [0.1] * t}, ValueError, "must agree in length, got lr 1, lr 2"),
    ],
)
def test_rejected_before_anything_runs(arguments, error, message):
    ran = []

    @functools.wraps(rules.adam)
    def watched(x, g, state: rules.Moments, **hyper):
        ran.append(1)
        return rules.adam(x, g, state, **hyper)

    given = {
        "model": softmax_regression,
        "data": C,
        "rule": watched,
        "epochs": 2,
        "batch_size": 10,
        "seeds": 2,
    } | arguments
    with pytest.raises(error, match=message):
        train(given.pop("model"), given.pop("data"), given.pop("rule"), **given)
    assert not ran


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([],), ValueError, r"hidden must have at least one width, got \[\]"),
        ((0,), ValueError, "hidden must be at least 1, got 0"),
        (([3, 2.5],), TypeError, "hidden must be a whole number, got 2.5"),
        ((4, "sigmoid"), ValueError, "activation must be 'tanh' or 'relu', got 'sigmoid'"),
    ],
)
def test_a_network_rejects(arguments, error, message):
    with pytest.raises(error, match=message):
        mlp(*arguments)
