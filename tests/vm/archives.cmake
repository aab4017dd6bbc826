# Included after project(): find_library() finds archives only, for fully static programs.
set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
