"""Is everything here that the course needs? Each notebook's set-up cell asks this.

    python tests/set_up.py tiny          # or smol, the profile with the real model
    python tests/set_up.py tiny --colab  # first install what Colab lacks

Prints the versions and what a lesson costs; or, with exit status 1, one line that says
what to do.
"""

import argparse
import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements.txt"
PIN = re.compile(r"^([\w-]+)==([\d.]+)", re.M)
TINY = ROOT / "tests" / "tiny"
SMOL = ["HuggingFaceTB/SmolLM2-135M", "HuggingFaceTB/SmolLM2-135M-Instruct"]


def pins(text):
    """The pins of a requirements file: dict of package -> version."""
    return dict(PIN.findall(text))


def needed(colab):
    """What the lessons are about, with its versions; Colab keeps its own torch."""
    text = REQUIREMENTS.read_text(encoding="utf-8")
    versions = pins(text.partition("# Tables")[0])  # Colab has what comes after it
    if colab:
        del versions["torch"]
    return versions


def install(versions):
    """Install packages into this environment: True if that went well."""
    say = "Installing takes one to three minutes; red lines about others are harmless."
    print(say, file=sys.stderr, flush=True)
    pip = [sys.executable, "-m", "pip"]
    # Colab's torchao is too old for PEFT, which fails where it finds it.
    steps = [["uninstall", "--quiet", "--yes", "torchao"], ["install", "--quiet"]]
    steps[1] += [f"{name}=={version}" for name, version in versions.items()]
    runs = [subprocess.run([*pip, *step], stdout=sys.stderr) for step in steps]
    return not any(run.returncode for run in runs)


def wrong_version(versions):
    """What to do about the first package in another version: str, or None."""
    for name, version in versions.items():
        try:
            found = importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            found = "not installed"
        if found != version:
            said = f"{name} is {found}, but this course needs {version}. Run "
            return said + "`pip install -r requirements.txt`, then restart the kernel."
    return None


def broken_file(folders):
    """What to do about the first file that cannot be read: str, or None."""
    from safetensors import safe_open
    from tokenizers import Tokenizer

    def read_lines(path):
        for line in path.read_text(encoding="utf-8").splitlines():
            json.loads(line)

    def read_weights(path):
        with safe_open(path, "np") as weights:
            weights.keys()

    readers = {TINY / "chats" / f"{n}.jsonl": read_lines for n in ("train", "test")}
    for folder in folders:
        readers[folder / "config.json"] = lambda path: json.loads(path.read_bytes())
        readers[folder / "tokenizer.json"] = lambda path: Tokenizer.from_file(str(path))
        readers[folder / "model.safetensors"] = read_weights
    for path, read in readers.items():
        try:
            read(path)
        except Exception as error:  # missing, cut short: the way out is the same
            said = f"{path.name} cannot be read ({type(error).__name__}): keep the "
            return said + "whole tests/tiny/ of the course beside this notebook."
    return None


def unreachable():
    """What to do where SmolLM2-135M is neither here nor on the Hub: str, or None."""
    from huggingface_hub import snapshot_download

    files = ["*.json", "*.txt", "*.jinja", "model.safetensors"]
    for name in SMOL:
        try:
            if not Path(name).exists():  # a folder of the same name comes first
                snapshot_download(name, allow_patterns=files)
        except Exception as error:
            said = f"{name} cannot be loaded ({type(error).__name__}): "
            return said + "connect to the network, or choose the profile tiny."
    return None


def cost(profile):
    """What a lesson takes in a profile, and where its weights are from: str."""
    if profile == "tiny":
        return "tiny: less than two minutes a lesson, at most 2 GB, no network"
    record = json.loads((ROOT / "tests" / "smollm2.json").read_text(encoding="utf-8"))
    lines = ["smol: 0.6 GB to download; on two cores without a GPU"]
    for name, took in record["cpu"]["notebooks"].items():
        minutes, gigabytes = round(took["minutes"]), round(took["gigabytes"])
        lines.append(f"  {name}: {minutes} minutes, {gigabytes} GB")
    for note in map(Path, (f"{name}/NOTE.txt" for name in SMOL)):
        if note.exists():  # not the weights of the Hub
            lines.append(f"{note.parent.name} is {note.read_text(encoding='utf-8')}")
    return "\n".join(lines)


def main():
    """Read the command line, look, say what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("profile")
    parser.add_argument("--colab", action="store_true", help="install into Colab first")
    arguments = parser.parse_args()
    profile, versions = arguments.profile, needed(arguments.colab)
    wrong = None
    if profile not in ("tiny", "smol"):
        wrong = f"COURSE_PROFILE is {profile!r}, which is no profile: tiny or smol?"
    elif arguments.colab and not install(versions):
        wrong = "the packages cannot be installed: pip says why above."
    wrong = wrong or wrong_version(versions)
    wrong = wrong or broken_file([TINY / "base", TINY / "instruct"])
    if profile == "smol":
        wrong = wrong or unreachable()
    if wrong:
        print(wrong)
        sys.exit(1)
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    print(cost(profile))


if __name__ == "__main__":
    main()
