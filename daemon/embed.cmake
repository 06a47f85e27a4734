# SPDX-License-Identifier: Apache-2.0
# A file as bytes of a program.
#
#   openbeam_embed(TARGET FILE SYMBOL)
#
# adds to TARGET a source with `const struct embedded SYMBOL` (daemon/embedded.h): the bytes of
# FILE, made again when it changes.

if(CMAKE_SCRIPT_MODE_FILE)
  # cmake -DFILE=... -DSYMBOL=... -DOUTPUT=... -P embed.cmake
  file(SIZE "${FILE}" size)
  file(READ "${FILE}" bytes HEX)
  string(REPEAT "[0-9a-f]" 64 line)
  string(REGEX REPLACE "(${line})" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  file(WRITE "${OUTPUT}"
    "#include \"daemon/embedded.h\"\n\n"
    "static const unsigned char bytes[] = {\n${bytes}\n0 };\n\n"
    "const struct embedded ${SYMBOL} = { (const char *)bytes, ${size} };\n")
  return()
endif()

set(OPENBEAM_EMBED "${CMAKE_CURRENT_LIST_FILE}")

function(openbeam_embed target file symbol)
  get_filename_component(file "${file}" ABSOLUTE)
  set(made "${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c")
  add_custom_command(OUTPUT "${made}"
    COMMAND ${CMAKE_COMMAND} "-DFILE=${file}" -DSYMBOL=${symbol} "-DOUTPUT=${made}"
            -P "${OPENBEAM_EMBED}"
    DEPENDS "${file}" "${OPENBEAM_EMBED}" VERBATIM)
  target_sources(${target} PRIVATE "${made}")
endfunction()
