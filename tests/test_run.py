"""``run``: what it refuses, what it returns, and that one run never disturbs another."""

from functools import partial

import numpy as np
import pytest

from firstorder import rules
from firstorder.rules import initial_state
from firstorder.run import Trace, run
from oracles import REFERENCES, by_name, follow


class Bowl:
    """(x1**2 + 10*x2**2) / 2, which counts its calls."""

    name = "bowl"
    dimension = 2

    def __init__(self):
        self.calls = 0

    def value(self, x):
        return np.sum(np.array([1, 10], x.dtype) * x**2, axis=-1) / 2

    def gradient(self, x):
        self.calls += 1
        return np.array([1, 10], x.dtype) * x


class Timed(Bowl):
    """A bowl whose gradient is told the step."""

    name = "timed"

    def gradient(self, x, t):
        return t * np.ones_like(x)


START = np.array([1.0, -2.0])
START.flags.writeable = False
every_rule = pytest.mark.parametrize("rule", REFERENCES, ids=by_name)


# What it computes ---------------------------------------------------------------------------------


@every_rule
def test_a_run_is_the_rule_applied_again_and_again(rule):
    bowl, hyper = Bowl(), REFERENCES[rule].settings
    trace = run(rule, bowl, START, 25, **hyper)
    x, state = START, initial_state(rule, START)
    states = [state]
    path = [x]
    for _ in range(25):
        x, state = rule(x, np.array([1, 10]) * x, state, **hyper)
        path.append(x)
        states.append(state)
    np.testing.assert_array_equal(trace.x, path)
    np.testing.assert_array_equal(trace.g, np.array([1, 10]) * trace.x[:-1])
    np.testing.assert_array_equal(trace.f, (trace.x[:, 0] ** 2 + 10 * trace.x[:, 1] ** 2) / 2)
    assert type(trace.state) is type(state)
    for name in state._fields:
        stacked = np.stack([getattr(s, name) for s in states])
        np.testing.assert_array_equal(getattr(trace.state, name), stacked)
    assert bowl.calls == 25
    assert trace.steps == 25
    assert trace.diverged_at == -1
    assert type(trace.diverged_at) is int


def test_labels():
    trace = run(partial(rules.adam, beta1=0.5), Bowl(), START, 2, lr=0.1)
    assert (trace.rule, trace.objective, trace.hyper) == ("adam", "bowl", {"lr": 0.1})
    assert isinstance(trace, Trace)


def test_values_bound_by_partial_are_used_and_can_be_overridden():
    bound = partial(rules.sgd, lr=0.02)
    assert run(bound, Bowl(), START, 1).x[1, 0] == pytest.approx(1 - 0.02)
    assert run(bound, Bowl(), START, 1, lr=0.05).x[1, 0] == pytest.approx(1 - 0.05)


def test_no_steps():
    trace = run(rules.adam, Bowl(), START, 0)
    assert trace.x.shape == (1, 2)
    assert trace.f.shape == (1,)
    assert trace.g.shape == (0, 2)
    assert trace.state.m.shape == (1, 2)
    assert trace.diverged_at == -1
    assert trace.steps == 0


def test_no_steps_of_several_runs():
    trace = run(rules.adam, Bowl(), START, 0, lr=[0.1, 0.2, 0.3])
    assert trace.x.shape == (1, 3, 2)
    assert trace.g.shape == (0, 3, 2)
    assert trace.diverged_at.tolist() == [-1, -1, -1]


def test_the_start_is_not_kept_by_reference():
    start = START.copy()
    trace = run(rules.sgd, Bowl(), start, 3)
    start[:] = 99
    np.testing.assert_array_equal(trace.x[0], START)


def test_a_gradient_may_reuse_its_memory():
    class Reusing(Bowl):
        buffer = np.zeros(2)

        def gradient(self, x):
            self.buffer[:] = super().gradient(x)
            return self.buffer

    ours, plain = run(rules.adam, Reusing(), START, 9), run(rules.adam, Bowl(), START, 9)
    np.testing.assert_array_equal(ours.g, plain.g)
    np.testing.assert_array_equal(ours.x, plain.x)


