"""A second opinion: EleutherAI's lm_eval and lighteval agree on the same prompts.

lm_eval is installed into a folder of its own, so that nobody else needs it. It
comes from the package registry; a failed installation fails the test.
"""

import json
import os
import subprocess
import sys

import nbformat
import pytest
from course import ROOT, hub_folders

LM_EVAL = "lm_eval==0.4.13"
MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"  # the tiny one: see test_profiles.py
TINY = ROOT / "tests" / "tiny"
LIGHTEVAL = """
import json, sys
import torch
from lighteval.logging.evaluation_tracker import EvaluationTracker
from lighteval.models.transformers.transformers_model import TransformersModelConfig
from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters

config = TransformersModelConfig(
    model_name=sys.argv[1], dtype="float32", batch_size=16,
    override_chat_template=False, cache_dir="cache",
)
parameters = PipelineParameters(ParallelismManager.ACCELERATE, max_samples=40)
parameters.custom_tasks_directory = "quiz_tasks.py"
pipeline = Pipeline(
    "quiz:cloze|0", parameters, EvaluationTracker(output_dir="results"), config
)
pipeline.evaluate()
rows = [
    {
        "query": detail.doc.query, "choices": detail.doc.choices,
        "gold": detail.doc.gold_index, "right": detail.metric["acc"],
        "logs": [float(value) for value in detail.model_response.logprobs],
    }
    for detail in pipeline.get_details()["quiz:cloze|0"]
]
json.dump(rows, open("lighteval.json", "w"))
"""
HARNESS = """
import json, sys
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

rows = json.load(open("lighteval.json"))
model = HFLM(pretrained=sys.argv[1], dtype="float32", device="cpu", batch_size=16)
pairs = [(row["query"], choice) for row in rows for choice in row["choices"]]
requests = [
    Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=0)
    for pair in pairs
]
found = [value for value, _ in model.loglikelihood(requests, disable_tqdm=True)]
json.dump(found, open("harness.json", "w"))
"""


def run(code, folder, **more):
    """Run Python code on MODEL in a folder, without the Hub; show why it failed."""
    result = subprocess.run(
        [sys.executable, "-c", code, MODEL],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "ACCELERATE_USE_CPU": "true", **more},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]


@pytest.mark.slow
def test_lm_eval_gives_the_same_scores(tmp_path):
    packages = tmp_path / "packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", LM_EVAL]
    allowed = {key: os.environ[key] for key in os.environ if key != "PYTHONPATH"}
    subprocess.run([*pip, "--target", str(packages)], env=allowed, check=True)

    nltk_data = hub_folders(tmp_path)
    rows = []
    for file in sorted((TINY / "quiz").glob("*/test.jsonl")):
        rows += file.read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "quiz").mkdir()
    (tmp_path / "quiz" / "test.jsonl").write_text("".join(rows), encoding="utf-8")
    notebook = nbformat.read(ROOT / "evaluation.ipynb", 4)
    sources = {cell.id: cell.source for cell in notebook.cells}
    tasks = sources["write-tasks"].partition("\n")[2]  # the notebook's own
    (tmp_path / "quiz_tasks.py").write_text(tasks, encoding="utf-8")

    run(LIGHTEVAL, tmp_path, NLTK_DATA=str(nltk_data))
    paths = [str(packages), os.environ["PYTHONPATH"]]
    run(HARNESS, tmp_path, PYTHONPATH=os.pathsep.join(paths))
    ours = json.loads((tmp_path / "lighteval.json").read_text())
    theirs = json.loads((tmp_path / "harness.json").read_text())
    assert len(ours) == 40 and len(theirs) == 160
    for number, row in enumerate(ours):
        logs = theirs[4 * number : 4 * number + 4]
        assert logs == pytest.approx(row["logs"], abs=1e-3), row["query"]
        right = logs.index(max(logs)) == row["gold"]
        assert right == bool(row["right"]), row["query"]
