"""A submission runs in a process of its own, and nothing but plain data comes back."""

import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import nbformat
import numpy as np
import pytest
import sympy
import torch

from classroom import CHEATS, NAMES, cheated
from firstorder.coursework import _wire as wire
from firstorder.coursework import isolation
from firstorder.coursework.isolation import Submission, SubmissionError


@pytest.fixture
def notebook(tmp_path):
    """Return a function from pieces of code to the path of a notebook with these cells."""

    def write(*sources):
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        path = tmp_path / "submission.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        return path

    return write


def there_and_back(value):
    return wire.decode(wire.encode(value, keep=None), find=None)


# --------------------------------------------------------------------------------------------------
# What crosses


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        -(10**30),
        0.1,
        float("inf"),
        1 + 2j,
        "text",
        (1, (2.0, [3])),
        {"m": [1, None]},
    ],
)
def test_plain_data_comes_back_as_it_was(value):
    assert there_and_back(value) == value
    assert type(there_and_back(value)) is type(value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool, complex])
def test_arrays_come_back_with_shape_and_dtype(dtype):
    value = np.arange(6).reshape(2, 3).astype(dtype)[:, ::-1]
    back = there_and_back(value)
    assert type(back) is np.ndarray
    assert back.dtype == value.dtype
    np.testing.assert_array_equal(back, value)
    scalar = there_and_back(value[0, 0])
    assert type(scalar) is type(value[0, 0])
    assert scalar == value[0, 0]


def test_tensors_and_expressions_come_back():
    tensor = torch.tensor([1.0, 2.0], requires_grad=True)
    assert torch.equal(there_and_back(tensor), tensor.detach())
    t, beta = sympy.symbols("t beta", positive=True)
    expression = sympy.Rational(1, 3) * (1 - beta**t) / sympy.sqrt(t) + sympy.pi
    assert there_and_back(expression) == expression


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "Symbol('x').__class__",
        "sympify('1')",
        "Function('f')(Symbol('x'))",
        "Integer(open('x'))",
        "[Integer(1) for i in Tuple(Integer(1))]",
    ],
)
def test_an_expression_is_built_from_expressions_only(text):
    with pytest.raises(ValueError, match="not allowed"):
        wire.decode({"sympy": text}, find=None)


class Floating(float):
    """Not a plain number."""


@pytest.mark.parametrize(
    "value", [Floating(1), Fraction(1, 3), np.ma.array([1.0]), np.array([None]), {1: 2}, len]
)
def test_anything_else_stays(value):
    kept = []
    assert "object" in wire.encode(value, keep=lambda v: kept.append(v) or len(kept) - 1)
    assert kept[0] is value


def test_endless_nesting_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested"):
        wire.encode(endless, keep=None)


def test_an_array_may_not_be_of_objects_or_larger_than_allowed():
    for dtype, shape in (("|O", [1]), ("<f8", [10**9])):
        with pytest.raises(ValueError, match="not allowed"):
            wire.decode({"array": {"dtype": dtype, "shape": shape, "raw": ""}}, find=None)


# --------------------------------------------------------------------------------------------------
# A submission

CODE = """
import numpy as np
import otter

grader = otter.Notebook(tests_dir="tests")
answer = 3.5
step = lambda x, g, lr=0.1: x - lr * g

def double(x):
    x *= 2
    return x

def descend(gradient, x, steps):
    for _ in range(steps):
        x = x - 0.1 * gradient(x=x)
    return x

def grow(state):
    state["m"] += 1.0
    state["t"] = state["t"] + 1
    state["new"] = [1]
    return state

class Adam:
    def __init__(self, lr):
        self.lr, self.t = lr, 0

    def step(self, x):
        self.t += 1
        return x - self.lr

fails = lambda: 1 / 0
loops = lambda: [None for _ in iter(int, 1)]
ends = lambda: __import__("os")._exit(1)
"""


def test_a_submission(notebook, monkeypatch):
    monkeypatch.setattr(isolation, "SECONDS_CALL", 3)
    path = notebook(CODE, 'grader.check("q1")')
    with Submission(path) as submission:
        names = submission.names()
        assert names["answer"] == 3.5
        assert "np" not in names
        x = np.ones(3)
        np.testing.assert_array_equal(names["step"](x, x, lr=0.5), [0.5, 0.5, 0.5])

        # an argument that the submission changes is changed here
        assert names["double"](x).sum() == 6.0
        np.testing.assert_array_equal(x, [2.0, 2.0, 2.0])
        tensor = torch.ones(2)
        names["double"](tensor)
        assert tensor.tolist() == [2.0, 2.0]
        state = {"m": np.zeros(2), "t": 0}
        m = state["m"]
        names["grow"](state)
        assert state["t"] == 1
        assert state["new"] == [1]
        assert m.tolist() == [1.0, 1.0]

        # functions of a test are called back; what they raise arrives there and comes back
        seen = []
        end = names["descend"](lambda x: seen.append(x) or 2 * x, np.ones(2), 3)
        np.testing.assert_allclose(end, 0.8**3)
        assert len(seen) == 3
        with pytest.raises(SubmissionError, match="ZeroDivisionError"):
            names["descend"](lambda x: 1 / 0, np.ones(2), 3)

        # objects stay there
        adam = names["Adam"](0.25)
        assert (adam.step(1.0), adam.step(1.0), adam.t) == (0.75, 0.75, 2)
        assert adam != names["Adam"](0.25)
        assert not hasattr(adam, "beta")

        # what goes wrong is an error of that call
        wrong = {"fails": "ZeroDivisionError", "loops": "more than 3 seconds", "ends": "ended"}
        for name, said in wrong.items():
            with pytest.raises(SubmissionError, match=said):
                names[name]()
        assert names["step"](1.0, 1.0) == 0.9  # started again
        with pytest.raises(SubmissionError, match="more than 3 seconds"):
            names["loops"]()
        with pytest.raises(SubmissionError, match="in calls before"):
            names["loops"]()  # not called
        assert names["step"](1.0, 1.0) == 0.9
        with pytest.raises(SubmissionError, match="no longer there"):
            adam.step(1.0)


