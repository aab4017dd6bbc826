# Debian packages, one per install component:
#   cmake -S . -B build -DCMAKE_INSTALL_PREFIX=/usr && cmake --build build && cd build && cpack
# The package maintainer is taken from DEBFULLNAME and DEBEMAIL, as by Debian's own tools.

if(NOT CMAKE_SOURCE_DIR STREQUAL PROJECT_SOURCE_DIR)
  return() # The packages of another project are not ours.
endif()
if(NOT AGENTSH_EBPF_SHARED OR NOT AGENTSH_EBPF_STATIC)
  return() # The packages have both libraries.
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_HOMEPAGE_URL https://github.com/canyonroad/libagentsh-ebpf)
set(CPACK_PACKAGE_CONTACT "canyonroad <canyonroad@users.noreply.github.com>")
if(DEFINED ENV{DEBFULLNAME} AND DEFINED ENV{DEBEMAIL})
  set(CPACK_PACKAGE_CONTACT "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
endif()
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_COMPONENTS_ALL runtime development)
if(AGENTSH_EBPF_EXAMPLES)
  list(APPEND CPACK_COMPONENTS_ALL tools)
endif()

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1 CACHE STRING "Revision of the Debian packages")
set(CPACK_DEBIAN_PACKAGE_SOURCE libagentsh-ebpf)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/lib)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(library libagentsh-ebpf${AGENTSH_EBPF_SOVERSION})
set(about "libagentsh-ebpf reports the network connections of the processes of a cgroup
v2 to a host program, by eBPF programs that it attaches to that cgroup.
.")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package has one of its own

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME ${library})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION "network connections of a cgroup by eBPF - shared library
${about}
This package has the shared library.")

# The archive and the .pc files need the development files of the libraries below.
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libagentsh-ebpf-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "${library} (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}), libbpf-dev (>= 1.1), libelf-dev, zlib1g-dev")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "network connections of a cgroup by eBPF - development files
${about}
This package has the header, the static library, the files for pkg-config and
CMake, and the manual pages of the functions.")

# The command comes from the same build as the library, and may use its newest function.
set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME agentsh-ebpf-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION net)
set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS "${library} (>= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_TOOLS_DESCRIPTION "network connections of a cgroup by eBPF - command
${about}
This package has agentsh-trace, which traces a command or the processes of a
cgroup, and reports what a machine can trace.")

# The symbols file: a program depends on the version that brought the newest function it uses. The
# name of each version node has that version, without the last number.
file(STRINGS ${PROJECT_SOURCE_DIR}/lib/libagentsh-ebpf.map lines)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/lib/libagentsh-ebpf.map)
set(symbols "libagentsh-ebpf.so.${AGENTSH_EBPF_SOVERSION} ${library} #MINVER#\n* Build-Depends-Package: libagentsh-ebpf-dev\n")
foreach(line ${lines})
  if(line MATCHES "^(AGENTSH_EBPF_([0-9.]+)) ")
    set(node ${CMAKE_MATCH_1})
    set(since ${CMAKE_MATCH_2}.0)
    string(APPEND symbols " ${node}@${node} ${since}\n")
  elseif(line MATCHES "^[ \t]*(agentsh_ebpf_[a-z0-9_]+)")
    string(APPEND symbols " ${CMAKE_MATCH_1}@${node} ${since}\n")
  endif()
endforeach()
set(control ${PROJECT_BINARY_DIR}/packages)
file(CONFIGURE OUTPUT ${control}/symbols CONTENT "${symbols}" @ONLY)
file(CONFIGURE OUTPUT ${control}/triggers CONTENT "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${control}/symbols ${control}/triggers)

set(scripts ${PROJECT_SOURCE_DIR}/cmake/packaging)
set(CPACK_PRE_BUILD_SCRIPTS ${scripts}/DebianFiles.cmake)
set(CPACK_POST_BUILD_SCRIPTS ${scripts}/DebianArchive.cmake)
# For the scripts, which see only variables with this prefix.
set(CPACK_AGENTSH_SOURCE ${PROJECT_SOURCE_DIR})
set(CPACK_AGENTSH_LIBDIR ${CMAKE_INSTALL_LIBDIR})
set(CPACK_AGENTSH_ARCHITECTURE ${CMAKE_LIBRARY_ARCHITECTURE})
set(CPACK_AGENTSH_STRIP ${CMAKE_STRIP})
include(CPack)
