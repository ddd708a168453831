"""Names and ranges of hyper-parameters, and the errors that say so."""

from functools import partial

import numpy as np
import pytest

from firstorder import hyperparameters, rules
from firstorder.hyperparameters import (
    check,
    check_names,
    check_value,
    check_whole,
    label,
    names,
    options,
)
from firstorder.rosetta import DIALECTS
from oracles import REFERENCES, by_name

every_rule = pytest.mark.parametrize("rule", REFERENCES, ids=by_name)
FRACTIONS = ["beta", "beta1", "beta2", "rho"]
POSITIVE = ["lr", "eps", "weight_decay", "psi"]


@every_rule
def test_names_are_in_the_order_of_the_signature(rule):
    assert names(rule) == tuple(REFERENCES[rule].defaults)
    assert names(partial(rule, lr=0.5)) == tuple(REFERENCES[rule].defaults)


@every_rule
def test_every_name_has_a_range_and_every_default_is_in_it(rule):
    assert set(names(rule)) <= set(hyperparameters.RANGES)
    for which in (REFERENCES[rule].defaults, REFERENCES[rule].settings):
        checked = check(rule, which)
        assert {name: float(value) for name, value in checked.items()} == which
        assert all(value.dtype == float for value in checked.values())


def test_every_range_is_used():
    ours = {name for rule in REFERENCES for name in names(rule)}
    dialects = [rule for library in DIALECTS.values() for rule in library.values()]
    theirs = {name for rule in dialects for name in names(rule) if name not in options(rule)}
    assert ours | theirs == set(hyperparameters.RANGES)


@pytest.mark.parametrize("name", FRACTIONS)
def test_fractions_are_at_least_zero_and_below_one(name):
    for allowed in (0, 0.0, 0.5, np.nextafter(1, 0)):
        assert check_value(name, allowed) == allowed
    for wrong in (-1e-300, 1, 1.0, 2, np.inf, -np.inf, np.nan):
        with pytest.raises(
            ValueError, match=rf"^{name} must be at least 0 and below 1, got {wrong:g}$"
        ):
            check_value(name, wrong)


@pytest.mark.parametrize("name", POSITIVE)
def test_sizes_are_finite_and_at_least_zero(name):
    for allowed in (0, 1e-300, 1, 1e300):
        assert check_value(name, allowed) == allowed
    for wrong in (-1e-300, -1, np.inf, np.nan):
        with pytest.raises(
            ValueError, match=rf"^{name} must be finite and at least 0, got {wrong:g}$"
        ):
            check_value(name, wrong)


def test_an_unknown_name_must_be_finite():
    assert check_value("temperature", -3) == -3
    with pytest.raises(ValueError, match=r"^temperature must be finite, got inf$"):
        check_value("temperature", np.inf)


def test_a_range_may_include_its_end(monkeypatch):
    monkeypatch.setitem(hyperparameters.RANGES, "share", (0.0, 1.0, True))
    assert check_value("share", 1) == 1
    with pytest.raises(ValueError, match=r"^share must be at least 0 and at most 1, got 1.5$"):
        check_value("share", 1.5)


def test_an_array_is_checked_entry_by_entry():
    value = check_value("lr", [1, 2, 3])
    assert value.dtype == float
    np.testing.assert_array_equal(value, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"got -2$"):
        check_value("lr", [[1, -2], [-3, 4]])


@pytest.mark.parametrize(
    "wrong", ["0.1", "much", None, True, 1j, [1j, 2], [1, None], [[1], [1, 2]], {}]
)
def test_what_is_no_number_is_a_type_error(wrong):
    with pytest.raises(TypeError, match=r"^lr must be a number or an array of numbers, got "):
        check_value("lr", wrong)


def test_the_value_given_is_not_changed_and_not_shared():
    given = np.array([0.1, 0.2])
    check_value("lr", given)[:] = 9
    np.testing.assert_array_equal(given, [0.1, 0.2])


def test_unknown_names_are_all_named_with_what_there_is():
    with pytest.raises(TypeError) as error:
        check_names(rules.rmsprop, {"lr": 1, "alpha": 1, "beta": 2})
    assert str(error.value) == "rmsprop has no hyper-parameter 'alpha', 'beta'; it has lr, rho, eps"
    with pytest.raises(TypeError, match="sgd has no hyper-parameter 'beta'"):
        check(partial(rules.sgd, lr=0.1), {"beta": -1})
    check_names(rules.sgd, {})


def test_whole_numbers():
    assert check_whole("steps", np.int64(7)) == 7
    assert type(check_whole("steps", np.int64(7))) is int
    assert check_whole("batch", 3, lowest=3) == 3
    with pytest.raises(ValueError, match=r"^batch must be at least 3, got 2$"):
        check_whole("batch", 2, lowest=3)
    for wrong in (1.0, "1", None, False):
        with pytest.raises(TypeError, match=r"^batch must be a whole number, got "):
            check_whole("batch", wrong)


def test_labels():
    assert label(rules.adam) == "adam"
    assert label(partial(partial(rules.adam, lr=1), beta1=0)) == "adam"
    assert label(3) == "3"
