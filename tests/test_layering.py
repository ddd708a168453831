"""The package imports one way, and every rule has what a rule of this book must have."""

import ast
import json
import subprocess
import sys

import pytest

import notebooks
from firstorder.rules import RULES
from oracles import REFERENCES
from planned import CHAPTER, PLANNED

PACKAGE = notebooks.ROOT / "code" / "firstorder"
NAMES = [rule.__name__ for rule in RULES]

# module: the modules of the package that it may import.  ``__init__`` may import any.
LAYERS = {
    "namespace": set(),
    "rules": {"namespace"},
    "hyperparameters": set(),
    "objectives": {"namespace"},
    "datasets": {"hyperparameters"},
    "notebook": set(),
    "run": {"rules", "hyperparameters"},
    "train": {"rules", "hyperparameters", "datasets"},
    "figures": {"run", "train"},  # for the types Trace and History
    "symbolic": {"rules", "hyperparameters", "notebook"},
    "javascript": {"hyperparameters", "objectives", "symbolic"},
    "rosetta": {"namespace", "rules", "hyperparameters"},
    "coursework": set(),
    "coursework.checks": set(),
    "coursework._wire": set(),
    "coursework.isolation": {"coursework", "coursework._wire"},
    "coursework._worker": {"coursework", "coursework._wire"},
    "coursework.plugin": set(),
    "adapters": set(),
    "adapters.libraries": {"hyperparameters"},
    "adapters.torch": {"rules", "hyperparameters"},
    "adapters.d2l": {"rules", "hyperparameters", "datasets"},
}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
    if path != PACKAGE / "__init__.py"
}


def imported(path):
    """Return the modules of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    inside = {name.removeprefix("firstorder.") for name in found if name.startswith("firstorder.")}
    if "firstorder" in found and not inside & MODULES.keys():
        inside.add("__init__")
    return inside & (MODULES.keys() | {"__init__"})


def test_the_table_of_layers_is_complete():
    assert LAYERS.keys() == MODULES.keys()


@pytest.mark.parametrize("module", MODULES)
def test_imports_flow_one_way(module):
    assert imported(MODULES[module]) <= LAYERS[module]


def test_the_table_of_layers_has_no_cycle():
    below = {module: set(LAYERS[module]) for module in LAYERS}
    while below:
        lowest = {module for module, needs in below.items() if not needs & below.keys()}
        assert lowest, f"these import each other: {sorted(below)}"
        below = {module: needs for module, needs in below.items() if module not in lowest}


def loaded(statement):
    """Return the names of all modules that are loaded after ``statement`` in a new interpreter."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "statement",
    [
        "import firstorder",
        "from firstorder import adam, run",
        "from firstorder.objectives import rosenbrock",
        "import firstorder.datasets, firstorder.notebook, firstorder.hyperparameters",
    ],
)
def test_a_light_import_stays_light(statement):
    assert not loaded(statement) & {"torch", "sklearn", "matplotlib", "sympy", "jax", "d2l"}


def test_figures_load_no_torch():
    assert "torch" not in loaded("import firstorder.figures")


def test_the_folder_code_is_no_package():
    assert not (
        notebooks.ROOT / "code" / "__init__.py"
    ).exists()  # it would hide the library's code


def test_chapters_file_names():
    for path in notebooks.paths():
        assert path.stem == path.stem.lower()
        assert path.stem.replace("-", "").isalpha(), f"no numbers in file names: {path.name}"


# --------------------------------------------------------------------------------------------------
# What every rule must have


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_every_rule_has_an_oracle(rule):
    assert rule in REFERENCES, "add its row to REFERENCES in tests/oracles.py"


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_has_a_row_in_the_notation_table(name):
    notation = (notebooks.CHAPTERS / "notation.md").read_text(encoding="utf-8")
    rows = [line for line in notation.splitlines() if line.startswith(f"| `{name}` |")]
    assert len(rows) == 1
    assert "{cite" in rows[0], "the row cites the source of the rule"


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_has_a_chapter_or_is_planned(name):
    chapter = CHAPTER.get(name, name)
    exists = (notebooks.CHAPTERS / f"{chapter}.ipynb").exists()
    if name in PLANNED:
        assert not exists, f"{name} has its chapter: take it out of PLANNED in tests/planned.py"
    else:
        assert exists, f"{name} has neither the chapter chapters/{chapter}.ipynb nor a plan for one"


def test_only_rules_are_planned():
    assert set(NAMES) >= PLANNED
    assert set(NAMES) >= CHAPTER.keys()
