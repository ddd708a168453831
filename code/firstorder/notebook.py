"""What the chapters need to show: source code, tables, and numbers for the text."""

import inspect
from numbers import Integral, Real


class Shown:
    """A text in two forms: notebooks show the Markdown one, tests compare the plain one."""

    def __init__(self, plain, markdown):
        self.plain, self.markdown = plain, markdown

    def __repr__(self):
        return self.plain

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": self.plain, "text/markdown": self.markdown}


def source(function):
    """Show the source of a function of the package, as it stands there."""
    text = inspect.getsource(function).rstrip()
    return Shown(text, f"```python\n{text}\n```")


def table(header, rows, align=None):
    """Show rows of values under a header of column names.

    Values are shown with ``str``: format numbers before, to the digits that the claim needs.
    ``align`` has one of "l", "r", "c" a column; by default the first is "l" and the others "r".
    Raises ``ValueError`` if a row or ``align`` has another length than the header.
    """
    header, rows = [str(h) for h in header], [[str(v) for v in row] for row in rows]
    align = align or "l" + "r" * (len(header) - 1)
    for row in [*rows, align]:
        if len(row) != len(header):
            raise ValueError(f"a row must have {len(header)} entries, got {row!r}")
    rule = [{"l": ":--", "r": "--:", "c": ":-:"}[a] for a in align]
    cells = [[v.replace("|", r"\|") for v in row] for row in [header, rule, *rows]]
    markdown = "\n".join("| " + " | ".join(row) + " |" for row in cells)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    just = {"l": str.ljust, "r": str.rjust, "c": str.center}
    plain = "\n".join(
        "  ".join(just[a](v, w) for a, v, w in zip(align, row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    )
    return Shown(plain, markdown)


def columns(data, form="g"):
    """Show a table given by its columns, a dict of heading: values, as many in each.

    ``form`` is the format specification of the numbers that are not whole: one for all columns but
    the first, or a dict of heading: specification; elsewhere it is "g".
    Raises ``ValueError`` if the columns differ in length.
    """
    lengths = {heading: len(values) for heading, values in data.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns must have as many values each, got {lengths}")
    first = next(iter(data))
    forms = (
        form if isinstance(form, dict) else {heading: form for heading in data if heading != first}
    )

    def shown(value, heading):
        whole = not isinstance(value, Real) or isinstance(value, Integral)
        return str(value) if whole else format(value, forms.get(heading, "g"))

    return table(
        data, zip(*([shown(v, heading) for v in data[heading]] for heading in data), strict=True)
    )


def sweeps(histories, of="val_loss"):
    """Show what each sweep of learning rates reached at its best one.

    ``histories``  a dict of label: ``History``
    ``of``         the metric, at the end of training: "train_loss", "val_loss" or "val_accuracy"

    A best learning rate on the edge of its grid is said to be there: that grid was too small.
    Of a schedule, the learning rate shown is that of the first step.
    """
    best = [history.best(of) for history in histories.values()]
    spread = [
        [
            history.quantiles(q, of)[0, -1, b.index]
            for history, b in zip(histories.values(), best, strict=True)
        ]
        for q in ([0.25], [0.75])
    ]
    return columns(
        {
            "": list(histories),
            "best lr": [f"{b.lr:.2g}" for b in best],
            "in the grid": ["inside" if b.interior else "AT ITS EDGE" for b in best],
            of.replace("val_", "validation ").replace("train_", "training "): [
                b.value for b in best
            ],
            "middle half of the seeds": [
                f"{low:.3f} to {high:.3f}" for low, high in zip(*spread, strict=True)
            ],
        },
        ".3f",
    )


def glue(name, value):
    """Keep ``value`` under ``name``, for the text to quote with the role ``glue``.

    A string is kept without its quotes.  The record is the one that ``myst_nb.glue`` makes.
    """
    from IPython import get_ipython
    from IPython.display import display

    prefix = "application/papermill.record/"
    bundle = {"text/plain": value if isinstance(value, str) else repr(value)}
    if not isinstance(value, str):
        bundle, _ = get_ipython().display_formatter.format(value)
    display(
        {prefix + kind: data for kind, data in bundle.items()},
        metadata={"scrapbook": {"name": name, "mime_prefix": prefix}},
        raw=True,
    )
