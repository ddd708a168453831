"""The guards of the notebooks can fail: a small book is built, spoilt in one way, and tested.

The book has this repository's ``conftest.py``, settings and tools, one notebook and one test file.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest

import notebooks
import refresh

CELLS = [
    nbformat.v4.new_markdown_cell("# A small chapter"),
    nbformat.v4.new_code_cell("from firstorder import sgd, initial_state"),
    nbformat.v4.new_code_cell(
        "x, state = 4.0, None\n"
        "for _ in range(3):\n"
        "    x, state = sgd(x, x, state, lr=0.25)\n"
        'print(f"{x:.4f}")'
    ),
    nbformat.v4.new_code_cell("x > 0"),
]
PICTURE = nbformat.v4.new_code_cell(
    "import matplotlib.pyplot as plt\n\nplt.plot([1, 2])\nplt.show()",
    metadata={
        "mystnb": {
            "figure": {"caption": "A line.", "name": "fig-line"},
            "image": {"alt": "A line rises."},
        }
    },
)


@pytest.fixture(scope="module")
def executed():
    """The cells above, executed and in normal form."""
    notebook = nbformat.v4.new_notebook(cells=[*CELLS, PICTURE])
    return notebooks.text(refresh.execute(notebook, notebooks.CHAPTERS))


def make_book(folder, executed):
    """Write a small book that passes into an empty folder; return the path of its notebook."""
    for name in ("conftest.py", "pyproject.toml", "_config.yml", "tools/notebooks.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(notebooks.ROOT / name, folder / name)
    for name in ("chapters", "tests"):
        (folder / name).mkdir()
    (folder / "tests" / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    notebook = folder / "chapters" / "small.ipynb"
    notebook.write_text(executed, encoding="utf-8")
    return notebook


@pytest.fixture
def book(tmp_path, executed):
    """The path of the notebook of a small book that passes."""
    return make_book(tmp_path, executed)


def edit(path, change):
    """Apply ``change`` to the stored notebook."""
    notebook = notebooks.read(path)
    change(notebook)
    path.write_text(notebooks.text(notebook), encoding="utf-8")


def strip(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def run_pytest(folder, *arguments, **environment):
    """Run pytest in the folder of a book; return its exit status and what it printed."""
    command = [sys.executable, "-m", "pytest", "--color=no", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ | environment,
    )
    return done.returncode, done.stdout + done.stderr


# Reads lists of arguments, runs pytest with each in a fork that has the libraries loaded.
MANY = """
import json, os, sys
import firstorder, hypothesis, nbval.plugin, pytest

for arguments in json.load(sys.stdin):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        os.close(reader)
        status = pytest.main(arguments)
        sys.stdout.flush()
        os._exit(status)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.wait()[1])
    print(json.dumps([status, said]), flush=True)
