"""Objectives against formulas written again by hand, differentiated by mpmath with 40 digits."""

import subprocess
import sys

import mpmath
import numpy as np
import pytest
import torch

from firstorder import objectives
from firstorder.objectives import (
    Objective,
    beale,
    bowl,
    conditioned,
    himmelblau,
    lessard,
    parabola,
    plateau,
    quadratic,
    reddi,
    rosenbrock,
    saddle,
    valley,
    valley_turned,
)
from firstorder.rules import momentum, sgd
from firstorder.run import run

ROOT_10 = mpmath.mpf(10) ** mpmath.mpf("0.5")


def lessard_by_slope(x):
    """The integral from 0 of the slope in the paper."""
    pieces = [(1, lambda s: 25 * s), (2, lambda s: s + 24), (mpmath.inf, lambda s: 25 * s - 24)]
    total, low = mpmath.mpf(0), mpmath.mpf(0)
    for end, slope in pieces:
        high = min(x, end)
        total += (high - low) * slope((low + high) / 2)  # exact: each slope is linear
        low = high
        if x <= end:
            return total


FORMULAS = {
    bowl: lambda a, b: a**2 + 2 * b**2,
    valley: lambda a, b: a**2 / 10 + 2 * b**2,
    valley_turned: lambda a, b: (a + b) ** 2 / 2 / 10 + 2 * (b - a) ** 2 / 2,
    rosenbrock: lambda a, b: (a - 1) ** 2 + 100 * (a**2 - b) ** 2,
    beale: lambda a, b: (
        (mpmath.mpf("1.5") - a + a * b) ** 2
        + (mpmath.mpf("2.25") - a + a * b**2) ** 2
        + (mpmath.mpf("2.625") - a + a * b**3) ** 2
    ),
    himmelblau: lambda a, b: (a * a + b - 11) ** 2 + (a + b * b - 7) ** 2,
    saddle: lambda a, b: a * a - b * b + b**4 / 2,
    plateau: lambda a, b: 1 - mpmath.exp(-a * a / 4) * mpmath.exp(-b * b / 2),
    lessard: lessard_by_slope,
    parabola(3.7): lambda a: mpmath.mpf(3.7) * a * a / 2,
    conditioned(10, 3): lambda a, b, c: (a * a + ROOT_10 * b * b + 10 * c * c) / 2,
}
EACH = pytest.mark.parametrize("objective", FORMULAS, ids=lambda o: o.name)


def points(objective, n=20, seed=1):
    """Random points of the window."""
    low, high = np.transpose(objective.window)
    return np.random.default_rng(seed).uniform(low, high, (n, objective.dimension))


def derivative(formula, point, *axes):
    order = [axes.count(i) for i in range(len(point))]
    with mpmath.workdps(40):
        point = tuple(map(mpmath.mpf, point))
        return float(mpmath.diff(formula, point, tuple(order)) if axes else formula(*point))


def agrees(objective, formula):
    """Whether value, gradient and Hessian are those of the formula, at points of the window."""
    d = range(objective.dimension)
    x = points(objective)
    value = np.array([derivative(formula, p) for p in x])
    gradient = np.array([[derivative(formula, p, i) for i in d] for p in x])
    hessian = np.array([[[derivative(formula, p, i, j) for j in d] for i in d] for p in x])
    return all(
        np.allclose(found, wanted, rtol=1e-13, atol=1e-14 * np.abs(wanted).max())
        for found, wanted in [
            (objective.value(x), value),
            (objective.gradient(x), gradient),
            (objective.hessian(x), hessian),
        ]
    )


@EACH
def test_value_gradient_and_hessian_are_those_of_the_formula(objective):
    assert agrees(objective, FORMULAS[objective])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda a, b: (1 - a) ** 2 + 100.000001 * (b - a**2) ** 2,
        lambda a, b: (1 - a) ** 2 + 100 * (b - a**2) ** 2 + 1e-9 * a,
    ],
)
def test_a_wrong_formula_is_found(wrong):
    keywords = {"start": (0.0, 0.0), "window": rosenbrock.window, "minimisers": [(1.0, 1.0)]}
    assert not agrees(Objective(wrong, **keywords), FORMULAS[rosenbrock])


