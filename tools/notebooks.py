"""What a notebook of this book must look like.  ``refresh.py`` makes it so, the tests demand it.

A stored notebook is in *normal form*: metadata and ids as ``normalise`` makes them, the text that
nbformat writes.  Beyond that it must be executed in order, quiet, small and free of anything that
belongs to one machine; ``problems`` lists what is wrong with it.
"""

import ast
import hashlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = ROOT / "chapters"
LARGEST = 500_000  # bytes
WIDEST = 84  # characters of a line of code that a page shows without scrolling
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
KEPT_NOTEBOOK_METADATA = ("myst", "mystnb")  # settings of the page
KEPT_CELL_METADATA = ("mystnb", "tags")
FORBIDDEN_TAGS = ("nbval-skip", "nbval-ignore-output", "nbval-check-output", "raises-exception")
FORBIDDEN_COMMENTS = re.compile(r"#\s*(NBVAL_|PYTEST_VALIDATE_)\w+")
MACHINE_PATH = re.compile(r"(?<![\w:/.)\]~-])/[A-Za-z]\w*/\w|[A-Z]:\\|site-packages|ipykernel_")
MEMORY_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")

FIRST_CELL = """\
# Installs the package of this book where it is missing, for example in Colab.
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile

if importlib.util.find_spec("firstorder") is None:
    source = os.environ.get("FIRSTORDER_SOURCE") or "{source}"
    if not source:
        raise RuntimeError(
            "firstorder is not installed, and this copy of the book has no address to install it "
            "from: set the environment variable FIRSTORDER_SOURCE to one that pip understands, "
            "or repository: url in _config.yml, followed by make refresh"
        )
    present = {}  # what is installed already stays at its version
    for found in importlib.metadata.distributions():
        present.setdefault(found.name, found.version)
    present.pop("firstorder", None)
    wanted = [source]
    print("Installing, which can take some minutes.")
    with tempfile.TemporaryDirectory() as folder:
        kept = os.path.join(folder, "kept.txt")
        with open(kept, "w") as file:
            file.writelines(f"{name}=={version}\\n" for name, version in present.items())
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", kept, *wanted]
        done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        said = "the installation failed: try a fresh environment, or Colab.  pip said:\\n"
        raise RuntimeError(said + done.stderr)
    importlib.invalidate_caches()"""
FIRST_CELL_TAGS = ["remove-cell"]  # a reader of the site installs nothing


def repository():
    """Return the repository's address, ``repository: url`` of ``_config.yml``; "" if not set."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return (config.get("repository", {}).get("url") or "").rstrip("/")


def version():
    """Return the version of the package, from ``pyproject.toml``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["version"]


# notebooks that need more than the package: name -> (extra of the package, modules it brings)
EXTRAS = {
    "airfoil": ("d2l", ("d2l",)),
    "rosetta": ("libraries", ("keras", "optax")),
    "keras": ("libraries", ("keras",)),
}


def first_cell(address, version, extra=None, modules=()):
    """Return the source of a notebook's first cell.

    ``extra`` of the package is installed too where one of ``modules`` is missing.  Without an
    address the cell raises where something is missing, and says what to set.
    """
    cell = FIRST_CELL.replace("{source}", f"git+{address}@v{version}" if address else "")
    if extra is None:
        return cell
    needed = ("firstorder", *modules)
    changes = {
        "Installs the package of this book where": f"Installs the package, with {extra}, where",
        'if importlib.util.find_spec("firstorder") is None:': f"needed = {_quoted(needed)}\n"
        "if any(importlib.util.find_spec(name) is None for name in needed):",
        "firstorder is not installed, and this copy": f"{' or '.join(needed)} is missing, and "
        'this "\n            "copy',
        "wanted = [source]": f'wanted = [source, "firstorder[{extra}]"]',
    }
    for before, after in changes.items():
        assert before in cell
        cell = cell.replace(before, after)
    return cell


def _quoted(words):
    return "(" + ", ".join(f'"{word}"' for word in words) + ")"


def first_cell_of(path):
    """Return the first cell that the notebook at ``path`` has to have; only its name matters."""
    return first_cell(repository(), version(), *EXTRAS.get(Path(path).stem, ()))


