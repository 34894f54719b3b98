"""The benchmark runs on a toy model; what it counts is checked, never what it times."""

import os
import re
import subprocess
import sys

import pytest
from course import ROOT

TABLE = re.compile(r"\*\*(.+)\*\*\n\n\| (.+) \|\n\|[-|]+\|\n((?:\|.+\|\n)+)")
OTHERS = ["notebooks", "lesson", "same_time", "growth", "processes"]


def tables(*arguments):
    """Run the benchmark: a list of its tables, dicts of first column -> row, a dict."""
    # Some of what it is compared with uses defaults that TRL itself calls deprecated.
    environment = {k: v for k, v in os.environ.items() if k != "REFUSE_DEPRECATED"}
    command = [sys.executable, ROOT / "tests" / "benchmark.py", *arguments]
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    assert result.returncode == 0, result.stderr[-5000:]
    found = []
    for _, names, lines in TABLE.findall(result.stdout):
        rows = [line.strip("| ").split(" | ") for line in lines.splitlines()]
        found.append({row[0]: dict(zip(names.split(" | "), row)) for row in rows})
    return found


@pytest.mark.slow
def test_parts_for_a_gpu_run_and_the_formulas_of_memory_hold():
    speed, utilisation, adapters, fits = tables("--toy")
    assert list(speed) == ["course", "peer", "trl"]
    tokens = [float(row["real tokens"]) for row in speed.values()]
    assert max(tokens) < 1.1 * min(tokens), "not compared at the same number of tokens"
    assert len(utilisation) == 1
    assert len(adapters) == 3
    for row in adapters.values():
        assert row["within 10%"] == "yes", f"lora.ipynb predicts another memory: {row}"
    for batch in [row["largest power of 2"] for row in fits.values()][:-1]:
        assert 1 <= int(batch) < 2**12, "the limit of memory was not felt"


@pytest.mark.slow
def test_parts_for_a_cpu_run():
    notebooks, lesson, same_time, growth, processes = tables("--toy", "--only", *OTHERS)
    assert "chat_templates" in notebooks
    assert list(lesson) == ["course", "peer", "peer kept"]
    losses = [float(row["loss of the answers"]) for row in same_time.values()]
    assert losses[0] < losses[1], "the course's settings should learn faster"
    steps = [float(row["steps"]) for row in growth.values()]
    assert steps[1] == pytest.approx(10 * steps[0], rel=0.05), "ten times the data"
    assert len(processes) == 3
