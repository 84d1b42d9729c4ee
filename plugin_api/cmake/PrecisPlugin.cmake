# precis_add_plugin(NAME SOURCES file... MANIFEST manifest.json [LINK target...])
#
# Builds libprecis_NAME.so in lib/precis/plugins/NAME/ of the build tree, exporting precis_plugin_entry_v1
# alone, and beside it NAME.precis-plugin.json: the manifest with the library's name and SHA-256 filled in, and with
# "version" (the project's), "abi", "platform", "requires" and "devices" where the author left them out. The sources see
# the version as PRECIS_PLUGIN_VERSION.

set(PRECIS_PLUGIN_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}")
file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/../include/precis/base.h" lines REGEX "define PRECIS_ABI_M[A-Z]+ ")
string(REGEX MATCH "ABI_MAJOR ([0-9]+)" ignored "${lines}")
set(PRECIS_PLUGIN_ABI_MAJOR ${CMAKE_MATCH_1})
string(REGEX MATCH "ABI_MINOR ([0-9]+)" ignored "${lines}")
set(PRECIS_PLUGIN_ABI_MINOR ${CMAKE_MATCH_1})

function(precis_add_plugin name)
  cmake_parse_arguments(arg "" "MANIFEST" "SOURCES;LINK" ${ARGN})
  set(target precis_plugin_${name})
  set(directory "${CMAKE_BINARY_DIR}/lib/precis/plugins/${name}")
  add_library(${target} MODULE ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE precis_plugin_api ${arg_LINK})
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME precis_${name} LIBRARY_OUTPUT_DIRECTORY "${directory}"
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  # Unique symbols would keep a library's statics shared between plugins and make it impossible to close.
  target_compile_options(${target} PRIVATE
    $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-fno-gnu-unique>)
  set(version_script "${PRECIS_PLUGIN_CMAKE_DIR}/precis_plugin.map")
  target_link_options(${target} PRIVATE
    "-Wl,--version-script=${version_script}" -Wl,-z,nodelete -Wl,--exclude-libs,ALL)
  if(NOT PRECIS_SANITIZE)
    target_link_options(${target} PRIVATE -Wl,-z,defs)  # a sanitizer's runtime is found at load time
  endif()
  set(manifest "${CMAKE_CURRENT_SOURCE_DIR}/${arg_MANIFEST}")
  file(READ "${manifest}" text)
  string(JSON version ERROR_VARIABLE absent GET "${text}" version)
  if(absent)
    set(version "${PROJECT_VERSION}")
  endif()
  target_compile_definitions(${target} PRIVATE PRECIS_PLUGIN_VERSION="${version}")
  string(TOLOWER "${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}" platform)
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS
    "${version_script};${manifest};${PRECIS_PLUGIN_CMAKE_DIR}/PrecisManifest.cmake")
  add_custom_command(TARGET ${target} POST_BUILD VERBATIM
    COMMAND "${CMAKE_COMMAND}" "-DMANIFEST=${manifest}" "-DLIBRARY=$<TARGET_FILE:${target}>"
            "-DOUTPUT=${directory}/${name}.precis-plugin.json" "-DVERSION=${version}" "-DPLATFORM=${platform}"
            "-DABI_MAJOR=${PRECIS_PLUGIN_ABI_MAJOR}" "-DABI_MINOR=${PRECIS_PLUGIN_ABI_MINOR}"
            -P "${PRECIS_PLUGIN_CMAKE_DIR}/PrecisManifest.cmake")
  # As files, not as a target: an installer that rewrites the library would falsify its hash.
  install(FILES "$<TARGET_FILE:${target}>" "${directory}/${name}.precis-plugin.json"
    DESTINATION "lib/precis/plugins/${name}" COMPONENT plugins)
endfunction()
