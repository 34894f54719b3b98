"""One measurement of benchmark.py, in a process of its own: a JSON argument in.

It writes result.json into the job's folder.
"""

import contextlib
import gc
import itertools
import json
import os
import resource
import sys
import time
from pathlib import Path

# training must come first: it sets the environment
from training import (  # isort: skip
    DEVICE,
    JOB,
    TINY,
    Memory,
    held_out_loss,
    make_model,
    make_trainer,
    rows_of,
    wait,
)
import peft
import psutil
import torch
import transformers
from compared import config_of, predicted, rank_of_course, rows_evaluated
from datasets import load_dataset


def train():
    """Train on about JOB["rows"] rows: tokens a second, loss, memory and more."""
    memory = Memory()
    model = make_model(JOB["model"])
    rows, held_out = rows_of(JOB["model"], JOB["data"])
    evaluated = min(rows_evaluated(JOB["settings"]), len(held_out))
    trainer = make_trainer(model, rows, held_out.select(range(evaluated)))
    if "rows" in JOB:  # else the settings say how many steps
        args = trainer.args
        a_step = args.train_batch_size * args.gradient_accumulation_steps
        if args.packing:  # a row holds several conversations
            a_step *= len(rows) / len(trainer.train_dataset)
        steps = max(1, round(JOB["rows"] / a_step / args.world_size))
        args.max_steps = steps + JOB["warm_up"]
    transformers.set_seed(1)
    start = time.monotonic()
    trainer.train()
    wait()
    end = time.monotonic()
    tokens = torch.as_tensor(trainer.tokens, dtype=torch.float64, device=DEVICE)
    tokens = trainer.accelerator.reduce(tokens).item()
    seconds = end - trainer.begun
    result = {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "steps": trainer.state.global_step - JOB["warm_up"],
        "planned": trainer.state.max_steps,
        "tokens": tokens,
        "places": trainer.places / float(trainer.tokens),
        "seconds": seconds,
        "whole": end - start,
        "speed": tokens / seconds,
        "memory": memory.peak(),
    }
    if JOB.get("loss"):
        result["loss"] = held_out_loss(model, held_out)
    if JOB.get("evaluation"):
        start = time.monotonic()
        trainer.evaluate()
        result["evaluation"] = (time.monotonic() - start) / evaluated
    return result


def matmul():
    """The rate of matrix products in bf16 (fp32 on a CPU), operations a second."""
    size = 8192 if DEVICE == "cuda" else 1024
    dtype = torch.bfloat16 if DEVICE == "cuda" else torch.float32
    one, two = (torch.randn(size, size, device=DEVICE, dtype=dtype) for _ in range(2))
    rates = []
    for _ in range(20):
        wait()
        start = time.monotonic()
        for _ in range(5):
            one @ two
        wait()
        rates.append(5 * 2 * size**3 / (time.monotonic() - start))
    return {"rate": sorted(rates)[10]}


