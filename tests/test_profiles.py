"""What a reader sees when something is missing or broken; where profiles differ."""

import ast
import importlib.metadata
import importlib.util
import subprocess
import sys
from itertools import filterfalse

import pytest
from course import (
    NAMES,
    ROOT,
    code_cells,
    copy_of_the_course,
    execute,
    is_file,
    setup_cells,
)
from nbclient.exceptions import CellExecutionError

BASE, TEST = "base/model.safetensors", "chats/test.jsonl"
FAULTS = {  # what is wrong -> (file, what becomes of its content; None: of the file)
    "weights missing": (BASE, None),
    "weights cut short": (BASE, lambda content: content[:-50]),
    "weights empty": (BASE, lambda content: b""),
    "config unreadable": ("base/config.json", lambda content: b"\xff\x00"),
    "tokenizer cut short": ("base/tokenizer.json", lambda content: content[:-50]),
    "chats missing": (TEST, None),
    "chats cut short": (TEST, lambda content: content[:-50]),
}


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


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_file_is_said_in_one_line(fault, tmp_path):
    name, change = FAULTS[fault]
    file = copy_of_the_course(tmp_path) / name
    content = file.read_bytes()
    file.unlink()
    if change:
        file.write_bytes(change(content))
    command = [sys.executable, tmp_path / "tests" / "set_up.py", "tiny"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1, result.stderr
    assert "keep the whole tests/tiny/" in result.stdout
    assert result.stdout.count("\n") == 1


@pytest.mark.parametrize("name", NAMES)
def test_one_cell_holds_all_that_differs_between_the_profiles(name):
    for cell in filterfalse(is_file, code_cells(name)):
        asked = {
            node.id
            for node in ast.walk(ast.parse(cell.source))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        setup = cell.id in ("profile", "models")
        assert setup or "OFFLINE" not in asked, cell.id
        assert setup or "COURSE_PROFILE" not in asked or cell.id == "settings", cell.id
