"""Change the rules in every small way we can think of, and see that a test fails each time.

    python tools/mutants.py                 all mutants of rules.py and rosetta.py, on all cores
    python tools/mutants.py rosetta         only those of one of the two
    python tools/mutants.py rosetta adam    only in definitions whose name has "adam" in it; more
                                            such words may follow

Prints the score and every survivor with its diff.  Exits with 1 if a survivor is not in EQUIVALENT.

The general tools (mutmut, cosmic-ray) do not know the mistakes of this subject: m for v, beta1 for
beta2, the old state for the new one, t one too small, a correction left out.  They would also be a
dependency more.  Here a mutant is a fork of a process that has the libraries loaded, and runs the
fast oracles of its rule only.  The libraries that rosetta.py is compared with run once, before.
"""

import ast
import contextlib
import difflib
import gc
import importlib.abc
import importlib.util
import multiprocessing
import os
import signal
import sys
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "code" / "firstorder"
SECONDS = 60  # a mutant that takes longer is killed by the clock


class Target(NamedTuple):
    """A module to change, what tests it, and what a fork need not load again."""

    tests: list
    leave_out: str = ""  # tests that cost more than they find here
    load: tuple = ()  # modules that do not depend on the one that is changed


TARGETS = {
    "rules": Target(
        [
            "tests/test_rules_libraries.py",
            "tests/test_rules_recorded.py",
            "tests/test_rules_backends.py::test_the_new_state_has_the_order_of_the_fields",
            "tests/test_rules_backends.py::test_states_are_shared_by_families",
            "tests/test_rules_backends.py::test_counters_start_at_whole_zero_and_products_at_one",
            "tests/test_rules_backends.py::test_initial_state_of_partials",
            "tests/test_rules_backends.py::test_initial_state_of_something_else_is_a_type_error",
        ],
    ),
    "rosetta": Target(
        [
            "tests/test_rosetta.py",
            "tests/test_rosetta_libraries.py",
            "tests/test_rosetta_rules.py",
            "tests/test_rosetta_counterparts.py",
        ],
        "jax or caught or told_apart",
        ("keras", "optax", "live", "firstorder.objectives", "firstorder.run"),
    ),
}
DIALECT = ("torch_", "keras_", "optax_", "d2l_")

# survivors that no test can kill: the line of the diff that was added -> why it is the same rule
SAME_ZERO = "a zero is compared or multiplied, and a whole one does the same"
ONE_LIBRARY = "x, g and the arrays of the state come from one library, by the contract of a rule"
EQUIVALENT = {
    "xp = namespace(x)": ONE_LIBRARY,
    "xp = namespace(state.v)": ONE_LIBRARY,
    "xp, t = (namespace(x), state.t + 1)": ONE_LIBRARY,
    "without = 0.0 ** momentum": SAME_ZERO,
    "if rule is rules.nesterov and hyper['beta'] == 0.0:": SAME_ZERO,
    "momentum, dampening = (hyper.get('momentum', 0.0), hyper.get('dampening', 0))": SAME_ZERO,
    "momentum, dampening = (hyper.get('momentum', 0), hyper.get('dampening', 0.0))": SAME_ZERO,
    "if momentum <= 0.0 or dampening != 0:": SAME_ZERO,
    "if momentum <= 0 or dampening != 0.0:": SAME_ZERO,
}

