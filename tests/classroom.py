"""Submissions of assignments, made from the answers that are kept with each of them."""

import ast
import csv
import importlib.util
import re
import subprocess
import sys
import tempfile
from contextlib import chdir, redirect_stderr, redirect_stdout, suppress
from functools import cache
from io import StringIO
from pathlib import Path

import nbformat
from otter.test_files.exception_test import ExceptionTestFile

import assignments
from firstorder.coursework.isolation import Submission, SubmissionError

NAMES = assignments.masters()
CHECK = re.compile(r'grader\.check\("(.+?)"\)')


def _module(name):
    """Return a module of ``assignments/answers``, which is no package."""
    path = assignments.MASTERS / "answers" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHEATS, COSTLY = _module("cheats").CHEATS, _module("cheats").COSTLY


def solution_lines(cell):
    """Return the lines of a master's cell that only instructors may see, if they are telling."""
    marked, inside = [], False
    for line in map(str.strip, cell.source.splitlines()):
        if line.startswith(("# BEGIN SOLUTION", "# END SOLUTION")):
            inside = line.startswith("# BEGIN")
        elif inside or "# SOLUTION" in line:
            marked.append(line.partition("# SOLUTION")[0].strip())
    return [line for line in marked if len(line) > 20]


@cache
def answers(name):
    """Return question -> {"right": {description: source}, "wrong": {...}}."""
    return _module(name.replace("-", "_")).ANSWERS


@cache
def built(name):
    """Return (student's notebook, question -> text of its tests) of an assignment."""
    with tempfile.TemporaryDirectory() as folder:
        made = assignments.assign(name, Path(folder), run_tests=False)
        student = nbformat.read(made / "student" / f"{name}.ipynb", as_version=4)
        tests = {p.stem: p.read_text("utf-8") for p in (made / "autograder" / "tests").iterdir()}
    return student, dict(sorted(tests.items()))


def filled(name, sources):
    """Return the student's notebook with ``sources``, question -> code, in its answer cells."""
    student, _ = built(name)
    notebook, waiting = nbformat.from_dict(student), []
    left = dict(sources)
    for cell in notebook.cells:
        if cell.cell_type == "code" and "otter_answer_cell" in cell.metadata.get("tags", []):
            waiting.append(cell)
        elif cell.cell_type == "code" and (found := CHECK.search(cell.source)):
            if found[1] in left:
                for number, answer in enumerate(waiting):
                    answer.source = left[found[1]] if number == 0 else ""
                del left[found[1]]
            waiting = []
    assert not left, f"no cell for {', '.join(left)}"
    return notebook


def right(name):
    """Return question -> the first right answer."""
    return {
        question: next(iter(kinds["right"].values())) for question, kinds in answers(name).items()
    }


def defined(source):
    """Return the names that a piece of code defines at its top."""
    tree = ast.parse(source)
    found = [n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    targets = [t for n in tree.body if isinstance(n, ast.Assign) for t in n.targets]
    return tuple(found + [t.id for t in targets if isinstance(t, ast.Name)])


def imports(name):
    """Return the source of the first code cell: the imports of the assignment."""
    student, _ = built(name)
    return next(cell.source for cell in student.cells if cell.cell_type == "code")


def namespace(name, sources):
    """Return what these pieces of code define, after the imports, run here in one namespace."""
    names, quiet, folder = {"__name__": "__main__"}, StringIO(), tempfile.TemporaryDirectory()
    with folder, chdir(folder.name), redirect_stdout(quiet), redirect_stderr(quiet):
        for source in (imports(name), *sources):
            with suppress(Exception):  # an answer may fail: then it defines less
                exec(compile(source, "answer", "exec"), names)
    return names


def graded(name, question, names):
    """Return (points, possible, messages of failed tests) of Otter's tests on a namespace."""
    _, tests = built(name)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        path = Path(folder, f"{question}.py")
        path.write_text(tests[question], encoding="utf-8")
        result = ExceptionTestFile.from_file(str(path))
        result.run(names)
    failed = [r.message.strip().splitlines()[-1] for r in result.test_case_results if not r.passed]
    return result.score, result.possible, failed


def cheated(attack, folder):
    """Return assignment -> points, of a submission of them all with ``attack`` as every answer."""
    notebook = nbformat.v4.new_notebook()
    for name in NAMES:
        sources = {
            question: attack.replace("NAMES", repr(defined(source)))
            for question, source in right(name).items()
        }
        notebook.cells += filled(name, sources).cells
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    nbformat.write(notebook, folder / "cheat.ipynb")
    with Submission(folder / "cheat.ipynb") as submission:
        try:
            names = submission.names()
        except SubmissionError:  # it has ended itself too often
            names = {}
        return {
            name: sum(graded(name, question, names)[0] for question in answers(name))
            for name in NAMES
        }


def grade(name, folder, out, **options):
    """Grade a folder by the command an instructor types; return what it printed."""
    command = [sys.executable, "tools/grade.py", name, str(folder), "--out", str(out)]
    command += [f"--{key}={value}" for key, value in options.items()]
    done = subprocess.run(command, cwd=assignments.notebooks.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def write(notebook, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def table(out):
    """Return file -> row of grades.csv."""
    with (out / "grades.csv").open(newline="", encoding="utf-8-sig") as file:
        return {row["file"]: row for row in csv.DictReader(file)}
