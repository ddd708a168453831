"""Every dialect of ``rosetta`` against the library itself, live and recorded, and wrong versions.

The settings are those of ``settings_of``: the defaults, every option away from its default alone,
and all numbers away from theirs under every combination of the switches.
"""

from inspect import Parameter
from itertools import product

import numpy as np
import pytest

from firstorder import rosetta, rules
from firstorder.hyperparameters import label, names
from firstorder.rosetta import DIALECTS, NOT_TRANSLATED, WITHOUT_EFFECT, equivalent
from live import (
    AWAY,
    KERAS_WARNING,
    PROBLEMS,
    STEPS,
    constructor,
    defaults_of,
    distance,
    stable_path,
    steps_of,
)
from oracles import RECORDED_DIALECTS, REFERENCES, follow, recorded
from test_rules_recorded import problems

pytestmark = pytest.mark.filterwarnings(KERAS_WARNING)
TOLERANCE = 1e-10  # in units of live.scale
LIVE = [(framework, o) for framework in ("torch", "keras", "optax") for o in DIALECTS[framework]]
every_dialect = pytest.mark.parametrize(("framework", "optimizer"), LIVE)
FUNCTION = {  # the name of a dialect's function, for ids
    (framework, optimizer): label(rule)
    for framework, dialects in DIALECTS.items()
    for optimizer, rule in dialects.items()
}

FURTHER = {  # edges that the rule of ``settings_of`` does not reach
    ("torch", "SGD"): [{"momentum": 0.8, "dampening": 1.0}, {"weight_decay": 0.1, "momentum": 0.8}],
    ("torch", "Adam"): [{"betas": (0.0, 0.0)}, {"lr": 0.3, "betas": (0.5, 0.5), "amsgrad": True}],
    ("torch", "NAdam"): [{"momentum_decay": 0.0}, {"momentum_decay": 3.0, "lr": 0.02}],
    ("keras", "SGD"): [{"weight_decay": 0.0, "momentum": 0.5}],
    ("keras", "Adagrad"): [{"initial_accumulator_value": 0.0, "learning_rate": 0.1}],
    ("keras", "Adam"): [{"beta_1": 0.0, "beta_2": 0.0}],
    ("optax", "sgd"): [{"learning_rate": 0.01, "nesterov": True}],
    ("optax", "adagrad"): [
        {"learning_rate": 0.1, "initial_accumulator_value": 0.0},
        {"learning_rate": 0.1, "initial_accumulator_value": 0.0, "eps": 0.0},
    ],
    ("optax", "rmsprop"): [{"learning_rate": 0.01, "nesterov": True}],
    ("optax", "adadelta"): [{"rho": 0.8, "eps": 1e-3, "weight_decay": 0.1}],
}


def settings_of(framework, optimizer):
    """The settings at which a dialect is compared with its library."""
    defaults = defaults_of(DIALECTS[framework][optimizer])
    switches = [name for name, default in defaults.items() if isinstance(default, bool)]
    numbers = {name: AWAY[name] for name in defaults if name not in switches}
    required = {name: 0.01 for name, default in defaults.items() if default is Parameter.empty}
    momentum = {"momentum": 0.8} if "momentum" in numbers else {}  # nesterov needs it
    yield required
    for name, value in numbers.items():
        yield required | {name: value}
    for name in switches:
        yield required | (momentum if name == "nesterov" else {}) | {name: not defaults[name]}
    for values in product([False, True], repeat=len(switches)):
        settings = numbers | dict(zip(switches, values, strict=True))
        if framework == "torch" and settings.get("nesterov"):
            settings["dampening"] = 0.0  # torch refuses another
        yield settings
    yield from FURTHER.get((framework, optimizer), ())


SETTINGS = {dialect: list(settings_of(*dialect)) for dialect in LIVE}
CASES = [
    pytest.param(*dialect, settings, id=f"{FUNCTION[dialect]}-{text}")
    for dialect in LIVE
    for settings in SETTINGS[dialect]
    for text in [",".join(f"{name}={value}" for name, value in settings.items()) or "defaults"]
]


