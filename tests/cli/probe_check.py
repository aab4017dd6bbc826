# SPDX-License-Identifier: Apache-2.0
"""Checks for probe.sh; a function that finds a mistake ends with SystemExit."""
import json
import sys


def load(path):
    with open(path) as file:
        report = json.load(file)
    return report, {c["name"]: c for c in report["checks"]}


def holds(path, expression):
    """expression is true for r (the report), checks (by name) and c (the coverage)."""
    report, checks = load(path)
    if not eval(expression, {"r": report, "checks": checks, "c": report["coverage"]}):
        sys.exit(f"not true: {expression}, in {report}")


def names(path):
    print(*load(path)[1])
