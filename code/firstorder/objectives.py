"""Test functions.  Each is one SymPy expression, from which everything else about it follows.

    rosenbrock.value(x), rosenbrock.gradient(x), rosenbrock.hessian(x), rosenbrock.latex

Coordinates are the last axis of ``x``; leading axes are points.  SymPy is loaded when a function is
first evaluated, not when this module is imported.
"""

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from firstorder.namespace import namespace


class Surface(NamedTuple):
    """An objective on a grid over its window, for figures."""

    name: str
    x1: np.ndarray  # (n,)
    x2: Any  # (n,); None if the objective has one coordinate
    f: np.ndarray  # (n, n), f[i, j] at (x1[j], x2[i]), as contour plots want it; or (n,)
    minimisers: np.ndarray  # (k, dimension)


class Objective:
    """A function to minimise.

    ``formula``     function of the coordinates, called with SymPy symbols; returns the expression
    ``start``       (d,), the customary or a telling place to start; its length is the dimension
    ``window``      a pair (low, high) for each coordinate: the part worth looking at
    ``minimisers``  (k, d), every global minimiser
    ``minimum``     the value there
    ``name``        for labels; by default that of the formula
    """

    def __init__(self, formula, *, start, window, minimisers, minimum=0.0, name=None):
        self.name = name or formula.__name__
        self.formula = formula
        self.__doc__ = formula.__doc__
        self.start = _constant(start)
        self.dimension = len(self.start)
        self.window = tuple((float(low), float(high)) for low, high in window)
        self.minimisers = _constant(minimisers)
        self.minimum = float(minimum)
        self._compiled = {}

    def __repr__(self):
        return f"<objective {self.name}>"

    @cached_property
    def symbols(self):
        """The coordinates as real SymPy symbols: ``x`` alone, otherwise ``x1, x2, ...``."""
        import sympy

        names = "x" if self.dimension == 1 else f"x1:{self.dimension + 1}"
        return sympy.symbols(names, real=True, seq=True)

    @cached_property
    def expression(self):
        """The function as a SymPy expression in ``symbols``."""
        import sympy

        f = sympy.sympify(self.formula(*self.symbols))
        # SymPy writes 15 digits of a float unless it was made from more
        return f.xreplace({c: sympy.Float(repr(float(c))) for c in f.atoms(sympy.Float)})

    @property
    def latex(self):
        """The expression in LaTeX, without dollar signs."""
        import sympy

        return sympy.latex(self.expression)

    def value(self, x):
        """Return the function at ``x`` of shape (..., d), as an array or number of shape (...).

        ``x`` is a floating-point array of NumPy, torch or JAX; library and dtype are kept.
        Raises ``TypeError`` for a NumPy array that is not floating point and ``ValueError`` for
        another last axis.
        """
        x = self._checked(x)
        if not isinstance(x, np.ndarray):
            return self._function("value", x)(*_columns(x))
        return np.asarray(self._function("value", x)(*x.T), x.dtype).T[()]

    def gradient(self, x):
        """Return the gradient at ``x`` of shape (..., d), in that shape; otherwise as ``value``."""
        x = self._checked(x)
        if not isinstance(x, np.ndarray):
            xp, columns = namespace(x), _columns(x)
            parts = self._function("gradient", x)(*columns)
            return xp.stack([xp.zeros_like(columns[0]) + part for part in parts], -1)
        gradient = np.empty_like(x.T)
        for i, part in enumerate(self._function("gradient", x)(*x.T)):
            gradient[i] = part
        return gradient.T

    def hessian(self, x):
        """Return the Hessians, (..., d, d), at a NumPy array ``x`` of shape (..., d)."""
        x = self._checked(np.asarray(x))
        d = self.dimension
        hessian = np.empty((d, d, *x.T.shape[1:]), x.dtype)
        for k, part in enumerate(self._function("hessian", x)(*x.T)):
            hessian[divmod(k, d)] = part
        return hessian.T

    def grid(self, n=200, window=None):
        """Return a ``Surface`` of n points along each axis of ``window``, else of its own window.

        Raises ``ValueError`` for an objective of more than two coordinates.
        """
        if self.dimension > 2:
            raise ValueError(f"grid needs one or two coordinates, {self.name} has {self.dimension}")
        axes = [np.linspace(low, high, n) for low, high in window or self.window]
        x2 = axes[1] if self.dimension == 2 else None
        points = np.stack(np.meshgrid(*axes), -1)
        return Surface(self.name, axes[0], x2, self.value(points), self.minimisers)

    def _checked(self, x):
        if not hasattr(x, "shape"):
            x = np.asarray(x)
        if isinstance(x, np.ndarray) and x.dtype.kind != "f":
            raise TypeError(f"x must be floating point, got {x.dtype}")
        if not x.shape or x.shape[-1] != self.dimension:
            raise ValueError(
                f"x must have {self.dimension} coordinates on its last axis for {self.name}, "
                f"got shape {tuple(x.shape)}"
            )
        return x

    def _function(self, what, x):
        """The Python function of the coordinates that computes ``what`` in the library of ``x``."""
        torch_or_jax = "torch" if type(x).__module__.startswith("torch") else "jax"
        library = "numpy" if isinstance(x, np.ndarray) else torch_or_jax
        if (what, library) not in self._compiled:
            self._compiled[what, library] = self._compile(what, library)
        return self._compiled[what, library]

    def _compile(self, what, library):
        import sympy

        f, x = self.expression, self.symbols
        expressions = {
            "value": lambda: f,
            "gradient": lambda: [f.diff(a) for a in x],
            "hessian": lambda: [f.diff(a, b) for a in x for b in x],
        }
        return sympy.lambdify(x, expressions[what](), modules=library, cse=True)


