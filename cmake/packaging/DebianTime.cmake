# Sets SOURCE_DATE_EPOCH, if it is not set, to the modification time of CHANGELOG.md, so that a
# package does not depend on the time at which it is built.
if(NOT DEFINED ENV{SOURCE_DATE_EPOCH})
  file(TIMESTAMP ${CPACK_AGENTSH_SOURCE}/CHANGELOG.md epoch %s UTC)
  set(ENV{SOURCE_DATE_EPOCH} ${epoch})
endif()
