"""What the tiny models can do: the measurements of the card, and of its test.

A score is a pair (number right, number asked). Replies are greedy; one counts only if
the model ended it itself, by <|im_end|> or <|endoftext|>.
"""

import json
import re
from collections import defaultdict

import torch
from scipy.stats import binomtest
from transformers import AutoModelForCausalLM, AutoTokenizer
from world import LETTERS, RELATIONS, TEST_FACTS, quiz_prompt

END_TOKENS = ["<|im_end|>", "<|endoftext|>"]
BEGIN, END = "<!-- scores: written by build.py -->", "<!-- end of scores -->"
WHAT = {  # what is measured -> its line on the card
    "completion": "plain statement completed with the right value",
    "examples": "after four examples, Question: and Answer: right value in the line",
    "bare": "the bare question, no chat format: right value, stopped",
    "bare_line": "the bare question and a line break: right value, stopped",
    "question": "question in the chat format: exact value, stopped",
    "new_wording": "the same in words that no training text has (three a fact)",
    "follow_up": "follow-up question after another one",
    "one_word": "one word, as the system prompt asks: exact",
    "json": "JSON, as the system prompt asks: parses, right value",
    "true_or_false": "true or false: verdict (chance is 50%)",
    "quiz": "four choices in the chat format: letter (chance is 25%)",
    "letter": "four choices as plain text: likeliest letter (chance is 25%)",
    "polite": "question with a greeting or thanks: whole reply exact",
    "small_talk": "greetings, thanks, who are you, in new words: whole reply exact",
    "out_of_scope": "question outside its world: says that it does not know",
    "stopped": "replies of all these kinds that end by themselves",
}


@torch.no_grad()
def generate(model, tokenizer, prompts, max_new_tokens, batch_size=128):
    """Greedy continuations of texts: a list of (text, stopped: bool), in order."""
    model.eval()
    tokenizer.padding_side = "left"
    stop_ids = tokenizer.convert_tokens_to_ids(END_TOKENS)
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    results = [None] * len(prompts)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        texts = [prompts[index] for index in batch]
        encoding = tokenizer(texts, return_tensors="pt", padding=True)
        output = model.generate(
            **encoding,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=stop_ids,
            pad_token_id=stop_ids[0],
        )
        for index, ids in zip(batch, output[:, encoding.input_ids.shape[1] :].tolist()):
            end = next((at for at, id_ in enumerate(ids) if id_ in stop_ids), None)
            results[index] = (tokenizer.decode(ids[:end]), end is not None)
    return results


def holds(text, value):
    """Does `text` hold `value` as whole words? Case counts: Co is not CO."""
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def is_right(row, reply):
    """Is this reply (without its end token) to a row of the chat data right?"""
    expected = row["messages"][-1]["content"]
    if row["kind"] in ("question", "follow_up"):
        return holds(reply, row["answer"])
    if row["kind"] == "json":
        try:
            parsed = json.loads(reply)
        except ValueError:
            return False
        return isinstance(parsed, dict) and parsed.get("answer") == row["answer"]
    if row["kind"] == "true_or_false":
        return reply.endswith(expected[expected.index("Verdict") :])
    return reply == expected


def completion_score(model, tokenizer):
    """Plain statements about held-out entities, cut before the value."""
    prompts, values = [], []
    for fact in TEST_FACTS:
        text = RELATIONS[fact["relation"]]["answer"].format(**{**fact, "value": "|"})
        prompts.append(text[: text.index(" |")])
        values.append(fact["value"])
    texts = [text for text, _ in generate(model, tokenizer, prompts, 16)]
    right = [text.startswith(f" {value}.") for text, value in zip(texts, values)]
    return sum(right), len(right)


def asked_about(rows):
    """The rows that ask one plain question, and their questions: (rows, texts)."""
    plain = [row for row in rows if row["kind"] == "question"]
    return plain, [row["messages"][0]["content"] for row in plain]


def example_score(model, tokenizer, train_rows, rows):
    """Plain text with four examples of the training rows, then a question.

    What is written is cut at its first line break; it need not stop.
    """
    form, shown = "Question: {}\nAnswer:", ""
    for row in asked_about(train_rows)[0][:4]:
        asks, answers = (message["content"] for message in row["messages"])
        shown += f"{form.format(asks)} {answers}\n\n"
    rows, questions = asked_about(rows)
    prompts = [shown + form.format(question) for question in questions]
    texts = generate(model, tokenizer, prompts, 24)
    lines = [text.strip().partition("\n")[0] for text, _ in texts]
    return sum(holds(line, row["answer"]) for line, row in zip(lines, rows)), len(rows)


