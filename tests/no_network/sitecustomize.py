"""Refuse the network in a Python process: Python loads this file at its start.

conftest.py puts this folder on PYTHONPATH, so kernels and their child processes have
it too. An attempt raises an OSError and leaves a line in the file NETWORK_LOG, since
many libraries swallow the error.
"""

import os
import socket
import sys

HERE = {None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", socket.gethostname()}


def refuse(event, arguments):
    """An audit hook: stop connections and name look-ups that leave this machine."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in HERE:
        with open(os.environ["NETWORK_LOG"], "a") as file:
            file.write(f"{event} {host}, by {sys.argv[:2]}\n")
        raise OSError(f"the tests refuse the network: {host}")


sys.addaudithook(refuse)
