"""The benchmarks that the texts name are checked, and the README's command runs."""

import re
import shlex

import nbformat
import pytest
from course import ROOT, lighteval

NOTEBOOK = nbformat.read(ROOT / "evaluation.ipynb", 4)
# In the table because lighteval does not have it: its package, not a task.
PACKAGES = {"alpaca_eval", "bfcl-eval", "crfm-helm"}


def test_the_notebook_checks_the_names_of_its_table():
    cells = {cell.id: cell.source for cell in NOTEBOOK.cells}
    lines = [line for line in cells["s1"].splitlines() if line.startswith("|")][2:]
    names = re.findall(r"`([^`]+)`", " ".join(line.split("|")[4] for line in lines))
    parts = re.findall(r"IN_TABLE \+?= (\[.*?\])", cells["import-lighteval"], re.S)
    checked = re.findall(r'"([^"]+)"', " ".join(parts))
    assert set(checked) == set(names) - PACKAGES


@pytest.mark.slow
def test_the_command_of_the_readme_runs(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [command] = re.findall(r"^\.venv/bin/lighteval (.*)$", readme, re.M)
    printed = lighteval(tmp_path, shlex.split(command))
    assert "|mmlu:professional_medicine:0|" in printed
    assert len(list((tmp_path / "results").rglob("details_mmlu*.parquet"))) == 4
