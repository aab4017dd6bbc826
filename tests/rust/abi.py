#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the declarations of examples/rust/agentsh-ebpf-sys with the C header.

abi.py check HEADER CC      what differs
abi.py self-test HEADER CC  whether check finds each kind of difference

A C program is made of the Rust declarations, and the compiler CC compares it with the header: it
refuses two declarations of a function whose types differ.
"""
import pathlib
import re
import subprocess
import sys

top = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(top / "tests/abi"))
from header import Header  # noqa: E402

TYPES = {"u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t", "i32": "int32_t",
         "c_int": "int", "c_char": "char", "c_void": "void", "usize": "size_t"}
OPAQUE = {"agentsh_ebpf_tracer", "agentsh_ebpf_session", "agentsh_ebpf_rules"}


def c_type(rust, name=""):
    """The declaration of name in C."""
    rust = rust.strip()
    array = re.fullmatch(r"\[(\w+); (\w+)\]", rust)
    if array:
        return f"{c_type(array[1], name)}[{array[2]}]"
    for prefix, suffix in (("*const ", " const *"), ("*mut ", " *")):
        if rust.startswith(prefix):
            return f"{c_type(rust[len(prefix):])}{suffix}{name}"
    if rust in TYPES:
        base = TYPES[rust]
    elif rust.endswith("_fn"):
        base = rust
    else:
        base = f"struct {rust}"
    return f"{base} {name}".rstrip()


class Rust:
    """The public declarations of the crate."""

    def __init__(self, text):
        text = re.sub(r"//.*", "", text)
        self.constants = re.findall(r"pub const (\w+): \w+ = (\d+);", text)
        self.structs = {name: re.findall(r"pub (\w+): ([^,]+),", body)
                        for name, body in re.findall(r"pub struct (\w+) \{(.*?)\n\}", text, re.S)}
        self.plain = len(re.findall(r"#\[repr\(C\)\](?:\s*#\[derive\([^]]*\)\])?\s*pub struct", text))
        self.functions = re.findall(r"pub fn (\w+)\((.*?)\)(?: -> ([^;]+))?;", text, re.S)
        self.callbacks = re.findall(
            r"pub type (\w+) =\s*Option<unsafe extern \"C\" fn\((.*?)\)(?: -> ([^>;]+))?>;", text, re.S)

    @staticmethod
    def parameters(text):
        names = [part.split(":", 1) for part in text.split(",") if part.strip()]
        return ", ".join(c_type(kind, name.strip()) for name, kind in names) or "void"

    def c_program(self, header):
        yield f'#include "{header}"'
        for name, value in self.constants:
            yield f'_Static_assert({name} == {value}, "{name}");'
        for name, members in self.structs.items():
            if name in OPAQUE:
                continue
            yield f"struct rust_{name} {{ {' '.join(c_type(kind, member) + ';' for member, kind in members)} }};"
            yield f'_Static_assert(sizeof(struct rust_{name}) == sizeof(struct {name}), "{name}");'
            for member, _ in members:
                ours, theirs = (f"((struct {prefix}{name} *)0)->{member}" for prefix in ("rust_", ""))
                yield (f"_Static_assert(offsetof(struct rust_{name}, {member}) == offsetof(struct {name}, {member}) && "
                       f'__builtin_types_compatible_p(__typeof__({ours}), __typeof__({theirs})), "{name}.{member}");')
        for name, parameters, result in self.functions:
            yield f"{c_type(result or 'c_void')} {name}({self.parameters(parameters)});"
        for name, parameters, result in self.callbacks:
            yield f"typedef {c_type(result or 'c_void')} (*{name})({self.parameters(parameters)});"


def differences(text, header, compiler):
    rust, declared = Rust(text), Header(header.read_text())
    for what, ours, theirs in (
            ("constant", {name for name, _ in rust.constants}, set(declared.constants())),
            ("struct", set(rust.structs) - OPAQUE, {name for name, members in declared.structs.items() if members}),
            ("function", {name for name, *_ in rust.functions}, set(declared.functions)),
            ("callback", {name for name, *_ in rust.callbacks},
             set(re.findall(r"typedef [^;]*\(\*(\w+)\)", declared.code)))):
        for name in sorted(ours ^ theirs):
            yield f"{what} {name} is only in {'Rust' if name in ours else 'the header'}"
    if rust.plain != len(rust.structs):
        yield "a struct is not repr(C)"
    for struct, members in declared.structs.items():
        if members and struct in rust.structs and len(members) != len(rust.structs[struct]):
            yield f"struct {struct} has other members"
    program = "\n".join(rust.c_program(header.resolve()))
    # C11: the same typedef may be repeated
    result = subprocess.run([compiler, "-std=gnu11", "-fsyntax-only", "-x", "c", "-"], input=program, text=True,
                            capture_output=True, check=False)
    if result.returncode:
        yield result.stderr or f"{compiler} failed"


CHANGES = [
    ("AGENTSH_EBPF_EVENT_UDP_SEND: u32 = 2", "AGENTSH_EBPF_EVENT_UDP_SEND: u32 = 3"),
    ("pub const AGENTSH_EBPF_EVENT_UDP_SEND: u32 = 2;\n", ""),
    ("    pub session_lost: u64,\n", ""),
    ("    pub session_lost: u64,\n", "    pub session_lost: u32,\n"),
    ("    pub error: i32,\n    pub rtt_us: u32,\n", "    pub rtt_us: u32,\n    pub error: i32,\n"),
    ("    pub error: i32,\n    pub rtt_us: u32,\n", "    pub error: u32,\n    pub rtt_us: u32,\n"),
    ("#[repr(C)]\n#[derive(Clone, Copy)]\npub struct agentsh_ebpf_stats", "pub struct agentsh_ebpf_stats"),
    ("agentsh_ebpf_kind_name(kind: u32)", "agentsh_ebpf_kind_name(kind: u64)"),
    ("agentsh_ebpf_kind_name(kind: u32)", "agentsh_ebpf_kind_name(kind: u32, more: u32)"),
    ("agentsh_ebpf_hooks_built() -> u32", "agentsh_ebpf_hooks_built() -> u64"),
    ("agentsh_ebpf_hooks_built() -> u32", "agentsh_ebpf_hooks() -> u32"),
    ("agentsh_ebpf_fd(tracer: *const", "agentsh_ebpf_fd(tracer: *mut"),
    ("level: c_int", "level: u32"),
]


def self_test(text, header, compiler):
    yield from differences(text, header, compiler)
    for old, new in CHANGES:
        if old not in text:
            yield f"self-test: no longer in the crate: {old}"
        elif not list(differences(text.replace(old, new, 1), header, compiler)):
            yield f"self-test: not found: {new or 'removal of ' + old}"


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("check", "self-test"):
        sys.exit(__doc__)
    text = (top / "examples/rust/agentsh-ebpf-sys/src/lib.rs").read_text()
    function = differences if sys.argv[1] == "check" else self_test
    found = list(function(text, pathlib.Path(sys.argv[2]), sys.argv[3]))
    for line in found:
        print(line, file=sys.stderr)
    sys.exit(1 if found else 0)


main()
