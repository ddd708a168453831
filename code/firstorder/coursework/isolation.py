"""A submission in a process of its own, seen from the process that grades it.

    with Submission("adam.ipynb") as submission:
        submission.names()["adam_step"](x, g, state)

The functions in ``names()`` are stand-ins: a call sends its arguments over, the submission computes
there, and plain data comes back (see ``_wire``).  Nothing that a submission patches, redefines or
ends reaches the process that compares.  A cell that kills its process or never ends is left out
when the process is started again; a function that does costs the test that called it.
"""

import ctypes
import json
import os
import secrets
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

import nbformat
import numpy as np

from firstorder.coursework import _wire as wire

SECONDS_START = 120  # until the process and its libraries are there
SECONDS_CELL = 60  # for one cell of the submission
SECONDS_CALL = 20  # for one call of one of its functions
SECONDS_ALL = 600  # for a submission, all in all
BYTES = 4 * 2**30  # of data in memory
SLOW_CALLS = 2  # of one function that may take too long; then it is called no more
BAD_CELLS = 4  # cells left out before the submission is given up
WORKER = "firstorder.coursework._worker"
PR_SET_PDEATHSIG = 1  # linux/prctl.h
FORGED = "it sent something that is not an answer"
RESTARTS = 12  # times the process is started again


class SubmissionError(Exception):
    """What went wrong in the submission: its own error, or that it took too long or died."""


