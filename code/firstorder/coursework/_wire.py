"""Plain data between the process that grades and the one that runs a submission.

Only plain data crosses: None, numbers, text, tuples, lists, dicts, NumPy arrays, torch tensors and
SymPy expressions, of exactly these types.  Anything else stays where it is and is named by a
number.  Nothing is unpickled, so that nothing is run by reading what the other side has sent.
"""

import base64
import json
import math
import struct
import sys

import numpy as np

LARGEST = 64 * 2**20  # bytes of a message
DEEPEST = 20  # levels of lists in lists


def encode(value, keep, depth=0):
    """Return ``value`` as JSON data; ``keep(object)`` gives the number of what has to stay."""
    kind = type(value)
    if depth > DEEPEST:
        raise ValueError(f"data must not be nested more than {DEEPEST} deep")
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return {"int": str(value)}
    if kind is float:
        return {"float": value.hex()}
    if kind is complex:
        return {"complex": [value.real.hex(), value.imag.hex()]}
    if kind in (list, tuple):
        return {kind.__name__: [encode(v, keep, depth + 1) for v in value]}
    if kind is dict and all(type(k) is str for k in value):
        return {"dict": {k: encode(v, keep, depth + 1) for k, v in value.items()}}
    if kind is np.ndarray and value.dtype.kind in "biufcU":
        return {"array": _pack(value)}
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        return {"scalar": _pack(np.asarray(value))}
    torch = sys.modules.get("torch")
    if torch and kind is torch.Tensor:
        return {"tensor": _pack(value.detach().cpu().numpy())}
    sympy = sys.modules.get("sympy")
    if sympy and isinstance(value, sympy.Basic):
        return {"sympy": sympy.srepr(value)}
    return {"object": keep(value), "type": kind.__name__, "callable": callable(value)}


def decode(data, find):
    """Return the value that ``encode`` described; ``find(data)`` stands in for what has stayed."""
    if data is None or isinstance(data, (bool, str)):
        return data
    if "object" in data:
        return find(data)
    ((kind, content),) = data.items()
    if kind == "int":
        return int(content)
    if kind == "float":
        return float.fromhex(content)
    if kind == "complex":
        return complex(*map(float.fromhex, content))
    if kind == "list":
        return [decode(v, find) for v in content]
    if kind == "tuple":
        return tuple(decode(v, find) for v in content)
    if kind == "dict":
        return {k: decode(v, find) for k, v in content.items()}
    if kind == "array":
        return _unpack(content)
    if kind == "scalar":
        return _unpack(content)[()]
    if kind == "tensor":
        import torch

        return torch.from_numpy(_unpack(content))
    if kind == "sympy":
        return _expression(content)
    raise ValueError(f"unknown kind of data {kind!r}")


def _pack(array):
    raw = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "raw": raw}


def _unpack(content):
    dtype, shape = np.dtype(content["dtype"]), tuple(int(n) for n in content["shape"])
    if dtype.kind not in "biufcU" or math.prod(shape) * dtype.itemsize > LARGEST:
        raise ValueError(f"array of {dtype} and shape {shape} is not allowed")
    return np.frombuffer(base64.b64decode(content["raw"]), dtype).reshape(shape).copy()


def _expression(text):
    """Return a SymPy expression from its ``srepr``, building nothing but SymPy's own classes."""
    import ast

    import sympy
    from sympy.functions.elementary.piecewise import ExprCondPair

    others = {"ExprCondPair": ExprCondPair}  # part of a Piecewise, and not among sympy's names

    def build(node):
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, str, bool, type(None))):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -build(node.operand)
        if isinstance(node, ast.Tuple):
            return tuple(map(build, node.elts))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            function = others.get(node.func.id) or getattr(sympy, node.func.id, None)
            if isinstance(function, type) and issubclass(function, sympy.Basic):
                named = {k.arg: build(k.value) for k in node.keywords}
                arguments = [build(a) for a in node.args]
                texts = [a for a in arguments if isinstance(a, str)]
                if texts and function not in (sympy.Symbol, sympy.Dummy, sympy.Float):
                    raise ValueError(f"text in {node.func.id} is not allowed")
                return function(*arguments, **named)
            if function is not None and isinstance(function, sympy.Basic):
                return function
        if isinstance(node, ast.Name) and isinstance(getattr(sympy, node.id, None), sympy.Basic):
            return getattr(sympy, node.id)
        raise ValueError(f"not allowed in an expression: {ast.unparse(node)}")

    return build(ast.parse(text, mode="eval").body)


def write(stream, message):
    """Write a message, JSON data, to a binary stream."""
    data = json.dumps(message).encode()
    if len(data) > LARGEST:
        raise ValueError(f"a message must have at most {LARGEST} bytes, got {len(data)}")
    stream.write(struct.pack("<Q", len(data)) + data)
    stream.flush()


def read(stream):
    """Return the next message of a binary stream, None at its end."""
    head = stream.read(8)
    if len(head) < 8:
        return None
    return json.loads(stream.read(*struct.unpack("<Q", head)))
