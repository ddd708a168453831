"""The same optimizer in torch, Keras, Optax and d2l: what their names compute, in the book's words.

Each function below is one optimizer of one library, with that library's names and defaults.  Its
body calls the book's rule with the arguments that make the two equal, so that the arguments are
the difference.  Where no argument can, the lines that differ are written out in a rule of its own,
whose name begins with an underscore.  What differs is always one of a few things:

    decay       coupled, g + weight_decay * x, or decoupled, x - lr * weight_decay * x
    epsilon     outside the root, inside it, or beside an average that is not yet corrected
    start       of an accumulator at zero or elsewhere
    buffer      of momentum: with or without the learning rate in it, dampened or not
    correction  of a bias: of which averages, before or after a maximum
    schedule    of Nadam's momentum, and which average it enters

``equivalent`` finds such a function by the library's own names, ``to_framework`` goes back;
``counterparts`` lists what another library has to offer for it.
Versions: torch 2.14, Keras 3.15, Optax 0.2.8; d2l as printed in *Dive into Deep Learning*.
"""

from collections.abc import Mapping
from functools import partial
from inspect import Parameter, signature
from itertools import product
from types import MappingProxyType
from typing import Any, NamedTuple

from firstorder import rules
from firstorder.hyperparameters import check, check_option, label, names
from firstorder.namespace import namespace
from firstorder.rules import (
    Accumulator,
    MaxMoments,
    MaxNorm,
    Moments,
    ScheduledMoments,
    SquaredDeltas,
    Stateless,
    Velocity,
)

# --------------------------------------------------------------------------------------------------
# Differences


def _begin(value, t, start):
    """Let a running quantity, zero before the first step, begin at ``start``."""
    first = 1 * (t == 1)  # a number also for SymPy
    return value + start * first


def _decayed(x, lr, weight_decay):
    """Decoupled decay: the parameters shrink, the gradient does not know."""
    return x if weight_decay is None else x - lr * weight_decay * x


class Buffer(NamedTuple):
    """Memory of momentum in torch and Keras."""

    b: Any  # what the library adds up: gradients, or (Keras) steps; starts at zero
    t: int = 0


class CountedAccumulator(NamedTuple):
    """Memory of AdaGrad where it does not start at zero."""

    v: Any
    t: int = 0


class Squares(NamedTuple):
    """Memory of RMSProp with all its options."""

    v: Any  # running mean of g**2
    m: Any  # running mean of g, for the centred form
    b: Any  # momentum's buffer
    t: int = 0


def _rms_scaled(g, state, rho, inside=0.0, outside=0.0, centered=False, start=0.0, correct=False):
    """Return g over its running root mean square, or if centred its standard deviation."""
    xp, t = namespace(g), state.t + 1
    v = rho * _begin(state.v, t, start) + (1 - rho) * g**2
    m = rho * state.m + (1 - rho) * g
    weight = 1 - rho**t if correct else 1
    variance = v / weight - (m / weight) ** 2 if centered else v / weight
    return g / (xp.sqrt(variance + inside) + outside), state._replace(v=v, m=m, t=t)


class PeakMoments(NamedTuple):
    """Memory of Adam where amsgrad is an option."""

    m: Any
    v: Any
    v_max: Any  # largest v so far
    t: int = 0


def _adamax(x, g, state: MaxNorm, *, lr, beta1, beta2, eps):
    """``adamax`` with eps inside the maximum, where beta2 makes it fade."""
    xp, t = namespace(g), state.t + 1
    m = beta1 * state.m + (1 - beta1) * g
    u = xp.maximum(beta2 * state.u, xp.abs(g) + eps)
    m_hat = m / (1 - beta1**t)
    return x - lr * m_hat / u, MaxNorm(m, u, t)


def _nadam(x, g, state: ScheduledMoments, *, lr, beta1, beta2, eps, psi):
    """``nadam`` with the schedule in the step but not in m, which decays with beta1."""
    xp, t = namespace(g), state.t + 1
    mu = beta1 * (1 - 0.5 * 0.96 ** (t * psi))
    mu_next = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * psi))
    mu_prod = state.mu_prod * mu
    m = beta1 * state.m + (1 - beta1) * g
    v = beta2 * state.v + (1 - beta2) * g**2
    m_hat = mu_next * m / (1 - mu_prod * mu_next) + (1 - mu) * g / (1 - mu_prod)
    v_hat = v / (1 - beta2**t)
    return x - lr * m_hat / (xp.sqrt(v_hat) + eps), ScheduledMoments(m, v, mu_prod, t)


# --------------------------------------------------------------------------------------------------
# torch.optim.  weight_decay is added to the gradient, unless decoupled.


