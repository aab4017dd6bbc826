#!/usr/bin/env python3
"""Reads the public header: lists what it declares, and checks that every language can use it.

header.py functions HEADER           the exported functions, one per line
header.py constants HEADER           the names of its enum constants and number macros
header.py stub HEADER                C source of a library that has this ABI and does nothing
header.py lint HEADER LAYOUT         what breaks the rules of the public API
header.py self-test HEADER LAYOUT    whether lint finds each kind of violation
"""
import re
import sys

INCLUDES = ["<stddef.h>", "<stdint.h>"]
# cgo, ctypes, bindgen or JNA cannot use these words, or their meaning differs between systems.
WORDS = {
    "union", "inline", "static", "volatile", "long", "short", "unsigned", "signed", "float", "double",
    "bool", "_Bool", "wchar_t", "ssize_t", "off_t", "pid_t", "time_t", "va_list", "__extension__",
    "_Atomic", "_Complex", "register", "auto", "uintptr_t", "intptr_t",
}
# Scalar types that a struct may contain, with their sizes; 0 stands for a pointer.
SCALARS = {
    "uint8_t": 1, "uint16_t": 2, "uint32_t": 4, "uint64_t": 8,
    "int8_t": 1, "int16_t": 2, "int32_t": 4, "int64_t": 8, "char": 1,
    "agentsh_ebpf_event_fn": 0, "agentsh_ebpf_log_fn": 0,
}
# Keywords of Go, Python, Rust, C++ and Java: no member or parameter may have such a name.
KEYWORDS = set("""
    break case chan const continue default defer else fallthrough for func go goto if import interface map
    package range return select struct switch type var
    and as assert async await class def del elif except finally from global in is lambda None nonlocal not or
    pass raise True False try while with yield
    abstract become box crate dyn enum extern final fn impl let loop macro match mod move mut override priv pub
    ref self Self static super trait typeof unsafe unsized use virtual where
    bool catch char delete double explicit export float friend inline int long mutable namespace new operator
    private protected public register short signed sizeof template this throw typedef typename union unsigned
    using void volatile wchar_t
    boolean byte extends implements instanceof native null synchronized throws transient
    """.split())
MEMBER = re.compile(r"^(?P<type>[A-Za-z_]\w*(?: [A-Za-z_]\w*)*) (?P<star>\**)(?P<name>[A-Za-z_]\w*)"
                    r"(?:\[(?P<count>\w+)\])?$")


class Header:
    def __init__(self, text):
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
        self.directives = [" ".join(line.split()) for line in text.splitlines() if line.startswith("#")]
        code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        self.code = re.sub(r'extern "C" \{|^\}$', "", code, flags=re.M)
        self.includes = [d.split(None, 1)[1] for d in self.directives if d.startswith("#include")]
        self.functions = re.findall(r"\bAGENTSH_EBPF_API\b[^;]*?\b(\w+)\s*\(", self.code)
        self.structs = {
            name: [" ".join(m.split()) for m in body.split(";") if m.strip()]
            for name, body in re.findall(r"\bstruct\s+(\w+)\s*\{([^}]*)\}", self.code)
        }
        self.enums = re.findall(r"\benum\b\s*(\w*)\s*(\{[^}]*\})?", self.code)
        self.enumerators = [
            " ".join(e.split()) for _, body in self.enums for e in body.strip("{}").split(",") if e.strip()
        ]

    def prototypes(self):
        """The exported functions as declared, each in one line, without the semicolon."""
        return [" ".join(p.split()) for p in re.findall(r"\bAGENTSH_EBPF_API\s([^;]*);", self.code)]

    def constants(self):
        names = [e.split("=")[0].strip() for e in self.enumerators]
        for directive in self.directives:
            match = re.match(r"#define (AGENTSH_EBPF_\w+) (?!__)\S", directive)
            if match:
                names.append(match[1])
        # The version changes with each release, so it is not part of the ABI.
        return [n for n in names if not n.startswith("AGENTSH_EBPF_VERSION_")]

    def members(self):
        for struct, members in self.structs.items():
            for member in members:
                match = MEMBER.match(member)
                yield struct, member, match

    def lint(self, layout):
        yield from self.lint_text()
        yield from layout.lint()
        for struct, members in self.structs.items():
            if members and not struct.startswith("agentsh_ebpf_"):
                yield f"struct {struct}: no prefix agentsh_ebpf_"
        for struct, member, match in self.members():
            if not match:
                yield f"struct {struct}: '{member}' is not a plain member (bit-field, function, nested struct?)"
                continue
            if match["star"]:
                # A struct that the header does not define is a handle.
                handle = match["type"].startswith("struct ") and match["type"][7:] not in self.structs
                if match["type"] not in ("void", "const char") and not handle:
                    yield f"struct {struct}: pointer member '{member}'"
            elif match["type"].startswith("struct "):
                # Elements of an array can never grow.
                if match["type"][7:] not in self.structs or "uint32_t size" in self.structs[match["type"][7:]]:
                    yield f"struct {struct}: '{member}' contains a struct that is not declared here, or that may grow"
            elif match["type"] not in SCALARS:
                yield f"struct {struct}: '{member}' does not have a fixed width"
            if match["name"] in KEYWORDS:
                yield f"struct {struct}: {match['name']} is a keyword in some language"
            if (struct, match["name"]) not in layout.members:
                yield f"struct {struct}: {match['name']} has no line in layout.inc"
        seen = {(s, m["name"]) for s, _, m in self.members() if m}
        for struct, member in sorted(layout.members - seen):
            yield f"layout.inc: struct {struct} has no {member}"

    def lint_text(self):
        if self.includes != INCLUDES:
            yield f"includes {self.includes}, not {INCLUDES}"
        for word in sorted(WORDS & set(re.findall(r"\w+", self.code))):
            yield f"uses '{word}'"
        if "..." in self.code:
            yield "has a function with a variable number of arguments"
        for directive in self.directives:
            if re.match(r"#define \w+\(", directive):
                yield f"has a function-like macro: {directive}"
        for name, body in self.enums:
            if name or not body:
                yield f"has an enum type: '{name}'; only unnamed enums for constants are allowed"
        for enumerator in self.enumerators:
            if not re.match(r"AGENTSH_EBPF_\w+ = -?\d+$", enumerator):
                yield f"enum constant '{enumerator}' has no explicit value or no prefix"
        for function in re.findall(r"\b(\w+)\s*\([^()*]*\)\s*;", self.code):
            if function not in self.functions:
                yield f"declares {function} without AGENTSH_EBPF_API"
        for function in self.functions:
            if not function.startswith("agentsh_ebpf_"):
                yield f"exports {function}, without the prefix"
        for names in re.findall(r"\bAGENTSH_EBPF_API\b[^;(]*\(([^;]*)\)\s*;", self.code):
            for parameter in names.split(","):
                words = re.findall(r"\w+", parameter)
                if words and words[-1] in KEYWORDS and words != ["void"]:
                    yield f"parameter '{words[-1]}' is a keyword in some language"


