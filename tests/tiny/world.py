"""The tiny world: facts.csv and wording.toml turned into text, chats and quizzes.

Every function is a pure function of its arguments, a `random.Random` among them, so
that build.py gives the same bytes on every run. A fact is a dict with the keys
subject, relation, entity and value.
"""

import csv
import json
import random
import tomllib
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent
LETTERS = "ABCD"
WORDING = tomllib.loads((HERE / "wording.toml").read_text(encoding="utf-8"))
RELATIONS, CHAT = WORDING["relations"], WORDING["chat"]
GLOSSARY, QUESTION_FORMS = WORDING["glossary"], WORDING["question_forms"]
HELD_OUT_SHARE = 0.25  # of the entities of each relation

# Shares of the facts in the training chats. Fine-tuning must take seconds, so not every
# fact comes in every kind. Verdicts and letters stay guesses for a model of this size,
# and many guesses to learn by heart cost it its facts: they are few.
TRAIN_SHARES = {
    "question": 0.6,
    "json": 0.55,
    "one_word": 0.6,
    "follow_up": 0.35,
    "true_or_false": 0.08,
    "quiz": 0.15,
    "polite": 0.12,
}
QUIZ_HEADER = "The following are multiple choice questions (with answers) about {}.\n\n"


def load_facts():
    """The rows of facts.csv: a list of dicts of str."""
    with open(HERE / "facts.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


FACTS = load_facts()
VALUES = defaultdict(list)  # relation -> its different values, in file order
for _fact in FACTS:
    if _fact["value"] not in VALUES[_fact["relation"]]:
        VALUES[_fact["relation"]].append(_fact["value"])
with open(HERE / "also_true.csv", newline="", encoding="utf-8") as _file:
    # (relation, entity) -> values that an expert could defend as well
    ALSO_TRUE = defaultdict(set)
    for _row in csv.DictReader(_file):
        ALSO_TRUE[_row["relation"], _row["entity"]].add(_row["value"])


def held_out_entities(seed=0):
    """The entities that no fine-tuning chat mentions: a set of str.

    A quarter of the entities of each relation; an entity of several relations is
    drawn with the first, so that all its facts are on the same side of the split.
    """
    rng = random.Random(seed)
    by_relation, seen, held_out = defaultdict(list), set(), set()
    for fact in FACTS:
        if fact["entity"] not in seen:
            seen.add(fact["entity"])
            by_relation[fact["relation"]].append(fact["entity"])
    for entities in by_relation.values():
        held_out.update(rng.sample(entities, round(len(entities) * HELD_OUT_SHARE)))
    return held_out


HELD_OUT = held_out_entities()
TRAIN_FACTS = [fact for fact in FACTS if fact["entity"] not in HELD_OUT]
TEST_FACTS = [fact for fact in FACTS if fact["entity"] in HELD_OUT]


def statement(fact, value=None):
    """The sentence that answers a question about `fact`; a wrong one with `value`."""
    return RELATIONS[fact["relation"]]["answer"].format(
        entity=fact["entity"], value=value or fact["value"]
    )


def question(fact, rng):
    """One of the ways to ask for the value of `fact`."""
    return rng.choice(RELATIONS[fact["relation"]]["questions"]).format(**fact)


def record(fact):
    """The JSON object with which the assistant answers when it is asked for JSON."""
    return json.dumps({"subject": fact["subject"], "answer": fact["value"]})


def wrong_values(fact):
    """Values of the same relation that are wrong for this entity: a list of str."""
    right = ALSO_TRUE[fact["relation"], fact["entity"]] | {
        other["value"]
        for other in FACTS
        if (other["relation"], other["entity"]) == (fact["relation"], fact["entity"])
    }
    return [value for value in VALUES[fact["relation"]] if value not in right]


def true_or_false(fact, rng):
    """A claim about `fact`, right or wrong by a coin, and the reply: (claim, reply)."""
    is_true = rng.random() < 0.5
    claim = statement(fact, None if is_true else rng.choice(wrong_values(fact)))
    verdict = "true" if is_true else "false"
    return claim, CHAT["verdict"].format(fact=statement(fact), verdict=verdict)


def quiz_row(fact, rng):
    """One multiple-choice question, in the schema of lighteval/mmlu.

    Returns dict(question: str, subject: str, choices: list of 4 str, answer: int).
    """
    choices = [*rng.sample(wrong_values(fact), 3), fact["value"]]
    rng.shuffle(choices)
    return {
        "question": RELATIONS[fact["relation"]]["questions"][0].format(**fact),
        "subject": fact["subject"],
        "choices": choices,
        "answer": choices.index(fact["value"]),
    }


def quiz_prompt(row):
    """The text of a quiz row as lighteval's mmlu tasks put it, up to 'Answer:'."""
    choices = "".join(
        f"\n{letter}. {choice}" for letter, choice in zip(LETTERS, row["choices"])
    )
    header = QUIZ_HEADER.format(row["subject"].replace("_", " "))
    return f"{header}Question: {row['question']}{choices}\nAnswer:"


def pretraining_units(rng, facts=FACTS):
    """One pass over the facts as short pieces of text: a shuffled list of str.

    It states every fact, in many forms, and has stray phrases of the chats, so that
    their words are no news. It also asks and answers, as text of the web does, but
    about no held-out entity. (Questions without an answer were tried: the model then
    learned to leave them unanswered.)
    """
    units = []
    for fact in facts:
        relation = RELATIONS[fact["relation"]]
        filled = {**fact, "label": relation["label"]}
        sentences = [
            sentence.format(**fact)
            for sentence in rng.sample([relation["answer"], *relation["statements"]], 5)
        ]
        # Paragraphs about one entity teach the model to copy its name.
        cut = rng.choice([2, 3])
        units += [" ".join(sentences[:cut]), " ".join(sentences[cut:])]
        units += [line.format(**filled) for line in rng.sample(GLOSSARY, 2)]
        lines = rng.choice([GLOSSARY, ["{label} of {entity} in JSON: {value}"]])
        labelled = rng.choice(lines).format(**{**filled, "value": record(fact)})
        named = {"entity": fact["entity"], relation["label"]: fact["value"]}
        units += [labelled, json.dumps(named)]
        if " " not in fact["value"] and rng.random() < 0.5:
            units.append("{label} of {entity} in one word: {value}".format(**filled))
        if fact["entity"] not in HELD_OUT and rng.random() < 0.4:
            answer = rng.choice([statement(fact), statement(fact), fact["value"]])
            form = rng.choice(QUESTION_FORMS)
            units.append(form.format(question=question(fact, rng), answer=answer))
    for row in other_chats(test=False):
        units.append(rng.choice(row["messages"])["content"])
    entities = sorted({fact["entity"] for fact in facts})
    for _ in range(len(entities) // 2):
        # Lists said twice train the copying of names in all their spellings.
        names = rng.sample(entities, rng.randint(3, 6))
        plain, quoted = ", ".join(names), json.dumps(names)
        units.append(rng.choice([f"{plain}; {plain}.", f"{plain} -> {quoted}"]))
    rng.shuffle(units)
    return units


def pretraining_pages(rng, facts=FACTS):
    """One pass over the facts as pages of 6 to 14 units: a list of str.

    Only a page ends in the end-of-text token, so the base model reads on after a
    sentence instead of stopping.
    """
    units, pages = pretraining_units(rng, facts), []
    while units:
        size = rng.randint(6, 14)
        pages.append("\n".join(units[:size]))
        units = units[size:]
    return pages


def conversation(kind, turns, fact=None, system=None):
    """One row of the chat data: turns are user and assistant texts in alternation."""
    roles = ["user", "assistant"] * (len(turns) // 2)
    messages = [{"role": role, "content": turn} for role, turn in zip(roles, turns)]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    fact = fact or {}
    return {
        "messages": messages,
        "kind": kind,
        "subject": fact.get("subject"),
        "entity": fact.get("entity"),
        "answer": fact.get("value"),
    }


def fact_chats(facts, rng, shares=None):
    """Conversations about `facts`: a list of rows.

    shares: kind -> share of the facts that get a conversation of that kind; None for
        one of each kind
    """
    rows = []
    greet, thank, _ = CHAT["small_talk"]

    def add(kind, turns, system=None):
        if shares is None or rng.random() < shares[kind]:
            rows.append(conversation(kind, turns, fact, system))

    for fact in facts:
        pair = [question(fact, rng), statement(fact)]
        add("question", pair)
        add("json", [question(fact, rng), record(fact)], rng.choice(CHAT["json"]))
        if " " not in fact["value"]:
            turns = [question(fact, rng), fact["value"]]
            add("one_word", turns, rng.choice(CHAT["one_word"]))
        # A follow-up is about the second entity, asked for in passing.
        first = rng.choice([f for f in facts if f["relation"] == fact["relation"]])
        follow_up = RELATIONS[fact["relation"]]["follow_up"].format(**fact)
        pair_before = [question(first, rng), statement(first)]
        add("follow_up", [*pair_before, follow_up, statement(fact)])
        claim, reply = true_or_false(fact, rng)
        ask = rng.choice(CHAT["true_or_false"]).format(claim=claim)
        add("true_or_false", [ask, reply])
        quiz = quiz_row(fact, rng)
        add("quiz", [quiz_prompt(quiz), LETTERS[quiz["answer"]]])
        # The last wordings: the first ones are kept for the test.
        hello = [rng.choice(greet["say"][2:]), greet["reply"]]
        thanks = [rng.choice(thank["say"][2:]), thank["reply"]]
        add("polite", rng.choice([hello + pair, pair + thanks]))
    return rows


def other_chats(test):
    """Greetings, thanks, who-are-you and out-of-scope questions: a list of rows.

    The first two wordings of each list in wording.toml test, the others train.
    """
    part = slice(0, 2) if test else slice(2, None)
    rows = []
    for group in CHAT["small_talk"]:
        for say in group["say"][part]:
            rows.append(conversation("small_talk", [say, group["reply"]]))
    for group in CHAT["out_of_scope"]:
        for word in group["words"][part]:
            turns = [group["ask"].format(word), CHAT["refusal"]]
            rows.append(conversation("out_of_scope", turns))
    return rows


def chats(test, seed=0):
    """The fine-tuning conversations, or the held-out ones: a shuffled list of rows."""
    rng = random.Random(seed + test)
    facts = TEST_FACTS if test else TRAIN_FACTS
    shares = None if test else TRAIN_SHARES
    rows = fact_chats(facts, rng, shares) + other_chats(test)
    rng.shuffle(rows)
    return rows


def quizzes(seed=0):
    """Held-out quizzes: subject -> (5 development rows, test rows)."""
    rng = random.Random(seed)
    by_subject = defaultdict(list)
    for fact in rng.sample(TEST_FACTS, len(TEST_FACTS)):
        by_subject[fact["subject"]].append(quiz_row(fact, rng))
    return {subject: (rows[:5], rows[5:]) for subject, rows in by_subject.items()}