class Online(Objective):
    """A different loss at each step: step t = 1, 2, ... has ``losses[(t - 1) % len(losses)]``.

    ``losses``  Objectives, one for each step of a period

    The window is the feasible set.  Value, expression, Hessian and minimisers are those of the
    average loss over a period; gradient and LaTeX are those of the step's own loss.
    """

    def __init__(self, losses, **keywords):
        self.losses = tuple(losses)
        super().__init__(self._average, **keywords)

    def _average(self, *x):
        return sum(loss.formula(*x) for loss in self.losses) / len(self.losses)

    @property
    def latex(self):
        """The loss of step t in LaTeX, without dollar signs."""
        period, lines = len(self.losses), [loss.latex for loss in self.losses]
        while len(lines) > 1 and lines[-1] == lines[-2]:  # they share the line "otherwise"
            lines.pop()
        when = [rf"\text{{if }} t \bmod {period} = {t}" for t in range(1, len(lines))]
        cases = zip(lines, [*when, r"\text{otherwise}"], strict=True)
        body = r" \\ ".join(f"{line} & {condition}" for line, condition in cases)
        return rf"\begin{{cases}} {body} \end{{cases}}"

    def gradient(self, x, t):
        """Return the gradient at ``x`` of the loss of step ``t`` = 1, 2, ..."""
        return self.losses[(t - 1) % len(self.losses)].gradient(x)

    def project(self, x):
        """Return the feasible point nearest to ``x``."""
        low, high = np.transpose(self.window).astype(x.dtype)
        return np.clip(x, low, high)


def objective(**keywords):
    """Make an ``Objective`` of the formula below it: ``@objective(start=..., window=..., ...)``."""
    return lambda formula: Objective(formula, **keywords)


def _constant(values):
    array = np.array(values, dtype=float)
    array.setflags(write=False)
    return array


def _columns(x):
    return [x[..., i] for i in range(x.shape[-1])]


# --------------------------------------------------------------------------------------------------
# Quadratics


@objective(start=(-5.0, -2.0), window=((-5.5, 2.0), (-3.0, 2.0)), minimisers=[(0.0, 0.0)])
def bowl(x1, x2):
    """The example of d2l's gradient descent; eigenvalues 2 and 4."""
    return x1**2 + 2 * x2**2


@objective(start=(-5.0, -2.0), window=((-5.5, 2.0), (-3.0, 2.0)), minimisers=[(0.0, 0.0)])
def valley(x1, x2):
    """The example of d2l's momentum, AdaGrad and RMSProp; eigenvalues 0.2 and 4."""
    return 0.1 * x1**2 + 2 * x2**2


