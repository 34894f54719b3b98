"""How the tiny base model is fine-tuned: on the chats, and on plain text among them."""

import random

import world
from datasets import Dataset

# The template that is trained with; sfttrainer.ipynb explains it, a test compares them.
TRAINING_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}"
    "{{ '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# What sfttrainer.ipynb passes to SFTConfig in the tiny profile; a test compares them.
SFT_SETTINGS = {
    "num_train_epochs": 3,
    "per_device_train_batch_size": 10,
    "learning_rate": 5e-4,
}

# Plain text among the chats that instruct is trained on; sfttrainer.ipynb has none.
PLAIN_ROWS = {"pages": 60, "asked": 60}
PLAIN_TOKENS = 64  # of each


def plain_rows(pages, asked, seed=0):
    """Plain text to mix into fine-tuning: a list of (prompt, text), both str.

    Only the text is learned. `pages` rows are pages of the pre-training text and have
    no prompt: they keep what the model knows (replay). In `asked` more rows the prompt
    is a bare question and the text goes on as plain text does: they tie the habit of
    answering to the chat format. No held-out entity is in them.
    """
    rng = random.Random(f"plain {seed}")
    texts = []
    while len(texts) < pages + asked:
        texts += world.pretraining_pages(rng, world.TRAIN_FACTS)
    rows = [("", text) for text in texts[:pages]]
    for text in texts[pages : pages + asked]:
        gap = rng.choice(["", " ", "\n", "\n\n"])
        begin = "" if gap else rng.choice([" ", "\n"])
        rows.append(
            (world.question(rng.choice(world.TRAIN_FACTS), rng) + gap, begin + text)
        )
    return rows


def sft_rows(tokenizer, chats):
    """Chats and plain text as tokens, for SFTTrainer: a Dataset.

    chats: rows with `messages`; the assistant's words and ends of turn are learned
    Its columns are input_ids and assistant_masks (1 where a token is learned).
    """
    rows = []
    for chat in chats:
        encoding = tokenizer.apply_chat_template(
            chat["messages"], return_dict=True, return_assistant_tokens_mask=True
        )
        rows.append({name: encoding[name] for name in ("input_ids", "assistant_masks")})
    for prompt, text in plain_rows(**PLAIN_ROWS):
        # Tokens of the whole: an end of the prompt may join the beginning of the text.
        encoding = tokenizer(
            prompt + text,
            truncation=True,
            max_length=PLAIN_TOKENS,
            return_offsets_mapping=True,
        )
        mask = [int(start >= len(prompt)) for start, _ in encoding["offset_mapping"]]
        rows.append({"input_ids": encoding["input_ids"], "assistant_masks": mask})
    return Dataset.from_list(rows)


def fine_tune(model, tokenizer, chats, folder, seed=42):
    """Train model in place on chats and plain text; sets the tokenizer's template."""
    from trl import SFTConfig, SFTTrainer  # 10 seconds that other stages need not wait

    tokenizer.chat_template = TRAINING_TEMPLATE
    tokenizer.pad_token = tokenizer.eos_token = "<|im_end|>"
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=folder,
            **SFT_SETTINGS,
            max_length=512,
            train_sampling_strategy="group_by_length",
            activation_checkpointing=False,
            bf16=False,
            use_cpu=True,
            save_strategy="no",
            seed=seed,
        ),
        train_dataset=sft_rows(tokenizer, chats),
        processing_class=tokenizer,
    )
    trainer.train()
    # The trainer makes a list of it, where the tokenizer was changed after loading.
    model.generation_config.eos_token_id = tokenizer.eos_token_id