CONFUSED = {  # names that a tired author exchanges
    "b": ["d"],
    "b1": ["b2"],
    "b2": ["b1"],
    "beta_1": ["beta_2"],
    "beta_2": ["beta_1"],
    "beta1": ["beta2"],
    "beta2": ["beta1"],
    "d": ["g", "b"],
    "eps": ["lr", "eps_root"],
    "eps_root": ["eps"],
    "epsilon": ["learning_rate"],
    "g": ["x"],
    "inside": ["outside"],
    "learning_rate": ["epsilon", "eps"],
    "lr": ["eps"],
    "lr_decay": ["weight_decay"],
    "m": ["v", "g"],
    "m_hat": ["m", "g"],
    "mu": ["mu_next", "beta1"],
    "mu_next": ["mu", "beta1"],
    "mu_prod": ["mu"],
    "nesterov": ["centered"],
    "outside": ["inside"],
    "psi": ["t"],
    "q": ["v"],
    "u": ["m"],
    "v": ["m", "g"],
    "v_hat": ["v"],
    "variance": ["v"],
    "v_max": ["v"],
    "weight_decay": ["eps"],
    "x": ["g"],
}
SWAPPED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
}
OPPOSITE = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Gt: ast.GtE,
    ast.LtE: ast.Lt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def mutations(node, names, fields):
    """Yield what may stand in place of ``node``, in a function with these local names and state."""
    match node:
        case ast.BinOp(left, operator, right):
            if type(operator) in SWAPPED:
                yield ast.BinOp(left, SWAPPED[type(operator)](), right)
            yield left
            yield right
            if not isinstance(operator, (ast.Add, ast.Mult, ast.BitOr)):
                yield ast.BinOp(right, operator, left)
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield ast.Constant(value + 1)
            yield ast.Constant(value / 2)
        case ast.Name(name, ast.Load()):
            yield from (ast.Name(n, ast.Load()) for n in CONFUSED.get(name, []) if n in names)
            if name == "t":
                yield ast.Attribute(ast.Name("state", ast.Load()), "t", ast.Load())
        case ast.Attribute(ast.Name("state"), field):
            yield from (ast.Attribute(node.value, f, ast.Load()) for f in fields if f != field)
            if field in names:
                yield ast.Name(field, ast.Load())
        case ast.Call(ast.Attribute(ast.Name("xp"), name), arguments):
            yield from arguments
            if name == "maximum":
                yield ast.Call(ast.Attribute(ast.Name("xp"), "minimum"), arguments, [])
        case ast.Call(ast.Name(name), arguments) if len(arguments) == len(fields) > 0:
            for i, field in enumerate(fields):  # a state: not updated, or out of order
                old = ast.Attribute(ast.Name("state", ast.Load()), field, ast.Load())
                yield ast.Call(node.func, [*arguments[:i], old, *arguments[i + 1 :]], [])
                if i:
                    swapped = arguments.copy()
                    swapped[i - 1 : i + 1] = arguments[i], arguments[i - 1]
                    yield ast.Call(node.func, swapped, [])
        case ast.Return(ast.Tuple([first, second])):
            yield ast.Return(ast.Tuple([second, first], ast.Load()))
        case ast.Compare(left, [operator], right) if type(operator) in OPPOSITE:
            yield ast.Compare(left, [OPPOSITE[type(operator)]()], right)
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(OPPOSITE[type(operator)](), values)
            yield from values
        case ast.If(test, body, orelse) if not isinstance(test, (ast.Compare, ast.UnaryOp)):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Dict(keys, values):
            for i in range(len(keys)):  # an entry left out, or with the value of its neighbour
                yield ast.Dict(keys[:i] + keys[i + 1 :], values[:i] + values[i + 1 :])
                if i:
                    swapped = values.copy()
                    swapped[i - 1 : i + 1] = values[i], values[i - 1]
                    yield ast.Dict(keys, swapped)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.IfExp(test, body, orelse):
            yield body
            yield orelse
            yield ast.IfExp(test, orelse, body)


class Replace(ast.NodeTransformer):
    """Put one node in the place of another, found by identity."""

    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit(self, node):
        return self.new if node is self.old else self.generic_visit(node)


def state_fields():
    """Class -> its fields, of the NamedTuples of both modules."""
    classes = {}
    for module in TARGETS:
        for item in ast.parse((PACKAGE / f"{module}.py").read_text()).body:
            if isinstance(item, ast.ClassDef):
                fields = [s.target.id for s in item.body if isinstance(s, ast.AnnAssign)]
                classes[item.name] = fields
    return classes


def tests_of(module, name, has_state):
    """The expression that selects the tests of a definition; empty for all tests."""
    if module == "rules":
        return name if has_state else ""
    if name.startswith(DIALECT):
        return name
    if has_state or name in ("_begin", "_decayed", "DIALECTS"):
        return ""
    return "test_rosetta.py or test_rosetta_counterparts.py"