@EACH
def test_every_minimiser_is_one_to_the_last_digits(objective):
    formula = FORMULAS[objective]
    assert objective.minimisers.shape[1] == objective.dimension
    for minimiser in objective.minimisers:
        assert np.linalg.eigvalsh(objective.hessian(minimiser)).min() > 0
        gradient = [derivative(formula, minimiser, i) for i in range(objective.dimension)]
        newton = np.linalg.solve(objective.hessian(minimiser), gradient)
        assert np.all(np.abs(newton) <= np.spacing(np.abs(minimiser)))
        assert abs(derivative(formula, minimiser) - objective.minimum) < 1e-28


@EACH
def test_no_point_of_the_window_is_lower_than_the_minimum(objective):
    x = np.concatenate([points(objective, 20_000), objective.minimisers])
    assert objective.value(x).min() >= objective.minimum
    low, high = np.transpose(objective.window)
    for inside in (*objective.minimisers, objective.start):
        assert np.all((low <= inside) & (inside <= high))


@pytest.mark.parametrize("objective", [himmelblau, saddle])
def test_no_minimiser_is_missing(objective):
    x = points(objective, 400)
    for _ in range(4000):
        x = x - 0.005 * objective.gradient(x)
    x = x[np.linalg.eigvalsh(objective.hessian(x))[:, 0] > 0]
    distance = np.linalg.norm(x[:, None] - objective.minimisers, axis=-1)
    assert distance.min(1).max() < 1e-6
    assert set(distance.argmin(1)) == set(range(len(objective.minimisers)))


def test_published_minimisers():
    assert rosenbrock.minimisers.tolist() == [[1, 1]]
    assert beale.minimisers.tolist() == [[3, 0.5]]
    published = [(3, 2), (-2.805118, 3.131312), (-3.779310, -3.283186), (3.584428, -1.848126)]
    assert np.allclose(himmelblau.minimisers, published, atol=1.1e-6, rtol=0)


def test_the_saddle_is_a_saddle_that_is_bounded_below():
    assert saddle.gradient(np.zeros(2)).tolist() == [0, 0]
    assert saddle.hessian(np.zeros(2)).tolist() == [[2, 0], [0, -2]]
    assert saddle.value(np.array([0.0, 100.0])) > 0


def test_the_plateau_is_flat_far_out_and_a_bowl_in_the_middle():
    assert np.abs(plateau.gradient(np.array([6.0, 4.0]))).max() < 1e-6
    assert plateau.hessian(np.zeros(2)).tolist() == (bowl.hessian(np.zeros(2)) / 4).tolist()


# --------------------------------------------------------------------------------------------------
# Quadratics


def test_valley_turned_is_exact():
    h = valley_turned.hessian(np.zeros(2))
    assert h.tolist() == [[2.1, -1.9], [-1.9, 2.1]]
    assert np.allclose(np.linalg.eigvalsh(h), [0.2, 4], rtol=1e-15)
    assert np.isclose(valley_turned.value(valley_turned.start), valley.value(valley.start))


@pytest.mark.parametrize("angle", [0, 17.5, 45, 90, -60])
def test_quadratic_has_its_eigenvalues_along_turned_axes(angle):
    q = quadratic((0.3, 7.1), angle)
    h = q.hessian(np.ones(2))
    c, s = np.cos(np.pi * angle / 180), np.sin(np.pi * angle / 180)
    assert np.allclose(h @ [c, s], 0.3 * np.array([c, s]), rtol=1e-14, atol=1e-15)
    assert np.allclose(h @ [-s, c], 7.1 * np.array([-s, c]), rtol=1e-14, atol=1e-15)
    along = np.array([[c, s], [-s, c]]) @ q.start
    assert np.allclose(0.3 * along[0] ** 2, 7.1 * along[1] ** 2)