def test_nothing_is_printed_and_no_warning_is_raised(capsys, recwarn):
    run(rules.sgd, Bowl(), START, 2000, lr=10.0)
    assert capsys.readouterr() == ("", "")
    assert not recwarn.list


# Runs along an axis -------------------------------------------------------------------------------


@every_rule
def test_runs_are_separate(rule):
    settings = REFERENCES[rule].settings
    factors = np.array([0.3, 1.0, 1.03])
    hyper = {name: value * factors for name, value in settings.items()}
    starts = np.array([[1.0, -2.0], [0.5, 0.5], [-3.0, 1.0]])
    together = run(rule, Bowl(), starts, 30, **hyper)
    assert together.x.shape == (31, 3, 2)
    assert together.f.shape == (31, 3)
    assert together.g.shape == (30, 3, 2)
    for r in range(3):
        alone = run(rule, Bowl(), starts[r], 30, **{n: v[r] for n, v in hyper.items()})
        np.testing.assert_allclose(together.x[:, r], alone.x, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(together.f[:, r], alone.f, rtol=1e-11, atol=1e-13)
        for name, value in together.state._asdict().items():
            if np.ndim(value) == 3:
                shared = np.reshape(getattr(alone.state, name), (31, -1))
                np.testing.assert_allclose(value[:, r], shared, rtol=1e-11, atol=1e-13)


def test_the_start_is_repeated_for_each_run():
    trace = run(rules.sgd, Bowl(), START, 4, lr=[0.01, 0.02, 0.03])
    np.testing.assert_array_equal(trace.x[0], [START] * 3)
    shrink = (1 - np.array([0.01, 0.02, 0.03])) ** 4
    np.testing.assert_allclose(trace.x[4, :, 0], shrink, rtol=1e-14)


def test_one_run_with_an_axis_keeps_it():
    trace = run(rules.sgd, Bowl(), START[None], 4)
    assert trace.x.shape == (5, 1, 2)
    assert trace.diverged_at.shape == (1,)
    assert run(rules.sgd, Bowl(), START, 4, lr=[0.1]).x.shape == (5, 1, 2)


@every_rule
def test_a_diverging_run_leaves_the_others_bit_for_bit_alone(rule):
    lr = REFERENCES[rule].settings["lr"]
    calm = run(rule, Bowl(), START, 400, lr=[lr, lr, lr / 2])
    wild = run(rule, Bowl(), START, 400, lr=[lr, 1e300, lr / 2])
    assert wild.diverged_at[1] > 0
    assert wild.diverged_at[[0, 2]].tolist() == [-1, -1]
    np.testing.assert_array_equal(wild.x[:, [0, 2]], calm.x[:, [0, 2]])
    np.testing.assert_array_equal(wild.f[:, [0, 2]], calm.f[:, [0, 2]])


def test_diverged_at_is_the_first_step_that_is_not_finite():
    trace = run(rules.sgd, Bowl(), START, 400, lr=[0.01, 5.0, 50.0])
    for r in range(3):
        finite = np.isfinite(trace.x[:, r]).all(-1) & np.isfinite(trace.f[:, r])
        finite[:-1] &= np.isfinite(trace.g[:, r]).all(-1)
        expected = -1 if finite.all() else int(np.flatnonzero(~finite)[0])
        assert trace.diverged_at[r] == expected
    assert trace.diverged_at[0] == -1
    assert 0 < trace.diverged_at[2] < trace.diverged_at[1]


@pytest.mark.parametrize("where", ["value", "gradient"])
def test_a_hole_in_the_objective_is_a_divergence(where):
    class Hole(Bowl):
        def value(self, x):
            hole = (x[..., 0] < 0.5) & (where == "value")
            return np.where(hole, np.nan, super().value(x))

        def gradient(self, x):
            hole = (x[..., :1] < 0.5) & (where == "gradient")
            return np.where(hole, np.nan, super().gradient(x))

    trace = run(rules.sgd, Hole(), START, 100, lr=0.1)
    assert trace.x[6, 0] > 0.5 > trace.x[7, 0]  # 0.9**7 = 0.478
    assert trace.diverged_at == 7


def test_raising_names_step_and_run():
    with pytest.raises(FloatingPointError, match=r"step \d+ of run 1$"):
        run(rules.sgd, Bowl(), START, 400, lr=[0.01, 50.0], on_nonfinite="raise")
    recorded = run(rules.sgd, Bowl(), START, 400, lr=50.0)
    with pytest.raises(FloatingPointError, match=rf"step {recorded.diverged_at}$"):
        run(rules.sgd, Bowl(), START, 400, lr=50.0, on_nonfinite="raise")
    run(rules.sgd, Bowl(), START, 400, lr=0.01, on_nonfinite="raise")


# Schedules, time, noise, projection ---------------------------------------------------------------


def test_a_schedule_is_told_the_steps_from_one():
    trace = run(rules.sgd, Timed(), START, 5, lr=lambda t: 1 / t)
    # the gradient at step t is t, the learning rate 1/t: each step is one unit
    np.testing.assert_allclose(trace.x[:, 0], 1 - np.arange(6), rtol=1e-14)
    np.testing.assert_array_equal(trace.g[:, 0], [1, 2, 3, 4, 5])


def test_a_schedule_may_give_one_value_for_each_run():
    trace = run(rules.sgd, Timed(), START, 3, lr=lambda t: np.array([1.0, 0.5]) / t)
    np.testing.assert_allclose(trace.x[-1, :, 0], [1 - 3, 1 - 1.5], rtol=1e-14)


def test_several_schedules_and_constants_together():
    lr, beta1 = lambda t: 0.1 / t, lambda t: 0.9 - 0.1 / t
    trace = run(rules.adam, Bowl(), START, 8, lr=lr, beta1=beta1, beta2=[0.9, 0.99])
    for r, beta2 in enumerate([0.9, 0.99]):
        x, state = START, initial_state(rules.adam, START)
        for t in range(1, 9):
            g = np.array([1, 10]) * x
            x, state = rules.adam(x, g, state, lr=lr(t), beta1=beta1(t), beta2=beta2)
        np.testing.assert_allclose(trace.x[-1, r], x, rtol=1e-13)


def test_noise_as_a_standard_deviation():
    trace = run(rules.sgd, Bowl(), np.zeros((5000, 2)), 2, lr=0.0, noise=3.0, seed=1)
    assert trace.g.std() == pytest.approx(3.0, rel=0.02)
    assert trace.g.mean() == pytest.approx(0.0, abs=0.1)
    assert abs(np.corrcoef(trace.g[0, :, 0], trace.g[1, :, 0])[0, 1]) < 0.05
    assert abs(np.corrcoef(trace.g[0, :, 0], trace.g[0, :, 1])[0, 1]) < 0.05


def test_noise_as_a_function():
    seen = []

    def noise(rng, x, t):
        seen.append((t, x.copy()))
        return np.array([0.0, float(t)])

    trace = run(rules.sgd, Bowl(), START, 3, noise=noise)
    assert [t for t, _ in seen] == [1, 2, 3]
    np.testing.assert_array_equal([x for _, x in seen], trace.x[:-1])
    np.testing.assert_allclose(trace.g, np.array([1, 10]) * trace.x[:-1] + [[0, 1], [0, 2], [0, 3]])


def test_noise_as_a_function_draws_from_the_seeded_generator():
    def noise(rng, x, t):
        return rng.standard_normal(x.shape)

    ours = run(rules.sgd, Bowl(), START, 20, noise=noise, seed=4)
    np.testing.assert_array_equal(ours.x, run(rules.sgd, Bowl(), START, 20, noise=1.0, seed=4).x)


def test_the_seed_decides_the_noise():
    first, again, other = (
        run(rules.adam, Bowl(), START, 20, noise=1.0, seed=seed).x for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4
    default = run(rules.adam, Bowl(), START, 20, noise=1.0).x
    np.testing.assert_array_equal(default, run(rules.adam, Bowl(), START, 20, noise=1.0, seed=0).x)


def test_no_noise_is_zero_noise():
    plain = run(rules.adam, Bowl(), START, 20).x
    np.testing.assert_array_equal(plain, run(rules.adam, Bowl(), START, 20, noise=0.0).x)


def test_projection_after_every_step():
    trace = run(rules.sgd, Bowl(), START, 30, lr=0.1, project=lambda x: np.maximum(x, 0.5))
    assert trace.x[1:].min() == 0.5
    np.testing.assert_array_equal(trace.x[0], START)  # the start itself is not projected
    assert trace.x[1, 0] == 0.9
    np.testing.assert_array_equal(trace.g[1], [0.9, 5.0])  # the next gradient is at the projection


# Precision ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_rule
def test_the_dtype_of_the_start_is_that_of_the_run(rule, dtype):
    settings = REFERENCES[rule].settings
    for hyper in (settings, {name: np.array([v, v / 2]) for name, v in settings.items()}):
        start = START.astype(dtype)
        trace = run(rule, Bowl(), start, 5, noise=0.1, project=lambda x: x.astype(float), **hyper)
        assert trace.x.dtype == trace.g.dtype == trace.f.dtype == dtype
        for name, value in trace.state._asdict().items():
            if name not in ("t", "mu_prod"):
                assert value.dtype == dtype


def test_a_gradient_of_higher_precision_is_rounded():
    class Double(Bowl):
        def gradient(self, x):
            return super().gradient(x).astype(float)

    single = START.astype(np.float32)
    assert run(rules.adam, Double(), single, 5).x.dtype == np.float32


# What it refuses ----------------------------------------------------------------------------------

REFUSED = [
    ({"start": [1, 2]}, TypeError, r"start must be floating point, got int64"),
    ({"start": [1 + 1j, 2]}, TypeError, r"start must be floating point, got complex128"),
    ({"start": ["a", "b"]}, TypeError, r"start must be floating point"),
    ({"start": 1.0}, ValueError, r"start must have shape \(d,\) or \(R, d\), got \(\)"),
    ({"start": np.ones((1, 1, 2))}, ValueError, r"start must have shape .* got \(1, 1, 2\)"),
    ({"start": np.ones((0, 2))}, ValueError, r"start must have shape .* got \(0, 2\)"),
    ({"start": [1.0, 2.0, 3.0]}, ValueError, r"start must have 2 coordinates, got 3"),
    ({"start": [1.0, np.nan]}, ValueError, r"start must be finite, got \[1.0, nan\]"),
    ({"start": [1.0, np.inf]}, ValueError, r"start must be finite"),
    ({"steps": -1}, ValueError, r"steps must be at least 0, got -1"),
    ({"steps": 2.0}, TypeError, r"steps must be a whole number, got 2.0"),
    ({"steps": True}, TypeError, r"steps must be a whole number, got True"),
    ({"steps": "9"}, TypeError, r"steps must be a whole number, got '9'"),
    ({"seed": -3}, ValueError, r"seed must be at least 0, got -3"),
    ({"seed": None}, TypeError, r"seed must be a whole number, got None"),
    ({"on_nonfinite": "stop"}, ValueError, r"on_nonfinite must be 'record' or 'raise', got 'stop'"),
    (
        {"noise": -1.0},
        ValueError,
        r"noise must be one number of at least 0 or a function, got -1.0",
    ),
    ({"noise": [1.0, 2.0]}, ValueError, r"noise must be one number of at least 0"),
    ({"noise": np.nan}, ValueError, r"noise must be finite, got nan"),
    ({"noise": "much"}, TypeError, r"noise must be a number .* got 'much'"),
    ({"project": 3}, TypeError, r"project must be None or a function of x, got 3"),
    (
        {"learning_rate": 0.1},
        TypeError,
        r"adam has no hyper-parameter 'learning_rate'; it has lr, ",
    ),
    ({"rho": 0.1, "beta": 1}, TypeError, r"adam has no hyper-parameter 'rho', 'beta'"),
    ({"lr": -0.1}, ValueError, r"lr must be finite and at least 0, got -0.1"),
    ({"lr": [0.1, -0.2]}, ValueError, r"lr must be finite and at least 0, got -0.2"),
    ({"lr": np.inf}, ValueError, r"lr must be finite and at least 0, got inf"),
    ({"lr": "0.1"}, TypeError, r"lr must be a number or an array of numbers, got '0.1'"),
    ({"lr": [[0.1, 0.2]]}, ValueError, r"lr must be a number or one-dimensional, got \(1, 2\)"),
    ({"lr": []}, ValueError, r"lr must be a number or one-dimensional, got \(0,\)"),
    ({"lr": lambda t: 3 - t}, ValueError, r"lr must be finite and at least 0, got -1"),
    ({"beta1": 1.0}, ValueError, r"beta1 must be at least 0 and below 1, got 1"),
    ({"beta1": -0.1}, ValueError, r"beta1 must be at least 0 and below 1, got -0.1"),
    ({"beta2": 1.5}, ValueError, r"beta2 must be at least 0 and below 1, got 1.5"),
    ({"beta2": np.nan}, ValueError, r"beta2 must be at least 0 and below 1, got nan"),
    ({"eps": -1e-8}, ValueError, r"eps must be finite and at least 0, got -1e-08"),
    ({"eps": None}, TypeError, r"eps must be a number or an array of numbers, got None"),
    (
        {"lr": [0.1, 0.2], "beta1": [0.1, 0.2, 0.3]},
        ValueError,
        r"arguments with a run axis must agree in length, got beta1 3, lr 2",
    ),
    (
        {"start": np.ones((4, 2)), "lr": [0.1, 0.2]},
        ValueError,
        r"arguments with a run axis must agree in length, got lr 2, start 4",
    ),
    (
        {"lr": lambda t: [0.1] * (t + 1)},
        ValueError,
        r"arguments with a run axis must agree in length, got lr 2, lr 3",
    ),
]


@pytest.mark.parametrize(("changes", "error", "message"), REFUSED)
def test_bad_arguments_are_named_before_anything_runs(changes, error, message):
    bowl = Bowl()
    arguments = {"start": START, "steps": 9, **changes}
    with pytest.raises(error, match=message):
        run(rules.adam, bowl, arguments.pop("start"), arguments.pop("steps"), **arguments)
    assert bowl.calls == 0


@pytest.mark.parametrize("rule", ["adam", None, len])
def test_something_that_is_no_rule_is_refused(rule):
    bowl = Bowl()
    with pytest.raises(TypeError):
        run(rule, bowl, START, 3)
    assert bowl.calls == 0


def test_a_gradient_of_another_shape_is_refused():
    class Wrong(Bowl):
        def gradient(self, x):
            return np.ones(3)

    with pytest.raises(ValueError, match=r"objective.gradient must have shape \(2,\), got \(3,\)"):
        run(rules.sgd, Wrong(), START, 3)


def test_the_path_follows_the_oracle_of_the_rule_tests():
    ours = run(rules.nadam, Bowl(), START, 40, lr=0.05).x
    theirs = follow(rules.nadam, START, lambda t, x: np.array([1, 10]) * x, 40, lr=0.05)
    np.testing.assert_array_equal(ours, theirs)
