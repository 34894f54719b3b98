"""Guard a Python process of the tests: no network, and nothing that is deprecated.

Python loads this file at its start. conftest.py puts this folder on PYTHONPATH, so
kernels and their child processes have it too. A breach raises an error where it
happens and leaves a line in the file GUARD_LOG, since many libraries swallow errors.
"""

import logging
import os
import re
import socket
import sys
import warnings

HERE = {None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", socket.gethostname()}
# The kernel's own machinery is not what the course teaches.
KERNEL = {"ipykernel", "tornado", "zmq", "jupyter_client", "IPython", "traitlets"}
# What only another project can mend: part of the message -> (who calls it, first seen)
KNOWN_DEPRECATIONS = {
    "`torch.jit.script_method` is": ("torch", "2.13.0, 2026-11-24"),
    "used in 'list_models': model_name": ("lighteval", "0.13.0, 2026-11-24"),
    "`torch_dtype` is deprecated": ("lighteval", "0.13.0, 2026-11-24"),
}


def complain(text):
    """Leave a line in the log of breaches."""
    with open(os.environ["GUARD_LOG"], "a", encoding="utf-8") as file:
        file.write(f"{text}, by {sys.argv[:2]}\n")


def refuse_network(event, arguments):
    """An audit hook: stop connections and name look-ups that leave this machine."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in HERE:
        complain(f"{event} {host}")
        raise OSError(f"the tests refuse the network: {host}")


def callers():
    """The packages whose functions are running, from the inside out: yields str."""
    frame = sys._getframe()
    while frame := frame.f_back:
        yield str(frame.f_globals.get("__name__")).partition(".")[0]


def refuse_deprecated(text, where):
    """Raise an error for a deprecation that is not a known one."""
    for part, (package, _) in KNOWN_DEPRECATIONS.items():
        if part in text and package in callers():
            return
    complain(f"deprecated, {where}: {text}")
    raise DeprecationWarning(text)


def on_warning(message, category, filename, lineno, file=None, line=None):
    """Take the place of warnings.showwarning."""
    if not issubclass(category, DEPRECATIONS):
        show_warning(message, category, filename, lineno, file, line)
    elif not KERNEL & set(os.path.normpath(filename).split(os.sep)):
        refuse_deprecated(str(message), f"{filename}:{lineno}")


def on_log(logger, message, *arguments, **options):
    """Take the place of Logger.warning: transformers says it in its log."""
    if re.search(r"deprecat|(will be|is) removed in|FutureWarning", str(message), re.I):
        refuse_deprecated(str(message), logger.name)
    log_warning(logger, message, *arguments, **options)


DEPRECATIONS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
show_warning, log_warning = warnings.showwarning, logging.Logger.warning
sys.addaudithook(refuse_network)
if os.environ.get("REFUSE_DEPRECATED"):  # in kernels, not in pytest itself
    for category in DEPRECATIONS:
        warnings.filterwarnings("always", category=category)
    warnings.showwarning, logging.Logger.warning = on_warning, on_log
