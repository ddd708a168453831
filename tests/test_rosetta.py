"""``rosetta``: what it refuses and accepts, and the way back to the libraries."""

import re
from functools import partial
from inspect import Parameter

import numpy as np
import pytest
import torch

from firstorder import rosetta, rules
from firstorder.hyperparameters import names
from firstorder.rosetta import DIALECTS, TRANSLATIONS, counterparts, equivalent, to_framework
from live import (
    AWAY,
    KERAS_WARNING,
    PROBLEMS,
    constructor,
    defaults_of,
    distance,
    stable_path,
    steps_of,
)
from oracles import REFERENCES, by_name, follow

pytestmark = pytest.mark.filterwarnings(KERAS_WARNING)
every_dialect = pytest.mark.parametrize(
    ("framework", "optimizer"),
    [(framework, optimizer) for framework in DIALECTS for optimizer in DIALECTS[framework]],
)


# What equivalent refuses and accepts --------------------------------------------------------------


def test_an_unknown_framework_or_optimizer_is_a_value_error():
    with pytest.raises(
        ValueError, match=r"framework must be one of torch, keras, optax, d2l, got 'tf'"
    ):
        equivalent("tf", "Adam")
    for framework, wrong in [
        ("torch", "Nadam"),
        ("keras", "NAdam"),
        ("optax", "Adam"),
        ("d2l", "x"),
    ]:
        listed = re.escape(", ".join(DIALECTS[framework]))
        with pytest.raises(ValueError, match=rf"one of {listed} for {framework}, got '{wrong}'"):
            equivalent(framework, wrong)


@every_dialect
def test_an_unknown_option_is_a_value_error(framework, optimizer):
    listed = ", ".join(names(DIALECTS[framework][optimizer]))
    with pytest.raises(
        ValueError, match=rf"{framework} {optimizer} has no option 'lamda'.*{listed}"
    ):
        equivalent(framework, optimizer, lamda=0.1)


ON = [  # options that are not translated, and the value that switches them off
    ("torch", "Adam", "maximize", True, False),
    ("torch", "AdamW", "decoupled_weight_decay", False, True),
    ("keras", "Adam", "clipnorm", 1.0, None),
    ("keras", "SGD", "clipvalue", 0.5, None),
    ("keras", "Nadam", "global_clipnorm", 1.0, None),
    ("keras", "RMSprop", "use_ema", True, False),
    ("keras", "Adagrad", "loss_scale_factor", 2.0, None),
    ("keras", "Adamax", "gradient_accumulation_steps", 4, None),
    ("optax", "sgd", "accumulator_dtype", "float32", None),
    ("optax", "adam", "mu_dtype", "float32", None),
    ("optax", "adamw", "mask", {"w": True}, None),
    ("optax", "adadelta", "weight_decay_mask", {"w": True}, None),
    ("d2l", "adam", "t", 2, 1),
]


@pytest.mark.parametrize(("framework", "optimizer", "name", "on", "off"), ON)
def test_an_option_that_is_not_translated_must_be_off(framework, optimizer, name, on, off):
    with pytest.raises(ValueError, match=rf"{name} is not translated: it must be {off}, got"):
        equivalent(framework, optimizer, **{name: on})
    assert equivalent(framework, optimizer, **{name: off}).keywords == {}


def test_off_may_be_another_false():
    """As torch takes it; identity is not asked for."""
    assert equivalent("torch", "Adam", maximize=0).keywords == {}
    with pytest.raises(ValueError, match="maximize is not translated"):
        equivalent("torch", "Adam", maximize=1)


def test_every_option_that_is_not_translated_was_tried():
    tried = {(framework, name) for framework, _, name, *_ in ON}
    every = {(framework, n) for framework, off in rosetta.NOT_TRANSLATED.items() for n in off}
    assert tried == every | {("torch", "decoupled_weight_decay")}


def test_only_adamw_has_settled_its_decay():
    """Coupled rules of torch cannot be asked for the other decay."""
    with pytest.raises(ValueError, match="torch SGD has no option 'decoupled_weight_decay'"):
        equivalent("torch", "SGD", decoupled_weight_decay=True)


