// Numbers that stand eight by eight in different places, as the codewords of codebooks do.
#pragma once

#include "kernels/cpu/common/output.h"

#if PRECIS_LANES > 1
namespace precis::kernels {
inline namespace PRECIS_ISA {

inline constexpr uint64_t kEight = 8;

// kEight numbers at `first`, and kEight at `second` where there are lanes for them.
template <typename Type>
inline Floats load_eights(const typename Type::Stored* first, const typename Type::Stored* second) {
#if PRECIS_LANES == 16
  if constexpr (std::is_same_v<Type, F32>) {
    return {_mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(first)),
                               _mm256_loadu_ps(second), 1)};
  } else {
    const auto load = [](const void* from) {
      return _mm_loadu_si128(static_cast<const __m128i*>(from));
    };
    const __m256i both =
        _mm256_inserti128_si256(_mm256_castsi128_si256(load(first)), load(second), 1);
    if constexpr (std::is_same_v<Type, F16>)
      return {_mm512_cvtph_ps(both)};
    else
      return as_floats(Ints{_mm512_cvtepu16_epi32(both)} << 16);
  }
#else
  (void)second;
  return load_numbers<Type>(first);
#endif
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
#endif
