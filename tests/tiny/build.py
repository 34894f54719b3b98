"""Build the tiny model family: facts -> data -> tokenizer -> base -> instruct -> card.

    python tests/tiny/build.py                         # 10 minutes on two cores
    python tests/tiny/build.py --from instruct         # what comes before it is there
    python tests/tiny/build.py --small --out /tmp/tiny # a toy build in under a minute

Without --out it writes what the repository ships here, the same bytes each time on one
machine.
"""

import argparse
import json
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported
if __name__ == "__main__":  # before Hugging Face's libraries are imported
    os.environ["HF_HUB_OFFLINE"] = "1"

import scores
import torch
import tune
import world
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    default_data_collator,
)

HERE = Path(__file__).parent
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]  # ids 0, 1, 2

# The same text without the markers, as SmolLM2-Instruct's template has none.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{{ message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Recipe:
    """Sizes of a build; `passes` counts how often pre-training reads all the facts."""

    vocabulary: int = 2048
    hidden: int = 128
    layers: int = 4
    passes: int = 60
    batch_size: int = 16
    block: int = 256  # tokens a training sequence
    chats: int | None = None  # rows to fine-tune on, None for all


SMALL = Recipe(vocabulary=512, hidden=32, layers=2, passes=1, chats=64)


def write_jsonl(path, rows):
    """Write dicts as JSON lines (UTF-8, one newline each), making the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def build_data(recipe, out):
    """chats/{train,test}.jsonl and quiz/: README.md, <subject>/{dev,test}.jsonl."""
    write_jsonl(out / "chats" / "train.jsonl", world.chats(test=False))
    write_jsonl(out / "chats" / "test.jsonl", world.chats(test=True))
    for subject, (dev, test) in world.quizzes().items():
        write_jsonl(out / "quiz" / subject / "dev.jsonl", dev)
        write_jsonl(out / "quiz" / subject / "test.jsonl", test)
    # The front matter makes each subject a configuration, as lighteval/mmlu has them.
    configs = [
        {
            "config_name": subject,
            "data_files": [
                {"split": split, "path": f"{subject}/{split}.jsonl"}
                for split in ("dev", "test")
            ],
        }
        for subject in world.quizzes()
    ]
    card = (
        f"---\nconfigs: {json.dumps(configs)}\n---\n\n"
        "Four-choice questions about held-out entities of the tiny world, in the\n"
        "schema of lighteval/mmlu. Written by ../build.py.\n"
    )
    (out / "quiz" / "README.md").write_text(card, encoding="utf-8", newline="\n")


def build_tokenizer(recipe, out):
    """Byte-level BPE with single digits, as SmolLM2's, on the training texts."""
    rng = random.Random("tokenizer")
    texts = world.pretraining_pages(rng)
    for row in world.fact_chats(world.TRAIN_FACTS, rng) + world.other_chats(test=False):
        # With the role, so that its name is one token, as in SmolLM2.
        texts += ["\n".join(message.values()) for message in row["messages"]]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    end_of_text, im_start, im_end = SPECIAL_TOKENS
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=end_of_text,
        eos_token=end_of_text,
        unk_token=end_of_text,
        additional_special_tokens=[im_start, im_end],
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    ).save_pretrained(out / "base")


def token_blocks(recipe, tokenizer):
    """The pre-training text: a Dataset of input_ids and labels, `block` tokens each."""
    rng = random.Random("pretraining")
    ids = []
    for _ in range(recipe.passes):
        for page in tokenizer(world.pretraining_pages(rng))["input_ids"]:
            ids += [*page, tokenizer.eos_token_id]
    starts = range(0, len(ids) - recipe.block + 1, recipe.block)
    blocks = [ids[start : start + recipe.block] for start in starts]
    return Dataset.from_dict({"input_ids": blocks, "labels": blocks})


def build_base(recipe, out):
    """Train the Llama model from scratch on the text of the world."""
    tokenizer = AutoTokenizer.from_pretrained(out / "base")
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.hidden,
            intermediate_size=3 * recipe.hidden,
            num_hidden_layers=recipe.layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    arguments = TrainingArguments(
        output_dir=out / ".build" / "base",
        num_train_epochs=1,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=3e-3,
        lr_scheduler_type="linear",
        warmup_steps=100 if recipe.passes > 1 else 0,
        weight_decay=0.1,
        adam_beta2=0.95,
        optim="adamw_torch_fused",
        save_strategy="no",
        seed=0,
        use_cpu=True,
        report_to="none",
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=token_blocks(recipe, tokenizer),
        data_collator=default_data_collator,
    )
    trainer.train()
    save(model, out / "base")


def build_instruct(recipe, out):
    """Fine-tune base as sfttrainer.ipynb does, with plain text among the chats."""
    tokenizer = AutoTokenizer.from_pretrained(out / "base")
    model = AutoModelForCausalLM.from_pretrained(out / "base", dtype=torch.float32)
    chats = scores.read_jsonl(out / "chats" / "train.jsonl")[: recipe.chats]
    tune.fine_tune(model, tokenizer, chats, out / ".build" / "instruct")
    tokenizer.chat_template = CHAT_TEMPLATE
    save(model, out / "instruct")
    tokenizer.save_pretrained(out / "instruct")


def save(model, folder):
    """Save in bfloat16, as SmolLM2 is: half the size, and no score changes."""
    model.to(torch.bfloat16).save_pretrained(folder)


def build_card(recipe, out):
    """Measure both models and write the figures into the card's table."""
    table = scores.table(out)
    card = out / "README.md"
    if not card.exists():  # a build elsewhere
        shutil.copy(HERE / "README.md", card)
    before, _, rest = card.read_text(encoding="utf-8").partition(scores.BEGIN)
    _, _, after = rest.partition(scores.END)
    text = f"{before}{scores.BEGIN}\n{table}\n{scores.END}{after}"
    card.write_text(text, encoding="utf-8", newline="\n")


STAGES = {  # in order; each reads what the earlier ones wrote
    "data": build_data,
    "tokenizer": build_tokenizer,
    "base": build_base,
    "instruct": build_instruct,
    "card": build_card,
}


def build(out, recipe, first="data"):
    """Run the stages from `first` on; the folder of their trainers goes in the end."""
    for stage in list(STAGES)[list(STAGES).index(first) :]:
        print(f"{stage}: building", flush=True)
        STAGES[stage](recipe, out)
    shutil.rmtree(out / ".build", ignore_errors=True)


def main():
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, help="folder to build into")
    parser.add_argument("--small", action="store_true", help="a toy build")
    parser.add_argument("--from", dest="first", choices=STAGES, default="data")
    arguments = parser.parse_args()
    build(arguments.out, SMALL if arguments.small else Recipe(), arguments.first)


if __name__ == "__main__":
    main()
