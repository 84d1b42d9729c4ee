# The development files of an installation: static libraries, headers and what find_package(precis) reads. Its targets:
# precis::core (checkpoints), precis::registry (plugins and configs) and, where LibTorch was found, precis::runtime
# (quantized modules) and precis::pipelines (networks and pipelines).

set(PRECIS_INSTALLED_HEADERS include/precis-host) # core/, registry/, runtime/ … as includes are written
set(PRECIS_PACKAGE_DIRECTORY lib/cmake/precis)
set(PRECIS_PACKAGED_FOLDERS core registry runtime models pipelines)

# Makes a library of those folders, or one that they link, part of the package.
function(precis_package_library name)
  file(RELATIVE_PATH folder "${PROJECT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  string(REGEX REPLACE "/.*" "" folder "${folder}")
  if(NOT folder IN_LIST PRECIS_PACKAGED_FOLDERS AND NOT name STREQUAL "precis_kernels_common")
    return()
  endif()
  string(REGEX REPLACE "^precis_" "" exported "${name}")
  set_target_properties(${name} PROPERTIES EXPORT_NAME ${exported})
  install(TARGETS ${name} EXPORT precis ARCHIVE DESTINATION lib/precis COMPONENT development)
endfunction()

# precis_package_alias(NAME LINK target...): precis::NAME, what a user of the package links.
function(precis_package_alias name)
  cmake_parse_arguments(arg "" "" "LINK" ${ARGN})
  add_library(precis_package_${name} INTERFACE)
  target_link_libraries(precis_package_${name} INTERFACE ${arg_LINK})
  set_target_properties(precis_package_${name} PROPERTIES EXPORT_NAME ${name})
  install(TARGETS precis_package_${name} EXPORT precis)
endfunction()

# precis::pipelines is a library of its own.
function(precis_install_package)
  precis_package_alias(core LINK precis_core_engine)
  precis_package_alias(registry LINK precis_registry_config)
  if(PRECIS_TORCH_FOUND)
    precis_package_alias(runtime LINK precis_runtime_loading precis_registry_config)
  endif()
  foreach(folder IN LISTS PRECIS_PACKAGED_FOLDERS)
    install(DIRECTORY "${PROJECT_SOURCE_DIR}/${folder}" DESTINATION ${PRECIS_INSTALLED_HEADERS} COMPONENT development
      FILES_MATCHING PATTERN "*.h" PATTERN "fake_plugins" EXCLUDE PATTERN "test_*.h" EXCLUDE)
  endforeach()
  install(EXPORT precis NAMESPACE precis:: FILE precis-targets.cmake DESTINATION ${PRECIS_PACKAGE_DIRECTORY}
    COMPONENT development)
  include(CMakePackageConfigHelpers)
  set(PLUGINS lib/precis/plugins)
  configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/precis-config.cmake.in"
    "${PROJECT_BINARY_DIR}/precis-config.cmake" INSTALL_DESTINATION ${PRECIS_PACKAGE_DIRECTORY} PATH_VARS PLUGINS)
  write_basic_package_version_file("${PROJECT_BINARY_DIR}/precis-config-version.cmake"
    COMPATIBILITY SameMinorVersion)
  install(FILES "${PROJECT_BINARY_DIR}/precis-config.cmake" "${PROJECT_BINARY_DIR}/precis-config-version.cmake"
    cmake/PrecisTorch.cmake DESTINATION ${PRECIS_PACKAGE_DIRECTORY} COMPONENT development)
endfunction()
