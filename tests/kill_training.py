"""Kill a fine-tuning run with SIGKILL at several points, resume it, compare weights.

    python tests/kill_training.py FOLDER   # Linux or macOS; FOLDER is for checkpoints

test_reliability.py runs it. Each run is a process of its own, forked after the imports.
"""

import os
import signal
import sys
from pathlib import Path

TINY = Path(__file__).parent / "tiny"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
sys.path.insert(0, str(TINY))

import scores  # noqa: E402
import torch  # noqa: E402
import tune  # noqa: E402
from datasets import Dataset  # noqa: E402
from stages import last_whole_checkpoint  # noqa: E402
from transformers import TrainerCallback, TrainerState  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402

ROWS = Dataset.from_list(scores.read_jsonl(TINY / "chats" / "train.jsonl")[:80])
ROWS = ROWS.select_columns("messages")
# When it is killed -> the step at which it dies, and where it should go on from
POINTS = {
    "before the first checkpoint": (1, None),
    "between two checkpoints": (5, "checkpoint-4"),
    "in the middle of a checkpoint": (4, "checkpoint-2"),
    "after the last checkpoint": (6, "checkpoint-6"),
}


def die():
    """End this process as the system does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


class DieAfter(TrainerCallback):
    """Die at the end of a step, or after its checkpoint where it has one."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **more):
        if state.global_step == self.step and not control.should_save:
            die()

    def on_save(self, args, state, control, **more):
        if state.global_step == self.step:
            die()


def train(folder, point=None):
    """Train for 6 steps with a checkpoint every 2, from the newest whole one on."""
    torch.set_num_threads(1)
    model, tokenizer = scores.load(TINY / "base")
    tokenizer.chat_template = tune.TRAINING_TEMPLATE
    model.train()
    settings = SFTConfig(
        output_dir=str(folder),
        max_steps=6,
        save_steps=2,
        per_device_train_batch_size=10,
        learning_rate=5e-4,
        assistant_only_loss=True,
        eos_token="<|im_end|>",
        activation_checkpointing=False,
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
        report_to="none",
    )
    trainer = SFTTrainer(
        model, settings, train_dataset=ROWS, processing_class=tokenizer
    )
    last = POINTS[point][0] if point else None
    if point == "in the middle of a checkpoint":
        save = TrainerState.save_to_json
        TrainerState.save_to_json = lambda state, path: (
            die() if state.global_step == last else save(state, path)
        )
    elif point:
        trainer.add_callback(DieAfter(last))
    trainer.train(resume_from_checkpoint=last_whole_checkpoint(folder))
    model.save_pretrained(folder / "end")


def in_a_process(folder, point=None):
    """Call train() in a fork of this process: the signal that ended it, or 0."""
    if (child := os.fork()) == 0:
        train(folder, point)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "it failed by itself"
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def main():
    """Train once without a fault, then with each; print a line for each that agrees."""
    out = Path(sys.argv[1])
    assert in_a_process(out / "whole") == 0
    whole = (out / "whole" / "end" / "model.safetensors").read_bytes()
    for point, (_, checkpoint) in POINTS.items():
        folder = out / point.replace(" ", "-")
        assert in_a_process(folder, point) == signal.SIGKILL, f"{point}: not killed"
        found = last_whole_checkpoint(folder)
        assert (found and Path(found).name) == checkpoint, f"{point}: {found}"
        assert in_a_process(folder) == 0
        again = (folder / "end" / "model.safetensors").read_bytes()
        assert again == whole, f"killed {point}: other weights"
        print(f"killed {point}: the same weights", flush=True)


if __name__ == "__main__":
    main()
