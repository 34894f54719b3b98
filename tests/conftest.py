"""All tests run in the tiny profile, with an empty cache, and without a network.

The environment is set while pytest starts, so that it reaches the kernels that nbval
starts and the processes that they start.
"""

import os
import runpy
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent
_scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
if "PYTEST_XDIST_WORKER" in os.environ:  # `pytest -n 2`: one log for all workers
    NETWORK_LOG = Path(os.environ["NETWORK_LOG"])
else:
    NETWORK_LOG = Path(_scratch.name) / "network.log"

os.environ["COURSE_PROFILE"] = "tiny"
os.environ["HF_HOME"] = str(Path(_scratch.name) / "huggingface")
os.environ["NETWORK_LOG"] = str(NETWORK_LOG)
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(TESTS / "no_network"), *filter(None, [os.environ.get("PYTHONPATH")])]
)
os.environ.pop("HF_HUB_OFFLINE", None)  # the notebooks must see to this themselves
runpy.run_path(str(TESTS / "no_network" / "sitecustomize.py"))  # for pytest itself


def network_attempts():
    """Who tried to reach the network so far: a list of str."""
    return NETWORK_LOG.read_text().splitlines() if NETWORK_LOG.exists() else []


def pytest_sessionfinish(session):
    """Fail the run if anything tried to reach the network, even in vain."""
    if network_attempts():
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter):
    """Say who tried."""
    for attempt in network_attempts():
        terminalreporter.write_line(f"network attempt: {attempt}", red=True)
