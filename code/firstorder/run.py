"""A rule on an objective: ``run`` returns a ``Trace``.  Nothing here draws, prints or times."""

import inspect
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from firstorder.hyperparameters import (
    check_names,
    check_option,
    check_value,
    check_whole,
    label,
    options,
)
from firstorder.rules import initial_state


@dataclass(frozen=True)
class Trace:
    """What a run left behind.  R is the number of runs; a single run has no such axis.

    ``x``            (steps + 1, [R,] d): the iterates, ``x[0]`` the start
    ``f``            (steps + 1 [, R]): the objective there
    ``g``            (steps, [R,] d): the gradients used, with noise; ``g[k]`` was taken at ``x[k]``
    ``state``        the rule's NamedTuple, each field stacked along a leading axis of steps + 1
    ``diverged_at``  per run: -1, or the first k where ``x[k]``, ``f[k]`` or ``g[k]`` is not finite
    ``rule``, ``objective``, ``hyper``  what was run, for labels
    """

    x: np.ndarray
    f: np.ndarray
    g: np.ndarray
    state: Any
    diverged_at: Any
    rule: str = ""
    objective: str = ""
    hyper: dict = field(default_factory=dict)

    @property
    def steps(self):
        """Number of steps taken."""
        return len(self.x) - 1


def run(
    rule,
    objective,
    start,
    steps,
    *,
    noise=None,
    project=None,
    seed=0,
    on_nonfinite="record",
    **hyper,
):
    """Apply ``rule`` to ``objective`` from ``start``, ``steps`` times, and return a ``Trace``.

    ``objective``  has ``value(x)`` and ``gradient(x)`` over the last axis of ``x``; a gradient with
                   a parameter ``t`` is told the step, 1, 2, ...
    ``start``      (d,) or (R, d), floating point and finite; its dtype is that of the whole run
    ``noise``      added to the gradient: None, a standard deviation, or ``noise(rng, x, t)``
    ``project``    applied to the parameters after every step, as ``project(x)``
    ``seed``       of ``numpy.random.default_rng``, from which the noise is drawn
    ``on_nonfinite``  "record" keeps non-finite values and says when they began; "raise" raises
                   ``FloatingPointError`` naming step and run
    ``hyper``      the rule's hyper-parameters: numbers, arrays of length R (R independent runs),
                   or functions of the step t = 1, 2, ... that return one of these; the switches and
                   pairs of a rule from ``rosetta`` (``amsgrad``, ``betas``) are passed as they are

    Raises, before anything runs, ``TypeError`` or ``ValueError`` naming the argument, its value and
    what is allowed.
    """
    x = _start(start, objective)
    steps = check_whole("steps", steps)
    rng = np.random.default_rng(check_whole("seed", seed))
    if on_nonfinite not in ("record", "raise"):
        raise ValueError(f"on_nonfinite must be 'record' or 'raise', got {on_nonfinite!r}")
    if noise is not None and not callable(noise):
        noise = _standard_deviation(noise)
    if project is not None and not callable(project):
        raise TypeError(f"project must be None or a function of x, got {project!r}")
    check_names(rule, hyper)
    given, bound = hyper, options(rule)
    rule = partial(rule, **{n: check_option(rule, n, v) for n, v in hyper.items() if n in bound})
    hyper = {n: v for n, v in hyper.items() if n not in bound}
    schedules = {name: _schedule(name, value, steps) for name, value in hyper.items()}
    x, at = _run_axes(x, schedules)

    takes_t = "t" in inspect.signature(objective.gradient).parameters
    state = initial_state(rule, x)
    xs, gs, states = [x], [], [state]
    with np.errstate(all="ignore"):  # divergence is a result
        for t in range(1, steps + 1):
            g = np.asarray(objective.gradient(x, t=t) if takes_t else objective.gradient(x))
            if g.shape != x.shape:
                raise ValueError(f"objective.gradient must have shape {x.shape}, got {g.shape}")
            if callable(noise):
                g = g + noise(rng, x, t)
            elif noise:
                g = g + noise * rng.standard_normal(x.shape)
            g = g.astype(x.dtype)  # a copy: the objective may use its array again
            x, state = rule(x, g, state, **{name: value(t) for name, value in at.items()})
            if project is not None:
                x = np.asarray(project(x), dtype=g.dtype)
            xs.append(x)
            gs.append(g)
            states.append(state)
        xs, gs = np.stack(xs), np.reshape(gs, (steps, *x.shape)).astype(x.dtype, copy=False)
        fs = np.asarray(objective.value(xs))
    diverged_at = _diverged_at(xs, fs, gs)
    if on_nonfinite == "raise" and np.any(np.asarray(diverged_at) >= 0):
        _raise(diverged_at)
    return Trace(
        x=xs,
        f=fs,
        g=gs,
        state=type(state)(*map(_stack, zip(*states, strict=True))),
        diverged_at=diverged_at,
        rule=label(rule),
        objective=getattr(objective, "name", type(objective).__name__),
        hyper=dict(given),
    )


