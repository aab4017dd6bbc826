#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the checks of a test in one process, because starting Python takes longer than a check.

checks.py OUTPUT  reads requests from stdin. A request is a list of fields that end with NUL:
                  the number of the other fields, a module, one of its functions, and the
                  arguments. What the function prints goes to OUTPUT. The reply on stdout is
                  one line: the exit status.
"""
import contextlib
import importlib
import os
import sys
import traceback


def fields():
    rest = b""
    while piece := os.read(0, 65536):
        *whole, rest = (rest + piece).split(b"\0")
        yield from map(os.fsdecode, whole)


def run(module, function, *args):
    """The exit status that the function would give as a program."""
    try:
        getattr(importlib.import_module(module), function)(*args)
        return 0
    except SystemExit as end:
        print(end.code)
    except Exception:
        traceback.print_exc(file=sys.stdout)
    return 1


def main(output):
    stream = fields()
    for count in stream:
        request = [next(stream) for _ in range(int(count))]
        with open(output, "w") as file, contextlib.redirect_stdout(file):
            status = run(*request)
        print(status, flush=True)


main(sys.argv[1])
