"""Measure speed and cost, side by side: the course against what others would run.

    python tests/benchmark.py                  # what this machine can measure
    python tests/benchmark.py --only settings  # one part of it
    python tests/benchmark.py --toy            # whether every part runs, in minutes

Each measurement is a process of its own (bench_worker.py). What is compared takes
turns, in several rounds; a ratio is the median of the rounds' ratios. Prints tables in
Markdown. What the notebooks take, run_notebooks.py says.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import torch

PACKAGES = ["torch", "transformers", "trl", "peft", "datasets", "accelerate"]
SETTINGS = ["course", "peer", "trl"]  # bench_worker.py says which these are
SHAPES = ["SmolLM2-135M", "SmolLM2-1.7B", "Llama 3.1 8B"]


def job(**arguments):
    """Run one job of bench_worker.py: the dict it reports. RuntimeError if it fails."""
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    if arguments["device"] == "cpu":
        environment |= {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true"}
    else:  # the trainer would use all cards that it sees
        environment.setdefault("CUDA_VISIBLE_DEVICES", "0")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        text = json.dumps(arguments | {"folder": folder})
        worker = Path(__file__).with_name("bench_worker.py")
        result = subprocess.run(
            [sys.executable, worker, text],
            env=environment,
            capture_output=True,
            text=True,
            timeout=1800,
        )
        report = Path(folder) / "result.json"
        if result.returncode or not report.exists():
            raise RuntimeError(f"{text}\n{result.stdout}\n{result.stderr}")
        return json.loads(report.read_text(encoding="utf-8"))


def in_turns(jobs, rounds):
    """Run jobs (name -> arguments) in turns: dict of name -> a report each round."""
    reports = {name: [] for name in jobs}
    for number in range(rounds):
        for name, arguments in jobs.items():
            print(f"  round {number + 1}: {name}", file=sys.stderr, flush=True)
            reports[name].append(job(**arguments))
    return reports


def median(reports, key):
    """The median over rounds of one figure."""
    return statistics.median(report[key] for report in reports)


def times(these, those, key):
    """How many times as large these are as those: the median and the range, as text."""
    found = sorted(one[key] / other[key] for one, other in zip(these, those))
    return f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"


def table(title, rows, note):
    """Print a table of rows, dicts with the same keys, and a note below it."""
    print(f"\n**{title}**\n\n| {' | '.join(rows[0])} |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print(f"| {' | '.join(map(str, row.values()))} |")
    print(f"\n{note}", flush=True)


def settings(device, toy, rounds):
    """The course's SFT settings against the peer's and TRL's: speed, loss, memory."""
    shape = "SmolLM2-135M" if device == "cuda" else "tiny"
    jobs = {
        name: {"job": "train", "device": device, "shape": shape, "settings": name}
        | {"rows": 120 if toy else 1200}
        for name in SETTINGS
    }
    reports = in_turns(jobs, rounds)
    rows = [
        {
            "settings": name,
            "real tokens": f"{median(each, 'tokens'):.0f}",
            "tokens/s": f"{median(each, 'speed'):.0f}",
            "course's speed / this": times(reports["course"], each, "speed"),
            "held-out loss": f"{median(each, 'loss'):.3f}",
            "GB": f"{median(each, 'memory') / 1e9:.2f}",
        }
        for name, each in reports.items()
    ]
    note = "The same conversations, about as many tokens. Loss: of held-out answers."
    note += " GB: torch's on a GPU, else what the process grew by."
    if shape == "tiny":  # a model this small needs the large steps that ours have
        note += " The others' rates were set for larger models: no verdict on them."
    table(f"Settings for SFT, {shape} model, on {device}", rows, note)


def memory(device, toy, rounds):
    """Full fine-tuning, LoRA and QLoRA on a GPU: peak memory beside the formulas."""
    jobs = {}
    for shape in ["toy"] if toy else SHAPES:
        for kind in ("full", "LoRA", "QLoRA"):
            if (shape, kind) != ("Llama 3.1 8B", "full"):  # 129 GB
                arguments = {"job": "adapt", "device": device, "shape": shape}
                jobs[f"{shape}, {kind}"] = arguments | {"kind": kind}
    rows = []
    for name, each in in_turns(jobs, 1).items():
        [report] = each
        off = report["predicted"] / report["memory"] - 1 if report["memory"] else None
        row = {"shape and kind": name, "by formula": f"{report['predicted'] / 1e9:.3f}"}
        row["GB"] = f"{report['memory'] / 1e9:.3f}" if report["memory"] else "no GPU"
        rows.append(row | {"off": f"{off:+.1%}" if report["memory"] else ""})
    note = "One row of 1,024 tokens, activation checkpointing, as in lora.ipynb;"
    note += " counted by torch's allocator, which a CPU lacks."
    table("Peak memory beside lora.ipynb's formulas", rows, note)


def machine():
    """The machine and the versions: two lines."""
    text = f"{platform.machine()}, {os.cpu_count()} cores, "
    text += f"{psutil.virtual_memory().total / 1e9:.0f} GB"
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        text += f"; {card.name}, {card.total_memory / 1e9:.0f} GB"
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return f"{text}\nPython {platform.python_version()}, {', '.join(versions)}"


def main():
    """Read the command line, run the parts."""
    parts = {"settings": settings, "memory": memory}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toy", action="store_true", help="every part, on the CPU")
    parser.add_argument("--only", nargs="+", choices=parts, metavar="PART")
    parser.add_argument("--rounds", type=int, help="3; 1 for a toy")
    arguments = parser.parse_args()
    has_gpu = torch.cuda.is_available() and not arguments.toy
    if not (all_run := has_gpu or arguments.toy) and "memory" in (arguments.only or []):
        parser.error("memory needs a GPU, or --toy to see whether it runs")
    names = arguments.only or (parts if all_run else ["settings"])
    print(f"{datetime.date.today()}, {machine()}", flush=True)
    for name in names:
        rounds = arguments.rounds or (1 if arguments.toy else 3)
        parts[name]("cuda" if has_gpu else "cpu", arguments.toy, rounds)


if __name__ == "__main__":
    main()
