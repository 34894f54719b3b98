"""Models, data and a counting trainer for the measurements of worker.py."""

import json
import logging
import math
import os
import sys
import threading
import time

JOB = json.loads(sys.argv[1])
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
os.environ["HF_DATASETS_CACHE"] = JOB["folder"]
if JOB["device"] == "cpu":
    os.environ["ACCELERATE_USE_CPU"] = "true"
if JOB.get("kind") != "QLoRA":
    sys.modules["bitsandbytes"] = None  # slow to load

import psutil  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from compared import (  # noqa: E402
    ROOT,
    config_of,
    conversations,
    settings_of,
    tokenizer_of_course,
)
from datasets import load_dataset  # noqa: E402

DEVICE = JOB["device"]
TINY = ROOT / "tests" / "tiny"
torch.set_num_threads(JOB.get("threads", torch.get_num_threads()))
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
logging.getLogger("trl").setLevel(logging.ERROR)


def wait():
    """Wait until the accelerator has done what it was given."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


class Memory:
    """Peak memory since its making, bytes: of torch on a GPU, of the process else."""

    def __init__(self):
        """Begin to measure."""
        if DEVICE == "cuda":
            torch.cuda.reset_peak_memory_stats()
        self.before = self.most = self.now()
        threading.Thread(target=self.watch, daemon=True).start()

    def now(self):
        """What the process holds for itself: without the files that it has mapped."""
        info = psutil.Process().memory_info()
        return info.rss - getattr(info, "shared", 0)

    def watch(self):
        """Look twenty times a second."""
        while True:
            self.most = max(self.most, self.now())
            time.sleep(0.05)

    def peak(self):
        """The peak: on a GPU what was allocated, else by how much the process grew."""
        if DEVICE == "cuda":
            return torch.cuda.max_memory_allocated()
        return self.most - self.before


def make_model(name):
    """A model: the tiny base model, or a random one of a shape of SHAPES.

    The course and TRL's script load fp32 weights, the peer what is stored: bf16.
    """
    if name == "tiny":
        model = transformers.AutoModelForCausalLM.from_pretrained(TINY / "base")
    else:
        torch.manual_seed(0)
        with torch.device(DEVICE):
            model = transformers.AutoModelForCausalLM.from_config(config_of(name))
    stored = JOB.get("settings", "").startswith("peer") and DEVICE == "cuda"
    return model.to(DEVICE, torch.bfloat16 if stored else torch.float32)


def rows_of(name, count, length=None):
    """Training rows and held-out rows for a model: two Datasets."""
    if name != "tiny":
        return conversations(count, 1, length), conversations(JOB["held_out"], 2)
    files = {part: str(TINY / "chats" / f"{part}.jsonl") for part in ("train", "test")}
    chats = load_dataset("json", data_files=files)
    train = chats["train"].select([at % len(chats["train"]) for at in range(count)])
    held_out = chats["test"].shuffle(seed=1).select(range(JOB["held_out"]))
    return train.select_columns("messages"), held_out.select_columns("messages")


def make_trainer(model, rows, held_out, **changes):
    """A counting SFTTrainer with the job's settings and changes to them."""
    from trl import SFTConfig, SFTTrainer

    class Counting(SFTTrainer):
        """Counts real tokens and time from the end of the warm-up on."""

        calls, tokens, places, begun = 0, 0, 0, None

        def training_step(self, model, inputs, *more, **named):
            if self.calls == JOB["warm_up"] * self.args.gradient_accumulation_steps:
                wait()
                self.tokens, self.places, self.begun = 0, 0, time.monotonic()
            self.calls += 1
            mask = inputs.get("attention_mask")
            count = inputs["input_ids"].numel()
            self.tokens += count if mask is None else mask.sum()
            self.places += count
            return super().training_step(model, inputs, *more, **named)

    class Limit(transformers.TrainerCallback):
        """Ends the run after JOB["seconds"]."""

        def on_step_end(self, args, state, control, **more):
            begun = trainer.begun or math.inf  # in the warm-up
            if time.monotonic() - begun > JOB.get("seconds", math.inf):
                control.should_training_stop = True

    settings = settings_of(JOB.get("settings", "course"), DEVICE)
    settings |= {"output_dir": JOB["folder"], **JOB.get("changes", {}), **changes}
    if "labels" in rows.column_names:  # synthetic: TRL takes them as they are
        if not settings.get("assistant_only_loss"):
            rows, held_out = (
                part.remove_columns("labels") for part in (rows, held_out)
            )
        settings["assistant_only_loss"] = False  # of chats only; the labels see to it
    trainer = Counting(
        model=model,
        args=SFTConfig(**settings),
        train_dataset=rows,
        eval_dataset=held_out,
        processing_class=tokenizer_of_course(),
        callbacks=[Limit()],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


@torch.no_grad()
def held_out_loss(model, rows):
    """Mean loss of the assistant's tokens in rows, nats: the same for all settings."""
    total = count = 0
    tokenizer = tokenizer_of_course()
    model.eval()
    for row in rows:
        if "messages" in row:
            row = tokenizer.apply_chat_template(
                row["messages"], return_assistant_tokens_mask=True
            )
            pairs = zip(row["input_ids"], row["assistant_masks"])
            row["labels"] = [id_ if mask else -100 for id_, mask in pairs]
        ids = torch.tensor([row["input_ids"]], device=model.device)
        labels = torch.tensor(row["labels"][1:], device=model.device)
        logits = model(input_ids=ids).logits[0, :-1].float()
        total += torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
        count += (labels != -100).sum()
    return (total / count).item()
