// The codebook types IQ1, IQ2 and IQ3 multiplied as they are stored. Compiled once for each
// instruction set.
//
// Bound by the look-ups of the codebooks: 8 or 4 columns each, all in the first-level cache.
#include "kernels/cpu/gguf/iq_grids.h"
#include "kernels/cpu/gguf/nibble_numbers.h"
#include "kernels/cpu/gguf/row_dot.h"

#if defined(PRECIS_ROW_DOT) && !defined(PRECIS_ROW_DOT_OF_BFLOAT16)
#include "kernels/cpu/gguf/lattice_rows_avx2.h"
#endif

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

#if defined(PRECIS_ROW_DOT_OF_BFLOAT16)

// Bytes of -64 to 63 as numbers.
const MagnitudeWords& small_integers() {
  static const MagnitudeWords words(
      [](int low_bits) { return static_cast<float>(low_bits < 64 ? low_bits : 128 - low_bits); });
  return words;
}

// 64 columns: magnitudes of a byte each, and bytes whose highest bits are the signs.
struct SignedBytes64 {
  __m512i magnitudes, signs;
};

// Hands `to` 128 columns, in kByteLanes.
template <typename To>
[[gnu::always_inline]] inline void add_columns(const MagnitudeWords& words, SignedBytes64 first,
                                               SignedBytes64 last, __m512 first_scales,
                                               __m512 last_scales, To& to) {
  __m512i numbers[4];
  words.look_up(first.magnitudes, first.signs, numbers);
  words.look_up(last.magnitudes, last.signs, numbers + 2);
  to.add(numbers[0], numbers[2], numbers[1], numbers[3], first_scales, last_scales);
}

inline uint64_t load_u64(const uint8_t* at) {
  return load_u32(at) | uint64_t{load_u32(at + 4)} << 32;
}
inline __m512i eight_bytes(uint64_t bytes) {
  return _mm512_cvtepu8_epi64(_mm_cvtsi64_si128(static_cast<int64_t>(bytes)));
}
inline __m512i look_up_eights(const int8_t (*grid)[8], __m512i indices) {
  return _mm512_i64gather_epi64(indices, grid, 8);
}
inline __m512i look_up_fours(const int8_t (*grid)[4], __m512i indices) {
  return _mm512_i32gather_epi32(indices, grid, 4);
}
inline __m512i sixteen_bytes(const uint8_t* at) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
}

// The signs of eight columns for each of 7 bits.
class SignTable {
 public:
  explicit SignTable(const uint8_t (&signs)[128])
      : low_(_mm512_loadu_si512(signs)), high_(_mm512_loadu_si512(signs + 64)) {}
  // Of the low 7 bits of each byte.
  __m512i operator[](__m512i bytes) const { return _mm512_permutex2var_epi8(low_, bytes, high_); }

 private:
  __m512i low_, high_;
};
// Signs of 256 columns, a bit each.
struct SignBits {
  alignas(32) uint64_t bits[4];
  explicit SignBits(__m256i signs) { _mm256_store_si256(reinterpret_cast<__m256i*>(bits), signs); }
  __m512i bytes(uint64_t chunk) const { return _mm512_movm_epi8(bits[chunk]); }
};

// The sixteen nibbles of eight bytes, the low one of each first.
inline __m128i sixteen_nibbles(const uint8_t* at) {
  const __m128i words = _mm_cvtepu8_epi16(_mm_cvtsi64_si128(static_cast<int64_t>(load_u64(at))));
  return _mm_and_si128(_mm_or_si128(words, _mm_slli_epi16(words, 4)), _mm_set1_epi8(15));
}
// (number + half) * factor of each.
inline __m512 scales_of(__m512i numbers, float half, float factor) {
  return _mm512_mul_ps(_mm512_add_ps(_mm512_cvtepi32_ps(numbers), _mm512_set1_ps(half)),
                       _mm512_set1_ps(factor));
}
// Of 64 columns from 64 * chunk on: of 8 scales, or of 16.
inline __m512 scales_of_32(__m512 scales, int chunk) {
  const __m512i lanes =
      _mm512_inserti64x4(_mm512_set1_epi32(2 * chunk), _mm256_set1_epi32(2 * chunk + 1), 1);
  return _mm512_permutexvar_ps(lanes, scales);
}
template <int kChunk>
inline __m512 scales_of_16(__m512 scales) {
  return four_scales(_mm512_extractf32x4_ps(scales, kChunk));
}

