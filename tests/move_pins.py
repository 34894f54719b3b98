"""Carry the pins of requirements.txt into the first code cell of each notebook.

    python tests/move_pins.py              # after an edit of requirements.txt
    python tests/move_pins.py --installed  # write down what is installed here first

Afterwards the saved outputs belong to other versions: run_notebooks.py --in-place.
"""

import argparse
import importlib.metadata
import re

import nbformat
from run_notebooks import NAMES, ROOT, write

REQUIREMENTS = ROOT / "requirements.txt"
PIN = re.compile(r"^([\w-]+)==([\d.]+)( *)", re.M)


def pins(text):
    """The pins of a requirements file: dict of package -> version."""
    return {name: version for name, version, _ in PIN.findall(text)}


def take_installed(text):
    """A requirements file with the versions that are installed here: str."""

    def installed(match):
        version = importlib.metadata.version(match[1]).partition("+")[0]
        return f"{match[1]}=={version} ".ljust(len(match[0]))  # keep the column

    return PIN.sub(installed, text)


def repin(source, versions):
    """The source of an install cell with other versions: str."""

    def change(match):
        return f"{match[1]}{versions[match[2]]}{match[3]}"

    listed = re.compile(r'^(    "([\w-]+)": ")[\d.]+(",)', re.M)
    later = re.compile(r'^(    PINS\["([\w-]+)"\] = ")[\d.]+(")', re.M)
    return later.sub(change, listed.sub(change, source))


def main():
    """Read the command line, rewrite what has changed, say what to do next."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--installed", action="store_true", help="take versions here")
    arguments = parser.parse_args()
    text = REQUIREMENTS.read_text(encoding="utf-8")
    if arguments.installed:
        text = take_installed(text)
        REQUIREMENTS.write_text(text, encoding="utf-8")
    for name in NAMES:
        path = ROOT / f"{name}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        cell = next(cell for cell in notebook.cells if cell.id == "install")
        before, cell.source = cell.source, repin(cell.source, pins(text))
        if cell.source != before:
            write(notebook, path)
            print(f"{name}: new pins; run tests/run_notebooks.py --in-place {name}")
        else:
            print(f"{name}: nothing to carry, it has the pins of requirements.txt")


if __name__ == "__main__":
    main()