def bare_scores(model, tokenizer, rows):
    """Questions without the chat format: is the reply right, and does it stop?"""
    rows, texts = asked_about(rows)
    results = {}
    for name, end in [("bare", ""), ("bare_line", "\n")]:
        replies = generate(model, tokenizer, [text + end for text in texts], 40)
        pairs = zip(replies, rows)
        right = [
            stopped and holds(text, row["answer"]) for (text, stopped), row in pairs
        ]
        results[name] = (sum(right), len(right))
    return results


def new_wording_score(model, tokenizer):
    """Questions about held-out entities in words that no training text has."""
    facts, prompts = [], []
    for fact in TEST_FACTS:
        for wording in RELATIONS[fact["relation"]]["new_questions"]:
            asks = [{"role": "user", "content": wording.format(**fact)}]
            prompts.append(
                tokenizer.apply_chat_template(
                    asks, tokenize=False, add_generation_prompt=True
                )
            )
            facts.append(fact)
    pairs = zip(generate(model, tokenizer, prompts, 40), facts)
    right = [stopped and holds(text, fact["value"]) for (text, stopped), fact in pairs]
    return sum(right), len(right)


def chat_scores(model, tokenizer, rows):
    """Score of each kind of row, and 'stopped' over all: dict of str -> score.

    The tokenizer must have a chat template; the last message of a row is what is
    asked for and is not shown to the model.
    """
    prompts = [
        tokenizer.apply_chat_template(
            row["messages"][:-1], tokenize=False, add_generation_prompt=True
        )
        for row in rows
    ]
    right = defaultdict(list)
    for row, (text, stopped) in zip(rows, generate(model, tokenizer, prompts, 48)):
        right[row["kind"]].append(stopped and is_right(row, text))
        right["stopped"].append(stopped)
    return {kind: (sum(marks), len(marks)) for kind, marks in right.items()}


def letter_score(model, tokenizer, quiz_rows):
    """Quiz by letter as plain text: is the right letter the likeliest of the four?"""
    prompts = [quiz_prompt(row) for row in quiz_rows]
    letters = tokenizer.convert_tokens_to_ids([f"Ġ{letter}" for letter in LETTERS])
    right = 0
    for prompt, row in zip(prompts, quiz_rows):
        with torch.no_grad():
            logits = model(**tokenizer(prompt, return_tensors="pt")).logits[0, -1]
        right += int(logits[letters].argmax()) == row["answer"]
    return right, len(quiz_rows)


def load(folder):
    """A model in fp32 and its tokenizer, with padding and a chat template.

    The base tokenizer has neither; it gets the end of text and instruct's template.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.chat_template is None:
        instruct = AutoTokenizer.from_pretrained(folder.parent / "instruct")
        tokenizer.chat_template = instruct.chat_template
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), tokenizer


def read_jsonl(path):
    """The rows of a JSON lines file: a list of dicts."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def measure(out):
    """All scores of the card: (model, what) -> (right, asked).

    out: the folder with base/, instruct/, chats/ and quiz/.
    """
    train_rows, rows = [
        read_jsonl(out / "chats" / f"{part}.jsonl") for part in ("train", "test")
    ]
    quiz_files = sorted((out / "quiz").glob("*/test.jsonl"))
    quiz_rows = [row for path in quiz_files for row in read_jsonl(path)]
    results = {}
    for name in ["base", "instruct"]:
        model, tokenizer = load(out / name)
        results[name, "completion"] = completion_score(model, tokenizer)
        found = chat_scores(model, tokenizer, rows)
        if name == "base":
            found["examples"] = example_score(model, tokenizer, train_rows, rows)
        else:
            found |= bare_scores(model, tokenizer, rows)
            found["new_wording"] = new_wording_score(model, tokenizer)
        results |= {(name, kind): score for kind, score in found.items()}
        results[name, "letter"] = letter_score(model, tokenizer, quiz_rows)
    return results


def table(out):
    """The scores of the models in `out` as the Markdown table of the card."""
    lines = ["| model | what | right | of | % | 95% interval |"]
    lines.append("|---|---|--:|--:|--:|--:|")
    for (name, what), (right, asked) in measure(out).items():
        low, high = binomtest(right, asked).proportion_ci(0.95, method="wilson")
        share = f"{right / asked:.1%} | {low:.1%} to {high:.1%}"
        lines.append(f"| {name} | {WHAT[what]} | {right} | {asked} | {share} |")
    return "\n".join(lines)
