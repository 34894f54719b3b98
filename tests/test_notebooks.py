"""What nbval does not see: cells that must agree, outputs that must not be there."""

import ast
import re
from collections import defaultdict

import nbformat
import pytest
from run_notebooks import NAMES, ROOT

NOTEBOOKS = {name: nbformat.read(ROOT / f"{name}.ipynb", 4) for name in NAMES}
# Cells whose output nbval does not compare: a time or a size, nothing else.
NOT_COMPARED = set()
NBVAL_TAGS = {"nbval-ignore-output", "nbval-skip", "nbval-raises-exception"}
# Not in the install cell: Colab keeps its own, or a notebook does not need it.
NOT_ON_COLAB = {"torch", "pandas", "scipy", "matplotlib", "tensorboard"}
NOT_ON_COLAB |= {"scikit-learn", "jupyter", "pytest", "nbval", "pytest-xdist"}
UNSTABLE = re.compile(
    r"/tmp/|/home/|/root/|/Users/|\bat 0x[0-9a-f]{6,}|it/s\]|examples/s\]|Wall time"
)


def code_cells(name):
    """The code cells of a notebook: a list of NotebookNode."""
    return [cell for cell in NOTEBOOKS[name].cells if cell.cell_type == "code"]


def tags(cell):
    """The tags of a cell: a set of str."""
    return set(cell.metadata.get("tags", []))


def requirements():
    """The pins of requirements.txt: dict of package -> version."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.partition("#")[0].strip() for line in lines]
    return dict(pin.split("==") for pin in pins if pin)


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
        assert needed <= found, f"{name} lacks {needed - found}"


def test_install_cell_has_the_pins_of_requirements():
    pins = requirements()
    cell = next(c for c in code_cells(NAMES[0]) if "shared-install" in tags(c))
    assignments = [
        n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Assign)
    ]
    targets = {ast.unparse(node.targets[0]): node.value for node in assignments}
    wanted = {name: pins[name] for name in pins.keys() - NOT_ON_COLAB}
    assert ast.literal_eval(targets["PINS"]) == wanted
    assert ast.literal_eval(targets["PINS['torch']"]) == pins["torch"]


def test_pins_are_exact():
    for name, version in requirements().items():
        assert re.fullmatch(r"\d+(\.\d+)+", version), f"{name} is not pinned exactly"


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
        for output in cell.outputs:
            text = str(output.get("text", "")) + str(output.get("data", ""))
            assert output.output_type != "error", f"{cell.id} ends in an error"
            assert output.get("name") != "stderr", f"{cell.id} prints to stderr: {text}"
            assert not UNSTABLE.search(text), f"{cell.id}: {UNSTABLE.search(text)[0]}"


@pytest.mark.parametrize("name", NAMES)
def test_numbers_in_the_text_are_shown_by_a_cell(name):
    shown = " ".join(
        cell.source + str(cell.get("outputs", "")) for cell in code_cells(name)
    )
    for cell in NOTEBOOKS[name].cells:
        if cell.cell_type == "markdown" and not tags(cell) & {"measured"}:
            prose = re.sub(
                r"`[^`]*`|```.*?```|\]\([^)]*\)", "", cell.source, flags=re.S
            )
            for number in re.findall(r"\d+(?:\.\d+)?%|\d+\.\d+", prose):
                assert number in shown, f"{cell.id}: no cell shows {number}"


def test_cells_are_short():
    for name in NAMES:
        for cell in code_cells(name):
            lines = [line for line in cell.source.splitlines() if line.strip()]
            assert len(lines) <= 25, f"{name} {cell.id}: {len(lines)} lines"
            assert max(map(len, lines)) <= 88, (
                f"{name} {cell.id}: a line over 88 columns"
            )
