# The fuzzers of tests/fuzz, one executable each, by clang's libFuzzer; tools/fuzz builds and runs them.
file(GLOB fuzzers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_*.c)
add_custom_target(fuzzers)
foreach(fuzzer ${fuzzers})
  get_filename_component(name ${fuzzer} NAME_WE)
  add_executable(${name} EXCLUDE_FROM_ALL ${fuzzer})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src/wire ${CMAKE_SOURCE_DIR}/src/io)
  target_link_libraries(${name} PRIVATE stepmill_wire)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer,address,undefined)
  add_dependencies(fuzzers ${name})
endforeach()

# Redis' answers are read without a connection by these files alone; the whole of src/io would take long to build.
set(io_parsers cells_answer.c redis_value.c redis_url.c)
list(TRANSFORM io_parsers PREPEND ${CMAKE_SOURCE_DIR}/src/io/)
target_sources(fuzz_cells PRIVATE ${io_parsers})
target_link_libraries(fuzz_cells PRIVATE PkgConfig::HIREDIS PkgConfig::EVENT)

# What an action's filter means stands in src/dlq.
target_sources(fuzz_action PRIVATE ${CMAKE_SOURCE_DIR}/src/dlq/filter_terms.c ${CMAKE_SOURCE_DIR}/src/dlq/names.c)
target_include_directories(fuzz_action PRIVATE ${CMAKE_SOURCE_DIR}/src/dlq)
