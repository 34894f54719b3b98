"""The real SmolLM2-135M: its record fits the notebooks, and new runs fit the record."""

import ast
import re

import nbformat
import pytest
import record
from course import NAMES, ROOT, execute, holds, notebooks, numbers, outputs

RECORD = record.read()["cpu"]
# What a slow test runs on the real weights: the last cell (None for all), and (what is
# counted in that kernel, the least and the most it may be).
CORE = {
    "chat_templates": (None, []),
    "sfttrainer": ("after", [("base_marks", 0, 0.05), ("sft_marks", 0.40, 1)]),
    "lora": ("fine-tune", [("base_marks", 0, 0.05), ("lora_marks", 0.35, 1)]),
    # To the scores of a benchmark; its students are those of the two lessons above.
    "evaluation": ("extracted", []),
}
LEFT_OUT = {"cut", "cut-claims", "cut-plot", "memory-plot"}  # the rest does without


def claims_of(name):
    """The claims that a notebook prints: a list of (section, cell id, text)."""
    section, found = "0", []
    for cell in notebooks()[name].cells:
        if heading := re.search(r"^## (\d+)\.", cell.source, re.M):
            section = heading[1]
        if cell.cell_type == "code":
            printed = re.findall(r"^holds: (.+?) \(.*\)$", outputs(cell), re.M)
            found += [(section, cell.id, text) for text in printed]
    return found


def sections_about_the_real_model(name):
    """What the text says of SmolLM2-135M: dict of section -> sentences, str."""
    section, found = "0", {}
    for cell in notebooks()[name].cells:
        if heading := re.search(r"^## (\d+)\.", cell.source, re.M):
            section = heading[1]
        if cell.cell_type == "markdown":
            said = re.findall(r"SmolLM2-135M: .*", cell.source)
            found[section] = " ".join([found.get(section, ""), *said]).strip()
    return found


def test_claims_are_told_apart():
    texts = [text for name in NAMES for _, _, text in claims_of(name)]
    assert len(texts) == len(set(texts)), "two claims have the same words"
    assert min(len(claims_of(name)) for name in NAMES) >= 8


@pytest.mark.parametrize("name", NAMES)
def test_the_record_has_the_claims_of_the_notebook(name):
    said = "on a CPU run tests/run_notebooks.py --profile smol --record"
    kept = {
        text: row for text, row in RECORD["claims"].items() if row["notebook"] == name
    }
    assert {text for _, _, text in claims_of(name)} == set(kept), said
    for section, cell, text in claims_of(name):
        assert str(kept[text]["section"]) == section, f"{cell} is in section {section}"


@pytest.mark.parametrize("name", NAMES)
def test_where_the_real_model_differs_the_text_says_so(name):
    said = sections_about_the_real_model(name)
    shown = {}
    for text, row in RECORD["claims"].items():
        if row["notebook"] == name:
            section = str(row["section"])
            shown[section] = f"{shown.get(section, '')} {row['shown']}"
            assert row["holds"] or said.get(section), (
                f"section {section} does not say what SmolLM2-135M does: {text}"
            )
    for section, text in said.items():
        for number in numbers(text.replace("SmolLM2-135M", "")):
            found = holds(shown.get(section, ""), number)
            assert found, f"section {section}: {number} is not in the record"


def test_most_claims_hold_on_both_models():
    rows = RECORD["claims"].values()
    assert sum(row["holds"] for row in rows) >= 0.85 * len(rows)


@pytest.mark.parametrize("name", NAMES)
def test_time_and_memory_of_the_real_model_are_those_of_the_record(name):
    cost = RECORD["notebooks"][name]
    minutes, gigabytes = f"{cost['minutes']:.0f}", f"{cost['gigabytes']:.0f}"
    cells = {cell.id: cell.source for cell in notebooks()[name].cells}
    said = rf"about {minutes} minutes and {gigabytes} GB"
    assert re.search(said, cells["title"]), f"title: {said}"
    [line] = [
        line
        for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| [{name}.ipynb]")
    ]
    assert f"| {minutes} minutes, {gigabytes} GB |" in line


@pytest.mark.slow
@pytest.mark.parametrize("name", CORE)
def test_the_real_model_does_what_was_recorded(name, weights, monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "smol")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # two tests share two cores
    notebook = nbformat.read(ROOT / f"{name}.ipynb", 4)
    last, measured = CORE[name]
    ids = [cell.id for cell in notebook.cells]
    end = ids.index(last) + 1 if last else len(ids)
    notebook.cells = [c for c in notebook.cells[:end] if c.id not in LEFT_OUT]
    shares = ", ".join(f"sum({marks}) / len({marks})" for marks, _, _ in measured)
    notebook.cells.append(nbformat.v4.new_code_cell(f"print([{shares}])"))
    record.ask_for_claims(notebook)
    execute(notebook, weights)
    _, found = record.claims(notebook)
    counted = ast.literal_eval(notebook.cells[-1].outputs[0].text)
    for share, (marks, least, most) in zip(counted, measured):
        assert least <= share <= most, f"{marks}: {share:.0%}"
    recorded = {text: RECORD["claims"][text]["holds"] for text in found}
    assert {text: row["holds"] for text, row in found.items()} == recorded