// A block of 256 columns. Type::columns(grids, block, signs or state, chunk) gives 64 of them.
template <typename Type>
struct LatticeRow {
  static constexpr uint64_t kColumns = 256, kBytes = Type::kBytes;
  static constexpr uint64_t kSumColumns = 0;
  static constexpr bool kEightRows = true;
  LatticeRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<kColumns, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const Type here(grids, block);
    if constexpr (Type::kScaleColumns == 32) {
      add_columns(words, here.columns(0), here.columns(1), scales_of_32(here.scales, 0),
                  scales_of_32(here.scales, 1), to);
      add_columns(words, here.columns(2), here.columns(3), scales_of_32(here.scales, 2),
                  scales_of_32(here.scales, 3), to);
    } else {
      add_columns(words, here.columns(0), here.columns(1), scales_of_16<0>(here.scales),
                  scales_of_16<1>(here.scales), to);
      add_columns(words, here.columns(2), here.columns(3), scales_of_16<2>(here.scales),
                  scales_of_16<3>(here.scales), to);
    }
    block += kBytes;
  }
  const MagnitudeWords& words = small_integers();
  const IqGrids& grids = iq_grids();
  const uint8_t* block;
};

// Four indices of a byte, and four times 7 bits of signs below 4 of a scale, for 32 columns.
struct Iq2Xxs {
  static constexpr uint64_t kBytes = 66;
  static constexpr int kScaleColumns = 32;
  Iq2Xxs(const IqGrids& all, const uint8_t* at)
      : grids(all), block(at), groups(_mm512_loadu_si512(at + 2)) {}
  SignedBytes64 columns(int chunk) const {
    const uint8_t* from = block + 2 + 16 * chunk;
    const uint64_t indices = load_u32(from) | uint64_t{load_u32(from + 8)} << 32;
    return {look_up_eights(grids.iq2xxs, eight_bytes(indices)),
            signs.bytes(static_cast<uint64_t>(chunk))};
  }
  const IqGrids& grids;
  const uint8_t* block;
  __m512i groups;
  SignBits signs{_mm512_cvtepi64_epi32(
      SignTable(grids.signs)[_mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x352e2720), groups)])};
  __m512 scales =
      scales_of(_mm512_castsi256_si512(_mm512_cvtepi64_epi32(_mm512_srli_epi64(groups, 60))), 0.5f,
                0.25f * load_half(block));
};

// Nine bits of an index and seven of signs.
struct Iq2Xs {
  static constexpr uint64_t kBytes = 74;
  static constexpr int kScaleColumns = 16;
  Iq2Xs(const IqGrids& all, const uint8_t* at) : grids(all), block(at) {}
  SignedBytes64 columns(int chunk) const {
    const __m512i both = _mm512_cvtepu16_epi64(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 2 + 16 * chunk)));
    return {look_up_eights(grids.iq2xs, _mm512_and_si512(both, _mm512_set1_epi64(511))),
            signs.bytes(static_cast<uint64_t>(chunk))};
  }
  const IqGrids& grids;
  const uint8_t* block;
  SignBits signs{_mm512_castsi512_si256(SignTable(grids.signs)[_mm512_castsi256_si512(
      _mm512_cvtepi16_epi8(_mm512_srli_epi16(_mm512_loadu_si512(block + 2), 9)))])};
  __m512 scales =
      scales_of(_mm512_cvtepu8_epi32(sixteen_nibbles(block + 66)), 0.5f, 0.25f * load_half(block));
};

// A byte of an index, a byte of signs; two more bits of each index further on.
struct Iq2S {
  static constexpr uint64_t kBytes = 82;
  static constexpr int kScaleColumns = 16;
  Iq2S(const IqGrids& all, const uint8_t* at) : grids(all), block(at) {}
  SignedBytes64 columns(int chunk) const {
    const uint64_t high = _pdep_u64(load_u16(block + 66 + 2 * chunk), 0x0303030303030303);
    const __m512i indices = _mm512_or_si512(eight_bytes(load_u64(block + 2 + 8 * chunk)),
                                            _mm512_slli_epi64(eight_bytes(high), 8));
    return {look_up_eights(grids.iq2s, indices),
            _mm512_movm_epi8(load_u64(block + 34 + 8 * chunk))};
  }
  const IqGrids& grids;
  const uint8_t* block;
  __m512 scales =
      scales_of(_mm512_cvtepu8_epi32(sixteen_nibbles(block + 74)), 0.5f, 0.25f * load_half(block));
};