"""


def run_pytest_often(folder, lists):
    """Like ``run_pytest`` with each list of arguments, in less time."""
    done = subprocess.run(
        [sys.executable, "-c", MANY],
        input=json.dumps([["--color=no", "-p", "no:xdist", *arguments] for arguments in lists]),
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


# --------------------------------------------------------------------------------------------------
# What nbval alone sees, and what it does not: one run of a book with a notebook for each fault


def change_digit(notebook):
    assert notebook.cells[3].outputs[0].text == "1.6875\n"
    notebook.cells[3].outputs[0].text = "1.6874\n"


def change_value(notebook):
    assert notebook.cells[4].outputs[0].data["text/plain"] == "True"
    notebook.cells[4].outputs[0].data["text/plain"] = "False"


SPOILT = {
    "digit": (change_digit, "Cell 2"),
    "value": (change_value, "Cell 3"),
    "output": (lambda notebook: notebook.cells[3].outputs.clear(), "Cell 2"),
    "skip": (lambda n: n.cells[3].metadata.update(tags=["nbval-skip"]), "Cell 2"),
    "strip": (strip, "stored form"),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory, executed):
    """What pytest printed about a book with one sound notebook and one for each fault."""
    book = make_book(tmp_path_factory.mktemp("book"), executed)
    for name, (change, _) in SPOILT.items():
        shutil.copy(book, book.with_stem(name))
        edit(book.with_stem(name), change)
    status, said = run_pytest(book.parent.parent, "-n", "2", "--dist", "loadfile", "-v")
    assert status == 1
    return said


def test_a_sound_notebook_passes(report):
    passed = set(re.findall(r"PASSED chapters/small(?:\.|::)ipynb::(.+?) *\n", report))
    assert passed == {"stored form", *(f"Cell {number}" for number in range(5))}
    assert "FAILED chapters/small.ipynb" not in report


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_notebook_fails(report, name):
    assert f"FAILED chapters/{name}.ipynb::{SPOILT[name][1]}" in report


def test_the_report_shows_what_differs(report):
    assert "1.6874" in report
    assert "1.6875" in report


# --------------------------------------------------------------------------------------------------
# Ways to leave a notebook out, and what a run of a part may leave out


LEFT_OUT = {
    "ignored": ["--ignore=chapters/small.ipynb"],
    "deselected": ["--deselect=chapters/small.ipynb"],
    "one cell deselected": ["--deselect=chapters/small.ipynb::Cell 2"],
    "ignored by pattern": ["--ignore-glob=*.ipynb"],
}
SOFTENED = {
    "lax": ["--nbval-lax"],
    "sanitized": ["--nbval-sanitize-with=anything"],
    "not asked for": ["-o", "addopts="],
    "switched off": ["-p", "no:nbval"],
}
PARTS = {
    "a notebook by name": ["chapters/stripped.ipynb", "-k", "stored"],
    "a test by name": ["tests/test_nothing.py"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, executed):
    """What pytest said to each of these arguments in a small book: name -> (status, text)."""
    book = make_book(tmp_path_factory.mktemp("book"), executed)
    named = LEFT_OUT | SOFTENED
    runs = dict(zip(named, run_pytest_often(book.parent.parent, named.values()), strict=True))
    shutil.copy(book, book.with_stem("stripped"))
    edit(book.with_stem("stripped"), strip)
    said = run_pytest_often(book.parent.parent, PARTS.values())
    return runs | dict(zip(PARTS, said, strict=True))


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_notebook_left_out_of_the_whole_run(runs, name):
    status, said = runs[name]
    assert status == 1
    assert "FAILED chapters/small.ipynb" in said
    assert "not every code cell of this notebook is in the run" in said


def test_a_notebook_left_out_on_two_workers(book):
    arguments = (*LEFT_OUT["ignored"], "-n", "2", "--dist", "loadfile")
    status, said = run_pytest(book.parent.parent, *arguments)
    assert status == 1
    assert "not every code cell of this notebook is in the run" in said


@pytest.mark.parametrize("name", SOFTENED)
def test_nbval_switched_off_or_softened(runs, name):
    status, said = runs[name]
    assert status not in (0, 1)
    assert "passed" not in said


def test_a_notebook_asked_for_by_name_is_guarded_too(runs):
    status, said = runs["a notebook by name"]
    assert status == 1
    assert "never executed" in said


def test_a_test_asked_for_by_name_asks_for_no_notebook(runs):
    status, said = runs["a test by name"]
    assert status == 0
    assert "1 passed" in said


# --------------------------------------------------------------------------------------------------
# The one notebook that may be skipped


AIRFOIL_MISSING = """
from firstorder import datasets

def airfoil_path():
    raise FileNotFoundError("put the file into FIRSTORDER_DATA")

