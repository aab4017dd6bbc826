# agentsh_bpf_skeleton(<name> SOURCES <file>... [CPU v2|v3] [DEFINES <define>...] [DEPENDS <file>...])
#
# Compiles eBPF programs into one object, and generates <name>.skel.h from it in the
# current binary directory. Sets <name>_SKELETON to the path of that header.
# Requires clang with the bpf target, and bpftool 5.13 or later for "gen object".

find_program(AGENTSH_CLANG NAMES clang clang-21 clang-20 clang-19 clang-18 clang-17 clang-16
             clang-15 clang-14 clang-13 clang-12 DOC "clang with the bpf target")
if(NOT AGENTSH_CLANG)
  message(FATAL_ERROR "clang was not found. It compiles the eBPF programs. "
          "Install the package clang (Debian, Ubuntu, Fedora, Arch), "
          "or set -DAGENTSH_CLANG=/path/to/clang.")
endif()

# Ubuntu's /usr/sbin/bpftool is a wrapper that runs only the bpftool of the running
# kernel, so look for the actual programs first.
file(GLOB _bpftools /usr/lib/linux-tools/*/bpftool /usr/lib/linux-tools-*/bpftool)
foreach(_candidate ${_bpftools} bpftool /usr/sbin/bpftool)
  if(AGENTSH_BPFTOOL)
    break()
  endif()
  unset(_found CACHE)
  find_program(_found NAMES ${_candidate} HINTS /usr/sbin /sbin)
  if(_found)
    execute_process(COMMAND ${_found} gen help RESULT_VARIABLE _result
                    OUTPUT_VARIABLE _help ERROR_VARIABLE _help_err)
    if("${_help}${_help_err}" MATCHES "gen object")
      set(AGENTSH_BPFTOOL ${_found} CACHE FILEPATH "bpftool with gen object and gen skeleton")
    endif()
  endif()
endforeach()
unset(_found CACHE)
if(NOT AGENTSH_BPFTOOL)
  message(FATAL_ERROR "bpftool 5.13 or later was not found. It generates the skeleton. "
          "Install the package bpftool (Debian, Fedora), linux-tools-generic (Ubuntu) or bpf (Arch), "
          "or set -DAGENTSH_BPFTOOL=/path/to/bpftool.")
endif()

# clang's bpf target does not search the directory in which Debian has <asm/types.h>.
set(_bpf_flags -target bpf -O2 -g -Wall -Wextra -Werror)
set(_multiarch ${CMAKE_LIBRARY_ARCHITECTURE})
if(NOT _multiarch)
  # CMake does not know it for musl-gcc. A compiler without such a directory prints nothing of use.
  separate_arguments(_first UNIX_COMMAND "${CMAKE_C_COMPILER_ARG1}")
  execute_process(COMMAND ${CMAKE_C_COMPILER} ${_first} -print-multiarch OUTPUT_VARIABLE _multiarch
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(_multiarch)
  list(APPEND _bpf_flags -idirafter ${CMAKE_SYSROOT}/usr/include/${_multiarch})
endif()
if(CMAKE_SYSROOT)
  list(APPEND _bpf_flags --sysroot=${CMAKE_SYSROOT})
endif()

# The object must not depend on the source and build directories. The line information
# in BTF would otherwise contain the working directory of the compiler.
list(APPEND _bpf_flags -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)
set(AGENTSH_BPF_FLAGS ${_bpf_flags})

function(agentsh_bpf_skeleton name)
  cmake_parse_arguments(ARG "" "CPU" "SOURCES;DEFINES;DEPENDS" ${ARGN})
  if(NOT ARG_CPU)
    set(ARG_CPU v3)
  endif()
  list(TRANSFORM ARG_DEFINES PREPEND -D)
  # One translation unit: the linker of bpftool 7.1 refuses two objects that call the same function
  # of the kernel.
  set(unit)
  set(sources)
  foreach(source ${ARG_SOURCES})
    get_filename_component(source ${source} ABSOLUTE)
    list(APPEND sources ${source})
    string(APPEND unit "#include \"${source}\"\n")
  endforeach()
  set(whole ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.c)
  file(GENERATE OUTPUT ${whole} CONTENT "${unit}")
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.o)
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${AGENTSH_CLANG} ${AGENTSH_BPF_FLAGS} -mcpu=${ARG_CPU} ${ARG_DEFINES}
            -ffile-prefix-map=${CMAKE_CURRENT_BINARY_DIR}=.
            -I${CMAKE_CURRENT_SOURCE_DIR} -I${PROJECT_SOURCE_DIR}/bpf -c ${whole} -o ${object}
    DEPENDS ${whole} ${sources} ${ARG_DEPENDS}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    COMMENT "BPF ${name}"
    VERBATIM)
  set(linked ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(header ${CMAKE_CURRENT_BINARY_DIR}/${name}.skel.h)
  add_custom_command(
    OUTPUT ${header}
    BYPRODUCTS ${linked}
    COMMAND ${AGENTSH_BPFTOOL} gen object ${linked} ${object}
    COMMAND sh -c "\"$1\" gen skeleton \"$2\" name \"$3\" >\"$4.tmp\" && mv \"$4.tmp\" \"$4\"" --
            ${AGENTSH_BPFTOOL} ${linked} ${name}_bpf ${header}
    DEPENDS ${object}
    COMMENT "BPF ${name}: skeleton"
    VERBATIM)
  set(${name}_SKELETON ${header} PARENT_SCOPE)
endfunction()
