"""Execute the notebooks of the book again and store them in normal form.

    python tools/refresh.py                       all of them
    python tools/refresh.py chapters/adam.ipynb   only these
    python tools/refresh.py --check               execute nothing, say what is wrong

A file is written only if something in it changed, and never if a cell fails or writes to stderr.
"""

import argparse
import base64
import io
import re
import subprocess
import sys
import time
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from PIL import Image

import notebooks

LONGEST = 120  # seconds a cell may take
COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # IPython colours its tracebacks


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of chapters/")
    parser.add_argument("--check", action="store_true", help="execute nothing, say what is wrong")
    options = parser.parse_args(arguments)
    for path in options.notebooks:
        if path.suffix != ".ipynb" or not path.is_file():
            parser.error(f"not a notebook: {path}")
    notebooks.prepare_environment()
    chosen = options.notebooks or notebooks.paths()
    failed = 0
    for number, path in enumerate(chosen, start=1):
        print(f"[{number}/{len(chosen)}] {path.name}", end=" ", flush=True)
        failed += not (check(path) if options.check else refresh(path))
    return 1 if failed else 0


def check(path):
    """Print what is wrong with the notebook; return whether nothing is."""
    found = notebooks.problems(path)
    print("is wrong:" if found else "is fine")
    print("".join(f"    {problem}\n" for problem in found), end="")
    return not found


def refresh(path):
    """Execute the notebook, store it if it changed, say so; return whether it is fine."""
    began = time.perf_counter()
    before = path.read_text(encoding="utf-8")
    try:
        after = notebooks.text(execute(notebooks.read(path), path))
    except (CellExecutionError, CellTimeoutError, DeadKernelError, RuntimeError) as error:
        print(f"FAILED, not written\n{COLOUR.sub('', str(error))}")
        return False
    if after != before:
        path.write_text(after, encoding="utf-8")
    seconds = time.perf_counter() - began
    size = f"{len(after.encode()) / 1000:.0f} KB"
    print(f"{'changed' if after != before else 'unchanged'}, {seconds:.1f} s, {size}")
    found = notebooks.problems(path)
    print("".join(f"    {problem}\n" for problem in found), end="")
    return not found


def execute(notebook, path):
    """Return the notebook of ``path`` in normal form with new outputs.

    Raises ``RuntimeError`` if a cell writes to stderr, nbclient's errors if a cell fails.
    """
    notebook = notebooks.sorted_imports(notebooks.normalise(notebook, path))
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=LONGEST,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    # the kernel's own log goes nowhere, as under nbval
    client.execute(stderr=subprocess.DEVNULL)
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = smaller(output.data["image/png"])
            if output.output_type == "stream" and output.name == "stderr":
                raise RuntimeError(
                    f"cell {number} wrote to stderr:\n{cell.source}\n\n{output.text}"
                )
    return notebooks.normalise(notebook, path)


def smaller(png):
    """Return a picture (base64) in at most 128 colours: a third of the bytes, the same to see."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture = picture.quantize(128, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    sys.exit(main())
