"""What a reader sees when something is missing, and the smol profile on stand-ins."""

import importlib.metadata
import importlib.util
import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from run_notebooks import NAMES, ROOT, execute

TINY = ROOT / "tests" / "tiny"


def setup_cells():
    """A notebook cut after the cell that checks models and chats."""
    notebook = nbformat.read(ROOT / "chat_templates.ipynb", 4)
    last = next(at for at, cell in enumerate(notebook.cells) if cell.id == "check-data")
    notebook.cells = notebook.cells[: last + 1]
    return notebook


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
    assert "keep the whole tests/tiny/" in stop_line(setup_cells(), tmp_path)


def test_smol_without_network(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_PROFILE", "smol")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # as if the network were away
    assert "connect to the network" in stop_line(setup_cells(), tmp_path)


def test_another_version():
    notebook = setup_cells()
    cell = next(cell for cell in notebook.cells if cell.id == "install")
    cell.source, changes = re.subn(r'"trl": "[\d.]+"', '"trl": "0.0.1"', cell.source)
    assert changes == 1
    line = stop_line(notebook, ROOT)
    installed = importlib.metadata.version("trl")
    assert f"trl is {installed}, but this course needs 0.0.1" in line
    assert "pip install -r requirements.txt" in line


def stand_ins(folder):
    """Fill `folder` with local folders named like what the smol profile loads."""
    hub = folder / "HuggingFaceTB"
    shutil.copytree(TINY / "base", hub / "SmolLM2-135M")
    shutil.copytree(TINY / "instruct", hub / "SmolLM2-135M-Instruct")
    # Like SmolLM2's own: it adds a system message where there is none.
    template = ROOT / "tests" / "smollm2_template.jinja"
    shutil.copy(template, hub / "SmolLM2-135M-Instruct" / "chat_template.jinja")
    shutil.copytree(hub / "SmolLM2-135M-Instruct", hub / "SmolLM2-1.7B-Instruct")
    shutil.copytree(TINY / "chats", hub / "smoltalk")
    files = [{"split": s, "path": f"{s}.jsonl"} for s in ("train", "test")]
    configs = [{"config_name": "everyday-conversations", "data_files": files}]
    card = f"---\nconfigs: {json.dumps(configs)}\n---\n"
    (hub / "smoltalk" / "README.md").write_text(card)
    shutil.copytree(TINY / "quiz", folder / "lighteval" / "mmlu")
    nltk = folder / "nltk_data" / "tokenizers"
    for name in ("punkt", "punkt_tab"):
        (nltk / name).mkdir(parents=True)
    # Downloaded by lighteval's import, for a benchmark that nobody runs here.
    package = Path(importlib.util.find_spec("lighteval").origin).parent
    (package / "tasks" / "tasks" / "tinyBenchmarks.pkl").touch()
    return nltk.parent


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_smol_profile_runs_on_stand_ins(name, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "smol")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("NLTK_DATA", str(stand_ins(tmp_path)))
    notebook = nbformat.read(ROOT / f"{name}.ipynb", 4)
    execute(notebook, tmp_path, allow_errors=True)
    errors = [
        f"{cell.id}: {output.ename}: {output.evalue}"
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    # The settings of smol are not those a tiny model learns with: claims on how much
    # is learned may fail here, everything else must work.
    unexpected = [
        error
        for error in errors
        if "AssertionError" not in error or "should" not in error
    ]
    assert not unexpected
    assert any(
        "profile smol" in str(cell.get("outputs", "")) for cell in notebook.cells
    )
