r"""A rule in symbols: its formulas in LaTeX, its steps as SymPy expressions, and proofs about them.

LaTeX is read from the rule's own source, line by line; expressions come from running the rule on
symbols.  Neither can disagree with the code.

Hyper-parameters are the symbols ``symbol("lr")``, ``symbol("beta1")``, ...; all are positive, and
``beta, beta1, beta2, rho`` are below 1.
"""

import ast
import inspect
import random
import textwrap
from typing import Any, NamedTuple

import sympy

from firstorder.hyperparameters import RANGES, check_names, check_whole, names
from firstorder.notebook import Shown
from firstorder.rules import initial_state

#: Name in the code -> LaTeX.  A hyper-parameter is constant; the other names are taken at step t.
HYPERPARAMETERS = {
    "lr": r"\eta",
    "beta": r"\beta",
    "beta1": r"\beta_1",
    "beta2": r"\beta_2",
    "rho": r"\rho",
    "eps": r"\varepsilon",
    "weight_decay": r"\lambda_w",
    "psi": r"\psi",
}
QUANTITIES = {
    "x": "x",
    "g": "g",
    "m": "m",
    "v": "v",
    "u": "u",
    "q": "q",
    "d": "d",
    "m_hat": r"\hat m",
    "v_hat": r"\hat v",
    "v_max": r"v^{\max}",
    "mu": r"\mu",
    "mu_prod": r"\Pi",
}

# --------------------------------------------------------------------------------------------------
# The lines of a rule


class Source(NamedTuple):
    """The body of a rule, as ``ast`` nodes."""

    lines: list  # (name, expression) for each line above the return
    x: ast.expr  # the new parameters
    state: dict  # field -> expression of the new state


def read(rule):
    """Return the ``Source`` of a rule: lines ``name = expression``, then ``return x, State(...)``.

    The line that gets ``xp`` is left out.  Raises ``ValueError`` if the body is of another form.
    """
    if not inspect.isfunction(rule):
        raise ValueError(f"rule must be a function with its own source, got {rule!r}")
    body = ast.parse(textwrap.dedent(inspect.getsource(rule))).body[0].body
    lines = []
    for node in body:
        match node:
            case ast.Expr(value=ast.Constant()):  # the docstring
                pass
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                lines.append((name, value))
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                lines += [(target.id, v) for target, v in zip(targets, values, strict=True)]
            case ast.Return(value=ast.Tuple(elts=[x, ast.Call(args=fields)])):
                kind = inspect.signature(rule).parameters["state"].annotation
                state = dict(zip(kind._fields, fields, strict=True))
                return Source([line for line in lines if line[0] != "xp"], x, state)
            case _:
                raise ValueError(f"{rule.__name__} has a line of another form: {ast.unparse(node)}")
    raise ValueError(f"{rule.__name__} must end in 'return x, State(...)'")


# --------------------------------------------------------------------------------------------------
# LaTeX


def latex(rule):
    """Return the rule's formulas as an ``aligned`` block of LaTeX, one line for each of the code.

    Raises ``ValueError`` if the rule uses a name that ``HYPERPARAMETERS`` and ``QUANTITIES`` lack.
    """
    source = read(rule)
    lines = [line for line in source.lines if line[0] != "t"] + [("x", source.x)]
    formulas = [f"{_at(name, 't')} &= {_latex(value)[0]}" for name, value in lines]
    return r"\begin{aligned}" + "\n" + " \\\\\n".join(formulas) + "\n" + r"\end{aligned}"


def display(rule):
    """Show the rule's formulas; the plain form is the lines of the code."""
    source = read(rule)
    lines = [*source.lines, ("x", source.x)]
    plain = "\n".join(f"{name} = {ast.unparse(value)}" for name, value in lines)
    return Shown(plain, f"$$\n{latex(rule)}\n$$")


def _at(name, time):
    """The LaTeX of a name at a step; ``mu_next`` is mu one step later."""
    if name in HYPERPARAMETERS:
        return HYPERPARAMETERS[name]
    if name.endswith("_next"):
        name, time = name.removesuffix("_next"), f"{time}+1"
    if name not in QUANTITIES:
        raise ValueError(f"no LaTeX symbol for {name!r}: add it to symbolic.QUANTITIES")
    return f"{QUANTITIES[name]}_{{{time}}}" if len(time) > 1 else f"{QUANTITIES[name]}_{time}"


SUM, PRODUCT, FRACTION, ATOM = range(4)  # how tightly a piece of LaTeX holds together


