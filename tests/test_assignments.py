"""Every assignment grades right answers as right and typical wrong ones as wrong.

Here Otter's own test files judge the answers in this process; ``tests/coursework`` sends whole
classes through ``make grade``.
"""

import re

import nbformat
import pytest

import assignments
import notebooks
from classroom import (
    NAMES,
    answers,
    built,
    filled,
    graded,
    imports,
    namespace,
    right,
    solution_lines,
)

EVERY = [
    pytest.param(name, question, kind, description, id=f"{name}-{question}-{kind}-{description}")
    for name in NAMES
    for question, kinds in answers(name).items()
    for kind in ("right", "wrong")
    for description in kinds[kind]
]
every_assignment = pytest.mark.parametrize("name", NAMES)


def test_the_four_assignments_are_here():
    assert {"sgd", "momentum", "adam", "bias-correction"} <= set(NAMES)


@pytest.mark.parametrize(("name", "question", "kind", "description"), EVERY)
def test_an_answer_earns_what_it_should(name, question, kind, description, record_property):
    first = right(name)
    before = [source for other, source in first.items() if other < question]
    names = namespace(name, [*before, answers(name)[question][kind][description]])
    points, possible, failed = graded(name, question, names)
    assert possible > 0
    record_property("answer", (name, question, kind, points / possible))
    if kind == "right":
        assert points == possible, failed
    else:
        assert points <= possible / 2


@every_assignment
def test_nothing_earns_nothing(name):
    """Placeholders of the student's version are no answers."""
    student, tests = built(name)
    cells = [cell.source for cell in student.cells if cell.cell_type == "code"]
    names = namespace(name, [source for source in cells if "grader.check" not in source])
    for question in tests:
        assert graded(name, question, names)[0] == 0, question


@every_assignment
def test_every_autograded_question_has_answers_of_both_kinds(name):
    _, tests = built(name)
    assert answers(name).keys() == tests.keys()
    for question, kinds in answers(name).items():
        assert len(kinds["right"]) >= 2, question
        assert len(kinds["wrong"]) >= 6, question
        sources = [source for kind in kinds.values() for source in kind.values()]
        assert len(set(sources)) == len(sources), question


@every_assignment
def test_the_students_version_has_no_solution_and_no_hidden_test(name):
    student, _ = built(name)
    text = "\n".join(cell.source for cell in student.cells)
    master = nbformat.read(assignments.MASTERS / f"{name}.ipynb", as_version=4)
    assert not [word for word in ("SOLUTION", "Rubric", "Model answer") if word in text]
    assert not re.search(r"hidden(?! tests?\b)", text, re.IGNORECASE)
    solutions = [line for cell in master.cells for line in solution_lines(cell)]
    assert len(solutions) >= 5
    assert not [line for line in solutions if line in text]


@every_assignment
def test_the_points_are_those_of_the_table(name):
    """The first cell's table of questions is that of the questions themselves."""
    import grade

    automatic, manual = grade.questions(name)
    text = built(name)[0].cells[0].source
    for question, points in (automatic | manual).items():
        row = re.search(rf"^\|\s*q?{question[1:]}\s*\|.*$", text, re.MULTILINE)
        assert row, f"{question} is not in the table"
        assert f"{points:g}" in [column.strip() for column in row[0].split("|")], row[0]


@every_assignment
def test_the_guide_has_the_minutes_and_points_of_the_assignment(name):
    import grade

    guide = (notebooks.CHAPTERS / "instructors.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| \*{name}\* \|.*\| (\d+) \| (\d+) \| (\d+) \|$", guide, re.MULTILINE)
    automatic, manual = grade.questions(name)
    text = built(name)[0].cells[0].source
    minutes = [int(n) for n in _column(text)]
    assert [int(n) for n in row.groups()] == [
        sum(minutes),
        sum(automatic.values()),
        sum(manual.values()),
    ]


def _column(text):
    """The minutes of the table of questions, under that word."""
    rows = [line.strip().strip("|").split("|") for line in text.splitlines() if "|" in line]
    place = [cell.strip() for cell in rows[0]].index("minutes")
    return [row[place].strip() for row in rows[2:] if re.match(r"\s*q?\d", row[0])]


@every_assignment
def test_a_filled_notebook_has_every_answer(name):
    notebook = filled(name, right(name))
    text = "\n".join(cell.source for cell in notebook.cells)
    assert all(source in text for source in right(name).values())
    assert imports(name) in text