// Eight indices of a byte for 32 columns, signs and scales as IQ2_XXS has them further on.
struct Iq3Xxs {
  static constexpr uint64_t kBytes = 98;
  static constexpr int kScaleColumns = 32;
  Iq3Xxs(const IqGrids& all, const uint8_t* at)
      : grids(all),
        block(at),
        groups(
            _mm512_cvtepu32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + 66)))) {}
  SignedBytes64 columns(int chunk) const {
    return {look_up_fours(grids.iq3xxs, sixteen_bytes(block + 2 + 16 * chunk)),
            signs.bytes(static_cast<uint64_t>(chunk))};
  }
  const IqGrids& grids;
  const uint8_t* block;
  __m512i groups;
  SignBits signs{_mm512_cvtepi64_epi32(
      SignTable(grids.signs)[_mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x150e0700), groups)])};
  __m512 scales =
      scales_of(_mm512_castsi256_si512(_mm512_cvtepi64_epi32(_mm512_srli_epi64(groups, 28))), 0.5f,
                0.5f * load_half(block));
};

// Eight indices of a byte for 32 columns, a ninth bit of each, and a bit for each sign.
struct Iq3S {
  static constexpr uint64_t kBytes = 110;
  static constexpr int kScaleColumns = 32;
  Iq3S(const IqGrids& all, const uint8_t* at) : grids(all), block(at) {}
  SignedBytes64 columns(int chunk) const {
    const __m512i low = sixteen_bytes(block + 2 + 16 * chunk);
    const __mmask16 high = load_u16(block + 66 + 2 * chunk);
    return {
        look_up_fours(grids.iq3s, _mm512_mask_add_epi32(low, high, low, _mm512_set1_epi32(256))),
        _mm512_movm_epi8(load_u64(block + 74 + 8 * chunk))};
  }
  const IqGrids& grids;
  const uint8_t* block;
  __m512 scales = scales_of(_mm512_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<int64_t>(
                                _pdep_u64(load_u32(block + 106), 0x0f0f0f0f0f0f0f0f)))),
                            0.5f, 2.0f * load_half(block));
};

// -1, 0 and 1 moved by an eighth, as eighths. up: whether each eight columns move up.
inline SignedBytes64 eighths(__m512i numbers, __mmask8 up) {
  const __m512i eight_times =
      _mm512_and_si512(_mm512_slli_epi16(numbers, 3), _mm512_set1_epi8(static_cast<char>(0xf8)));
  const __m512i shifts = _mm512_mask_blend_epi64(up, _mm512_set1_epi8(-1), _mm512_set1_epi8(1));
  const __m512i bytes = _mm512_add_epi8(eight_times, shifts);
  return {bytes, bytes};
}

// A byte of an index; for 32 columns three more bits of each of four, a scale and a shift.
struct Iq1S {
  static constexpr uint64_t kBytes = 50;
  static constexpr int kScaleColumns = 32;
  Iq1S(const IqGrids& all, const uint8_t* at) : grids(all), block(at) {}
  SignedBytes64 columns(int chunk) const {
    const uint32_t both = load_u32(block + 34 + 4 * chunk);
    const uint64_t high = _pdep_u64((both & 0xfff) | (both >> 4 & 0xfff000), 0x0707070707070707);
    const __m512i indices = _mm512_or_si512(eight_bytes(load_u64(block + 2 + 8 * chunk)),
                                            _mm512_slli_epi64(eight_bytes(high), 8));
    const uint32_t down = (both >> 15 & 1) * 0x0f | (both >> 31) * 0xf0;
    return eighths(look_up_eights(grids.iq1s, indices), static_cast<__mmask8>(~down));
  }
  const IqGrids& grids;
  const uint8_t* block;
  // (2 s + 1) / 8
  __m512 scales = scales_of(
      _mm512_and_si512(
          _mm512_srli_epi32(_mm512_castsi256_si512(_mm256_cvtepu16_epi32(
                                _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 34)))),
                            12),
          _mm512_set1_epi32(7)),
      0.5f, 0.25f * load_half(block));
};