def _latex(node):
    """Return the LaTeX of an expression and how tightly it holds together."""
    match node:
        case ast.Constant(value=value):
            return f"{value:g}", ATOM
        case ast.Name(id="t"):
            return "t", ATOM
        case ast.Name(id="x"):  # the argument of the rule
            return _at("x", "t-1"), ATOM
        case ast.Name(id=name):
            return _at(name, "t"), ATOM
        case ast.Attribute(value=ast.Name(id="state"), attr=name):
            return _at(name, "t-1"), ATOM
        case ast.Call(func=ast.Attribute(attr=function), args=arguments):
            return _call(function, [_latex(a)[0] for a in arguments]), ATOM
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return "-" + _held(_latex(operand), PRODUCT), SUM
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return f"{_latex(left)[0]} + {_latex(right)[0]}", SUM
        case ast.BinOp(op=ast.Sub(), left=left, right=right):
            return f"{_latex(left)[0]} - {_held(_latex(right), PRODUCT)}", SUM
        case ast.BinOp(op=ast.Mult(), left=left, right=right):
            left, right = (_held(_latex(side), PRODUCT) for side in (left, right))
            dot = r" \cdot " if right[0].isdigit() else " "
            return left + dot + right, PRODUCT
        case ast.BinOp(op=ast.Div(), left=left, right=right):
            return rf"\frac{{{_latex(left)[0]}}}{{{_latex(right)[0]}}}", FRACTION
        case ast.BinOp(op=ast.Pow(), left=left, right=right):
            base, exponent = _held(_latex(left), ATOM), _latex(right)[0]
            return f"{base}^{{{exponent}}}" if len(exponent) > 1 else f"{base}^{exponent}", ATOM
    raise ValueError(f"no LaTeX for {ast.unparse(node)!r}")


def _call(function, arguments):
    form = {
        "sqrt": r"\sqrt{%s}",
        "abs": r"\lvert %s \rvert",
        "sign": r"\operatorname{sign}(%s)",
        "maximum": r"\max(%s, %s)",
    }
    if function not in form:
        raise ValueError(f"no LaTeX for {function}(...)")
    return form[function] % tuple(arguments)


def _held(piece, tightness):
    """The LaTeX of a piece, in parentheses if it holds together less than ``tightness``."""
    text, own = piece
    if own >= tightness:
        return text
    tall = r"\frac" in text or r"\sqrt" in text
    return rf"\left({text}\right)" if tall else f"({text})"


# --------------------------------------------------------------------------------------------------
# Steps


def symbol(name):
    """Return the SymPy symbol of a hyper-parameter: positive.

    Raises ``ValueError`` for a name that ``HYPERPARAMETERS`` lacks.
    """
    if name not in HYPERPARAMETERS:
        raise ValueError(f"no symbol for {name!r}: add it to symbolic.HYPERPARAMETERS")
    return sympy.Symbol(HYPERPARAMETERS[name].lstrip("\\"), positive=True)


def _below_one():
    return {symbol(name) for name in HYPERPARAMETERS if RANGES[name][1] == 1}


_t = sympy.Symbol("t", integer=True, positive=True)


class Steps(NamedTuple):
    """A run in symbols.  All three are lists; ``x[t]`` and ``state[t]`` are those after t steps."""

    x: list
    g: list  # g[t] is the gradient of step t; g[0] is None
    state: list


def trace(rule, steps=1, *, x=None, g=None, **hyper):
    """Run ``rule`` on symbols from its initial state, and return ``Steps``.

    ``x``      the start; by default the real symbol x_0
    ``g``      the gradients, one for each step; by default the real symbols g_1, g_2, ...
    ``hyper``  numbers or expressions; a hyper-parameter not given is its ``symbol``

    Decimal numbers, also those in the rule, become exact fractions.  Raises ``TypeError`` for an
    unknown hyper-parameter; ``ValueError`` for fewer than one step, or if the number of gradients
    is not that of steps.
    """
    steps, hyper = check_whole("steps", steps, 1), _symbols(rule, hyper)
    x = sympy.Symbol("x_0", real=True) if x is None else _exact(x)
    g = sympy.symbols(f"g_1:{steps + 1}", real=True) if g is None else list(map(_exact, g))
    if len(g) != steps:
        raise ValueError(f"g must have one gradient for each of {steps} steps, got {len(g)}")
    xs, states = [x], [initial_state(rule, x)]
    for gradient in g:
        x, state = rule(xs[-1], gradient, states[-1], **hyper)
        xs.append(_tidy(x))
        states.append(type(state)(*map(_tidy, state)))
    return Steps(xs, [None, *g], states)


class Update(NamedTuple):
    """One step in symbols, from any state."""

    x: Any  # x_t
    state: Any  # the state after step t
    before: dict  # name -> symbol: x at t-1, the gradient g, and the state's fields at t-1


def update(rule, **hyper):
    """Return the ``Update`` of ``rule``: step t from the symbols x_{t-1}, g_t, m_{t-1}, ...

    A field of the state is a nonnegative symbol if its value after one step cannot be negative.
    ``hyper`` as in ``trace``.
    """
    first = trace(rule, **hyper).state[1]
    before = {"x": sympy.Symbol("x_{t-1}", real=True), "g": sympy.Symbol("g_t", real=True)}
    for name, value in first._asdict().items():
        real = {"nonnegative": True} if _positive(value)[0].is_nonnegative else {"real": True}
        before[name] = sympy.Symbol(f"{QUANTITIES.get(name)}_{{t-1}}", **real)
    if "t" in before:
        before["t"] = _t - 1
    state = type(first)(*(before[name] for name in first._fields))
    x, state = rule(before["x"], before["g"], state, **_symbols(rule, hyper))
    return Update(_tidy(x), type(state)(*map(_tidy, state)), before)


