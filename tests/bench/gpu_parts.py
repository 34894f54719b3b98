"""The parts of benchmark.py that need a GPU, or --toy: what each runs, and prints."""

import statistics

from compared import TEST_ROWS, settings_of
from figures import median, ratios, times


def speed(bench):
    """The smol settings against the peer's and TRL's example: speed, and loss."""
    shape = "toy" if bench.toy else "SmolLM2-135M"
    few = bench.quick or bench.toy
    common = {"job": "train", "model": shape, "loss": True, "held_out": TEST_ROWS}
    common |= {"rows": 400 if few else 4000}  # 4,000: the peer's whole lesson
    common |= {"warm_up": 1, "threads": 1} if bench.toy else {"warm_up": 3}
    names = ["course", "peer", "trl", *([] if few else ["peer kept"])]
    jobs = {name: {**common, "settings": name} for name in names}
    reports = bench.rounds_of(jobs)
    course = reports["course"]
    rows = [
        {
            "settings": name,
            "real tokens/s": f"{median(each, 'speed'):.0f}",
            "course / this": times(course, each, "speed"),
            "real tokens": f"{median(each, 'tokens'):.0f}",
            "steps": f"{median(each, 'steps'):.0f}",
            "held-out loss": f"{median(each, 'loss'):.3f}",
            "GB": f"{median(each, 'memory') / 1e9:.2f}",
        }
        for name, each in reports.items()
    ]
    note = "Speed against the peer: "
    note += bench.verdict(
        statistics.median(ratios(course, reports["peer"], "speed")), 10
    )
    note += ". Against TRL's example: "
    note += bench.verdict(
        statistics.median(ratios(course, reports["trl"], "speed")), 1.5
    )
    losses = [median(reports[name], "loss") for name in ("course", "peer")]
    note += f". Loss: {bench.verdict(*losses, at_least=False)}."
    bench.table(f"Speed and loss, random model of the shape of {shape}", rows, note)


def utilisation(bench):
    """Achieved FLOPs against the card's matrix products, over batches and compile."""
    rate = median(bench.rounds_of({"products": {"job": "matmul"}})["products"], "rate")
    few = bench.quick or bench.toy
    shape = "toy" if bench.toy else "SmolLM2-135M"
    jobs = {}
    mine = settings_of("course", bench.device)["per_device_train_batch_size"]
    for batch in [mine] if few else sorted({8, 16, 32, 64, 128, mine}):
        for compiled in [False] if few else [False, True]:
            changes = {"per_device_train_batch_size": batch, "torch_compile": compiled}
            name = f"{shape}, {batch} rows{', compiled' if compiled else ''}"
            jobs[name] = {"model": shape, "rows": 10 * batch, "changes": changes}
    if not few:
        changes = {"per_device_train_batch_size": 8, "activation_checkpointing": True}
        job = {"model": "SmolLM2-1.7B", "rows": 80, "changes": changes}
        jobs["SmolLM2-1.7B, 8 rows, checkpointed"] = job
    for job in jobs.values():
        job |= {"job": "train", "settings": "course", "warm_up": 1 if bench.toy else 5}
        job["changes"]["eval_strategy"] = "no"
    rows, best = [], 0
    for name, each in bench.rounds_of(jobs).items():
        share = 6 * median(each, "parameters") * median(each, "speed") / rate
        if name.startswith(shape):
            best = max(best, share)
        row = {"shape and batch": name}
        row["real tokens/s"] = f"{median(each, 'speed'):.0f}"
        row["share"] = f"{share:.1%}"
        rows.append({**row, "GB": f"{median(each, 'memory') / 1e9:.2f}"})
    note = "6 operations a parameter and real token; attention is not counted. Best: "
    note += bench.verdict(best, 0.4)
    title = f"Share of the measured {rate / 1e12:.2f} TFLOP/s of matrix products"
    bench.table(title, rows, note)


def adapters(bench):
    """Full fine-tuning, LoRA and QLoRA: memory beside the formulas, and speed."""
    on_cpu, shapes = bench.device == "cpu", ["SmolLM2-135M"]
    if not on_cpu and not bench.quick:
        shapes += ["SmolLM2-1.7B", "Llama 3.1 8B"]
    jobs = {}
    for shape in shapes:
        for kind in ("full", "LoRA", "QLoRA"):
            if (shape, kind) != ("Llama 3.1 8B", "full"):  # 128 GB
                job = {"job": "adapter", "model": shape, "kind": kind}
                jobs[f"{shape}, {kind}"] = {**job, "rows": 1 if on_cpu else 10}
    rows = []
    for name, each in bench.rounds_of(jobs, rounds=1 if on_cpu else None).items():
        found, formula = median(each, "memory"), median(each, "predicted")
        row = {"shape and kind": name, "GB": f"{found / 1e9:.3f}"}
        row |= {
            "by formula": f"{formula / 1e9:.3f}",
            "off": f"{formula / found - 1:+.1%}",
        }
        row["within 10%"] = "yes" if abs(formula / found - 1) <= 0.1 else "NO"
        if not on_cpu:
            row["tokens/s"] = f"{median(each, 'speed'):.0f}"
        rows.append(row)
    note = (
        "One row of 1,024 tokens, activation checkpointing, as in lora.ipynb; counted "
    )
    note += (
        "by torch's allocator. On a CPU the loss is computed in small pieces, to need "
    )
    note += "what TRL's kernel needs on a GPU."
    bench.table("Peak memory beside lora.ipynb's formulas", rows, note)


def fits(bench):
    """The largest batch in the memory of a T4, and whether the smol settings fit."""
    shape, limit = ("toy", 10**9) if bench.toy else ("SmolLM2-135M", 16 * 10**9)
    settings = settings_of("course", bench.device)
    batch, longest = settings["per_device_train_batch_size"], settings["max_length"]
    common = {"model": shape, "settings": "course"}
    lengths = [longest] if bench.toy else [128, 256, longest, 1024, 2048]
    jobs = {}
    if bench.toy or (bench.device == "cuda" and not bench.quick):
        for length in lengths:
            for checkpointed in (False, True):
                changes = {"bf16": False, "activation_checkpointing": checkpointed}
                name = f"{length} tokens{', checkpointed' if checkpointed else ''}"
                jobs[name] = {**common, "length": length, "changes": changes}
                jobs[name] |= {"job": "fits", "limit": limit}
    rows = [
        {"fp32, rows of": name, "largest power of 2": each[0]["batch"] or "none"}
        for name, each in bench.rounds_of(jobs, rounds=1).items()
    ]
    checkpointed = settings["activation_checkpointing"]
    changes = {"bf16": False, "activation_checkpointing": checkpointed}  # as on a T4
    bench.say(0, "the course's batch")
    used = bench.job(
        **common, job="peak", length=longest, batch=batch, changes=changes
    )["memory"]
    row = {"fp32, rows of": f"{longest} tokens: the course's batch"}
    rows.append({**row, "largest power of 2": f"{batch}, in {used / 1e9:.2f} GB"})
    note = "Fine-tuning in full. The course's batch at its longest, "
    note += f"{'' if checkpointed else 'not '}checkpointed, leaves GB: "
    note += bench.verdict((limit - used) / 1e9, 2)
    bench.table(f"What fits {limit / 1e9:.0f} GB, shape of {shape}", rows, note)


GPU_PARTS = {
    "speed": speed,
    "utilisation": utilisation,
    "adapters": adapters,
    "fits": fits,
}
