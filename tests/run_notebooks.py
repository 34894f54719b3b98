"""Execute the four notebooks from top to bottom.

    python tests/run_notebooks.py             # into outputs/, to look at
    python tests/run_notebooks.py --in-place  # what is committed, in the tiny profile
    python tests/run_notebooks.py --profile smol --record  # the real SmolLM2-135M

The last takes over an hour without a GPU, and keeps what it finds in smollm2.json. It
needs no network where real_weights.py has made its folder, else the Hub. Names of
notebooks after the options run these alone. The exit status is 1 if a
notebook stopped at an error or could not be written; the file is then as it was.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
NAMES = ["chat_templates", "sfttrainer", "lora", "evaluation"]
# What a cell keeps: two keys fold it, on Colab and here; alt describes its figure.
KEPT = ("tags", "cellView", "jupyter", "alt")
METADATA = {
    "kernelspec": {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
    },
    "language_info": {"name": "python"},  # its version differs between machines
}


def execute(notebook, folder, on_cell=None, **options):
    """Run all cells of a notebook in place, in a new kernel.

    notebook: NotebookNode, changed in place; its metadata is made the same everywhere
    folder: the working directory of the kernel
    on_cell: called with the index of each code cell before it runs
    options: more arguments of nbclient.NotebookClient, such as allow_errors
    Raises CellExecutionError where a cell fails.
    """
    notebook.metadata = METADATA
    for cell in notebook.cells:
        cell.metadata = {
            key: cell.metadata[key] for key in KEPT if key in cell.metadata
        }
    client = NotebookClient(
        notebook,
        timeout=1800,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=40"],  # no remarks of the kernel on the terminal
        resources={"metadata": {"path": str(folder)}},
        on_cell_execute=lambda cell, cell_index: on_cell and on_cell(cell_index),
        **options,
    )
    client.execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.pop("transient", None)
            if "alt" in cell.metadata and "image/png" in output.get("data", {}):
                output.metadata["image/png"] = {"alt": cell.metadata["alt"]}


def write(notebook, path):
    """Write a notebook whole or not at all; raises OSError, such as for a full disk."""
    part = path.with_name(f"{path.name}.part")
    try:
        nbformat.write(notebook, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def run(name, arguments):
    """Execute one notebook, show its progress, write it: True if that went well."""
    import record  # it imports this module

    notebook = nbformat.read(ROOT / f"{name}.ipynb", as_version=4)
    target = ROOT / "outputs" / arguments.profile / f"{name}.ipynb"
    if arguments.in_place:
        target = ROOT / f"{name}.ipynb"
    folder = ROOT
    if arguments.profile == "smol" and (record.WEIGHTS / "HuggingFaceTB").exists():
        folder = record.WEIGHTS  # its folders have the names of the Hub's models
        os.environ["HF_HUB_OFFLINE"] = "1"
    start, count = time.monotonic(), len(notebook.cells)
    begin = "\r" if sys.stdout.isatty() else ""  # a terminal shows one moving line

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
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(notebook, target)
        if arguments.record:
            record.save(name, device, claims, seconds, peak.bytes)
    except OSError as error:
        print(f"{begin}{name} ran, but cannot be written: {error}", flush=True)
        return False
    print(f"{begin}{name}: all {count} cells ran in {seconds:.0f} s", flush=True)
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