// A byte of an index, three more bits of it and a shift for eight columns; 16 scales of three bits
// among the bits of the block's.
struct Iq1M {
  static constexpr uint64_t kBytes = 56;
  static constexpr int kScaleColumns = 16;
  Iq1M(const IqGrids& all, const uint8_t* at) : grids(all), block(at) {}
  SignedBytes64 columns(int chunk) const {
    const uint32_t nibbles = load_u32(block + 32 + 4 * chunk);
    const uint64_t high = _pdep_u64(nibbles, 0x0f0f0f0f0f0f0f0f) & 0x0707070707070707;
    const __m512i indices = _mm512_or_si512(eight_bytes(load_u64(block + 8 * chunk)),
                                            _mm512_slli_epi64(eight_bytes(high), 8));
    return eighths(look_up_eights(grids.iq1s, indices),
                   static_cast<__mmask8>(~_pext_u32(nibbles, 0x88888888)));
  }
  static __m512 scales_at(uint64_t fields) {
    const uint64_t codes = _pext_u64(fields, 0x0fff0fff0fff0fff);
    const __m128i bytes =
        _mm_set_epi64x(static_cast<int64_t>(_pdep_u64(codes >> 24, 0x0707070707070707)),
                       static_cast<int64_t>(_pdep_u64(codes, 0x0707070707070707)));
    const auto scale = static_cast<uint16_t>(_pext_u64(fields, 0xf000f000f000f000));
    return scales_of(_mm512_cvtepu8_epi32(bytes), 0.5f, 0.25f * F16::load(&scale, 0));
  }
  const IqGrids& grids;
  const uint8_t* block;
  __m512 scales = scales_at(load_u64(block + 48));
};

template <typename Type>
constexpr RowDot lattice_dot() {
  return dot<LatticeRow<Type>>(kByteLanes.data());
}
constexpr GgufRowDot kRowDots[] = {
    {"iq1_s", lattice_dot<Iq1S>()},     {"iq1_m", lattice_dot<Iq1M>()},
    {"iq2_xxs", lattice_dot<Iq2Xxs>()}, {"iq2_xs", lattice_dot<Iq2Xs>()},
    {"iq2_s", lattice_dot<Iq2S>()},     {"iq3_xxs", lattice_dot<Iq3Xxs>()},
    {"iq3_s", lattice_dot<Iq3S>()},
};

#elif defined(PRECIS_ROW_DOT)

template <template <typename> typename Type>
constexpr RowDot lattice_dot() {
  return dot<SuperBlockRow<Type<NumbersOfCodes>>>(kUnitColumns.data());
}
template <template <typename> typename Type>
constexpr RowDot lattice_code_dot() {
  return code_dot<SuperBlockRow<Type<PlainCodes>>>();
}
constexpr GgufRowDot kRowDots[] = {
    {"iq1_s", lattice_dot<Iq1S>()},     {"iq1_m", lattice_dot<Iq1M>()},
    {"iq2_xxs", lattice_dot<Iq2Xxs>()}, {"iq2_xs", lattice_dot<Iq2Xs>()},
    {"iq2_s", lattice_dot<Iq2S>()},     {"iq3_xxs", lattice_dot<Iq3Xxs>()},
    {"iq3_s", lattice_dot<Iq3S>()},
};
constexpr GgufRowDot kCodeDots[] = {
    {"iq1_s", lattice_code_dot<Iq1S>()},     {"iq1_m", lattice_code_dot<Iq1M>()},
    {"iq2_xxs", lattice_code_dot<Iq2Xxs>()}, {"iq2_xs", lattice_code_dot<Iq2Xs>()},
    {"iq2_s", lattice_code_dot<Iq2S>()},     {"iq3_xxs", lattice_code_dot<Iq3Xxs>()},
    {"iq3_s", lattice_code_dot<Iq3S>()},
};

#endif

}  // namespace

std::span<const GgufRowDot> gguf_lattice_code_dots() {
#if defined(PRECIS_ROW_DOT) && !defined(PRECIS_ROW_DOT_OF_BFLOAT16)
  return kCodeDots;
#else
  return {};
#endif
}
std::span<const GgufRowDot> gguf_lattice_row_dots() {
#if defined(PRECIS_ROW_DOT)
  return kRowDots;
#else
  return {};
#endif
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
