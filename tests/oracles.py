"""What the rules are compared against: one row for each rule.

A row has up to four independent witnesses.  ``defaults`` are written out from the paper.
``definition`` computes the next point from *all* gradients so far, by sums and maxima instead of a
running state.  ``torch`` builds the same rule from ``torch.optim``, where there is one.
``recorded`` lists the trajectories in ``tests/recorded`` that are the same rule, each with the
translation of the recorded hyper-parameters into ours.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from firstorder import rules

RECORDED = Path(__file__).parent / "recorded"
TINY = 1e-300  # an eps that changes no quotient and still makes 0/eps equal to 0


def gradients(steps=100, dimension=10, seed=20):
    """Gradients that are hard on optimizers: (steps, dimension), read-only.

    About a tenth exact zeros; coordinate 9 always zero; coordinate 3 zero for 30 steps; the whole
    vector zero at four steps; spikes of 50, 1000 and -300 times the usual size.
    """
    rng = np.random.default_rng(seed)
    g = rng.standard_normal((steps, dimension)) * np.logspace(-2, 1, dimension)
    g[rng.random(g.shape) < 0.1] = 0.0
    g[:, -1] = 0.0
    g[:30, 3 % dimension] = 0.0
    g[10:11] = g[50:53] = 0.0
    g[20:21] *= 50.0
    g[60:61, :5] *= 1000.0
    g[80:81] *= -300.0
    g.flags.writeable = False
    return g


def start(dimension=10):
    """A start for these gradients: (dimension,), read-only."""
    x = np.linspace(-2.0, 3.0, dimension)
    x.flags.writeable = False
    return x


def follow(rule, x, gradient, steps, state=None, **hyper):
    """Iterates (steps + 1, d) of a rule with ``gradient(t, x)``, t = 1, 2, ..."""
    state = rules.initial_state(rule, x) if state is None else state
    path = [x]
    for t in range(1, steps + 1):
        x, state = rule(x, gradient(t, x), state, **hyper)
        path.append(x)
    return np.stack(path)


# --------------------------------------------------------------------------------------------------
# Definitions: the next point from the whole history.  G has a row for each gradient, oldest first.


def _geometric(G, beta):
    """Sum of the gradients, one k steps old weighted by beta**k."""
    ages = np.arange(len(G))[::-1]
    return np.sum(beta ** ages[:, None] * G, axis=0)


def _mean(G, beta):
    """The running mean before its correction."""
    return (1 - beta) * _geometric(G, beta)


def _corrected(G, beta):
    """The weighted mean whose weights are the powers of beta, divided by their sum."""
    return _geometric(G, beta) / np.sum(beta ** np.arange(len(G)))


def _sgd(x, G, lr):
    return x - lr * G[-1]


def _momentum(x, G, lr, beta):
    return x - lr * _geometric(G, beta)


def _nesterov(x, G, lr, beta):
    older = beta**2 * _geometric(G[:-1], beta)
    return x - lr * ((1 + beta) * G[-1] + older)


def _adagrad(x, G, lr, eps):
    return x - lr * G[-1] / (np.linalg.norm(G, axis=0) + eps)


def _rmsprop(x, G, lr, rho, eps):
    return x - lr * G[-1] / (np.sqrt(_mean(G**2, rho)) + eps)


def _adadelta(x, G, lr, rho, eps):
    def rms(values):
        return np.sqrt(_mean(values**2, rho) + eps)

    d = np.zeros_like(G)
    for t in range(len(G)):
        d[t] = G[t] * rms(d[:t]) / rms(G[: t + 1])
    return x - lr * d[-1]


def _adam(x, G, lr, beta1, beta2, eps):
    return x - lr * _corrected(G, beta1) / (np.sqrt(_corrected(G**2, beta2)) + eps)


def _yogi(x, G, lr, beta1, beta2, eps):
    v = np.zeros_like(x)
    for square in G**2:  # up by a fixed share of g**2 where v is below it, down where it is above
        v = v + (1 - beta2) * square * np.where(v > square, -1, np.where(v < square, 1, 0))
    return x - lr * _corrected(G, beta1) / (np.sqrt(v / (1 - beta2 ** len(G))) + eps)


def _adamax(x, G, lr, beta1, beta2, eps):
    ages = np.arange(len(G))[::-1]
    return x - lr * _corrected(G, beta1) / (np.max(beta2 ** ages[:, None] * np.abs(G), 0) + eps)


def _nadam(x, G, lr, beta1, beta2, eps, psi):
    T = len(G)
    mu = [beta1 * (1 - 0.96 ** (t * psi) / 2) for t in range(1, T + 2)]  # mu_1 ... mu_{T+1}
    weights = [(1 - mu[k]) * math.prod(mu[k + 1 : T]) for k in range(T)]
    m = sum(w * g for w, g in zip(weights, G, strict=True))
    ahead = mu[T] * m / (1 - math.prod(mu))
    now = (1 - mu[T - 1]) * G[-1] / (1 - math.prod(mu[:T]))
    return x - lr * (ahead + now) / (np.sqrt(_corrected(G**2, beta2)) + eps)


def _nadam_constant(x, G, lr, beta1, beta2, eps):
    with_a_zero = np.vstack([G, np.zeros_like(x)])  # tomorrow's Adam mean if tomorrow's g were 0
    now = G[-1] / np.sum(beta1 ** np.arange(len(G)))
    direction = _corrected(with_a_zero, beta1) + now
    return x - lr * direction / (np.sqrt(_corrected(G**2, beta2)) + eps)


def _amsgrad(x, G, lr, beta1, beta2, eps):
    v_max = np.max([_mean(G[: t + 1] ** 2, beta2) for t in range(len(G))], axis=0)
    return x - lr * _mean(G, beta1) / (np.sqrt(v_max) + eps)


def _adamw(x, G, lr, beta1, beta2, eps, weight_decay):
    return (1 - lr * weight_decay) * x + _adam(np.zeros_like(x), G, lr, beta1, beta2, eps)


# --------------------------------------------------------------------------------------------------
# torch.optim


def _torch(name, translate):
    """Build the optimizer ``name`` of torch.optim for one tensor and our hyper-parameters."""

    def build(tensor, hyper):
        import torch

        return getattr(torch.optim, name)([tensor], **translate(hyper))

    return build


def _betas(h):
    rest = {k: v for k, v in h.items() if k not in ("beta1", "beta2")}
    return {**rest, "betas": (h["beta1"], h["beta2"])}


# --------------------------------------------------------------------------------------------------
# Recorded trajectories


class Recorded(NamedTuple):
    """A file of ``tests/recorded``, without its ending, that is this rule."""

    file: str
    translate: Callable  # recorded hyper-parameters -> ours
    start: float = 0.0  # where the running means start


def recorded(file):
    """Return the recorded trajectories by problem, and their description."""
    with np.load(RECORDED / f"{file}.npz") as data:
        meta = json.loads(str(data["meta"]))
        return {name: data[name] for name in meta["problems"]}, meta


def _lr(h):
    return {"lr": h["lr"]}


def _lr_beta(h):
    return {"lr": h["lr"], "beta": h["momentum"]}


def _lr_eps(h):
    return {"lr": h["lr"], "eps": h.get("eps", h.get("delta"))}


def _lr_rho_eps(h):
    eps = h.get("eps", h.get("epsilon", TINY))
    return {"lr": h.get("lr", 1.0), "rho": h.get("rho", h.get("alpha")), "eps": eps}


def _lr_betas_eps(h):
    beta1, beta2 = (
        next(h[k] for k in names if k in h)
        for names in (("beta1", "b1", "beta_1", "mu"), ("beta2", "b2", "beta_2", "nu"))
    )
    eps = h.get("eps", h.get("epsilon")) or TINY
    return {"lr": h["lr"], "beta1": beta1, "beta2": beta2, "eps": eps}


def _dozat(h):
    """The report multiplies v_hat by nu = beta2; drawn out of the root, that divides lr and eps."""
    ours, root = _lr_betas_eps(h), math.sqrt(h["nu"])
    return {**ours, "lr": h["lr"] / root, "eps": h["eps"] / root, "psi": h["psi"]}


def _decay(h):
    return {**_lr_betas_eps(h), "weight_decay": h["weight_decay"]}


def _decay_of_the_paper(h):
    return {**_lr_betas_eps(h), "weight_decay": h["lam"] / h["lr"]}


# --------------------------------------------------------------------------------------------------


class Reference(NamedTuple):
    """The witnesses of one rule."""

    defaults: dict  # from the paper; where it has none, from the rule's docstring
    settings: dict  # values for tests, none of them a default
    definition: Callable  # (x, G, **hyper) -> next x
    torch: Callable | None = None  # (tensor, hyper) -> torch.optim optimizer
    recorded: tuple = ()


ADAM = {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
OTHER = {"lr": 0.03, "beta1": 0.7, "beta2": 0.95, "eps": 1e-3}

REFERENCES = {
    rules.sgd: Reference(
        {"lr": 0.01},
        {"lr": 0.03},
        _sgd,
        _torch("SGD", dict),
        (
            Recorded("sgd__d2l__nominal", _lr),
            Recorded("sgd__keras__nominal", _lr),
            Recorded("sgd__optax__nominal", _lr),
        ),
    ),
    rules.momentum: Reference(
        {"lr": 0.01, "beta": 0.9},
        {"lr": 0.02, "beta": 0.8},
        _momentum,
        _torch("SGD", lambda h: {"lr": h["lr"], "momentum": h["beta"]}),
        (
            Recorded("momentum__paper__nominal", _lr_beta),
            Recorded("momentum__d2l__nominal", _lr_beta),
            Recorded("momentum__keras__nominal", _lr_beta),
            Recorded("momentum__optax__nominal", _lr_beta),
        ),
    ),
    rules.nesterov: Reference(
        {"lr": 0.01, "beta": 0.9},
        {"lr": 0.02, "beta": 0.8},
        _nesterov,
        _torch("SGD", lambda h: {"lr": h["lr"], "momentum": h["beta"], "nesterov": True}),
        (
            Recorded("nesterov__keras__nominal", _lr_beta),
            Recorded("nesterov__optax__nominal", _lr_beta),
        ),
    ),
    rules.adagrad: Reference(
        {"lr": 0.01, "eps": 1e-10},
        {"lr": 0.3, "eps": 1e-3},
        _adagrad,
        _torch("Adagrad", dict),
        (
            Recorded("adagrad__paper__nominal", _lr_eps),
            Recorded("adagrad__torch__nominal", _lr_eps),
        ),
    ),
    rules.rmsprop: Reference(
        {"lr": 0.001, "rho": 0.9, "eps": 1e-8},
        {"lr": 0.02, "rho": 0.8, "eps": 1e-3},
        _rmsprop,
        _torch("RMSprop", lambda h: {"lr": h["lr"], "alpha": h["rho"], "eps": h["eps"]}),
        (
            Recorded("rmsprop__paper__default", _lr_rho_eps),
            Recorded("rmsprop__torch__nominal", _lr_rho_eps),
            Recorded("rmsprop__torch__default", _lr_rho_eps),
        ),
    ),
    rules.adadelta: Reference(
        {"lr": 1.0, "rho": 0.95, "eps": 1e-6},
        {"lr": 0.6, "rho": 0.8, "eps": 1e-3},
        _adadelta,
        _torch("Adadelta", dict),
        (
            Recorded("adadelta__paper__default", _lr_rho_eps),
            Recorded("adadelta__d2l__default", _lr_rho_eps),
            Recorded("adadelta__keras__default", _lr_rho_eps),
            Recorded("adadelta__optax__nominal", _lr_rho_eps),
        ),
    ),
    rules.adam: Reference(
        ADAM,
        OTHER,
        _adam,
        _torch("Adam", _betas),
        (
            Recorded("adam__paper__nominal", _lr_betas_eps),
            Recorded("adam__optax__nominal", _lr_betas_eps),
            Recorded("adam__d2l__default", _lr_betas_eps),
        ),
    ),
    rules.yogi: Reference(
        {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-3},
        {"lr": 0.03, "beta1": 0.7, "beta2": 0.95, "eps": 1e-2},
        _yogi,
        None,
        (
            Recorded("yogi__d2l__default", _lr_betas_eps),
            Recorded("yogi__optax__default", _lr_betas_eps, start=1e-6),
        ),
    ),
    rules.adamax: Reference(
        {"lr": 0.002, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        OTHER,
        _adamax,
        # torch has eps inside the maximum: the same rule only when eps is too small to count
        _torch("Adamax", lambda h: _betas({**h, "eps": TINY})),
        (
            Recorded("adamax__paper__nominal", lambda h: _lr_betas_eps({**h, "eps": TINY})),
            Recorded("adamax__keras__nominal", _lr_betas_eps),
            Recorded("adamax__keras__default", _lr_betas_eps),
        ),
    ),
    rules.nadam: Reference(
        {"lr": 0.002, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "psi": 0.004},
        {**OTHER, "psi": 0.3},
        _nadam,
        None,  # torch.optim.NAdam keeps m with a constant beta1: another recursion
        (
            Recorded("nadam__paper__nominal", _dozat),
            Recorded("nadam__paper__default", _dozat),
        ),
    ),
    rules.nadam_constant: Reference(
        {"lr": 0.002, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        OTHER,
        _nadam_constant,
        None,
        (
            Recorded("nadam__optax__nominal", _lr_betas_eps),
            Recorded("nadam__optax__default", _lr_betas_eps),
        ),
    ),
    rules.amsgrad: Reference(
        ADAM,
        OTHER,
        _amsgrad,
        None,  # torch corrects the bias of both means
        (
            Recorded("amsgrad__paper__nominal", _lr_betas_eps),
            Recorded("amsgrad__paper__default", _lr_betas_eps),
        ),
    ),
    rules.adamw: Reference(
        {**ADAM, "weight_decay": 0.01},
        {**OTHER, "weight_decay": 0.2},
        _adamw,
        _torch("AdamW", _betas),
        (
            Recorded("adamw__torch__nominal", _decay),
            Recorded("adamw__optax__nominal", _decay),
            Recorded("adamw__paper__nominal", _decay_of_the_paper),
        ),
    ),
}

# Trajectories of libraries that are a dialect of firstorder.rosetta: file -> library and its name.
RECORDED_DIALECTS = {
    "sgd__d2l__nominal": ("d2l", "sgd"),
    "momentum__d2l__nominal": ("d2l", "sgd_momentum"),
    "adagrad__d2l__default": ("d2l", "adagrad"),
    "rmsprop__d2l__default": ("d2l", "rmsprop"),
    "adadelta__d2l__default": ("d2l", "adadelta"),
    "adam__d2l__default": ("d2l", "adam"),
    "yogi__d2l__default": ("d2l", "yogi"),
    "adagrad__torch__nominal": ("torch", "Adagrad"),
    "rmsprop__torch__default": ("torch", "RMSprop"),
    "rmsprop__torch__nominal": ("torch", "RMSprop"),
    "amsgrad__torch__nominal": ("torch", "Adam"),
    "adamw__torch__nominal": ("torch", "AdamW"),
    "adamax__torch__default": ("torch", "Adamax"),
    "nadam__torch__default": ("torch", "NAdam"),
    "sgd__keras__nominal": ("keras", "SGD"),
    "momentum__keras__nominal": ("keras", "SGD"),
    "nesterov__keras__nominal": ("keras", "SGD"),
    "adagrad__keras__default": ("keras", "Adagrad"),
    "rmsprop__keras__default": ("keras", "RMSprop"),
    "adadelta__keras__default": ("keras", "Adadelta"),
    "adam__keras__default": ("keras", "Adam"),
    "amsgrad__keras__nominal": ("keras", "Adam"),
    "adamw__keras__default": ("keras", "AdamW"),
    "adamax__keras__default": ("keras", "Adamax"),
    "adamax__keras__nominal": ("keras", "Adamax"),
    "nadam__keras__default": ("keras", "Nadam"),
    "sgd__optax__nominal": ("optax", "sgd"),
    "momentum__optax__nominal": ("optax", "sgd"),
    "nesterov__optax__nominal": ("optax", "sgd"),
    "adagrad__optax__default": ("optax", "adagrad"),
    "rmsprop__optax__default": ("optax", "rmsprop"),
    "adadelta__optax__nominal": ("optax", "adadelta"),
    "adam__optax__nominal": ("optax", "adam"),
    "adamw__optax__nominal": ("optax", "adamw"),
    "amsgrad__optax__nominal": ("optax", "amsgrad"),
    "adamax__optax__nominal": ("optax", "adamax"),
    "nadam__optax__default": ("optax", "nadam"),
    "nadam__optax__nominal": ("optax", "nadam"),
    "yogi__optax__default": ("optax", "yogi"),
}


def by_name(rule):
    """Name of a rule or a field, for the ids of parametrised tests."""
    return getattr(rule, "__name__", None)
