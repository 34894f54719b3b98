"""What a reader sees when something is missing, and where the profile is asked for."""

import ast
import importlib.metadata
import importlib.util
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from run_notebooks import NAMES, ROOT, execute
from test_notebooks import code_cells

TINY = ROOT / "tests" / "tiny"


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


def stop_line(notebook, folder):
    """Run a notebook that must stop; what the reader sees, which must be one line."""
    with pytest.raises(CellExecutionError):
        execute(notebook, folder)
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    [output] = [output for output in shown if output.output_type == "error"]
    assert output.ename == "Stop", output.traceback
    [line] = output.traceback
    assert "\n" not in line
    return line


def test_unknown_profile(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "huge")
    assert "'huge', which is no profile" in stop_line(setup_cells(), ROOT)


def test_missing_tiny_files(tmp_path):
    assert "tests/tiny/ is missing" in stop_line(setup_cells(), tmp_path)


def test_smol_without_network(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_PROFILE", "smol")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # as if the network were away
    copy_of_the_course(tmp_path)
    assert "connect to the network" in stop_line(setup_cells(), tmp_path)


def test_another_version(tmp_path):
    copy_of_the_course(tmp_path)
    installed = importlib.metadata.version("trl")
    file = tmp_path / "requirements.txt"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(f"trl=={installed}", "trl==0.0.1"), encoding="utf-8")
    line = stop_line(setup_cells(), tmp_path)
    assert f"trl is {installed}, but this course needs 0.0.1" in line
    assert "pip install -r requirements.txt" in line


@pytest.mark.parametrize("name", NAMES)
def test_one_cell_holds_all_that_differs_between_the_profiles(name):
    for cell in code_cells(name):
        asked = {
            node.id
            for node in ast.walk(ast.parse(cell.source))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        setup = cell.id in ("profile", "models")
        assert setup or "OFFLINE" not in asked, cell.id
        assert setup or "COURSE_PROFILE" not in asked or cell.id == "settings", cell.id


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
