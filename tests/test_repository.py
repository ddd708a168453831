"""The files that run everything say what they have to; no quiet change can leave a part out."""

import ast
import importlib.metadata
import re
import sys
import tomllib

import pytest
import yaml

import notebooks

ROOT = notebooks.ROOT
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PIN = re.compile(r"^([A-Za-z0-9-]+)==([0-9][\w.]*)  *# \S.*$")


def lines(name):
    """Lines of a file that are neither empty nor a comment."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


REQUIREMENTS = lines("requirements.txt")
PINS = dict(PIN.match(line).groups() for line in REQUIREMENTS[1:] if PIN.match(line))


def test_every_requirement_is_pinned_and_has_a_reason():
    assert REQUIREMENTS[0].startswith("-e .  ")
    assert [line for line in REQUIREMENTS[1:] if not PIN.match(line)] == []
    assert len(PINS) == len(REQUIREMENTS) - 1


@pytest.mark.parametrize("name", PINS)
def test_what_is_installed_is_what_is_pinned(name):
    installed = importlib.metadata.version(name).partition("+")[0]  # torch has a CPU build, +cpu
    assert installed == PINS[name], "run make test, or pip install -r requirements.txt"


def test_the_package_needs_nothing_that_is_not_pinned():
    project = PYPROJECT["project"]
    needs = [project["dependencies"], *project["optional-dependencies"].values()]
    assert {re.match(r"[\w-]+", need)[0] for part in needs for need in part} <= PINS.keys()


def imports():
    """The top-level names that the code, the tests and the tools import, ours left out."""
    folders = [ROOT / name for name in ("code", "tests", "tools", "_ext", "benchmarks")]
    files = [ROOT / "conftest.py", *(path for folder in folders for path in folder.rglob("*.py"))]
    names = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module.partition(".")[0])
    ours = {"firstorder", *(path.stem for path in files if "code" not in path.parts)}
    return names - ours - sys.stdlib_module_names


def test_every_import_is_a_direct_dependency():
    distributions = importlib.metadata.packages_distributions()
    owners = {
        name: {owner.lower().replace("_", "-") for owner in distributions.get(name, [])}
        for name in imports()
    }
    assert {name for name, found in owners.items() if not found & PINS.keys()} == set()


def test_pytest_runs_tests_and_chapters_strictly():
    settings = PYPROJECT["tool"]["pytest"]["ini_options"]
    assert settings["testpaths"] == ["tests", "chapters"]
    assert {"--nbval", "--nbval-current-env", "--strict-markers"} <= set(settings["addopts"])
    assert not any(
        re.match(r"-k|-m\b|--ignore|--deselect|--nbval-lax", o) for o in settings["addopts"]
    )
    assert settings["norecursedirs"][0] == "site"
    assert settings["xfail_strict"] is True


def recipe(target):
    """The commands of a target of the Makefile."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    [block] = re.findall(rf"^{target}:[^\n]*\n((?:\t[^\n]*\n)+)", text, re.MULTILINE)
    return [line.strip() for line in block.splitlines()]


def test_make_test_leaves_nothing_out():
    assert recipe("test")[:3] == [
        "$(VENV)/bin/ruff check .",
        "$(VENV)/bin/ruff format --check .",
        "$(VENV)/bin/pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile",
    ]


def test_make_book_takes_warnings_as_errors_on_every_page():
    assert recipe("book")[0] == "$(VENV)/bin/jupyter-book build -W -n --keep-going --all ."


def test_ci_calls_the_commands_and_stops_at_the_first_failure():
    commands = lines(".ci/run")
    assert commands[0] == "set -euo pipefail"
    steps = ["test", "book", "site-test", "coursework-test"]
    assert commands[-4:] == [f"step {name}" for name in steps]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_the_workflow_tests_on_every_supported_python():
    text = (ROOT / ".github" / "workflows" / "book.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert {"run": "make test"} in jobs["test"]["steps"]
    assert jobs["publish"]["needs"] == ["test", "build"]
    used = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", action) for action in used)
