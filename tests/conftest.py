"""All tests run in the tiny profile, with an empty cache, and guarded.

The environment is set while pytest starts, so that it reaches the kernels that nbval
starts and the processes that they start. guard/ refuses the network and deprecations
there. The attempts at a notebook's exercises run behind its cells, in its kernel.
"""

import os
import runpy
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import nbformat
import pytest
from exercises import attempts
from filelock import FileLock
from nbval.plugin import IPyNbCell
from real_weights import WEIGHTS

TESTS = Path(__file__).parent
_scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
if "PYTEST_XDIST_WORKER" in os.environ:  # one log for all workers
    GUARD_LOG = Path(os.environ["GUARD_LOG"])
else:
    GUARD_LOG = Path(_scratch.name) / "guard.log"

os.environ["COURSE_PROFILE"] = "tiny"
os.environ["HF_HOME"] = str(Path(_scratch.name) / "huggingface")
os.environ["GUARD_LOG"] = str(GUARD_LOG)
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(TESTS / "guard"), *filter(None, [os.environ.get("PYTHONPATH")])]
)
os.environ.pop("HF_HUB_OFFLINE", None)  # the notebooks must see to this themselves
runpy.run_path(str(TESTS / "guard" / "sitecustomize.py"))  # for pytest itself
os.environ["REFUSE_DEPRECATED"] = "1"  # from here on, for kernels


@pytest.fixture(scope="session")
def weights():
    """The folder with the real weights, made if it is missing (from the registry)."""
    allowed = {key: os.environ[key] for key in os.environ if key != "PYTHONPATH"}
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    with FileLock(WEIGHTS / "lock"):  # two tests may want it at once
        script = TESTS / "real_weights.py"
        subprocess.run([sys.executable, script], env=allowed, check=True)
    return WEIGHTS


def pytest_addoption(parser):
    """Take an option of .pytest.ini that only stops who runs without this file."""
    parser.addoption("--also-name", help="a path in tests/: loads tests/conftest.py")


def pytest_collection_modifyitems(items):
    """Put the attempts at the exercises behind the cells of each whole notebook."""
    cells = defaultdict(list)
    for item in items:
        if isinstance(item, IPyNbCell):
            cells[item.parent].append(item)
    for notebook, found in cells.items():
        code = [cell for cell in notebook.nb.cells if cell.cell_type == "code"]
        if len(found) < len(code):
            continue  # a selection of cells
        place = items.index(found[-1]) + 1
        items[place:place] = [
            IPyNbCell.from_parent(
                notebook,
                name=what,
                cell_num=number,
                cell=nbformat.v4.new_code_cell(source),
                options=defaultdict(bool),  # nothing saved to compare with
            )
            for number, (what, source) in enumerate(
                attempts(notebook.path.stem, notebook.nb), start=len(code)
            )
        ]


def breaches():
    """What the guard has refused so far: a list of str."""
    if not GUARD_LOG.exists():
        return []
    return GUARD_LOG.read_text(encoding="utf-8").splitlines()


class Guarded:
    """A plugin: the hooks of a conftest.py do not see files outside its folder."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        """Fail a test or cell in which something was refused, even if swallowed."""
        before = len(breaches())
        result = yield
        assert not breaches()[before:], f"refused: {breaches()[before:]}"
        return result


def pytest_configure(config):
    """Guard every test and cell."""
    config.pluginmanager.register(Guarded())


def pytest_sessionfinish(session):
    """Fail the run for what was refused between the tests, too."""
    if breaches():
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter):
    """Say what was refused."""
    for breach in breaches():
        terminalreporter.write_line(f"refused: {breach}", red=True)
