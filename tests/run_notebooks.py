"""Execute the four notebooks from top to bottom.

    python tests/run_notebooks.py             # into outputs/, to look at
    python tests/run_notebooks.py --in-place  # what is committed, in the tiny profile
    python tests/run_notebooks.py --profile smol --record  # the real SmolLM2-135M

The last takes two to three hours without a GPU, and keeps what it finds in
smollm2.json. It needs no network where real_weights.py has made its folder, else the
Hub. In the tiny profile two notebooks run at a time. Names of notebooks after the
options run these alone. It says what each took. The exit status is 1 if a notebook
stopped at an error; the file is then as it was.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import nbformat
import record
from course import NAMES, ROOT, execute
from nbclient.exceptions import CellExecutionError


def run(name, arguments, alone=True):
    """Execute one notebook, show its progress, write it: True if that went well."""
    notebook = nbformat.read(ROOT / f"{name}.ipynb", as_version=4)
    target = ROOT / "outputs" / arguments.profile / f"{name}.ipynb"
    if arguments.in_place:
        target = ROOT / f"{name}.ipynb"
    folder = ROOT
    if arguments.profile == "smol" and (record.WEIGHTS / "HuggingFaceTB").exists():
        folder = record.WEIGHTS  # its folders have the names of the Hub's models
        os.environ["HF_HUB_OFFLINE"] = "1"
    start, count = time.monotonic(), len(notebook.cells)
    # A terminal shows one moving line, unless another notebook runs beside this one.
    begin = "\r" if alone and sys.stdout.isatty() else ""

    def show(index):
        if begin:
            print(f"\r{name}: cell {index + 1} of {count}", end="", flush=True)

    peak = record.Peak()
    record.ask_for_claims(notebook)
    try:
        execute(notebook, folder, show)
    except CellExecutionError as error:
        print(f"{begin}{name} stopped: {error.ename}: {error.evalue}", flush=True)
        return False
    seconds = time.monotonic() - start
    peak.over.set()
    device, claims = record.claims(notebook)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
    if arguments.record:
        record.save(name, device, claims, seconds, peak.bytes)
    cost = f"{seconds:.0f} s, {peak.bytes / 1e9:.1f} GB"
    print(f"{begin}{name}: all {count} cells ran in {cost}", flush=True)
    return True


def main():
    """Read the command line, run the notebooks, say where to look."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--in-place", action="store_true", help="rewrite the notebooks")
    parser.add_argument("--profile", choices=["tiny", "smol"], default="tiny")
    parser.add_argument("--record", action="store_true", help="needs --profile smol")
    parser.add_argument("names", nargs="*", default=NAMES, help="such as lora")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if arguments.profile == "smol" and arguments.in_place:
        parser.error("what is committed has the outputs of the tiny profile")
    if arguments.record and arguments.profile != "smol":
        parser.error("only SmolLM2's claims are recorded: add --profile smol")
    os.environ["COURSE_PROFILE"] = arguments.profile
    names = [Path(name).stem for name in arguments.names]
    if unknown := set(names) - set(NAMES):
        parser.error(f"no such notebook: {', '.join(unknown)}; there are {NAMES}")
    if arguments.profile == "tiny" and len(names) > 1 and (os.cpu_count() or 1) > 1:
        with ProcessPoolExecutor(2) as pool:  # each keeps one core busy
            results = list(pool.map(run, names, repeat(arguments), repeat(False)))
    else:
        results = [run(name, arguments) for name in names]
    if not all(results):
        sys.exit(1)
    if not arguments.in_place:
        folder = os.path.relpath(ROOT / "outputs" / arguments.profile)
        jupyter = os.path.relpath(Path(sys.executable).parent / "jupyter")
        print(
            f"\nThe executed notebooks are in {folder}. To read and change them:"
            f"\n    {jupyter} lab {os.path.join(folder, names[0])}.ipynb"
        )


if __name__ == "__main__":
    main()
