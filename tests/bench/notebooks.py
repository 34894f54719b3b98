"""What the notebooks cost: time by kind of work, and peak memory. See benchmark.py."""

import json
import sys
import time
from pathlib import Path

import nbformat

BENCH = Path(__file__).resolve().parent
sys.path.insert(0, str(BENCH.parent))
from course import NAMES, ROOT, execute  # noqa: E402, F401
from record import Peak  # noqa: E402

KINDS = ["imports", "loading", "training", "evaluation", "processes", "rest"]


def measure(name):
    """Execute a notebook in the tiny profile.

    name: the notebook's name without .ipynb
    Returns a dict: seconds of each of KINDS, `kernel` (its start and end, and between
    cells), `wall`, and `memory`: the peak of the kernel and its children, bytes.
    """
    notebook = nbformat.read(ROOT / f"{name}.ipynb", as_version=4)
    begin = (
        f"import sys\nsys.path.insert(0, {str(BENCH)!r})\nimport clock\ndel sys.path[0]"
    )
    notebook.cells.insert(0, nbformat.v4.new_code_cell(begin))
    end = 'sys.modules["clock"].report()'
    notebook.cells.append(nbformat.v4.new_code_cell(end))
    peak, start = Peak(), time.monotonic()
    execute(notebook, ROOT)
    wall = time.monotonic() - start
    peak.over.set()
    seconds = json.loads(notebook.cells[-1].outputs[0]["text"])
    result = {kind: seconds.get(kind, 0) for kind in KINDS}
    result["kernel"] = wall - sum(result.values())
    return {**result, "wall": wall, "memory": peak.bytes}
