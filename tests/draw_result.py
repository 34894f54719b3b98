"""Draw the README's picture from the scoreboard that evaluation.ipynb has saved.

    python tests/draw_result.py

A test compares the picture with what this file draws.
"""

import io
import re

import matplotlib
import nbformat
from course import ROOT

matplotlib.use("svg")
import matplotlib.pyplot as plt

PICTURE = ROOT / ".github" / "result.svg"
BARS = {  # model of the scoreboard -> label, colour (colour-blind safe), hatch
    "base": ("base model", "#999999", ""),
    "lora": ("LoRA adapter", "#E69F00", "//"),
    "sft": ("full fine-tuning", "#0072B2", ""),
}


def scores():
    """Held-out questions, asked in chat: dict of model -> (share, n, low, high)."""
    notebook = nbformat.read(ROOT / "evaluation.ipynb", 4)
    cell = next(cell for cell in notebook.cells if cell.id == "scoreboard")
    text = " ".join(output.data["text/plain"] for output in cell.outputs[1:])
    rows = re.findall(
        r"questions, in chat +(\w+) +(\d+)% +(\d+) +(\d+)% to (\d+)%", text
    )
    return {name: tuple(map(int, numbers)) for name, *numbers in rows}


def draw():
    """The picture: SVG as str, the same for the same scores."""
    found = scores()
    settings = {"svg.hashsalt": "course", "font.size": 11}
    with plt.rc_context(settings):
        figure, axes = plt.subplots(figsize=(8, 2.3), layout="constrained")
        for place, (name, (_, colour, hatch)) in enumerate(BARS.items()):
            share, n, low, high = found[name]
            axes.barh(place, share, color=colour, hatch=hatch, edgecolor="white")
            axes.plot([low, high], [place, place], color="black", linewidth=1.5)
            said = f"{share}% ({low} to {high})"
            axes.text(high + 1.5, place, said, va="center", ha="left")
        axes.set_yticks(range(len(BARS)), [label for label, _, _ in BARS.values()])
        axes.set(xlim=(0, 125), xticks=range(0, 101, 20))
        axes.set_xlabel(f"right answers to {n} held-out questions, in % (95% interval)")
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines.bottom.set_bounds(0, 100)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
        plt.close(figure)
    return file.getvalue()


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
