#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares examples/python/agentsh_ebpf.py with the C header.

abi.py check HEADER LAYOUT      constants, functions and struct members that differ
abi.py self-test HEADER LAYOUT  whether check finds each kind of difference

LAYOUT is the output of tests/abi/layout.c.
"""
import ctypes
import enum
import pathlib
import re
import sys

top = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(top / "examples/python"), str(top / "tests/abi")]
import agentsh_ebpf as ebpf  # noqa: E402
from header import Header  # noqa: E402

# The enums of the module, each with the prefix of its constants.
ENUMS = [
    ("EVENT", ebpf.Kind), ("FLAG", ebpf.Flag), ("STEP", ebpf.Step), ("MODE", ebpf.Mode), ("HOOK", ebpf.Hook),
    ("OPEN", ebpf.Open), ("LOG", ebpf.LogLevel), ("ATTACH", ebpf.Attach), ("CHECK", ebpf.Check),
    ("STATUS", ebpf.Status), ("CGROUP", ebpf.CgroupMode), ("COVERAGE", ebpf.Path), ("NAME", ebpf.NameSource),
    ("NAME_FLAG", ebpf.NameFlag), ("DNS_FLAG", ebpf.DnsFlag), ("VERDICT", ebpf.Verdict), ("RULE", ebpf.RuleAction),
    ("RULE", ebpf.RuleFlag), ("RULES", ebpf.RulesFlag),
]
SCALARS = {
    "int": ctypes.c_int, "size_t": ctypes.c_size_t, "uint8_t": ctypes.c_uint8, "uint16_t": ctypes.c_uint16,
    "uint32_t": ctypes.c_uint32, "uint64_t": ctypes.c_uint64, "int32_t": ctypes.c_int32, "char": ctypes.c_char,
}


def structs(module):
    """The structs that the module declares, by their names in C."""
    return {value.c_name: value for value in vars(module).values() if hasattr(value, "c_name")}


def constants(text, module):
    declared = dict(re.findall(r"AGENTSH_EBPF_(\w+) = (\d+)", " ".join(Header(text).enumerators)))
    mine = {"CHECKS_MAX": module.CHECKS_MAX, "RULE_OTHER_PROTOCOLS": module.RULE_OTHER_PROTOCOLS}
    for prefix, name in ENUMS:
        members = getattr(module, name.__name__).__members__
        mine.update({f"{prefix}_{member}": value.value for member, value in members.items()})
    for name in sorted(declared.keys() | mine.keys()):
        if int(declared.get(name, -1)) != mine.get(name, -1):
            yield f"constant {name}: {mine.get(name)} here, {declared.get(name)} in C"
    if not {value for value in vars(module).values() if isinstance(value, enum.EnumMeta)} <= {name for _, name in ENUMS}:
        yield "an enum of the module is not compared"


def layout(path, module):
    lines = {tuple(line.split()[:2]): tuple(map(int, line.split()[2:])) for line in path.read_text().splitlines()}
    mine = {}
    for c_name, struct in structs(module).items():
        for name, kind in struct._fields_:
            mine[c_name, name.lstrip("_")] = (getattr(struct, name).offset, ctypes.sizeof(kind))
        mine[c_name, "-"] = (ctypes.sizeof(struct), 0)
    for key in sorted(lines.keys() | mine.keys()):
        if lines.get(key) != mine.get(key):
            yield f"struct {key[0]}: {key[1]} is at {mine.get(key)} here, at {lines.get(key)} in C"


def type_of(words, module):
    """The ctypes type of a C type."""
    words = words.replace("const ", "").strip()
    stars = words.count("*")
    name = words.replace("*", "").strip()
    if name.startswith("struct "):
        name = name[7:]
        if name in structs(module):
            return ctypes.POINTER(structs(module)[name]) if stars == 1 else None
        return ctypes.c_void_p if stars == 1 else ctypes.POINTER(ctypes.c_void_p)  # opaque
    if name == "char" and stars == 1:
        return ctypes.c_char_p
    if name == "void":
        return ctypes.c_void_p if stars else None
    return ctypes.POINTER(SCALARS[name]) if stars == 1 else SCALARS[name]


def functions(text, module):
    declared = {}
    for prototype in Header(text).prototypes():
        result, name, parameters = re.fullmatch(r"(.*?)(\w+)\((.*)\)", prototype).groups()
        types = [re.fullmatch(r"(.*?)\w+", parameter.strip())[1] for parameter in parameters.split(",")]
        declared[name] = (type_of(result, module), [] if parameters == "void" else [type_of(t, module) for t in types])
    for name in sorted(declared.keys() | module._FUNCTIONS.keys()):
        if declared.get(name) != module._FUNCTIONS.get(name):
            yield f"function {name}: {module._FUNCTIONS.get(name)} here, {declared.get(name)} in C"


def differences(text, path, module):
    yield from constants(text, module)
    yield from layout(path, module)
    yield from functions(text, module)


def self_test(text, path):
    """Changes the header, or the layout, and expects exactly one difference for each change."""
    changes = [
        ("AGENTSH_EBPF_EVENT_UDP_SEND = 2,", "AGENTSH_EBPF_EVENT_UDP_SEND = 3,"),
        ("AGENTSH_EBPF_EVENT_UDP_SEND = 2,", ""),
        ("AGENTSH_EBPF_EVENT_UDP_SEND = 2,", "AGENTSH_EBPF_EVENT_UDP_SEND = 2, AGENTSH_EBPF_EVENT_NEW = 99,"),
        ("AGENTSH_EBPF_API int agentsh_ebpf_fd(const struct agentsh_ebpf_tracer *tracer);", ""),
        ("int agentsh_ebpf_fd(const struct", "uint64_t agentsh_ebpf_fd(const struct"),
        ("agentsh_ebpf_kind_name(uint32_t kind)", "agentsh_ebpf_kind_name(uint64_t kind)"),
        ("agentsh_ebpf_kind_name(uint32_t kind)", "agentsh_ebpf_kind_name(uint32_t kind, int more)"),
    ]
    for old, new in changes:
        if text.count(old) != 1:
            yield f"self-test: the header no longer contains once: {old}"
        elif len(list(differences(text.replace(old, new), path, ebpf))) != 1:
            yield f"self-test: not found: {new or 'removal of ' + old}"
    changed = path.with_name(path.name + ".changed")
    lines = path.read_text()
    for old, new in (("agentsh_ebpf_event pid 64 4", "agentsh_ebpf_event pid 68 4"),
                     ("agentsh_ebpf_event pid 64 4\n", ""),
                     ("agentsh_ebpf_event - 256 0", "agentsh_ebpf_event - 264 0"),
                     ("agentsh_ebpf_stats - 160 0", "agentsh_ebpf_stats more 160 8\nagentsh_ebpf_stats - 160 0")):
        changed.write_text(lines.replace(old, new))
        if lines.count(old) != 1 or len(list(differences(text, changed, ebpf))) != 1:
            yield f"self-test: not found in the layout: {new or 'removal of ' + old}"
    changed.unlink()


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("check", "self-test"):
        sys.exit(__doc__)
    text, path = pathlib.Path(sys.argv[2]).read_text(), pathlib.Path(sys.argv[3])
    found = list(differences(text, path, ebpf) if sys.argv[1] == "check" else self_test(text, path))
    for line in found:
        print(line, file=sys.stderr)
    sys.exit(1 if found else 0)


main()