class Submission:
    """Run the code cells of a notebook in another process and give access to their names.

    ``notebook``  path of an .ipynb file
    ``withheld``  names of the book's package, such as "rules.adam", that raise when used

    Raises ``ValueError`` if the file is not a notebook.
    """

    def __init__(self, notebook, withheld=()):
        try:
            cells = nbformat.read(notebook, as_version=4).cells
        except Exception as error:
            raise ValueError(f"{Path(notebook).name} must be a Jupyter notebook: {error}") from None
        self._cells = [c.source for c in cells if c.cell_type == "code" and c.source.strip()]
        self._withheld = list(withheld)
        self._left_out, self._process, self._starts = set(), None, 0
        self._slow = Counter()  # function -> calls that took too long
        self._functions = []  # of tests, sent as arguments
        self._deadline = time.monotonic() + SECONDS_ALL
        self.notes = []  # what went wrong with cells, in words

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def names(self):
        """Return name -> value or stand-in for everything that the submission defines."""
        self._ensure()
        found = self._ask("defined", SECONDS_CALL)
        if not isinstance(found, dict):
            raise SubmissionError(FORGED)
        return {
            name: self._stand_in(data, name)
            if isinstance(data, dict) and "object" in data
            else self._decode(data)
            for name, data in found.items()
        }

    def close(self):
        """End the process and everything it has started."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._requests, self._answers):
            with suppress(OSError):
                stream.close()
        self._folder.cleanup()
        self._process = None

    def _ensure(self):
        """Start the process, if it is not there, and run the cells that do not kill it."""
        while self._process is None:
            if self._starts > RESTARTS:
                raise SubmissionError("the submission died too often")
            self._start()
            for k, source in enumerate(self._cells):
                if k in self._left_out:
                    continue
                try:
                    error = self._ask("cell", SECONDS_CELL, source)
                except _Gone as gone:
                    self._left_out.add(k)
                    self.notes.append(f"{_quoted(source)} was left out: {gone}")
                    if len(self._left_out) > BAD_CELLS:
                        raise SubmissionError("too many cells kill the process") from None
                    break
                if error:
                    first = (str(error).splitlines() or [""])[0]
                    note = f"{_quoted(source)} ended with {first[:200]}"
                    if note not in self.notes:  # from an earlier start
                        self.notes.append(note)

    def _start(self):
        self._starts += 1
        self._folder = tempfile.TemporaryDirectory(prefix="submission-", ignore_cleanup_errors=True)
        from_parent, to_child = os.pipe()
        from_child, to_parent = os.pipe()
        keep = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT")
        environment = {k: os.environ[k] for k in keep if k in os.environ}
        environment |= {
            "HOME": self._folder.name,
            "TMPDIR": self._folder.name,
            "MPLBACKEND": "Agg",
            "OMP_NUM_THREADS": "1",
            "IPYTHONDIR": self._folder.name,
            "FIRSTORDER_WITHHELD": json.dumps(self._withheld),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", WORKER, str(from_parent), str(to_parent)],
            cwd=self._folder.name,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(from_parent, to_parent),
            start_new_session=True,
            preexec_fn=partial(_limits, self._folder.name, _other_user()),
        )
        os.close(from_parent)
        os.close(to_parent)
        self._requests = os.fdopen(to_child, "wb")
        self._answers = os.fdopen(from_child, "rb", buffering=0)
        self._ask("defined", SECONDS_START)

    def _ask(self, do, seconds, *arguments):
        """Send a request and return the value of its answer."""
        try:
            mark = secrets.token_hex(8)  # what does not bear it answers nothing
            wire.write(self._requests, {"do": do, "with": list(arguments), "mark": mark})
            deadline = min(time.monotonic() + seconds, self._deadline)
            while (answer := self._read(deadline)).get("mark") != mark or "call" in answer:
                if answer.get("mark") == mark:
                    wire.write(self._requests, self._called(answer))
        except TimeoutError:
            self.close()
            whole = time.monotonic() >= self._deadline
            limit = f"{SECONDS_ALL} seconds in all" if whole else f"{seconds} seconds"
            raise _Gone(f"it took more than {limit}", slow=True) from None
        except (EOFError, OSError):
            self.close()
            raise _Gone("its process ended") from None
        except (AttributeError, TypeError, ValueError):  # not what this program sends
            self.close()
            raise _Gone(FORGED) from None
        if "error" in answer:
            raise SubmissionError(str(answer["error"]))
        return answer["value"]

    def _read(self, deadline):
        (length,) = struct.unpack("<Q", self._exactly(8, deadline))
        if length > 2 * wire.LARGEST:
            raise ValueError("too long")
        return json.loads(self._exactly(length, deadline))

    def _exactly(self, count, deadline):
        parts = []
        while count:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                raise TimeoutError
            part = self._answers.read(min(count, 2**20))
            if not part:
                raise EOFError
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _call(self, target, *arguments, **named):
        """Call a function of the submission; change the arguments here as it changed them there."""
        if self._slow[target] >= SLOW_CALLS:
            raise SubmissionError(f"it took more than {SECONDS_CALL} seconds in calls before")
        name, target = target, self._there(target)
        sent = [wire.encode(a, self._number) for a in arguments]
        sent_named = {k: wire.encode(a, self._number) for k, a in named.items()}
        try:
            answer = self._ask("call", SECONDS_CALL, target, sent, sent_named)
        except _Gone as gone:
            self._slow[name] += gone.slow
            raise SubmissionError(str(gone)) from None
        try:
            after, after_named = answer["arguments"], answer["named"]
            for here, there in zip(arguments, after, strict=True):
                _copy(here, self._decode(there))
            for name, here in named.items():
                _copy(here, self._decode(after_named[name]))
            return self._decode(answer["result"])
        except (AttributeError, KeyError, TypeError, ValueError):
            raise SubmissionError(FORGED) from None

    def _there(self, target):
        """Return what the process calls a target, a name or (start of the process, number)."""
        self._ensure()
        if isinstance(target, str):
            return target
        start, number = target
        if start != self._starts:
            raise SubmissionError("an object of a process that is no longer there was used")
        return number

    def _attribute(self, target, name):
        target = self._there(target)
        return self._decode(self._ask("attribute", SECONDS_CALL, target, name))

    def _decode(self, data):
        try:
            return wire.decode(data, self._stand_in)
        except SubmissionError:
            raise
        except Exception as error:
            raise SubmissionError(f"what it returned cannot be read: {error}") from None

    def _stand_in(self, data, name=None):
        target = name if name is not None else (self._starts, int(data["object"]))
        kind = Function if data.get("callable") else Thing
        return kind(self, target, str(data.get("type")))

    def _number(self, value):
        """Return what names an object over there, or a function of a test, which it may call."""
        if isinstance(value, Thing):
            return self._there(value._target)
        if not callable(value):
            raise TypeError(f"a test can send plain data and functions, got {type(value).__name__}")
        self._functions.append(value)
        return -len(self._functions)

    def _called(self, request):
        """Answer a call of a test's function: what it raises goes back to the submission."""
        try:
            function = self._functions[-int(request["call"]) - 1]
            named = {str(k): self._decode(a) for k, a in request["named"].items()}
            value = function(*map(self._decode, request["with"]), **named)
            return {"value": wire.encode(value, self._number)}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}


