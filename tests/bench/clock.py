"""Runs inside a notebook's kernel and says what its time was spent on.

notebooks.py puts a cell in front that imports it. Time is counted for the innermost
kind of work that is going on: what a training run imports is import.
"""

import builtins
import contextlib
import functools
import importlib
import json
import sys
import threading
import time
from collections import Counter

from IPython import get_ipython

WORK = {  # the kind of work, and what does it: (module, class or None, function)
    "loading": [
        ("datasets", None, "load_dataset"),
        ("transformers.modeling_utils", "PreTrainedModel", "from_pretrained"),
        ("transformers.models.auto.auto_factory", "_BaseAutoModelClass", None),
        ("transformers.models.auto.tokenization_auto", "AutoTokenizer", None),
        ("peft.peft_model", "PeftModel", "from_pretrained"),
    ],
    "training": [("transformers.trainer", "Trainer", "train")],
    "evaluation": [
        ("transformers.trainer", "Trainer", "evaluate"),
        ("transformers.generation.utils", "GenerationMixin", "generate"),
        ("lighteval.pipeline", "Pipeline", "evaluate"),
    ],
    "processes": [  # waiting for them; what they do is not divided further
        ("subprocess", "Popen", "wait"),
        ("subprocess", "Popen", "communicate"),
    ],
}
OWN = {"Popen(": "processes", ".backward()": "training"}  # by the code of a cell
_seconds, _stack, _last = Counter(), [], time.monotonic()
_main = threading.main_thread()


def _charge():
    """Count the time since the last change for what was going on."""
    global _last
    now = time.monotonic()
    _seconds[_stack[-1] if _stack else "idle"] += now - _last
    _last = now


@contextlib.contextmanager
def _doing(kind):
    """Count the time of the block for a kind of work, in the main thread only."""
    if threading.current_thread() is not _main:
        yield
        return
    _charge()
    _stack.append(kind)
    try:
        yield
    finally:
        _charge()
        _stack.pop()


def _timed(function, kind):
    """The function, with its time counted."""

    @functools.wraps(function)
    def run(*arguments, **named):
        with _doing(kind):
            return function(*arguments, **named)

    run.timed = True
    return run


def _watch():
    """Replace what does the work, in the modules imported so far."""
    for kind, places in WORK.items():
        for module, class_name, name in places:
            owner, name = sys.modules.get(module), name or "from_pretrained"
            if owner is None or (class_name and not hasattr(owner, class_name)):
                continue
            owner = getattr(owner, class_name) if class_name else owner
            found = vars(owner).get(name)
            function = getattr(found, "__func__", found)
            if function is None or hasattr(function, "timed"):
                continue
            changed = _timed(function, kind)
            is_class_method = isinstance(found, classmethod)
            setattr(owner, name, classmethod(changed) if is_class_method else changed)


def _importing(function):
    """An import function, the outermost call of which is counted."""

    @functools.wraps(function)
    def run(*arguments, **named):
        if (_stack and _stack[-1] == "imports") or not _stack:
            return function(*arguments, **named)
        with _doing("imports"):
            module = function(*arguments, **named)
            _watch()
        return module

    return run


def report():
    """Print the seconds of each kind of work: a line of JSON."""
    _charge()
    print(json.dumps(_seconds))


def _begin(info):
    """A cell begins: what is nothing else is the work of its own code."""
    _charge()
    own = [kind for code, kind in OWN.items() if code in (info.raw_cell or "")]
    _stack[:] = own[:1] or ["rest"]


def _end(_):
    """A cell has ended."""
    _charge()
    _stack.clear()


builtins.__import__ = _importing(builtins.__import__)
importlib.import_module = _importing(importlib.import_module)
_events = get_ipython().events
_events.register("pre_run_cell", _begin)
_events.register("post_run_cell", _end)
