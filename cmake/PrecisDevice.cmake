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

# HIP: where clang 19 or later is found and PRECIS_HIP is on, which is the default of the kernels-only preset. Debian's
# clang-19 with lld-19 knows all targets.
option(PRECIS_HIP "Build the HIP kernels where clang 19 or later is found" ${PRECIS_KERNELS_ONLY})
set(PRECIS_HIP_FOUND OFF)
if(PRECIS_HIP)
  find_program(PRECIS_HIP_CLANG NAMES clang++-19 clang++-20 clang++-21)
  find_package(Python3 QUIET COMPONENTS Interpreter)
  if(PRECIS_HIP_CLANG AND Python3_FOUND)
    execute_process(COMMAND "${PRECIS_HIP_CLANG}" -dumpversion OUTPUT_VARIABLE PRECIS_HIP_VERSION
                    OUTPUT_STRIP_TRAILING_WHITESPACE)
    set(PRECIS_HIP_FOUND ON)
    message(STATUS "precis: HIP kernels with clang ${PRECIS_HIP_VERSION}")
  else()
    message(STATUS "precis: left out: HIP kernels, since clang++-19 or python3 was not found")
  endif()
endif()

# precis_add_selftest(DEVICE): the test selftest_DEVICE. With a device it passes; without one it says so and ends, whether
# a driver is there or not.
function(precis_add_selftest device)
  add_test(NAME selftest_${device}
           COMMAND bash "${PROJECT_SOURCE_DIR}/kernels/selftest/selftest.sh" $<TARGET_FILE:precis-selftest> ${device})
  set_tests_properties(selftest_${device} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 900)
endfunction()

# precis_plugin_devices(NAME SOURCES source... TEST source...): gives plugin NAME its device kernels. SOURCES are compiled
# once for each back end of the build, with PRECIS_DEVICE as its namespace; the plugin's other sources see
# PRECIS_PLUGIN_CUDA and PRECIS_PLUGIN_HIP where there is one. NAME_device_test is the plugin with the executor as its
# device, and TEST: plugin.cpp, the one source that asks for devices, is compiled again for it with PRECIS_PLUGIN_EXECUTOR.
function(precis_plugin_devices name)
  cmake_parse_arguments(arg "" "" "SOURCES;TEST" ${ARGN})
  set(plugin precis_plugin_${name})
  get_target_property(plugin_libraries ${plugin} LINK_LIBRARIES)
  foreach(back_end cuda hip)
    if(NOT TARGET precis_device_${back_end})
      continue()
    endif()
    string(TOUPPER PRECIS_PLUGIN_${back_end} definition)
    add_library(${plugin}_${back_end} OBJECT ${arg_SOURCES})
    target_link_libraries(${plugin}_${back_end} PRIVATE ${plugin_libraries})
    target_include_directories(${plugin}_${back_end} PRIVATE "${PROJECT_SOURCE_DIR}")
    target_compile_definitions(${plugin}_${back_end} PRIVATE PRECIS_DEVICE=device_${back_end})
    target_compile_options(${plugin}_${back_end} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)
    target_compile_definitions(${plugin} PRIVATE ${definition})
    target_sources(${plugin} PRIVATE $<TARGET_OBJECTS:${plugin}_${back_end}>)
    target_link_libraries(${plugin} PRIVATE precis_device_${back_end})
    if(back_end STREQUAL "cuda")
      # The runtime is linked statically and looks for the driver when it is first called, not when it is loaded.
      find_package(CUDAToolkit REQUIRED)
      target_link_libraries(${plugin} PRIVATE CUDA::cudart_static)
    endif()
    set_target_properties(${plugin} PROPERTIES LINKER_LANGUAGE CXX)
    set_property(TARGET ${plugin} APPEND PROPERTY PRECIS_DEVICES ${back_end})
  endforeach()
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

# precis_runtime_device_test(PLUGIN SOURCES source...): runtime_on_PLUGIN_test, LibTorch's side of devices with plugin
# PLUGIN, whose executor takes the place of a CUDA device (tests/device). SOURCES: its device sources.
function(precis_runtime_device_test name)
  if(NOT PRECIS_TESTS OR NOT PRECIS_TORCH_FOUND)
    return()
  endif()
  set(plugin precis_plugin_${name})
  get_target_property(plugin_libraries ${plugin} LINK_LIBRARIES)
  list(FILTER plugin_libraries EXCLUDE REGEX "precis_device_|CUDA::")
  set(sources "")
  foreach(source plugin.cpp ${ARGN})
    list(APPEND sources "${PROJECT_SOURCE_DIR}/plugins/${name}/${source}")
  endforeach()
  add_library(${plugin}_as_cuda OBJECT ${sources})
  target_link_libraries(${plugin}_as_cuda PRIVATE ${plugin_libraries} precis_device_simt)
  target_include_directories(${plugin}_as_cuda PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(${plugin}_as_cuda PRIVATE PRECIS_DEVICE=device_simt PRECIS_PLUGIN_EXECUTOR
                             PRECIS_EXECUTOR_AS_CUDA PRECIS_PLUGIN_VERSION="test")
  precis_add_torch_test(runtime_on_${name}_test
    SOURCES runtime_on_device_test.cpp executor_as_cuda.cpp $<TARGET_OBJECTS:${plugin}_as_cuda>
            $<FILTER:$<TARGET_OBJECTS:${plugin}>,EXCLUDE,/plugin\\.cpp\\.o$>
    LINK precis_models precis_runtime_loading precis_runtime_saving ${plugin_libraries} precis_device_simt)
  target_compile_definitions(runtime_on_${name}_test PRIVATE PRECIS_LINKED_PLUGIN="${name}")
endfunction()
