"""Grade a folder of submitted notebooks with an assignment's autograder; no server, no Docker.

    python tools/grade.py adam submissions [--out FOLDER] [--workers 2]

Every notebook of the folder is graded by Otter-Grader in a process of its own.  Written to OUT, by
default the folder of the submissions:

    grades.csv           a row for each submission: file, points of every question, total, note;
                         questions that a person grades are columns to fill in.  UTF-8 with the mark
                         at its beginning by which spreadsheets know it
    feedback/NAME.md     for the student: what passed and what did not
    .grading/            one record for each submission, and the seed of the hidden tests

A submission that has not changed keeps its record, so that the command can be interrupted and
called again, and grades the same when it is.  Delete .grading to grade everything anew.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from pathlib import Path

import nbformat
from tqdm import tqdm

import assignments

SECONDS = 900  # for one submission, all in all


def questions(name):
    """Return (autograded, by hand): question -> points, in the order of the master."""
    automatic, manual = {}, {}
    for cell in nbformat.read(assignments.MASTERS / f"{name}.ipynb", as_version=4).cells:
        if cell.cell_type == "raw" and cell.source.startswith("# BEGIN QUESTION"):
            lines = dict(line.split(":", 1) for line in cell.source.splitlines()[1:] if ":" in line)
            points = float(lines["points"])
            (manual if "manual" in lines else automatic)[lines["name"].strip()] = points
    return automatic, manual


def mistaken(name, notebook):
    """Return which other assignment a notebook is, by its heading; "" if none."""
    lines = {line for cell in notebook.cells for line in cell.source.splitlines()}
    is_of = [other for other in assignments.masters() if heading(other) in lines]
    return "" if name in is_of else "".join(is_of[:1])


@cache
def heading(name):
    """Return the first heading of an assignment."""
    cells = nbformat.read(assignments.MASTERS / f"{name}.ipynb", as_version=4).cells
    text = next(cell.source for cell in cells if cell.cell_type == "markdown")
    return next(line for line in text.splitlines() if line.startswith("# "))


def grade(path, name, autograder, seed, stop):
    """Grade one notebook; return its record: {"tests": [...], "note": text}.

    Raises ``InterruptedError`` once the event ``stop`` is set.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        return {"tests": [], "note": f"not a Jupyter notebook: {first[:200]}"}
    with tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True) as folder:
        folder = Path(folder)
        shutil.copy(path, folder / "submission.ipynb")
        environment = os.environ | {
            "FIRSTORDER_SEED": str(seed),
            "FIRSTORDER_NOTES": str(folder / "notes.txt"),
            "TMPDIR": str(folder),
            "OMP_NUM_THREADS": "1",
        }
        process = subprocess.Popen(
            [sys.executable, "-c", OTTER, "submission.ipynb", str(autograder), "record.json"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        output, deadline = None, time.monotonic() + SECONDS
        while output is None:
            try:
                output, _ = process.communicate(timeout=1)
            except subprocess.TimeoutExpired:
                if not stop.is_set() and time.monotonic() < deadline:
                    continue
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                if stop.is_set():
                    raise InterruptedError(f"{path.name} was not graded to the end") from None
                return {"tests": [], "note": f"grading took more than {SECONDS} seconds"}
        if not (folder / "record.json").is_file():
            last = (output.strip().splitlines() or ["no output"])[-1]
            return {"tests": [], "note": f"could not be graded: {last[:200]}"}
        tests = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        notes = folder / "notes.txt"
        said = notes.read_text(encoding="utf-8").splitlines() if notes.is_file() else []
        if other := mistaken(name, notebook):
            said.insert(0, f"this is the assignment {other}, not {name}")
        return {"tests": tests, "note": "; ".join(said)}


# In a process of its own: Otter grades, and what it found is written down.
OTTER = """
import json, sys
from otter.api import grade_submission

results = grade_submission(sys.argv[1], sys.argv[2], quiet=True).results
tests = [
    {
        "question": name,
        "points": result.score,
        "of": result.possible,
        "cases": [
            {
                "name": case.test_case.name,
                "points": case.test_case.points,
                "hidden": bool(case.test_case.hidden),
                "passed": bool(case.passed),
                "good": case.test_case.success_message,
                "bad": case.test_case.failure_message,
                "message": case.message,
            }
            for case in result.test_case_results
        ],
    }
    for name, result in results.items()
]
with open(sys.argv[3], "w", encoding="utf-8") as file:
    json.dump(tests, file)
"""


def feedback(file, record, automatic, manual):
    """Return the text that a student gets; of hidden tests only what they are about."""
    lines = [f"# {file}", ""]
    earned = {test["question"]: test["points"] for test in record["tests"]}
    total, possible = sum(earned.values()), sum(automatic.values())
    lines += [f"Graded by tests: {total:g} of {possible:g} points.", ""]
    lines += ["The hidden tests give the points; the others stand in the notebook.", ""]
    if record["note"]:
        lines += [f"Note: {record['note']}", ""]
    cases = {test["question"]: test["cases"] for test in record["tests"]}
    for question, points in automatic.items():
        lines += [f"## {question}: {earned.get(question, 0):g} of {points:g}", ""]
        for case in cases.get(question, []):
            said = case["good"] if case["passed"] else case["bad"]
            if case["hidden"]:
                said = said or case["bad"]  # what it is about
            kind = "hidden test" if case["hidden"] else "test"
            mark = "passed" if case["passed"] else "failed"
            if case["points"]:
                mark += f", {case['points'] if case['passed'] else 0:g} of {case['points']:g}"
            lines.append(f"- {kind} {case['name']}: {mark}" + (f" ({said})" if said else ""))
            if not case["passed"]:
                lines.append(f"  {case['message'].strip().splitlines()[-1]}")
        lines.append("")
    for question, points in manual.items():
        lines += [f"## {question}: read by a person, {points:g} points", ""]
    return "\n".join(lines)


def grade_all(name, folder, out=None, workers=None, autograder=None):
    """Grade every notebook in ``folder``; return the path of grades.csv."""
    if name not in assignments.masters():
        known = ", ".join(assignments.masters())
        raise ValueError(f"assignment must be one of {known}, got {name!r}")
    if not str(folder) or not Path(folder).is_dir():
        raise ValueError(f"submissions must be a folder, got {str(folder)!r}")
    folder = Path(folder)
    files = sorted(folder.glob("*.ipynb"))
    if not files:
        raise ValueError(f"submissions must be a folder with notebooks, {folder} has none")
    out = Path(out or folder)
    known = {*files, out, *(out / made for made in ("grades.csv", "feedback", ".grading"))}
    if others := sorted(path.name for path in folder.iterdir() if path not in known):
        print(f"not graded, because not .ipynb: {', '.join(others)}", file=sys.stderr)
    records, notes = out / ".grading", out / "feedback"
    records.mkdir(parents=True, exist_ok=True)
    notes.mkdir(exist_ok=True)
    automatic, manual = questions(name)
    autograder = Path(autograder or assignments.OUT / name / "autograder" / f"{name}.zip")
    if not autograder.is_file():
        print(f"building the assignment {name} first", file=sys.stderr)
        assignments.build(name)
    seed_file = records / "seed"
    if not seed_file.is_file():
        _write(seed_file, str(secrets.randbits(64)))
    seed = int(seed_file.read_text(encoding="utf-8"))
    key = hashlib.sha256(autograder.read_bytes())

    def one(path):
        mine = key.copy()
        mine.update(path.read_bytes())
        kept = records / f"{path.stem}.json"
        if kept.is_file():
            record = json.loads(kept.read_text(encoding="utf-8"))
            if record["key"] == mine.hexdigest():
                return record
        record = grade(path, name, autograder.resolve(), seed, stop) | {"key": mine.hexdigest()}
        _write(kept, json.dumps(record, indent=1))
        return record

    stop = threading.Event()
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        jobs = {pool.submit(one, path): path for path in files}
        graded = {}
        try:
            for job in tqdm(as_completed(jobs), total=len(jobs), unit="submission"):
                path = jobs[job]
                graded[path] = job.result()
                text = feedback(path.name, graded[path], automatic, manual)
                _write(notes / f"{path.stem}.md", text)
        finally:  # when interrupted: end what runs, and begin nothing else
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", *automatic, *manual, "total", "note"])
    for path in files:
        earned = {t["question"]: t["points"] for t in graded[path]["tests"]}
        points = [earned.get(question, 0) for question in automatic]
        row = [path.name, *(f"{p:g}" for p in points), *("" for _ in manual)]
        writer.writerow([*row, f"{sum(points):g}", graded[path]["note"]])
    _write(out / "grades.csv", "\ufeff" + table.getvalue())
    return out / "grades.csv"


def _write(path, text):
    """Write a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", newline="")
    part.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="the assignment")
    parser.add_argument("submissions", help="a folder of notebooks")
    parser.add_argument("--out", type=Path, help="where to write; default: the same folder")
    parser.add_argument("--workers", type=int, help="processes at once; default: the cores")
    arguments = parser.parse_args()
    try:
        print(grade_all(arguments.name, arguments.submissions, arguments.out, arguments.workers))
    except ValueError as error:
        usage = "make grade ASSIGNMENT=adam SUBMISSIONS=folder [OUT=folder]"
        sys.exit(f"not graded: {error}\nusage: {usage}")
    except KeyboardInterrupt:
        sys.exit("interrupted; what is graded is kept, and the same command goes on from there")


if __name__ == "__main__":
    main()
