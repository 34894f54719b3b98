"""The front page: its figures, picture and quotations are those of the notebooks."""

import re

import pytest
import record
from course import FACTS, NAMES, ROOT, holds, notebooks, numbers, outputs
from draw_result import MODELS, PICTURE, draw, scores, words

# Versions, and what a test of its own compares: no results of one notebook.
HOW_TO = {"Run it", "License", "What did not hold on the real model"}
README = (ROOT / "README.md").read_text(encoding="utf-8")
REAL = "\n".join(row["shown"] for row in record.read()["cpu"]["claims"].values())
PRINTED = {name: "\n".join(map(outputs, notebooks()[name].cells)) for name in NAMES}


def sections():
    """What README.md says of the course, by heading: dict of str -> str."""
    parts = re.split(
        r"^#+ (.+)$", re.sub(r"```.*?```", "", README, flags=re.S), flags=re.M
    )
    found = dict(zip(parts[1::2], parts[2::2]))
    return {title: found[title] for title in found if title not in HOW_TO}


@pytest.mark.parametrize("title", sections())
def test_figures_are_shown_by_the_notebook(title):
    named = re.search(r"\((\w+)\.ipynb\)", title)
    shown = PRINTED[named[1]] if named else "\n".join([*PRINTED.values(), REAL])
    text = sections()[title]
    if title == "The four lessons":  # its table is compared below
        text = re.sub(r"^\|.*$", "", text, flags=re.M)
    for number in numbers(text) - FACTS:
        assert holds(shown, number), f"{title}: no output shows {number}"


@pytest.mark.parametrize("name", NAMES)
def test_time_and_memory_are_those_of_the_notebook(name):
    title = next(cell for cell in notebooks()[name].cells if cell.id == "title").source
    [line] = [
        line for line in README.splitlines() if line.startswith(f"| [{name}.ipynb]")
    ]
    _, _, question, tiny, _, _ = (part.strip() for part in line.split("|"))
    assert title.startswith(f"# {question}\n")
    said = re.search(r"takes about (\d+ seconds) and ([\d.]+ GB)", title)
    assert said, "the title: takes about N seconds and N GB"
    assert tiny.startswith(f"{said[1]}, {said[2]}, "), f"README: {said[1]}, {said[2]}"
    assert f" {tiny.split(', ')[2]} of disk" in title


def test_the_picture_is_that_of_the_scores():
    found = PICTURE.read_text(encoding="utf-8")
    assert found == draw(), "run python tests/draw_result.py"
    [alternative] = re.findall(r"!\[([^\]]*)\]\(\.github/result\.svg\)", README)
    for world, bars in scores().items():
        said = ", ".join(words(name, bars) for name in MODELS)
        assert f"{world}: {said}" in alternative


def test_what_did_not_hold_on_the_real_model_is_said():
    claims = record.read()["cpu"]["claims"]
    said = re.search(
        r"(\d+) of the lessons' (\d+) claims held\..*?\n\n(- .*?)\n\n", README, re.S
    )
    failed = [
        f"- {text} ({found['notebook']}, section {found['section']})"
        for text, found in claims.items()
        if not found["holds"]
    ]
    assert said[3].splitlines() == failed, "\n".join(["README should list:", *failed])
    assert (int(said[1]), int(said[2])) == (len(claims) - len(failed), len(claims))


def test_quoted_replies_were_written():
    quotation = re.search(r"asks it `(.+?)` and gets `(.+?)` .*? says `(.+?)`", README)
    for text in quotation.groups():
        assert text in PRINTED["sfttrainer"], text


def test_ci_runs_the_command_of_the_readme():
    commands = re.findall(r"^python3 -m venv.*$", README, re.M)
    assert [command.rpartition("/bin/")[2] for command in commands] == [
        "python tests/run_notebooks.py",
        "pytest",
    ]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert "pytest" in ci and any("-r requirements.txt" in line for line in ci)


def test_every_file_that_contributing_names_is_there():
    table = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:tests|\.github|\.ci)/[\w./]+)`", table):
        assert (ROOT / path).exists(), path
