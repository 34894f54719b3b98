"""The cells: copies that must be equal, pins, and outputs that nbval compares."""

import ast
import importlib.metadata
import re
from collections import defaultdict

import nbformat
import pytest
from move_pins import REQUIREMENTS, pins
from run_notebooks import NAMES, ROOT

NOTEBOOKS = {name: nbformat.read(ROOT / f"{name}.ipynb", 4) for name in NAMES}
# Cells whose output nbval does not compare: a time or a size, nothing else.
NOT_COMPARED = set()
NBVAL_TAGS = {"nbval-ignore-output", "nbval-skip", "nbval-raises-exception"}
# Not in the install cell: Colab keeps its own, or a notebook does not need it.
NOT_ON_COLAB = {"torch", "pandas", "scipy", "matplotlib", "tensorboard"}
NOT_ON_COLAB |= {"scikit-learn", "jupyter", "pytest", "nbval", "pytest-xdist"}
NOT_ON_COLAB |= {"ruff", "codespell", "zizmor", "check-jsonschema"}


def code_cells(name):
    """The code cells of a notebook: a list of NotebookNode."""
    return [cell for cell in NOTEBOOKS[name].cells if cell.cell_type == "code"]


def tags(cell):
    """The tags of a cell: a set of str."""
    return set(cell.metadata.get("tags", []))


def test_shared_cells_are_equal():
    sources, places = defaultdict(set), defaultdict(list)
    for name in NAMES:
        for cell in code_cells(name):
            for tag in tags(cell):
                if tag.startswith("shared-") or tag == "parameters":
                    sources[tag].add(cell.source)
                    places[tag].append(name)
    assert {"shared-install", "shared-profile", "parameters"} <= set(sources)
    for tag, texts in sources.items():
        assert len(texts) == 1, f"{tag} differs between {places[tag]}"
        assert len(places[tag]) > 1, f"{tag} is only in {places[tag]}: no need to share"


def test_setup_cells_are_in_every_notebook():
    for name in NAMES:
        found = set().union(*map(tags, code_cells(name)))
        needed = {"shared-install", "shared-versions", "parameters", "shared-profile"}
        needed |= {"shared-models", "shared-claim", "shared-recap"}
        assert needed <= found, f"{name} lacks {needed - found}"


def test_install_cell_has_the_pins_of_requirements():
    versions = pins(REQUIREMENTS.read_text(encoding="utf-8"))
    cell = next(c for c in code_cells(NAMES[0]) if "shared-install" in tags(c))
    assignments = [
        n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Assign)
    ]
    targets = {ast.unparse(node.targets[0]): node.value for node in assignments}
    wanted = {name: versions[name] for name in versions.keys() - NOT_ON_COLAB}
    said = "run tests/move_pins.py"
    assert ast.literal_eval(targets["PINS"]) == wanted, said
    assert ast.literal_eval(targets["PINS['torch']"]) == versions["torch"], said


def test_what_is_pinned_is_installed():
    for name, version in pins(REQUIREMENTS.read_text(encoding="utf-8")).items():
        installed = importlib.metadata.version(name).partition("+")[0]
        assert installed == version, f"{name}: run pip install -r requirements.txt"


def test_pins_are_exact():
    for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        exact = re.match(r"$|#|[\w-]+==\d+(\.\d+)+ +# ", line)
        assert exact, f"a pin and its reason: {line}"


def test_only_times_and_sizes_are_not_compared():
    found = {
        (name, cell.id)
        for name in NAMES
        for cell in code_cells(name)
        if tags(cell) & NBVAL_TAGS
    }
    assert found == NOT_COMPARED


@pytest.mark.parametrize("name", NAMES)
def test_saved_outputs_are_of_one_clean_run(name):
    for number, cell in enumerate(code_cells(name), start=1):
        # nbval does not compare a cell without a count.
        assert cell.execution_count == number, f"{cell.id}: run all, from the top"


def test_cells_are_short():
    for name in NAMES:
        for cell in code_cells(name):
            lines = [line for line in cell.source.splitlines() if line.strip()]
            assert len(lines) <= 25, f"{name} {cell.id}: {len(lines)} lines"
            assert max(map(len, lines)) <= 88, (
                f"{name} {cell.id}: a line over 88 columns"
            )
