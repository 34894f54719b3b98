"""A second opinion: EleutherAI's lm_eval and lighteval agree on the same prompts.

lm_eval is installed into a folder of its own, so that nobody else needs it. It
comes from the package registry; a failed installation fails the test.
"""

import os
import subprocess
import sys

import pandas as pd
import pytest
from course import TINY, code_cells, lighteval

LM_EVAL = "lm_eval==0.4.13"
MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"  # the tiny one: see hub_folders


@pytest.mark.slow
def test_lm_eval_gives_the_same_scores(tmp_path, monkeypatch):
    packages = tmp_path / "packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", LM_EVAL]
    allowed = {key: os.environ[key] for key in os.environ if key != "PYTHONPATH"}
    subprocess.run([*pip, "--target", str(packages)], env=allowed, check=True)

    files = sorted((TINY / "quiz").glob("*/test.jsonl"))
    (tmp_path / "quiz").mkdir()
    with open(tmp_path / "quiz" / "test.jsonl", "wb") as together:
        together.writelines(file.read_bytes() for file in files)
    [tasks] = [c.source for c in code_cells("evaluation") if c.id == "write-tasks"]
    program = tasks.partition("\n")[2]  # the notebook's own
    (tmp_path / "quiz_tasks.py").write_text(program, encoding="utf-8")
    model = f"model_name={MODEL},dtype=float32,batch_size=16,override_chat_template="
    words = ["accelerate", f"{model}False", "quiz:cloze|0", "--max-samples", "40"]
    words += ["--custom-tasks", "quiz_tasks.py", "--output-dir", "results"]
    lighteval(tmp_path, [*words, "--save-details"])
    [file] = (tmp_path / "results").rglob("details_*.parquet")
    details = pd.read_parquet(file)

    monkeypatch.syspath_prepend(packages)
    monkeypatch.chdir(tmp_path)  # where a folder has the model's name
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=MODEL, dtype="float32", device="cpu", batch_size=16)
    requests = [
        Instance("loglikelihood", {}, (doc["query"], choice), 0)
        for doc in details["doc"]
        for choice in doc["choices"]
    ]
    theirs = [log for log, _ in model.loglikelihood(requests, disable_tqdm=True)]
    assert len(details) == 40 and len(theirs) == 160
    for number, row in details.iterrows():
        logs = theirs[4 * number : 4 * number + 4]
        assert logs == pytest.approx(list(row["model_response"]["logprobs"]), abs=1e-3)
        right = logs.index(max(logs)) == row["doc"]["gold_index"]
        assert right == bool(row["metric"]["acc"]), row["doc"]["query"]
