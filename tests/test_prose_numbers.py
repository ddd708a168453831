r"""No result is typed into the text: every number there has a witness on its page.

**What is a result.**  A number with a decimal point or a power of ten behind it (``0.48``,
``$3.3\times10^{-8}$``); a whole number of three or more digits; a whole number before ``%``,
``per cent`` or ``times``.  Prose, mathematics, captions and alternative texts are searched alike.
Not searched: code, roles and their targets, subscripts and exponents, a power of ten alone,
versions and licences (``Python 3.11``, ``CC BY 4.0``).

**What is a witness.**

1. A stored text output of the page with a number that rounds to it: ``0.05897`` is a witness of
   0.059 and of 5.9 %.  A whole number may be rounded to two digits or more: ``6908`` of 6900.
2. A number in a code cell of the page (a setting), or a default of a rule, or one minus it.
3. A citation in the same sentence, or in the one before or behind it.
4. In the statement of an exercise, two significant digits at most: its data.  The solution has no
   such freedom.
5. A row in ``EXPLAINED`` below: for pages without cells, a number with the expression it is the
   value of, or with the reason why it is a choice and not a result.

A number that comes from the role ``glue`` is not typed and needs none.
"""

import ast
import inspect
import math
import re
from functools import cache

import nbformat
import pytest

import notebooks
from firstorder.rules import RULES

# page: {number as it is typed: an expression in Python with this value, or a reason in words}
EXPLAINED = {
    "adamax.ipynb": {"0.9995": "0.999**0.5"},
    "instructors.md": {
        "115": "a time that we expect; test_assignments compares it with the assignment",
        "120": "a time that we expect; test_assignments compares it with the assignment",
    },
    "licences.md": {
        "4.0": "the version of a licence",
        "2.0": "the version of a licence",
        "1.1": "the version of a licence",
    },
    "notation.md": {"250": "1/0.004"},
    "prerequisites.md": {
        "0.531441": "0.9**6",
        "0.4782969": "0.9**7",
        "256": "2**8",
        "65536": "2**16",
    },
    "rosetta.ipynb": {
        "1.01": "1 + 0.01",
        "0.0197": "1 - 1.01**-2",
        "3925": "math.ceil(math.log(1 - 1.01**-2) / math.log(0.999))",
    },
}

PAGES = sorted(
    [*notebooks.paths(), *notebooks.CHAPTERS.rglob("*.md"), *notebooks.ROOT.glob("intro.md")]
)
NO_PROSE = ("code", "code-block", "code-cell", "raw", "bibliography", "toctree", "eval-rst")

FENCE = re.compile(r"^\s*(`{3,}|~{3,}|:{3,})\s*(?:\{([\w:-]+)\})?(.*)$")
OPTION = re.compile(r"^\s*:[\w-]+:")
LABEL = re.compile(r"^\([\w-]+\)=\s*$")
CITATION = re.compile(r"\{cite[\w:]*\}`[^`]*`")
UNSEARCHED = re.compile(
    r"\{[\w:+-]+\}`[^`]*`"  # roles
    r"|(`+).*?\1"  # code
    r"|\]\([^)]*\)|<[^<>]*>|https?://\S+"  # targets of links
    r"|(?:Python|version|BY|BY-SA)\s+\d+(?:\.\d+)*|\d+\.\d+\.\d+"  # versions, licences
    r"|\b20\d\d-\d\d-\d\d"  # dates
    r"|\$\$ \([\w-]+\)"  # labels of equations
)
POWER = re.compile(r"\s*(?:\\times|\\cdot|×)\s*10\^\{?(-?\d+)\}?")
SCRIPT = re.compile(r"\b10\^(?:\{[^{}]*\}|\d)|[_^](?:\{[^{}]*\}|\\?\w)")
NUMBER = re.compile(
    r"(?<![\w.])(\d{1,3}(?:(?:,|\\,|\{,\}|\u2009|\u202f)\d{3})+(?!\d)|\d+)(\.\d+)?(?:e(-?\d+))?(?!\d)"
    r"(\s*(?:\\,)?\s*\$?\s*(?:\\?%|per\s?cent\b|times\b))?"
)
PRINTED = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
SENTENCE = re.compile(r"(?<=[.?!:])\s+(?=[A-Z\\$*(])")


