"""The text: its numbers are shown by outputs, its links and sections are there."""

import re
from collections import defaultdict
from itertools import pairwise

import pytest
from course import (
    FACTS,
    NAMES,
    ROOT,
    code_cells,
    holds,
    markdown,
    notebooks,
    numbers,
    outputs,
)

SECTIONS = re.compile(
    r"(?:`(\w+)\.ipynb`,? )?\(?[Ss]ections? (\d+(?:(?:,| and| to) \d+)*)"
)
NOT_SHOWN = re.compile(r"^## \d+\.|\|[\d, ]+\|$|\d+ minutes|SmolLM2-135M: .*$", re.M)
UNSTABLE = re.compile(
    r"/tmp/|/home/|/root/|/Users/|\bat 0x[0-9a-f]{6,}|it/s\]|examples/s\]|Wall time"
    r"|\b\d{1,2}:\d{2}:\d{2}\b|\b20\d\d-\d\d-\d\d\b|━|▏"
)


def prose(name):
    """The Markdown of a notebook in one, without blocks of code: str."""
    text = "\n".join(cell.source for cell in markdown(name))
    return re.sub(r"```.*?```", "", text, flags=re.S)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_in_the_text_are_shown_by_an_output(name):
    """A share or decimal in its section, another number anywhere in the notebook."""
    section, shown, stated = 0, defaultdict(str), []
    for cell in notebooks()[name].cells:
        if cell.cell_type == "code":
            shown[section] += f"{outputs(cell)}\n{cell.source}\n"
            continue
        if heading := re.search(r"^## (\d+)\.", cell.source, re.M):
            section = int(heading[1])
        if "measured" in cell.metadata.get("tags", []):
            continue  # time, memory and disk: another run shows others
        # Of the real model, test_smollm2.py compares the numbers with the record.
        text = NOT_SHOWN.sub("", cell.source)
        named = re.findall(r"\d+", " ".join(n for _, n in SECTIONS.findall(text)))
        places = {0, section, *map(int, named)}
        for number in numbers(SECTIONS.sub("", text)) - FACTS:
            stated.append((cell.id, number, places))
    for where, number, places in stated:
        near = re.search("[%.]", number)
        texts = [shown[place] for place in shown if place in places or not near]
        found = holds("\n".join(texts), number)
        assert found, f"{name}, {where}: no cell of its section shows {number}"


@pytest.mark.parametrize("name", NAMES)
def test_headings_are_in_order(name):
    headings = re.findall(r"^(#+) (.+)$", prose(name), re.M)
    assert [len(marks) for marks, _ in headings].count(1) == 1, "one title"
    for (above, _), (below, title) in pairwise(headings):
        assert len(below) <= len(above) + 1, f"{title!r} skips a level"
    sections = [title for marks, title in headings if len(marks) == 2]
    found = [int(title.partition(".")[0]) for title in sections]
    assert found == list(range(len(sections))), "sections are numbered 0, 1, 2, ..."


@pytest.mark.parametrize("name", NAMES)
def test_sections_that_the_text_names_are_there(name):
    sections = {each: re.findall(r"^## (\d+)\.", prose(each), re.M) for each in NAMES}
    for cell in notebooks()[name].cells:
        for other, numbers_named in SECTIONS.findall(re.sub(r"\s+", " ", cell.source)):
            where = other or name
            missing = set(re.findall(r"\d+", numbers_named)) - set(sections[where])
            assert not missing, f"{name}, {cell.id}: {where} has no section {missing}"


def texts():
    """Every text with links: dict of where -> Markdown."""
    pages = ("README.md", ".github/CONTRIBUTING.md")
    found = {page: (ROOT / page).read_text(encoding="utf-8") for page in pages}
    for name in NAMES:
        for cell in markdown(name):
            found[f"{name}.ipynb, {cell.id}"] = cell.source
    return found


def anchors(file):
    """The anchors of a file's headings, as GitHub or Jupyter make them: set of str."""
    if file.stem in NAMES:
        titles = re.findall(r"^#+ (.+)$", prose(file.stem), re.M)
        return {title.replace("`", "").replace(" ", "-") for title in titles}
    titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize("where", texts())
def test_links_lead_somewhere(where):
    text = re.sub(r"```.*?```", "", texts()[where], flags=re.S)
    here = ROOT / where.partition(",")[0]
    for image, words, target in re.findall(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", text):
        assert words.strip(), f"{where}: nothing says what {target} is"
        assert not (image and len(words) < 40), f"{where}: describe what {target} shows"
        if re.match(r"https://[\w.-]+\.\w+(/|$)|attachment:", target):
            continue  # the weekly run follows these; test_notebooks.py has diagrams
        path, _, anchor = target.partition("#")
        file = here.parent / path if path else here
        assert file.exists(), f"{where}: no file {target}"
        assert not anchor or anchor in anchors(file), f"{where}: no heading {target}"


@pytest.mark.parametrize("name", NAMES)
def test_figures_have_text_beside_them(name):
    cells = notebooks()[name].cells
    for cell, following in zip(cells, [*cells[1:], None]):
        every = cell.get("outputs", [])
        figures = [each for each in every if "image/png" in each.get("data", {})]
        if not figures:
            continue
        said = re.sub(r"<Figure size [^>]*>", "", outputs(cell)).strip()
        explained = following and following.source.startswith("**What you just saw.**")
        assert said or explained, f"{name}, {cell.id}: a figure without words"
        assert "xlabel" in cell.source, f"{name}, {cell.id}: what are its axes?"
        for figure in figures:
            alt = figure.metadata.get("image/png", {}).get("alt", "")
            assert len(alt) > 80, f"{name}, {cell.id}: no alternative text"


def contrast(colour):
    """How far "#RRGGBB" stands out from white: 1 to 21, as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in parts
    )
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def test_colours_stand_out_from_white():
    code = "\n".join(cell.source for name in NAMES for cell in code_cells(name))
    colours = set(re.findall(r"#[0-9A-Fa-f]{6}\b", code))
    assert len(colours) > 3
    assert not {each for each in colours if contrast(each) < 3}


@pytest.mark.parametrize("name", NAMES)
def test_outputs_hold_nothing_that_differs_between_runs(name):
    for cell in notebooks()[name].cells:
        for output in cell.get("outputs", []):
            text = str(output.get("text", "")) + str(output.get("data", ""))
            assert output.output_type != "error", f"{cell.id} ends in an error"
            assert output.get("name") != "stderr", f"{cell.id} prints to stderr: {text}"
            assert "widget-view" not in text, f"{cell.id} shows a widget"
            without_images = re.sub(r"'image/png': '[^']*'", "", text)
            found = UNSTABLE.search(without_images)
            assert not found, f"{cell.id}: {found[0]}"