def _symbols(rule, hyper):
    check_names(rule, hyper)
    return {name: _exact(hyper.get(name, symbol(name))) for name in names(rule)}


def _exact(value):
    return sympy.nsimplify(value, rational=True)


def _tidy(value):
    """Exact fractions for decimals, and what follows from every beta and rho being below 1."""
    value, meaning = _positive(_exact(value))
    return value.xreplace(meaning)


def _positive(expression):
    """Replace every 1 - beta**k by a positive symbol; return that, and what the symbols mean."""
    below_one, symbols = _below_one(), {}

    def replaced(total):
        for sign in (1, -1):
            base, exponent = (1 - sign * total).as_base_exp()
            if base in below_one and exponent.is_positive:
                return sign * symbols.setdefault(sign * total, sympy.Dummy(positive=True))
        return total

    expression = expression.replace(lambda part: part.is_Add, replaced)
    return expression, {stand_in: meaning for meaning, stand_in in symbols.items()}


# --------------------------------------------------------------------------------------------------
# Proofs


def weights(rule, field, steps):
    """Return the weights that g_1, ..., g_steps have in a field of the state after as many steps.

    The field must be a weighted sum of the gradients or of their squares; otherwise ``ValueError``.
    """
    run = trace(rule, steps)
    value, g = getattr(run.state[-1], field), run.g[1:]
    for power in (1, 2):
        found = tuple(_coefficient(value, gi, power) for gi in g)
        if _is_sum(value, zip(found, g, strict=True), power):
            return found
    raise ValueError(f"{field} of {rule.__name__} is no weighted sum of gradients or their squares")


def unrolled(rule, field):
    """Return the weight of a gradient k steps old, or of its square, in a field of the state.

    An expression in the symbol ``k`` = 0, 1, ...  Raises ``ValueError`` unless the rule forms the
    field as a * field + b * g, or a * field + b * g**2, with a and b the same at every step.
    """
    step = update(rule)
    value, old, g = getattr(step.state, field), step.before[field], step.before["g"]
    fade = value.diff(old)
    for power in (1, 2):
        weight = _coefficient(value, g, power)
        varying = {*step.before.values(), _t} & (fade.free_symbols | weight.free_symbols)
        if not varying and _is_sum(value - fade * old, [(weight, g)], power):
            return weight * fade ** sympy.Symbol("k", integer=True, nonnegative=True)
    raise ValueError(f"{field} of {rule.__name__} has no weights that depend on k alone")


def _coefficient(value, g, power):
    return value.diff(g) if power == 1 else value.diff(g) / (2 * g)


def _is_sum(value, terms, power):
    """Whether value is the sum of weight * g**power, the weights without any gradient."""
    terms = list(terms)
    gradients = {g for _, g in terms}
    free = not any(weight.free_symbols & gradients for weight, _ in terms)
    return free and sympy.expand(value - sum(weight * g**power for weight, g in terms)) == 0


def first_step(rule, **hyper):
    """Return how far ``rule`` first moves x against a gradient g > 0, in units of lr.

    Exact, as an expression in the hyper-parameters (``hyper`` as in ``trace``), in g and x_0 where
    they matter.  If ``eps`` is left as a symbol: the leading term as it goes to 0.
    """
    lr, eps = _exact(hyper.get("lr", symbol("lr"))), symbol("eps")
    run = trace(rule, g=[sympy.Symbol("g", positive=True)], **hyper)
    step = (run.x[0] - run.x[1]) / lr
    limit = step.subs(eps, 0) or step.as_leading_term(eps)
    return sympy.simplify(sympy.factor_terms(limit), ratio=1)


def equal(a, b):
    """Return whether two expressions are equal for all real values of their symbols.

    ``beta, beta1, beta2, rho`` lie between 0 and 1; of other symbols, SymPy's assumptions say which
    are integers and what sign they have.  False is proved by a point at which they differ, True by
    simplifying their difference to 0.  Raises ``ValueError`` if neither succeeds.
    """
    difference = _exact(a) - _exact(b)
    if any(_differs(difference, random.Random(seed)) for seed in range(5)):
        return False
    known, meaning = _positive(difference)
    simple = sympy.simplify(known)
    if simple == 0 or sympy.simplify(simple.xreplace(meaning)) == 0:
        return True
    raise ValueError(f"undecided: no point found where it differs from 0: {difference}")


def _differs(expression, rng):
    """Whether the expression is clearly not 0 at a random point of the symbols' domain."""
    point = {s: _sample(s, rng) for s in sorted(expression.free_symbols, key=str)}
    value = expression.subs(point).evalf(40)
    return bool(value.is_number and value.is_finite and abs(value) > 1e-20)


def _sample(symbol, rng):
    if symbol in _below_one():
        return sympy.Rational(rng.randint(1, 99), 100)
    size = sympy.Rational(rng.randint(1, 300), 100)
    size = sympy.ceiling(size) if symbol.is_integer else size
    if symbol.is_nonnegative:
        return size
    return -size if symbol.is_nonpositive else size * rng.choice((-1, 1))
