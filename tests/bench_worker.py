"""A measurement of benchmark.py, in a process of its own: JSON in, result.json out."""

import contextlib
import io
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import peft
import psutil
import torch
import transformers
from course import ROOT, TINY
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

JOB = json.loads(sys.argv[1])
DEVICE, FOLDER = JOB["device"], Path(JOB["folder"])
SHAPES = {  # by the names of LlamaConfig in KEYS
    "toy": (64, 2, 4, 2, 176, 2048, True),  # whether it runs, not for figures
    "SmolLM2-135M": (576, 30, 9, 3, 1536, 49152, True),
    "SmolLM2-1.7B": (2048, 24, 32, 32, 8192, 49152, True),
    "Llama 3.1 8B": (4096, 32, 32, 8, 14336, 128256, False),
}
KEYS = ["hidden_size", "num_hidden_layers", "num_attention_heads"]
KEYS += ["num_key_value_heads", "intermediate_size", "vocab_size"]
KEYS += ["tie_word_embeddings"]
PEER = {  # huggingface/smol-course, sft_finetuning_example.ipynb; the rest are defaults
    "per_device_train_batch_size": 4,
    "learning_rate": 5e-5,
}
TRL_EXAMPLE = {  # docstring of trl/scripts/sft.py 1.16; the rest are defaults
    "packing": True,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 8,
    "learning_rate": 2e-5,
}


def run_cells(notebook, ids, names, shapes=None):
    """Run cells of a notebook of the course among names (a dict), which they change.

    shapes: what replaces the dict SHAPES of the cell. What they print is dropped.
    """
    cells = nbformat.read(ROOT / f"{notebook}.ipynb", as_version=4).cells
    for id_ in ids:
        source = next(cell.source for cell in cells if cell.id == id_)
        if shapes:
            source = re.sub(
                r"SHAPES = \{.*?\n\}", f"SHAPES = {shapes}", source, flags=re.S
            )
        with contextlib.redirect_stdout(io.StringIO()):
            exec(source, names)
    return names


def course(notebook):
    """The names of a lesson's settings: smol's on a GPU, else the tiny profile's."""
    profile = "smol" if DEVICE == "cuda" else "tiny"
    names = {"COURSE_PROFILE": profile, "DEVICE": DEVICE, "Path": Path, "torch": torch}
    return run_cells(notebook, ["settings"], names)


def make_tokenizer():
    """The tiny base model's tokenizer with the template of sfttrainer.ipynb."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(TINY / "base")
    model = SimpleNamespace(generation_config=SimpleNamespace())
    names = {"tokenizer": tokenizer, "base_model": model}
    run_cells("sfttrainer", ["template-for-training", "set-template"], names)
    return names["tokenizer"]


def make_model(shape, dtype=torch.float32):
    """The tiny base model, or a random one of a shape of SHAPES."""
    if shape == "tiny":
        return transformers.AutoModelForCausalLM.from_pretrained(TINY / "base")
    shape = dict(zip(KEYS, SHAPES[shape]))
    config = transformers.LlamaConfig(**shape, max_position_embeddings=2048)
    torch.manual_seed(0)
    with torch.device(DEVICE):
        return transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)


def settings_of(name, tokenizer):
    """Arguments of SFTConfig for "course", "peer" or "trl": dict."""
    if name == "course":
        names = course("sfttrainer") | {"tokenizer": tokenizer}
        names["chats"] = {"test": SimpleNamespace(select=list)}
        settings = run_cells("sfttrainer", ["config"], names)["SETTINGS"]
    else:
        settings = dict(PEER if name == "peer" else TRL_EXAMPLE)
        settings |= {"use_cpu": DEVICE == "cpu", "bf16": DEVICE == "cuda"}
    same = {"eval_strategy": "no", "save_strategy": "no", "report_to": "none"}
    same |= {"eos_token": tokenizer.eos_token, "output_dir": str(FOLDER)}
    return settings | same | {"disable_tqdm": True, "num_train_epochs": 1}


def peak(before=0):
    """Peak memory: torch's on a GPU, else by how much the process grew, in bytes."""
    if DEVICE == "cuda":
        return torch.cuda.max_memory_allocated()
    return psutil.Process().memory_info().rss - before


