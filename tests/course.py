"""What tools and tests share: the notebooks, running one, its outputs, copies."""

import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
NAMES = ["chat_templates", "sfttrainer", "lora", "evaluation"]
# What a cell keeps: two keys fold it, on Colab and here; alt describes its figure.
KEPT = ("tags", "cellView", "jupyter", "alt")
TINY = ROOT / "tests" / "tiny"
METADATA = {
    "kernelspec": {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
    },
    "language_info": {"name": "python"},  # its version differs between machines
}
# Figures of others, which no run of ours shows: on the benchmarks, from their papers;
# and a convention on agreement.
FACTS = {"12,500", "164", "805", "56", "23", "0.6"}
# A share, a decimal or a number of two digits and more. One digit is seldom a claim.
NUMBER = re.compile(
    r"(?<![\w.,-])(\d[\d,]*\.\d+%?|\d+%|\d{1,3}(?:,\d{3})+|\d{2,})(?!\w)"
)
NOT_COPIED = (".git", ".venv", ".build", "outputs", "__pycache__", ".*_cache")


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


@functools.cache
def notebooks():
    """The notebooks as they are in the repository: dict of name -> NotebookNode."""
    return {name: nbformat.read(ROOT / f"{name}.ipynb", 4) for name in NAMES}


def code_cells(name):
    """The code cells of a notebook: a list of NotebookNode."""
    return [cell for cell in notebooks()[name].cells if cell.cell_type == "code"]


def settings(name, profile):
    """The names that a notebook's cell of settings binds: dict."""
    [cell] = [cell for cell in code_cells(name) if cell.id == "settings"]
    names = {"COURSE_PROFILE": profile, "DEVICE": "cpu", "Path": Path}
    exec(cell.source, names)
    return names


def is_file(cell):
    """Does a code cell write its text into a file, instead of running it?"""
    return cell.source.startswith("%%writefile ")


def markdown(name):
    """The Markdown cells of a notebook: a list of NotebookNode."""
    return [cell for cell in notebooks()[name].cells if cell.cell_type == "markdown"]


def outputs(cell):
    """What a code cell has printed and displayed, as text: str."""
    texts = [
        output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        for output in cell.get("outputs", [])
    ]
    return "\n".join(texts)


def numbers(text):
    """The numbers that a text states, without its code and addresses: set of str."""
    return set(
        NUMBER.findall(re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", text, flags=re.S))
    )


def holds(text, number):
    """Does `text` hold this number, with or without commas, and not within another?"""
    plain = re.escape(number.replace(",", ""))
    return re.search(
        rf"(?<![\d.]){plain}(?!\.?\d)", re.sub(r"(?<=\d),(?=\d)", "", text)
    )


def setup_cells():
    """A notebook cut before its first section."""
    notebook = nbformat.read(ROOT / "chat_templates.ipynb", 4)
    last = next(at for at, cell in enumerate(notebook.cells) if cell.id == "s1")
    notebook.cells = notebook.cells[:last]
    return notebook


def copy_of_the_course(folder):
    """Copy all that a notebook reads into a folder: its tests/tiny, a Path."""
    shutil.copytree(TINY, folder / "tests" / "tiny")
    for file in ("requirements.txt", "tests/set_up.py", "tests/smollm2.json"):
        shutil.copy(ROOT / file, folder / file)
    return folder / "tests" / "tiny"


def copy_of_the_repository(folder):
    """Copy what is committed, and little else, into `folder`: the copy's Path."""
    ignore = shutil.ignore_patterns(*NOT_COPIED)
    return Path(shutil.copytree(ROOT, folder / "copy", ignore=ignore))


def hub_folders(folder):
    """Fill `folder` with what a command with the names of the Hub loads from there.

    They hold the tiny instruct model and the course's quizzes. Returns the folder for
    NLTK_DATA, which keeps lighteval's import from the network.
    """
    hub = folder / "HuggingFaceTB"
    shutil.copytree(TINY / "instruct", hub / "SmolLM2-135M-Instruct")
    shutil.copytree(TINY / "quiz", folder / "lighteval" / "mmlu")
    nltk = folder / "nltk_data" / "tokenizers"
    for name in ("punkt", "punkt_tab"):
        (nltk / name).mkdir(parents=True)
    # Downloaded by lighteval's import, for a benchmark that nobody runs here.
    package = Path(importlib.util.find_spec("lighteval").origin).parent
    (package / "tasks" / "tasks" / "tinyBenchmarks.pkl").touch()
    return nltk.parent


def lighteval(folder, words):
    """Run a command line of lighteval in a folder, without the Hub: its output, str.

    The folder gets what hub_folders() writes. AssertionError if the command fails.
    """
    offline = {"HF_HUB_OFFLINE": "1", "NLTK_DATA": str(hub_folders(folder))}
    result = subprocess.run(
        [sys.executable, "-m", "lighteval", *words],
        cwd=folder,
        env={**os.environ, **offline, "ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout
