"""Write the public address of the course's repository where readers need it.

    python tests/set_address.py OWNER/NAME

The set-up cell of each notebook then fetches the course by itself when the notebook was
opened alone, and each notebook and README get a badge that opens it in Colab.
"""

import re
import sys
from pathlib import Path

import nbformat
from course import NAMES, ROOT

LINE = re.compile(r"^ADDRESS = .*$", re.M)
BADGE = re.compile(r" ?\[!\[Open in Colab\]\([^)]*\)\]\([^)]*\)(\n\n)?")


def badge(address, name):
    """A picture that opens a notebook of a repository in Colab: Markdown."""
    picture = "https://colab.research.google.com/assets/colab-badge.svg"
    place = f"https://colab.research.google.com/github/{address}/blob/main/{name}.ipynb"
    return f"[![Open in Colab]({picture})]({place})"


def address_in(notebook):
    """The address that a notebook's set-up cell holds: "OWNER/NAME", or None."""
    [cell] = [cell for cell in notebook.cells if cell.id == "course"]
    found = re.search(r'^ADDRESS = "https://github\.com/(.+?)"', cell.source, re.M)
    return found[1] if found else None


def set_address(address, root=ROOT):
    """Write an address, "OWNER/NAME", into the notebooks and README below `root`."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    readme = BADGE.sub("", readme)
    for name in NAMES:
        path = root / f"{name}.ipynb"
        notebook = nbformat.read(path, 4)
        cells = {cell.id: cell for cell in notebook.cells}
        line = f'ADDRESS = "https://github.com/{address}"'
        cells["course"].source = LINE.sub(line, cells["course"].source)
        title = BADGE.sub("", cells["title"].source)
        heading, rest = title.split("\n\n", 1)
        cells["title"].source = f"{heading}\n\n{badge(address, name)}\n\n{rest}"
        nbformat.write(notebook, path)
        row = f"| [{name}.ipynb]({name}.ipynb)"
        readme = readme.replace(row, f"{row} {badge(address, name)}")
    (root / "README.md").write_text(readme, encoding="utf-8")


if __name__ == "__main__":
    if not re.fullmatch(r"[\w-]+/[\w.-]+", " ".join(sys.argv[1:])):
        sys.exit(f"OWNER/NAME, not {sys.argv[1:]}\n\n{__doc__}")
    set_address(sys.argv[1], Path(ROOT))
    print("written into README.md and the four notebooks")
