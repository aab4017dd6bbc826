# Finds libbpf, and finds out by link tests what a program must link beside the archive:
#   AGENTSH_LIBBPF_ALONE    whether -lbpf is enough, because it names a shared library
#   AGENTSH_STATIC_LIBS     the libraries that libbpf.a needs in a program linked with -static
#   AGENTSH_BESIDE_ARCHIVE  what a target links beside the archive, with or without -static
#   AGENTSH_LIBBPF_DIRS     the directory of libbpf, unless the linker searches it anyway

find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBBPF IMPORTED_TARGET libbpf>=1.1)
if(NOT LIBBPF_FOUND)
  message(FATAL_ERROR "libbpf 1.1 or later was not found. Install the package libbpf-dev (Debian, "
          "Ubuntu), libbpf-devel (Fedora) or libbpf (Arch).")
endif()

set(AGENTSH_LIBBPF_DIRS ${LIBBPF_LIBRARY_DIRS})
list(REMOVE_ITEM AGENTSH_LIBBPF_DIRS ${CMAKE_C_IMPLICIT_LINK_DIRECTORIES})

include(CheckCSourceCompiles)

# agentsh_check_link(<result> <option or library>...): whether a program with libbpf links
function(agentsh_check_link result)
  set(CMAKE_REQUIRED_QUIET ON)
  set(CMAKE_REQUIRED_INCLUDES ${LIBBPF_INCLUDE_DIRS})
  list(TRANSFORM AGENTSH_LIBBPF_DIRS PREPEND -L OUTPUT_VARIABLE CMAKE_REQUIRED_LINK_OPTIONS)
  set(CMAKE_REQUIRED_LIBRARIES ${ARGN})
  check_c_source_compiles("
    #include <bpf/libbpf.h>
    int main(void) { return bpf_object__load(bpf_object__open_file(\"\", 0)); }" ${result})
endfunction()

find_package(Threads REQUIRED)
agentsh_check_link(AGENTSH_LIBBPF_ALONE -lbpf)

# libelf needs zstd if it was built with it. Its .pc file does not always say so.
set(AGENTSH_STATIC_LIBS elf z)
agentsh_check_link(AGENTSH_LINKS_STATIC -static -lbpf -lelf -lz ${CMAKE_THREAD_LIBS_INIT})
if(NOT AGENTSH_LINKS_STATIC)
  agentsh_check_link(AGENTSH_LINKS_STATIC_ZSTD -static -lbpf -lelf -lz -lzstd
    ${CMAKE_THREAD_LIBS_INIT})
  # Without all the archives nothing can be tried.
  if(AGENTSH_LINKS_STATIC_ZSTD OR "zstd" IN_LIST LIBBPF_STATIC_LIBRARIES)
    list(APPEND AGENTSH_STATIC_LIBS zstd)
  endif()
endif()

# These are names, not paths of files, so that -static takes the archives. A shared libbpf brings
# its own libraries along; the others are for -static, and leave no trace in a program without it.
list(TRANSFORM AGENTSH_STATIC_LIBS PREPEND -l OUTPUT_VARIABLE libs)
# A program without -static links where the development files of zstd are absent.
if("zstd" IN_LIST AGENTSH_STATIC_LIBS)
  find_library(AGENTSH_EBPF_ZSTD zstd)
  if(NOT AGENTSH_EBPF_ZSTD)
    list(REMOVE_ITEM libs -lzstd)
  endif()
endif()
list(JOIN libs "," libs)
set(AGENTSH_BESIDE_ARCHIVE bpf -Wl,--push-state,--as-needed,${libs},--pop-state)
