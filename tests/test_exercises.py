"""Exercises: the solution passes its check, wrong answers get a message of their own.

The cells of an exercise are tagged exercise-NAME, check-NAME and solution-NAME; the
check is a function check_NAME(attempt) that returns one line.
"""

import re
import shutil

import nbformat
import pytest
from run_notebooks import NAMES, ROOT, execute

# (notebook, exercise) -> plausible wrong answers, and a part of the message for each;
# `solved` in them is the exercise's solution
WRONG = {
    ("chat_templates", "count"): [
        ("def attempt(messages): return len(input_ids)", "every token"),
        (
            "def attempt(messages): return trained.count('trained') - 1",
            "the <|im_end|>",
        ),
        ("def attempt(messages): return trained.count('trained')", "a second answer"),
        ("def attempt(messages): return 0", "pass chat_template"),
    ],
    ("chat_templates", "predict"): [
        (
            "def attempt(): return [t for t in solved() if t != '\\n']",
            "Only the line breaks",
        ),
        ("def attempt(): return solved()[:14]", "the generation prompt add"),
        (
            "def attempt(): return [t + ' ' * (t == 'user') for t in solved()]",
            "The first 8 tokens are right",
        ),
    ],
    ("chat_templates", "gemma"): [
        ("def attempt(): return GEMMA", "no system role"),
        (
            "def attempt(): return solved().replace('if loop.first', 'if loop.last')",
            "system, user, assistant: ",
        ),
        (
            "def attempt(): return solved().replace('model', 'assistant')",
            "user, assistant: ",
        ),
        ("def attempt(): return solved().replace(' | trim', '')", "user: "),
        ("def attempt(): return solved().replace(ALTERNATE, '')", "keep ALTERNATE"),
    ],
    ("chat_templates", "history"): [
        (
            "def attempt(row): return solved(row | {'history': row['history']})",
            "A key may be absent",
        ),
        (
            "def attempt(row): return solved(row | {'history': []})",
            "a to f go in",
        ),
        (
            "def attempt(row): return [{'role': 'system', 'content': "
            "row.get('system', '')}] + solved(row | {'system': ''})",
            "row has faults",
        ),
        (
            "def attempt(row): return [m | {'role': {'user': 'assistant', "
            "'assistant': 'user'}.get(m['role'], m['role'])} for m in solved(row)]",
            "should alternate",
        ),
    ],
    ("chat_templates", "diagnose"): [
        ("def attempt(input_ids): return 'healthy'", "'BOS twice'"),
        (
            "def attempt(input_ids): return 'BOS twice' "
            "if bos_tokenizer.bos_token_id in input_ids else solved(input_ids)",
            "it is 'healthy'",
        ),
        (  # the last check first
            "def attempt(input_ids): return 'space at the end' "
            "if tokenizer.decode(input_ids).endswith(' ') else solved(input_ids)",
            "it is 'BOS twice'",
        ),
    ],
    ("sfttrainer", "steps"): [
        ("def attempt(rows, size, epochs): return rows // size * epochs", "round up"),
        (
            "def attempt(rows, size, epochs): return (rows // size + 1) * epochs",
            "no batch is left over",
        ),
        (
            "def attempt(rows, size, epochs): return -(-rows * epochs // size)",
            "before you multiply",
        ),
    ],
    ("sfttrainer", "endless"): [
        (
            "def attempt(rows): return [n for n, row in enumerate(rows) if [l for l in "
            "row['labels'] if l != -100][-1] != tokenizer.eos_token_id]",
            "no label at all",
        ),
        (
            "def attempt(rows): return [n for n, row in enumerate(rows) "
            "if tokenizer.eos_token_id not in row['labels']]",
            "after an early end) is reported 0 times",
        ),
        (
            "def attempt(rows): return [n for n, row in enumerate(rows) "
            "if row['labels'][-1] != tokenizer.eos_token_id]",
            "(good) is reported 1 times",
        ),
    ],
    ("sfttrainer", "choose"): [
        ("def attempt(rows): return rows.select(range(100))", "of the gain"),
        ("def attempt(rows): return rows", "between 1 and 100"),
        ("def attempt(rows): return list(rows)[:100]", "Return a Dataset"),
        (
            "def attempt(rows): return Dataset.from_list([{'messages': [{'role': "
            "'user', 'content': q}, {'role': 'assistant', 'content': a}]} "
            "for q, a, _ in QUESTIONS[:100]])",
            "cheating",
        ),
    ],
    ("lora", "parameters"): [
        ("def attempt(rows, columns, rank): return rows * columns", "stays frozen"),
        ("def attempt(rows, columns, rank): return rank * rows", "One of the two"),
    ],
    ("lora", "budget"): [
        (
            "def attempt(shapes, megabytes): return round(megabytes * 1e6 "
            "/ sum(4 * (rows + columns) for rows, columns in shapes))",
            "Rounded up",
        ),
        ("def attempt(*given): return 4 * solved(*given) + 3", "takes 4 bytes"),
        ("def attempt(*given): return float(solved(*given))", "Return an int"),
    ],
    ("lora", "untouched"): [
        (
            "def attempt(model): return [name for name, module in "
            "model.get_base_model().named_modules() "
            "if isinstance(module, torch.nn.Linear)]",
            "leave names with `lora_` out",
        ),
        (
            "def attempt(model): return solved(model) "
            "+ ['model.layers.0.self_attn.q_proj.base_layer']",
            "the frozen W inside",
        ),
        ("def attempt(model): return solved(model) + ['lm_head']", "output head"),
        (
            "def attempt(model): return [n for n in solved(model) if 'q_p' not in n]",
            "24 names, but 27 layers",
        ),
    ],
    ("lora", "merge"): [
        (
            "def attempt(first, second): model = PeftModel.from_pretrained("
            "load_model(INSTRUCT_MODEL), first); return model",
            "There are adapters in it still",
        ),
        ("def attempt(first, second): return solved(first, first)", "Only the first"),
        (
            "def attempt(first, second): model = PeftModel.from_pretrained("
            "load_model(INSTRUCT_MODEL), first).merge_and_unload(); return "
            "PeftModel.from_pretrained(model, second).merge_and_unload()",
            "the whole of both changes",
        ),
        (
            "def attempt(first, second):\n"
            "    model = PeftModel.from_pretrained("
            "load_model(INSTRUCT_MODEL), first, 'first')\n"
            "    model.load_adapter(second, 'second')\n"
            "    model.add_weighted_adapter(['first', 'second'], [0.5, 0.5], 'both', "
            "combination_type='linear')\n"
            "    return model.merge_and_unload(adapter_names=['both'])",
            "pairs one's A with the other's B",
        ),
    ],
    ("evaluation", "tasks"): [
        (
            "def attempt(subjects, shots): return "
            "','.join(f'leaderboard|mmlu:{s}|{shots}|0' for s in subjects)",
            "the older form",
        ),
        (
            "def attempt(subjects, shots): return "
            "', '.join(f'mmlu:{s}|{shots}' for s in subjects)",
            "No spaces",
        ),
    ],
    ("evaluation", "decide"): [
        (
            "def attempt(a, b): return 'first' if sum(a) > sum(b) else 'second'",
            "one time in three",
        ),
        (  # intervals that overlap
            "def attempt(a, b): return 'first' if score('', a)['95% interval'] > "
            "score('', b)['95% interval'] and sum(a) > sum(b) + 20 else 'no decision'",
            "Intervals may overlap",
        ),
        (
            "def attempt(a, b): return {'first': 'second', 'second': 'first'}.get("
            "solved(a, b), solved(a, b))",
            "swapped",
        ),
        (
            "def attempt(a, b): return 'first' if sum(a) > sum(b) and "
            "paired(a, b)[2] < 0.05 else 'no decision'",
            "two sides",
        ),
    ],
    ("evaluation", "zero"): [
        (
            "def attempt(config): return replace(config, name='new')",
            "more than 4 tokens",
        ),
        (
            "def attempt(config): return replace(config, generation_size=40)",
            "in capitals",
        ),
        (
            "def attempt(config): return replace(config, generation_size=40, "
            "prompt_function=own_tasks.chat)",
            "What does the metric want?",
        ),
        ("def attempt(config): return [config]", "Return a LightevalTaskConfig"),
    ],
}


