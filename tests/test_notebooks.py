"""The cells: copies that must be equal, pins, and outputs that nbval compares."""

import importlib.metadata
import re

import pytest
from course import NAMES, ROOT, code_cells, notebooks, settings
from set_up import REQUIREMENTS, pins
from sync import attachments, copies

NBVAL_TAGS = {"nbval-ignore-output", "nbval-skip", "nbval-raises-exception"}
FORM = {"cellView": "form", "jupyter": {"source_hidden": True}}


def tags(cell):
    """The tags of a cell: a set of str."""
    return set(cell.metadata.get("tags", []))


def test_shared_cells_are_equal():
    places = copies(notebooks())
    assert {"shared-course", "shared-profile", "shared-recap"} <= set(places)
    for tag, cells in places.items():
        different = len({cell.source for cell in cells.values()}) > 1
        assert not different, f"{tag} differs between {[*cells]}: run tests/sync.py"
        assert len(cells) > 1, f"{tag} is only in {[*cells]}: no need to share"


def test_diagrams_are_those_of_the_files():
    shown = set()
    for name in NAMES:
        for cell in notebooks()[name].cells:
            wanted = attachments(cell)
            assert cell.get("attachments", {}) == wanted, "run tests/sync.py"
            shown |= set(wanted)
    assert shown == {path.name for path in (ROOT / "tests" / "diagrams").iterdir()}


@pytest.mark.parametrize("name", NAMES)
def test_setup_is_short_folded_and_everywhere(name):
    cells = notebooks()[name].cells
    first = next(at for at, cell in enumerate(cells) if cell.id == "s1")
    setup = [cell for cell in cells[:first] if cell.cell_type == "code"]
    assert [cell.id for cell in setup] == ["course", "profile", "models"]
    lines = [line for cell in setup for line in cell.source.splitlines() if line]
    assert len(lines) <= 45, f"{len(lines)} lines before the first section"
    for cell in setup:
        folded = {key: cell.metadata.get(key) for key in FORM} == FORM
        assert folded and cell.source.startswith("# @title "), f"{cell.id}: not folded"
    shared = set().union(*map(tags, code_cells(name)))
    needed = {"shared-questions", "shared-claim", "shared-recap"}
    assert needed <= shared, f"{name} lacks {needed - shared}"


@pytest.mark.parametrize("profile", ["tiny", "smol"])
def test_evaluation_trains_as_the_lessons_do(profile):
    sft, lora, evaluation = (settings(name, profile) for name in NAMES[1:])
    for ours, epochs, lesson, rate in [
        ("SFT", sft["EPOCHS"], sft, sft["LEARNING_RATE"]),
        ("LORA", 1, lora, lora["LEARNING_RATE"]),
    ]:
        theirs = {"epochs": epochs, "batch_size": lesson["BATCH_SIZE"], "rate": rate}
        assert evaluation[ours] == theirs
    assert evaluation["LORA_ROWS"] == lora["ROWS"]
    scaled = {"r": lora["RANK"], "lora_alpha": lora["ALPHA"]}
    assert evaluation["ADAPTER"] == {**scaled, "target_modules": "all-linear"}


def test_what_is_pinned_is_installed():
    pinned = pins(REQUIREMENTS.read_text(encoding="utf-8"))
    here = {name: importlib.metadata.version(name).partition("+")[0] for name in pinned}
    assert here == pinned, "left: installed; pip install -r requirements.txt"


def test_pins_are_exact():
    for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        exact = re.match(r"$|#|[\w-]+==\d+(\.\d+)+ +# ", line)
        assert exact, f"a pin and its reason: {line}"


def test_every_output_is_compared():
    for name in NAMES:
        for cell in code_cells(name):
            assert not tags(cell) & NBVAL_TAGS, f"{name}, {cell.id}"


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