@pytest.mark.parametrize("framework", DIALECTS)
def test_options_without_effect_are_accepted_and_dropped(framework):
    for optimizer in DIALECTS[framework]:
        for name in rosetta.WITHOUT_EFFECT[framework]:
            for value in (None, True, False, "a name"):
                rule = equivalent(framework, optimizer, **{name: value})
                assert rule.keywords == equivalent(framework, optimizer).keywords


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_a_librarys_own_description_of_an_optimizer_is_accepted(framework):
    x = torch.ones(2, requires_grad=True)
    for optimizer, rule in DIALECTS[framework].items():
        make = constructor(framework, optimizer)
        own = make([x]).defaults if framework == "torch" else make().get_config()
        found = equivalent(framework, optimizer, **own).keywords
        assert found.keys() == set(names(rule))
        if framework == "keras":  # which keeps the learning rate in float32
            found["learning_rate"] = round(found["learning_rate"], 8)
        assert found == defaults_of(rule)


@pytest.mark.parametrize("name", ["lr", "learning_rate"])
def test_a_schedule_as_learning_rate_is_a_value_error(name):
    framework, optimizer = {"lr": ("torch", "SGD"), "learning_rate": ("optax", "sgd")}[name]
    with pytest.raises(ValueError, match=rf"{name} must be a number, got a schedule.*run"):
        equivalent(framework, optimizer, **{name: lambda count: 0.1})


OUT_OF_RANGE = [
    ("torch", "Adam", {"lr": -0.1}, r"lr must be finite and at least 0, got -0\.1"),
    ("torch", "Adam", {"betas": (1.0, 0.9)}, "beta1 must be at least 0 and below 1, got 1"),
    ("torch", "Adam", {"betas": (0.9, -1.0)}, "beta2 must be at least 0 and below 1, got -1"),
    ("torch", "RMSprop", {"alpha": 1.5}, r"alpha must be at least 0 and below 1, got 1\.5"),
    ("torch", "NAdam", {"momentum_decay": -1.0}, "momentum_decay must be .* at least 0, got -1"),
    ("keras", "Adam", {"beta_1": 1.0}, "beta_1 must be at least 0 and below 1, got 1"),
    ("keras", "Adam", {"epsilon": np.nan}, "epsilon must be finite and at least 0, got nan"),
    ("keras", "SGD", {"learning_rate": np.inf}, "learning_rate must be finite"),
    ("optax", "adam", {"b2": 2}, "b2 must be at least 0 and below 1, got 2"),
    ("optax", "rmsprop", {"initial_scale": -1.0}, "initial_scale must be .* at least 0"),
    ("optax", "adamw", {"weight_decay": -1.0}, "weight_decay must be .* at least 0"),
    ("d2l", "rmsprop", {"gamma": 1.0}, "gamma must be at least 0 and below 1"),
    ("torch", "SGD", {"lr": [0.1, 0.2]}, r"lr must be one number, got \[0\.1, 0\.2\]"),
]


