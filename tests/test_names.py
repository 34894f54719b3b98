"""Cells say the same in any order that respects definitions: no stale names."""

import ast
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from course import NAMES, code_cells, is_file


def names_bound(cell):
    """The names that a cell binds at the top level, imports left out: a set of str."""
    bound = set()
    queue = list(ast.parse(cell.source).body)
    while queue:
        node = queue.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
        inner = ast.FunctionDef | ast.ClassDef | ast.Lambda | comprehension
        if not isinstance(node, inner):  # they have names of their own
            queue += ast.iter_child_nodes(node)
    return bound


def names_read(cells, folder):
    """What each cell reads without binding it first: dict of cell's id -> set of str.

    ruff says so: in the cell alone, these names are undefined.
    """
    for cell in cells:
        (folder / f"{cell.id}.py").write_text(cell.source, encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821"]
    command += ["--output-format", "json", str(folder)]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    read = defaultdict(set)
    for each in json.loads(found):
        read[Path(each["filename"]).stem].add(each["message"].split("`")[1])
    return read


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_another_cell_reads_is_bound_once(name, tmp_path):
    cells = [cell for cell in code_cells(name) if not is_file(cell)]
    places = defaultdict(list)
    for cell in cells:
        for bound in names_bound(cell):
            places[bound].append(cell.id)
    read = names_read(cells, tmp_path)
    assert len(read) > len(cells) / 2, "ruff has found next to nothing"
    stale = {
        f"{cell}: {name}": places[name]
        for cell, names in read.items()
        for name in names
        if len(places[name]) > 1
    }
    assert not stale, "rename one: the last cell to run decides what is read"
