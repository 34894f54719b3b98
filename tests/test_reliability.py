"""Broken files and a full disk end in one clear line; killed training goes on."""

import copy
import json
import shutil
import subprocess
import sys

import nbformat
import pytest
from run_notebooks import ROOT, execute, write
from test_profiles import TINY, setup_cells


def with_row(messages):
    """A function that gives row 3 of a file of chats other messages."""

    def change(content):
        lines = content.decode().splitlines()
        lines[3] = json.dumps({**json.loads(lines[3]), "messages": messages})
        return "\n".join(lines).encode()

    return change


LOAD, ROW = "keep the whole tests/tiny/", "row 3 of chats['train'] is no list of"
BASE, TRAIN, TEST = "base/model.safetensors", "chats/train.jsonl", "chats/test.jsonl"
# what is wrong -> (file, its new content or None for no file, what the reader is told)
FAULTS = {
    "weights missing": (BASE, lambda content: None, LOAD),
    "weights cut short": (BASE, lambda content: content[:-50], LOAD),
    "weights empty": (BASE, lambda content: b"", LOAD),
    "config unreadable": ("base/config.json", lambda content: b"\xff\x00", LOAD),
    "tokenizer cut short": ("base/tokenizer.json", lambda content: content[:-50], LOAD),
    "chats missing": (TEST, lambda content: None, LOAD),
    "chats cut short": (TEST, lambda content: content[:-50], LOAD),
    "no messages": (TRAIN, with_row(None), ROW),
    "messages are a text": (TRAIN, with_row("Hello!"), ROW),
    "an empty list": (TRAIN, with_row([]), ROW),
    "a message is a text": (TRAIN, with_row(["Hello!"]), ROW),
    "no role": (TRAIN, with_row([{"content": "Hello!"}]), ROW),
    "no text": (TRAIN, with_row([{"role": "user", "content": None}]), ROW),
    "no free disk": (None, None, "less than 100 MB are free in"),
}
NO_FREE_DISK = "shutil.disk_usage = lambda folder: type('Usage', (), {'free': 1e6})\n"


def test_each_fault_ends_in_one_line(tmp_path):
    tiny = tmp_path / "tests" / "tiny"
    shutil.copytree(TINY, tiny)
    notebook = setup_cells()
    *_, models, check = notebook.cells
    first = len(notebook.cells)
    for fault in FAULTS:
        cells = [copy.deepcopy(models), copy.deepcopy(check)]
        if fault == "no free disk":
            cells[1].source = cells[1].source.replace("\n\n", f"\n{NO_FREE_DISK}\n", 1)
        notebook.cells += cells

    def damage(at):
        """Before the cells of a fault: mend the last one, and do this one."""
        if at < first or (at - first) % 2:
            return
        shutil.rmtree(tiny)
        shutil.copytree(TINY, tiny)
        name, change, _ = list(FAULTS.values())[(at - first) // 2]
        if name:
            content = change((tiny / name).read_bytes())
            (tiny / name).unlink()
            if content is not None:
                (tiny / name).write_bytes(content)

    execute(notebook, tmp_path, damage, allow_errors=True)
    for at, (fault, (_, _, said)) in enumerate(FAULTS.items()):
        cells = notebook.cells[first + 2 * at : first + 2 * at + 2]
        errors = [o for cell in cells for o in cell.outputs if o.output_type == "error"]
        assert errors, f"{fault}: nobody noticed"
        assert errors[0].ename == "Stop", f"{fault}: {errors[0].traceback}"
        [line] = errors[0].traceback
        assert said in line and "\n" not in line, f"{fault}: {line}"


def test_a_notebook_is_written_whole_or_not_at_all(tmp_path):
    resource = pytest.importorskip("resource", reason="limits of POSIX")
    notebook, path = nbformat.read(ROOT / "lora.ipynb", 4), tmp_path / "lora.ipynb"
    path.write_text("as it was", encoding="utf-8")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # like a full disk
    try:
        with pytest.raises(OSError):
            write(notebook, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text(encoding="utf-8") == "as it was"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_training_killed_at_any_point_resumes(tmp_path):
    script = ROOT / "tests" / "kill_training.py"
    result = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr[-3000:]
    assert result.stdout.count("the same weights") == 4, result.stdout
