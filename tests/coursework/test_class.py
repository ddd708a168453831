"""A whole class is graded by one command, cheats and accidents among them.

Minutes, not seconds: asked for by name, ``make coursework-test``, which builds the assignments
before.
"""

import codecs
import re
import time

import nbformat
import pytest

import grade as grading
from classroom import CHEATS, COSTLY, NAMES, defined, filled, grade, right, table, write


@pytest.fixture(scope="module")
def thirty(tmp_path_factory):
    """A class of more than thirty: good work, cheats, accidents; graded by one command."""
    name, folder = NAMES[0], tmp_path_factory.mktemp("class")
    sources, out = right(name), tmp_path_factory.mktemp("out")
    first = next(iter(sources))
    asked = defined(sources[first])
    for student in ("1", "2", "3", "Müller, Jörg", "李雷"):
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


def test_what_kills_one_cell_leaves_the_other_questions(thirty):
    name, _, out, _, _, attacks = thirty
    automatic, _ = grading.questions(name)
    rows = table(out)
    for cheat in ("os._exit", "os._exit when it is called", "loops for ever", "sys.exit"):
        row = rows[f"cheat-{attacks.index(cheat):02}.ipynb"]
        assert sum(float(row[question]) for question in automatic) > 0, (cheat, row)


def test_grading_again_changes_nothing(thirty):
    name, folder, out, *_ = thirty
    files = [out / "grades.csv", *sorted((out / "feedback").iterdir())]
    before = [path.read_bytes() for path in files]
    records = {path: path.stat().st_mtime_ns for path in (out / ".grading").iterdir()}
    grade(name, folder, out)
    assert [path.read_bytes() for path in files] == before
    assert {path: path.stat().st_mtime_ns for path in records} == records  # nothing was run again


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
