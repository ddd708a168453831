"""``make grade``: what counts as a submission, and that nothing a person wrote is lost.

Here nothing is run: ``tests/coursework`` grades whole classes.
"""

import csv
import io
import os

import nbformat
import pytest

import assignments
import grade as grading
from classroom import NAMES, filled, right, table

EVERY = {"question": "q1", "points": 8, "of": 8, "cases": []}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of submissions, graded by a stand-in that gives q1 all points."""
    folder = tmp_path / "submissions"
    (folder / "Jane Doe_4711").mkdir(parents=True)
    notebook = nbformat.v4.new_notebook()
    for name in ("one.ipynb", "two.IPYNB", "Jane Doe_4711/adam.ipynb"):
        nbformat.write(notebook, folder / name)
    (folder / "essay.pdf").write_bytes(b"%PDF")
    for name in ("empty", "tests", "__MACOSX"):
        (folder / name).mkdir()
    (folder / ".DS_Store").write_bytes(b"")
    monkeypatch.setattr(assignments, "OUT", tmp_path / "built")
    built = tmp_path / "built" / "adam" / "autograder" / "adam.zip"
    built.parent.mkdir(parents=True)
    built.write_bytes(b"zip")
    real = grading.grade

    def fake(path, *arguments):
        if path.suffix.lower() == ".ipynb":
            return {"tests": [EVERY], "note": ""}
        return real(path, *arguments)

    monkeypatch.setattr(grading, "grade", fake)
    return folder


def grade(folder, name="adam"):
    out = folder.parent / "out"
    grading.grade_all(name, folder, out, workers=1)
    return out


def test_every_file_and_folder_has_a_row_and_feedback(folder):
    rows = table(grade(folder))
    assert set(rows) == {"one.ipynb", "two.IPYNB", "Jane Doe_4711", "essay.pdf", "empty"}
    for key in ("one.ipynb", "two.IPYNB", "Jane Doe_4711"):
        assert (rows[key]["q1"], rows[key]["q2"], rows[key]["total"]) == ("8", "0", "8")
    for key in ("essay.pdf", "empty"):
        assert (rows[key]["q1"], rows[key]["total"]) == ("", "")
        assert "not a Jupyter notebook" in rows[key]["note"]
    read = (folder.parent / "out" / "reading" / "q4.md").read_text(encoding="utf-8")
    assert "## Jane Doe_4711\n\n(no answer found)" in read
    names = {path.name for path in (folder.parent / "out" / "feedback").iterdir()}
    assert names == {"one.md", "two.md", "Jane Doe_4711.md", "essay.pdf.md", "empty.md"}


def test_names_that_differ_in_the_suffix_only_are_refused(folder):
    (folder / "one.IPYNB").write_text("{}")
    with pytest.raises(ValueError, match="more than the suffix: one"):
        grade(folder)
    assert not (folder.parent / "out").exists()


@pytest.mark.parametrize(
    ("encoding", "delimiter", "comma"), [("utf-8-sig", ",", "."), ("cp1252", ";", ",")]
)
def test_points_of_a_reader_stay_and_count(folder, encoding, delimiter, comma):
    out = grade(folder)
    rows = table(out)
    rows["one.ipynb"]["q4"], rows["one.ipynb"]["q8"] = "3", f"1{comma}5"
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows["one.ipynb"]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows.values())
    saved = text.getvalue().encode(encoding)
    (out / "grades.csv").write_bytes(saved)
    nbformat.write(nbformat.v4.new_notebook(), folder / "late.ipynb")
    grade(folder)
    after = table(out)
    assert (after["one.ipynb"]["q4"], after["one.ipynb"]["q8"]) == ("3", f"1{comma}5")
    assert after["one.ipynb"]["total"] == "12.5"
    assert after["late.ipynb"]["total"] == "8"
    assert (out / "grades-before.csv").read_bytes() == saved


def test_another_assignment_is_refused_where_grades_are(folder):
    out = grade(folder)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match="has the grades of adam"):
        grade(folder, "sgd")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_an_autograder_older_than_its_master_is_built_again(folder, monkeypatch, capsys):
    built = []
    monkeypatch.setattr(assignments, "build", built.append)
    grade(folder)
    assert built == []
    os.utime(assignments.OUT / "adam" / "autograder" / "adam.zip", (0, 0))
    grade(folder)
    assert built == ["adam"]
    assert "building the assignment adam first" in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_answers_to_a_question_that_a_person_reads_stand_together(name):
    parts, begins = grading.to_read(name)
    _, manual = grading.questions(name)
    assert parts.keys() == manual.keys()
    for asked, rubric in parts.values():
        assert grading.beginning(asked) in begins
        assert "Rubric" in rubric
        assert "Rubric" not in asked
    notebook = filled(name, right(name))
    waiting = None
    for cell in notebook.cells:
        for question, (asked, _) in parts.items():
            if asked.partition("\n")[0] in cell.source:
                waiting = question
        if waiting and "otter_answer_cell" in cell.metadata.get("tags", []):
            cell.source = f"Because of {waiting}."
            waiting = None
        cell.metadata = {}
    for question, (asked, _) in parts.items():
        text = grading.answer(notebook, asked, begins)
        assert f"Because of {question}." in text
        assert not [other for other in parts if other != question and other in text]
    assert grading.answer(nbformat.v4.new_notebook(), asked, begins) == "(no answer found)"


def test_an_out_that_cannot_be_made_is_named(folder, monkeypatch):
    (folder.parent / "file").write_text("")
    arguments = ["grade.py", "adam", str(folder), "--out", str(folder.parent / "file" / "out")]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit, match=r"not graded: .*file"):
        grading.main()
