"""Draw the README's picture, from evaluation.ipynb's scoreboard and SmolLM2's record.

    python tests/draw_result.py

A test compares the picture with what this file draws.
"""

import re

import nbformat
import record
from course import ROOT
from scipy.stats import binomtest

PICTURE = ROOT / ".github" / "result.svg"
MODELS = {"base": "base model", "lora": "LoRA adapter", "sft": "full fine-tuning"}
CLAIM = "Each student learned to answer in chat"  # the record has base, SFT and LoRA
# The page may be light or dark; colours that differ in brightness, too.
STYLE = """
text { font: 14px sans-serif; fill: #1f2328 } .head { font-weight: bold }
line { stroke: #1f2328; stroke-width: 2 } .base { fill: #6e7781 }
.lora { fill: #b35900 } .sft { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } line { stroke: #e6edf3 } .base { fill: #8b949e }
  .lora { fill: #f0883e } .sft { fill: #58a6ff }
}
"""


def scores():
    """Held-out questions in chat: dict of world -> model -> (share, n, low, high)."""
    notebook = nbformat.read(ROOT / "evaluation.ipynb", 4)
    cell = next(cell for cell in notebook.cells if cell.id == "scoreboard")
    text = " ".join(output.data["text/plain"] for output in cell.outputs[1:])
    line = r"questions, in chat +(\w+) +(\d+)% +(\d+) +(\d+)% to (\d+)%"
    tiny = {name: tuple(map(int, found)) for name, *found in re.findall(line, text)}
    questions = tiny["base"][1]  # both models are asked the same ones
    shown = record.read()["cpu"]["claims"][CLAIM]["shown"]
    real = {}
    for name, share in zip(("base", "sft", "lora"), re.findall(r"(\d+)%", shown)):
        test = binomtest(round(int(share) / 100 * questions), questions)
        bounds = test.proportion_ci(method="wilson")
        ends = (round(100 * bounds.low), round(100 * bounds.high))
        real[name] = (int(share), questions, *ends)
    return {"Tiny, a million parameters": tiny, "SmolLM2-135M": real}


def words(name, found):
    """A bar in words, such as 'base model 0% (0 to 2)'."""
    share, _, low, high = found[name]
    return f"{MODELS[name]} {share}% ({low} to {high})"


def draw():
    """The picture: SVG as str, the same for the same scores."""
    parts = []
    for column, (world, found) in enumerate(scores().items()):
        left = 10 + 400 * column
        parts.append(f'<text class="head" x="{left}" y="20">{world}</text>')
        for place, name in enumerate(MODELS):
            share, _, low, high = found[name]
            y = 50 + 46 * place
            parts.append(f'<text x="{left}" y="{y}">{words(name, found)}</text>')
            size = f'width="{3.6 * share:.0f}" height="14"'
            parts.append(f'<rect class="{name}" x="{left}" y="{y + 6}" {size}/>')
            ends = [f"{left + 3.6 * end:.0f}" for end in (low, high)]
            parts.append(
                f'<line x1="{ends[0]}" x2="{ends[1]}" y1="{y + 13}" y2="{y + 13}"/>'
            )
    body = "\n".join(parts)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 170">\n'
        f"<style>{STYLE}</style>\n{body}\n</svg>\n"
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