def differences(rule, theirs):
    """Problem -> how far a rule is from a library's iterates, as long as rounding alone is small.

    ``theirs`` is what ``live.steps_of`` returns.  Raises if less than 20 steps can be compared, or
    less than all where the gradients are recorded.
    """
    found = {}
    for problem, (x, gradient) in PROBLEMS.items():
        ours = stable_path(rule, x, gradient)
        assert len(ours) > (STEPS if problem == "recorded" else 20)
        found[problem] = distance(ours, theirs[problem])
    return found


# The libraries, live ------------------------------------------------------------------------------


@pytest.mark.parametrize(("framework", "optimizer", "settings"), CASES)
def test_dialect_is_the_library(framework, optimizer, settings):
    theirs = steps_of(framework, optimizer, settings)
    found = differences(equivalent(framework, optimizer, **settings), theirs)
    assert max(found.values()) < TOLERANCE, found


@every_dialect
def test_it_went_somewhere(framework, optimizer):
    """Equality of two points that stay where they are would show nothing."""
    for settings in SETTINGS[framework, optimizer][-2:]:
        paths = steps_of(framework, optimizer, settings)
        assert all(np.isfinite(path).all() for path in paths.values())
        assert all(np.ptp(path, axis=0).max() > 0.01 for path in paths.values())


@every_dialect
def test_every_option_is_away_from_its_default_somewhere(framework, optimizer):
    defaults = defaults_of(DIALECTS[framework][optimizer])
    for name, default in defaults.items():
        assert any(s.get(name, default) != default for s in SETTINGS[framework, optimizer]), name


@every_dialect
def test_names_and_defaults_are_those_of_the_library(framework, optimizer):
    theirs = defaults_of(constructor(framework, optimizer))
    ours = defaults_of(DIALECTS[framework][optimizer])
    assert ours == {name: theirs[name] for name in ours}
    for name in theirs.keys() - ours.keys() - {"kwargs"} - set(WITHOUT_EFFECT[framework]):
        assert theirs[name] == NOT_TRANSLATED[framework][name], name


@pytest.mark.parametrize("framework", ["torch", "keras", "optax"])
def test_every_option_that_is_refused_or_without_effect_exists(framework):
    theirs = {n for f, o in LIVE if f == framework for n in defaults_of(constructor(f, o))}
    assert {*WITHOUT_EFFECT[framework], *NOT_TRANSLATED[framework]} <= theirs


# d2l ----------------------------------------------------------------------------------------------

TWINS = [  # d2l's arguments away from its text, and the same optimizer of a library
    ("sgd", {"lr": 0.03}, "torch", "SGD", {"lr": 0.03}),
    (
        "sgd_momentum",
        {"lr": 0.02, "momentum": 0.7},
        "torch",
        "SGD",
        {"lr": 0.02, "momentum": 0.7},
    ),
    (
        "adagrad",
        {"lr": 0.3},
        "keras",
        "Adagrad",
        {"learning_rate": 0.3, "initial_accumulator_value": 0.0, "epsilon": 1e-6},
    ),
    (
        "rmsprop",
        {"lr": 0.03, "gamma": 0.7},
        "keras",
        "RMSprop",
        {"learning_rate": 0.03, "rho": 0.7, "epsilon": 1e-6},
    ),
    ("adadelta", {"rho": 0.7}, "torch", "Adadelta", {"rho": 0.7, "eps": 1e-5}),
    ("adam", {"lr": 0.03}, "torch", "Adam", {"lr": 0.03, "eps": 1e-6}),
]


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: FUNCTION["d2l", twin[0]])
def test_d2l_is_the_library_with_its_constants(twin):
    optimizer, arguments, *library = twin
    found = differences(equivalent("d2l", optimizer, **arguments), steps_of(*library))
    assert max(found.values()) < TOLERANCE, found