def quadratic(eigenvalues, angle=0.0, *, start=None, name="quadratic"):
    """Return x' H x / 2, where H has these eigenvalues.

    ``eigenvalues``  d positive numbers
    ``angle``        in degrees, only for d = 2: the eigenvectors are the axes turned so far
                     anticlockwise; a multiple of 45 gives H exactly
    ``start``        (d,); by default a point at which all eigenvectors contribute equally to f

    Raises ``ValueError`` naming the argument.
    """
    h = np.array(eigenvalues, dtype=float)
    if h.ndim != 1 or not h.size or not (np.isfinite(h) & (h > 0)).all():
        raise ValueError(f"eigenvalues must be finite positive numbers, got {eigenvalues!r}")
    if not np.isfinite(angle) or (angle and len(h) != 2):
        raise ValueError(
            f"angle must be finite, and 0 unless there are 2 eigenvalues, got {angle} with {len(h)}"
        )

    def formula(*x):
        if not angle:
            return sum(float(hi) / 2 * xi**2 for hi, xi in zip(h, x, strict=True))
        from sympy import Rational, cos, pi, sin

        c, s = (f(pi * Rational(angle) / 180) for f in (cos, sin))
        (a, b), (x1, x2) = map(Rational, h), x
        h11, h12, h22 = a * c**2 + b * s**2, (a - b) * c * s, a * s**2 + b * c**2
        return float(h11 / 2) * x1**2 + float(h12) * x1 * x2 + float(h22 / 2) * x2**2

    if start is None:
        start = -2 * np.sqrt(h.max() / h)
        start = _turn(start, angle) if angle else start
    reach = 1.1 * np.abs(start).max()
    window = [(-reach, reach)] * len(h)
    return Objective(formula, start=start, window=window, minimisers=[0 * h], name=name)


def conditioned(condition, dimension=2, angle=0.0):
    """Return the quadratic with eigenvalues 1 to ``condition``, equally spaced in the logarithm.

    ``condition`` is at least 1, ``dimension`` at least 2, ``angle`` as in ``quadratic``.
    Raises ``ValueError`` otherwise.
    """
    if not (np.isfinite(condition) and condition >= 1):
        raise ValueError(f"condition must be finite and at least 1, got {condition}")
    if dimension < 2:
        raise ValueError(f"dimension must be at least 2, got {dimension}")
    eigenvalues = np.geomspace(1, condition, dimension)
    return quadratic(eigenvalues, angle, name=f"quadratic, condition {condition:g}")


def parabola(c):
    """Return c x^2 / 2, the quadratic of one coordinate with curvature ``c`` > 0."""
    return quadratic([c], start=[1.0], name=f"parabola, curvature {c:g}")


def _turn(point, angle):
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.array([[c, -s], [s, c]]) @ point


#: The valley and its start turned by 45 degrees: the same eigenvalues, no longer along the axes.
valley_turned = quadratic((0.2, 4.0), angle=45, start=_turn(valley.start, 45), name="valley_turned")

# --------------------------------------------------------------------------------------------------
# Curved valleys, several minimisers, flat regions


@objective(start=(-1.2, 1.0), window=((-2.0, 2.0), (-1.0, 3.0)), minimisers=[(1.0, 1.0)])
def rosenbrock(x1, x2):
    """Rosenbrock (1960), with his start: a curved valley, easy to enter and slow to follow."""
    return (1 - x1) ** 2 + 100 * (x2 - x1**2) ** 2


@objective(start=(1.0, 1.0), window=((-4.5, 4.5), (-4.5, 4.5)), minimisers=[(3.0, 0.5)])
def beale(x1, x2):
    """Beale (1958): steep walls around a flat floor.

    Start: Moré, Garbow & Hillstrom (1981), problem 5.
    """
    return (
        (1.5 - x1 * (1 - x2)) ** 2
        + (2.25 - x1 * (1 - x2**2)) ** 2
        + (2.625 - x1 * (1 - x2**3)) ** 2
    )


@objective(
    start=(0.0, 0.0),
    window=((-5.0, 5.0), (-5.0, 5.0)),
    minimisers=[
        (3.0, 2.0),
        (-2.8051180869527449, 3.1313125182505730),
        (-3.7793102533777469, -3.2831859912861694),
        (3.5844283403304917, -1.8481265269644034),
    ],
)
def himmelblau(x1, x2):
    """Himmelblau (1972): four minimisers of equal value; the path decides which one is found."""
    return (x1**2 + x2 - 11) ** 2 + (x1 + x2**2 - 7) ** 2


@objective(
    start=(-1.5, 0.001),
    window=((-2.0, 2.0), (-1.6, 1.6)),
    minimisers=[(0.0, 1.0), (0.0, -1.0)],
    minimum=-0.5,
)
def saddle(x1, x2):
    """A saddle at 0 between two minimisers; the start is almost on the axis that leads into it.

    The quartic bounds the function below.  On x1^2 - x2^2 alone, whatever leaves the saddle falls
    for ever, and methods could be compared only by how fast they diverge.
    """
    return x1**2 - x2**2 + x2**4 / 2


