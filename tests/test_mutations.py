"""The gate itself: faults made on purpose, each of which some test must notice."""

import json
import os
import subprocess
import sys
import tomllib

import nbformat
import pytest
from course import ROOT, copy_of_the_repository

FILE = ROOT / "tests" / "mutations.toml"
MUTATIONS = tomllib.loads(FILE.read_text(encoding="utf-8"))["mutation"]


def run_pytest(folder, *arguments):
    """pytest in a copy, up to its first failure: (exit status, what it printed)."""
    if arguments[0].endswith(".ipynb"):
        arguments += ("tests/test_exercises.py",)  # see .pytest.ini
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-n", "0", *arguments],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
        capture_output=True,
        text=True,
    )
    return result.returncode, result.stdout


def mutate(text, mutation):
    """The text with a part replaced; fails if the part is not there."""
    assert mutation["old"] in text, f"{mutation['what']}: the part is not there"
    return text.replace(mutation["old"], mutation["new"])


def marked(mutation):
    """A mutation as a parameter: slow if its test has to execute a notebook."""
    slow = [pytest.mark.slow] if mutation["run"].endswith(".ipynb") else []
    where = f"{mutation['file']} {mutation.get('cell', '')}".strip()
    return pytest.param(mutation, marks=slow, id=f"{mutation['what']}: {where}")


def mutated_copy(mutation, tmp_path):
    """A copy of the repository with a mutation in it: Path."""
    folder = copy_of_the_repository(tmp_path)
    path = folder / mutation["file"]
    if "cell" not in mutation:
        path.write_text(mutate(path.read_text(encoding="utf-8"), mutation), "utf-8")
        return folder
    notebook = nbformat.read(path, 4)
    [at] = [n for n, cell in enumerate(notebook.cells) if cell.id == mutation["cell"]]
    text = mutate(json.dumps(notebook.cells[at], ensure_ascii=False), mutation)
    notebook.cells[at] = nbformat.from_dict(json.loads(text))
    nbformat.write(notebook, path)
    return folder


def test_every_mutation_finds_its_words(tmp_path):
    for number, mutation in enumerate(MUTATIONS):
        mutated_copy(mutation, tmp_path / str(number))


@pytest.mark.parametrize("mutation", [*map(marked, MUTATIONS)])
def test_mutation_is_caught(mutation, tmp_path):
    status, said = run_pytest(mutated_copy(mutation, tmp_path), mutation["run"])
    assert status == 1, said[-3000:]
    assert mutation["caught"] in said, said[-3000:]


def test_an_unchanged_copy_passes(tmp_path):
    folder = copy_of_the_repository(tmp_path)
    checks = {row["run"] for row in MUTATIONS if row["run"].startswith("tests/")}
    status, said = run_pytest(folder, *sorted(checks))
    assert status == 0, said[-3000:]
