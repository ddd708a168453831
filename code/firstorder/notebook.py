"""What the chapters need to show: source code, tables, and numbers for the text."""

import inspect


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
