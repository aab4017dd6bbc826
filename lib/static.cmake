# The static library.
set_target_properties(agentsh-ebpf-static PROPERTIES OUTPUT_NAME agentsh-ebpf)
target_link_libraries(agentsh-ebpf-static PUBLIC Threads::Threads)

# An archive records no dependencies, so a program that links it must link these.
target_link_libraries(agentsh-ebpf-static INTERFACE ${AGENTSH_BESIDE_ARCHIVE})
target_link_directories(agentsh-ebpf-static INTERFACE ${AGENTSH_LIBBPF_DIRS})
