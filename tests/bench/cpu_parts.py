"""The parts of benchmark.py that a CPU can measure: what each runs, and prints."""

import os
import sys

from compared import (
    MEAN_TOKENS,
    PEER,
    TEST_ROWS,
    TRAIN_ROWS,
    rows_evaluated,
    settings_of,
)
from figures import median, times
from notebooks import KINDS, NAMES, measure

os.environ["COURSE_PROFILE"] = "tiny"  # of the notebooks that `measure` runs


def notebooks(bench):
    """Each notebook's seconds by kind of work, and its peak memory."""
    names = NAMES[:2] if bench.quick else NAMES[:1] if bench.toy else NAMES
    reports = {name: [] for name in names}
    for number in range(bench.rounds):
        for name in names:
            bench.say(number, name)
            reports[name].append(measure(name))
    rows = []
    for name, each in reports.items():
        row = {"notebook": name}
        for kind in [*KINDS, "kernel", "wall"]:
            row[kind] = f"{median(each, kind):.0f}"
        rows.append({**row, "GB": f"{median(each, 'memory') / 1e9:.1f}"})
    note = "processes: waiting for other processes, which import for themselves. rest: "
    note += "the notebook's own code. kernel: its start, and the time between cells."
    bench.table("Each notebook in `tiny`: seconds, and GB at its peak", rows, note)


def lesson(bench):
    """The SFT lesson in smol settings against the peer's, same shape, on a CPU."""
    shape = "toy" if bench.toy else "SmolLM2-135M"
    a_step = settings_of("course", "cpu")["per_device_train_batch_size"]
    common = {"job": "train", "model": shape, "evaluation": True, "held_out": 8}
    # One step of the course has more tokens than five of the peer: no warm-up.
    jobs = {"course": {**common, "settings": "course", "rows": a_step, "warm_up": 0}}
    for name in ("peer", "peer kept"):
        jobs[name] = {**common, "settings": name, "rows": 16}
    reports = bench.rounds_of(jobs)
    for name, each in reports.items():
        read, evaluated = TRAIN_ROWS, 4 * rows_evaluated("course")
        if name != "course":
            steps = PEER["max_steps"]
            read = steps * PEER["per_device_train_batch_size"]
            evaluated = steps // PEER["eval_steps"] * TEST_ROWS
        for report in each:
            report["hours"] = read * MEAN_TOKENS / report["speed"] / 3600
            report["hours"] += evaluated * report["evaluation"] / 3600
            report |= {"read": read, "evaluated": evaluated}
    rows = [
        {
            "settings": name,
            "real tokens/s": f"{median(each, 'speed'):.0f}",
            "places a token": f"{median(each, 'places'):.2f}",
            "times the peer's speed": times(each, reports["peer"], "speed"),
            "rows read": each[0]["read"],
            "rows evaluated": each[0]["evaluated"],
            "hours": f"{median(each, 'hours'):.2f}",
            "peer's time / this": times(reports["peer"], each, "hours"),
        }
        for name, each in reports.items()
    ]
    note = "Hours are extrapolated from a few steps and a few evaluated rows. kept: "
    note += "without activation checkpointing, which is on by default in TRL today."
    bench.table(f"The SFT lesson, shape of {shape}, on the CPU", rows, note)


def same_time(bench):
    """Held-out loss on the tiny model when the course's run is over."""
    common = {"job": "train", "model": "tiny", "data": 1258, "held_out": TEST_ROWS}
    common |= {"loss": True, "threads": 1, "warm_up": 0}
    short = {"rows": 1000} if bench.quick or bench.toy else {}
    reports = {"course": [], "peer": []}
    for number in range(bench.rounds):
        bench.say(number, "course, then peer")
        ours = bench.job(**common, settings="tiny", **short)
        peer = bench.job(**common, settings="peer", seconds=ours["seconds"])
        reports["course"].append(ours)
        reports["peer"].append(peer)
    rows = [
        {
            "settings": name,
            "seconds": f"{median(each, 'seconds'):.0f}",
            "steps": f"{median(each, 'steps'):.0f} of {median(each, 'planned'):.0f}",
            "real tokens": f"{median(each, 'tokens'):.0f}",
            "loss of the answers": f"{median(each, 'loss'):.3f}",
        }
        for name, each in reports.items()
    ]
    losses = [median(reports[name], "loss") for name in ("course", "peer")]
    title = "Held-out loss after the same wall time, on the tiny model"
    bench.table(title, rows, bench.verdict(*losses, at_least=False))


def growth(bench):
    """Time and memory as the data grow 1, 10, 100 times."""
    common = {"job": "grow", "settings": "tiny", "model": "tiny", "threads": 1}
    factors = (1, 10) if bench.quick or bench.toy else (1, 10, 100)
    jobs = {}
    for what, rows, steps in [("trained", 126, 10**9), ("prepared", 1258, 10)]:
        for factor in factors:
            job = {**common, "rows": rows * factor, "steps": steps}
            jobs[f"{rows * factor:,} {what}"] = job
    rows = [
        {
            "rows": name,
            "seconds to prepare": f"{median(each, 'prepare'):.1f}",
            "seconds to train": f"{median(each, 'train'):.1f}",
            "steps": f"{median(each, 'steps'):.0f}",
            "MB more": f"{median(each, 'memory') / 1e6:.0f}",
        }
        for name, each in bench.rounds_of(jobs, rounds=1).items()
    ]
    note = (
        "Prepare: read the file, apply the template, tokenize, sort by length. MB more "
    )
    note += "than before: the process's own, without the files that it maps."
    bench.table("Cost as the data grow, on the tiny model, one thread", rows, note)


def processes(bench):
    """One against two processes on two cores, the same rows a step."""
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    launch += [
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--main_process_port",
        "0",
    ]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    common = {"job": "train", "settings": "tiny", "model": "tiny", "data": 1258}
    common |= {"rows": 200 if bench.quick or bench.toy else 1200, "threads": 1}
    half = {"per_device_train_batch_size": 5}
    jobs = {
        "1 process, 1 thread": common,
        "1 process, 2 threads": {**common, "threads": 2},
        "2 processes, 1 thread each": {**common, "changes": half, "command": launch},
    }
    reports = bench.rounds_of(jobs)
    rows = [
        {
            "processes": name,
            "real tokens/s": f"{median(each, 'speed'):.0f}",
            "times the first": times(each, reports["1 process, 1 thread"], "speed"),
        }
        for name, each in reports.items()
    ]
    bench.table("One and two processes, 10 rows a step, on the tiny model", rows)


CPU_PARTS = {
    "notebooks": notebooks,
    "lesson": lesson,
    "same_time": same_time,
    "growth": growth,
    "processes": processes,
}
