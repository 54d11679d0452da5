# Compiles files into a library as one table of struct embedded_file (include/stepmill/embedded.h).
#
#   stepmill_embed(<target> <table> <file>...)
#
# makes `const struct embedded_file <table>[]` and `const size_t <table>_count`; the source that uses them declares them `extern`.
function(stepmill_embed target table)
  set(arrays "")
  set(rows "")
  set(index 0)
  foreach(path ${ARGN})
    set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
    get_filename_component(name ${path} NAME)
    file(READ ${path} hex HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(APPEND arrays "static const unsigned char file_${index}[] = {${bytes}0};\n")
    string(APPEND rows "    {\"${name}\", {(const char *)file_${index}, sizeof file_${index} - 1}},\n")
    math(EXPR index "${index} + 1")
  endforeach()
  set(out ${CMAKE_BINARY_DIR}/embedded/${table}.c)
  file(CONFIGURE OUTPUT ${out} CONTENT "/* Made by cmake/embed.cmake. */
#include \"stepmill/embedded.h\"

extern const struct embedded_file ${table}[];
extern const size_t ${table}_count;

${arrays}
const struct embedded_file ${table}[] = {
${rows}};
const size_t ${table}_count = ${index};
" @ONLY)
  target_sources(${target} PRIVATE ${out})
endfunction()
