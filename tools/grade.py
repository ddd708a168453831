"""Grade a folder of submitted notebooks with an assignment's autograder; no server, no Docker.

    python tools/grade.py adam submissions [--out FOLDER] [--workers 2]

Every file of the folder is a submission, and so is every folder in it (as some platforms hand them
out) with one notebook.  Each is graded by Otter-Grader in a process of its own.  Written to OUT, by
default the folder of the submissions:

    grades.csv           a row for each submission: file, points of every question, total, note;
                         questions that a person grades are columns to fill in.  UTF-8 with the mark
                         at its beginning by which spreadsheets know it
    grades-before.csv    the table that was there before, if it was another
    feedback/NAME.md     for the student: what passed and what did not
    reading/q4.md        a question that a person grades: the rubric, and all answers to it
    .grading/            one record for each submission, and the seed of the hidden tests

A submission that has not changed keeps its record, so that the command can be interrupted and
called again, and grades the same when it is.  Points that a person has filled in stay, and count in
the total.  Delete .grading to grade everything anew.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from pathlib import Path

import nbformat
from tqdm import tqdm

import assignments

SECONDS = 900  # for one submission, all in all
BESIDE = ("tests", "__MACOSX")  # folders that come with notebooks and are nobody's
MADE = ("grades.csv", "grades-before.csv", "feedback", "reading", ".grading")


def questions(name):
    """Return (autograded, by hand): question -> points, each in the order of the master."""
    automatic, manual = {}, {}
    for cell in nbformat.read(assignments.MASTERS / f"{name}.ipynb", as_version=4).cells:
        if cell.cell_type == "raw" and cell.source.startswith("# BEGIN QUESTION"):
            lines = dict(line.split(":", 1) for line in cell.source.splitlines()[1:] if ":" in line)
            points = float(lines["points"])
            (manual if "manual" in lines else automatic)[lines["name"].strip()] = points
    return automatic, manual


def to_read(name):
    """Return what a person reads of an assignment, and where the parts of its notebook begin.

    The first is question -> (what is asked, model answer and rubric).
    """
    found, begins, question, solution = {}, set(), None, False
    for cell in nbformat.read(assignments.MASTERS / f"{name}.ipynb", as_version=4).cells:
        first = cell.source.strip().partition("\n")[0]
        if cell.cell_type == "raw":
            if first == "# BEGIN QUESTION" and "manual: true" in cell.source:
                question = re.search(r"(?m)^name: (\w+)$", cell.source)[1]
                found[question] = ["", ""]
            elif first == "# END QUESTION":
                question = None
            solution = first == "# BEGIN SOLUTION" or (solution and first != "# END SOLUTION")
            continue
        if not solution:
            begins.add(beginning(cell.source))
        if question and cell.cell_type == "markdown":
            found[question][solution] += cell.source.strip() + "\n\n"
    return found, begins


def beginning(text):
    """Return by what a cell is known: the number of the question, or else its first line."""
    first = text.strip().partition("\n")[0]
    number = re.match(r"[#* ]*(?:q|Question )(\d+)\b", first)
    return f"question {number[1]}" if number else first


def answer(notebook, asked, begins):
    """Return the cells of a notebook that stand below a question, as text."""
    parts, inside = [], False
    for cell in notebook.cells:
        source = re.sub(r"<!-- (BEGIN|END) QUESTION -->", "", cell.source).strip()  # by Otter
        if not inside:
            inside = beginning(source) == beginning(asked)
        elif beginning(source) in begins - {beginning(asked)}:
            inside = False
        elif cell.cell_type == "code":
            parts.append(f"```python\n{source}\n```")
        else:
            parts.append(source)
        if inside and cell.get("attachments"):
            parts.append("(with a picture, to be seen in the notebook)")
    return "\n\n".join(parts).strip() or "(no answer found)"


def reading(name, files):
    """Return question -> text with what is asked, the rubric, and the answer of every file."""
    parts, begins = to_read(name)
    texts = {q: f"# {q}\n\n{asked}## Rubric\n\n{rubric}" for q, (asked, rubric) in parts.items()}
    for key, path in files.items():
        try:
            notebook = nbformat.read(path, as_version=4)
        except Exception:
            continue  # it has a note already
        for question, (asked, _) in parts.items():
            texts[question] += f"---\n\n## {key}\n\n{answer(notebook, asked, begins)}\n\n"
    return texts


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
    except Exception:
        kind = "cut off or not" if path.suffix.lower() == ".ipynb" else "not"
        return {"tests": [], "note": f"this is {kind} a Jupyter notebook"}
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


def submissions(folder, out):
    """Return key -> path of what was handed in: files, and folders with a notebook in them.

    Raises ``ValueError`` if there is no notebook, or if two have one name but for the suffix.
    """
    made = {out, *(out / name for name in MADE)}
    found = {}
    for path in sorted(folder.iterdir()):
        if path in made or path.name in BESIDE or path.name.startswith("."):
            continue
        inside = [p for p in sorted(path.glob("*")) if p.suffix.lower() == ".ipynb"]
        if path.is_file():
            found[path.name] = path
        elif inside:
            found |= {f"{path.name}/{p.name}" if inside[1:] else path.name: p for p in inside}
        else:
            found[path.name] = path
    if not any(path.suffix.lower() == ".ipynb" for path in found.values()):
        raise ValueError(f"submissions must be a folder with notebooks, {folder} has none")
    names = Counter(map(short, found))
    if twice := [name for name in names if names[name] > 1]:
        raise ValueError(f"submissions must differ in more than the suffix: {', '.join(twice)}")
    return found


def short(key):
    """Return the name under which a submission's files are kept."""
    return re.sub(r"\.ipynb$", "", key, flags=re.IGNORECASE).replace("/", " - ")


