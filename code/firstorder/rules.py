"""Twelve optimizers, each one pure function, in the order of the book's chapters.

A rule takes the parameters, the gradient there and a state; it returns the new parameters and the
new state, and changes nothing it was given:

    x, state = rule(x, g, state, lr=0.1)

``x``, ``g`` and the arrays of the state have one shape and come from one library: NumPy, torch, JAX
or SymPy.  Every operation is element-wise.  A hyper-parameter is a number, an array that broadcasts
against ``x``, or a symbol.  Python numbers keep the dtype of ``x``.

``t`` counts steps from 1.  Symbols are those of the book's notation table: ``m`` is a running mean
of gradients, ``v`` of their squares (in ``momentum`` and ``nesterov``: the velocity), a hat marks a
mean corrected for its start at zero.  A rule checks nothing: ``run``, ``train`` and adapters do.
"""

import inspect
from typing import Any, NamedTuple

from firstorder.namespace import namespace

# --------------------------------------------------------------------------------------------------
# I. One step size for all


class Stateless(NamedTuple):
    """SGD remembers nothing."""


def sgd(x, g, state: Stateless, *, lr=0.01):
    """Stochastic gradient descent.

    Robbins & Monro (1951); Cauchy (1847) for the exact gradient.  The papers have
    no default for lr.
    """
    return x - lr * g, Stateless()


class Velocity(NamedTuple):
    """Memory of ``momentum`` and ``nesterov``."""

    v: Any  # sum of past gradients, a gradient k steps old weighted by beta**k; starts at zero


def momentum(x, g, state: Velocity, *, lr=0.01, beta=0.9):
    """Heavy-ball momentum, with the learning rate outside the velocity.

    Polyak (1964), as x - lr*g + beta*(x - x_previous).  Sutskever et al. (2013)
    have lr inside v.
    """
    v = beta * state.v + g
    return x - lr * v, Velocity(v)


def nesterov(x, g, state: Velocity, *, lr=0.01, beta=0.9):
    """Nesterov momentum, in the variables in which g is the gradient at x itself.

    Nesterov (1983); as momentum with a look-ahead: Sutskever et al. (2013),
    eqs. 3 and 4.
    """
    v = beta * state.v + g
    return x - lr * (g + beta * v), Velocity(v)


# --------------------------------------------------------------------------------------------------
# II. A step size for each coordinate


class Accumulator(NamedTuple):
    """Memory of ``adagrad`` and ``rmsprop``."""

    v: Any  # sum (adagrad) or running mean (rmsprop) of g**2; starts at zero


def adagrad(x, g, state: Accumulator, *, lr=0.01, eps=1e-10):
    """AdaGrad, diagonal form.

    Duchi, Hazan & Singer (2011), Fig. 1.  The paper leaves lr and its delta, our
    eps, open.
    """
    xp = namespace(g)
    v = state.v + g**2
    return x - lr * g / (xp.sqrt(v) + eps), Accumulator(v)


def rmsprop(x, g, state: Accumulator, *, lr=0.001, rho=0.9, eps=1e-8):
    """RMSProp.

    Tieleman & Hinton (2012), lecture 6.5, with rho = 0.9.  The lecture has no eps.
    """
    xp = namespace(g)
    v = rho * state.v + (1 - rho) * g**2
    return x - lr * g / (xp.sqrt(v) + eps), Accumulator(v)


class SquaredDeltas(NamedTuple):
    """Memory of ``adadelta``."""

    v: Any  # running mean of g**2; starts at zero
    q: Any  # running mean of d**2, the squared updates before lr; starts at zero


def adadelta(x, g, state: SquaredDeltas, *, lr=1.0, rho=0.95, eps=1e-6):
    """Adadelta.

    Zeiler (2012), Algorithm 1, which has no lr: here lr scales the step and not
    what q averages.
    """
    xp = namespace(g)
    v = rho * state.v + (1 - rho) * g**2
    d = xp.sqrt(state.q + eps) / xp.sqrt(v + eps) * g
    q = rho * state.q + (1 - rho) * d**2
    return x - lr * d, SquaredDeltas(v, q)


# --------------------------------------------------------------------------------------------------
# III. Adam and its family


class Moments(NamedTuple):
    """Memory of ``adam``, ``yogi``, ``adamw`` and ``nadam_constant``."""

    m: Any  # running mean of g; starts at zero
    v: Any  # running mean of g**2 (yogi: its own estimate); starts at zero
    t: int = 0  # steps taken