def test_conditioned_runs_from_1_to_the_condition():
    h = conditioned(100, 5).hessian(np.zeros(5))
    assert np.array_equal(h, np.diag(np.diag(h)))
    assert np.allclose(np.diag(h), [1, 10**0.5, 10, 10**1.5, 100], rtol=1e-15, atol=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: quadratic([1.0, 0.0]), "eigenvalues must be finite positive"),
        (lambda: quadratic([]), "eigenvalues must be finite positive"),
        (lambda: quadratic([1.0, np.nan]), "eigenvalues must be finite positive"),
        (lambda: quadratic([1.0, 2.0, 3.0], 45), "angle must be .* got 45 with 3"),
        (lambda: quadratic([1.0, 2.0], np.inf), "angle must be finite"),
        (lambda: parabola(-1.0), "eigenvalues must be finite positive"),
        (lambda: conditioned(0.5), "condition must be finite and at least 1, got 0.5"),
        (lambda: conditioned(10, 1), "dimension must be at least 2, got 1"),
        (lambda: reddi(2.0), "C must be finite and above period - 1 = 2, got 2.0"),
        (lambda: reddi(np.inf), "C must be finite"),
        (lambda: reddi(9.0, 2.5), "period must be a whole number of at least 2, got 2.5"),
        (lambda: conditioned(10, 3).grid(5), "grid needs one or two coordinates"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --------------------------------------------------------------------------------------------------
# Counterexamples


def test_heavy_ball_cycles_on_lessard():
    """Lessard, Recht & Packard (2016), section 4.6: with the lr and beta best for quadratics."""
    trace = run(momentum, lessard, lessard.start, 300, lr=1 / 9, beta=4 / 9)
    cycle = np.array([792.0, -2208.0, 2592.0]) / 1225
    assert np.allclose(sorted(trace.x[-3:, 0]), sorted(cycle), rtol=1e-12)
    assert np.allclose(run(sgd, lessard, lessard.start, 1000, lr=1 / 13).x[-1], 0, atol=1e-12)


def test_lessard_is_smooth_where_its_pieces_meet():
    for x in (1.0, 2.0):
        below, above = np.nextafter(x, 0), np.nextafter(x, 9)
        for f in (lessard.value, lessard.gradient):
            assert np.allclose(f(np.array([below])), f(np.array([above])), rtol=1e-14)


def test_reddi_has_one_large_gradient_in_a_period():
    x = np.zeros((4, 1))
    assert [reddi(5.5).gradient(x, t)[2, 0] for t in range(1, 8)] == [5.5, -1, -1, 5.5, -1, -1, 5.5]
    long = [reddi(101, 101).gradient(np.zeros(1), t=t)[0] for t in range(1, 203)]
    assert long == ([101] + [-1] * 100) * 2


def test_reddi_is_its_average_loss_on_the_interval():
    problem = reddi(4.0)
    x = np.array([[-1.0], [0.5]])
    assert np.allclose(problem.value(x), (4 - 2) * x[:, 0] / 3)
    assert problem.minimum == problem.value(problem.minimisers)[0]
    projected = problem.project(np.array([[-3.0], [0.5], [2.0]], np.float32))
    assert projected.dtype == np.float32
    assert projected.tolist() == [[-1], [0.5], [1]]
    end = run(sgd, problem, problem.start, 300, lr=0.1, project=problem.project).x[-1]
    assert -1 <= end[0] <= -0.8 + 1e-12  # back at -1 after every period, within a step of it


# --------------------------------------------------------------------------------------------------
# Arrays


def test_scaled_is_the_objective_times_the_factor():
    x = np.array([[0.3, -1.7], [2.0, 1.0]])
    twice = objectives.scaled(objectives.beale, 2.0)
    assert np.allclose(twice.value(x), 2 * objectives.beale.value(x), rtol=1e-14)
    assert np.allclose(twice.gradient(x), 2 * objectives.beale.gradient(x), rtol=1e-14)
    for factor in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="factor must be finite and positive"):
            objectives.scaled(objectives.beale, factor)


def test_given_gradients_are_those_the_rule_gets():
    path = np.array([[1.0, -2.0], [3.0, 0.5]])
    assert np.array_equal(run(sgd, objectives.Given(path), np.zeros(2), 2, lr=1.0).g, path)
    single = run(sgd, objectives.Given(path[:, 0]), np.zeros((4, 1)), 2, lr=1.0)
    assert np.array_equal(single.g[:, 3, 0], path[:, 0])
    assert not single.f.any()
    assert np.array_equal(run(sgd, objectives.Given(-0.5), np.zeros(1), 3, lr=1.0).x[-1], [1.5])
    with pytest.raises(TypeError, match="gradients must be floating point"):
        objectives.Given([1, 2])
    for wrong in ([], [np.inf], np.zeros((2, 2, 2))):
        with pytest.raises(ValueError, match="gradients must be finite"):
            objectives.Given(np.asarray(wrong, dtype=float))


