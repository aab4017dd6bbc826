# The shared library.
set(map ${CMAKE_CURRENT_SOURCE_DIR}/libagentsh-ebpf.map)
set_target_properties(agentsh-ebpf PROPERTIES
  VERSION ${PROJECT_VERSION}
  SOVERSION ${AGENTSH_EBPF_SOVERSION}
  LINK_DEPENDS ${map})
target_link_options(agentsh-ebpf PRIVATE -Wl,--version-script=${map} -Wl,--no-undefined-version
  -Wl,-z,relro,-z,now)
if(NOT AGENTSH_EBPF_SANITIZE AND NOT AGENTSH_EBPF_FUZZ)
  target_link_options(agentsh-ebpf PRIVATE -Wl,-z,defs)
endif()
if(AGENTSH_EBPF_STATIC_LIBBPF)
  find_library(AGENTSH_LIBBPF_ARCHIVE libbpf.a HINTS ${LIBBPF_LIBRARY_DIRS} REQUIRED)
  find_library(LIBELF elf REQUIRED)
  find_library(LIBZ z REQUIRED)
  set(static_libbpf ${AGENTSH_LIBBPF_ARCHIVE} ${LIBELF} ${LIBZ})
  if(LIBELF MATCHES "\\.a$" AND "zstd" IN_LIST AGENTSH_STATIC_LIBS)
    list(APPEND static_libbpf zstd)
  endif()
  # Debian's libbpf.a is built for programs; a shared library needs one built with -fPIC.
  include(CheckCSourceCompiles)
  set(CMAKE_REQUIRED_FLAGS -fPIC)
  set(CMAKE_REQUIRED_LINK_OPTIONS -shared -Wl,--whole-archive)
  set(CMAKE_REQUIRED_LIBRARIES ${AGENTSH_LIBBPF_ARCHIVE} -Wl,--no-whole-archive)
  check_c_source_compiles("int agentsh_check(void) { return 0; }" AGENTSH_LIBBPF_ARCHIVE_IS_PIC)
  unset(CMAKE_REQUIRED_FLAGS)
  unset(CMAKE_REQUIRED_LINK_OPTIONS)
  unset(CMAKE_REQUIRED_LIBRARIES)
  if(NOT AGENTSH_LIBBPF_ARCHIVE_IS_PIC)
    message(FATAL_ERROR "${AGENTSH_LIBBPF_ARCHIVE} was not compiled with -fPIC, so it cannot become part "
            "of a shared library. Build libbpf with CFLAGS=-fPIC and set "
            "-DAGENTSH_LIBBPF_ARCHIVE=/path/to/libbpf.a, or turn AGENTSH_EBPF_STATIC_LIBBPF off.")
  endif()
  target_link_libraries(agentsh-ebpf PRIVATE ${static_libbpf} Threads::Threads)
  target_link_options(agentsh-ebpf PRIVATE -Wl,--exclude-libs,ALL)
else()
  target_link_libraries(agentsh-ebpf PRIVATE PkgConfig::LIBBPF Threads::Threads)
endif()