@pytest.mark.parametrize(("framework", "optimizer", "hyper", "message"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_a_value_error(framework, optimizer, hyper, message):
    with pytest.raises(ValueError, match=message):
        equivalent(framework, optimizer, **hyper)


WRONG_TYPES = [
    ("torch", "Adam", {"lr": "0.1"}, "lr must be a number"),
    ("torch", "Adam", {"lr": None}, "lr must be a number"),
    ("torch", "Adam", {"lr": True}, "lr must be a number"),
    ("torch", "Adam", {"betas": 0.9}, r"betas must be 2 numbers, got 0\.9"),
    ("torch", "Adam", {"betas": (0.9,)}, "betas must be 2 numbers"),
    ("torch", "Adam", {"betas": ("a", 0.9)}, "beta1 must be a number"),
    ("torch", "Adam", {"amsgrad": 1}, "amsgrad must be True or False, got 1"),
    ("keras", "SGD", {"nesterov": None}, "nesterov must be True or False, got None"),
    ("keras", "AdamW", {"weight_decay": None}, "weight_decay must be a number"),
    ("keras", "Adam", {"weight_decay": "0.1"}, "weight_decay must be a number"),
    ("optax", "sgd", {"momentum": "0.9"}, "momentum must be a number"),
    ("optax", "adam", {"learning_rate": None}, "learning_rate must be a number"),
]


@pytest.mark.parametrize(("framework", "optimizer", "hyper", "message"), WRONG_TYPES)
def test_a_value_of_another_type_is_a_type_error(framework, optimizer, hyper, message):
    with pytest.raises(TypeError, match=message):
        equivalent(framework, optimizer, **hyper)


@pytest.mark.parametrize(
    ("framework", "optimizer", "name"),
    [
        ("keras", "Adam", "weight_decay"),
        ("optax", "sgd", "momentum"),
        ("optax", "rmsprop", "momentum"),
        ("optax", "adadelta", "learning_rate"),
    ],
)
def test_none_is_accepted_where_it_is_the_librarys_default(framework, optimizer, name):
    assert equivalent(framework, optimizer, **{name: None}).keywords == {name: None}


@pytest.mark.parametrize("momentum", [0, 0.5])
@pytest.mark.parametrize("dampening", [0, 0.3])
@pytest.mark.parametrize("nesterov", [False, True])
def test_nesterov_is_refused_where_torch_refuses_it(momentum, dampening, nesterov):
    hyper = {"momentum": momentum, "dampening": dampening, "nesterov": nesterov}
    try:
        torch.optim.SGD([torch.ones(1)], **hyper)
    except ValueError:
        with pytest.raises(ValueError, match=f"momentum={momentum} and dampening={dampening}"):
            equivalent("torch", "SGD", **hyper)
    else:
        assert equivalent("torch", "SGD", **hyper).keywords == hyper


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(ValueError, match="momentum above 0"):
        equivalent("torch", "SGD", nesterov=True)


# Back to the libraries ----------------------------------------------------------------------------

ROWS = [(rule, framework) for rule in REFERENCES for framework in TRANSLATIONS]
EXACT = [(r, f) for r, f in ROWS if not isinstance(TRANSLATIONS[f][r], str)]
every_translation = pytest.mark.parametrize(("rule", "framework"), EXACT, ids=by_name)


def hyper_of(rule, framework, which):
    """The rule's defaults or test settings, with the only values that can be translated."""
    return getattr(REFERENCES[rule], which) | dict(TRANSLATIONS[framework][rule].only)


def test_every_rule_has_a_row_for_every_framework():
    assert TRANSLATIONS.keys() == DIALECTS.keys()
    for rows in TRANSLATIONS.values():
        assert set(rows) == {*rules.RULES, rules.nadam_constant} == set(REFERENCES)


@pytest.mark.parametrize("which", ["defaults", "settings"])
@every_translation
def test_the_translation_is_the_rule(rule, framework, which):
    """The library, called as ``to_framework`` says, on gradients without zeros where eps is 0."""
    hyper = hyper_of(rule, framework, which)
    optimizer, arguments = to_framework(rule, framework, **hyper)
    if framework == "d2l":
        theirs = {
            p: follow(equivalent("d2l", optimizer, **arguments), *problem, 100)
            for p, problem in PROBLEMS.items()
        }
    else:
        theirs = steps_of(framework, optimizer, arguments)
    for problem, (x, gradient) in PROBLEMS.items():
        if problem == "recorded" and hyper.get("eps") == 0:
            continue  # 0 / 0
        ours = stable_path(partial(rule, **hyper), x, gradient)
        assert len(ours) > 20
        assert distance(ours, theirs[problem]) < 1e-10


@every_translation
def test_every_hyper_parameter_is_in_the_translation(rule, framework):
    """Away from the defaults, all of them: none is left to the library's own default."""
    hyper = hyper_of(rule, framework, "settings")
    _, arguments = to_framework(rule, framework, **hyper)
    values = [v for a in arguments.values() for v in (a if isinstance(a, tuple) else [a])]
    constants = TRANSLATIONS[framework][rule].only if framework == "d2l" else {}
    assert [v for n, v in hyper.items() if n not in constants and v not in values] == []
    if framework != "d2l":
        assert (
            arguments.keys()
            <= defaults_of(constructor(framework, to_framework(rule, framework, **hyper)[0])).keys()
        )


def test_some_translations_in_full():
    """Written out, so that the form of the answer is seen."""
    assert to_framework(rules.adam, "torch", lr=0.01) == (
        "Adam",
        {"lr": 0.01, "betas": (0.9, 0.999), "eps": 1e-8},
    )
    assert to_framework(rules.nesterov, "keras") == (
        "SGD",
        {"nesterov": True, "learning_rate": 0.01, "momentum": 0.9},
    )
    assert to_framework(rules.amsgrad, "optax", beta2=0.99) == (
        "amsgrad",
        {
            "bias_correction_mu": False,
            "bias_correction_nu": False,
            "learning_rate": 0.001,
            "b1": 0.9,
            "b2": 0.99,
            "eps": 1e-8,
        },
    )
    assert to_framework(rules.adagrad, "keras", eps=0.0) == (
        "Adagrad",
        {"initial_accumulator_value": 0.0, "learning_rate": 0.01, "epsilon": 0.0},
    )
    assert to_framework(rules.adam, "d2l", lr=0.02, eps=1e-6) == ("adam", {"lr": 0.02})


@pytest.mark.parametrize(
    ("rule", "framework"), [(r, f) for r, f in EXACT if TRANSLATIONS[f][r].only], ids=by_name
)
def test_other_values_than_the_only_ones_are_refused(rule, framework):
    found, hyper = TRANSLATIONS[framework][rule], hyper_of(rule, framework, "settings")
    for name, value in found.only.items():
        message = (
            rf"{framework} {found.optimizer} equals {rule.__name__} only for .*{name}={value:g}.*"
        )
        with pytest.raises(
            ValueError, match=message + rf"because {found.differs}; got {name}=0\.004"
        ):
            to_framework(rule, framework, **hyper | {name: 0.004})


@pytest.mark.parametrize("framework", TRANSLATIONS)
def test_nesterov_without_momentum_is_sgd(framework):
    """torch refuses it with nesterov=True."""
    assert to_framework(rules.nesterov, framework, lr=0.2, beta=0.0) == to_framework(
        rules.sgd, framework, lr=0.2
    )


def test_a_partial_is_translated_with_what_it_binds():
    rule = partial(partial(rules.adamw, lr=0.1, weight_decay=0.3), lr=0.2)
    expected = to_framework(rules.adamw, "optax", lr=0.2, weight_decay=0.3, beta1=0.5)
    assert to_framework(rule, "optax", beta1=0.5) == expected
    assert to_framework(rule, "optax", lr=0.4)[1]["learning_rate"] == 0.4


def test_to_framework_refuses_what_it_does_not_know():
    with pytest.raises(
        ValueError, match="framework must be one of torch, keras, optax, d2l, got 'jax'"
    ):
        to_framework(rules.adam, "jax")
    with pytest.raises(ValueError, match="rule must be a rule of the book, got torch_adam"):
        to_framework(rosetta.torch_adam, "torch")
    with pytest.raises(TypeError, match="adam has no hyper-parameter 'betas'"):
        to_framework(rules.adam, "torch", betas=(0.9, 0.999))
    with pytest.raises(ValueError, match="lr must be one number, got"):
        to_framework(rules.adam, "torch", lr=np.array([0.1, 0.2]))
    with pytest.raises(ValueError, match="beta1 must be at least 0 and below 1, got 1"):
        to_framework(rules.adam, "keras", beta1=1.0)
    with pytest.raises(TypeError, match="eps must be a number"):
        to_framework(rules.adam, "optax", eps=None)


# Claims of a difference ---------------------------------------------------------------------------

MISSING = {  # (framework, rule): what it would be called there, and what the text says is missing
    ("torch", rules.yogi): ("Yogi", "Yogi"),
    ("keras", rules.yogi): ("Yogi", "Yogi"),
    ("d2l", rules.nesterov): ("nesterov", "Nesterov momentum"),
    ("d2l", rules.adamax): ("adamax", "AdaMax"),
    ("d2l", rules.nadam): ("nadam", "Nadam"),
    ("d2l", rules.nadam_constant): ("nadam", "Nadam"),
    ("d2l", rules.amsgrad): ("amsgrad", "AMSGrad"),
    ("d2l", rules.adamw): ("adamw", "AdamW"),
}
M, CORRECTED = "m decays with beta1, not with mu_t", "both averages are corrected"
NEAREST = {  # (framework, rule): the call with nominally the same settings, and what differs
    ("torch", rules.nadam): ("NAdam", {"psi": "momentum_decay"}, f"in its NAdam {M}"),
    ("torch", rules.amsgrad): ("Adam", {"amsgrad": True}, f"in its Adam(amsgrad=True) {CORRECTED}"),
    ("keras", rules.nadam): ("Nadam", {}, f"in its Nadam {M}"),
    ("keras", rules.nadam_constant): ("Nadam", {}, "its Nadam always has a schedule"),
    ("keras", rules.amsgrad): ("Adam", {"amsgrad": True}, f"in its Adam(amsgrad=True) {CORRECTED}"),
    ("optax", rules.adagrad): (
        "adagrad",
        {"initial_accumulator_value": 0.0},
        "in its adagrad eps is inside the root",
    ),
    ("optax", rules.yogi): ("yogi", {}, "in its yogi both averages start at 1e-6"),
    ("optax", rules.nadam): ("nadam", {}, "its nadam has no schedule"),
    ("d2l", rules.adagrad): ("adagrad", {}, "in its adagrad eps is inside the root"),
    ("d2l", rules.rmsprop): ("rmsprop", {"rho": "gamma"}, "in its rmsprop eps is inside the root"),
}
SPELLING = {
    "torch": {"lr": "lr", "eps": "eps"},
    "keras": {"lr": "learning_rate", "beta1": "beta_1", "beta2": "beta_2", "eps": "epsilon"},
    "optax": {"lr": "learning_rate", "beta1": "b1", "beta2": "b2", "eps": "eps"},
    "d2l": {"lr": "lr"},
}


def claims():
    """Every text that says there is no equivalent, and every value for which there is none."""
    for rule, framework in ROWS:
        found = TRANSLATIONS[framework][rule]
        if isinstance(found, str) or found.only:
            yield rule, framework


def test_every_refusal_is_either_missing_or_measured():
    texts = {(f, r) for r, f in ROWS if isinstance(TRANSLATIONS[f][r], str)}
    assert texts == MISSING.keys() | NEAREST.keys()


@pytest.mark.parametrize(("framework", "rule"), MISSING, ids=by_name)
def test_what_is_said_to_be_missing_is_missing(framework, rule):
    name, called = MISSING[framework, rule]
    message = f"{framework} has no equivalent of {rule.__name__}: it has no {called}$"
    with pytest.raises(ValueError, match=message):
        to_framework(rule, framework)
    assert name not in DIALECTS[framework]
    if framework != "d2l":
        with pytest.raises(AttributeError):
            constructor(framework, name)


def call_with(rule, framework, hyper):
    """The library's optimizer and arguments with nominally the same settings."""
    if (framework, rule) not in NEAREST:
        found = TRANSLATIONS[framework][rule]
        optimizer, spelling, fixed = found.optimizer, found.names, dict(found.fixed)
    else:
        optimizer, more, _ = NEAREST[framework, rule]
        spelling = SPELLING[framework] | {n: v for n, v in more.items() if isinstance(v, str)}
        fixed = {n: v for n, v in more.items() if not isinstance(v, str)}
    arguments = fixed | {spelling[name]: v for name, v in hyper.items() if name in spelling}
    if framework == "torch":
        arguments["betas"] = hyper["beta1"], hyper["beta2"]
    return optimizer, arguments


@pytest.mark.parametrize(
    ("rule", "framework"), [c for c in claims() if c[::-1] not in MISSING], ids=by_name
)
def test_a_difference_that_is_claimed_is_measured(rule, framework):
    """With eps 1e-3 and, for Nadam, the schedule of the library."""
    hyper = REFERENCES[rule].settings | ({"eps": 1e-3} if "eps" in names(rule) else {})
    if rule is rules.nadam:
        hyper |= {"psi": 1.0 if framework == "keras" else 0.004}
    if (framework, rule) in NEAREST:
        text = re.escape(NEAREST[framework, rule][-1])
        message = f"{framework} has no equivalent of {rule.__name__}: {text}$"
        with pytest.raises(ValueError, match=message):
            to_framework(rule, framework, **hyper)
    optimizer, arguments = call_with(rule, framework, hyper)
    x, gradient = PROBLEMS["recorded"]
    if framework == "d2l":
        theirs = follow(equivalent("d2l", optimizer, **arguments), x, gradient, 100)
    else:
        theirs = steps_of(framework, optimizer, arguments)["recorded"]
    assert distance(stable_path(partial(rule, **hyper), x, gradient), theirs) > 1e-9


# From a library to another; what is equal is in test_rosetta_counterparts.py ---------------------

AWAY_ADAM = {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-3}
OTHER = [  # an optimizer, and a library in which none is equal to it
    ("torch", "SGD", {"lr": 0.03, "momentum": 0.8, "weight_decay": 0.2}, "keras"),
    ("torch", "RMSprop", {"lr": 0.03, "eps": 1e-3}, "keras"),
    ("torch", "Adam", AWAY_ADAM, "keras"),
    ("torch", "Adam", AWAY_ADAM | {"weight_decay": 0.2}, "optax"),
    ("torch", "Adam", AWAY_ADAM | {"amsgrad": True}, "optax"),
    ("torch", "Adamax", AWAY_ADAM, "keras"),
    ("torch", "NAdam", AWAY_ADAM, "keras"),
    ("optax", "yogi", {"learning_rate": 0.03}, "d2l"),
]


def nearest(framework, optimizer, hyper, target):
    """Smallest distance of a counterpart on recorded gradients."""
    x, gradient = PROBLEMS["recorded"]
    path = follow(equivalent(framework, optimizer, **hyper), x, gradient, 100)
    with np.errstate(invalid="ignore"):  # a centred variance without eps in it can be negative
        return min(
            distance(follow(equivalent(target, name, **arguments), x, gradient, 100), path)
            for name, arguments in counterparts(framework, optimizer, target, **hyper)
        )


@pytest.mark.parametrize(("framework", "optimizer", "hyper", "target"), OTHER)
def test_no_counterpart_is_equal_where_none_can_be(framework, optimizer, hyper, target):
    assert nearest(framework, optimizer, hyper, target) > 1e-6


@every_dialect
def test_every_counterpart_is_a_call_that_the_library_accepts(framework, optimizer):
    required = [
        n for n, v in defaults_of(DIALECTS[framework][optimizer]).items() if v is Parameter.empty
    ]
    hyper = {name: AWAY[name] for name in required}
    for target in DIALECTS.keys() - {"d2l"}:
        for name, arguments in counterparts(framework, optimizer, target, **hyper):
            first = [[torch.ones(1)]] if target == "torch" else []
            constructor(target, name)(*first, **arguments)


def test_some_counterparts_in_full():
    assert counterparts("torch", "Adam", "optax", lr=0.1, eps=0.01) == [
        ("adam", {"learning_rate": 0.1, "b1": 0.9, "b2": 0.999, "eps": 0.01}),
        ("adamw", {"learning_rate": 0.1, "b1": 0.9, "b2": 0.999, "eps": 0.01, "weight_decay": 0.0}),
    ]
    assert counterparts("keras", "Adagrad", "torch", learning_rate=0.1, epsilon=0.01) == [
        ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.1, "eps": 0.01}),
        ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.11, "eps": 0.0}),
    ]
    assert counterparts("optax", "yogi", "torch", learning_rate=0.1) == []


def test_counterparts_refuses_what_it_does_not_know():
    with pytest.raises(
        ValueError, match="target must be one of torch, keras, optax, d2l, got 'tf'"
    ):
        counterparts("torch", "Adam", "tf")
    with pytest.raises(ValueError, match="optimizer must be one of"):
        counterparts("torch", "adam", "optax")
    with pytest.raises(ValueError, match="maximize is not translated"):
        counterparts("torch", "Adam", "optax", maximize=True)
