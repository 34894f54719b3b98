"""Exercises can be attempted, solved and failed; conftest.py runs the attempts."""

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
        assert [output.text for output in cell.outputs] == ["not attempted yet\n"]
