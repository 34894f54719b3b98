"""Make the copies of a cell equal again that several notebooks share, and of diagrams.

    python tests/sync.py       # all take a cell from the first lesson that has it
    python tests/sync.py lora  # they take it from this one, if it has it

A shared cell has a tag that begins with "shared-"; only its source is copied. A text
that shows `attachment:NAME.svg` gets the file of that name in tests/diagrams.
"""

import base64
import re
import sys
from pathlib import Path

import nbformat
from course import NAMES, ROOT


def copies(notebooks):
    """The shared cells of notebooks: dict of tag -> dict of notebook's name -> cell.

    notebooks: dict of name -> NotebookNode
    """
    found = {}
    for name, notebook in notebooks.items():
        for cell in notebook.cells:
            for tag in cell.metadata.get("tags", []):
                if tag.startswith("shared-"):
                    found.setdefault(tag, {})[name] = cell
    return found


def attachments(cell):
    """The diagrams that a text shows, as Jupyter stores them: dict of name -> data."""
    found = {}
    for name in re.findall(r"\]\(attachment:([\w.]+)\)", cell.source):
        content = (ROOT / "tests" / "diagrams" / name).read_bytes()
        found[name] = {"image/svg+xml": base64.b64encode(content).decode()}
    return found


def main():
    """Copy, write the notebooks that have changed, say which."""
    names = [Path(name).stem for name in sys.argv[1:]]
    if unknown := set(names) - set(NAMES):
        sys.exit(f"no such notebook: {', '.join(unknown)}; there are {NAMES}")
    notebooks = {name: nbformat.read(ROOT / f"{name}.ipynb", 4) for name in NAMES}
    changed = set()
    for tag, cells in copies(notebooks).items():
        taught = next(name for name in [*names, *NAMES] if name in cells)
        for name, cell in cells.items():
            if cell.source != cells[taught].source:
                cell.source = cells[taught].source
                changed.add(name)
                print(f"{name}: {tag} as in {taught}")
    for name, notebook in notebooks.items():
        for cell in notebook.cells:
            if (wanted := attachments(cell)) != cell.get("attachments", {}):
                cell.attachments = wanted
                changed.add(name)
                print(f"{name}: diagrams of {cell.id}")
    for name in changed:
        nbformat.write(notebooks[name], ROOT / f"{name}.ipynb")


if __name__ == "__main__":
    main()