def test_cells_that_end_the_process_are_left_out(notebook):
    path = notebook(
        "a = 1", "import os\nos._exit(1)", "b = 1 / 0", "c = 3", "import sys\nsys.exit()"
    )
    with Submission(path) as submission:
        names = submission.names()
        assert (names["a"], names["c"]) == (1, 3)
        assert "b" not in names
        assert submission.notes == [
            "the cell that begins 'import os' was left out: its process ended",
            "the cell that begins 'b = 1 / 0' ended with ZeroDivisionError: division by zero",
            "the cell that begins 'import sys' ended with SystemExit",
        ]


def test_it_cannot_take_all_memory_or_the_files_around_it(notebook, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    outside = str(tmp_path / "secret.txt")
    path = notebook(
        "import numpy as np, os, subprocess, sys, ctypes, socket, pathlib, shutil",
        "memory = lambda: np.ones(10**10)",
        "read = lambda p: open(p).read()",
        "low = lambda p: os.read(os.open(p, os.O_RDONLY), 9)",
        "numbers = lambda p: np.fromfile(p)",
        "remove = lambda p: os.remove(p)",
        "look = lambda p: os.listdir(os.path.dirname(p))",
        "away = lambda p: (os.chdir('/'), open(p[1:]).read())",
        "link = lambda p: (os.symlink(p, 'here'), open('here').read())",
        "run = lambda p: subprocess.run(['cat', p])",
        "fork = lambda p: os.fork()",
        "native = lambda p: ctypes.CDLL(None).system(b'true')",
        "call = lambda p: socket.create_connection(('127.0.0.1', 1))",
        "deceive = lambda p: (setattr(os.path, 'realpath', str), "
        "setattr(__builtins__, 'isinstance', lambda *a: False), open(p).read())",
        "own = lambda: (open('mine', 'w').write('x'), open('mine').read(), os.remove('mine'))",
    )
    with Submission(path) as submission:
        names = submission.names()
        assert names["own"]() == (1, "x", None)
        with pytest.raises(SubmissionError, match="MemoryError"):
            names["memory"]()
        for name in ("read", "low", "numbers", "remove", "look", "away", "link", "run", "fork"):
            with pytest.raises(SubmissionError, match="PermissionError"):
                names[name](outside)
        for name in ("native", "call", "deceive"):
            with pytest.raises(SubmissionError):
                names[name](outside)
    assert Path(outside).read_text() == "secret"


def test_what_is_withheld_cannot_be_used(notebook):
    path = notebook(
        "import numpy as np, firstorder as fo, firstorder.rules\nfrom firstorder import adam",
        "one = lambda x: adam(x, x, fo.initial_state(adam, x))",
        "two = lambda x: fo.rules.adam(x, x, None)",
        "three = lambda x: [r for r in fo.RULES][6](x, x, 0)",
        "other = lambda x: fo.sgd(x, x, fo.initial_state(fo.sgd, x), lr=0.5)[0]",
    )
    with Submission(path, withheld=["rules.adam"]) as submission:
        names = submission.names()
        for name in ("one", "two", "three"):
            with pytest.raises(SubmissionError, match="withheld"):
                names[name](np.ones(2))
        assert names["other"](np.ones(2)).tolist() == [0.5, 0.5]


def test_something_that_is_no_notebook_is_an_error(tmp_path):
    path = tmp_path / "essay.ipynb"
    path.write_text("not a notebook")
    with pytest.raises(ValueError, match=r"essay\.ipynb must be a Jupyter notebook"):
        Submission(path)


def test_nothing_is_left_when_it_is_closed(notebook):
    submission = Submission(notebook("a = 1"))
    submission.names()
    process, folder = submission._process, submission._folder.name
    submission.close()
    assert process.poll() is not None
    assert not os.path.exists(folder)
    submission.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends it with its parent")
def test_it_ends_with_the_process_that_grades(notebook):
    path = notebook("while True:\n    pass")
    source = f"""
from firstorder.coursework import isolation
begin = isolation.Submission._start
isolation.Submission._start = lambda self: (begin(self), print(self._process.pid, flush=True))
isolation.Submission({str(path)!r}).names()
"""
    grading = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    submission = int(grading.stdout.readline())
    os.kill(submission, 0)
    grading.kill()
    grading.communicate()
    deadline = time.monotonic() + 10
    while running(submission) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not running(submission)


def running(process):
    """Return whether a process is there and is no mere entry that nobody has asked for."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "State:\tZ" not in status


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another")
def test_root_runs_it_as_nobody_where_nobody_can_read_the_libraries(notebook):
    user = isolation._other_user()
    with Submission(notebook("import os\nuser = os.geteuid()")) as submission:
        assert submission.names()["user"] == (0 if user is None else user)


# --------------------------------------------------------------------------------------------------
# Cheats


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_earns_nothing(cheat, tmp_path, monkeypatch, record_property):
    """In the place of every answer of every assignment."""
    monkeypatch.setattr(isolation, "SECONDS_CALL", 5)
    earned = cheated(CHEATS[cheat], tmp_path)
    for name, points in earned.items():
        record_property("cheat", (name, points))
    assert set(earned) == set(NAMES)
    assert set(earned.values()) == {0}