def paragraphs(text):
    """Yield (paragraph, whether it belongs to the statement of an exercise) of a MyST text.

    A row of a table is a paragraph.
    """
    lines, inside, options = [], [], False  # inside: the open fences and their directives
    for line in [*text.splitlines(), ""]:
        fence = FENCE.match(line)
        code = any(name is None or name in NO_PROSE for _, name in inside)
        bare = fence and not (fence[2] or fence[3].strip())
        closes = bare and inside and fence[1] == inside[-1][0]
        opens = fence and not closes and not code
        if (opens or closes or not line.strip() or line.startswith("|")) and lines:
            yield " ".join(lines), _is_statement(inside)
            lines = []
        if closes:
            inside.pop()
        elif opens:
            inside.append((fence[1], fence[2]))
            options = True
            lines = [fence[3].strip()] if fence[2] and fence[3].strip() else []
        elif not (code or LABEL.match(line) or (options and OPTION.match(line))):
            options = False
            lines += [line.strip()] if line.strip() else []


def _is_statement(inside):
    return any(name == "exercise" for _, name in inside)


def claims(text):
    """Yield (as typed, value, unit of its last digit, per cent?, sentence) of each result."""
    for paragraph, statement in paragraphs(text):
        sentences = SENTENCE.split(paragraph)
        cited = [bool(CITATION.search(sentence)) for sentence in sentences]
        for i, sentence in enumerate(sentences):
            if any(cited[max(i - 1, 0) : i + 2]):
                continue
            searched = SCRIPT.sub(" ", POWER.sub(r"e\1", UNSEARCHED.sub(" ", sentence)))
            for match in NUMBER.finditer(searched):
                whole, decimals, exponent, suffix = match.groups()
                whole = re.sub(r"\D", "", whole)
                if not (decimals or exponent or suffix or len(whole) >= 3):
                    continue
                digits = (whole + (decimals or "")[1:]).lstrip("0")
                if statement and len(digits.rstrip("0")) <= 2:
                    continue
                zeros = 0
                if not decimals:
                    zeros = min(len(whole) - len(whole.rstrip("0")), max(len(whole) - 2, 0))
                place = zeros - max(len(decimals or "") - 1, 0) + int(exponent or 0)
                value = float(f"{whole}{decimals or ''}e{exponent or 0}")
                percent = bool(suffix) and "times" not in suffix
                yield match.group().strip(" $"), value, 10.0**place, percent, sentence


def witnessed(value, unit, percent, witnesses):
    """Whether one of the numbers rounds to ``value``, whose last digit counts ``unit``."""
    scales = (1.0, 100.0) if percent else (1.0,)
    return any(
        abs(number * scale - value) <= unit / 2 * (1 + 1e-9)
        for number in witnesses
        for scale in scales
    )


def numbers_printed(notebook):
    """The numbers in the stored text outputs."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            texts = [output.get("text", "")]
            texts += [t for kind, t in output.get("data", {}).items() if "image/" not in kind]
            for text in texts:
                yield from map(float, PRINTED.findall(str(text)))


def numbers_set(notebook):
    """The numbers in the code cells."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Constant) and type(node.value) in (int, float):
                    yield float(node.value)


@cache
def defaults():
    """The default hyper-parameters of the rules, and what they lack to one."""
    parameters = [p for rule in RULES for p in inspect.signature(rule).parameters.values()]
    values = {float(p.default) for p in parameters if p.kind is p.KEYWORD_ONLY}
    return values | {1 - value for value in values}


def texts(page):
    """Yield (where, text) of all that is searched: prose, captions and descriptions."""
    if page.suffix != ".ipynb":
        yield "text", page.read_text(encoding="utf-8")
        return
    for number, cell in enumerate(notebooks.read(page).cells):
        if cell.cell_type == "markdown":
            yield f"cell {number}", cell.source
        settings = cell.metadata.get("mystnb", {})
        yield f"caption of cell {number}", settings.get("figure", {}).get("caption", "")
        yield f"alt text of cell {number}", settings.get("image", {}).get("alt", "")


def unwitnessed(page):
    """Yield (where, number, sentence) of every result on the page that has no witness."""
    witnesses = set(defaults())
    if page.suffix == ".ipynb":
        notebook = notebooks.read(page)
        witnesses |= {*numbers_printed(notebook), *numbers_set(notebook)}
    explained = EXPLAINED.get(page.name, {})
    for where, text in texts(page):
        for typed, value, unit, percent, sentence in claims(text):
            if typed not in explained and not witnessed(value, unit, percent, witnesses):
                yield where, typed, sentence


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_number_in_the_text_has_a_witness(page):
    found = [
        f"  {where}: {typed}\n      in: {sentence[:160]}"
        for where, typed, sentence in unwitnessed(page)
    ]
    assert not found, (
        f"{page.name}: numbers without a witness.  Print or glue each from a cell, cite its source "
        "in the same sentence, or write it without digits:\n" + "\n".join(found)
    )


