# precis_add_plugin(NAME SOURCES file... MANIFEST manifest.json [LINK target...])
#
# Builds libprecis_NAME.so in lib/precis/plugins/NAME/ of the build tree, exporting precis_plugin_entry_v1
# alone, and beside it NAME.precis-plugin.json: the manifest with the library's name and SHA-256 filled in, and with
# "version" (the project's), "abi", "platform", "requires" and "devices" (the CPU, and the target's property
# PRECIS_DEVICES) where the author left them out. The sources see the version as PRECIS_PLUGIN_VERSION. Sources may be of
# CUDA where the project has that language.
#
# precis_validate_plugin(NAME): a test, validate_NAME, that runs precis-validate over it where that program is found.

function(precis_add_plugin name)
  cmake_parse_arguments(arg "" "MANIFEST" "SOURCES;LINK" ${ARGN})
  set(target precis_plugin_${name})
  set(directory "${CMAKE_BINARY_DIR}/lib/precis/plugins/${name}")
  add_library(${target} MODULE ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE precis::plugin_api ${arg_LINK})
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME precis_${name} LIBRARY_OUTPUT_DIRECTORY "${directory}"
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden CUDA_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    CUDA_RUNTIME_LIBRARY Static)  # which opens the driver when it is first called, not when the library is loaded
  # Unique symbols would keep a library's statics shared between plugins and make it impossible to close.
  target_compile_options(${target} PRIVATE
    $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-fno-gnu-unique>
    $<$<AND:$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>,$<CXX_COMPILER_ID:GNU>>:-Xcompiler=-fno-gnu-unique>)
  set(version_script "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/precis_plugin.map")
  target_link_options(${target} PRIVATE
    "-Wl,--version-script=${version_script}" -Wl,-z,nodelete -Wl,--exclude-libs,ALL)
  if(NOT PRECIS_SANITIZE)
    target_link_options(${target} PRIVATE -Wl,-z,defs)  # a sanitizer's runtime is found at load time
  endif()
  cmake_path(ABSOLUTE_PATH arg_MANIFEST BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" OUTPUT_VARIABLE manifest)
  file(READ "${manifest}" text)
  string(JSON version ERROR_VARIABLE absent GET "${text}" version)
  if(absent)
    set(version "${PROJECT_VERSION}")
  endif()
  target_compile_definitions(${target} PRIVATE PRECIS_PLUGIN_VERSION="${version}")
  get_target_property(abi_version precis::plugin_api PRECIS_ABI_VERSION)
  string(REPLACE "." ";" abi_version "${abi_version}")
  list(GET abi_version 0 abi_major)
  list(GET abi_version 1 abi_minor)
  string(TOLOWER "${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}" platform)
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS
    "${version_script};${manifest};${CMAKE_CURRENT_FUNCTION_LIST_DIR}/PrecisManifest.cmake")
  add_custom_command(TARGET ${target} POST_BUILD VERBATIM
    COMMAND "${CMAKE_COMMAND}" "-DMANIFEST=${manifest}" "-DLIBRARY=$<TARGET_FILE:${target}>"
            "-DOUTPUT=${directory}/${name}.precis-plugin.json" "-DVERSION=${version}" "-DPLATFORM=${platform}"
            "-DABI_MAJOR=${abi_major}" "-DABI_MINOR=${abi_minor}" "-DDEVICES=$<TARGET_PROPERTY:${target},PRECIS_DEVICES>"
            -P "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/PrecisManifest.cmake")
  # As files, not as a target: an installer that rewrites the library would falsify its hash.
  install(FILES "$<TARGET_FILE:${target}>" "${directory}/${name}.precis-plugin.json"
    DESTINATION "lib/precis/plugins/${name}" COMPONENT plugins)
endfunction()

function(precis_validate_plugin name)
  if(TARGET precis-validate)
    set(program $<TARGET_FILE:precis-validate>)
  else()
    find_program(PRECIS_VALIDATE precis-validate HINTS "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../../../bin")
    set(program "${PRECIS_VALIDATE}")
  endif()
  if(program)
    set(exclude "")
    set(timeout 600)
    if(PRECIS_SANITIZE)
      set(exclude --exclude audit.needed --exclude calls.polls)  # a sanitizer is a library more, and slow
      set(timeout 3600)
    endif()
    add_test(NAME validate_${name}
      COMMAND "${program}" validate "${CMAKE_BINARY_DIR}/lib/precis/plugins/${name}" ${exclude})
    set_tests_properties(validate_${name} PROPERTIES TIMEOUT ${timeout} LABELS validate)
  endif()
endfunction()