def mutants(module, text):
    """Return the original and all mutants, each as name, selection of its tests and source.

    No mutant comes twice and none is the original.
    """
    tree, classes = ast.parse(text), state_fields()
    original = ast.unparse(tree)
    found = {}
    for item in tree.body:
        if isinstance(item, ast.Assign):
            name = item.targets[0].id
        elif isinstance(item, (ast.FunctionDef, ast.ClassDef)):
            name = item.name
        else:
            continue
        names = {n.id for n in ast.walk(item) if isinstance(n, ast.Name)}
        names |= {n.arg for n in ast.walk(item) if isinstance(n, ast.arg)}
        kinds = {n.annotation.id for n in ast.walk(item) if isinstance(n, ast.arg) and n.annotation}
        fields = [field for kind in kinds for field in classes[kind]]
        for node in list(ast.walk(item)):
            for new in mutations(node, names, fields):
                Replace(node, new).visit(item)
                source = ast.unparse(ast.fix_missing_locations(tree))
                Replace(new, node).visit(item)
                if source != original:
                    found.setdefault(source, (name, tests_of(module, name, "state" in names)))
        assert ast.unparse(tree) == original
    return original, [(*labels, source) for source, labels in found.items()]


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Import a module of the package from a text."""

    def __init__(self, module, source):
        self.module, self.source = f"firstorder.{module}", source

    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_loader(name, self) if name == self.module else None

    def get_source(self, name):
        return self.source


def run_tests(target, selection):
    """Run the tests of a target as a pytest of its own: its exit code."""
    import pytest

    options = ["-x", "-q", "--noconftest", "-o", "addopts=", "-o", "xfail_strict=true"]
    options += ["--assert=plain", "-p", "no:cacheprovider", "-p", "no:unraisableexception"]
    wanted = [f"({selection})"] if selection else []
    wanted += [f"not ({target.leave_out})"] if target.leave_out else []
    if wanted:
        options += ["-k", " and ".join(wanted)]
    return int(pytest.main([*options, *target.tests]))


def exit_code(module, selection, source):
    """Run the tests of the changed definition in a fork: pytest's exit code, or None on time out.

    0: all passed, the mutant survives.  1: a test failed.  2: the tests could not even be imported.
    """
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            sys.stderr = nowhere
            sys.meta_path.insert(0, Mutated(module, source))
            code = run_tests(TARGETS[module], selection)
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else None


def library_runs():
    """Return what the libraries give in the tests of rosetta.py, and pytest's exit code.

    For a process of its own: JAX starts threads, which a fork does not survive.
    """
    prepare("rules")
    code = run_tests(TARGETS["rosetta"], "")
    import live

    return live.RUNS, code


def prepare(module):
    """Load what every fork would load, once; the module to change is not among it."""
    import array_api_compat.numpy  # noqa: F401
    import pytest  # noqa: F401
    import sympy  # noqa: F401
    import torch._dynamo  # every optimizer of torch would load it at its first use

    torch.set_num_threads(1)
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    if module == "rosetta":
        os.environ["KERAS_BACKEND"] = "torch"
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            runs, code = pool.apply(library_runs)
        if code != 0:
            sys.exit(f"the tests do not pass on {module}.py as it is")
        sys.path.insert(0, str(ROOT / "tests"))
        for name in TARGETS[module].load:
            importlib.import_module(name)
        sys.modules["live"].RUNS.update(runs)
        assert f"firstorder.{module}" not in sys.modules
    gc.freeze()  # the collector need not walk the libraries in every fork


def difference(original, source):
    """The changed lines, removed and added."""
    lines = difflib.unified_diff(original.splitlines(), source.splitlines(), lineterm="", n=0)
    return [line for line in list(lines)[2:] if line[0] in "+-"]


def agreement(one, other):
    """How many characters two texts have in common at their beginning."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def shortened(lines, around=60):
    """The same, of two long lines only what differs and its surroundings."""
    if len(lines) != 2 or max(map(len, lines)) < 3 * around:
        return lines
    one, other = (line[1:] for line in lines)
    first, last = agreement(one, other), agreement(one[::-1], other[::-1])
    return [
        line[0] + text[max(0, first - around) : max(first, len(text) - last) + around]
        for line, text in zip(lines, (one, other), strict=True)
    ]


def score(module, wanted):
    """Print the survivors and the score of one module; return how many are unexplained."""
    prepare(module)
    original, every = mutants(module, (PACKAGE / f"{module}.py").read_text())
    every = [mutant for mutant in every if not wanted or any(word in mutant[0] for word in wanted)]
    if exit_code(module, "", original) != 0:
        sys.exit(f"the tests do not pass on {module}.py as it is")
    with multiprocessing.get_context("fork").Pool() as pool:
        codes = pool.starmap(
            exit_code, [(module, selection, source) for _, selection, source in every], chunksize=4
        )
    for (name, _, source), code in zip(every, codes, strict=True):
        if code not in {0, 1, 2, None}:
            print(f"\npytest could not run in {name}: exit code {code}")
            print(*shortened(difference(original, source)), sep="\n  ")
    survivors = [mutant for mutant, code in zip(every, codes, strict=True) if code == 0]
    unexplained = 0
    for name, _, source in survivors:
        lines = difference(original, source)
        reason = next(filter(None, (EQUIVALENT.get(line[1:].strip()) for line in lines)), None)
        unexplained += reason is None
        print(f"\nsurvived in {name}: {reason or 'UNEXPLAINED'}", *shortened(lines), sep="\n  ")
    failed = sum(code not in {0, 1, 2, None} for code in codes)
    killed = len(every) - len(survivors) - failed
    print(
        f"\n{module}.py: {len(every)} mutants, {killed} killed ({codes.count(1)} by a failing "
        f"test, {codes.count(2)} at import, {codes.count(None)} by the clock), "
        f"{len(survivors) - unexplained} equivalent, {unexplained} unexplained survivors, "
        f"{failed} not run",
        flush=True,
    )
    return unexplained + failed


def main(*arguments):
    module, *wanted = arguments or [""]
    if module and module not in TARGETS:
        sys.exit(f"the module must be one of {', '.join(TARGETS)}, got {module}")
    return 1 if sum([score(name, wanted) for name in ([module] if module else TARGETS)]) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