@pytest.mark.parametrize(
    ("page", "typed", "why"),
    [(p, n, why) for p, rows in EXPLAINED.items() for n, why in rows.items()],
)
def test_explained_numbers_are_still_there_and_right(page, typed, why):
    [path] = [p for p in PAGES if p.name == page]
    found = {t: (value, unit) for _, text in texts(path) for t, value, unit, _, _ in claims(text)}
    assert typed in found, f"{page} no longer says {typed}: remove the row"
    if " " not in why:  # an expression
        assert witnessed(*found[typed], False, [eval(why, vars(math).copy())])


# --------------------------------------------------------------------------------------------------
# The rule itself


def typed(text):
    return [number for number, *_ in claims(text)]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("The loss is 0.347 then.", ["0.347"]),
        ("The step is $7.27\\eta$ or $2.366x$.", ["7.27", "2.366"]),
        ("It takes 691 steps.", ["691"]),
        ("It takes $10\\,000$ steps, or 2,500.", ["10\\,000", "2,500"]),
        ("A third is 33 % and 12 per cent.", ["33 %", "12 per cent"]),
        ("It is $20\\,\\%$ and 3 times as long.", ["20\\,\\%", "3 times"]),
        ("$\\eta = 3.3\\times10^{-8}$", ["3.3e-8"]),
        ("$$\n\\kappa = 0.905\n$$", ["0.905"]),
        ("## A heading of 0.25", ["0.25"]),
        ("```{prf:theorem} A title with 7.27\n:label: thm-1234\n\nBody 1.5.\n```", ["7.27", "1.5"]),
        (":::{admonition} T\n:class: x\nText 0.125.\n:::", ["0.125"]),
        ("| a | b |\n|--|--|\n| 0.125 | 3 |", ["0.125"]),
        ("```{exercise} T\nWith 0.05 and 100 steps; the loss is 0.0517.\n```", ["0.0517"]),
        ("````{solution} x\nThe loss is 0.05.\n````", ["0.05"]),
        ("Cited {cite}`a`. Not far. Here 0.731 is. {cite}`x` no", ["0.731"][:0]),
        ("Cited 0.3 {cite}`a`. And so. It is 0.731.", ["0.731"]),
    ],
)
def test_results_are_found(text, numbers):
    assert typed(text) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "Ten runs of 20 steps, turned by 45 degrees.",
        "The value {glue:text}`loss:.3f` and {numref}`fig-100` and {ref}`text 0.5 <x>`.",
        "Set `lr=0.05` in ``x = 0.25``.",
        "```python\nlr = 0.123\n```",
        "```{code-block} python\nlr = 0.123\n```",
        "$x_{100}^2 + x^{200} + \\tfrac12$",
        "It needs $10^{50}$ evaluations.",
        "Python 3.11 under CC BY 4.0, release 0.1.0.",
        "See [the page](https://example.org/0.123).",
        "Cauchy proposed it in 1847 {cite}`cauchy1847`.",
        "Their error is 0.244 {cite:p}`zhang2023d2l`, ours as well.",
        "(label-100)=",
    ],
)
def test_other_numbers_are_not(text):
    assert typed(text) == []


@pytest.mark.parametrize(
    ("text", "printed", "expected"),
    [
        ("is 0.059.", [0.05897], True),
        ("is 0.058.", [0.05897], False),
        ("is 5.9 %.", [0.05897], True),
        ("is 26 %.", [25.7], True),
        ("is 26 times.", [0.257], False),
        ("in 6900 steps", [6908], True),
        ("in 7000 steps", [6908], False),
        ("in 691 steps", [692], False),
        ("is $3.3\\times10^{-8}$", [3.32e-8], True),
        ("is $3.3\\times10^{-8}$", [3.32e-7], False),
        ("is 1.0.", [1.04], True),
        ("is 1.0.", [1.06], False),
    ],
)
def test_rounding(text, printed, expected):
    [(_, value, unit, percent, _)] = claims(text)
    assert witnessed(value, unit, percent, printed) is expected


def test_a_notebook_is_searched_everywhere_and_its_outputs_are_witnesses(tmp_path):
    cell = nbformat.v4.new_code_cell("x = 0.75")
    cell.metadata = {"mystnb": {"figure": {"caption": "At 0.321."}, "image": {"alt": "At 0.654."}}}
    cell.outputs = [nbformat.v4.new_output("stream", text="loss 0.05897\n")]
    text = nbformat.v4.new_markdown_cell("It is 0.059 with 0.75 and 0.999, not 0.987.")
    path = tmp_path / "page.ipynb"
    path.write_text(notebooks.text(nbformat.v4.new_notebook(cells=[cell, text])), encoding="utf-8")
    assert [number for _, number, _ in unwitnessed(path)] == ["0.321", "0.654", "0.987"]
