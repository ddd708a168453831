"""Submissions that try to earn points without an answer: a test demands that all fail.

Each is code for the answer cell of a question; ``NAMES`` is replaced by a tuple of the names that
the question asks for.
"""

CHEATS = {
    "numpy says that all is close": """
import numpy as np

for name in ("allclose", "isclose", "array_equal", "array_equiv", "isfinite"):
    setattr(np, name, lambda *a, **k: True)
np.abs = np.max = np.linalg.norm = lambda *a, **k: 0.0
np.testing.assert_allclose = np.testing.assert_array_equal = lambda *a, **k: None
for name in NAMES:
    globals()[name] = lambda *a, **k: 0.0
""",
    "torch says that all is close": """
import torch

for name in ("allclose", "equal", "isclose", "eq"):
    setattr(torch, name, lambda *a, **k: True)
torch.testing.assert_close = lambda *a, **k: None
for name in NAMES:
    globals()[name] = lambda *a, **k: torch.zeros(())
""",
    "builtins that never fail": """
import builtins

builtins.abs = builtins.max = builtins.sum = lambda *a, **k: 0
builtins.all = builtins.isinstance = builtins.callable = lambda *a, **k: True
builtins.AssertionError = type("Nothing", (BaseException,), {})
for name in NAMES:
    globals()[name] = lambda *a, **k: 0
""",
    "an object that equals everything": """
class Anything:
    def __getattr__(self, name):
        return self

    def __call__(self, *a, **k):
        return self

    def __bool__(self):
        return True

    def __float__(self):
        return 0.0

    def __iter__(self):
        return iter((self, self))

    def __len__(self):
        return 2

    def __eq__(self, other):
        return True

    __lt__ = __le__ = __gt__ = __ge__ = __eq__
    __hash__ = None
    __add__ = __sub__ = __mul__ = __truediv__ = __pow__ = __neg__ = __abs__ = __call__
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __getitem__ = __array_ufunc__ = __call__


for name in NAMES:
    globals()[name] = Anything()
""",
    "an array that equals everything": """
import numpy as np


class Everything(np.ndarray):
    def __array_ufunc__(self, ufunc, method, *a, **k):
        return np.array(True)

    def __array_function__(self, function, types, a, k):
        return True

    def __eq__(self, other):
        return np.array(True)


for name in NAMES:
    globals()[name] = lambda *a, **k: np.zeros(3).view(Everything)
""",
    "a number that equals everything": """
class Number(float):
    def __eq__(self, other):
        return True

    def __sub__(self, other):
        return 0.0

    __hash__ = None
    __rsub__ = __sub__
    __lt__ = __le__ = __gt__ = __ge__ = __eq__


for name in NAMES:
    globals()[name] = lambda *a, **k: Number(0)
""",
    "sys.exit": """
import sys

for name in NAMES:
    globals()[name] = lambda *a, **k: sys.exit(0)
sys.exit(0)
""",
    "os._exit": """
import os

for name in NAMES:
    globals()[name] = lambda *a, **k: os._exit(0)
os._exit(0)
""",
    "os._exit when it is called": """
import os

for name in NAMES:
    globals()[name] = lambda *a, **k: os._exit(0)
""",
    "kills the process above": """
import os
import signal


def kill(*a, **k):
    os.kill(os.getppid(), signal.SIGKILL)


for name in NAMES:
    globals()[name] = kill
kill()
""",
    "writes the results": """
import json
import os
import pathlib
import tempfile

full = json.dumps({"score": 100, "tests": [{"name": "q1", "score": 100, "max_score": 1}]})
for folder in (".", "..", "../results", "/autograder/results", tempfile.gettempdir(), "/tmp"):
    for name in ("results.json", "record.json", "notes.txt"):
        try:
            pathlib.Path(folder, name).write_text(full)
        except OSError:
            pass
for name in NAMES:
    globals()[name] = lambda *a, **k: None
""",
    "another grader": """
import sys
import types

import otter


class Passed:
    grade = score = possible = 1.0
    passed_all = True

    def run(self, *a, **k):
        self.test_case_results = []


otter.Notebook.check = lambda *a, **k: Passed()
for name in list(sys.modules):
    if "otter" in name or "coursework" in name:
        sys.modules[name] = types.ModuleType(name)
grader = otter
for name in NAMES:
    globals()[name] = lambda *a, **k: None
""",
    "patches the checks": """
import firstorder.coursework.checks as checks

for name in dir(checks):
    if not name.startswith("__"):
        setattr(checks, name, lambda *a, **k: None)
for name in NAMES:
    globals()[name] = lambda *a, **k: None
""",
    "reads the frames above": """
import sys


def peek(*a, **k):
    frame, found = sys._getframe(), []
    while frame is not None:
        found += [frame.f_locals.get(n) for n in ("expected", "wanted", "reference", "want")]
        frame = frame.f_back
    found = [f for f in found if f is not None]
    return found[0] if found else None


for name in NAMES:
    globals()[name] = peek
""",
    "reads the tests and runs what they compare with": """
import gc
import glob
import os
import pathlib
import zipfile

texts = []
for pattern in ("/autograder/source/tests/*.py", "/tmp/**/tests/q*.py", "../**/tests/q*.py"):
    try:
        texts += [pathlib.Path(p).read_text() for p in glob.glob(pattern, recursive=True)]
    except OSError:
        pass
for archive in glob.glob("../**/*.zip", recursive=True):
    try:
        with zipfile.ZipFile(archive) as opened:
            texts += [opened.read(n).decode() for n in opened.namelist() if "tests/" in n]
    except OSError:
        pass
texts += [o for o in gc.get_objects() if isinstance(o, str) and "def test_" in o]
for text in texts:
    exec(text, globals())
for name in NAMES:
    globals()[name] = globals().get("reference")
""",
    "leaves a process behind": """
import os
import subprocess
import threading

try:
    if os.fork() == 0:
        os.setsid()
        while True:
            pass
except (OSError, PermissionError):
    pass
try:
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
except (OSError, PermissionError):
    pass
for name in NAMES:
    globals()[name] = lambda *a, **k: None
""",
    "code in what is sent back": """
import os


class Payload:
    def __reduce__(self):
        return os._exit, (0,)

    def __repr__(self):
        os._exit(0)


for name in NAMES:
    globals()[name] = lambda *a, **k: Payload()
""",
    "answers on the wire": """
import json
import os
import struct

forged = json.dumps({"value": {"result": True, "arguments": [], "named": {}}}).encode()
for descriptor in range(3, 30):
    try:
        os.write(descriptor, struct.pack("<Q", len(forged)) + forged)
    except OSError:
        pass
for name in NAMES:
    globals()[name] = lambda *a, **k: None
""",
}

# These cost time or memory; the class of ``tests/coursework`` has them too.
COSTLY = {
    "loops for ever": """
while True:
    pass
""",
    "loops for ever when it is called": """
def forever(*a, **k):
    while True:
        pass


for name in NAMES:
    globals()[name] = forever
""",
    "takes all memory": """
import numpy as np

kept = []
while True:
    kept.append(np.ones(10**8))
""",
}
