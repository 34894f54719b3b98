"""A notebook that was opened alone finds the course, on Colab too; one address."""

import os
import re
import shutil
import subprocess
import sysconfig
import venv

import nbformat
import pytest
from course import NAMES, ROOT, copy_of_the_repository
from set_address import LINE, address_in, set_address

ADDRESS = "somebody/a-course-with-a-name-as-long-as-names-get"
# Executes the beginning of a notebook as Colab would: google.colab is there, nothing of
# the course is.
IMITATION = '''
import sys

import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], 4)
end = [cell.id for cell in notebook.cells].index(sys.argv[2])
notebook.cells = notebook.cells[:end]
stub = """import importlib.machinery, importlib.util, sys
spec = importlib.machinery.ModuleSpec("google.colab", None)
sys.modules["google.colab"] = importlib.util.module_from_spec(spec)
"""
notebook.cells.insert(0, nbformat.v4.new_code_cell(stub))
NotebookClient(notebook, timeout=900, kernel_name="python3").execute()
print(*(o.text for c in notebook.cells for o in c.get("outputs", []) if "text" in o))
'''


def addresses(folder):
    """The addresses in a folder's notebooks, a set, and how many badges README has."""
    notebooks = [nbformat.read(folder / f"{name}.ipynb", 4) for name in NAMES]
    readme = (folder / "README.md").read_text(encoding="utf-8")
    return {*map(address_in, notebooks)}, readme.count("Open in Colab")


def test_the_address_is_written_everywhere(tmp_path):
    folder = copy_of_the_repository(tmp_path)
    for address in ("first/try", ADDRESS):
        set_address(address, folder)
        assert addresses(folder) == ({address}, len(NAMES))
    for name in NAMES:
        text = (folder / f"{name}.ipynb").read_text(encoding="utf-8")
        assert text.count("Open in Colab") == 1 and "first/try" not in text
        assert f"{ADDRESS}/blob/main/{name}.ipynb" in text
        assert max(map(len, re.findall(r'"ADDRESS = .*', text))) < 98, "88 columns"


def test_the_address_is_that_of_this_repository():
    found, badges = addresses(ROOT)
    if found == {None}:
        assert badges == 0, "a badge that leads nowhere"
        return
    assert len(found) == 1 and badges == len(NAMES), "run tests/set_address.py"
    here = os.environ.get("GITHUB_REPOSITORY", *found)
    assert found == {here}, f"run tests/set_address.py {here} (not in a fork)"


def colab(folder):
    """An environment like Colab's, with the packages of this one: its Python, a str.

    It has a torchao that is too old for PEFT.
    """
    venv.create(folder, symlinks=True, with_pip=True)
    [site] = folder.glob("lib/python*/site-packages")
    ours = f"{sysconfig.get_path('purelib')}\n"
    (site / "ours.pth").write_text(ours, encoding="utf-8")
    package, about = site / "torchao", site / "torchao-0.10.0.dist-info"
    files = {
        package / "__init__.py": "__version__ = '0.10.0'\n",
        about / "METADATA": "Metadata-Version: 2.1\nName: torchao\nVersion: 0.10.0\n",
        about / "RECORD": "",
    }
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    listed = "".join(f"{path.relative_to(site)},,\n" for path in files)
    (about / "RECORD").write_text(listed, encoding="utf-8")
    return str(folder / "bin" / "python")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "profile"), [*((n, "tiny") for n in NAMES), (NAMES[0], "smol")]
)
def test_a_notebook_opened_alone_on_colab(name, profile, tmp_path, weights):
    course, alone = copy_of_the_repository(tmp_path), tmp_path / "content"
    alone.mkdir()
    git = ["git", "-C", str(course), "-c", "user.name=x", "-c", "user.email=x@y"]
    notebook = nbformat.read(course / f"{name}.ipynb", 4)
    if name in NAMES[:2]:  # from its address
        for step in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
            subprocess.run([*git, *step], check=True)
        [cell] = [cell for cell in notebook.cells if cell.id == "course"]
        line = f"ADDRESS = {course.as_uri()!r}"
        cell.source, changes = LINE.subn(line, cell.source)
        assert changes == 1
    else:  # from a ZIP that was put beside it
        archive = shutil.make_archive(tmp_path / "course", "zip", tmp_path, course.name)
        shutil.move(archive, alone)
    nbformat.write(notebook, alone / f"{name}.ipynb")
    (tmp_path / "imitate.py").write_text(IMITATION, encoding="utf-8")
    if profile == "smol":  # where the Hub would be asked
        (alone / "HuggingFaceTB").symlink_to(weights / "HuggingFaceTB")
    end = {"tiny": "s2", "smol": "saw-four"}[profile]  # a section, or a first result
    python = colab(tmp_path / "colab")
    result = subprocess.run(
        [python, tmp_path / "imitate.py", f"{name}.ipynb", end],
        cwd=alone,
        env={**os.environ, "PYTHONPATH": "", "COURSE_PROFILE": profile},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
    assert f"profile {profile} on cpu" in result.stdout
    check = "import importlib.util as u, sys; sys.exit(bool(u.find_spec('torchao')))"
    assert subprocess.run([python, "-c", check]).returncode == 0, "torchao is there"
