# The version is defined only in the public header. The number in the soname is the
# version of the ABI and changes only if the ABI becomes incompatible.
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/../include/agentsh/ebpf.h _lines
     REGEX "^#define AGENTSH_EBPF_VERSION_(MAJOR|MINOR|PATCH) [0-9]+$")
string(REGEX MATCHALL "[0-9]+" _numbers "${_lines}")
list(JOIN _numbers "." AGENTSH_EBPF_VERSION)
set(AGENTSH_EBPF_SOVERSION 1)
