"""Broken files end in one clear line; a notebook is written whole or not at all."""

import copy
import shutil

import nbformat
import pytest
from course import ROOT, TINY, copy_of_the_course, execute, setup_cells, write

SAID = "keep the whole tests/tiny/"
BASE, TEST = "base/model.safetensors", "chats/test.jsonl"
# what is wrong -> (file, a function that gives its new content, or None for no file)
FAULTS = {
    "weights missing": (BASE, lambda content: None),
    "weights cut short": (BASE, lambda content: content[:-50]),
    "weights empty": (BASE, lambda content: b""),
    "config unreadable": ("base/config.json", lambda content: b"\xff\x00"),
    "tokenizer cut short": ("base/tokenizer.json", lambda content: content[:-50]),
    "chats missing": (TEST, lambda content: None),
    "chats cut short": (TEST, lambda content: content[:-50]),
}


def test_each_fault_ends_in_one_line(tmp_path):
    tiny = copy_of_the_course(tmp_path)
    notebook = setup_cells()
    first = len(notebook.cells)
    [check] = [cell for cell in notebook.cells if cell.id == "profile"]
    notebook.cells += [copy.deepcopy(check) for _ in FAULTS]

    def damage(at):
        """Before the cell of a fault: mend the last one, and do this one."""
        if at < first:
            return
        shutil.rmtree(tiny)
        shutil.copytree(TINY, tiny)
        name, change = list(FAULTS.values())[at - first]
        content = change((tiny / name).read_bytes())
        (tiny / name).unlink()
        if content is not None:
            (tiny / name).write_bytes(content)

    execute(notebook, tmp_path, damage, allow_errors=True)
    for fault, cell in zip(FAULTS, notebook.cells[first:]):
        errors = [o for o in cell.outputs if o.output_type == "error"]
        assert errors, f"{fault}: nobody noticed"
        assert errors[0].ename == "Stop", f"{fault}: {errors[0].traceback}"
        [line] = errors[0].traceback
        assert SAID in line and "\n" not in line, f"{fault}: {line}"


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