class Layout:
    """The lines of layout.inc."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.lines = re.findall(r"^(MEMBER|SIZE)\(([^)]*)\)$", file.read(), re.M)
        self.members = set()
        for what, line in self.lines:
            if what == "MEMBER":
                struct, member, *_ = line.split(", ")
                self.members.add((struct, member))

    def lint(self):
        for pointer in (4, 8):
            at = 0
            for what, line in self.lines:
                *names, offset, size = (line if what == "MEMBER" else line + ", 0").split(", ")
                if at != number(offset, pointer):
                    yield f"layout.inc: a hole or overlap at {' '.join(names)}, pointers of {pointer} bytes"
                at = at + number(size, pointer) if what == "MEMBER" else 0


def number(expression, pointer):
    """The value of an expression such as 32, P, 32 + P or 32 + 2 * P."""
    total = 0
    for term in expression.split(" + "):
        product = 1
        for factor in term.split(" * "):
            product *= pointer if factor == "P" else int(factor)
        total += product
    return total


# Changes to the header that lint must find.
VIOLATIONS = [
    ("#include <stdint.h>", "#include <stdint.h>\n#include <stdbool.h>"),
    ("#include <stddef.h>\n", ""),
    ("\tuint32_t flags;", "\tuint32_t flags : 3;"),
    ("\tuint32_t kind;", "\tunion { uint32_t a; float b; } kind;"),
    ("\tuint32_t kind;", "\tenum kind kind;"),
    ("\tuint32_t kind;", "\tlong kind;"),
    ("\tuint32_t kind;", "\tsize_t kind;"),
    ("\tuint32_t kind;", "\tuint32_t type;"),
    ("\tuint32_t kind;", "\tuint32_t added, kind;"),
    ("\tuint32_t kind;", "\tuint32_t added;\n\tuint32_t kind;"),
    ("\tuint32_t kind;", "\tstruct agentsh_ebpf_event *next;\n\tuint32_t kind;"),
    ("\tuint16_t reserved0;\n", ""),
    ("enum {\n", "enum agentsh_ebpf_kind {\n"),
    ("AGENTSH_EBPF_EVENT_CONNECT = 1", "AGENTSH_EBPF_EVENT_CONNECT"),
    ("#define AGENTSH_EBPF_VERSION_MAJOR 1", "#define AGENTSH_EBPF_VERSION_MAJOR(x) x"),
    ("AGENTSH_EBPF_API const char *agentsh_ebpf_version(void);", "int agentsh_ebpf_more(void);"),
    ("agentsh_ebpf_version(void)", "agentsh_ebpf_version(const char *format, ...)"),
    ("agentsh_ebpf_version(void)", "agentsh_ebpf_version(int type)"),
    ("agentsh_ebpf_version(void);", "agentsh_ebpf_version(void);\nstatic inline int f(void) { return 0; }"),
    ("agentsh_ebpf_version(void)", "agentsh_version(void)"),
    ("int timeout_ms", "bool forever"),
]


def self_test(text, layout):
    failures = list(Header(text).lint(layout))
    for old, new in VIOLATIONS:
        if old not in text:
            failures.append(f"self-test: the header no longer contains {old!r}")
        elif not list(Header(text.replace(old, new, 1)).lint(layout)):
            failures.append(f"self-test: not found: {new!r}")
    return failures


def main():
    command, path, *rest = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    header = Header(text)
    if not header.functions or not header.structs or not header.enumerators:
        sys.exit(f"{path}: no declarations found; was the style of the header changed?")
    if command == "functions":
        print(*sorted(header.functions), sep="\n")
    elif command == "constants":
        print(*sorted(header.constants()), sep="\n")
    elif command == "stub":
        print("#include <agentsh/ebpf.h>")
        for prototype in header.prototypes():
            print(prototype, "{ __builtin_trap(); }")
    elif command in ("lint", "self-test"):
        layout = Layout(*rest)
        failures = list(header.lint(layout)) if command == "lint" else self_test(text, layout)
        for failure in failures:
            print(f"{path}: {failure}", file=sys.stderr)
        sys.exit(1 if failures else 0)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
