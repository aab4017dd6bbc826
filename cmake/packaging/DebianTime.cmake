# Sets SOURCE_DATE_EPOCH, if it is not set, to the time of the newest change of the changelog, so that
# a package does not depend on the time when it is built.
if(NOT DEFINED ENV{SOURCE_DATE_EPOCH})
  file(TIMESTAMP ${CPACK_AGENTSH_SOURCE}/CHANGELOG.md epoch %s UTC)
  set(ENV{SOURCE_DATE_EPOCH} ${epoch})
endif()
