# precis_add_isa_sources(TARGET [WITH_DOT | ONLY ISA] SOURCE...): compiles each source once for every
# instruction set of the target machine, into namespaces of their names (kernels/cpu/common/isa.h); for
# avx512_dot, neon_dot and neon_bf16 only WITH_DOT, for others than these only with ONLY.
set(PRECIS_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c -mbmi2)
set(PRECIS_ISA_FLAGS_avx512 ${PRECIS_ISA_FLAGS_avx2} -mavx512f -mavx512bw -mavx512vl -mavx512dq
    -mprefer-vector-width=512)

# GCC 12 takes the undefined vectors inside its own AVX-512 intrinsics for a mistake (GCC bug 105593).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND PRECIS_ISA_FLAGS_avx512 -Wno-maybe-uninitialized -Wno-uninitialized)
endif()
set(PRECIS_ISA_FLAGS_avx512_dot ${PRECIS_ISA_FLAGS_avx512} -mavx512vbmi -mavx512vnni -mavx512bf16)
# Tile instructions are assembly (kernels/cpu/common/hardware_tiles.h), which takes no flag.
set(PRECIS_ISA_FLAGS_amx ${PRECIS_ISA_FLAGS_avx512_dot})
set(PRECIS_ISA_FLAGS_amx_software ${PRECIS_ISA_FLAGS_amx} -DPRECIS_TILES=SoftwareTiles)
if(PRECIS_SOFTWARE_TILES)
  set(PRECIS_ISA_FLAGS_amx ${PRECIS_ISA_FLAGS_amx_software})
endif()
# NEON belongs to the machine's basic instructions; the definition tells the compilation from the baseline's.
set(PRECIS_ISA_FLAGS_neon -DPRECIS_NEON)
# GCC 12 warns of what would happen in the loop behind whole lines, of which none is left for it there.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND PRECIS_ISA_FLAGS_neon -Wno-aggressive-loop-optimizations)
endif()
set(PRECIS_ISA_FLAGS_neon_dot ${PRECIS_ISA_FLAGS_neon} -march=armv8.2-a+dotprod)
set(PRECIS_ISA_FLAGS_neon_bf16 ${PRECIS_ISA_FLAGS_neon} -march=armv8.2-a+dotprod+bf16)
# What this target machine may have, for tests that run once for each.
set(PRECIS_ISAS baseline)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND PRECIS_ISAS avx2 avx512 avx512_dot)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  list(APPEND PRECIS_ISAS neon neon_dot neon_bf16)
endif()

function(precis_add_isa_sources target)
  cmake_parse_arguments(arg "WITH_DOT" "ONLY" "" ${ARGN})
  set(variants ${PRECIS_ISAS})
  if(NOT arg_WITH_DOT)
    list(FILTER variants EXCLUDE REGEX "_(dot|bf16)")
  endif()
  if(arg_ONLY)
    if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
      return()
    endif()
    set(variants ${arg_ONLY})
  endif()
  foreach(source IN LISTS arg_UNPARSED_ARGUMENTS)
    get_filename_component(stem "${source}" NAME_WE)
    foreach(isa IN LISTS variants)
      set(object ${target}_${stem}_${isa})
      add_library(${object} OBJECT "${source}")
      target_include_directories(${object} PRIVATE "${PROJECT_SOURCE_DIR}")
      target_compile_definitions(${object} PRIVATE PRECIS_ISA=${isa})
      # -O3 whatever the build type: the loops rely on the vectoriser. Not under a sanitizer, whose checks of rows that
      # stand inline in each set of sums take minutes to compile.
      if(PRECIS_SANITIZE)
        target_compile_definitions(${object} PRIVATE always_inline=unused)
        set(optimised -O1)
      else()
        set(optimised -O3)
      endif()
      target_compile_options(${object} PRIVATE ${PRECIS_ISA_FLAGS_${isa}} ${optimised} -fno-math-errno -fno-trapping-math)
      target_sources(${target} PRIVATE $<TARGET_OBJECTS:${object}>)
    endforeach()
  endforeach()
endfunction()
