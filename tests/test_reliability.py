"""Broken files end in one clear line."""

import copy
import shutil

from course import TINY, copy_of_the_course, execute, setup_cells

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
