# Toolchain for fully static programs with musl: the wrapper of Debian's package musl-tools and the
# libraries in MUSL_PREFIX, which libraries.sh prints.
if(NOT MUSL_PREFIX)
  message(FATAL_ERROR "Set -DMUSL_PREFIX=DIR to the directory that tests/musl/libraries.sh prints.")
endif()
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MUSL_PREFIX)
set(CMAKE_C_COMPILER musl-gcc)
# The headers of the kernel are there, too.
set(CMAKE_C_FLAGS_INIT "-isystem ${MUSL_PREFIX}/include")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static")
# Nothing of the system's own libraries, which are those of glibc.
set(CMAKE_FIND_ROOT_PATH ${MUSL_PREFIX})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} ${MUSL_PREFIX}/lib/pkgconfig)
