"""The process that runs a submission: started by ``isolation``, never imported by it.

    python -m firstorder.coursework._worker IN OUT

reads requests from file descriptor IN and writes answers to OUT.  It knows no test.  What it sends
is data about the submission's own names; the grading process never runs any of it.
"""

import importlib
import inspect
import io
import json
import os
import sys
import types
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from importlib.machinery import ModuleSpec

from firstorder.coursework import _wire as wire


class Notebook:
    """Stands in for ``otter.Notebook`` in the submission: its checks say nothing here."""

    def __init__(self, *args, **kwargs):
        pass

    def check(self, *args, **kwargs):
        return None

    check_all = export = add_plugin_files = run_plugin = check


class Submission:
    """The namespace of a submission, and the objects that the other side knows by number."""

    def __init__(self, requests, answers):
        from IPython.core.interactiveshell import InteractiveShell

        self.shell = InteractiveShell.instance()
        self.names = self.shell.user_ns
        self.before = set(self.names)
        self.objects = []
        self.requests, self.answers, self.mark = requests, answers, ""

    def keep(self, value):
        self.objects.append(value)
        return len(self.objects) - 1

    def find(self, data):
        """Return an object that the other side names, or a stand-in for one of its functions."""
        target = data["object"]
        if isinstance(target, str):
            return self.names[target]
        return self.objects[target] if target >= 0 else partial(self.call_back, target)

    def call_back(self, number, *arguments, **named):
        """Call a function of the other side; it gets and returns plain data."""
        sent = [wire.encode(a, self.keep) for a in arguments]
        sent_named = {k: wire.encode(a, self.keep) for k, a in named.items()}
        call = {"call": number, "with": sent, "named": sent_named, "mark": self.mark}
        wire.write(self.answers, call)
        answer = wire.read(self.requests)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return wire.decode(answer["value"], self.find)

    def cell(self, source):
        """Run a cell; return None or the error it ended with."""
        result = self.shell.run_cell(source, store_history=False)
        error = result.error_before_exec or result.error_in_exec
        return None if error is None else f"{type(error).__name__}: {error}".rstrip(": ")

    def defined(self):
        """Return name -> description of everything that the submission has defined."""
        found = {}
        for name, value in list(self.names.items()):
            if name in self.before or name.startswith("_") or isinstance(value, types.ModuleType):
                continue
            try:
                found[name] = wire.encode(value, self.keep)
            except Exception:
                continue
        return found

    def call(self, target, arguments, named):
        """Call a function, by name or number; return its result and the arguments afterwards."""
        function = self.names[target] if isinstance(target, str) else self.objects[target]
        arguments = [wire.decode(a, self.find) for a in arguments]
        named = {k: wire.decode(a, self.find) for k, a in named.items()}
        result = function(*arguments, **named)
        return {
            "result": wire.encode(result, self.keep),
            "arguments": [wire.encode(a, self.keep) for a in arguments],
            "named": {k: wire.encode(a, self.keep) for k, a in named.items()},
        }

    def attribute(self, target, name):
        value = self.names[target] if isinstance(target, str) else self.objects[target]
        return wire.encode(getattr(value, name), self.keep)


def fence(folder, is_a=isinstance, some=any, every=all, text=str):
    """From now on, refuse what no assignment needs: other processes, and files elsewhere.

    An audit hook cannot be taken out again from Python, and this one looks up nothing that a
    submission could replace; native code can go round it.  It is a fence, not a wall: see the
    instructor's guide.
    """
    libraries = {p for p in (*sys.path, sys.prefix, sys.base_prefix) if p}
    readable = (folder, *libraries, *map(os.path.realpath, libraries), "/usr", "/lib", "/etc")
    devices = ("/dev/null", "/dev/urandom", "/dev/random")
    refused = {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"}
    refused |= {"subprocess.Popen", "pty.spawn", "os.kill", "os.killpg", "os.setsid"}
    refused |= {"socket.connect", "socket.bind", "ctypes.dlopen", "ctypes.dlsym", "mmap.__new__"}
    changes = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink"}
    changes |= {"os.chmod", "os.chown", "os.truncate", "os.chdir", "shutil.rmtree", "shutil.move"}
    path_like, whole, data = os.PathLike, int, bytes
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

    def inside(path, folders):
        path = path.decode() if is_a(path, data) else text(path)
        path = path if path.startswith("/") else f"{folder}/{path}"
        if ".." in path.split("/"):
            return False
        return some(path == f or path.startswith(f"{f}/") for f in folders)

    def hook(event, arguments):
        if event in refused:
            raise PermissionError(f"{event} is not allowed in a graded submission")
        paths = [a for a in arguments if is_a(a, (text, data, path_like))]
        if event in changes and not every(inside(path, (folder,)) for path in paths):
            raise PermissionError(f"{event} is allowed in the working folder only")
        if event in ("open", "os.listdir", "os.scandir") and arguments:
            path = arguments[0]
            if path is None or is_a(path, whole):
                return
            mode, flags = (arguments[1], arguments[2]) if event == "open" else ("r", 0)
            writes = some(c in (mode or "r") for c in "wax+") or (flags or 0) & writing
            if not (path in devices or inside(path, (folder,) if writes else readable)):
                raise PermissionError(f"{path} is not open to a graded submission")

    sys.addaudithook(hook)


def withhold(names):
    """Make names of the book's package raise: what the submission is to write itself."""
    package, rules = (importlib.import_module(f"firstorder{m}") for m in ("", ".rules"))
    for name in names:
        module, _, attribute = name.rpartition(".")
        module = importlib.import_module(f"firstorder.{module}")
        original = getattr(module, attribute)

        def withheld(*arguments, name=name, **named):
            raise PermissionError(f"firstorder.{name} is withheld in this assignment")

        withheld.__signature__ = inspect.signature(original)  # initial_state reads it
        for place in (module, package):
            if getattr(place, attribute, None) is original:
                setattr(place, attribute, withheld)
        for place in (rules, package):
            place.RULES = tuple(withheld if r is original else r for r in place.RULES)


def main(incoming, outgoing):
    """Answer requests until there are none."""
    requests, answers = os.fdopen(incoming, "rb"), os.fdopen(outgoing, "wb")
    otter = types.ModuleType("otter")
    otter.__spec__ = ModuleSpec("otter", None)  # for find_spec in the first cell
    otter.Notebook = Notebook
    sys.modules["otter"] = otter
    submission, folder = Submission(requests, answers), os.getcwd()
    for library in ("matplotlib.pyplot", "sympy", "torch", "firstorder", "firstorder.train"):
        __import__(library)  # before the fence: they look for files and load libraries
    withhold(json.loads(os.environ.pop("FIRSTORDER_WITHHELD", "[]")))
    fence(folder)
    while request := wire.read(requests):
        name, arguments, mark = request["do"], request["with"], request["mark"]
        submission.mark = mark
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                answer = {"value": getattr(submission, name)(*arguments)}
            wire.write(answers, answer | {"mark": mark})
        except BaseException as error:
            message = f"{type(error).__name__}: {error}"[:2000]
            wire.write(answers, {"error": message, "mark": mark})


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
