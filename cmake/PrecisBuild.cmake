# The one place for compiler settings, and the few functions every folder declares its targets with.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")

# nvcc takes none of these; kernels/cuda has its own.
set(PRECIS_HOST "COMPILE_LANGUAGE:C,CXX")
add_compile_options("$<$<${PRECIS_HOST}>:-Wall;-Wextra;-Wpedantic>" "$<$<AND:$<${PRECIS_HOST}>,$<BOOL:${PRECIS_WERROR}>>:-Werror>")
# GCC 12 sees an overlap in every concatenation of a text and a std::string (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
# A fused multiply-add rounds once where the reference libraries round twice: bit-exactness forbids it.
add_compile_options("$<$<${PRECIS_HOST}>:-ffp-contract=off>")
if(PRECIS_SANITIZE)
  add_compile_options("$<$<${PRECIS_HOST}>:-fsanitize=${PRECIS_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=undefined>")
  add_link_options(-fsanitize=${PRECIS_SANITIZE})
  # GCC 12 sees uninitialised members in std::regex once sanitizers keep its copies apart.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized>)
  endif()
endif()
if(PRECIS_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(PRECIS_CCACHE ccache)
if(PRECIS_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${PRECIS_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${PRECIS_CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${PRECIS_CCACHE})
endif()

find_package(Threads REQUIRED)
if(PRECIS_TESTS)
  enable_testing()
  if(NOT PRECIS_KERNELS_ONLY)
    find_package(GTest REQUIRED)
  else()
    find_package(GTest QUIET)
    # For another machine than this one it is built from the sources that Debian's package has beside its libraries.
    if(NOT GTest_FOUND AND CMAKE_CROSSCOMPILING AND EXISTS /usr/src/googletest/CMakeLists.txt)
      set(INSTALL_GTEST OFF)
      add_subdirectory(/usr/src/googletest googletest EXCLUDE_FROM_ALL)
      set(GTest_FOUND ON)
    endif()
    if(NOT TARGET GTest::gmock)
      set(GTest_FOUND OFF)
      message(STATUS "precis: left out: the kernels' tests but the self-test, since GoogleTest was not found")
    endif()
  endif()
endif()

# precis_add_library(NAME SOURCES ... [LINK ...] [PRIVATE_LINK ...])
# A static library whose includes are written from the repository root, e.g. "core/base/result.h".
function(precis_add_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name} PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>"
                                            "$<INSTALL_INTERFACE:${PRECIS_INSTALLED_HEADERS}>")
  target_compile_features(${name} PUBLIC cxx_std_20)
  target_link_libraries(${name} PUBLIC ${arg_LINK} PRIVATE ${arg_PRIVATE_LINK})
  precis_package_library(${name})
endfunction()

# precis_precompile(TARGET HOLDER HEADER): TARGET reads the precompiled HEADER that target HOLDER has made. ccache keeps such
# objects only when it may ignore the header's time stamp.
function(precis_precompile target holder header)
  if(target STREQUAL holder)
    target_precompile_headers(${target} PRIVATE "${header}")
  else()
    target_precompile_headers(${target} REUSE_FROM ${holder})
  endif()
  # A precompiled header serves one setting: programs would get -fPIE, libraries get -fPIC.
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fPIC>
    $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-fpch-preprocess>)
  if(PRECIS_CCACHE)
    set_target_properties(${target} PROPERTIES CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND};-E;env;CCACHE_SLOPPINESS=pch_defines,time_macros;${PRECIS_CCACHE}")
  endif()
endfunction()

# precis_compile_tests(TARGET): how the sources of tests are compiled. They are many and run for moments, so that most of
# their cost is the compiler's: GoogleTest is precompiled, and little is optimised.
function(precis_compile_tests target)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-O1>)
  # At this level GCC 12 sees a concatenation of texts leave the buffer inside a std::string.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE
      "$<$<COMPILE_LANGUAGE:CXX>:-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>")
  endif()
  precis_precompile(${target} precis_test_headers "${PROJECT_SOURCE_DIR}/tests/test_headers.h")
endfunction()

