"""The commands of the instructor's guide, and the script of the zip for a platform.

Minutes, not seconds: asked for by name, ``make coursework-test``, which builds the assignments
before.
"""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from functools import partial

import pytest

import assignments
import grade as grading
import notebooks
from classroom import NAMES, answers, filled, grade, right, table, write

ROOT = notebooks.ROOT
every_assignment = pytest.mark.parametrize("name", NAMES)


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


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_grading_goes_on_where_it_was(end, tmp_path):
    name, folder, out = NAMES[0], tmp_path / "submissions", tmp_path / "out"
    for number in range(4):
        write(filled(name, right(name)), folder / f"{number}.ipynb")
    command = [sys.executable, "tools/grade.py", name, folder, "--out", out, "--workers=1"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a job may ignore it
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