def train():
    """Train once on JOB["rows"] conversations: tokens a second, loss, memory."""
    tokenizer, model = make_tokenizer(), make_model(JOB["shape"])
    files = {part: str(TINY / "chats" / f"{part}.jsonl") for part in ("train", "test")}
    chats = load_dataset("json", data_files=files, cache_dir=str(FOLDER))
    rows = chats["train"].select_columns("messages")
    rows = rows.select(at % len(rows) for at in range(JOB["rows"]))
    before = psutil.Process().memory_info().rss
    args = SFTConfig(**settings_of(JOB["settings"], tokenizer))
    trainer = SFTTrainer(model, args, train_dataset=rows, processing_class=tokenizer)
    seconds = trainer.train().metrics["train_runtime"]
    tokens = sum(len(row["input_ids"]) for row in trainer.train_dataset)
    result = {"tokens": tokens, "speed": tokens / seconds, "memory": peak(before)}
    args = SFTConfig(**settings_of("course", tokenizer))  # the same for all
    rows = chats["test"].select_columns("messages").shuffle(seed=1).select(range(120))
    trainer = SFTTrainer(
        model, args, train_dataset=rows, eval_dataset=rows, processing_class=tokenizer
    )
    return result | {"loss": trainer.evaluate()["eval_loss"]}


def frozen_model(kind, shape):
    """A random model whose weights will not be trained, in bf16 or, for QLoRA, NF4."""
    model = make_model(shape, torch.bfloat16)
    if kind == "LoRA":
        return model
    model.save_pretrained(FOLDER / "frozen")  # it is loading that quantizes
    del model
    quantization = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,  # the formula has scales in 8 bits
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    model = transformers.AutoModelForCausalLM.from_pretrained(
        FOLDER / "frozen",
        quantization_config=quantization,
        dtype=torch.bfloat16,
        device_map={"": DEVICE},
    )
    # As lora.ipynb: this casts what is not in 4 bits to fp32.
    return peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def adapt():
    """Peak memory and speed of one kind of fine-tuning, beside lora.ipynb's formula."""
    kind, shape, lesson = JOB["kind"], JOB["shape"], course("lora")
    width, layers, heads, key_heads, inner, words, tied = SHAPES[shape]
    sizes = (width, layers, width // heads * key_heads, inner, words, int(not tied))
    lesson["pd"] = SimpleNamespace(DataFrame=list)
    run_cells("lora", ["big"], lesson, shapes={shape: sizes})
    tokenizer = make_tokenizer()
    model = make_model(shape) if kind == "full" else frozen_model(kind, shape)
    if kind != "full":
        lora = {"r": lesson["RANK"], "lora_alpha": lesson["ALPHA"]}
        lora = peft.LoraConfig(target_modules="all-linear", **lora)
        model = peft.get_peft_model(model, lora)
    steps = 10 if DEVICE == "cuda" else 1
    settings = settings_of("course", tokenizer) | {"max_steps": steps, "bf16": True}
    settings |= {"per_device_train_batch_size": 1, "activation_checkpointing": True}
    settings |= {"max_length": 1024, "assistant_only_loss": False}
    rows = load_dataset("json", data_files=str(TINY / "chats" / "train.jsonl"))["train"]
    text = " ".join(turn["content"] for row in rows for turn in row["messages"])
    ids = tokenizer.encode(text)[:1024]
    rows = rows.from_dict({"input_ids": [ids] * steps})
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
    trainer = SFTTrainer(
        model, SFTConfig(**settings), train_dataset=rows, processing_class=tokenizer
    )
    trainer.train()
    memory = peak() if DEVICE == "cuda" else None
    predicted = lesson["costs"][kind] + 2 * 1024 * lesson["kept"]  # two bytes each
    return {"predicted": predicted, "memory": memory}


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    report = {"train": train, "adapt": adapt}[JOB["job"]]()
    (FOLDER / "result.json").write_text(json.dumps(report), encoding="utf-8")
