# The target dist makes agentsh-ebpf-VERSION.tar.gz in the build directory: the source with the
# generated headers, so that builds from it need neither clang, bpftool nor git.
set(archive ${PROJECT_BINARY_DIR}/agentsh-ebpf-${PROJECT_VERSION}.tar.gz)
get_property(skeletons GLOBAL PROPERTY AGENTSH_SKELETONS)
if(AGENTSH_EBPF_UDP AND CMAKE_C_BYTE_ORDER STREQUAL LITTLE_ENDIAN)
  add_custom_target(dist
    COMMAND ${PROJECT_SOURCE_DIR}/cmake/dist.sh ${PROJECT_SOURCE_DIR} ${skeletons} ${archive}
    DEPENDS agentsh-ebpf-skeletons
    VERBATIM)
else()
  add_custom_target(dist
    COMMAND ${CMAKE_COMMAND} -E echo
            "The source archive has the programs of a little-endian build with AGENTSH_EBPF_UDP=ON."
    COMMAND ${CMAKE_COMMAND} -E false
    VERBATIM)
endif()
