"""What the notebooks' claims come to on SmolLM2-135M: kept in smollm2.json.

The file holds, for each kind of device ("cpu", "cuda"), each claim with its values, and
for each notebook its time and memory, the weights' origin, and the versions. A
notebook's recap shows the claims; tests compare them with the text and with new runs.
"""

import ast
import datetime
import importlib.metadata
import json
import os
import platform
import threading

import nbformat
import psutil
from course import ROOT
from real_weights import WEIGHTS

FILE = ROOT / "tests" / "smollm2.json"
PACKAGES = ["torch", "transformers", "trl", "peft", "lighteval", "bitsandbytes"]
LAST_CELL = "print((DEVICE, CLAIMS))"  # says what was found; nobody saves it


class Peak(threading.Thread):
    """Watches the memory of this process's children: the largest sum, in bytes."""

    def __init__(self):
        """Start to watch."""
        super().__init__(daemon=True)
        self.bytes, self.over = 0, threading.Event()
        self.start()

    def run(self):
        """Look every three seconds: adding up the pages of 10 GB takes a while."""
        while not self.over.wait(3):
            now = 0
            for child in psutil.Process().children(recursive=True):
                try:
                    memory = child.memory_full_info()  # shared pages count once
                    now += getattr(memory, "pss", memory.rss)
                except psutil.Error:  # it has ended
                    continue
            self.bytes = max(self.bytes, now)


def ask_for_claims(notebook):
    """Put a cell behind the last one that prints the device and the claims."""
    notebook.cells.append(nbformat.v4.new_code_cell(LAST_CELL))


def claims(notebook):
    """Take that cell off again: (device, dict of claim -> section, holds, shown)."""
    [output] = notebook.cells.pop().outputs
    return ast.literal_eval(output.text)


def read():
    """The records: dict of device -> record."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def weights_used():
    """Where the weights came from: str."""
    notes = sorted(WEIGHTS.glob("HuggingFaceTB/*/NOTE.txt"))
    if not notes:
        return "the Hugging Face Hub"
    return "; ".join(f"{n.parent.name}: {n.read_text(encoding='utf-8')}" for n in notes)


def save(name, device, found, seconds, peak):
    """Write what a run of a notebook has found into the file.

    found: its claims, as claims() gives them; seconds and peak (bytes) of the run
    """
    records = read()
    record = records.setdefault(device, {})
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    if device == "cuda":
        import torch

        machine = torch.cuda.get_device_name()
    record.setdefault("notebooks", {})[name] = {
        "minutes": round(seconds / 60, 1),
        "gigabytes": round(peak / 1e9, 1),
        "date": datetime.date.today().isoformat(),
        "machine": machine,
        "weights": weights_used(),
        "versions": {each: importlib.metadata.version(each) for each in PACKAGES},
    }
    kept = record.get("claims", {}).items()
    others = {text: row for text, row in kept if row["notebook"] != name}
    new = {text: {"notebook": name, **row} for text, row in found.items()}
    record["claims"] = others | new
    lines = json.dumps(records, indent=1, ensure_ascii=False, sort_keys=True)
    FILE.write_text(lines + "\n", encoding="utf-8", newline="\n")
