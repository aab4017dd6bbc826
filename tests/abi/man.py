#!/usr/bin/env python3
"""Checks the manual pages against the library.

man.py check SOURCES HEADER MAP CC CXX      the pages against the header and the version map
man.py self-test SOURCES HEADER MAP CC CXX  whether check finds each kind of mistake
man.py installed SOURCES DIRECTORY          whether all pages are installed, with their aliases
man.py render SOURCES DIRECTORY             whether the installed pages render without a warning

SOURCES is the directory of the .scd files. DIRECTORY is an installed tree or a CMake
build directory, from which the pages are installed to a temporary place first.
Exit status 77 means that a tool is missing.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # the source tree stays clean
from header import Header  # pylint: disable=wrong-import-position

C = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
CXX = ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]


class Page:
    """One page in scdoc's format."""

    def __init__(self, file_name, text):
        self.name, self.section = file_name[:-len(".scd")].rsplit(".", 1)
        self.sections = dict(re.findall(r"^# (.*)\n((?:(?!# ).*\n?)*)", text, re.M))
        names, _, self.purpose = self.sections.get("NAME", "").strip().partition(" - ")
        self.names = re.findall(r"[^,\s]+", names)
        self.text = text

    def code(self, section):
        """The literal blocks of a section, without scdoc's escapes."""
        blocks = re.findall(r"^```\n(.*?)^```$", self.sections.get(section, ""), re.M | re.S)
        return [re.sub(r"\\(.)", r"\1", block) for block in blocks]

    def prototypes(self):
        code = "\n".join(self.code("SYNOPSIS"))
        lines = [line for line in code.splitlines() if not line.startswith("#")]
        return [" ".join(p.split()) for p in "\n".join(lines).split(";") if p.strip()]

    def references(self):
        return set(re.findall(r"\*([\w-]+)\*\((\d)\)", self.text))


def read_pages(directory):
    return {path.name: path.read_text(encoding="utf-8") for path in directory.glob("*.scd")}


def parse(texts):
    return [Page(name, text) for name, text in sorted(texts.items())]


def function_of(prototype):
    match = re.search(r"(\w+) ?\(", prototype)
    return match[1] if match else prototype


def map_symbols(text):
    return set(re.findall(r"^\s*(agentsh_\w+);", text, re.M))


def compiles(code, compiler, language, flags, include):
    result = subprocess.run([compiler, "-x", language, *flags, f"-I{include}", "-"], input=code,
                            capture_output=True, text=True, check=False)
    return result.stderr if result.returncode else ""


def check(texts, header_path, symbols, cc, cxx, compiled=None):
    """Yields one line per mistake. Compiles the code of all pages, or that of one file."""
    pages = parse(texts)
    header = Header(header_path.read_text(encoding="utf-8"))
    functions = {function_of(prototype): prototype for prototype in header.prototypes()}
    include = header_path.parent.parent
    known = {(name, page.section) for page in pages for name in page.names}
    documented = [name for page in pages if page.section == "3" for name in page.names]

    for symbol in sorted(symbols - set(documented)):
        yield f"{symbol} has no manual page"
    for name in sorted(set(documented)):
        if name not in symbols:
            yield f"{name} has a manual page, but the library does not export it"
        if documented.count(name) > 1:
            yield f"{name} has more than one manual page"

    for page in pages:
        where = f"{page.name}({page.section})"
        if page.name not in page.names or not page.purpose:
            yield f"{where}: NAME is not 'name, name - purpose' with the name of the page"
        if page.text.split(None, 1)[0] != where:
            yield f"{where}: the first line names another page"
        for name, section in sorted(page.references() - known):
            if name.startswith("agentsh"):
                yield f"{where}: refers to {name}({section}), which does not exist"
        compiling = compiled in (None, f"{page.name}.{page.section}.scd")
        for code in page.code("EXAMPLES"):
            if compiling and "#include" in code:
                error = compiles(code, cc, "c", C, include)
                if error:
                    yield f"{where}: an example does not compile: {error}"
        if page.section != "3":
            continue
        for title in ("SYNOPSIS", "DESCRIPTION", "RETURN VALUE", "THREADS", "SEE ALSO"):
            if title not in page.sections:
                yield f"{where}: has no section {title}"
        prototypes = page.prototypes()
        if sorted(map(function_of, prototypes)) != sorted(page.names):
            yield f"{where}: NAME and SYNOPSIS list different functions"
        for prototype in prototypes:
            if prototype != functions.get(function_of(prototype)):
                yield f"{where}: the header does not declare '{prototype}'"
        code = "\n".join(page.code("SYNOPSIS"))
        error = compiling and (compiles(code, cc, "c", C, include) or
                               compiles(code, cxx, "c++", CXX, include))
        if error:
            yield f"{where}: SYNOPSIS does not compile: {error}"


