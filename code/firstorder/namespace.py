"""The array library of a value: the one place where the rules meet NumPy, torch, JAX and SymPy."""

from functools import cache
from numbers import Number
from types import SimpleNamespace


@cache
def _sympy_namespace():
    import sympy

    return SimpleNamespace(
        sqrt=sympy.sqrt,
        abs=sympy.Abs,
        sign=sympy.sign,
        maximum=sympy.Max,
        zeros_like=lambda value: sympy.Integer(0),
    )


def namespace(value):
    """Return the module whose ``sqrt, abs, sign, maximum, zeros_like`` act on ``value``.

    A NumPy array, a JAX array or any other array that array-api-compat knows gives that library;
    a torch tensor gives ``torch`` itself (array-api-compat warns inside ``torch.compile``);
    a SymPy expression gives a namespace of SymPy functions; a plain number gives NumPy.

    Raises ``TypeError`` for anything else.
    """
    library = type(value).__module__.partition(".")[0]
    if library == "torch":
        import torch

        return torch
    if library == "sympy":
        return _sympy_namespace()
    if isinstance(value, Number):
        import numpy

        return numpy
    from array_api_compat import array_namespace

    return array_namespace(value)