def _start(start, objective):
    x = np.asarray(start)
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(f"start must be floating point, got {x.dtype} in {start!r}")
    if x.ndim not in (1, 2) or x.size == 0:
        raise ValueError(f"start must have shape (d,) or (R, d), got {x.shape}")
    dimension = getattr(objective, "dimension", None)
    if dimension is not None and x.shape[-1] != dimension:
        raise ValueError(f"start must have {dimension} coordinates, got {x.shape[-1]}")
    if not np.isfinite(x).all():
        raise ValueError(f"start must be finite, got {start!r}")
    return x


def _standard_deviation(noise):
    value = check_value("noise", noise)
    if value.ndim or value < 0:
        raise ValueError(f"noise must be one number of at least 0 or a function, got {noise!r}")
    return float(value)


def _schedule(name, value, steps):
    """Every value the hyper-parameter will take, checked: one array, or one for each step."""
    if callable(value):
        return [check_value(name, value(t)) for t in range(1, steps + 1)]
    return check_value(name, value)


def _run_axes(x, schedules):
    """Return x as (R, d) if anything has R values, and name -> function of t: what rules take."""
    values = [v for s in schedules.values() for v in (s if isinstance(s, list) else [s])]
    lengths = {("start", len(x))} if x.ndim == 2 else set()
    for name, schedule in schedules.items():
        for value in schedule if isinstance(schedule, list) else [schedule]:
            if value.ndim > 1 or value.size == 0:
                raise ValueError(f"{name} must be a number or one-dimensional, got {value.shape}")
            if value.ndim == 1:
                lengths.add((name, len(value)))
    if len({length for _, length in lengths}) > 1:
        given = ", ".join(f"{name} {length}" for name, length in sorted(lengths))
        raise ValueError(f"arguments with a run axis must agree in length, got {given}")
    if x.ndim == 1 and any(v.ndim for v in values):
        x = np.broadcast_to(x, (next(iter(lengths))[1], len(x)))

    def shaped(value):
        return value.astype(x.dtype)[:, None] if value.ndim else float(value)

    def at(schedule):
        if isinstance(schedule, list):
            return lambda t: shaped(schedule[t - 1])
        fixed = shaped(schedule)
        return lambda t: fixed

    return x, {name: at(schedule) for name, schedule in schedules.items()}


def _stack(values):
    shape = np.broadcast_shapes(*(np.shape(v) for v in values))
    return np.stack([np.broadcast_to(v, shape) for v in values])


def _diverged_at(x, f, g):
    bad = ~np.isfinite(x).all(-1) | ~np.isfinite(f)
    bad[: len(g)] |= ~np.isfinite(g).all(-1)
    first = np.where(bad.any(0), bad.argmax(0), -1)
    return int(first) if first.ndim == 0 else first


def _raise(diverged_at):
    if isinstance(diverged_at, int):
        raise FloatingPointError(f"not finite at step {diverged_at}")
    run = int(np.flatnonzero(diverged_at >= 0)[0])
    raise FloatingPointError(f"not finite at step {diverged_at[run]} of run {run}")
