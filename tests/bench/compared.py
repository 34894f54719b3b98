"""What benchmark.py compares: shapes of models, data, and three settings."""

import ast
import contextlib
import io
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import torch
from datasets import Dataset

ROOT = Path(__file__).resolve().parents[2]
SHAPES = {  # width, layers, heads, key-value heads, MLP, vocabulary, output layer apart
    "toy": (64, 2, 4, 2, 176, 2048, False),  # for a proof on a CPU, not for figures
    "SmolLM2-135M": (576, 30, 9, 3, 1536, 49152, False),
    "SmolLM2-1.7B": (2048, 24, 32, 32, 8192, 49152, False),
    "Llama 3.1 8B": (4096, 32, 32, 8, 14336, 128256, True),
}
# everyday-conversations has 2,260 training conversations in 1,926,605 bytes and 119 to
# test (its dataset card): 852 bytes each, at about 4 bytes a token some 200 tokens.
# The spread is an estimate.
TRAIN_ROWS, TEST_ROWS, MEAN_TOKENS, SPREAD = 2260, 119, 200, 45
PEER = {  # huggingface/smol-course, sft_finetuning_example.ipynb; the rest are defaults
    "max_steps": 1000,
    "per_device_train_batch_size": 4,
    "learning_rate": 5e-5,
    "logging_steps": 10,
    "eval_strategy": "steps",
    "eval_steps": 50,
}  # it also saves every 100 steps, which we leave out, in its favour
TRL_EXAMPLE = {  # docstring of trl/scripts/sft.py 1.16; the rest are defaults
    "num_train_epochs": 1,
    "packing": True,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 8,
    "learning_rate": 2e-5,
    "eval_strategy": "steps",
    "eval_steps": 100,
}


def config_of(shape):
    """A configuration of transformers for a shape of SHAPES."""
    from transformers import LlamaConfig

    width, layers, heads, key_heads, inner, words, apart = SHAPES[shape]
    return LlamaConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        intermediate_size=inner,
        vocab_size=words,
        tie_word_embeddings=not apart,
        max_position_embeddings=2048,
    )


def conversations(count, seed, length=None):
    """Synthetic conversations, tokenized, in which each token hints at the next.

    count: rows; length: tokens of each, or None for everyday-conversations' lengths
    Returns a Dataset with `input_ids` (ids from 3 to 514, which all models know) and
    `labels`: -100 outside the assistant's turns, which are every other 25 tokens.
    """
    random, rules = np.random.default_rng(seed), np.random.default_rng(0)
    followers = rules.integers(0, 512, (512, 8))  # eight tokens may follow each
    odds = 1 / np.arange(1, 9) ** 1.5
    lengths = random.normal(MEAN_TOKENS, SPREAD, count).clip(40, 500).astype(int)
    if length:
        lengths[:] = length
    ids = np.empty((count, lengths.max()), dtype=int)
    ids[:, 0] = random.integers(0, 512, count)
    for at in range(1, ids.shape[1]):
        choices = random.choice(8, count, p=odds / odds.sum())
        ids[:, at] = followers[ids[:, at - 1], choices]
    ids += 3
    labels = np.where(np.arange(ids.shape[1]) // 25 % 2, ids, -100)
    return Dataset.from_dict(
        {
            "input_ids": [row[:n].tolist() for row, n in zip(ids, lengths)],
            "labels": [row[:n].tolist() for row, n in zip(labels, lengths)],
        }
    )


def run_cell(notebook, cell_id, names, only=None):
    """Run one cell of a notebook of the course among given names, which it may change.

    names: dict of what the cell may use; only: if given, a dict of what replaces the
    values of its assignments of the same names. What it prints is dropped.
    """
    cells = nbformat.read(ROOT / f"{notebook}.ipynb", as_version=4).cells
    [source] = [cell.source for cell in cells if cell.get("id") == cell_id]
    tree = ast.parse(source)
    for node in ast.walk(tree):
        name = getattr(getattr(node, "targets", [None])[0], "id", None)
        if name in (only or {}):
            node.value = ast.parse(repr(only[name]), mode="eval").body
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(ast.fix_missing_locations(tree), cell_id, "exec"), names)
    return names


def tokenizer_of_course():
    """The tiny base model's tokenizer with the template of sfttrainer.ipynb."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(ROOT / "tests" / "tiny" / "base")
    model = SimpleNamespace(generation_config=SimpleNamespace())
    names = {"tokenizer": tokenizer, "base_model": model}
    run_cell("sfttrainer", "template-for-training", names)
    return run_cell("sfttrainer", "set-template", names)["tokenizer"]


def settings_cells(notebook, profile, device):
    """The names that a notebook's cell of settings defines: dict.

    profile: "tiny" or "smol"; device: "cuda" or "cpu"
    """
    names = {"COURSE_PROFILE": profile, "DEVICE": device, "Path": Path, "torch": torch}
    return run_cell(notebook, "settings", names)


def course(profile, device):
    """What sfttrainer.ipynb sets, as its cells make it: SETTINGS, EVAL_ROWS and more.

    profile: "tiny" or "smol"; device: "cuda" or "cpu". Returns a dict.
    """
    names = settings_cells("sfttrainer", profile, device)
    names["tokenizer"] = SimpleNamespace(eos_token="<|im_end|>")
    names["chats"] = {"test": conversations(TEST_ROWS, 2)}
    return run_cell("sfttrainer", "config", names)


def settings_of(name, device):
    """Arguments of SFTConfig: dict.

    name: "course" or "tiny" (the smol or the tiny settings of sfttrainer.ipynb), "peer"
        or "trl"; with " kept" behind it without activation checkpointing
    device: "cuda" or "cpu"
    """
    name, _, kept = name.partition(" ")
    if name in ("course", "tiny"):
        profile = {"course": "smol"}.get(name, name)
        settings = course(profile, device)["SETTINGS"]
    else:
        settings = dict(PEER if name == "peer" else TRL_EXAMPLE)
        settings |= {
            "report_to": "none",
            "disable_tqdm": True,
            "eos_token": "<|im_end|>",
        }
        settings |= {"use_cpu": device == "cpu", "bf16": device == "cuda"}
    if kept:
        settings["activation_checkpointing"] = False
    return {**settings, "save_strategy": "no"}


def rows_evaluated(name):
    """How many held-out rows the settings of that name evaluate each time: int."""
    if name in ("course", "tiny"):
        return len(course("tiny", "cpu")["EVAL_ROWS"])
    return TEST_ROWS


def predicted(shape, kind):
    """Peak memory of training by lora.ipynb's formulas, for a row of 1,024 tokens.

    shape: a key of SHAPES; kind: "full", "LoRA" or "QLoRA". Returns bytes.
    """
    width, layers, heads, key_heads, inner, words, apart = SHAPES[shape]
    sizes = (width, layers, width // heads * key_heads, inner, words, int(apart))
    names = settings_cells("lora", "smol", "cpu")
    names["pd"] = SimpleNamespace(DataFrame=list)
    run_cell("lora", "big", names, only={"SHAPES": {shape: sizes}})
    return names["costs"][kind] + 2 * 1024 * names["kept"]  # two bytes each


def rank_of_course():
    """Rank and scale of lora.ipynb's adapter: (int, int)."""
    names = settings_cells("lora", "smol", "cpu")
    return names["RANK"], names["ALPHA"]