class Thing:
    """An object that has stayed in the submission's process; equal to nothing but itself."""

    def __init__(self, submission, target, kind):
        self._submission, self._target, self._kind = submission, target, kind

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._submission._attribute(self._target, name)
        except SubmissionError as error:
            if str(error).startswith("AttributeError"):
                raise AttributeError(name) from None
            raise

    def __repr__(self):
        return f"<{self._kind} of the submission>"


class Function(Thing):
    """A function or class of the submission."""

    def __call__(self, *arguments, **named):
        return self._submission._call(self._target, *arguments, **named)


class _Gone(Exception):
    """The process has ended, or was ended because it was slow."""

    def __init__(self, message, slow=False):
        super().__init__(message)
        self.slow = slow


def _quoted(source):
    """Return what a student may call a cell: its number depends on what is counted."""
    first = source.strip().splitlines()[0]
    return f"the cell that begins {first[:60]!r}"


def _copy(here, there):
    """Give an array, list or dict that was an argument the content it has after the call."""
    if type(here) is not type(there):
        return
    if isinstance(here, np.ndarray) and here.shape == there.shape and here.dtype == there.dtype:
        if here.flags.writeable:
            here[...] = there
    elif type(here).__module__.partition(".")[0] == "torch":
        if here.shape == there.shape and here.dtype == there.dtype:
            here.detach().copy_(there)
    elif isinstance(here, list):
        if len(here) == len(there):
            for i, (a, b) in enumerate(zip(here, there, strict=True)):
                _replace(here, i, a, b)
        else:
            here[:] = there
    elif isinstance(here, dict):
        for key in [k for k in here if k not in there]:
            del here[key]
        for key, b in there.items():
            _replace(here, key, here.get(key), b)
    elif isinstance(here, tuple) and len(here) == len(there):
        for a, b in zip(here, there, strict=True):
            _copy(a, b)


def _replace(container, key, here, there):
    if isinstance(here, (list, dict)) or getattr(here, "shape", None) == getattr(
        there, "shape", ()
    ):
        _copy(here, there)
    else:
        container[key] = there


def _limits(folder, user):
    """In the new process, before it begins: bounds on memory and files; another user if we may."""
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**28, 2**28))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_ALL, SECONDS_ALL))
    if user is not None:
        os.chown(folder, user, user)
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    if sys.platform == "linux":  # dies with the process that grades, however that ends
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@cache
def _other_user():
    """Return the id of the user nobody, if we may become it and it can read the libraries."""
    if os.name != "posix" or os.geteuid() != 0:
        return None
    import pwd

    try:
        user = pwd.getpwnam("nobody").pw_uid
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                [sys.executable, "-I", "-c", "import firstorder.coursework._worker"],
                preexec_fn=partial(_limits, folder, user),
                cwd=folder,
                check=True,
                capture_output=True,
            )
    except (KeyError, OSError, subprocess.SubprocessError):
        return None
    return user
