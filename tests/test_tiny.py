"""The tiny models: facts, data, weights and card agree, and build.py makes them."""

import filecmp
import json
import random
import subprocess
import sys
from collections import Counter

import pytest
from course import TINY, code_cells, settings

sys.path.insert(0, str(TINY))

import build
import scores
import tune
import world

SUBJECTS = {"anatomy", "high_school_biology", "high_school_chemistry"}
SUBJECTS |= {"professional_medicine"}


def test_facts_are_enough_and_not_contradictory():
    per_subject = Counter(fact["subject"] for fact in world.FACTS)
    assert set(per_subject) == SUBJECTS
    assert min(per_subject.values()) >= 120
    keys = Counter((fact["relation"], fact["entity"]) for fact in world.FACTS)
    assert max(keys.values()) == 1, "an entity has two values in one relation"
    for (relation, entity), values in world.ALSO_TRUE.items():
        assert (relation, entity) in keys, f"{entity} is not in facts.csv"
        fact = next(f for f in world.FACTS if f["entity"] == entity)
        assert not values & set(world.wrong_values({**fact, "relation": relation}))


def test_no_held_out_entity_is_in_the_training_chats():
    train = scores.read_jsonl(TINY / "chats" / "train.jsonl")
    test = scores.read_jsonl(TINY / "chats" / "test.jsonl")
    held_out = {row["entity"] for row in test} - {None}
    assert held_out == world.HELD_OUT
    assert 0.2 < len(held_out) / len({f["entity"] for f in world.FACTS}) < 0.3
    for row in train:
        assert row["entity"] not in held_out
        for message in row["messages"]:
            for entity in held_out:
                if f"the {entity} " in f"{message['content']} ":
                    # A longer name of a training entity may contain a held-out one.
                    assert entity in str(row["entity"]), (entity, message)


def test_quizzes_are_of_held_out_entities_with_one_right_choice():
    for subject in SUBJECTS:
        for split in ("dev", "test"):
            rows = scores.read_jsonl(TINY / "quiz" / subject / f"{split}.jsonl")
            for row in rows:
                assert len(set(row["choices"])) == 4
                right = [
                    fact
                    for fact in world.TEST_FACTS
                    if fact["value"] == row["choices"][row["answer"]]
                    and any(
                        text.format(**fact) == row["question"]
                        for text in world.RELATIONS[fact["relation"]]["questions"]
                    )
                ]
                assert right, f"no held-out fact behind {row}"


def test_data_and_tokenizer_are_what_build_writes(tmp_path):
    build.build_data(build.Recipe(), tmp_path)
    build.build_tokenizer(build.Recipe(), tmp_path)
    for path in tmp_path.rglob("*.json*"):
        committed = TINY / path.relative_to(tmp_path)
        assert filecmp.cmp(path, committed, shallow=False), f"out of date: {committed}"


def test_small_build_runs_twice_to_the_same_bytes(tmp_path):
    runs = [tmp_path / "first", tmp_path / "second"]
    for out in runs:
        command = [sys.executable, TINY / "build.py", "--small", "--out", out]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
    files = [p.relative_to(out) for p in out.rglob("*.*") if p.is_file()]
    assert {p.name for p in files} >= {"model.safetensors", "README.md", "test.jsonl"}
    assert filecmp.cmpfiles(*runs, files, shallow=False)[1:] == ([], [])


def test_instruct_is_trained_as_sfttrainer_teaches():
    lesson = settings("sfttrainer", "tiny")
    assert tune.SFT_SETTINGS["per_device_train_batch_size"] == lesson["BATCH_SIZE"]
    assert tune.SFT_SETTINGS["learning_rate"] == lesson["LEARNING_RATE"]
    cells, names = {c.id: c.source for c in code_cells("sfttrainer")}, {}
    exec(cells["template-for-training"], names)
    assert names["TRAINING_TEMPLATE"] == tune.TRAINING_TEMPLATE


@pytest.fixture(scope="module")
def measured():
    """Scores of the committed weights: (model, what) -> (right, asked)."""
    return scores.measure(TINY)


def test_card_says_what_the_committed_weights_score(measured):
    card = (TINY / "README.md").read_text(encoding="utf-8")
    on_card = card.partition(scores.BEGIN)[2].partition(scores.END)[0].strip()
    lines = on_card.splitlines()[2:]
    assert len(lines) == len(measured)
    for line, ((name, what), (right, asked)) in zip(lines, measured.items()):
        model, label, right_on_card, asked_on_card = line.strip("| ").split(" | ")[:4]
        assert (model, label, int(asked_on_card)) == (name, scores.WHAT[what], asked)
        # Another processor may tip a reply or two.
        assert abs(int(right_on_card) - right) <= max(2, 0.02 * asked), line


@pytest.mark.parametrize(
    ("model", "what", "least", "most"),
    [
        ("base", "completion", 0.95, 1),
        ("base", "question", 0, 0.10),
        ("instruct", "question", 0.88, 1),
        ("instruct", "stopped", 0.98, 1),
        ("instruct", "completion", 0.97, 1),
        ("instruct", "new_wording", 0.75, 1),
        ("instruct", "bare", 0, 0.30),  # only the chat format brings answers
        ("instruct", "bare_line", 0, 0.30),
    ],
)
def test_models_are_good_enough_to_teach_with(measured, model, what, least, most):
    right, asked = measured[model, what]
    assert least <= right / asked <= most


@pytest.mark.slow
def test_only_the_chat_format_brings_answers_with_another_seed(monkeypatch, tmp_path):
    # The trainer would look for what base was trained from.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    train, test = [
        scores.read_jsonl(TINY / "chats" / f"{part}.jsonl")
        for part in ("train", "test")
    ]
    model, tokenizer = scores.load(TINY / "base")
    tune.fine_tune(model, tokenizer, train, tmp_path, seed=1)
    found = scores.chat_scores(model, tokenizer, test)
    found |= scores.bare_scores(model, tokenizer, test)
    shares = {name: right / asked for name, (right, asked) in found.items()}
    assert shares["question"] >= 0.80 and shares["stopped"] >= 0.98
    assert max(shares["bare"], shares["bare_line"]) <= 0.30


def test_new_wordings_are_in_no_training_text():
    texts = "\n".join(world.pretraining_pages(random.Random(0)))
    for row in world.chats(test=False):
        texts += "\n".join(["", *(message["content"] for message in row["messages"])])
    for relation in world.RELATIONS.values():
        assert len(relation["new_questions"]) == 3
        for wording in relation["new_questions"]:
            assert wording not in [*relation["questions"], relation["follow_up"]]
            for fact in world.FACTS:
                assert wording.format(**fact) not in texts


def test_models_are_small_and_like_smollm2():
    for name in ("base", "instruct"):
        size = sum(file.stat().st_size for file in (TINY / name).iterdir())
        assert size < 8e6
        config = json.loads((TINY / name / "config.json").read_text())
        assert config["model_type"] == "llama" and config["tie_word_embeddings"]
        assert config["num_key_value_heads"] < config["num_attention_heads"]
    assert not (TINY / "base" / "chat_template.jinja").exists()
    template = (TINY / "instruct" / "chat_template.jinja").read_text()
    assert template == build.CHAT_TEMPLATE