if(PRECIS_TESTS AND GTest_FOUND)
  add_library(precis_test_headers STATIC EXCLUDE_FROM_ALL "${PROJECT_SOURCE_DIR}/tests/test_headers.cpp")
  target_include_directories(precis_test_headers PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(precis_test_headers PRIVATE GTest::gmock)
  precis_compile_tests(precis_test_headers)
endif()

# precis_add_test(NAME SOURCES ... [LINK ...] [LABELS ...])
# A GoogleTest program, run by ctest as one test. Does nothing where tests are not built or GoogleTest is missing, which only
# a kernels-only build does without.
function(precis_add_test name)
  precis_add_test_program(${name} ${ARGN})
  if(TARGET ${name})
    precis_compile_tests(${name})
  endif()
endfunction()

# The same, compiled as everything else is.
function(precis_add_test_program name)
  if(NOT PRECIS_TESTS OR NOT GTest_FOUND)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(${name} PRIVATE PRECIS_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             PRECIS_BINARY_DIR="${PROJECT_BINARY_DIR}")
  target_link_libraries(${name} PRIVATE ${arg_LINK} GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 600)
endfunction()

# What products are not tested with by themselves where the processor has AMX.
set(PRECIS_ISA_BELOW_TILES "")
if(EXISTS /proc/cpuinfo)
  file(STRINGS /proc/cpuinfo flags REGEX " amx_tile" LIMIT_COUNT 1)
  if(flags)
    set(PRECIS_ISA_BELOW_TILES avx512_dot)
  endif()
endif()

# precis_add_method_test(NAME [PRODUCTS] SOURCES ...): the tests that every method passes (tests/method), for plugin
# NAME. One of the sources defines method_under_test(). PRODUCTS: those of the products run once more for each
# instruction set.
function(precis_add_method_test name)
  if(NOT PRECIS_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "PRODUCTS" "" "SOURCES" ${ARGN})
  precis_add_test(${name}_test
    SOURCES ${arg_SOURCES} $<TARGET_OBJECTS:precis_method_tests> $<TARGET_OBJECTS:precis_method_cases>
    LINK precis_registry_config)
  add_dependencies(${name}_test precis_plugin_${name})
  precis_validate_plugin(${name})
  if(arg_PRODUCTS)
    # The best of them runs in the test above, but for what is below AMX.
    set(isas ${PRECIS_ISAS})
    list(POP_BACK isas)
    foreach(isa IN LISTS isas PRECIS_ISA_BELOW_TILES)
      add_test(NAME ${name}_products_${isa} COMMAND ${name}_test "--gtest_filter=*Product*")
      set_tests_properties(${name}_products_${isa} PROPERTIES ENVIRONMENT PRECIS_CPU=${isa} TIMEOUT 600)
    endforeach()
  endif()
endfunction()

# precis_add_fuzzer(NAME SOURCES ... [LINK ...]): a libFuzzer program; its seeds live in tests/fuzz/corpus/NAME.
function(precis_add_fuzzer name)
  if(NOT PRECIS_FUZZ)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
  target_link_libraries(${name} PRIVATE ${arg_LINK} -fsanitize=fuzzer)
endfunction()

function(precis_report_configuration)
  message(STATUS "precis ${PROJECT_VERSION}: ${CMAKE_BUILD_TYPE}, sanitizers: ${PRECIS_SANITIZE}")
  if(PRECIS_KERNELS_ONLY)
    message(STATUS "precis: kernels-only build: core, registry, plugins and the command line are left out")
    return()
  endif()
  set(left_out "")
  if(PRECIS_TORCH_FOUND)
    message(STATUS "precis: LibTorch ${PRECIS_TORCH_VERSION}")
  else()
    list(APPEND left_out "LibTorch runtime")
  endif()
  if(NOT TARGET precis_device_cuda)
    list(APPEND left_out "CUDA kernels")
  endif()
  if(NOT TARGET precis_device_hip)
    list(APPEND left_out "HIP kernels")
  endif()
  if(left_out)
    list(JOIN left_out ", " left_out)
    message(STATUS "precis: left out: ${left_out} (CPU build is complete)")
  endif()
endfunction()
