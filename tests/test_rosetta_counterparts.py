"""``counterparts``: the calls of another library with the same settings, the exact ones among them.

That the dialects are the libraries is tested in ``test_rosetta_libraries``; here they stand for
them.
"""

import inspect

import numpy as np
import pytest

from firstorder.hyperparameters import names
from firstorder.rosetta import DIALECTS, counterparts, equivalent
from oracles import follow, gradients, start

EVERY = [(framework, optimizer) for framework in DIALECTS for optimizer in DIALECTS[framework]]
DEMANDED = {"lr": 0.03, "learning_rate": 0.03, "momentum": 0.8, "gamma": 0.85, "rho": 0.85}
EXACT = [  # from, settings, to, the one call that is equal and would not be guessed
    (("torch", "RMSprop"), {"alpha": 0.9, "momentum": 0.7}, ("optax", "rmsprop")),
    (("torch", "Adam"), {"decoupled_weight_decay": True, "weight_decay": 0.1}, ("optax", "adamw")),
    (("torch", "NAdam"), {"momentum_decay": 1.0, "eps": 1e-3}, ("keras", "Nadam")),
    (("keras", "Nadam"), {"epsilon": 1e-3}, ("torch", "NAdam")),
    (("keras", "Adagrad"), {"epsilon": 1e-3}, ("torch", "Adagrad")),
    (("keras", "Adagrad"), {"epsilon": 1e-3}, ("optax", "adagrad")),
    (("keras", "RMSprop"), {"momentum": 0.7, "centered": True}, ("optax", "rmsprop")),
    (("keras", "Adamax"), {"epsilon": 0.0}, ("optax", "adamax")),
    (("optax", "nadam"), {"learning_rate": 0.1, "eps": 1e-3}, ("torch", "NAdam")),
    (("optax", "adam"), {"learning_rate": 0.1, "nesterov": True}, ("torch", "NAdam")),
    (("optax", "adamw"), {"learning_rate": 0.1, "weight_decay": 0.2}, ("torch", "AdamW")),
    (("d2l", "adagrad"), {"lr": 0.1}, ("torch", "Adagrad")),
    (("d2l", "adagrad"), {"lr": 0.1}, ("keras", "Adagrad")),
    (("d2l", "rmsprop"), {"lr": 0.1, "gamma": 0.8}, ("keras", "RMSprop")),
    (("d2l", "adadelta"), {"rho": 0.8}, ("torch", "Adadelta")),
    (("d2l", "adam"), {"lr": 0.1}, ("optax", "adam")),
    (("d2l", "sgd_momentum"), {"lr": 0.1, "momentum": 0.8}, ("keras", "SGD")),
]


def apart(one, other):
    """The largest difference in 60 steps, on ordinary gradients and on small ones."""
    g = gradients(60)

    def path(rule, scale):
        return follow(rule, start(), lambda t, x: scale * g[t - 1], 60)

    with np.errstate(divide="ignore", invalid="ignore"):  # eps 0 where no gradient ever came
        return max(np.nanmax(np.abs(path(one, s) - path(other, s))) for s in (1.0, 1e-6))


@pytest.mark.parametrize(("framework", "optimizer"), EVERY)
def test_every_call_is_accepted_and_needs_nothing_more(framework, optimizer):
    given = {n: v for n, v in DEMANDED.items() if n in names(DIALECTS[framework][optimizer])}
    for target in DIALECTS:
        for name, arguments in counterparts(framework, optimizer, target, **given):
            rule = equivalent(target, name, **arguments)
            empty = [p for p in inspect.signature(rule).parameters.values() if p.kind == 3]
            assert all(p.default is not p.empty for p in empty)


@pytest.mark.parametrize(("framework", "optimizer"), EVERY)
def test_an_optimizer_is_its_own_counterpart(framework, optimizer):
    given = {n: v for n, v in DEMANDED.items() if n in names(DIALECTS[framework][optimizer])}
    rule = equivalent(framework, optimizer, **given)
    calls = counterparts(framework, optimizer, framework, **given)
    assert min(apart(equivalent(framework, n, **a), rule) for n, a in calls) < 1e-13


@pytest.mark.parametrize(("source", "given", "target"), EXACT)
def test_exact_translations_are_among_them(source, given, target):
    calls = counterparts(*source, target[0], **given)
    rule = equivalent(*source, **given)
    equal = [n for n, a in calls if apart(equivalent(target[0], n, **a), rule) < 1e-12]
    assert target[1] in equal


def test_settings_are_carried_over_by_their_meaning():
    given = {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-5, "amsgrad": True}
    calls = dict(counterparts("torch", "Adam", "keras", **given))
    adam = {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-5, "amsgrad": True}
    assert calls == {"Adam": adam, "AdamW": adam | {"weight_decay": 0.0}}


@pytest.mark.parametrize(
    ("framework", "optimizer", "given", "target", "found"),
    [
        ("torch", "Adam", {}, "optax", {"adam", "adamw"}),
        ("torch", "Adam", {"amsgrad": True}, "optax", {"amsgrad"}),
        ("torch", "Adamax", {}, "optax", {"adamax", "adamaxw"}),
        ("optax", "amsgrad", {"learning_rate": 0.1}, "torch", {"Adam", "AdamW"}),
        ("optax", "yogi", {"learning_rate": 0.1}, "d2l", {"yogi"}),
        ("optax", "yogi", {"learning_rate": 0.1}, "torch", set()),
        ("keras", "Nadam", {}, "d2l", set()),
    ],
)
def test_only_methods_of_the_same_name(framework, optimizer, given, target, found):
    assert {name for name, _ in counterparts(framework, optimizer, target, **given)} == found


def test_a_target_that_is_not_known():
    with pytest.raises(ValueError, match=r"target must be one of torch.* got 'jax'"):
        counterparts("torch", "Adam", "jax")