def test_d2l_yogi_is_its_definition():
    x, gradient = PROBLEMS["recorded"]
    G = np.stack([gradient(t, x) for t in range(1, STEPS + 1)])
    path = follow(equivalent("d2l", "yogi", lr=0.03), x, gradient, STEPS)
    for t in range(1, STEPS + 1):
        expected = REFERENCES[rules.yogi].definition(path[t - 1], G[:t], 0.03, 0.9, 0.999, 1e-3)
        np.testing.assert_allclose(path[t], expected, rtol=1e-12, atol=1e-12)


# Recorded -----------------------------------------------------------------------------------------


def recorded_id(file):
    return f"{FUNCTION[RECORDED_DIALECTS[file]]}-{file}"


def as_options(framework, optimizer, hyper):
    """Recorded hyper-parameters by the names that the library has for them, without constants."""
    hyper = dict(hyper)
    if framework == "torch" and "beta1" in hyper:
        hyper["betas"] = hyper["beta1"], hyper["beta2"]
    if framework in ("keras", "optax"):
        hyper["learning_rate"] = hyper["lr"]
    return {name: hyper[name] for name in names(DIALECTS[framework][optimizer]) if name in hyper}


@pytest.mark.parametrize("problem", ["quad_rec", "quad", "rosen"])
@pytest.mark.parametrize("file", RECORDED_DIALECTS, ids=recorded_id)
def test_dialect_is_the_recorded_trajectory(file, problem):
    framework, optimizer = RECORDED_DIALECTS[file]
    paths, meta = recorded(file)
    hyper = as_options(framework, optimizer, meta["hyperparameters"])
    rule = equivalent(framework, optimizer, **hyper)
    x, gradient = problems()[problem]
    steps, every = meta["stable_steps"][problem], meta["stored_every"][problem]
    theirs = paths[problem][: steps // every + 1]
    assert np.ptp(theirs, axis=0).max() > 1e-5
    assert distance(follow(rule, x, gradient, steps)[::every], theirs) < TOLERANCE


# Wrong versions -----------------------------------------------------------------------------------


def is_caught(rule, framework, optimizer, settings):
    """Whether a rule is told from the library at these settings."""
    theirs = steps_of(framework, optimizer, settings)
    paths = [(stable_path(rule, *PROBLEMS[name]), theirs[name]) for name in PROBLEMS]
    return any(distance(ours, path) > TOLERANCE for ours, path in paths)


def enlarged(value):
    """What is one per cent larger than a number; of a pair, each number in turn."""
    if isinstance(value, tuple):
        first, second = value
        return [(1.01 * first, second), (first, 1.01 * second)]
    return [1.01 * value]


@every_dialect
def test_one_per_cent_of_every_number_is_caught(framework, optimizer):
    every = SETTINGS[framework, optimizer][::-1]  # those with all options away come first
    for name in AWAY.keys() & defaults_of(DIALECTS[framework][optimizer]).keys():
        for i in range(len(enlarged(AWAY[name]))):
            away = [settings for settings in every if settings.get(name)]
            wrong = [settings | {name: enlarged(settings[name])[i]} for settings in away]
            rules_ = [equivalent(framework, optimizer, **settings) for settings in wrong]
            assert any(
                is_caught(rule, framework, optimizer, settings)
                for rule, settings in zip(rules_, away, strict=True)
            ), name


ROLES = {  # one word for what the libraries call by several names; AWAY gives all one value
    "learning_rate": ["lr"],
    "betas": ["beta1", "beta2"],
    "beta_1": ["beta1"],
    "b1": ["beta1"],
    "beta_2": ["beta2"],
    "b2": ["beta2"],
    "alpha": ["rho"],
    "decay": ["rho"],
    "epsilon": ["eps"],
}
DIFFERENT = [  # the same values of everything that both have, and yet another path
    ("torch", "SGD", "keras", "SGD"),  # decay
    ("torch", "Adadelta", "keras", "Adadelta"),  # decay
    ("keras", "Adadelta", "optax", "adadelta"),  # decay
    ("torch", "Adagrad", "keras", "Adagrad"),  # epsilon
    ("torch", "Adagrad", "optax", "adagrad"),  # epsilon
    ("torch", "RMSprop", "keras", "RMSprop"),  # epsilon
    ("torch", "RMSprop", "optax", "rmsprop"),  # epsilon
    ("torch", "Adam", "keras", "Adam"),  # epsilon
    ("keras", "Adam", "optax", "adam"),  # epsilon
    ("torch", "AdamW", "keras", "AdamW"),  # epsilon
    ("keras", "AdamW", "optax", "adamw"),  # epsilon
    ("torch", "Adam", "optax", "amsgrad"),  # maximum
    ("torch", "Adamax", "keras", "Adamax"),  # epsilon
    ("keras", "Adamax", "optax", "adamax"),  # epsilon
    ("keras", "Adamax", "optax", "adamaxw"),  # epsilon
    ("torch", "NAdam", "keras", "Nadam"),  # schedule
    ("torch", "NAdam", "optax", "nadam"),  # schedule
    ("keras", "Nadam", "optax", "nadamw"),  # schedule
    ("optax", "adam", "optax", "yogi"),
]


def common_settings(*dialects):
    """For each of two dialects, the values of AWAY for all that the other has too."""
    options = [AWAY.keys() & defaults_of(DIALECTS[f][o]).keys() for f, o in dialects]
    roles = [{r for name in found for r in ROLES.get(name, [name])} for found in options]
    return [
        {name: AWAY[name] for name in found if {*ROLES.get(name, [name])} <= roles[0] & roles[1]}
        for found in options
    ]


@pytest.mark.parametrize("pair", DIFFERENT, ids="-".join)
def test_the_same_settings_in_another_library_are_told_apart(pair):
    one, other = pair[:2], pair[2:]
    ours, theirs = common_settings(one, other)
    assert len(ours) > 1
    assert is_caught(equivalent(*one, **ours), *other, theirs)
    assert is_caught(equivalent(*other, **theirs), *one, ours)


def _no_start(value, t, start):
    return value


def _no_decay(x, lr, weight_decay):
    return x


def _decay_without_lr(x, lr, weight_decay):
    return x if weight_decay is None else x - weight_decay * x


def _eps_on_the_other_side(g, state, rho, inside=0.0, outside=0.0, *rest, **others):
    return RMS_SCALED(g, state, rho, outside, inside, *rest, **others)


RMS_SCALED = rosetta._rms_scaled
STARTING = ["torch Adagrad", "keras Adagrad", "optax adagrad", "optax rmsprop", "optax yogi"]
DECOUPLED = [
    *("torch Adam", "torch AdamW", "torch NAdam", "optax adamw", "optax adamaxw", "optax nadamw"),
    *(f"keras {optimizer}" for optimizer in DIALECTS["keras"]),
]
WRONG = [
    ("_begin", _no_start, STARTING),
    ("_decayed", _no_decay, DECOUPLED),
    ("_decayed", _decay_without_lr, DECOUPLED),
    ("_rms_scaled", _eps_on_the_other_side, ["torch RMSprop", "keras RMSprop", "optax rmsprop"]),
    ("_adamax", rules.adamax, ["torch Adamax", "optax adamax", "optax adamaxw"]),
    ("_nadam", rules.nadam, ["torch NAdam", "keras Nadam"]),
]


@pytest.mark.parametrize(
    ("name", "wrong", "dialect"),
    [(n, w, dialect) for n, w, dialects in WRONG for dialect in dialects],
)
def test_a_wrong_part_is_caught(name, wrong, dialect, monkeypatch):
    monkeypatch.setattr(rosetta, name, wrong)
    dialect = tuple(dialect.split())
    for settings in SETTINGS[dialect]:
        if is_caught(equivalent(*dialect, **settings), *dialect, settings):
            return
    pytest.fail("no setting tells it from the library")
