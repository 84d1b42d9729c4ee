# LibTorch, as runtime/ and the folders above it use it. PRECIS_TORCH: AUTO builds them where LibTorch is found, ON
# stops without it, OFF leaves them out.
#
# LibTorch is found in PRECIS_TORCH_DIR (an unpacked libtorch, or site-packages/torch of a Python), else in the Python
# environment that ./bootstrap makes. Its headers and three libraries are all that precis needs, so a build for CUDA or
# ROCm is used like one for the CPU; TorchConfig.cmake would ask for their toolkits.

set(PRECIS_TORCH AUTO CACHE STRING "Build the LibTorch runtime: AUTO, ON or OFF")
set_property(CACHE PRECIS_TORCH PROPERTY STRINGS AUTO ON OFF)
set(PRECIS_TORCH_DIR "" CACHE PATH "LibTorch: the folder with include/ and lib/")
set(PRECIS_TORCH_OLDEST 2.7) # the first whose wheels have libstdc++'s current ABI

# Sets PRECIS_TORCH_FOUND and makes the target precis_torch.
function(precis_find_torch)
  set(PRECIS_TORCH_FOUND OFF PARENT_SCOPE)
  # Torch is not built with the sanitizers: ThreadSanitizer sees races in its OpenMP that are none.
  if(PRECIS_TORCH STREQUAL "OFF" OR (PRECIS_TORCH STREQUAL "AUTO" AND PRECIS_SANITIZE))
    return()
  endif()
  set(places "${PRECIS_TORCH_DIR}")
  if(NOT PRECIS_TORCH_DIR)
    file(GLOB places "${PROJECT_SOURCE_DIR}/.precis/venv/lib/python3*/site-packages/torch")
  endif()
  find_path(root include/torch/csrc/api/include/torch/nn/module.h PATHS ${places} NO_DEFAULT_PATH NO_CACHE)
  if(root)
    file(STRINGS "${root}/include/torch/headeronly/version.h" lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
    list(TRANSFORM lines REPLACE "[^0-9]*([0-9]+).*" "\\1")
    list(JOIN lines "." version)
  endif()
  if(NOT root OR version VERSION_LESS PRECIS_TORCH_OLDEST)
    if(PRECIS_TORCH STREQUAL "ON")
      message(FATAL_ERROR "precis: no LibTorch ${PRECIS_TORCH_OLDEST} or newer in '${PRECIS_TORCH_DIR}' nor in "
                          ".precis/venv (found: '${root}' ${version}). Pass -DPRECIS_TORCH_DIR=DIR, or run "
                          "./bootstrap test, which fetches it.")
    endif()
    return()
  endif()
  add_library(precis_torch INTERFACE)
  # Behind the system's folders: the wheel carries copies of fmt and other libraries beside its own headers.
  target_compile_options(precis_torch INTERFACE
    "SHELL:-idirafter ${root}/include" "SHELL:-idirafter ${root}/include/torch/csrc/api/include")
  # libtorch.so brings the device's library with it and is called by nobody here.
  target_link_libraries(precis_torch INTERFACE "${root}/lib/libc10.so" "${root}/lib/libtorch_cpu.so"
    -Wl,--push-state,--no-as-needed "${root}/lib/libtorch.so" -Wl,--pop-state,--allow-shlib-undefined)
  set(PRECIS_TORCH_FOUND ON PARENT_SCOPE)
  set(PRECIS_TORCH_VERSION ${version} PARENT_SCOPE)
  set(PRECIS_TORCH_ROOT "${root}" PARENT_SCOPE)
endfunction()

# Torch's headers take longer to parse than all of precis: every target reads the one precompiled header of
# precis_torch_headers.
function(precis_use_torch_headers target)
  precis_precompile(${target} precis_torch_headers "${PROJECT_SOURCE_DIR}/runtime/torch_headers.h")
endfunction()

# precis_add_torch_library(NAME SOURCES ... [LINK ...]): a library that includes torch.
function(precis_add_torch_library name)
  precis_add_library(${name} ${ARGN})
  target_link_libraries(${name} PUBLIC "$<BUILD_INTERFACE:precis_torch>" "$<INSTALL_INTERFACE:precis::torch>")
  precis_use_torch_headers(${name})
endfunction()

# precis_add_torch_test(NAME SOURCES ... [LINK ...]): a GoogleTest program that includes torch.
function(precis_add_torch_test name)
  precis_add_test_program(${name} ${ARGN} LABELS torch)
  if(TARGET ${name})
    target_link_libraries(${name} PRIVATE precis_torch)
    precis_use_torch_headers(${name})
  endif()
endfunction()