def torch_sgd(
    x,
    g,
    state: Buffer,
    *,
    lr=0.001,
    momentum=0.0,
    dampening=0.0,
    weight_decay=0.0,
    nesterov=False,
):
    """``momentum`` or ``nesterov``; dampening spares the first gradient."""
    g, t = g + weight_decay * x, state.t + 1
    without = 0**momentum  # 1 without momentum, else 0: then there is no dampening either
    b = momentum * state.b + (1 - dampening * (1 * (t > 1)) * (1 - without)) * g
    return x - lr * (g + momentum * b if nesterov else b), Buffer(b, t)


def torch_adagrad(
    x,
    g,
    state: CountedAccumulator,
    *,
    lr=0.01,
    lr_decay=0.0,
    weight_decay=0.0,
    initial_accumulator_value=0.0,
    eps=1e-10,
):
    """``adagrad`` with a start and a learning rate that falls."""
    g, t = g + weight_decay * x, state.t + 1
    v = _begin(state.v, t, initial_accumulator_value)
    lr = lr / (1 + (t - 1) * lr_decay)
    x, (v,) = rules.adagrad(x, g, Accumulator(v), lr=lr, eps=eps)
    return x, CountedAccumulator(v, t)


def torch_rmsprop(
    x,
    g,
    state: Squares,
    *,
    lr=0.01,
    alpha=0.99,
    eps=1e-8,
    weight_decay=0.0,
    momentum=0.0,
    centered=False,
):
    """``rmsprop``, eps outside the root, the learning rate outside the buffer."""
    g = g + weight_decay * x
    d, state = _rms_scaled(g, state, alpha, outside=eps, centered=centered)
    b = momentum * state.b + d
    return x - lr * b, state._replace(b=b)


def torch_adadelta(x, g, state: SquaredDeltas, *, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.0):
    """``adadelta`` with rho 0.9 instead of 0.95."""
    return rules.adadelta(x, g + weight_decay * x, state, lr=lr, rho=rho, eps=eps)


def torch_adam(
    x,
    g,
    state: PeakMoments,
    *,
    lr=0.001,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    amsgrad=False,
    decoupled_weight_decay=False,
):
    """``adam``; or ``amsgrad`` with both averages corrected, v after its maximum."""
    (beta1, beta2), t = betas, state.t + 1
    if decoupled_weight_decay:
        x = _decayed(x, lr, weight_decay)
    else:
        g = g + weight_decay * x
    if amsgrad:
        root = (1 - beta2**t) ** 0.5
        return _amsgrad(x, g, state, lr * root / (1 - beta1**t), beta1, beta2, eps * root)
    return _adam(x, g, state, lr, beta1, beta2, eps)


