"""Every cheat that is kept with the assignments, in the place of every answer of each of them."""

import pytest

from classroom import CHEATS, NAMES, cheated
from firstorder.coursework import isolation


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_earns_nothing(cheat, name, tmp_path, monkeypatch, record_property):
    monkeypatch.setattr(isolation, "SECONDS_CALL", 5)
    points = cheated(name, CHEATS[cheat], tmp_path)
    record_property("cheat", (name, points))
    assert points == 0