def adam(x, g, state: Moments, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    """Adam.

    Kingma & Ba (2015), Algorithm 1.
    """
    xp, t = namespace(g), state.t + 1
    m = beta1 * state.m + (1 - beta1) * g
    v = beta2 * state.v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return x - lr * m_hat / (xp.sqrt(v_hat) + eps), Moments(m, v, t)


def yogi(x, g, state: Moments, *, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-3):
    """Yogi: Adam with one line changed.

    Zaheer et al. (2018), Algorithm 2, started at zero and corrected like Adam.
    """
    xp, t = namespace(g), state.t + 1
    m = beta1 * state.m + (1 - beta1) * g
    v = state.v + (1 - beta2) * xp.sign(g**2 - state.v) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return x - lr * m_hat / (xp.sqrt(v_hat) + eps), Moments(m, v, t)


class MaxNorm(NamedTuple):
    """Memory of ``adamax``."""

    m: Any  # running mean of g; starts at zero
    u: Any  # largest of the past abs(g), one k steps old weighted by beta2**k; starts at zero
    t: int = 0  # steps taken


def adamax(x, g, state: MaxNorm, *, lr=0.002, beta1=0.9, beta2=0.999, eps=1e-8):
    """AdaMax.

    Kingma & Ba (2015), Algorithm 2, which has no eps: it guards a coordinate that
    never moved.
    """
    xp, t = namespace(g), state.t + 1
    m = beta1 * state.m + (1 - beta1) * g
    u = xp.maximum(beta2 * state.u, xp.abs(g))
    m_hat = m / (1 - beta1**t)
    return x - lr * m_hat / (u + eps), MaxNorm(m, u, t)


class ScheduledMoments(NamedTuple):
    """Memory of ``nadam``."""

    m: Any  # running mean of g, with weights mu_t; starts at zero
    v: Any  # running mean of g**2; starts at zero
    mu_prod: Any = 1.0  # mu_1 * ... * mu_t
    t: int = 0  # steps taken


def nadam(x, g, state: ScheduledMoments, *, lr=0.002, beta1=0.9, beta2=0.999, eps=1e-8, psi=0.004):
    """Nadam, with the momentum schedule mu_t = beta1 * (1 - 0.96**(t*psi) / 2).

    Dozat (2016), Algorithm 2; psi = 0.004 gives the schedule of torch,
    0.96**(t/250).
    """
    xp, t = namespace(g), state.t + 1
    mu = beta1 * (1 - 0.5 * 0.96 ** (t * psi))
    mu_next = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * psi))
    mu_prod = state.mu_prod * mu
    m = mu * state.m + (1 - mu) * g
    v = beta2 * state.v + (1 - beta2) * g**2
    m_hat = mu_next * m / (1 - mu_prod * mu_next) + (1 - mu) * g / (1 - mu_prod)
    v_hat = v / (1 - beta2**t)
    return x - lr * m_hat / (xp.sqrt(v_hat) + eps), ScheduledMoments(m, v, mu_prod, t)


def nadam_constant(x, g, state: Moments, *, lr=0.002, beta1=0.9, beta2=0.999, eps=1e-8):
    """Nadam without its schedule: mu_t = beta1, the form of secondary texts."""
    xp, t = namespace(g), state.t + 1
    m = beta1 * state.m + (1 - beta1) * g
    v = beta2 * state.v + (1 - beta2) * g**2
    m_hat = beta1 * m / (1 - beta1 ** (t + 1)) + (1 - beta1) * g / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return x - lr * m_hat / (xp.sqrt(v_hat) + eps), Moments(m, v, t)


class MaxMoments(NamedTuple):
    """Memory of ``amsgrad``."""

    m: Any  # running mean of g; starts at zero
    v: Any  # running mean of g**2; starts at zero
    v_max: Any  # largest v so far; starts at zero


def amsgrad(x, g, state: MaxMoments, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    """AMSGrad, without bias correction.

    Reddi, Kale & Kumar (2018), Algorithm 2, which leaves lr and the betas open and
    has no eps.
    """
    xp = namespace(g)
    m = beta1 * state.m + (1 - beta1) * g
    v = beta2 * state.v + (1 - beta2) * g**2
    v_max = xp.maximum(state.v_max, v)
    return x - lr * m / (xp.sqrt(v_max) + eps), MaxMoments(m, v, v_max)


# --------------------------------------------------------------------------------------------------
# V. After Adam


def adamw(x, g, state: Moments, *, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    """AdamW: Adam with decoupled weight decay, multiplied by lr as the libraries do.

    Loshchilov & Hutter (2019), Algorithm 2, whose lambda is our lr * weight_decay.
    """
    xp, t = namespace(g), state.t + 1
    m = beta1 * state.m + (1 - beta1) * g
    v = beta2 * state.v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return x - lr * (m_hat / (xp.sqrt(v_hat) + eps) + weight_decay * x), Moments(m, v, t)


# --------------------------------------------------------------------------------------------------

RULES = (
    sgd,
    momentum,
    nesterov,
    adagrad,
    rmsprop,
    adadelta,
    adam,
    yogi,
    adamax,
    nadam,
    amsgrad,
    adamw,
)


def initial_state(rule, x):
    """Return the state in which ``rule`` starts at ``x``.

    ``rule`` is a rule or a ``functools.partial`` of one; ``x`` an array, tensor or symbol.  Fields
    without a default become zeros of the shape, dtype and library of ``x``; the others, counters
    and running products, keep their default.

    Raises ``TypeError`` if ``rule`` has no parameter ``state`` annotated with a NamedTuple.
    """
    parameter = inspect.signature(rule).parameters.get("state") if callable(rule) else None
    kind = getattr(parameter, "annotation", None)
    if not hasattr(kind, "_field_defaults"):
        raise TypeError(
            f"rule must have a parameter 'state' annotated with its NamedTuple, got {rule!r}"
        )
    zeros_like = namespace(x).zeros_like
    return kind(*(zeros_like(x) for name in kind._fields if name not in kind._field_defaults))
