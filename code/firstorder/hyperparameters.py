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