# Mistakes that somebody might make: page, old text, new text; None removes the page.
MISTAKES = [
    ("agentsh_ebpf_version.3.scd", None, None),
    ("agentsh_ebpf_poll.3.scd", ", agentsh_ebpf_wake - ", " - "),
    ("agentsh_ebpf_poll.3.scd", ", agentsh_ebpf_wake - ", ", agentsh_ebpf_wake, agentsh_ebpf_more - "),
    ("agentsh_ebpf_poll.3.scd", ", agentsh_ebpf_wake - ", ", agentsh_ebpf_inject - "),
    ("agentsh_ebpf_poll.3.scd", "int agentsh_ebpf_wake(", "long agentsh_ebpf_wake("),
    ("agentsh_ebpf_poll.3.scd", "int timeout_ms);", "unsigned int timeout_ms);"),
    ("agentsh_ebpf_poll.3.scd", "int timeout_ms);", "int timeout);"),
    ("agentsh_ebpf_poll.3.scd", "int timeout_ms);", "int timeout_ms)"),
    ("agentsh_ebpf_poll.3.scd", "#include <agentsh/ebpf.h>\n", ""),
    ("agentsh_ebpf_poll.3.scd", "# THREADS", "# FIBRES"),
    ("agentsh_ebpf_poll.3.scd", "agentsh_ebpf_read(tracer,", "agentsh_ebpf_read("),
    ("agentsh_ebpf_poll.3.scd", "*agentsh-ebpf*(7)", "*agentsh-ebpf*(3)"),
    ("agentsh-ebpf.7.scd", "agentsh_ebpf_poll(tracer, -1)", "agentsh_ebpf_poll(tracer)"),
    ("agentsh-ebpf.7.scd", "agentsh-ebpf(7)\n", "agentsh-ebpf(3)\n"),
]


def self_test(texts, *rest):
    for page, old, new in MISTAKES:
        changed = dict(texts)
        if old is None:
            del changed[page]
        elif old not in texts[page]:
            yield f"self-test: {page} no longer contains {old!r}"
            continue
        else:
            changed[page] = texts[page].replace(old, new, 1)
        if not list(check(changed, *rest, compiled=page)):
            yield f"self-test: not found: {page}: {old!r} became {new!r}"


def skip(reason):
    print(f"man.py: skipped: {reason}", file=sys.stderr)
    sys.exit(77)


def install(build, prefix):
    if not shutil.which("scdoc") or not list((build / "docs").glob("*.[1-9]")):
        skip("scdoc is not installed, so the manual pages are not built (cmake/deps.sh test)")
    for component in "development", "tools":
        subprocess.run(["cmake", "--install", build, "--component", component, "--prefix", prefix],
                       stdout=subprocess.DEVNULL, check=True, env={**os.environ, "DESTDIR": ""})


def find_installed(directory, temporary):
    """The installed pages by file name."""
    if (directory / "CMakeCache.txt").exists():
        install(directory, temporary)
        directory = temporary
    return {path.name: path for path in directory.rglob("man[1-9]/*")}


def check_installed(pages, found):
    expected = {f"{name}.{page.section}" for page in pages for name in page.names}
    for name in sorted(expected - set(found)):
        yield f"{name} is not installed"
    for name in sorted(set(found) - expected):
        yield f"{name} is installed, but no page has this name"
    for name, path in sorted(found.items()):
        if path.parent.name != f"man{name[-1]}":
            yield f"{name} is installed in {path.parent.name}"
        alias = re.fullmatch(r"\.so (man\d)/(\S+)\n", path.read_text(encoding="utf-8"))
        if alias and (alias[2] not in found or found[alias[2]].parent.name != alias[1]):
            yield f"{name} is an alias of {alias[1]}/{alias[2]}, which is not installed"


def formatter():
    """A command that renders a page, and writes warnings to stderr."""
    # On a minimal Debian system man(1) is a stub that only says so.
    if shutil.which("man") and "minimized" not in subprocess.run(
            ["man", "--version"], capture_output=True, text=True, check=False).stdout:
        if shutil.which("groff"):
            return ["man", "--warnings", "-E", "UTF-8", "-l"]
    if shutil.which("groff"):
        return ["groff", "-man", "-t", "-Tutf8", "-wmac", "-z"]
    if shutil.which("mandoc"):
        return ["mandoc", "-Tlint", "-Werror"]
    return skip("neither groff nor mandoc is installed, so the manual pages are not rendered")


def render(found):
    command = formatter()
    for name, path in sorted(found.items()):
        if path.read_text(encoding="utf-8").startswith(".so "):
            continue
        result = subprocess.run([*command, path], capture_output=True, text=True, check=False,
                                env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"})
        warnings = result.stderr + (result.stdout if command[0] == "mandoc" else "")
        if result.returncode or warnings:
            yield f"{name}: {' '.join(command)}: exit status {result.returncode}: {warnings}"


def main():
    command, sources, *rest = sys.argv[1:]
    texts = read_pages(pathlib.Path(sources))
    if not texts:
        sys.exit(f"{sources}: contains no manual pages")
    if command in ("check", "self-test"):
        header, version_map, cc, cxx = rest
        symbols = map_symbols(pathlib.Path(version_map).read_text(encoding="utf-8"))
        if not symbols:
            sys.exit(f"{version_map}: no symbol found; was its style changed?")
        run = check if command == "check" else self_test
        failures = list(run(texts, pathlib.Path(header), symbols, cc, cxx))
    elif command in ("installed", "render"):
        with tempfile.TemporaryDirectory() as temporary:
            found = find_installed(pathlib.Path(rest[0]), pathlib.Path(temporary))
            failures = list(check_installed(parse(texts), found) if command == "installed" else render(found))
    else:
        sys.exit(__doc__)
    for failure in failures:
        print(f"man.py: {failure}", file=sys.stderr)
    sys.exit(1 if failures else 0)


main()
