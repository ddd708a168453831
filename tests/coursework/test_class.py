"""A whole class goes through the commands of the instructor's guide.

Minutes, not seconds: asked for by name, ``make coursework-test``, which builds the assignments
before.
"""

import codecs
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

import nbformat
import pytest

import assignments
import grade as grading
import notebooks
from classroom import CHEATS, COSTLY, NAMES, answers, defined, filled, grade, right

ROOT = notebooks.ROOT
every_assignment = pytest.mark.parametrize("name", NAMES)
one_class = pytest.mark.xdist_group("class")  # in one process, so that it is graded once
one_book = pytest.mark.xdist_group("book")


def write(notebook, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def table(out):
    """Return file -> row of grades.csv."""
    with (out / "grades.csv").open(newline="", encoding="utf-8-sig") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def some_of_each(name, kind, count=2):
    """Return submissions, question -> source; ``tests/test_assignments.py`` judges all answers."""
    kinds = {question: list(answers(name)[question][kind].values()) for question in answers(name)}
    return [{q: sources[k % len(sources)] for q, sources in kinds.items()} for k in range(count)]


@every_assignment
def test_right_and_wrong_answers_through_the_command(name, tmp_path):
    folder, out = tmp_path / "submissions", tmp_path / "out"
    for kind in ("right", "wrong"):
        for number, sources in enumerate(some_of_each(name, kind)):
            write(filled(name, sources), folder / f"{kind}-{number}.ipynb")
    grade(name, folder, out)
    automatic, _ = grading.questions(name)
    rows = table(out)
    assert len(rows) == len(list(folder.iterdir()))
    for file, row in rows.items():
        for question, points in automatic.items():
            earned = float(row[question])
            if file.startswith("right"):
                assert earned == points, f"{file} {question}: {row['note']}"
                assert row["note"] == ""
            else:
                assert earned <= points / 2, f"{file} {question}"
        assert float(row["total"]) == sum(float(row[question]) for question in automatic)


@pytest.fixture(scope="module")
def thirty(tmp_path_factory):
    """A class of more than thirty: good work, cheats, accidents; graded by one command."""
    name, folder = NAMES[0], tmp_path_factory.mktemp("class")
    sources, out = right(name), tmp_path_factory.mktemp("out")
    first = next(iter(sources))
    asked = defined(sources[first])
    for student in ("1", "2", "3", "4", "5", "6", "Müller, Jörg", "李雷"):
        write(filled(name, sources), folder / f"good-{student}.ipynb")
    attacks = CHEATS | COSTLY
    for number, attack in enumerate(attacks.values()):
        attack = attack.replace("NAMES", repr(asked))
        write(filled(name, sources | {first: attack}), folder / f"cheat-{number:02}.ipynb")
    write(filled(name, {}), folder / "empty.ipynb")
    (folder / "broken.ipynb").write_text("{", encoding="utf-8")
    write(nbformat.v4.new_notebook(), folder / "no cells.ipynb")
    other = NAMES[1]
    write(filled(other, right(other)), folder / "another assignment.ipynb")
    bare = filled(name, sources)
    for cell in bare.cells:
        cell.metadata = {}
    write(bare, folder / "no metadata.ipynb")
    assert len(list(folder.iterdir())) >= 30
    began = time.monotonic()
    said = grade(name, folder, out)
    return name, folder, out, said, time.monotonic() - began, list(attacks)


@one_class
def test_a_class_is_graded_and_nobody_suffers_for_others(thirty, record_property):
    name, folder, out, said, seconds, attacks = thirty
    record_property("class", (name, len(list(folder.iterdir())), seconds))
    automatic, manual = grading.questions(name)
    rows, full = table(out), sum(automatic.values())
    assert rows.keys() == {path.name for path in folder.glob("*.ipynb")}
    assert "100%" in said
    for file, row in rows.items():
        if file.startswith("good") or file == "no metadata.ipynb":
            assert float(row["total"]) == full, row
            assert row["note"] == ""
        assert all(row[question] == "" for question in manual)
    first = next(iter(automatic))
    for number, cheat in enumerate(attacks):
        row = rows[f"cheat-{number:02}.ipynb"]
        assert float(row[first]) == 0, cheat
    assert float(rows["empty.ipynb"]["total"]) == 0
    assert float(rows["no cells.ipynb"]["total"]) == 0
    assert "not a Jupyter notebook" in rows["broken.ipynb"]["note"]
    said = f"this is the assignment {NAMES[1]}, not {name}"
    assert rows["another assignment.ipynb"]["note"].startswith(said)
    assert (out / "grades.csv").read_bytes().startswith(codecs.BOM_UTF8)
    assert {p.stem for p in (out / "feedback").iterdir()} == {p.stem for p in folder.iterdir()}


@one_class
def test_what_kills_one_cell_leaves_the_other_questions(thirty):
    name, _, out, _, _, attacks = thirty
    automatic, _ = grading.questions(name)
    rows = table(out)
    for cheat in ("os._exit", "os._exit when it is called", "loops for ever", "sys.exit"):
        row = rows[f"cheat-{attacks.index(cheat):02}.ipynb"]
        assert sum(float(row[question]) for question in automatic) > 0, (cheat, row)


@one_class
def test_grading_again_changes_nothing(thirty):
    name, folder, out, *_ = thirty
    files = [out / "grades.csv", *sorted((out / "feedback").iterdir())]
    before = [path.read_bytes() for path in files]
    records = {path: path.stat().st_mtime_ns for path in (out / ".grading").iterdir()}
    grade(name, folder, out)
    assert [path.read_bytes() for path in files] == before
    assert {path: path.stat().st_mtime_ns for path in records} == records  # nothing was run again


@one_class
def test_feedback_has_the_points_and_no_hidden_test(thirty):
    name, _, out, *_ = thirty
    text = (out / "feedback" / "empty.md").read_text(encoding="utf-8")
    automatic, _ = grading.questions(name)
    for question, points in automatic.items():
        assert f"## {question}: 0 of {points:g}" in text
    assert "assert " not in text
    assert "generator()" not in text
    good = (out / "feedback" / "good-1.md").read_text(encoding="utf-8")
    each = [tuple(map(float, p)) for p in re.findall(r": passed, (\S+) of (\S+) \(", good)]
    assert all(earned == possible for earned, possible in each)
    assert sum(possible for _, possible in each) == sum(automatic.values())


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_grading_goes_on_where_it_was(end, tmp_path):
    name, folder, out = NAMES[0], tmp_path / "submissions", tmp_path / "out"
    for number in range(4):
        write(filled(name, right(name)), folder / f"{number}.ipynb")
    command = [sys.executable, "tools/grade.py", name, folder, "--out", out, "--workers=1"]
    process = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    records = out / ".grading"
    deadline = time.monotonic() + 120
    while len(list(records.glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(process.pid, end)
    _, said = process.communicate(timeout=30)
    if end == signal.SIGINT:
        assert "the same command goes on from there" in said
        assert "Traceback" not in said
    done = {path: path.stat().st_mtime_ns for path in records.glob("*.json")}
    assert 2 <= len(done) < 4
    assert all(json.loads(path.read_text())["tests"] for path in done)
    assert not (out / "grades.csv").exists()
    grade(name, folder, out)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert len(table(out)) == 4
    assert len({row["total"] for row in table(out).values()}) == 1


@pytest.mark.parametrize(
    ("folder", "said"),
    [("nowhere", "must be a folder"), ("empty", "must be a folder with notebooks")],
)
def test_a_wrong_folder_is_an_error_before_anything_is_written(tmp_path, folder, said):
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "tools/grade.py", NAMES[0], str(tmp_path / folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert said in done.stderr
    assert not list((tmp_path / "empty").iterdir())


def test_building_again_gives_the_same_bytes(tmp_path):
    """So that grading again finds its records, and a course its checksums."""
    assignments._wheel.cache_clear()
    again = assignments.build(NAMES[0], tmp_path)
    files = sorted(path for path in again.rglob("*") if path.is_file())
    assert len(files) == 3
    for path in files:
        before = assignments.OUT / path.relative_to(tmp_path)
        assert path.read_bytes() == before.read_bytes(), path.name


@every_assignment
def test_the_zip_grades_as_a_platform_would(name, tmp_path):
    """The layout of Gradescope: source, submission, results, and Otter's script."""
    root = tmp_path / "autograder"
    source = root / "source"
    with zipfile.ZipFile(assignments.OUT / name / "autograder" / f"{name}.zip") as archive:
        archive.extractall(source)
    (root / "results").mkdir()
    write(filled(name, right(name)), root / "submission" / f"{name}.ipynb")
    (root / "submission" / "numpy.py").write_text("raise ImportError('not numpy')")
    metadata = {"users": [], "assignment": {}, "submission_method": "upload"}
    (root / "submission_metadata.json").write_text(json.dumps(metadata))
    script = (source / "run_otter.py").read_text().replace('"/autograder"', repr(str(root)))
    (source / "run_otter.py").write_text(script)
    done = subprocess.run(
        [sys.executable, str(source / "run_otter.py")], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    tests = json.loads((root / "results" / "results.json").read_text())["tests"]
    earned = {test["name"]: test["score"] for test in tests if "score" in test}
    assert earned == grading.questions(name)[0]
    wheels = list(source.glob("firstorder-*.whl"))
    assert len(wheels) == 1
    assert (
        f"/autograder/source/{wheels[0].name}[coursework]"
        in (source / "environment.yml").read_text()
    )


def environment(folder):
    """Make an environment that has nothing but pip; return its Python and its libraries' folder."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    remove = [str(python), "-m", "pip", "uninstall", "--yes", "--quiet", "setuptools"]
    subprocess.run(remove, check=True, capture_output=True)  # only Python 3.11 has it
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    return python, site


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """A Python with the libraries of this one, but without the package; a published book."""
    folder = tmp_path_factory.mktemp("colab")
    python, site = environment(folder)
    where = [sys.executable, "-c", "import numpy; print(numpy.__path__[0])"]
    libraries = Path(subprocess.run(where, capture_output=True, text=True).stdout.strip()).parent
    (site / "libraries.pth").write_text(f"{libraries}\n")
    published = folder / "first-order"
    made = ("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "code", published / "code", ignore=shutil.ignore_patterns(*made))
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, published)
    git = ["git", "-C", str(published), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    commit = ["commit", "--quiet", "--message", "A book"]
    tag = ["tag", f"v{notebooks.version()}"]
    for command in (["init", "--quiet"], ["add", "--all"], commit, tag):
        subprocess.run([*git, *command], check=True, capture_output=True)
    missing = subprocess.run([str(python), "-c", "import firstorder"], capture_output=True)
    assert missing.returncode != 0
    return python, f"file://{published}"


def freeze(python):
    """Return what is installed beside the package, as pip lists it."""
    command = [str(python), "-m", "pip", "freeze", "--all"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    ours = ("firstorder", "-e ", "# Editable")
    return [line for line in found.splitlines() if not line.startswith(ours)]


@one_book
@pytest.mark.parametrize("chapter", ["adam", *notebooks.EXTRAS])
def test_a_first_cell_installs_the_tagged_version_alone(colab, chapter):
    python, address = colab
    remove = [str(python), "-m", "pip", "uninstall", "--yes", "--quiet", "firstorder"]
    subprocess.run(remove, check=True, capture_output=True)
    before = freeze(python)
    cell = notebooks.first_cell(address, notebooks.version(), *notebooks.EXTRAS.get(chapter, ()))
    said = "import firstorder; print(firstorder.__file__)"
    done = subprocess.run([str(python), "-c", f"{cell}\n{said}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(python.parents[1]) in done.stdout
    assert freeze(python) == before


@one_book
def test_a_students_notebook_alone_in_an_empty_folder(colab, tmp_path):
    """As in Colab: the first cell installs the package, the second writes the tests.

    All run as they are given out; one is filled in, too, and handed in.
    """
    python, address = colab
    student = notebooks.first_cell(address, notebooks.version(), "coursework", ("otter", "torch"))
    before = freeze(python)
    for name in [*NAMES, NAMES[0]]:
        alone = tmp_path / name
        given = nbformat.read(assignments.OUT / name / "student" / f"{name}.ipynb", 4)
        given.cells[0].source = student  # of a book whose address is set
        if alone.exists():
            answered = filled(name, right(name)).cells
            assert len(answered) == len(given.cells) - 2
            given.cells[2:] = answered
        write(given, alone / f"{name}.ipynb")
        convert = [str(python), "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace"]
        done = subprocess.run(
            [*convert, f"{name}.ipynb"],
            cwd=alone,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert (alone / "tests").is_dir()
    assert freeze(python) == before
    assert "results: All test cases passed" in (alone / f"{name}.ipynb").read_text("utf-8")
    grade(name, alone, tmp_path / "out")
    (row,) = table(tmp_path / "out").values()
    assert float(row["total"]) == sum(grading.questions(name)[0].values())
    assert row["note"] == ""


@pytest.mark.parametrize("extra", ["", "[torch]", "[d2l]", "[libraries]", "[coursework]"])
def test_nothing_changes_in_colab(extra, tmp_path):
    """What pip would install beside the libraries that Colab had, by its own list."""
    listed = (ROOT / "tests" / "recorded" / "colab.txt").read_text(encoding="utf-8").splitlines()
    present = dict(line.split("==") for line in listed if not line.startswith("#"))
    python, site = environment(tmp_path)
    for name, version in present.items():  # as if installed; what each needs is there, too
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)  # pip is there, of another version
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(text, encoding="utf-8")
    (tmp_path / "kept.txt").write_text("\n".join(f"{n}=={v}" for n, v in present.items()))
    wheel, content = assignments._wheel()
    (tmp_path / wheel).write_bytes(content)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--dry-run"]
    pip += ["--report", "report.json", "--constraint", "kept.txt", f"{tmp_path / wheel}{extra}"]
    done = subprocess.run(pip, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    installed = {canonical(item["metadata"]["name"]) for item in report["install"]}
    assert "firstorder" in installed
    assert installed & set(map(canonical, present)) == set()


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()
