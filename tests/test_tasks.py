"""The benchmarks named in evaluation.ipynb exist in the installed lighteval."""

import os
import re
import subprocess
import sys

import nbformat
import pytest
from run_notebooks import ROOT
from test_profiles import stand_ins

NOTEBOOK = nbformat.read(ROOT / "evaluation.ipynb", 4)
# In the table because lighteval does not have it: its package, not a task.
PACKAGES = {"alpaca_eval", "crfm-helm"}


def table_names():
    """What the last column of the table of section 1 sets as code: set of str."""
    cell = next(cell for cell in NOTEBOOK.cells if cell.id == "s1")
    lines = [line for line in cell.source.splitlines() if line.startswith("|")][2:]
    names = re.findall(r"`([^`]+)`", " ".join(line.split("|")[4] for line in lines))
    return set(names) - PACKAGES


def test_the_notebook_checks_the_names_of_its_table():
    cell = next(cell for cell in NOTEBOOK.cells if cell.id == "import-lighteval")
    parts = re.findall(r"IN_TABLE \+?= (\[.*?\])", cell.source, re.S)
    assert set(re.findall(r'"([^"]+)"', " ".join(parts))) == table_names()


@pytest.mark.slow
def test_lighteval_knows_the_names(tmp_path):
    code = (
        "import sys\n"
        "from lighteval.tasks.registry import Registry\n"
        "known = Registry.load_all_task_configs()\n"
        "print('missing', [name for name in sys.argv[1:] if name not in known])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *sorted(table_names())],
        env={
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "NLTK_DATA": str(stand_ins(tmp_path)),
        },
        capture_output=True,
        text=True,
    )
    assert "missing []" in result.stdout, result.stdout + result.stderr[-2000:]
