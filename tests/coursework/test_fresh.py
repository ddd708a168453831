"""Notebooks where the package is not installed yet, as in Colab.

Minutes, not seconds: asked for by name, ``make coursework-test``, which builds the assignments
before.
"""

import json
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest

import assignments
import grade as grading
import notebooks
from classroom import NAMES, filled, grade, right, table, write

ROOT = notebooks.ROOT


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
