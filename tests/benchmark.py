"""Measure speed and cost, side by side: the course against what others would run.

    python tests/benchmark.py            # everything that this machine can measure
    python tests/benchmark.py --quick    # less of it, in minutes
    python tests/benchmark.py --toy      # the GPU's parts, on a toy model and the CPU
    python tests/benchmark.py --only lesson growth

Each measurement is a process of its own. What is compared takes turns, in several
rounds; a ratio is the median of the rounds' ratios. Prints tables in Markdown.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch

BENCH = Path(__file__).resolve().parent / "bench"
sys.path.insert(0, str(BENCH))
from compared import TRAIN_ROWS  # noqa: E402
from cpu_parts import CPU_PARTS  # noqa: E402
from gpu_parts import GPU_PARTS  # noqa: E402

PACKAGES = ["torch", "transformers", "trl", "peft", "datasets", "accelerate"]
PARTS = {**GPU_PARTS, **CPU_PARTS}


class Bench:
    """Runs measurements in processes, and prints what they say."""

    def __init__(self, device, quick, toy, rounds):
        """device: "cuda" or "cpu"; quick, toy: bool, less of each; rounds: int."""
        self.device, self.quick, self.toy, self.rounds = device, quick, toy, rounds

    def say(self, number, what):
        """Show on the terminal how far it is."""
        print(f"  round {number + 1}: {what}", file=sys.stderr, flush=True)

    def job(self, command=(sys.executable,), **job):
        """Run one job of worker.py: the dict it reports. RuntimeError if it fails.

        command: what starts it, such as accelerate; job: its arguments
        """
        common = {"device": self.device, "warm_up": 1, "held_out": 20}
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
        if self.device == "cpu":
            environment |= {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true"}
        else:  # the trainer would use all cards that it sees
            environment.setdefault("CUDA_VISIBLE_DEVICES", "0")
        if "threads" in job:
            environment["OMP_NUM_THREADS"] = str(job["threads"])
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            text = json.dumps(common | {"data": TRAIN_ROWS} | job | {"folder": folder})
            result = subprocess.run(
                [*command, str(BENCH / "worker.py"), text],
                env=environment,
                capture_output=True,
                text=True,
                timeout=1800,
            )
            report = Path(folder) / "result.json"
            if not report.exists():
                said = f"{text}\n{result.stdout}\n{result.stderr}"
                raise RuntimeError(f"{said}\nexit status {result.returncode}")
            return json.loads(report.read_text(encoding="utf-8"))

    def rounds_of(self, jobs, rounds=None):
        """Run jobs in turns: dict of name -> list of reports, one for each round.

        jobs: dict of name -> dict, the arguments of `job`
        """
        reports = {name: [] for name in jobs}
        for number in range(rounds or self.rounds):
            for name, job in jobs.items():
                self.say(number, name)
                reports[name].append(self.job(**job))
        return reports

    def verdict(self, value, target, at_least=True):
        """Whether a target is met, as text; of a toy it says only what was measured."""
        if self.toy:
            return f"{value:.3g} on a toy (which cannot meet or miss {target:.3g})"
        met = value >= target if at_least else value <= target
        word = "at least" if at_least else "at most"
        return (
            f"{'met' if met else 'MISSED'}: {word} {target:.3g}, measured {value:.3g}"
        )

    def table(self, title, rows, note=""):
        """Print a table of rows, dicts with the same keys, and a note below it."""
        print(f"\n**{title}**\n\n| {' | '.join(rows[0])} |")
        print("|" + "---|" * len(rows[0]))
        for row in rows:
            print(f"| {' | '.join(map(str, row.values()))} |")
        print(f"\n{note}" if note else "", flush=True)


def machine():
    """The machine and the versions: two lines."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        models = [line.partition(": ")[2] for line in lines if "model name" in line]
        name = models[0] if models else name
    memory = psutil.virtual_memory().total / 1e9
    text = f"{name}, {os.cpu_count()} cores, {memory:.0f} GB"
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        text += f"; {card.name}, {card.total_memory / 1e9:.0f} GB"
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return f"{text}\nPython {platform.python_version()}, {', '.join(versions)}"


def main():
    """Read the command line, run the parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less of each")
    parser.add_argument("--toy", action="store_true", help="GPU's parts, toy, on a CPU")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART")
    parser.add_argument("--rounds", type=int, help="3; 1 if quick or toy")
    arguments = parser.parse_args()
    rounds = arguments.rounds or (1 if arguments.quick or arguments.toy else 3)
    has_gpu = torch.cuda.is_available() and not arguments.toy
    if arguments.only:
        names = arguments.only
    elif arguments.toy or (has_gpu and arguments.quick):
        names = list(GPU_PARTS)
    else:
        names = list(PARTS) if has_gpu else [*CPU_PARTS, "adapters", "fits"]
    print(f"{datetime.date.today()}, {machine()}", flush=True)
    start = time.monotonic()
    for name in names:
        device = "cuda" if has_gpu and name in GPU_PARTS else "cpu"
        in_part = name in ("adapters", "fits")  # the memory, which a CPU can count
        if device == "cpu" and name in GPU_PARTS and not (arguments.toy or in_part):
            parser.error(f"{name} needs a GPU, or --toy to see whether it runs")
        PARTS[name](Bench(device, arguments.quick, arguments.toy, rounds))
    minutes = (time.monotonic() - start) / 60
    print(f"\n{minutes:.1f} minutes; rounds: {rounds}")


if __name__ == "__main__":
    main()
