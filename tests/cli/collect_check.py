# SPDX-License-Identifier: Apache-2.0
"""Checks for collect.sh; a failed check exits with a message."""
import json
import socket
import sys


def arrived(collected, *traces):
    """The lines of all traces have arrived, each once, and those of a trace in order."""
    with open(collected) as file:
        lines = [json.loads(line) for line in file]
    sent = []
    for trace in traces:
        with open(trace) as file:
            sent.append([json.loads(line) for line in file])
        if sent[-1][-1]["type"] != "ebpf_detached":
            sys.exit(f"{trace} is not complete")
        if len(max(open(trace), key=len)) < 16384:
            sys.exit(f"{trace} has no long line")
    wanted = [{"host": socket.gethostname(), "event": line} for trace in sent for line in trace]
    if lines != wanted:
        missing = sum(line not in lines for line in wanted)
        sys.exit(f"{len(lines)} of {len(wanted)} lines have arrived, {missing} are missing or changed")
