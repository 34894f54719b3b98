"""Turn pytest's JUnit file into the text of an issue: which cell changed, and how.

    python tests/report_changes.py --installed  # requirements.txt: what is here now
    pytest --junitxml=report.xml
    python tests/report_changes.py report.xml tested.txt > issue.md

tested.txt is requirements.txt as it was before the pins moved. Prints nothing if
nothing failed but the cell that prints the versions.
"""

import importlib.metadata
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
from course import NAMES, ROOT
from set_up import PIN, REQUIREMENTS, pins

LONGEST = 2500  # characters shown of the first failure in a file
SHORT = 700  # of the later ones, which are often its consequences
MOST = 60_000  # of all; GitHub takes 65,536
COLOURS = re.compile(r"(\x1b|#x1B)\[[\d;]*m")


def take_installed(text):
    """A requirements file with the versions that are installed here: str."""

    def installed(match):
        version = importlib.metadata.version(match[1]).partition("+")[0]
        return f"{match[1]}=={version} ".ljust(len(match[0]))  # keep the column

    return PIN.sub(installed, text)


def moved_pins(tested):
    """What differs between requirements.txt and the file `tested`: a Markdown table."""
    before = pins(Path(tested).read_text(encoding="utf-8"))
    lines = ["| package | tested with | newest |", "|---|---|---|"]
    for name, version in pins(REQUIREMENTS.read_text(encoding="utf-8")).items():
        if before.get(name) != version:
            lines.append(f"| {name} | {before.get(name, 'not there')} | {version} |")
    return "\n".join(lines)


def failures(report):
    """The failed tests of a JUnit file: a list of (file, title, what pytest said).

    A cell is named by its id; a cell that only prints the versions is left out.
    """
    cells = {}
    for name in NAMES:
        notebook = nbformat.read(ROOT / f"{name}.ipynb", 4)
        cells[name] = [cell.id for cell in notebook.cells if cell.cell_type == "code"]
    found = []
    for case in ElementTree.parse(report).iter("testcase"):
        for kind in ("failure", "error"):
            if (failed := case.find(kind)) is None:
                continue
            title = f"{case.get('classname')}: {case.get('name')}"
            if number := re.fullmatch(r"Cell (\d+)", case.get("name")):
                name = next(n for n in NAMES if n in case.get("classname"))
                cell = cells[name][int(number[1])]
                if cell == "profile":
                    continue
                title = f"{name}.ipynb, cell `{cell}`"
            said = COLOURS.sub("", failed.text or "").strip()
            found.append((case.get("classname"), title, said))
    return found


def main():
    """Print the issue, or nothing; or move the pins to what is installed."""
    if sys.argv[1] == "--installed":
        text = take_installed(REQUIREMENTS.read_text(encoding="utf-8"))
        REQUIREMENTS.write_text(text, encoding="utf-8")
        return
    found = failures(sys.argv[1])
    if not found:
        return
    text = f"Checks that fail with the newest releases: {len(found)}.\n\n"
    text += f"{moved_pins(sys.argv[2])}\n"
    seen = set()
    for file, title, said in found:
        end = said[-SHORT:] if file in seen else said[-LONGEST:]
        text += f"\n### {title}\n\n```\n{end}\n```\n"
        seen.add(file)
    print(text[:MOST])


if __name__ == "__main__":
    main()
