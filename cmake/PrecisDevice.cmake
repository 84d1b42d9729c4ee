# Device kernels on the executor (kernels/simt): how their sources are compiled for it.

# precis_trace_target(TARGET): every load and store of the target's sources calls the tracer. What
# uses the target links precis_simt_trace and never -fsanitize=thread.
function(precis_trace_target target)
  target_compile_options(${target} PRIVATE -fsanitize=thread -Wno-tsan -O1 -g1)
endfunction()

# precis_simt_target(TARGET): the target's device sources run on the executor.
function(precis_simt_target target)
  target_compile_definitions(${target} PUBLIC PRECIS_DEVICE_SIMT)
endfunction()

# CUDA: where nvcc is found and PRECIS_CUDA is on, which is the default of the kernels-only preset.
option(PRECIS_CUDA "Build the CUDA kernels where nvcc is found" ${PRECIS_KERNELS_ONLY})
set(PRECIS_CUDA_FOUND OFF)
if(PRECIS_CUDA)
  include(CheckLanguage)
  # Without it CMake tries a compiler for its own default architecture.
  set(CMAKE_CUDA_ARCHITECTURES 80-real)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    # CMake 3.25 does not know that this nvcc has C++20.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    set(PRECIS_CUDA_FOUND ON)
    message(STATUS "precis: CUDA kernels with nvcc ${CMAKE_CUDA_COMPILER_VERSION}")
  else()
    message(STATUS "precis: left out: CUDA kernels, since nvcc was not found")
  endif()
endif()

# precis_plugin_devices(NAME SOURCES source... TEST source...): gives plugin NAME its device kernels. SOURCES are compiled
# once for each back end of the build, with PRECIS_DEVICE as its namespace; the plugin's other sources see
# PRECIS_PLUGIN_CUDA where there is one for CUDA. NAME_device_test is the plugin with the executor as its device, and
# TEST: plugin.cpp, the one source that asks for devices, is compiled again for it with PRECIS_PLUGIN_EXECUTOR.
function(precis_plugin_devices name)
  cmake_parse_arguments(arg "" "" "SOURCES;TEST" ${ARGN})
  set(plugin precis_plugin_${name})
  get_target_property(plugin_libraries ${plugin} LINK_LIBRARIES)
  if(TARGET precis_device_cuda)
    find_package(CUDAToolkit REQUIRED)
    add_library(${plugin}_cuda OBJECT ${arg_SOURCES})
    target_link_libraries(${plugin}_cuda PRIVATE ${plugin_libraries})
    target_include_directories(${plugin}_cuda PRIVATE "${PROJECT_SOURCE_DIR}")
    target_compile_definitions(${plugin}_cuda PRIVATE PRECIS_DEVICE=device_cuda)
    target_compile_options(${plugin}_cuda PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)
    target_compile_definitions(${plugin} PRIVATE PRECIS_PLUGIN_CUDA)
    target_sources(${plugin} PRIVATE $<TARGET_OBJECTS:${plugin}_cuda>)
    # The runtime is linked statically and looks for the driver when it is first called, not when it is loaded.
    target_link_libraries(${plugin} PRIVATE precis_device_cuda CUDA::cudart_static)
    set_target_properties(${plugin} PROPERTIES LINKER_LANGUAGE CXX PRECIS_DEVICES cuda)
  endif()
  # ThreadSanitizer does not follow the executor's fibers.
  if(NOT PRECIS_TESTS OR PRECIS_SANITIZE STREQUAL "thread")
    return()
  endif()
  precis_add_test(${name}_device_test
                  SOURCES ${arg_TEST} plugin.cpp ${arg_SOURCES}
                          $<FILTER:$<TARGET_OBJECTS:${plugin}>,EXCLUDE,/plugin\\.cpp\\.o$>
                  LINK ${plugin_libraries} precis_device_test precis_device_simt)
  target_compile_definitions(${name}_device_test PRIVATE PRECIS_DEVICE=device_simt PRECIS_PLUGIN_EXECUTOR
                             PRECIS_PLUGIN_VERSION="test")
  add_dependencies(${name}_device_test ${plugin})
endfunction()
