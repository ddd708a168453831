"""What the chapters show: sources, tables and glued numbers."""

import ast
import inspect
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from markdown_it import MarkdownIt

from firstorder import rules
from firstorder.notebook import columns, glue, source, sweeps, table


@pytest.mark.parametrize("thing", [rules.adam, rules.Moments, rules.initial_state])
def test_source_is_the_source(thing):
    shown = source(thing)
    assert repr(shown) == inspect.getsource(thing).rstrip()
    ast.parse(repr(shown))
    (fence,) = MarkdownIt().parse(shown._repr_mimebundle_()["text/markdown"])
    assert (fence.type, fence.info) == ("fence", "python")
    assert fence.content == repr(shown) + "\n"


def cells(shown):
    """The rows of a table as a Markdown reader sees them, the header first."""
    tokens = MarkdownIt().enable("table").parse(shown._repr_mimebundle_()["text/markdown"])
    rows = []
    for before, token in pairwise(tokens):
        if before.type == "tr_open":
            rows.append([])
        if before.type in ("th_open", "td_open"):
            rows[-1].append((token.content, before.attrs.get("style")))
    return rows


def test_table():
    shown = table(["rule", "lr", "f"], [["sgd", 0.1, "1.0"], ["rmsprop", 10, "−2.25"]])
    left, right = "text-align:left", "text-align:right"
    assert cells(shown) == [
        [("rule", left), ("lr", right), ("f", right)],
        [("sgd", left), ("0.1", right), ("1.0", right)],
        [("rmsprop", left), ("10", right), ("−2.25", right)],
    ]
    assert repr(shown) == (
        "rule      lr      f\n"
        "sgd      0.1    1.0\n"
        "rmsprop   10  −2.25"
    )  # fmt: skip
    assert shown._repr_mimebundle_()["text/plain"] == repr(shown)


def rows(shown):
    return [[content for content, _ in row] for row in cells(shown)]


def test_columns_format_what_is_not_whole_except_in_the_first():
    data = {
        "η": np.array([0.001, 0.5]),
        "steps": np.array([7, 12]),
        "f": [1.23456, 2.0],
        "end": ["a", True],
    }
    assert rows(columns(data, ".2f"))[1:] == [
        ["0.001", "7", "1.23", "a"],
        ["0.5", "12", "2.00", "True"],
    ]
    by_heading = columns(data, {"η": ".0e", "f": ".1f"})
    assert rows(by_heading)[1:] == [["1e-03", "7", "1.2", "a"], ["5e-01", "12", "2.0", "True"]]
    with pytest.raises(ValueError, match="'a': 1, 'b': 2"):
        columns({"a": [1], "b": [1, 2]})


def test_sweeps_say_when_the_best_is_at_the_edge_of_its_grid():
    def history(lr, interior):
        best = SimpleNamespace(lr=lr, index=1, value=0.25, interior=interior)
        return SimpleNamespace(
            best=lambda of: best, quantiles=lambda q, of: np.full((1, 3, 2), [9.0, q[0]])
        )

    shown = rows(sweeps({"Adam": history(0.0123, True), "SGD": history(1.0, False)}))
    assert shown[0][-2:] == ["validation loss", "middle half of the seeds"]
    assert shown[1] == ["Adam", "0.012", "inside", "0.250", "0.250 to 0.750"]
    assert shown[2][1:3] == ["1", "AT ITS EDGE"]


def test_alignment():
    shown = table(["a", "b", "c"], [["1", "2", "3"]], align="rcl")
    assert [style for _, style in cells(shown)[0]] == [
        "text-align:right",
        "text-align:center",
        "text-align:left",
    ]


def test_a_bar_stays_in_its_cell():
    shown = table(["$|x|$", "n"], [["|g|", 1]])
    assert [[text for text, _ in row] for row in cells(shown)] == [["$|x|$", "n"], ["|g|", "1"]]
    assert repr(shown).splitlines()[1].startswith("|g|")


def test_a_table_without_rows():
    assert repr(table(["a", "b"], [])) == "a  b"


@pytest.mark.parametrize(
    "arguments", [(["a", "b"], [[1, 2], [1]]), (["a"], [[1, 2]]), (["a", "b"], [], "lrr")]
)
def test_a_row_of_another_length_is_refused(arguments):
    with pytest.raises(ValueError, match=r"must have \d entries"):
        table(*arguments)


@pytest.fixture
def shell():
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def glued(function, name, value):
    """What ``function(name, value)`` publishes: (data, metadata)."""
    with capture_output() as captured:
        function(name, value)
    (output,) = captured.outputs
    return output.data, output.metadata


@pytest.mark.parametrize("value", [0.25, 7, [1, 2], source(rules.sgd)])
def test_glue_publishes_what_myst_nb_publishes(shell, value):
    import myst_nb

    data, metadata = glued(glue, "key", value)
    theirs, their_metadata = glued(lambda name, v: myst_nb.glue(name, v, False), "key", value)
    assert data == theirs
    assert metadata["scrapbook"] == their_metadata["scrapbook"]


def test_glue_keeps_text_without_quotes(shell):
    data, metadata = glued(glue, "rate", "3.20 %")
    assert data == {"application/papermill.record/text/plain": "3.20 %"}
    assert metadata["scrapbook"]["name"] == "rate"
