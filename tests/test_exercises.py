"""Exercises can be attempted, solved and failed; conftest.py runs the attempts."""

import re

import pytest
from course import NAMES, notebooks
from exercises import WRONG, exercises


def test_every_exercise_has_wrong_answers():
    found = {
        f"{name}.{each}" for name in NAMES for each in exercises(notebooks()[name])
    }
    listed = {f"{name}.{each}" for name in WRONG for each in WRONG[name]}
    assert not found - listed, f"no table in wrong_answers.toml for {found - listed}"
    assert not listed - found, f"no notebook has the exercises {listed - found}"
    for name in WRONG:
        for exercise, rows in WRONG[name].items():
            assert len(rows) > 1, f"{name}, {exercise}: only one wrong answer"
            messages = {row["message"] for row in rows}
            assert len(messages) == len(rows), f"{name}, {exercise}: the same message"


@pytest.mark.parametrize("name", NAMES)
def test_run_all_goes_on_past_an_untouched_stub(name):
    checks = [
        cell
        for cell in notebooks()[name].cells
        if any(tag.startswith("check-") for tag in cell.metadata.get("tags", []))
    ]
    assert len(checks) == len(exercises(notebooks()[name]))
    for cell in checks:
        said = [output.text for output in cell.outputs]
        assert said == ["not attempted yet\n"], f"{cell.id}: regenerate"


@pytest.mark.parametrize("name", NAMES)
def test_the_title_says_where_the_exercises_are(name):
    section, found = "0", set()
    for cell in notebooks()[name].cells:
        for line in cell.source.splitlines() if cell.cell_type == "markdown" else []:
            if heading := re.match(r"## (\d+)\.", line):
                section = heading[1]
            if level := re.match("### ([🐢🐕🦁]) ", line):
                found.add((level[1], section))
    title = next(cell for cell in notebooks()[name].cells if cell.id == "title").source
    [line] = re.findall(r"^\*\*Exercises\*\*.*$", title, re.M)
    assert set(re.findall(r"\d+", line)) == {where for _, where in found}, line
    assert set(re.findall("[🐢🐕🦁]", line)) == {level for level, _ in found}, line
