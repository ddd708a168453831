"""What nbval alone would let pass: every notebook runs, whole, in strict mode, as it is stored.

nbval passes a notebook whose outputs were stripped, and says nothing of a cell it skipped or of a
notebook it never saw.  Here the first fails with its list of ``notebooks.problems``, a skipped cell
fails, and so does a run of the whole suite that misses a cell.
"""

import os
from collections import Counter

import pytest
from nbval.plugin import IPyNbCell

import notebooks

AIRFOIL = notebooks.CHAPTERS / "airfoil.ipynb"  # the one notebook that needs a download

notebooks.prepare_environment()


def pytest_configure(config):
    option = config.option
    if not (option.nbval and option.nbval_current_env):
        raise pytest.UsageError("notebooks run with --nbval --nbval-current-env")
    if option.nbval_lax or option.nbval_sanitize_with:
        raise pytest.UsageError("notebooks are compared strictly, without lax mode or sanitizing")


class StoredForm(pytest.Item):
    """Fails if the stored notebook is not as the book wants it."""

    def runtest(self):
        found = notebooks.problems(self.path)
        if found:
            pytest.fail(f"{self.path.name}\n" + "\n".join(f"  {p}" for p in found), pytrace=False)

    def reportinfo(self):
        return self.path, None, f"{self.path.name}: stored form"


class StoredFormFile(pytest.File):
    def collect(self):
        yield StoredForm.from_parent(self, name="stored form")


class CellsNotRun(pytest.Item):
    """Stands in for the cells of a notebook that the whole suite should have run, and fails."""

    def runtest(self):
        pytest.fail("not every code cell of this notebook is in the run", pytrace=False)


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".ipynb":
        return StoredFormFile.from_parent(parent, path=file_path)
    return None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session, config, items):
    cells = [item for item in items if isinstance(item, IPyNbCell)]
    if _whole_suite(config):
        collected = Counter(cell.path for cell in cells)
        for path in notebooks.paths():
            expected = sum(cell.cell_type == "code" for cell in notebooks.read(path).cells)
            if collected[path] != expected:
                name = path.relative_to(notebooks.ROOT).as_posix()
                items.append(CellsNotRun.from_parent(session, name=name, nodeid=name))
    reason = _airfoil_missing() if any(cell.path == AIRFOIL for cell in cells) else None
    for cell in cells:
        if cell.path == AIRFOIL and reason:
            cell.add_marker(pytest.mark.skip(reason=reason))


def _whole_suite(config):
    """Nothing was named and nothing chosen by -k or -m."""
    named = set(map(str, config.args)) != set(config.getini("testpaths"))
    return not (named or config.option.keyword or config.option.markexpr)


def _airfoil_missing():
    """Why the airfoil notebook cannot run, None if it can; the only skip, and not in CI."""
    if os.environ.get("CI"):
        return None
    from firstorder.datasets import airfoil_path

    try:
        airfoil_path()
    except OSError as error:
        return str(error)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if isinstance(item, IPyNbCell) and report.skipped and item.path != AIRFOIL:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped; every cell of the book runs"
    return report


def pytest_terminal_summary(terminalreporter):
    skipped = terminalreporter.getreports("skipped")
    if any(report.nodeid.startswith("chapters/airfoil.ipynb") for report in skipped):
        terminalreporter.section("chapters/airfoil.ipynb WAS NOT RUN", yellow=True, bold=True)
        terminalreporter.line(str(_airfoil_missing()))
