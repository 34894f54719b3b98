"""The exercises of a notebook, read from its cells, and the attempts at each.

The cells of an exercise are tagged exercise-NAME, check-NAME and solution-NAME; the
check is a function check_NAME(attempt) that returns one line.
"""

import re
import tomllib
from pathlib import Path

FILE = Path(__file__).parent / "wrong_answers.toml"
WRONG = tomllib.loads(FILE.read_text(encoding="utf-8"))


def exercises(notebook):
    """The exercises of a notebook: dict of name -> {"exercise", "solution"}: source."""
    found = {}
    for cell in notebook.cells:
        for tag in cell.metadata.get("tags", []):
            kind, _, name = tag.partition("-")
            if kind == "exercise":
                found[name] = {kind: cell.source}
            if kind == "solution":
                assert name in found, f"the tag {tag} has no exercise-{name} before it"
                code = re.findall(r"```python\n(.*?)```", cell.source, re.S)
                assert len(code) == 1, f"{tag}: one block ```python, not {len(code)}"
                found[name][kind] = code[0]
    return found


def attempts(name, notebook):
    """What to run after the cells of a notebook: a list of (what, source).

    A source fails if the check says something else than it should.
    """
    found = []
    for exercise, sources in exercises(notebook).items():
        function = re.search(r"^def (\w+)", sources["exercise"], re.M)
        assert function and "solution" in sources, f"{exercise}: a part is missing"
        right = f"{sources['solution']}\nsolved = {function[1]}"
        rows = [("solution", right, function[1], "said == 'correct'")]
        for number, row in enumerate(WRONG.get(name, {}).get(exercise, []), start=1):
            what = f"wrong answer {number} of wrong_answers.toml"
            test = f"{row['message']!r} in said"
            rows.append((what, row["attempt"], "attempt", test))
        for what, source, attempt, test in rows:
            said = f"f'{exercise}, {what}: the check says: {{said}}'"
            source += f"\nsaid = check_{exercise}({attempt})\nassert {test}, {said}"
            found.append((f"exercise {exercise}: {what}", source))
    return found
