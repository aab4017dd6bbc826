#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command on a new terminal: run_on_pty.py OUTPUT [--ctrl-c-at TEXT] COMMAND...

Writes what appears on the terminal to OUTPUT, and exits with the status of the command.
--ctrl-c-at types Ctrl-C as soon as TEXT has appeared.
"""
import os
import pty
import sys

output, args = sys.argv[1], sys.argv[2:]
text = None
if args[0] == "--ctrl-c-at":
    text, args = args[1].encode(), args[2:]
pid, fd = pty.fork()
if not pid:
    os.execvp(args[0], args)
seen = b""
while True:
    try:
        piece = os.read(fd, 65536)
    except OSError:  # no process has the terminal open any more
        break
    if not piece:
        break
    seen += piece
    if text and text in seen:
        os.write(fd, b"\x03")
        text = None
with open(output, "wb") as f:
    f.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF)