def exercises(notebook):
    """The exercises of a notebook: dict of name -> (stub, solution), sources."""
    found = {}
    for cell in notebook.cells:
        for tag in cell.metadata.get("tags", []):
            kind, _, name = tag.partition("-")
            if kind == "exercise":
                found[name] = [cell.source]
            if kind == "solution":
                [code] = re.findall(r"```python\n(.*?)```", cell.source, re.S)
                found[name].append(code)
    return found


def test_every_exercise_has_wrong_answers():
    found = {
        (name, exercise)
        for name in NAMES
        for exercise in exercises(nbformat.read(ROOT / f"{name}.ipynb", 4))
    }
    assert found == set(WRONG)
    assert all(len(wrong) > 1 for wrong in WRONG.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({name for name, _ in WRONG}))
def test_checks_of_exercises(name, tmp_path):
    shutil.copytree(ROOT / "tests" / "tiny", tmp_path / "tests" / "tiny")
    notebook = nbformat.read(ROOT / f"{name}.ipynb", 4)
    expected = []
    for exercise, (stub, solution) in exercises(notebook).items():
        function = re.match(r"def (\w+)", stub)[1]
        for source, message in [
            (stub, "not attempted yet"),
            (solution, "correct"),
            *WRONG[name, exercise],
        ]:
            asked = "attempt" if "attempt(" in source else function
            check = f"{source}\nprint(check_{exercise}({asked}))"
            if source == solution:
                check += f"\nsolved = {function}"
            notebook.cells.append(nbformat.v4.new_code_cell(check))
            expected.append(message)
    execute(notebook, tmp_path)
    for cell, message in zip(notebook.cells[-len(expected) :], expected):
        assert message in cell.outputs[0].text, cell.source
