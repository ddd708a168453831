"""What the tests of assignments call: comparisons by type and value, and inputs nobody has seen.

Every comparison raises ``AssertionError`` with a sentence for the student.  The functions it uses
are bound when this module is loaded, before any code of a student has run.
"""

import os
import secrets
from numbers import Number

import numpy as np

_allclose, _isfinite, _asarray = np.allclose, np.isfinite, np.asarray
_FLOATS = (float, int, np.floating, np.integer)


def generator():
    """Return a random generator whose seed the grading has chosen, or nobody.

    The environment variable FIRSTORDER_SEED makes a second grading draw the same numbers.
    """
    seed = os.environ.get("FIRSTORDER_SEED")
    return np.random.default_rng(int(seed) if seed else secrets.randbits(64))


def number(value, expected, rtol=1e-6, atol=0.0, what="the result"):
    """Check that ``value`` is one real number, near ``expected``."""
    if type(value).__module__.partition(".")[0] == "torch" and value.ndim == 0:
        value = value.item()
    if type(value) is np.ndarray and value.ndim == 0:
        value = value[()]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, _FLOATS):
        raise AssertionError(f"{what} must be a number, got {_kind(value)}")
    value = float(value)
    if not _isfinite(value):
        raise AssertionError(f"{what} must be finite, got {value}")
    if abs(value - expected) > atol + rtol * abs(expected):
        raise AssertionError(f"{what} is {value:.6g}, which is not right")


def array(value, expected, rtol=1e-6, atol=1e-9, what="the result"):
    """Check that ``value`` is an array or tensor with the shape and numbers of ``expected``."""
    expected = _asarray(expected)
    if expected.ndim == 0:
        return number(value, float(expected), rtol, atol, what)
    if type(value).__module__.partition(".")[0] == "torch":
        value = value.detach().cpu().numpy()
    if type(value) is not np.ndarray:
        raise AssertionError(f"{what} must be an array, got {_kind(value)}")
    if value.shape != expected.shape:
        raise AssertionError(f"{what} must have shape {expected.shape}, got {value.shape}")
    if value.dtype.kind not in "fiu":
        raise AssertionError(f"{what} must hold real numbers, got {value.dtype}")
    value = value.astype(float)
    if not _isfinite(value).all():
        raise AssertionError(f"{what} must be finite everywhere")
    if not _allclose(value, expected, rtol=rtol, atol=atol):
        worst = np.unravel_index(np.argmax(np.abs(value - expected)), value.shape)
        raise AssertionError(f"{what} is not right, for example at index {tuple(map(int, worst))}")


def whole(value, expected, what="the result"):
    """Check that ``value`` is this whole number."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise AssertionError(f"{what} must be a whole number, got {_kind(value)}")
    if int(value) != expected:
        raise AssertionError(f"{what} is {int(value)}, which is not right")


def choice(value, expected, what="the answer"):
    """Check that ``value`` is this text or truth value."""
    if type(value) is np.bool_:
        value = bool(value)
    if type(value) is not type(expected):
        kind = type(expected).__name__
        raise AssertionError(f"{what} must be of type {kind}, got {_kind(value)}")
    if value != expected:
        raise AssertionError(f"{what} is not right")


def function(value, what):
    """Check that there is a function to call."""
    if not callable(value):
        raise AssertionError(f"{what} is not there: its cell did not run, or gave it another name")


def unchanged(call, *arguments, what="the function"):
    """Call with copies of the arguments and check that they are as before; return the result."""
    given = [_copy(a) for a in arguments]
    result = call(*given)
    for before, after in zip(arguments, given, strict=True):
        if not _same(before, after):
            raise AssertionError(f"{what} changes an argument; it must leave them as they are")
    return result


def _kind(value):
    """Return what a value is, in words for the student; of a stand-in, what it stands for."""
    if value is None:
        return "nothing: is it defined, under this name?"
    kind = getattr(value, "_kind", type(value).__name__)
    return "the placeholder" if kind == "ellipsis" else kind


def _copy(value):
    if isinstance(value, (list, tuple)):
        return type(value)(map(_copy, value))
    if isinstance(value, dict):
        return {k: _copy(v) for k, v in value.items()}
    if hasattr(value, "clone"):
        return value.clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and bool((_asarray(a) == _asarray(b)).all())
    if isinstance(a, Number):
        return a == b or (a != a and b != b)
    return bool((a == b).all()) if hasattr(a, "all") else a == b
