"""The benchmark runs on a toy model; what it counts is checked, never what it times."""

import os
import re
import subprocess
import sys

import pytest
from course import ROOT

TABLE = re.compile(r"\*\*(.+)\*\*\n\n\| (.+) \|\n\|[-|]+\|\n((?:\|.+\|\n)+)")


@pytest.mark.slow
def test_every_part_runs():
    # Some of what it is compared with uses defaults that TRL itself calls deprecated.
    environment = {k: v for k, v in os.environ.items() if k != "REFUSE_DEPRECATED"}
    command = [sys.executable, ROOT / "tests" / "benchmark.py", "--toy"]
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    assert result.returncode == 0, result.stderr[-5000:]
    tables = []
    for _, names, lines in TABLE.findall(result.stdout):
        rows = [line.strip("| ").split(" | ") for line in lines.splitlines()]
        tables.append({row[0]: dict(zip(names.split(" | "), row)) for row in rows})
    settings, memory = tables
    assert list(settings) == ["course", "peer", "trl"]
    tokens = [float(row["real tokens"]) for row in settings.values()]
    assert max(tokens) < 1.1 * min(tokens), "not compared at the same number of tokens"
    losses = [float(row["held-out loss"]) for row in settings.values()]
    assert losses[0] < min(losses[1:]), "the course's settings should learn faster"
    sizes = [float(row["by formula"]) for row in memory.values()]
    assert len(sizes) == 3 and sizes[0] == max(sizes), "full fine-tuning takes most"
