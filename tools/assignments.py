"""Build every assignment: what students get, what instructors get, and the autograder.

    python tools/assignments.py [NAME ...] [--out build/assignments]

For each master ``assignments/NAME.ipynb`` this writes

    OUT/NAME/student/NAME.ipynb       without solutions and hidden tests; its first cells install
                                      the package where it is missing and write the public tests
    OUT/NAME/instructor/NAME.ipynb    with solutions and all tests
    OUT/NAME/autograder/NAME.zip      for Gradescope and its like, and for tools/grade.py

by Otter Assign, which also grades the solutions: a master that does not earn all points fails.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import nbformat

import notebooks

MASTERS = notebooks.ROOT / "assignments"
OUT = notebooks.ROOT / "build" / "assignments"
WRITE_TESTS = """\
# Writes the tests that grader.check runs; no need to read this.
import json
from pathlib import Path

for name, text in json.loads({tests}).items():
    Path("tests").mkdir(exist_ok=True)
    Path("tests", name).write_text(text, encoding="utf-8")"""


def masters():
    """Return the names of all assignments."""
    return sorted(path.stem for path in MASTERS.glob("*.ipynb"))


def assign(name, folder, run_tests=True):
    """Run Otter Assign on a master, in ``folder``; return the folder of what it made.

    With ``run_tests`` it also grades the solutions.  Raises ``ValueError`` for an unknown name,
    ``RuntimeError`` with Otter's words if the master is not well formed or its solutions fail.
    """
    source = MASTERS / f"{name}.ipynb"
    if not source.is_file():
        raise ValueError(f"assignment must be one of {', '.join(masters())}, got {name!r}")
    shutil.copy(source, folder)
    command = [sys.executable, "-m", "otter", "assign", source.name, "dist", "--no-pdfs"]
    command += [] if run_tests else ["--no-run-tests"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name}: otter assign failed\n{done.stdout}{done.stderr}")
    return Path(folder) / "dist"


def build(name, out=OUT):
    """Build one assignment into ``out / name`` and return that folder."""
    with tempfile.TemporaryDirectory() as folder:
        made, target = assign(name, folder), Path(out) / name
        shutil.rmtree(target, ignore_errors=True)
        for part, kind in (("student", "student"), ("instructor", "autograder")):
            (target / part).mkdir(parents=True)
            notebook = _with_first_cells(made / kind / f"{name}.ipynb", made / kind / "tests")
            nbformat.write(notebook, target / part / f"{name}.ipynb")
        (target / "autograder").mkdir()
        (zipped,) = (made / "autograder").glob("*.zip")
        _with_package(zipped, target / "autograder" / f"{name}.zip")
    return target


def _with_first_cells(path, tests):
    """Return Otter's notebook, with cells in front that install the package and write the tests."""
    notebook = nbformat.read(path, as_version=4)
    address, version = notebooks.repository(), notebooks.version()
    install = notebooks.first_cell(address, version, "coursework", ("otter", "torch"))
    texts = {p.name: p.read_text(encoding="utf-8") for p in sorted(tests.iterdir())}
    front = [install, WRITE_TESTS.format(tests=repr(json.dumps(texts)))]
    notebook.cells[:0] = [
        nbformat.v4.new_code_cell(source, metadata={"jupyter": {"source_hidden": True}})
        for source in front
    ]
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    notebook.metadata = notebooks.METADATA
    return notebook


@cache
def _wheel():
    """Build the package once; return the wheel's name and bytes."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "source"  # setuptools leaves files where it builds
        shutil.copytree(notebooks.ROOT / "code", copy / "code")
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(notebooks.ROOT / name, copy)
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder]
        same = os.environ | {"SOURCE_DATE_EPOCH": "315532800"}  # bytes that do not tell the time
        subprocess.run([*pip, str(copy)], check=True, capture_output=True, env=same)
        (wheel,) = Path(folder).glob("*.whl")
        return wheel.name, wheel.read_bytes()


def _with_package(source, target):
    """Copy Otter's zip, with the book's package in it, to be installed where it is unpacked."""
    name, wheel = _wheel()
    requirement = f"/autograder/source/{name}[coursework]"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for item in sorted(old.namelist()):
            content = old.read(item)
            if item == "environment.yml":
                text = content.decode().rstrip()
                indent = re.search(r"^( *)- otter-grader", text, re.MULTILINE).group(1)
                content = f"{text}\n{indent}- {requirement}\n".encode()
            entry = zipfile.ZipInfo(item, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = (0o755 if item in ("setup.sh", "run_autograder") else 0o644) << 16
            new.writestr(entry, content)
        new.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), wheel)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="assignments; all if none is given")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    _wheel()  # once, and not by two threads at a time
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(build, name, arguments.out) for name in arguments.names or masters()]
        for job in jobs:
            try:
                print(job.result(), flush=True)
            except (ValueError, RuntimeError) as error:
                pool.shutdown(cancel_futures=True)
                sys.exit(f"not built: {error}")


if __name__ == "__main__":
    main()