def feedback(file, record, automatic, manual, order):
    """Return the text that a student gets; of hidden tests only what they are about."""
    lines = [f"# {file}", ""]
    if not record["tests"]:
        return "\n".join([*lines, f"Not graded: {record['note']}. Please hand it in again.", ""])
    if record["note"].startswith("this is the assignment"):
        return "\n".join([*lines, f"Not graded: {record['note']}.", ""])
    earned = {test["question"]: test["points"] for test in record["tests"]}
    total, possible = sum(earned.values()), sum(automatic.values())
    lines += [f"Graded by tests: {total:g} of {possible:g} points.", ""]
    lines += ["The hidden tests give the points; the others stand in the notebook.", ""]
    if record["note"]:
        lines += [f"Note: {record['note']}", ""]
    cases = {test["question"]: test["cases"] for test in record["tests"]}
    for question in order:
        if question in manual:
            points = f"up to {manual[question]:g} points, given by a reader"
            lines += [f"## {question}: {points}", ""]
            continue
        points = automatic[question]
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
                last = case["message"].strip().splitlines()[-1]
                lines.append(f"  {last.removeprefix('AssertionError: ')}")
        lines.append("")
    return "\n".join(lines)


def grade_all(name, folder, out=None, workers=None, autograder=None):
    """Grade every submission in ``folder``; return the path of grades.csv.

    Raises ``ValueError``, before anything is written, for an unknown assignment, for a folder that
    is none or has no notebook, and if ``out`` holds the grades of another assignment.
    """
    if name not in assignments.masters():
        known = ", ".join(assignments.masters())
        raise ValueError(f"assignment must be one of {known}, got {name!r}")
    if not str(folder) or not Path(folder).is_dir():
        raise ValueError(f"submissions must be a folder, got {str(folder)!r}")
    folder = Path(folder)
    out = Path(out or folder).expanduser()
    files = submissions(folder, out)
    records, notes = out / ".grading", out / "feedback"
    whose = records / "assignment"
    if whose.is_file() and (other := whose.read_text(encoding="utf-8")) != name:
        raise ValueError(f"out must be another folder: {out} has the grades of {other}")
    records.mkdir(parents=True, exist_ok=True)
    notes.mkdir(exist_ok=True)
    if not whose.is_file():
        _write(whose, name)
    automatic, manual = questions(name)
    autograder = autograder or _autograder(name)
    seed_file = records / "seed"
    if not seed_file.is_file():
        _write(seed_file, str(secrets.randbits(64)))
    order = sorted(automatic | manual, key=lambda question: int(question.strip("q")))
    seed = int(seed_file.read_text(encoding="utf-8"))
    tests = hashlib.sha256(autograder.read_bytes())

    def one(key, path):
        mine = tests.copy()
        mine.update(path.read_bytes() if path.is_file() else b"")
        kept = records / f"{short(key)}.json"
        if kept.is_file():
            record = json.loads(kept.read_text(encoding="utf-8"))
            if record["key"] == mine.hexdigest():
                return record
        record = grade(path, name, autograder.resolve(), seed, stop) | {"key": mine.hexdigest()}
        _write(kept, json.dumps(record, indent=1))
        return record

    stop = threading.Event()
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        jobs = {pool.submit(one, key, path): key for key, path in files.items()}
        graded = {}
        try:
            for job in tqdm(as_completed(jobs), total=len(jobs), unit="submission"):
                key = jobs[job]
                graded[key] = job.result()
                text = feedback(key, graded[key], automatic, manual, order)
                _write(notes / f"{short(key)}.md", text)
        finally:  # when interrupted: end what runs, and begin nothing else
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
    (out / "reading").mkdir(exist_ok=True)
    for question, text in reading(name, files).items():
        _write(out / "reading" / f"{question}.md", text)
    path = out / "grades.csv"
    before, read = _before(path)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", *automatic, *manual, "total", "note"])
    for key in files:
        earned = {t["question"]: t["points"] for t in graded[key]["tests"]}
        points = [f"{earned.get(q, 0):g}" if earned else "" for q in automatic]
        given = [(read.get(key, {}).get(q) or "").strip() for q in manual]  # by a reader
        total = sum(map(_number, [*points, *given]))
        total = f"{total:g}" if any([*points, *given]) else ""
        writer.writerow([key, *points, *given, total, graded[key]["note"]])
    if before and before != ("\ufeff" + table.getvalue()).encode():
        shutil.copy(path, out / "grades-before.csv")
    _write(path, "\ufeff" + table.getvalue())
    return path


def _before(path):
    """Return the bytes of the table that is there, and its rows by file; a spreadsheet saved it."""
    content = path.read_bytes() if path.is_file() else b""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    return content, {row.get("file"): row for row in rows}


def _number(text):
    """Return points as a number; what is no number counts nothing."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return 0.0


def _autograder(name):
    """Return the path of an assignment's zip, built if it is missing or older than its master."""
    path = assignments.OUT / name / "autograder" / f"{name}.zip"
    master = assignments.MASTERS / f"{name}.ipynb"
    if not path.is_file() or path.stat().st_mtime < master.stat().st_mtime:
        print(f"building the assignment {name} first", file=sys.stderr)
        assignments.build(name)
    return path


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
    except OSError as error:
        sys.exit(f"not graded: {error}")
    except ValueError as error:
        usage = "make grade ASSIGNMENT=adam SUBMISSIONS=folder [OUT=folder]"
        sys.exit(f"not graded: {error}\nusage: {usage}")
    except KeyboardInterrupt:
        sys.exit("interrupted; what is graded is kept, and the same command goes on from there")


if __name__ == "__main__":
    main()