datasets.airfoil_path = airfoil_path
"""


@pytest.fixture
def airfoil_book(book):
    """A small book whose notebook is called airfoil and whose data are nowhere to be had."""
    path = book.rename(book.with_stem("airfoil"))
    named = notebooks.normalise(notebooks.read(path), path)  # its first cell names d2l
    path.write_text(notebooks.text(named), encoding="utf-8")
    (book.parent.parent / "tests" / "conftest.py").write_text(AIRFOIL_MISSING)
    return path


def test_the_airfoil_notebook_is_skipped_loudly_without_its_data(airfoil_book):
    status, said = run_pytest(airfoil_book.parent.parent, CI="")
    assert status == 0
    assert "chapters/airfoil.ipynb WAS NOT RUN" in said
    assert "put the file into FIRSTORDER_DATA" in said


def test_but_never_in_ci(airfoil_book):
    edit(airfoil_book, set_source(4, "import no_such_data"))
    status, said = run_pytest(airfoil_book.parent.parent, CI="true")
    assert status == 1
    assert "FAILED chapters/airfoil.ipynb::Cell 3" in said
    assert "WAS NOT RUN" not in said


# --------------------------------------------------------------------------------------------------
# The stored form, one fault at a time.  Each fault is put into a notebook that has no other.


def output(kind, **fields):
    return nbformat.v4.new_output(kind, **fields)


def add_output(number, *arguments, **fields):
    return lambda notebook: notebook.cells[number].outputs.append(output(*arguments, **fields))


def set_source(number, source):
    return lambda notebook: notebook.cells[number].update(source=source)


def clear(notebook, *names):
    """Remove the setting ``mystnb`` -> names of the cell that shows a picture."""
    settings = notebook.cells[5].metadata["mystnb"]
    for name in names[:-1]:
        settings = settings[name]
    del settings[names[-1]]


FAULTS = {
    "tag": (lambda n: n.cells[3].metadata.update(tags=["nbval-ignore-output"]), "has the tag"),
    "raises": (lambda n: n.cells[3].metadata.update(tags=["raises-exception"]), "has the tag"),
    "comment": (set_source(3, "# NBVAL_IGNORE_OUTPUT\nprint(1)"), "has the comment"),
    "stderr": (add_output(3, "stream", name="stderr", text="warning"), "wrote to stderr"),
    "error": (add_output(3, "error", ename="E", evalue="v", traceback=[]), "has an error"),
    "path": (add_output(3, "stream", name="stdout", text="/home/me/x"), "machine path"),
    "library path": (
        add_output(3, "display_data", data={"text/plain": "lib/site-packages/numpy"}),
        "machine path",
    ),
    "path in prose": (set_source(1, "# See /tmp/results"), "machine path"),
    "address": (
        add_output(3, "display_data", data={"text/plain": "<object at 0x7f1234567890>"}),
        "memory address",
    ),
    "count": (lambda n: n.cells[3].update(execution_count=9), "execution counts"),
    "not executed": (lambda n: n.cells[3].update(execution_count=None), "never executed"),
    "id": (lambda n: n.cells[3].update(id="abc"), "normal form"),
    "metadata": (lambda n: n.metadata.update(colab={}), "normal form"),
    "language": (lambda n: n.metadata.language_info.update(version="3.11.7"), "normal form"),
    "cell metadata": (lambda n: n.cells[3].metadata.update(collapsed=True), "normal form"),
    "empty cell": (lambda n: n.cells.append(nbformat.v4.new_markdown_cell("")), "normal form"),
    "no alt": (lambda n: clear(n, "image", "alt"), "alternative text"),
    "no image": (lambda n: clear(n, "image"), "alternative text"),
    "no caption": (lambda n: clear(n, "figure", "caption"), "caption"),
    "no name": (lambda n: clear(n, "figure", "name"), "name fig-"),
    "first cell changed": (set_source(0, "import FIRSTORDER_SOURCE"), "install cell"),
    "first cell gone": (lambda n: n.cells.pop(0), "install cell"),
    "function": (set_source(3, "def adam(x, g):\n    return x - g"), "defines adam"),
    "class": (set_source(3, "class SGD:\n    pass"), "defines SGD"),
    "lambda": (set_source(3, "momentum = lambda x, g: x - g"), "defines momentum"),
    "magic": (set_source(3, "%matplotlib inline"), "plain Python"),
    "wide": (set_source(3, "x = 1" + " + 1" * 20), "has a line of 85 characters"),
    "size": (
        add_output(5, "display_data", data={"image/png": "A" * notebooks.LARGEST}),
        "larger than 500 KB",
    ),
}


@pytest.mark.parametrize(("fault", "sentence"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_of_the_stored_form_is_named(book, fault, sentence):
    assert notebooks.problems(book) == []
    edit(book, fault)
    assert any(sentence in problem for problem in notebooks.problems(book))


def test_another_way_to_write_the_same_notebook(book):
    book.write_text(book.read_text(encoding="utf-8").rstrip("\n"), encoding="utf-8")
    assert notebooks.problems(book) == ["is not in normal form: run make refresh"]


def test_a_file_that_is_no_notebook(book):
    book.write_text("{}", encoding="utf-8")
    assert notebooks.problems(book)[0].startswith("not a notebook")


# --------------------------------------------------------------------------------------------------
# refresh


def test_refresh_changes_nothing_that_did_not_change(book, capsys):
    before = book.read_bytes()
    assert refresh.main([str(book)]) == 0
    assert "unchanged" in capsys.readouterr().out
    assert book.read_bytes() == before


def test_refresh_mends_a_stripped_notebook(book, executed):
    edit(book, strip)
    assert refresh.main([str(book)]) == 0
    assert book.read_text(encoding="utf-8") == executed


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import warnings\n\nwarnings.warn('old')", "wrote to stderr"),
        ("import sys\n\nprint(1, file=sys.stderr)", "cell 4 wrote to stderr"),
    ],
)
def test_refresh_stores_no_failure(book, capsys, source, said):
    edit(book, set_source(4, source))
    before = book.read_bytes()
    assert refresh.main([str(book)]) == 1
    assert said in capsys.readouterr().out
    assert book.read_bytes() == before


def test_refresh_check_executes_nothing(book, capsys):
    assert refresh.main(["--check", str(book)]) == 0
    edit(book, strip)
    before = book.read_bytes()
    assert refresh.main(["--check", str(book)]) == 1
    assert "never executed" in capsys.readouterr().out
    assert book.read_bytes() == before


def test_refresh_adds_the_install_cell(book, executed):
    edit(book, lambda notebook: notebook.cells.pop(0))
    assert refresh.main([str(book)]) == 0
    assert notebooks.read(book).cells[0].source == notebooks.first_cell(
        notebooks.repository(), notebooks.version()
    )
    assert book.read_text(encoding="utf-8") == executed


def test_refresh_sorts_imports(book):
    edit(book, set_source(4, "import sys\nimport ast"))
    assert refresh.main([str(book)]) == 0
    assert notebooks.read(book).cells[4].source == "import ast\nimport sys"


def test_refresh_names_a_file_that_is_no_notebook(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        refresh.main([str(tmp_path / "missing.ipynb")])
    assert "missing.ipynb" in capsys.readouterr().err


def test_inserting_a_cell_keeps_the_ids_of_the_others(executed):
    notebook = nbformat.reads(executed, as_version=4)
    before = [cell.id for cell in notebook.cells]
    notebook.cells.insert(2, nbformat.v4.new_markdown_cell("New."))
    after = [cell.id for cell in notebooks.normalise(notebook).cells]
    assert after[:2] + after[3:] == before


def test_equal_cells_have_different_ids(executed):
    notebook = nbformat.reads(executed, as_version=4)
    notebook.cells += [nbformat.v4.new_markdown_cell("Again.") for _ in range(3)]
    ids = [cell.id for cell in notebooks.normalise(notebook).cells]
    assert len(set(ids)) == len(ids)
    nbformat.validate(notebook)