@EACH
def test_leading_axes_are_points_and_dtypes_stay(objective):
    x = points(objective, 24).reshape(2, 3, 4, objective.dimension)
    value, gradient, hessian = objective.value(x), objective.gradient(x), objective.hessian(x)
    assert value.shape == (2, 3, 4)
    assert gradient.shape == x.shape
    assert hessian.shape == (*x.shape, objective.dimension)
    for at in np.ndindex(2, 3, 4):
        assert np.isclose(objective.value(x[at]), value[at], rtol=1e-14)
        assert np.allclose(objective.gradient(x[at]), gradient[at], rtol=1e-13, atol=1e-13)
        assert np.allclose(objective.hessian(x[at]), hessian[at], rtol=1e-13, atol=1e-13)
    for dtype in (np.float16, np.float32, np.longdouble):
        for point in (x.astype(dtype), x[0, 0, 0].astype(dtype)):
            with np.errstate(over="ignore"):  # half precision ends at 65504
                assert objective.value(point).dtype == dtype
                assert objective.gradient(point).dtype == dtype
                assert objective.hessian(point).dtype == dtype


@EACH
def test_torch_and_jax_give_the_same_numbers_and_autograd_the_same_gradient(objective):
    jax = pytest.importorskip("jax")
    x = points(objective, 6).reshape(2, 3, objective.dimension)
    close = {"rtol": 1e-12, "atol": 1e-12 * np.abs(objective.gradient(x)).max()}
    tensor = torch.tensor(x, requires_grad=True)
    objective.value(tensor).sum().backward()
    assert np.allclose(tensor.grad, objective.gradient(x), **close)
    assert np.allclose(objective.gradient(tensor).detach(), objective.gradient(x), **close)
    assert objective.gradient(tensor.float()).dtype == torch.float32
    with jax.enable_x64(True):
        array = jax.numpy.asarray(x)
        assert np.allclose(objective.value(array), objective.value(x), **close)
        assert np.allclose(jax.jit(objective.gradient)(array), objective.gradient(x), **close)


def test_wrong_points_are_refused():
    with pytest.raises(ValueError, match=r"x must have 2 .* for beale, got shape \(3,\)"):
        beale.value(np.zeros(3))
    with pytest.raises(ValueError, match=r"got shape \(\)"):
        beale.gradient(np.float64(1.0))
    with pytest.raises(ValueError, match=r"got shape \(2, 1\)"):
        beale.gradient(torch.zeros(2, 1))
    with pytest.raises(TypeError, match="x must be floating point, got int64"):
        beale.hessian(np.array([1, 2]))


def test_constants_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        rosenbrock.start[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        himmelblau.minimisers[0] = 0


def test_grid_is_what_contour_plots_take():
    surface = rosenbrock.grid(7)
    assert surface.f.shape == (7, 7)
    assert (surface.x1[0], surface.x1[-1], surface.x2[0], surface.x2[-1]) == (-2, 2, -1, 3)
    assert surface.f[2, 5] == rosenbrock.value(np.array([surface.x1[5], surface.x2[2]]))
    near = rosenbrock.grid(3, window=((0, 1), (5, 7)))
    assert (near.x1.tolist(), near.x2.tolist()) == ([0, 0.5, 1], [5, 6, 7])
    assert near.f[2, 0] == 1 + 100 * 7**2
    line = lessard.grid(9)
    assert line.x2 is None
    assert line.f[4] == lessard.value(line.x1[4:5])


def test_latex_comes_from_the_expression():
    assert rosenbrock.latex == (
        r"\left(1 - x_{1}\right)^{2} + 100 \left(- x_{1}^{2} + x_{2}\right)^{2}"
    )
    assert valley_turned.latex == r"1.05 x_{1}^{2} - 1.9 x_{1} x_{2} + 1.05 x_{2}^{2}"
    assert r"\frac{x^{2}}{2} + 24 x - 12" in lessard.latex
    assert reddi(3).latex == (
        r"\begin{cases} 3 x & \text{if } t \bmod 3 = 1 \\ - x & \text{otherwise} \end{cases}"
    )


def test_sympy_is_loaded_only_when_a_function_is_evaluated():
    code = (
        "import sys; from firstorder import objectives as o; assert 'sympy' not in sys.modules;"
        "o.reddi(3), o.conditioned(10, angle=45); assert 'sympy' not in sys.modules;"
        "o.bowl.value(o.bowl.start); assert 'sympy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_objective_of_the_module_is_tested():
    here = {v for v in vars(objectives).values() if isinstance(v, Objective)}
    assert here <= set(FORMULAS)
