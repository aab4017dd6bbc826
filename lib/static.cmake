# The static library.

# Its internal functions must not collide with functions of the host. So its objects become one,
# in which hidden names are local. A sanitizer's runtime may need these names.
if(AGENTSH_EBPF_SANITIZE OR AGENTSH_EBPF_FUZZ)
  set(object $<TARGET_OBJECTS:agentsh-ebpf-objects>)
else()
  if(NOT CMAKE_OBJCOPY)
    message(FATAL_ERROR "objcopy was not found. It hides the internal functions of the static library. "
            "Install the package binutils or llvm, set -DCMAKE_OBJCOPY=/path/to/objcopy, or set "
            "-DAGENTSH_EBPF_STATIC=OFF.")
  endif()
  # The options that choose the machine and the linker, and none for programs
  separate_arguments(flags UNIX_COMMAND "${CMAKE_C_FLAGS} ${CMAKE_EXE_LINKER_FLAGS}")
  list(FILTER flags INCLUDE REGEX "^(-m(32|64|x32|abi=.*)$|-fuse-ld=|--ld-path=|--target=|-B)")
  # With CC="ccache gcc", the compiler is ccache and its first argument is gcc.
  separate_arguments(first UNIX_COMMAND "${CMAKE_C_COMPILER_ARG1}")
  list(PREPEND flags ${first})
  if(CMAKE_C_COMPILER_TARGET AND CMAKE_C_COMPILE_OPTIONS_TARGET)
    list(APPEND flags ${CMAKE_C_COMPILE_OPTIONS_TARGET}${CMAKE_C_COMPILER_TARGET})
  endif()
  # A build ID, which clang adds by default, would become that of hosts linked without one.
  set(object ${CMAKE_CURRENT_BINARY_DIR}/agentsh-ebpf.o)
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${CMAKE_C_COMPILER} ${flags} -r -nostdlib -Wl,--build-id=none -o ${object}
            $<TARGET_OBJECTS:agentsh-ebpf-objects>
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${object}
    DEPENDS agentsh-ebpf-objects $<TARGET_OBJECTS:agentsh-ebpf-objects>
    COMMAND_EXPAND_LISTS
    VERBATIM)
  set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
endif()
agentsh_add_library(agentsh-ebpf-static STATIC ${object})
set_target_properties(agentsh-ebpf-static PROPERTIES LINKER_LANGUAGE C)
set_target_properties(agentsh-ebpf-static PROPERTIES OUTPUT_NAME agentsh-ebpf)
target_link_libraries(agentsh-ebpf-static PUBLIC Threads::Threads)

# An archive records no dependencies, so a program that links it must link these.
target_link_libraries(agentsh-ebpf-static INTERFACE ${AGENTSH_BESIDE_ARCHIVE})
target_link_directories(agentsh-ebpf-static INTERFACE ${AGENTSH_LIBBPF_DIRS})
