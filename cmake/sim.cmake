# stepmill-sim: the product's own files under simulated time (tests/sim); tools/sim builds and runs it.
#
# Compiled apart from the product, with STEPMILL_SIM: the switches of include/stepmill/rule.h exist only here.
pkg_check_modules(LUA51 IMPORTED_TARGET lua5.1)
if(LUA51_FOUND)
  foreach(folder base config core wire worker)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.c)
    list(APPEND sim_product ${sources})
  endforeach()
  # What the simulator stands in for: tool_set.c reads files, log.c writes to a descriptor.
  list(FILTER sim_product EXCLUDE REGEX "/(tool_set|log)\\.c$")
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/io/cells*.c)
  list(APPEND sim_product ${sources})
  set(sim_io kafka_batch kafka_conf kafka_lookup kafka_rebalance kafka_record kafka_source kafka_source_ask kafka_txn
             kafka_txn_helper kafka_txn_run timer_heap)
  list(TRANSFORM sim_io PREPEND ${CMAKE_SOURCE_DIR}/src/io/)
  list(TRANSFORM sim_io APPEND .c)
  list(APPEND sim_product ${sim_io})
  file(GLOB sim_own CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/sim/*.c ${CMAKE_SOURCE_DIR}/tests/sim/*/*.c)

  add_executable(stepmill-sim EXCLUDE_FROM_ALL ${sim_own} ${sim_product})
  target_sources(stepmill-sim PRIVATE ${CMAKE_BINARY_DIR}/embedded/schema_files.c ${CMAKE_BINARY_DIR}/embedded/lua_files.c)
  target_compile_definitions(stepmill-sim PRIVATE STEPMILL_SIM)
  target_compile_options(stepmill-sim PRIVATE -O2 -U_FORTIFY_SOURCE)
  target_include_directories(stepmill-sim PRIVATE ${CMAKE_SOURCE_DIR}/include
    ${CMAKE_SOURCE_DIR}/tests/sim/kernel ${CMAKE_SOURCE_DIR}/tests/sim/kafka ${CMAKE_SOURCE_DIR}/tests/sim ${CMAKE_SOURCE_DIR}/src/io
    ${CMAKE_SOURCE_DIR}/src/worker ${CMAKE_SOURCE_DIR}/src/wire ${CMAKE_SOURCE_DIR}/src/config ${CMAKE_SOURCE_DIR}/src/base
    $<TARGET_PROPERTY:PkgConfig::RDKAFKA,INTERFACE_INCLUDE_DIRECTORIES>)
  target_link_libraries(stepmill-sim PRIVATE PkgConfig::LUA51 PkgConfig::CRYPTO PkgConfig::YAML PkgConfig::JANSSON PkgConfig::AVRO m)
  set(wrapped clock_gettime getrandom pthread_create pthread_join pthread_mutex_init pthread_mutex_destroy pthread_mutex_lock
              pthread_mutex_unlock pthread_cond_init pthread_cond_destroy pthread_cond_signal pthread_cond_wait
              pthread_cond_timedwait malloc calloc realloc free strdup strndup asprintf)
  list(TRANSFORM wrapped PREPEND -Wl,--wrap=)
  target_link_options(stepmill-sim PRIVATE ${wrapped})
endif()
