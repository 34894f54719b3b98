"""Stages of a build: skip what is up to date, redo what a change has made stale."""

import hashlib
import importlib.metadata
import inspect
import shutil

PACKAGES = ["tokenizers", "torch", "transformers", "trl"]  # their versions count


def fingerprint(stages, stage, recipe, files):
    """What the outputs of a stage depend on, stages before it included: a hex hash.

    stages: dict of stage -> what makes it: functions, modules and plain settings
    recipe: anything whose repr() tells two builds apart
    files: the paths that are read
    Raises ValueError for an unknown stage.
    """
    digest = hashlib.sha256(repr(recipe).encode())
    for path in files:
        digest.update(path.read_bytes())
    for package in PACKAGES:
        digest.update(importlib.metadata.version(package).encode())
    for name, parts in stages.items():
        for part in parts:
            settings = isinstance(part, str | list | dict)
            source = repr(part) if settings else inspect.getsource(part)
            digest.update(source.encode())
        if name == stage:
            return digest.hexdigest()
    raise ValueError(f"no stage {stage!r}")


def run_stages(steps, fingerprints, folder, first=None):
    """Run the steps that are out of date, or all from the step `first` on.

    steps: dict of stage -> function without arguments
    fingerprints: dict of stage -> hash, remembered in `folder` after the step; what
        else is there under the stage's name, such as checkpoints, is removed then
    """
    folder.mkdir(parents=True, exist_ok=True)
    stale = False
    for stage, step in steps.items():
        stamp = folder / f"{stage}.stamp"
        stale = stale or stage == first
        if not stale and stamp.exists() and stamp.read_text() == fingerprints[stage]:
            print(f"{stage}: up to date", flush=True)
            continue
        print(f"{stage}: building", flush=True)
        step()
        for leftover in folder.glob(f"{stage}*/"):
            shutil.rmtree(leftover)
        stamp.write_text(fingerprints[stage])
        stale = True


def last_whole_checkpoint(folder):
    """The newest checkpoint in a folder that was written to its end: str, or None.

    trainer_state.json is the last file that transformers writes of one.
    """
    whole = [path.parent for path in folder.glob("checkpoint-*/trainer_state.json")]
    newest = max(whole, key=lambda path: int(path.name[11:]), default=None)
    return newest and str(newest)