def _adam(x, g, state, lr, beta1, beta2, eps):
    m, v, v_max, t = state
    x, (m, v, t) = rules.adam(x, g, Moments(m, v, t), lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return x, PeakMoments(m, v, v_max, t)


def _amsgrad(x, g, state, lr, beta1, beta2, eps):
    *memory, t = state
    x, memory = rules.amsgrad(x, g, MaxMoments(*memory), lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    return x, PeakMoments(*memory, t + 1)


def torch_adamw(
    x,
    g,
    state: PeakMoments,
    *,
    lr=0.001,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.01,
    amsgrad=False,
):
    """``adamw``; or, with the same decay, torch's amsgrad."""
    x = _decayed(x, lr, weight_decay)
    return torch_adam(x, g, state, lr=lr, betas=betas, eps=eps, amsgrad=amsgrad)


def torch_adamax(x, g, state: MaxNorm, *, lr=0.002, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """``adamax`` with eps inside the maximum."""
    beta1, beta2 = betas
    return _adamax(x, g + weight_decay * x, state, lr=lr, beta1=beta1, beta2=beta2, eps=eps)


def torch_nadam(
    x,
    g,
    state: ScheduledMoments,
    *,
    lr=0.002,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    momentum_decay=0.004,
    decoupled_weight_decay=False,
):
    """``nadam`` whose m decays with beta1."""
    beta1, beta2 = betas
    if decoupled_weight_decay:
        x = _decayed(x, lr, weight_decay)
    else:
        g = g + weight_decay * x
    return _nadam(x, g, state, lr=lr, beta1=beta1, beta2=beta2, eps=eps, psi=momentum_decay)


# --------------------------------------------------------------------------------------------------
# Keras 3.  weight_decay is always decoupled; None is none.


def keras_sgd(
    x, g, state: Buffer, *, learning_rate=0.01, momentum=0.0, nesterov=False, weight_decay=None
):
    """``momentum`` or ``nesterov``, with the learning rate inside the buffer."""
    d = learning_rate * g
    b = momentum * state.b + d
    x = _decayed(x, learning_rate, weight_decay)
    return x - (d + momentum * b if nesterov else b), Buffer(b, state.t + 1)


def keras_adagrad(
    x,
    g,
    state: CountedAccumulator,
    *,
    learning_rate=0.001,
    initial_accumulator_value=0.1,
    epsilon=1e-7,
    weight_decay=None,
):
    """``adagrad`` with epsilon inside the root: there it is a part of the start."""
    t = state.t + 1
    v = _begin(state.v, t, initial_accumulator_value + epsilon)
    x = _decayed(x, learning_rate, weight_decay)
    x, (v,) = rules.adagrad(x, g, Accumulator(v), lr=learning_rate, eps=0.0)
    return x, CountedAccumulator(v, t)


def keras_rmsprop(
    x,
    g,
    state: Squares,
    *,
    learning_rate=0.001,
    rho=0.9,
    momentum=0.0,
    epsilon=1e-7,
    centered=False,
    weight_decay=None,
):
    """``rmsprop``, epsilon inside the root, the learning rate inside the buffer."""
    d, state = _rms_scaled(g, state, rho, inside=epsilon, centered=centered)
    b = momentum * state.b + learning_rate * d
    return _decayed(x, learning_rate, weight_decay) - b, state._replace(b=b)


def keras_adadelta(
    x,
    g,
    state: SquaredDeltas,
    *,
    learning_rate=0.001,
    rho=0.95,
    epsilon=1e-7,
    weight_decay=None,
):
    """``adadelta`` with a learning rate of 0.001 instead of 1."""
    x = _decayed(x, learning_rate, weight_decay)
    return rules.adadelta(x, g, state, lr=learning_rate, rho=rho, eps=epsilon)


def keras_adam(
    x,
    g,
    state: PeakMoments,
    *,
    learning_rate=0.001,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-7,
    amsgrad=False,
    weight_decay=None,
):
    """``adam`` or torch's amsgrad, with epsilon beside the root before v is corrected."""
    t = state.t + 1
    root = (1 - beta_2**t) ** 0.5
    x = _decayed(x, learning_rate, weight_decay)
    if amsgrad:
        lr = learning_rate * root / (1 - beta_1**t)
        return _amsgrad(x, g, state, lr, beta_1, beta_2, epsilon)
    return _adam(x, g, state, learning_rate, beta_1, beta_2, epsilon / root)


def keras_adamax(
    x,
    g,
    state: MaxNorm,
    *,
    learning_rate=0.001,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-7,
    weight_decay=None,
):
    """``adamax``."""
    x = _decayed(x, learning_rate, weight_decay)
    return rules.adamax(x, g, state, lr=learning_rate, beta1=beta_1, beta2=beta_2, eps=epsilon)


def keras_nadam(
    x,
    g,
    state: ScheduledMoments,
    *,
    learning_rate=0.001,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-7,
    weight_decay=None,
):
    """torch's Nadam with a schedule 250 times as fast."""
    x = _decayed(x, learning_rate, weight_decay)
    return _nadam(x, g, state, lr=learning_rate, beta1=beta_1, beta2=beta_2, eps=epsilon, psi=1.0)


# --------------------------------------------------------------------------------------------------
# Optax.  The learning rate has no default; weight_decay is decoupled, in adadelta coupled.


def optax_sgd(x, g, state: Velocity, *, learning_rate, momentum=None, nesterov=False):
    """``sgd``, ``momentum`` or ``nesterov``."""
    rule = rules.nesterov if nesterov else rules.momentum
    return rule(x, g, state, lr=learning_rate, beta=0.0 if momentum is None else momentum)


def optax_adagrad(
    x,
    g,
    state: CountedAccumulator,
    *,
    learning_rate,
    initial_accumulator_value=0.1,
    eps=1e-7,
):
    """``adagrad`` with eps inside the root, and no step where nothing has been accumulated."""
    xp, t = namespace(g), state.t + 1
    v = _begin(state.v, t, initial_accumulator_value) + g**2
    nothing = 1 - xp.sign(v)
    return x - learning_rate * g / (xp.sqrt(v + eps) + nothing), CountedAccumulator(v, t)


def optax_rmsprop(
    x,
    g,
    state: Squares,
    *,
    learning_rate,
    decay=0.9,
    eps=1e-8,
    initial_scale=0.0,
    eps_in_sqrt=True,
    centered=False,
    momentum=None,
    nesterov=False,
    bias_correction=False,
):
    """``rmsprop``, eps inside the root or outside, the learning rate inside the buffer."""
    inside, outside = (eps, 0.0) if eps_in_sqrt else (0.0, eps)
    d, state = _rms_scaled(
        g, state, decay, inside, outside, centered, initial_scale, bias_correction
    )
    d, beta = learning_rate * d, 0.0 if momentum is None else momentum
    b = beta * state.b + d
    return x - (d + beta * b if nesterov else b), state._replace(b=b)


def optax_adadelta(
    x, g, state: SquaredDeltas, *, learning_rate=None, rho=0.9, eps=1e-6, weight_decay=0.0
):
    """``adadelta``; without a learning rate also without a minus sign: it climbs."""
    lr = -1.0 if learning_rate is None else learning_rate
    return rules.adadelta(x, g + weight_decay * x, state, lr=lr, rho=rho, eps=eps)


def optax_adam(
    x,
    g,
    state: Moments,
    *,
    learning_rate,
    b1=0.9,
    b2=0.999,
    eps=1e-8,
    eps_root=0.0,
    nesterov=False,
):
    """``adam`` or, with nesterov, ``nadam_constant``; eps outside the root, eps_root inside."""
    xp, t = namespace(g), state.t + 1
    m = b1 * state.m + (1 - b1) * g
    v = b2 * state.v + (1 - b2) * g**2
    m_hat = m / (1 - b1**t)
    if nesterov:
        m_hat = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
    v_hat = v / (1 - b2**t)
    return x - learning_rate * m_hat / (xp.sqrt(v_hat + eps_root) + eps), Moments(m, v, t)


def optax_adamw(
    x,
    g,
    state: Moments,
    *,
    learning_rate,
    b1=0.9,
    b2=0.999,
    eps=1e-8,
    eps_root=0.0,
    weight_decay=1e-4,
    nesterov=False,
):
    """``adamw``, with the options of Optax's adam."""
    x = _decayed(x, learning_rate, weight_decay)
    hyper = {"b1": b1, "b2": b2, "eps": eps, "eps_root": eps_root, "nesterov": nesterov}
    return optax_adam(x, g, state, learning_rate=learning_rate, **hyper)


def optax_amsgrad(
    x,
    g,
    state: PeakMoments,
    *,
    learning_rate,
    b1=0.9,
    b2=0.999,
    eps=1e-8,
    eps_root=0.0,
    bias_correction_mu=True,
    bias_correction_nu=True,
):
    """``amsgrad`` with both averages corrected, v before its maximum."""
    xp, t = namespace(g), state.t + 1
    m = b1 * state.m + (1 - b1) * g
    v = b2 * state.v + (1 - b2) * g**2
    m_hat = m / (1 - b1**t) if bias_correction_mu else m
    v_hat = v / (1 - b2**t) if bias_correction_nu else v
    v_max = xp.maximum(state.v_max, v_hat)
    x = x - learning_rate * m_hat / (xp.sqrt(v_max + eps_root) + eps)
    return x, PeakMoments(m, v, v_max, t)


def optax_adamax(x, g, state: MaxNorm, *, learning_rate, b1=0.9, b2=0.999, eps=1e-8):
    """``adamax`` with eps inside the maximum."""
    return _adamax(x, g, state, lr=learning_rate, beta1=b1, beta2=b2, eps=eps)


def optax_adamaxw(
    x, g, state: MaxNorm, *, learning_rate, b1=0.9, b2=0.999, eps=1e-8, weight_decay=1e-4
):
    """Optax's adamax with the decay of ``adamw``."""
    x = _decayed(x, learning_rate, weight_decay)
    return optax_adamax(x, g, state, learning_rate=learning_rate, b1=b1, b2=b2, eps=eps)


def optax_yogi(x, g, state: Moments, *, learning_rate, b1=0.9, b2=0.999, eps=1e-3):
    """``yogi`` with both averages starting at 1e-6."""
    m, v, t = state
    state = Moments(_begin(m, t + 1, 1e-6), _begin(v, t + 1, 1e-6), t)
    return rules.yogi(x, g, state, lr=learning_rate, beta1=b1, beta2=b2, eps=eps)


# --------------------------------------------------------------------------------------------------
# d2l, the functions printed in its chapter on optimization (PyTorch tab).  Nothing has a default;
# what is not an argument is a constant in the text.


def d2l_sgd(x, g, state: Stateless, *, lr):
    """``sgd``."""
    return rules.sgd(x, g, state, lr=lr)


def d2l_momentum(x, g, state: Velocity, *, lr, momentum):
    """``momentum``."""
    return rules.momentum(x, g, state, lr=lr, beta=momentum)


def d2l_adagrad(x, g, state: CountedAccumulator, *, lr):
    """``adagrad`` with eps 1e-6 inside the root: there it is the start."""
    t = state.t + 1
    x, (v,) = rules.adagrad(x, g, Accumulator(_begin(state.v, t, 1e-6)), lr=lr, eps=0.0)
    return x, CountedAccumulator(v, t)


def d2l_rmsprop(x, g, state: Squares, *, lr, gamma):
    """``rmsprop`` with eps 1e-6 inside the root."""
    d, state = _rms_scaled(g, state, gamma, inside=1e-6)
    return x - lr * d, state


def d2l_adadelta(x, g, state: SquaredDeltas, *, rho):
    """``adadelta`` with eps 1e-5."""
    return rules.adadelta(x, g, state, lr=1.0, rho=rho, eps=1e-5)


def d2l_adam(x, g, state: Moments, *, lr):
    """``adam`` with eps 1e-6."""
    return rules.adam(x, g, state, lr=lr, beta1=0.9, beta2=0.999, eps=1e-6)


def d2l_yogi(x, g, state: Moments, *, lr):
    """``yogi``."""
    return rules.yogi(x, g, state, lr=lr, beta1=0.9, beta2=0.999, eps=1e-3)


# --------------------------------------------------------------------------------------------------
# From a library to the book

DIALECTS = {
    "torch": {
        "SGD": torch_sgd,
        "Adagrad": torch_adagrad,
        "RMSprop": torch_rmsprop,
        "Adadelta": torch_adadelta,
        "Adam": torch_adam,
        "AdamW": torch_adamw,
        "Adamax": torch_adamax,
        "NAdam": torch_nadam,
    },
    "keras": {
        "SGD": keras_sgd,
        "Adagrad": keras_adagrad,
        "RMSprop": keras_rmsprop,
        "Adadelta": keras_adadelta,
        "Adam": keras_adam,
        "AdamW": partial(keras_adam, weight_decay=0.004),
        "Adamax": keras_adamax,
        "Nadam": keras_nadam,
    },
    "optax": {
        "sgd": optax_sgd,
        "adagrad": optax_adagrad,
        "rmsprop": optax_rmsprop,
        "adadelta": optax_adadelta,
        "adam": optax_adam,
        "adamw": optax_adamw,
        "amsgrad": optax_amsgrad,
        "adamax": optax_adamax,
        "adamaxw": optax_adamaxw,
        "nadam": partial(optax_adam, nesterov=True),
        "nadamw": partial(optax_adamw, nesterov=True),
        "yogi": optax_yogi,
    },
    "d2l": {
        "sgd": d2l_sgd,
        "sgd_momentum": d2l_momentum,
        "adagrad": d2l_adagrad,
        "rmsprop": d2l_rmsprop,
        "adadelta": d2l_adadelta,
        "adam": d2l_adam,
        "yogi": d2l_yogi,
    },
}

# Options that change nothing of what is computed: accepted, whatever their value.
WITHOUT_EFFECT = {
    "torch": ("foreach", "fused", "capturable", "differentiable"),
    "keras": ("name", "ema_momentum", "ema_overwrite_frequency"),  # the last two: without use_ema
    "optax": (),
    "d2l": (),
}

# Options that are not translated: accepted only with the value that switches them off.
NOT_TRANSLATED = {
    "torch": {"maximize": False},
    "keras": {
        "clipnorm": None,
        "clipvalue": None,
        "global_clipnorm": None,
        "use_ema": False,
        "loss_scale_factor": None,
        "gradient_accumulation_steps": None,
    },
    "optax": {
        "accumulator_dtype": None,
        "mu_dtype": None,
        "mask": None,
        "weight_decay_mask": None,
    },
    "d2l": {"t": 1},
}

# What an optimizer lists among its ``defaults`` and does not let one choose.
SETTLED = {torch_adamw: {"decoupled_weight_decay": True}}


def equivalent(framework, optimizer, **hyperparameters):
    """Return the rule that an optimizer of a library is.

        equivalent("keras", "Adam", learning_rate=0.01)
        equivalent("torch", "NAdam", **optimizer.defaults)

    ``framework``        "torch", "keras", "optax" or "d2l"
    ``optimizer``        the library's own name: ``DIALECTS[framework]`` lists them
    ``hyperparameters``  one number each, by the library's own names; those not given have the
                         library's defaults.  Options that do not change what is computed
                         (``foreach``, ``name``) are accepted; those that are not translated
                         (``maximize``, clipping, masks) only where they are switched off

    The rule is used like any other, and ``run(rule, ..., learning_rate=0.1)`` overrides a value by
    the library's name.  In float64 its iterates equal the library's.  A learning rate that Optax
    and d2l require may be left to that call; so must a schedule, as a function of the step.

    Raises ``ValueError`` naming the framework, the optimizer or the option that is not translated,
    with those that are, or the value that is out of range; ``TypeError`` for a value that is not a
    number, a pair or a switch where one belongs.
    """
    if framework not in DIALECTS:
        raise ValueError(f"framework must be one of {_list(DIALECTS)}, got {framework!r}")
    if optimizer not in DIALECTS[framework]:
        known = _list(DIALECTS[framework])
        raise ValueError(f"optimizer must be one of {known} for {framework}, got {optimizer!r}")
    rule, hyper = DIALECTS[framework][optimizer], {}
    untranslated = NOT_TRANSLATED[framework] | SETTLED.get(rule, {})
    for name, value in hyperparameters.items():
        if name in names(rule):
            if callable(value):
                raise ValueError(
                    f"{name} must be a number, got a schedule: translate the constant, and give "
                    f"run a function of the step"
                )
            hyper[name] = check_option(rule, name, value)
        elif name in untranslated:
            off = untranslated[name]
            if value != off:
                raise ValueError(f"{name} is not translated: it must be {off}, got {value!r}")
        elif name not in WITHOUT_EFFECT[framework]:
            raise ValueError(
                f"{framework} {optimizer} has no option {name!r} that is translated; "
                f"it has {_list(names(rule))}"
            )
    if framework == "torch" and hyper.get("nesterov"):
        momentum, dampening = hyper.get("momentum", 0), hyper.get("dampening", 0)
        if momentum <= 0 or dampening != 0:
            raise ValueError(
                "nesterov of torch SGD must have momentum above 0 and dampening 0, got "
                f"momentum={momentum!r} and dampening={dampening!r}"
            )
    return partial(rule, **hyper)


# --------------------------------------------------------------------------------------------------
# From the book to a library


class Translation(NamedTuple):
    """How one rule of the book is called in a library."""

    optimizer: str
    names: dict  # the rule's names -> the library's; names of a pair stand in its order
    fixed: Mapping = MappingProxyType({})  # options that have to be set, and how
    only: Mapping = MappingProxyType({})  # hyper-parameters for whose value alone the two agree
    differs: str = ""  # what is different for other values


_LR = {"lr": "learning_rate"}
_MOMENTUM = {"lr": "lr", "beta": "momentum"}
_NESTEROV = {"nesterov": True}
_TORCH = {"lr": "lr", "beta1": "betas", "beta2": "betas", "eps": "eps"}
_KERAS = {"lr": "learning_rate", "beta1": "beta_1", "beta2": "beta_2", "eps": "epsilon"}
_OPTAX = {"lr": "learning_rate", "beta1": "b1", "beta2": "b2", "eps": "eps"}
_DECAY = {"weight_decay": "weight_decay"}
_BETAS = {"beta1": 0.9, "beta2": 0.999}
_INSIDE = "eps is inside the root"
_MAXIMUM = "eps is inside the maximum"
_HAT = "epsilon is added to the root before v is corrected"
_CORRECTED = "both averages are corrected"
_M = "m decays with beta1, not with mu_t"
_FINISHED = 1e5  # a schedule that is over before it begins: 0.96**1e5 is zero

# A text says why there is no equivalent.
TRANSLATIONS = {
    "torch": {
        rules.sgd: Translation("SGD", {"lr": "lr"}),
        rules.momentum: Translation("SGD", _MOMENTUM),
        rules.nesterov: Translation("SGD", _MOMENTUM, _NESTEROV),
        rules.adagrad: Translation("Adagrad", {"lr": "lr", "eps": "eps"}),
        rules.rmsprop: Translation("RMSprop", {"lr": "lr", "rho": "alpha", "eps": "eps"}),
        rules.adadelta: Translation("Adadelta", {"lr": "lr", "rho": "rho", "eps": "eps"}),
        rules.adam: Translation("Adam", _TORCH),
        rules.yogi: "it has no Yogi",
        rules.adamax: Translation("Adamax", _TORCH, only={"eps": 0.0}, differs=_MAXIMUM),
        rules.nadam: f"in its NAdam {_M}",
        rules.nadam_constant: Translation("NAdam", _TORCH, {"momentum_decay": _FINISHED}),
        rules.amsgrad: f"in its Adam(amsgrad=True) {_CORRECTED}",
        rules.adamw: Translation("AdamW", _TORCH | _DECAY),
    },
    "keras": {
        rules.sgd: Translation("SGD", _LR),
        rules.momentum: Translation("SGD", _LR | {"beta": "momentum"}),
        rules.nesterov: Translation("SGD", _LR | {"beta": "momentum"}, _NESTEROV),
        rules.adagrad: Translation(
            "Adagrad",
            _LR | {"eps": "epsilon"},
            {"initial_accumulator_value": 0.0},
            only={"eps": 0.0},
            differs=_INSIDE,
        ),
        rules.rmsprop: Translation(
            "RMSprop",
            _LR | {"rho": "rho", "eps": "epsilon"},
            only={"eps": 0.0},
            differs=_INSIDE,
        ),
        rules.adadelta: Translation("Adadelta", _LR | {"rho": "rho", "eps": "epsilon"}),
        rules.adam: Translation("Adam", _KERAS, only={"eps": 0.0}, differs=_HAT),
        rules.yogi: "it has no Yogi",
        rules.adamax: Translation("Adamax", _KERAS),
        rules.nadam: f"in its Nadam {_M}",
        rules.nadam_constant: "its Nadam always has a schedule",
        rules.amsgrad: f"in its Adam(amsgrad=True) {_CORRECTED}",
        rules.adamw: Translation("AdamW", _KERAS | _DECAY, only={"eps": 0.0}, differs=_HAT),
    },
    "optax": {
        rules.sgd: Translation("sgd", _LR),
        rules.momentum: Translation("sgd", _LR | {"beta": "momentum"}),
        rules.nesterov: Translation("sgd", _LR | {"beta": "momentum"}, _NESTEROV),
        rules.adagrad: f"in its adagrad {_INSIDE}",
        rules.rmsprop: Translation(
            "rmsprop", _LR | {"rho": "decay", "eps": "eps"}, {"eps_in_sqrt": False}
        ),
        rules.adadelta: Translation("adadelta", _LR | {"rho": "rho", "eps": "eps"}),
        rules.adam: Translation("adam", _OPTAX),
        rules.yogi: "in its yogi both averages start at 1e-6",
        rules.adamax: Translation("adamax", _OPTAX, only={"eps": 0.0}, differs=_MAXIMUM),
        rules.nadam: "its nadam has no schedule",
        rules.nadam_constant: Translation("nadam", _OPTAX),
        rules.amsgrad: Translation(
            "amsgrad", _OPTAX, {"bias_correction_mu": False, "bias_correction_nu": False}
        ),
        rules.adamw: Translation("adamw", _OPTAX | _DECAY),
    },
    "d2l": {
        rules.sgd: Translation("sgd", {"lr": "lr"}),
        rules.momentum: Translation("sgd_momentum", _MOMENTUM),
        rules.nesterov: "it has no Nesterov momentum",
        rules.adagrad: f"in its adagrad {_INSIDE}",
        rules.rmsprop: f"in its rmsprop {_INSIDE}",
        rules.adadelta: Translation(
            "adadelta", {"rho": "rho"}, only={"lr": 1.0, "eps": 1e-5}, differs="they are constants"
        ),
        rules.adam: Translation(
            "adam", {"lr": "lr"}, only=_BETAS | {"eps": 1e-6}, differs="they are constants"
        ),
        rules.yogi: Translation(
            "yogi", {"lr": "lr"}, only=_BETAS | {"eps": 1e-3}, differs="they are constants"
        ),
        rules.adamax: "it has no AdaMax",
        rules.nadam: "it has no Nadam",
        rules.nadam_constant: "it has no Nadam",
        rules.amsgrad: "it has no AMSGrad",
        rules.adamw: "it has no AdamW",
    },
}


def to_framework(rule, framework, **hyper):
    """Return the name and the arguments with which a library computes a rule of the book.

        to_framework(adam, "torch", lr=0.01)  ->  "Adam", {"lr": 0.01, "betas": (0.9, 0.999), ...}

    ``rule``       a rule of the book, or a ``functools.partial`` of one
    ``framework``  "torch", "keras", "optax" or "d2l"
    ``hyper``      the rule's hyper-parameters, one number each; those not given have the rule's
                   defaults.  All are written into the arguments, because the library's defaults may
                   differ; constants of d2l cannot be

    The two agree for a constant learning rate: Keras and, in its rmsprop, Optax keep it inside the
    buffer of momentum.

    Raises ``ValueError`` saying what differs where there is no exact equivalent, or naming the
    argument, its value and what is allowed; ``TypeError`` for an unknown hyper-parameter.
    """
    if framework not in TRANSLATIONS:
        raise ValueError(f"framework must be one of {_list(TRANSLATIONS)}, got {framework!r}")
    while isinstance(rule, partial):
        rule, hyper = rule.func, rule.keywords | hyper
    if rule not in TRANSLATIONS[framework]:
        raise ValueError(f"rule must be a rule of the book, got {label(rule)}")
    for name, value in check(rule, hyper).items():
        if value.ndim:
            raise ValueError(f"{name} must be one number, got {hyper[name]!r}")
    parameters = signature(rule).parameters
    hyper = {name: hyper.get(name, parameters[name].default) for name in names(rule)}
    if rule is rules.nesterov and hyper["beta"] == 0:  # torch refuses it
        return to_framework(rules.sgd, framework, lr=hyper["lr"])
    found = TRANSLATIONS[framework][rule]
    if isinstance(found, str):
        raise ValueError(f"{framework} has no equivalent of {label(rule)}: {found}")
    other = [name for name, value in found.only.items() if hyper[name] != value]
    if other:
        allowed = ", ".join(f"{name}={value:g}" for name, value in found.only.items())
        raise ValueError(
            f"{framework} {found.optimizer} equals {label(rule)} only for {allowed}, because "
            f"{found.differs}; got {', '.join(f'{name}={hyper[name]!r}' for name in other)}"
        )
    arguments = dict(found.fixed)
    for ours, theirs in found.names.items():
        pair = theirs == "betas"
        arguments[theirs] = (*arguments.get(theirs, ()), hyper[ours]) if pair else hyper[ours]
    return found.optimizer, arguments


# --------------------------------------------------------------------------------------------------
# From a library to another

# What a library calls by another name than the book, or than the other libraries.
_MEANING = {
    "learning_rate": "lr",
    "beta_1": "beta1",
    "b1": "beta1",
    "beta_2": "beta2",
    "b2": "beta2",
    "alpha": "rho",
    "decay": "rho",
    "gamma": "rho",
    "epsilon": "eps",
    "initial_accumulator_value": "start",
    "initial_scale": "start",
    "momentum_decay": "psi",
}
_OFF = ("momentum", "dampening", "weight_decay", "start", "lr_decay", "eps_root")
_CONVENTIONS = (  # switches that choose a convention; the others choose an algorithm
    "decoupled_weight_decay",
    "eps_in_sqrt",
    "bias_correction",
    "bias_correction_mu",
    "bias_correction_nu",
)

# What an optimizer computes with and gives no name.
_CONSTANTS = {
    ("keras", "nadam"): {"psi": 1.0},
    ("optax", "nadam"): {"psi": _FINISHED},
    ("optax", "amsgrad"): {"amsgrad": True},
    ("d2l", "adagrad"): {"eps": 1e-6},
    ("d2l", "rmsprop"): {"eps": 1e-6},
    ("d2l", "adadelta"): {"lr": 1.0, "eps": 1e-5},
    ("d2l", "adam"): _BETAS | {"eps": 1e-6},
    ("d2l", "yogi"): _BETAS | {"eps": 1e-3},
}


def counterparts(framework, optimizer, target, **hyperparameters):
    """Return the calls of another library that have the same settings, as (name, arguments).

        counterparts("keras", "Nadam", "torch", learning_rate=0.01)

    ``framework, optimizer, hyperparameters``  as in ``equivalent``
    ``target``  the other library

    They are candidates: which of them equals the optimizer, or comes nearest, is to be measured.
    There is one for every optimizer of the target that bears the same name, with weight decay or
    without, and every position of the switches that choose a convention; where both eps and the
    start of an accumulator can be set, there is one more with eps moved into the start.  What the
    target cannot set is left out, what the optimizer does not have is switched off.

    Raises what ``equivalent`` raises, and ``ValueError`` naming an unknown target.
    """
    rule = equivalent(framework, optimizer, **hyperparameters)
    if target not in DIALECTS:
        raise ValueError(f"target must be one of {_list(DIALECTS)}, got {target!r}")
    given = {name: value for name, value in _settings(rule).items() if value is not None}
    family = _family(optimizer, given)
    settings = dict.fromkeys(_OFF, 0.0) | _CONSTANTS.get((framework, family), {}) | given
    moved = {"start": settings["start"] + settings.get("eps", 0.0), "eps": 0.0}
    calls = []
    for name, other in DIALECTS[target].items():
        has = _settings(other).keys()
        switches = [switch for switch in _CONVENTIONS if switch in has]
        for chosen in [settings, settings | moved] if moved.keys() <= has else [settings]:
            for switched in product((False, True), repeat=len(switches)):
                arguments = _arguments(other, chosen | dict(zip(switches, switched, strict=True)))
                if _family(name, arguments) == family and _possible(target, name, arguments):
                    calls.append((name, arguments))
    return calls


def _family(optimizer, settings):
    """The name of an optimizer in lower case, the same with weight decay and without."""
    name = optimizer.lower().removesuffix("w").removesuffix("_momentum")
    if name == "adam" and settings.get("nesterov"):
        return "nadam"
    return "amsgrad" if settings.get("amsgrad") else name


def _settings(rule):
    """The hyper-parameters of a rule, by what they mean, with the values they have or None."""
    settings = {}
    for name in names(rule):
        default = signature(rule).parameters[name].default
        if name == "betas":
            settings["beta1"], settings["beta2"] = default
        else:
            settings[_MEANING.get(name, name)] = None if default is Parameter.empty else default
    return settings


def _arguments(rule, settings):
    """The settings by the names that ``rule`` has for them, but for those that are off anyway."""
    arguments = {}
    for name in names(rule):
        default = signature(rule).parameters[name].default
        if name == "betas":
            arguments[name] = tuple(map(settings.get, _BETAS, default))
            continue
        value = settings.get(_MEANING.get(name, name))
        off = value == default if isinstance(value, bool) else value == 0 and default in (0, None)
        if value is not None and not off:
            arguments[name] = value
    return arguments


def _possible(framework, optimizer, arguments):
    """Whether the optimizer has all it needs and accepts it."""
    try:
        rule = equivalent(framework, optimizer, **arguments)
    except ValueError:
        return False
    return all(signature(rule).parameters[n].default is not Parameter.empty for n in names(rule))


def _list(values):
    return ", ".join(values)
