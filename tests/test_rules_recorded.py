"""Every rule against trajectories recorded from libraries and papers (see recorded/README.md)."""

import numpy as np
import pytest

from firstorder.rules import initial_state
from oracles import RECORDED, RECORDED_DIALECTS, REFERENCES, by_name, follow, recorded

CASES = [(rule, entry) for rule, row in REFERENCES.items() for entry in row.recorded]


def problems():
    """The recorded problems: name -> (start, gradient(t, x)) with t = 1, 2, ..."""
    with np.load(RECORDED / "problems.npz") as data:
        p = dict(data)

    def rosenbrock(t, x):
        a, b = x
        s = p["rosen_scale"]
        return s * np.array([-2 * (1 - a) - 400 * a * (b - a**2), 200 * (b - a**2)])

    def quadratic(t, x):
        return p["mask"][t - 1] * (p["A"] @ (x - p["x_star"]) + p["noise"][t - 1])

    return {
        "quad_rec": (p["x0"], lambda t, x: p["G"][t - 1]),
        "quad": (p["x0"], quadratic),
        "rosen": (p["rosen_x0"], rosenbrock),
    }


@pytest.mark.parametrize("problem", ["quad_rec", "quad", "rosen"])
@pytest.mark.parametrize(("rule", "entry"), CASES, ids=lambda v: by_name(v) or v.file)
def test_rule_is_the_recorded_trajectory(rule, entry, problem):
    paths, meta = recorded(entry.file)
    x, gradient = problems()[problem]
    state = initial_state(rule, x)
    if entry.start:
        state = state._replace(m=state.m + entry.start, v=state.v + entry.start)
    steps, every = meta["stable_steps"][problem], meta["stored_every"][problem]
    ours = follow(rule, x, gradient, steps, state, **entry.translate(meta["hyperparameters"]))
    theirs = paths[problem][: steps // every + 1]
    assert np.isfinite(theirs).all()
    travelled = np.ptp(theirs, axis=0).max()
    assert travelled > 0
    np.testing.assert_allclose(ours[::every], theirs, rtol=1e-12, atol=1e-10 * travelled)


def test_every_recorded_file_is_used():
    """Here, or as a dialect in test_rosetta_libraries.py; there, every file that is no paper's."""
    files = {path.stem for path in RECORDED.glob("*.npz")}
    used = {entry.file for _, entry in CASES} | RECORDED_DIALECTS.keys()
    assert used | {"problems"} == files
    assert {file for file in files - {"problems"} if "__paper__" not in file} == {
        *RECORDED_DIALECTS
    }
