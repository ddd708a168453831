"""JavaScript of a rule and of an objective, for the interactive figures.

A rule is translated from its source, line by line, and acts on one coordinate: numbers instead of
arrays.  An objective is printed from its SymPy expressions.  ``RUN`` puts the two together.
"""

import ast
import inspect

import sympy
from sympy.printing.jscode import JavascriptCodePrinter

from firstorder.hyperparameters import names
from firstorder.objectives import Online
from firstorder.symbolic import read

#: ``run(rule, objective, start, steps, hyper, project)`` returns the path, steps + 1 points.
RUN = """\
function run(rule, objective, start, steps, hyper = {}, project = (x) => x) {
  let x = start, states = start.map(() => rule.initial);
  const path = [x];
  for (let t = 1; t <= steps; t++) {
    const g = objective.gradient(x, t);
    const next = x.map((xi, i) => rule(xi, g[i], states[i], hyper));
    x = project(next.map(([xi, state]) => xi));
    states = next.map(([xi, state]) => state);
    path.push(x);
  }
  return path;
}
"""

FUNCTIONS = {"sqrt": "sqrt", "abs": "abs", "sign": "sign", "maximum": "max"}


def rule(function):
    """Return a rule as ``function name(x, g, state, {lr = 0.001, ...} = {})`` of JavaScript.

    It takes the numbers of one coordinate and returns ``[x, state]``; ``name.initial`` is the state
    to start from.  Element-wise rules only.  Raises ``ValueError`` for a rule that
    ``symbolic.read`` does not understand or that calls what ``FUNCTIONS`` lacks.
    """
    source, name = read(function), function.__name__
    parameters = inspect.signature(function).parameters
    zero = parameters["state"].annotation._field_defaults
    hyper = ", ".join(f"{key} = {parameters[key].default!r}" for key in names(function))
    lines = [f"  const {target} = {_translated(value)};" for target, value in source.lines]
    state = ", ".join(_entry(key, _translated(value)) for key, value in source.state.items())
    initial = ", ".join(f"{key}: {zero.get(key, 0)!r}" for key in source.state)
    return "\n".join(
        [
            f"function {name}(x, g, state, {{{hyper}}} = {{}}) {{",
            *lines,
            f"  return [{_translated(source.x)}, {{{state}}}];",
            "}",
            f"{name}.initial = {{{initial}}};",
            "",
        ]
    )


class _Functions(ast.NodeTransformer):
    """xp.sqrt -> Math.sqrt, and so on; all else in a rule reads the same in JavaScript."""

    def visit_Attribute(self, node):
        if getattr(node.value, "id", None) != "xp":
            return node
        if node.attr not in FUNCTIONS:
            raise ValueError(f"no JavaScript for {node.attr}(...)")
        return ast.Attribute(ast.Name("Math"), FUNCTIONS[node.attr])


def _translated(node):
    return ast.unparse(_Functions().visit(node))


def _entry(key, value):
    return key if key == value else f"{key}: {value}"


def objective(function, name=None):
    """Return an objective as ``const name = {start, window, minimisers, value, gradient};``.

    ``value(x)`` and ``gradient(x, t)`` take an array of coordinates; t = 1, 2, ... matters to an
    ``Online`` objective only.  ``name`` is the objective's own unless given; ``ValueError`` if it
    is no identifier.
    """
    name = name or function.name
    if not name.isidentifier():
        raise ValueError(f"name must be a JavaScript identifier, got {name!r}")
    f, x = function.expression, function.symbols
    point, row = f"[{', '.join(map(str, x))}]", f"[{', '.join(['{}'] * len(x))}]"
    if isinstance(function, Online):
        period = len(function.losses)
        partials = [loss.expression.diff(a) for loss in function.losses for a in x]
        gradient = f"[{', '.join([row] * period)}][(t - 1) % {period}]"
    else:
        partials = [f.diff(a) for a in x]
        gradient = row
    return "\n".join(
        [
            f"const {name} = {{",
            f"  start: {function.start.tolist()},",
            f"  window: {list(map(list, function.window))},",
            f"  minimisers: {function.minimisers.tolist()},",
            f"  value({point}) {{",
            *_body([f], "{}"),
            "  },",
            f"  gradient({point}, t) {{",
            *_body(partials, gradient),
            "  },",
            "};",
            "",
        ]
    )


def _body(expressions, returned):
    """Lines that compute the expressions, common parts first, and return them in a form."""
    common, expressions = sympy.cse(expressions, symbols=sympy.numbered_symbols("c"))
    write = _Printer().doprint
    lines = [f"    const {part} = {write(value)};" for part, value in common]
    return [*lines, f"    return {returned.format(*map(write, expressions))};"]


class _Printer(JavascriptCodePrinter):
    """SymPy's, with every digit of a number, and cases on one line."""

    def _print_Float(self, number):
        return repr(float(number))

    def _print_Piecewise(self, cases):
        *first, last = ((self._print(value), self._print(when)) for value, when in cases.args)
        return f"({''.join(f'{when} ? {value} : ' for value, when in first)}{last[0]})"