@objective(start=(-4.0, -2.0), window=((-5.5, 5.5), (-4.0, 4.0)), minimisers=[(0.0, 0.0)])
def plateau(x1, x2):
    """The bowl pressed into a plain: bowl / 4 near 0, and 1 far away.

    The gradient vanishes exponentially out there, as it does behind a saturated unit.  A step in
    proportion to the gradient stalls; a step divided by the gradient's own size does not.
    """
    from sympy import exp

    return 1 - exp(-(x1**2 + 2 * x2**2) / 4)


# --------------------------------------------------------------------------------------------------
# One coordinate: counterexamples


@objective(start=(3.3,), window=((-3.0, 4.0),), minimisers=[(0.0,)])
def lessard(x):
    """Lessard, Recht & Packard (2016), eq. (4.11): slope 25 x, x + 24, 25 x - 24 in turn.

    Smooth and strongly convex with m = 1 and L = 25.  Heavy ball with the lr and beta that are best
    on quadratics, 1/9 and 4/9, cycles for ever from this start.
    """
    from sympy import Piecewise

    return Piecewise(
        (25 * x**2 / 2, x < 1),
        (x**2 / 2 + 24 * x - 12, x < 2),
        (25 * x**2 / 2 - 24 * x + 36, True),
    )


def reddi(C, period=3):
    """Return an online problem on which Adam can fail: C x at steps 1, 1 + period, ..., else -x.

    The feasible set is [-1, 1]; pass the objective's ``project`` to ``run``.  The losses of a
    period add up to (C - period + 1) x, so -1 is best.  Reddi, Kale & Kumar (2018), Theorem 1, has
    period = 3; their experiment has C = period = 101, and all losses ten times as large.

    Raises ``ValueError`` unless ``period`` is a whole number of at least 2 and ``C`` is above
    period - 1, which makes -1 the minimiser.
    """
    if period < 2 or period % 1:
        raise ValueError(f"period must be a whole number of at least 2, got {period}")
    if not period - 1 < C < np.inf:
        raise ValueError(f"C must be finite and above period - 1 = {period - 1}, got {C}")
    place = {"start": (0.0,), "window": ((-1.0, 1.0),)}
    rare = Objective(lambda x: C * x, minimisers=[(-1.0,)], minimum=-C, name=f"{C:g} x", **place)
    usual = Objective(lambda x: -x, minimisers=[(1.0,)], minimum=-1.0, name="-x", **place)
    losses = [rare] + [usual] * (int(period) - 1)
    minimum = -(C - period + 1) / period
    return Online(losses, minimisers=[(-1.0,)], minimum=minimum, name=f"reddi, C = {C:g}", **place)


def scaled(objective, factor):
    """Return ``factor`` > 0 times an objective; start, window and minimisers stay.

    Raises ``ValueError`` for another factor.
    """
    if not (np.isfinite(factor) and factor > 0):
        raise ValueError(f"factor must be finite and positive, got {factor}")
    return Objective(
        lambda *x: factor * objective.formula(*x),
        start=objective.start,
        window=objective.window,
        minimisers=objective.minimisers,
        minimum=factor * objective.minimum,
        name=f"{factor:g} {objective.name}",
    )


class Given:
    """Gradients that are known beforehand, to see what a rule makes of them; the value is always 0.

    ``gradients``  (T,) or (T, d): that of step t is ``gradients[t - 1]``, wherever x is; or one
                   number, the gradient of every step

    Raises ``TypeError`` or ``ValueError`` unless they are finite floating-point numbers.
    """

    name = "given gradients"

    def __init__(self, gradients):
        array = np.asarray(gradients)
        if array.dtype.kind != "f":
            raise TypeError(f"gradients must be floating point, got {array.dtype}")
        if array.ndim > 2 or not array.size or not np.isfinite(array).all():
            raise ValueError(
                f"gradients must be finite, of shape (), (T,) or (T, d), got {gradients!r}"
            )
        self.gradients = array[:, None] if array.ndim == 1 else array
        self.dimension = self.gradients.shape[-1] if array.ndim == 2 else 1
        self.start = np.zeros(self.dimension)

    def value(self, x):
        """Return zeros, (...,) for ``x`` of shape (..., d)."""
        return np.zeros(np.shape(x)[:-1])

    def gradient(self, x, t):
        """Return the gradient of step ``t`` = 1, 2, ... in the shape of ``x``."""
        steady = self.gradients.ndim == 0
        return np.broadcast_to(self.gradients if steady else self.gradients[t - 1], np.shape(x))
