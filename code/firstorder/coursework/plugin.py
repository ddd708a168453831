"""Otter-Grader grades a submission that runs in a process of its own.

In an assignment's configuration:

    generate:
      plugins:
        - firstorder.coursework.plugin.Isolated:
            withheld: [rules.adam]

Otter would run the student's cells and the tests in one kernel, where whoever patches
``numpy.allclose`` passes.  With this plugin it runs one cell instead, which fills the kernel with
stand-ins for the submission's functions and copies of its data (see ``isolation``); then it runs
the tests as always.
"""

import os
import shutil
from pathlib import Path

import nbformat
from otter.plugins import AbstractOtterPlugin

CELL = """\
from firstorder.coursework.isolation import Submission
_submission = Submission({path!r}, withheld={withheld!r})
globals().update(_submission.names())
print({mark!r}, "\\n".join(_submission.notes), sep="\\n")
"""
MARK = "notes on the submission"


class Isolated(AbstractOtterPlugin):
    """Configuration: ``withheld``, names of the book's package that the submission may not use."""

    def before_grading(self, config):
        """Remove what was handed in beside the notebook: it could shadow a module."""
        notebook = Path(self.submission_path)
        for path in notebook.parent.iterdir():
            if path.name not in (notebook.name, "tests", "__init__.py"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def before_execution(self, submission):
        """Return a notebook that holds the submission's names and none of its code."""
        withheld = list((self.plugin_config or {}).get("withheld", ()))
        source = CELL.format(path=self.submission_path, withheld=withheld, mark=MARK)
        cell = nbformat.v4.new_code_cell(source)
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        return nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})

    def after_grading(self, results):
        """Keep what went wrong with cells of the submission, for the report and ``tools/grade``."""
        outputs = [o for cell in results.notebook.cells for o in cell.get("outputs", [])]
        marked = [o.text for o in outputs if o.get("name") == "stdout" and MARK in o.text]
        self.notes = "".join(marked).replace(MARK, "").strip()
        errors = [f"{o.ename}: {o.evalue}" for o in outputs if o.output_type == "error"]
        self.notes = "\n".join([*self.notes.splitlines(), *errors])
        if target := os.environ.get("FIRSTORDER_NOTES"):
            Path(target).write_text(self.notes, encoding="utf-8")

    def generate_report(self):
        """Return the notes, for the output that an instructor sees."""
        return self.notes