@contextlib.contextmanager
def allocated(result):
    """Put the peak of torch's allocations in the block into result["memory"], bytes."""
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
        yield
        result["memory"] = torch.cuda.max_memory_allocated()
        return
    with torch.profiler.profile(profile_memory=True) as profile:
        yield
    events = profile.profiler.kineto_results.events()
    events = [event for event in events if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    result["memory"] = max(itertools.accumulate(event.nbytes() for event in events))


def frozen_model(kind):
    """A random model whose weights will not be trained, in bf16 or, for QLoRA, NF4."""
    torch.manual_seed(0)
    config = config_of(JOB["model"])
    with torch.device(DEVICE):
        model = transformers.AutoModelForCausalLM.from_config(
            config, dtype=torch.bfloat16
        )
    if kind == "LoRA":
        return model
    import bitsandbytes.nn.modules as bnb_modules

    bnb_modules.has_avx512bf16 = lambda: False  # lora.ipynb says why
    source = Path(JOB["folder"]) / "frozen"  # it is loading that quantizes
    model.save_pretrained(source)
    quantization = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,  # the formula has scales in 8 bits
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    model = transformers.AutoModelForCausalLM.from_pretrained(
        source,
        quantization_config=quantization,
        dtype=torch.bfloat16,
        device_map={"": DEVICE},
    )
    # As lora.ipynb: this casts what is not in 4 bits to fp32.
    return peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def as_on_a_gpu():
    """Let TRL's loss on a CPU work on a few tokens at a time, as its GPU kernel does.

    Without it each piece of the logits is there several times over.
    """
    from trl.kernels import chunked_logprob

    def by_rows(function):
        def run(tile, *others, **named):
            for at in range(0, len(tile), 16):
                rows = slice(at, at + 16)
                parts = [t[rows] if torch.is_tensor(t) else t for t in others]
                function(tile[rows], *parts, **named)

        return run

    whole = chunked_logprob._addmm_fp32

    def by_parts(sums, one, two):
        for at in range(0, len(two), 1024):
            whole(sums, one[:, at : at + 1024], two[at : at + 1024])

    chunked_logprob._addmm_fp32 = by_parts
    for name in ("_forward_tile", "_backward_tile"):
        setattr(chunked_logprob, name, by_rows(getattr(chunked_logprob, name)))


def adapter():
    """Peak memory and speed of one kind of fine-tuning, beside lora.ipynb's formula."""
    kind, result = JOB["kind"], {"predicted": predicted(JOB["model"], JOB["kind"])}
    rows, held_out = rows_of(JOB["model"], JOB["rows"], length=1024)
    changes = {"per_device_train_batch_size": 1, "max_length": 1024}
    changes |= {"activation_checkpointing": True, "eval_strategy": "no"}
    changes["max_steps"] = JOB["rows"] + JOB["warm_up"]
    changes["bf16"] = True
    if DEVICE == "cpu":
        as_on_a_gpu()
    made = frozen_model(kind) if kind != "full" else None
    before = sum(t.nbytes for t in [*made.parameters(), *made.buffers()]) if made else 0
    with allocated(result):
        model = make_model(JOB["model"]) if kind == "full" else made
        if made:
            rank, alpha = rank_of_course()
            lora = {"r": rank, "lora_alpha": alpha, "target_modules": "all-linear"}
            model = peft.get_peft_model(made, peft.LoraConfig(**lora))
        trainer = make_trainer(model, rows, held_out, **changes)
        trainer.train()
        wait()
        seconds = time.monotonic() - trainer.begun
    if DEVICE == "cpu":
        result["memory"] += before
    return {**result, "speed": float(trainer.tokens) / seconds}


def limit_memory(size):
    """Let no more than `size` bytes be allocated from now on."""
    if DEVICE == "cuda":
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(size / total)
    else:
        now = psutil.Process().memory_info().data
        resource.setrlimit(resource.RLIMIT_DATA, (now + size, now + size))


def one_size(batch):
    """Train on batches of so many rows of JOB["length"] tokens: two steps.

    In the first one Adam has no averages yet, so the second needs more memory.
    """
    rows, held_out = rows_of(JOB["model"], 2 * batch, length=JOB["length"])
    changes = {"max_steps": 2, "eval_strategy": "no"}
    changes |= {"per_device_train_batch_size": batch, "max_length": JOB["length"]}
    make_trainer(make_model(JOB["model"]), rows, held_out, **changes).train()


def fits():
    """The largest batch, a power of 2, of rows of JOB["length"] tokens that trains."""
    most = 0
    limit_memory(JOB["limit"])
    for batch in [2**n for n in range(13)]:
        try:
            one_size(batch)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if "memory" not in str(error).lower():
                raise
            break
        most = batch
        gc.collect()
        if DEVICE == "cuda":
            torch.cuda.empty_cache()
    return {"batch": most}


def peak():
    """The peak memory of JOB["batch"] rows of JOB["length"] tokens, bytes."""
    result = {}
    if DEVICE == "cpu":
        as_on_a_gpu()
    with allocated(result):
        one_size(JOB["batch"])
    if DEVICE == "cuda":  # with what the allocator holds back
        result["memory"] = torch.cuda.max_memory_reserved()
    return result


def grow():
    """Prepare JOB["rows"] chats from a file of that many, then train on them once."""
    source = (TINY / "chats" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    path = Path(JOB["folder"]) / "train.jsonl"
    with open(path, "w", encoding="utf-8") as file:
        for at in range(JOB["rows"]):
            file.write(source[at % len(source)] + "\n")
    model = make_model("tiny")
    memory, start = Memory(), time.monotonic()
    rows = load_dataset("json", data_files=str(path), split="train")
    rows = rows.select_columns("messages")
    trainer = make_trainer(model, rows, None, eval_strategy="no", num_train_epochs=1)
    batches = len(trainer.get_train_dataloader())
    prepared = time.monotonic()
    trainer.args.max_steps = min(JOB["steps"], batches)
    trainer.train()
    end = time.monotonic()
    return {
        "prepare": prepared - start,
        "train": end - prepared,
        "memory": memory.peak(),
        "steps": trainer.state.global_step,
    }


if __name__ == "__main__":
    result = globals()[JOB["job"]]()
    if os.environ.get("RANK", "0") == "0":
        Path(JOB["folder"], "result.json").write_text(json.dumps(result))
    sys.stdout.flush()
    os._exit(0)  # two processes on a CPU may hang when they say goodbye
