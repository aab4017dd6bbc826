# The files for pkg-config and for CMake's find_package.

# A relative prefix, so that the installed tree can be moved.
file(RELATIVE_PATH AGENTSH_PC_PREFIX
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH AGENTSH_PC_INCLUDEDIR
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_FULL_INCLUDEDIR})

# The files name libraries instead of requiring the .pc file of libbpf: the order of static
# libraries matters, and pkg-config would put those of libbpf after zstd, which libelf needs.
list(TRANSFORM AGENTSH_LIBBPF_DIRS PREPEND -L OUTPUT_VARIABLE directories)
list(TRANSFORM AGENTSH_STATIC_LIBS PREPEND -l OUTPUT_VARIABLE others)
set(beside_archive ${directories} -lbpf)
if(NOT AGENTSH_LIBBPF_ALONE)
  list(APPEND beside_archive ${others})
endif()
list(JOIN beside_archive " " beside_archive)
list(JOIN directories " " directories)
list(JOIN others " " others)

function(agentsh_pc name libs private)
  set(AGENTSH_PC_NAME ${name})
  set(AGENTSH_PC_LIBS "${libs}")
  set(AGENTSH_PC_LIBS_PRIVATE "${private}")
  configure_file(${PROJECT_SOURCE_DIR}/agentsh-ebpf.pc.in ${name}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
endfunction()

# The full name of the file keeps the linker from taking the shared library.
set(archive "-l:libagentsh-ebpf.a ${beside_archive} -lpthread")
set(archive_private "${others} -lpthread")
if(AGENTSH_EBPF_SHARED)
  string(STRIP "${directories} -lbpf ${others} -lpthread" private)
  agentsh_pc(agentsh-ebpf -lagentsh-ebpf "${private}")
else()
  agentsh_pc(agentsh-ebpf "${archive}" "${archive_private}")
endif()
if(AGENTSH_EBPF_STATIC)
  agentsh_pc(agentsh-ebpf-static "${archive}" "${archive_private}")
endif()

include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/agentsh-ebpf)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/agentsh-ebpfConfig.cmake.in
  agentsh-ebpfConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(agentsh-ebpfConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/agentsh-ebpfConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/agentsh-ebpfConfigVersion.cmake
  DESTINATION ${package} COMPONENT development)
install(EXPORT agentsh-ebpf NAMESPACE AgentshEbpf:: FILE agentsh-ebpfTargets.cmake
  DESTINATION ${package} COMPONENT development)