def paths():
    """Return every notebook of the book, in the order of their names."""
    return sorted(p for p in CHAPTERS.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def read(path):
    """Return the notebook stored at ``path``."""
    return nbformat.reads(Path(path).read_text(encoding="utf-8"), as_version=4)


def text(notebook):
    """Return the notebook as it is written to its file."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def normalise(notebook, name=""):
    """Bring the notebook ``name`` into normal form, in place, outputs untouched; return it."""
    cells = [cell for cell in notebook.cells if cell.source.strip()]
    if not (cells and cells[0].cell_type == "code" and "FIRSTORDER_SOURCE" in cells[0].source):
        cells.insert(0, nbformat.v4.new_code_cell())
    cells[0].source = first_cell_of(name)
    cells[0].metadata = {"tags": list(FIRST_CELL_TAGS)}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    kept = {k: notebook.metadata[k] for k in KEPT_NOTEBOOK_METADATA if k in notebook.metadata}
    notebook.metadata = nbformat.from_dict(METADATA | kept)
    used = set()
    for cell in cells:
        cell.source = cell.source.rstrip()
        cell.metadata = nbformat.from_dict(
            {k: cell.metadata[k] for k in KEPT_CELL_METADATA if cell.metadata.get(k)}
        )
        cell.pop("attachments", None)
        cell.id = _identity(cell, used)
    notebook.cells = cells
    return notebook


def _identity(cell, used):
    """An id that depends on what the cell says and not on where it stands."""
    digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()
    count = 0
    identity = digest[:8]
    while identity in used:  # the same text again
        count += 1
        identity = f"{digest[:8]}-{count}"
    used.add(identity)
    return identity


def sorted_imports(notebook):
    """Return the notebook with its imports sorted by ruff.

    The rest of its code is set by hand, as a formula is: ruff format would give a table of four
    columns a dozen lines.  ``problems`` sees to it that no line is too long.
    """
    command = [sys.executable, "-m", "ruff", "check", "--select", "I", "--fix-only", "--quiet"]
    done = subprocess.run(
        [*command, "--stdin-filename", "_.ipynb", "-"],
        input=text(notebook),
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return nbformat.reads(done.stdout, as_version=4)


def prepare_environment():
    """Set what kernels started from this process inherit, so that results repeat.

    One thread a kernel: sums do not depend on the number of cores, and tests run side by side.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # this environment's kernel, not the user's
    os.environ.pop("MPLBACKEND", None)  # pictures go into the notebook


# --------------------------------------------------------------------------------------------------
# What is wrong with a notebook


def problems(path):
    """Return what is wrong with the stored notebook, as sentences; an empty list if nothing is."""
    path = Path(path)
    try:
        notebook = read(path)
        nbformat.validate(notebook)
    except (ValueError, nbformat.ValidationError) as error:
        return [f"not a notebook: {error}"]
    found = [] if notebook.cells else ["has no cells"]
    if path.stat().st_size > LARGEST:
        found.append(f"is larger than {LARGEST // 1000} KB: {path.stat().st_size // 1000} KB")
    if text(normalise(read(path), path)) != path.read_text(encoding="utf-8"):
        found.append("is not in normal form: run make refresh")
    found += _first_cell_problems(notebook, path)
    found += _execution_problems(notebook)
    for number, cell in enumerate(notebook.cells):
        found += [f"cell {number} {problem}" for problem in _cell_problems(cell)]
    return found


def _first_cell_problems(notebook, path):
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.source != first_cell_of(path):
        return ["does not begin with the install cell of this book: run make refresh"]
    return []


def _execution_problems(notebook):
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    if None in counts:
        return ["has a code cell that was never executed: run make refresh"]
    if counts != list(range(1, len(counts) + 1)):
        return [f"has execution counts {counts}, not 1 to {len(counts)}: run make refresh"]
    return []


def _cell_problems(cell):
    tags = cell.metadata.get("tags", [])
    yield from (f"has the tag {tag}" for tag in tags if tag in FORBIDDEN_TAGS)
    yield from _text_problems("its source", cell.source)
    if cell.cell_type != "code":
        return
    if match := FORBIDDEN_COMMENTS.search(cell.source):
        yield f"has the comment {match.group()!r}"
    yield from _definition_problems(cell.source)
    if "FIRSTORDER_SOURCE" not in cell.source:
        for line in cell.source.splitlines():
            if len(line) > WIDEST:
                yield f"has a line of {len(line)} characters, more than {WIDEST}: {line.strip()}"
    for output in cell.outputs:
        if output.output_type == "error":
            yield f"has an error: {output.ename}: {output.evalue}"
        elif output.output_type == "stream":
            if output.name == "stderr":
                yield f"wrote to stderr: {output.text.strip()}"
            yield from _text_problems("its output", output.text)
        else:
            for kind, data in output.data.items():
                if "image/" not in kind or kind.endswith("svg+xml"):
                    yield from _text_problems(f"its output ({kind})", str(data))
    if any("image/" in kind for output in cell.outputs for kind in output.get("data", {})):
        yield from _figure_problems(cell.metadata.get("mystnb", {}))


def _text_problems(where, string):
    for what, pattern in [("machine path", MACHINE_PATH), ("memory address", MEMORY_ADDRESS)]:
        if match := pattern.search(string):
            start = max(match.start() - 20, 0)
            yield f"has a {what} in {where}: {string[start : match.end() + 20]!r}"


def _figure_problems(settings):
    if not settings.get("image", {}).get("alt", "").strip():
        yield "shows a picture without alternative text: mystnb.image.alt"
    if not settings.get("figure", {}).get("caption", "").strip():
        yield "shows a picture without a caption: mystnb.figure.caption"
    if not settings.get("figure", {}).get("name", "").startswith("fig-"):
        yield "shows a picture without a name fig-...: mystnb.figure.name"


def _definition_problems(source):
    """Chapters import the optimizers, they never define one again."""
    from firstorder.rules import RULES

    names = {rule.__name__ for rule in RULES}
    try:
        tree = ast.parse(source)
    except SyntaxError:  # IPython's own syntax, which the book does without
        yield "is not plain Python"
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound = node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound = node.id
        else:
            continue
        if bound.lower() in names:
            yield f"defines {bound}: import it from firstorder"
