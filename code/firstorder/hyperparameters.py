"""What a hyper-parameter may be: names, ranges and the errors that say so.

Rules check nothing.  Everything that accepts hyper-parameters from a person (``run``, ``train``,
the adapters) calls ``check`` once, before anything is computed.
"""

import inspect

import numpy as np

# name: (lowest, highest, highest allowed?); a name not listed here must only be finite
RANGES = {
    "lr": (0.0, np.inf, False),
    "beta": (0.0, 1.0, False),
    "beta1": (0.0, 1.0, False),
    "beta2": (0.0, 1.0, False),
    "rho": (0.0, 1.0, False),
    "eps": (0.0, np.inf, False),
    "weight_decay": (0.0, np.inf, False),
    "psi": (0.0, np.inf, False),
}
# what other libraries call them (see rosetta): the same ranges
OTHER_NAMES = {
    "lr": ("learning_rate",),
    "beta": ("momentum",),
    "beta1": ("beta_1", "b1"),
    "beta2": ("beta_2", "b2"),
    "rho": ("alpha", "decay", "gamma"),
    "eps": ("epsilon", "eps_root", "initial_accumulator_value", "initial_scale"),
    "psi": ("momentum_decay", "lr_decay", "dampening"),
}
RANGES |= {other: RANGES[ours] for ours, others in OTHER_NAMES.items() for other in others}


def names(rule):
    """Return the names of the rule's hyper-parameters, in the order of its signature."""
    parameters = inspect.signature(rule).parameters.values()
    return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def check_names(rule, hyper):
    """Raise ``TypeError`` naming every key of ``hyper`` that ``rule`` does not have."""
    allowed = names(rule)
    unknown = [name for name in hyper if name not in allowed]
    if unknown:
        raise TypeError(
            f"{label(rule)} has no hyper-parameter {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(allowed)}"
        )


def check_value(name, value):
    """Return ``value`` as a float array; raise ``ValueError`` if any entry is outside its range."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":  # not text, None, True or a complex number
        raise TypeError(f"{name} must be a number or an array of numbers, got {value!r}")
    array = array.astype(float)
    low, high, closed = RANGES.get(name, (-np.inf, np.inf, False))
    inside = np.isfinite(array) & (array >= low) & ((array <= high) if closed else (array < high))
    if not inside.all():
        wrong = array[~inside].flat[0]
        raise ValueError(f"{name} must be {_range(low, high, closed)}, got {wrong:g}")
    return array


def options(rule):
    """Return the names of the rule's switches and pairs, which are passed to it as they are.

    They are the hyper-parameters whose default is True, False or a tuple.  No rule of the book has
    any; the rules of other libraries do (see ``rosetta``).
    """
    parameters = inspect.signature(rule).parameters.values()
    return tuple(p.name for p in parameters if isinstance(p.default, (bool, tuple)))


def check_option(rule, name, value):
    """Return ``value``; raise unless it is a switch, a pair or a number, as its default is.

    The numbers of a pair named betas have the ranges of beta1 and beta2.  A value may be None where
    the default is None.
    """
    default = inspect.signature(rule).parameters[name].default
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, got {value!r}")
    elif isinstance(default, tuple):
        if not isinstance(value, (tuple, list)) or len(value) != len(default):
            raise TypeError(f"{name} must be {len(default)} numbers, got {value!r}")
        for i, entry in enumerate(value, start=1):
            _check_one(f"{name.removesuffix('s')}{i}", entry)
    elif not (value is None and default is None):
        _check_one(name, value)
    return value


def _check_one(name, value):
    if check_value(name, value).ndim:
        raise ValueError(f"{name} must be one number, got {value!r}")


def check(rule, hyper):
    """Check names, then values; return ``hyper`` with every value as a float array."""
    check_names(rule, hyper)
    return {name: check_value(name, value) for name, value in hyper.items()}


def check_whole(name, value, lowest=0):
    """Return ``value`` as an int; raise unless it is a whole number of at least ``lowest``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < lowest:
        raise ValueError(f"{name} must be at least {lowest}, got {value}")
    return int(value)


def label(rule):
    """Return the name of a rule, also of a ``functools.partial`` of one."""
    while hasattr(rule, "func"):
        rule = rule.func
    return getattr(rule, "__name__", repr(rule))


def _range(low, high, closed):
    if np.isinf(low):
        return "finite"
    if np.isinf(high):
        return f"finite and at least {low:g}"
    return f"at least {low:g} and {'at most' if closed else 'below'} {high:g}"
