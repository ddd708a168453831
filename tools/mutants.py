"""Change rules.py in every small way we can think of, and see that a test fails each time.

    python tools/mutants.py            all mutants, on all cores
    python tools/mutants.py adam       only those in definitions whose name has "adam" in it

Prints the score and every survivor with its diff.  Exits with 1 if a survivor is not in EQUIVALENT.

The general tools (mutmut, cosmic-ray) do not know the mistakes of this subject: m for v, beta1 for
beta2, the old state for the new one, t one too small, a correction left out.  They would also be a
dependency more.  Here a mutant is a fork of a process that has the libraries loaded, and runs the
fast oracles of its rule only.
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
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "code" / "firstorder" / "rules.py"
SECONDS = 60  # a mutant that takes longer is killed by the clock
TESTS = [
    "tests/test_rules_libraries.py",
    "tests/test_rules_recorded.py",
    "tests/test_rules_backends.py::test_the_new_state_has_the_order_of_the_fields",
    "tests/test_rules_backends.py::test_states_are_shared_by_families",
    "tests/test_rules_backends.py::test_counters_start_at_whole_zero_and_products_at_one",
    "tests/test_rules_backends.py::test_initial_state_of_partials",
    "tests/test_rules_backends.py::test_initial_state_of_something_else_is_a_type_error",
]

# survivors that no test can kill: the line of the diff that was added -> why it is the same rule
ONE_LIBRARY = "x, g and the arrays of the state come from one library, by the contract of a rule"
EQUIVALENT = {
    "xp = namespace(x)": ONE_LIBRARY,
    "xp = namespace(state.v)": ONE_LIBRARY,
    "xp, t = (namespace(x), state.t + 1)": ONE_LIBRARY,
}

CONFUSED = {  # names that a tired author exchanges
    "beta1": ["beta2"],
    "beta2": ["beta1"],
    "d": ["g"],
    "eps": ["lr"],
    "g": ["x"],
    "lr": ["eps"],
    "m": ["v", "g"],
    "m_hat": ["m", "g"],
    "mu": ["mu_next", "beta1"],
    "mu_next": ["mu", "beta1"],
    "mu_prod": ["mu"],
    "psi": ["t"],
    "q": ["v"],
    "u": ["m"],
    "v": ["m", "g"],
    "v_hat": ["v"],
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


def mutations(node, names, fields):
    """Yield what may stand in place of ``node``, in a function with these local names and state."""
    match node:
        case ast.BinOp(left, operator, right):
            yield ast.BinOp(left, SWAPPED[type(operator)](), right)
            yield left
            yield right
            if not isinstance(operator, (ast.Add, ast.Mult)):
                yield ast.BinOp(right, operator, left)
        case ast.Constant(value) if isinstance(value, (int, float)):
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
        case ast.Compare(left, [ast.NotIn()], right):
            yield ast.Compare(left, [ast.In()], right)
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


def mutants(text):
    """Return the original and all mutants, each as name, keyword of its tests and source.

    No mutant comes twice and none is the original.  The tests of a rule have its name in theirs; a
    mutant of anything else is for all tests.
    """
    tree = ast.parse(text)
    original = ast.unparse(tree)
    state_fields = {
        item.name: [s.target.id for s in item.body if isinstance(s, ast.AnnAssign)]
        for item in tree.body
        if isinstance(item, ast.ClassDef)
    }
    found = {}
    for item in tree.body:
        if not isinstance(item, (ast.FunctionDef, ast.ClassDef)):
            continue
        names = {n.id for n in ast.walk(item) if isinstance(n, ast.Name)}
        names |= {n.arg for n in ast.walk(item) if isinstance(n, ast.arg)}
        kinds = {n.annotation.id for n in ast.walk(item) if isinstance(n, ast.arg) and n.annotation}
        fields = [field for kind in kinds for field in state_fields[kind]]
        for node in list(ast.walk(item)):
            for new in mutations(node, names, fields):
                Replace(node, new).visit(item)
                source = ast.unparse(ast.fix_missing_locations(tree))
                Replace(new, node).visit(item)
                if source != original:
                    found.setdefault(source, (item.name, item.name if kinds else ""))
        assert ast.unparse(tree) == original
    return original, [(*labels, source) for source, labels in found.items()]


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Import ``firstorder.rules`` from a text."""

    def __init__(self, source):
        self.source = source

    def find_spec(self, name, path, target=None):
        if name == "firstorder.rules":
            return importlib.util.spec_from_loader(name, self)
        return None

    def get_source(self, name):
        return self.source


def exit_code(mutant):
    """Run the tests of the changed function in a fork: pytest's exit code, or None on time out.

    0: all passed, the mutant survives.  1: a test failed.  2: the tests could not even be imported.
    """
    _, keyword, source = mutant
    child = os.fork()
    if child == 0:
        import pytest

        signal.alarm(SECONDS)
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            sys.stderr = nowhere
            sys.meta_path.insert(0, Mutated(source))
            options = ["-x", "-q", "--noconftest", "-o", "addopts=", "-o", "xfail_strict=true"]
            options += ["--assert=plain", "-p", "no:cacheprovider", "-p", "no:unraisableexception"]
            if keyword:
                options += ["-k", keyword]
            code = pytest.main([*options, *TESTS])
        os._exit(int(code))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else None


def difference(original, source):
    """The changed lines, removed and added."""
    lines = difflib.ndiff(original.splitlines(), source.splitlines())
    return [line for line in lines if line[0] in "+-"]


def main(wanted=""):
    import array_api_compat.numpy  # noqa: F401  loaded once, before the forks
    import pytest  # noqa: F401
    import sympy  # noqa: F401
    import torch._dynamo  # every optimizer of torch would load it at its first use

    torch.set_num_threads(1)
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    gc.freeze()  # the collector need not walk the libraries in every fork
    original, every = mutants(RULES.read_text())
    every = [mutant for mutant in every if wanted in mutant[0]]
    if exit_code(("", "", original)) != 0:
        sys.exit("the tests do not pass on the rules as they are")
    with multiprocessing.get_context("fork").Pool() as pool:
        codes = pool.map(exit_code, every, chunksize=4)
    if not set(codes) <= {0, 1, 2, None}:
        sys.exit(f"pytest could not run: exit codes {set(codes)}")
    survivors = [mutant for mutant, code in zip(every, codes, strict=True) if code == 0]
    unexplained = 0
    for name, _, source in survivors:
        lines = difference(original, source)
        reason = next(filter(None, (EQUIVALENT.get(line[1:].strip()) for line in lines)), None)
        unexplained += reason is None
        print(f"\nsurvived in {name}: {reason or 'UNEXPLAINED'}", *lines, sep="\n  ")
    killed = len(every) - len(survivors)
    print(
        f"\n{len(every)} mutants, {killed} killed ({codes.count(1)} by a failing test, "
        f"{codes.count(2)} at import, {codes.count(None)} by the clock), "
        f"{len(survivors) - unexplained} equivalent, {unexplained} unexplained survivors"
    )
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
