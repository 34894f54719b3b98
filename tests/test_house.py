"""The house: code, spelling, workflows and files are as a maintainer expects them."""

import re
import subprocess
import sysconfig
from pathlib import Path

import pytest
from course import NAMES, ROOT, code_cells, is_file

SCRIPTS = Path(sysconfig.get_path("scripts"))
SCHEMAS = {
    "vendor.github-workflows": "workflows/*.yml",
    "custom.github-workflows-require-timeout": "workflows/*.yml",
    "vendor.dependabot": "dependabot.yml",
    "vendor.github-issue-forms": "ISSUE_TEMPLATE/[!c]*.yml",
    "vendor.github-issue-config": "ISSUE_TEMPLATE/config.yml",
}
VISIBLE = {"README.md", "LICENSE", "requirements.txt", "tests"}
VISIBLE |= {f"{name}.ipynb" for name in NAMES}


def run(tool, *arguments):
    """Run a command-line tool of this environment; it must find nothing."""
    command = [SCRIPTS / tool, *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def tracked():
    """The paths of the files of the repository, except ignored ones: a list of Path."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    lines = subprocess.check_output(command, cwd=ROOT, text=True).splitlines()
    return [Path(line) for line in lines if (ROOT / line).exists()]


def test_code_is_linted_and_formatted():
    run("ruff", "check", ".")
    run("ruff", "format", "--check", ".")


def test_programs_that_cells_write_are_linted_and_formatted(tmp_path):
    for name in NAMES:
        for cell in filter(is_file, code_cells(name)):
            magic, _, source = cell.source.partition("\n")
            with open(tmp_path / Path(magic).name, "a", encoding="utf-8") as file:
                file.write(f"{source}\n")  # a file may be written by several cells
    assert list(tmp_path.iterdir()), "no cell writes a program"
    for arguments in (["check"], ["format", "--check"]):
        run("ruff", *arguments, "--config", ".ruff.toml", tmp_path)


def test_words_are_spelt_right():
    names = [f"{name}.ipynb" for name in NAMES]
    run("codespell", "README.md", "requirements.txt", "tests", ".github", *names)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_settings_of_github_fit_their_schema(schema):
    files = sorted((ROOT / ".github").glob(SCHEMAS[schema]))
    assert files
    run("check-jsonschema", "--builtin-schema", schema, *files)


def test_workflows_are_safe():
    run("zizmor", "--offline", "--pedantic", "--quiet", ".github")


def test_every_python_of_the_readme_is_tested():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [promised] = re.findall(r"You need Python ([\d., or]+) and", readme)
    workflow = (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    tested = re.findall(r'python(?:-version)?: "(3\.\d+)"', workflow)
    assert set(re.findall(r"3\.\d+", promised)) == set(tested)


def test_only_what_the_layout_names_is_visible():
    found = {path.parts[0] for path in tracked()}
    assert {name for name in found if not name.startswith(".")} == VISIBLE


def test_files_say_what_they_are_for_and_stay_small():
    for path in (each for each in tracked() if each.suffix == ".py"):
        lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith('"""'), f"{path}: no first line of purpose"
        assert len(lines) <= 300, f"{path} has {len(lines)} lines"
