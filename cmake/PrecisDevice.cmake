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
