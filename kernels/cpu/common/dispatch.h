// Choosing among the compilations of a kernel table.
#pragma once

#include "kernels/cpu/common/isa.h"

// PRECIS_DISPATCH(Table, function): defines `const Table& function(Isa)` over the functions of the
// same name that stand in the instruction sets' namespaces. Use inside namespace precis::kernels.
// The baseline is inline as it is in the kernels' headers, which the file that dispatches may
// include.
#if defined(__x86_64__)
#define PRECIS_DISPATCH(Table, function) \
  inline namespace baseline {            \
  const Table& function();               \
  }                                      \
  namespace avx2 {                       \
  const Table& function();               \
  }                                      \
  namespace avx512 {                     \
  const Table& function();               \
  }                                      \
  const Table& function(Isa isa) {       \
    switch (isa) {                       \
      case Isa::amx:                     \
      case Isa::avx512_dot:              \
      case Isa::avx512:                  \
        return avx512::function();       \
      case Isa::avx2:                    \
        return avx2::function();         \
      default:                           \
        break;                           \
    }                                    \
    return baseline::function();         \
  }
// The same for sources that are compiled with WITH_DOT.
#define PRECIS_DISPATCH_DOT(Table, function) \
  inline namespace baseline {                \
  const Table& function();                   \
  }                                          \
  namespace avx2 {                           \
  const Table& function();                   \
  }                                          \
  namespace avx512 {                         \
  const Table& function();                   \
  }                                          \
  namespace avx512_dot {                     \
  const Table& function();                   \
  }                                          \
  const Table& function(Isa isa) {           \
    switch (isa) {                           \
      case Isa::amx:                         \
      case Isa::avx512_dot:                  \
        return avx512_dot::function();       \
      case Isa::avx512:                      \
        return avx512::function();           \
      case Isa::avx2:                        \
        return avx2::function();             \
      default:                               \
        break;                               \
    }                                        \
    return baseline::function();             \
  }
#elif defined(__aarch64__)
#define PRECIS_DISPATCH(Table, function)                                   \
  inline namespace baseline {                                              \
  const Table& function();                                                 \
  }                                                                        \
  namespace neon {                                                         \
  const Table& function();                                                 \
  }                                                                        \
  const Table& function(Isa isa) {                                         \
    return isa == Isa::baseline ? baseline::function() : neon::function(); \
  }
#define PRECIS_DISPATCH_DOT(Table, function) \
  inline namespace baseline {                \
  const Table& function();                   \
  }                                          \
  namespace neon {                           \
  const Table& function();                   \
  }                                          \
  namespace neon_dot {                       \
  const Table& function();                   \
  }                                          \
  namespace neon_bf16 {                      \
  const Table& function();                   \
  }                                          \
  const Table& function(Isa isa) {           \
    switch (isa) {                           \
      case Isa::neon_bf16:                   \
        return neon_bf16::function();        \
      case Isa::neon_dot:                    \
        return neon_dot::function();         \
      case Isa::neon:                        \
        return neon::function();             \
      default:                               \
        break;                               \
    }                                        \
    return baseline::function();             \
  }
#else
#define PRECIS_DISPATCH(Table, function) \
  inline namespace baseline {            \
  const Table& function();               \
  }                                      \
  const Table& function(Isa) {           \
    return baseline::function();         \
  }
#define PRECIS_DISPATCH_DOT PRECIS_DISPATCH
#endif
