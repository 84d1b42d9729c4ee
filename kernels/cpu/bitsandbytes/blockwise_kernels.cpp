// Compiled once for each instruction set.
//
// Decoding is bound by writing. Encoding by Ranks15 takes some 20 operations for a line of 16
// float32, twice what reading the line takes; BucketRanks take about half of them.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/cpu/bitsandbytes/blockwise.h"
#include "kernels/cpu/bitsandbytes/codebooks.h"
#include "kernels/cpu/common/largest_of_each.h"
#include "kernels/cpu/common/ranks15.h"
#include "kernels/cpu/common/value_table.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

constexpr float kSmallestAbsmax = 1e-38f;  // that weights are divided by
constexpr uint64_t kTogether = 64;         // elements encoded at once; the smallest usual block

// Encodes `count` elements from an even `begin` on, at most kTogether: the rank of each among the
// bounds, a NaN above all of them, as the code of that rank.
template <typename Type>
void encode_some(const FourBitCode& code, const typename Type::Stored* weight, uint64_t count,
                 bool full, float inverse, float absmax, uint8_t* packed) {
  uint8_t nibbles[kTogether];
  for (uint64_t i = 0; i < (count + 1) / 2 * 2; ++i) {
    // The reference pads an odd count with a zero. Its clamping to [-1, 1] moves no value across a
    // bound.
    const float x = i < count ? Type::load(weight, i) : 0.0f;
    const float scaled = full ? x * inverse : x / absmax;
    int rank = 0;
    for (int bound = 0; bound < 15; ++bound) rank += !(scaled <= code.bounds[bound]) ? 1 : 0;
    nibbles[i] = code.code_of_rank[rank];
  }
  for (uint64_t i = 0; i < (count + 1) / 2; ++i)
    packed[i] = static_cast<uint8_t>((nibbles[2 * i] << 4) | nibbles[2 * i + 1]);
}

#if PRECIS_LANES == 16

// Equal buckets of [-1, 1], numbered in rising order. The number of a value rises with it.
struct EqualBuckets {
  static constexpr float kScale = 15, kMiddle = 12582912.0f + 16;
  static constexpr int order(int i) { return i; }
  // The lowest bits of the sum are round(15 value) + 16.
  static __m512i of(Floats value) {
    return _mm512_castps_si512(
        _mm512_fmadd_ps(value.v, _mm512_set1_ps(kScale), _mm512_set1_ps(kMiddle)));
  }
  static int of(float value) { return std::bit_cast<int>(std::fma(value, kScale, kMiddle)) & 31; }
};

// Equal buckets of magnitudes: 0 ... 15 of values up to 0, 16 ... 31 of those above.
struct MagnitudeBuckets {
  static constexpr float kScale = 13, kMiddle = 12582912.0f;
  static constexpr int order(int i) { return i < 16 ? 15 - i : i; }
  static __m512i of(Floats value) {
    const __m512 sum =
        _mm512_fmadd_ps(abs(value).v, _mm512_set1_ps(kScale), _mm512_set1_ps(kMiddle));
    const __mmask16 positive = _mm512_cmp_ps_mask(value.v, _mm512_setzero_ps(), _CMP_GT_OQ);
    const __m512i bucket = _mm512_castps_si512(sum);
    return _mm512_mask_or_epi32(bucket, positive, bucket, _mm512_set1_epi32(16));
  }
  static int of(float value) {
    const int bucket = std::bit_cast<int>(std::fma(std::fabs(value), kScale, kMiddle)) & 15;
    return value > 0 ? bucket + 16 : bucket;
  }
};

// Ranks of numbers in [-1, 1] among bounds of which no two lie in one bucket: below the bound of
// its bucket, or above it. This is exact wherever the buckets end.
template <typename Buckets>
class BucketRanks {
 public:
  explicit BucketRanks(const float* bounds) {
    std::fill_n(bound_, 32, std::numeric_limits<float>::infinity());
    int first = 0;
    for (int i = 0; i < 32; ++i) {
      const int bucket = Buckets::order(i);
      // All values of the buckets from 16 on are above 0, where buckets are of magnitudes.
      if (std::is_same_v<Buckets, MagnitudeBuckets> && bucket == 16 && bounds[first] == 0) ++first;
      rank_[bucket] = first;
      for (; first < 15 && Buckets::of(bounds[first]) == bucket; ++first) {
        if (std::is_same_v<Buckets, MagnitudeBuckets> && bounds[first] == 0) break;
        fits_ = fits_ && rank_[bucket] == first;
        bound_[bucket] = bounds[first];
      }
    }
    fits_ = fits_ && first == 15;
  }
  bool fits() const { return fits_; }

  Ints operator()(Floats value) const {
    const __m512i bucket = Buckets::of(value);
    const Floats bound{
        _mm512_permutex2var_ps(_mm512_load_ps(bound_), bucket, _mm512_load_ps(bound_ + 16))};
    const Ints rank{
        _mm512_permutex2var_epi32(_mm512_load_si512(rank_), bucket, _mm512_load_si512(rank_ + 16))};
    return add_where(not_less_or_equal(value, bound), rank, Ints::of(1));
  }

 private:
  alignas(64) float bound_[32];
  alignas(64) int32_t rank_[32];
  bool fits_ = true;
};

#endif

#if PRECIS_LANES > 1

// encode_some for kTogether elements of a full block.
class LaneEncoder {
 public:
  explicit LaneEncoder(const FourBitCode& code)
      :
#if PRECIS_LANES == 16
        buckets_(code.bounds),
        magnitudes_(code.bounds),
#endif
        ranks_(code.bounds),
        codes_(code.code_of_rank) {
  }

  template <typename Type>
  void encode(const typename Type::Stored* weight, float inverse, uint8_t* packed) const {
#if PRECIS_LANES == 16
    // Of an infinite or NaN largest magnitude the inverse is 0 or NaN; then there are NaNs.
    if (inverse > 0) {
      if (buckets_.fits()) return encode_by<Type>(buckets_, weight, inverse, packed);
      if (magnitudes_.fits()) return encode_by<Type>(magnitudes_, weight, inverse, packed);
    }
#endif
    encode_by<Type>(ranks_, weight, inverse, packed);
  }

 private:
  template <typename Type, typename Ranks>
  void encode_by(const Ranks& ranks_of, const typename Type::Stored* weight, float inverse,
                 uint8_t* packed) const {
    const auto rank = [&](uint64_t i) {
      return ranks_of(load_numbers<Type>(weight + i) * Floats::of(inverse));
    };
#if PRECIS_LANES == 16
    // Stored as bytes they could not be loaded as a vector before the stores are through.
    const auto ranks = [&](uint64_t i) {
      return _mm256_set_m128i(_mm512_cvtepi32_epi8(rank(i + 16).v),
                              _mm512_cvtepi32_epi8(rank(i).v));
    };
    codes_.pack(ranks(0), ranks(32), packed);
#elif defined(__AVX2__)
    const auto ranks = [&](uint64_t i) {
      return low_bytes(rank(i), rank(i + 8), rank(i + 16), rank(i + 24));
    };
    codes_.pack(ranks(0), ranks(32), packed);
#else
    uint8_t ranks[kTogether];
    for (uint64_t i = 0; i < kTogether; i += kLanes) store_bytes(ranks + i, rank(i));
    codes_.pack(ranks, packed);
#endif
  }

#if PRECIS_LANES == 16
  BucketRanks<EqualBuckets> buckets_;
  BucketRanks<MagnitudeBuckets> magnitudes_;
#endif
  Ranks15<false> ranks_;
  NibblesOfRanks codes_;
};

#else

struct LaneEncoder {
  explicit LaneEncoder(const FourBitCode&) {}
};

#endif

// Scales, encodes and packs elements [begin, end) of one block. Full blocks multiply by the
// reciprocal, the ragged last block divides, as the reference does.
template <typename Type>
void encode_block(const FourBitCode& code, const LaneEncoder& lanes,
                  const typename Type::Stored* weight, uint64_t begin, uint64_t end, bool full,
                  float absmax, uint8_t* packed) {
  const float clamped = absmax < kSmallestAbsmax ? kSmallestAbsmax : absmax;
  const float inverse = 1.0f / clamped;
  for (uint64_t i = begin; i < end; i += kTogether) {
    const uint64_t count = std::min(kTogether, end - i);
#if PRECIS_LANES > 1
    if (full && count == kTogether) {
      lanes.encode<Type>(weight + i, inverse, packed + i / 2);
      continue;
    }
#else
    (void)lanes;
#endif
    encode_some<Type>(code, weight + i, count, full, inverse, clamped, packed + i / 2);
  }
}

#if PRECIS_LANES > 1
// kLanes full blocks of `blocksize` elements, a multiple of kTogether.
template <typename Type>
void encode_blocks(const LaneEncoder& lanes, const typename Type::Stored* weight,
                   uint64_t blocksize, uint8_t* packed, float* absmax) {
  Ints parts[kLanes];
  for (uint64_t block = 0; block < kLanes; ++block) {
    parts[block] = Ints::of(0);
    for (uint64_t i = 0; i < blocksize; i += kLanes) {
      const Floats values = load_numbers<Type>(weight + block * blocksize + i);
      parts[block] = max(parts[block], as_ints(abs(values)));  // a NaN wins
    }
  }
  const Floats largest = as_floats(largest_of_each(parts)), smallest = Floats::of(kSmallestAbsmax);
  largest.store(absmax);
  float inverse[kLanes];
  (Floats::of(1) / select(largest < smallest, smallest, largest)).store(inverse);
  for (uint64_t block = 0; block < kLanes; ++block) {
    for (uint64_t i = block * blocksize; i < (block + 1) * blocksize; i += kTogether)
      lanes.encode<Type>(weight + i, inverse[block], packed + i / 2);
  }
}
#endif

void quantize_4bit(FourBitType type, WeightType weight_type, const void* weight, uint64_t n,
                   uint64_t blocksize, uint64_t block_begin, uint64_t block_end, uint8_t* packed,
                   float* absmax) {
  const FourBitCode& code = four_bit_code(type);
  const LaneEncoder lanes(code);
  with_type(weight_type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = static_cast<const typename Type::Stored*>(weight);
    uint64_t block = block_begin;
#if PRECIS_LANES > 1
    constexpr uint64_t kMostTogether = 128;  // so that the second reading finds the first's
    const uint64_t full_end = std::min(block_end, n / blocksize);
    if (blocksize % kTogether == 0 && blocksize <= kMostTogether) {
      for (; block + kLanes <= full_end; block += kLanes)
        encode_blocks<Type>(lanes, values + block * blocksize, blocksize,
                            packed + block * blocksize / 2, absmax + block);
    }
#endif
    for (; block < block_end; ++block) {
      const uint64_t begin = block * blocksize;
      const uint64_t end = std::min(n, begin + blocksize);
      const bool full = end - begin == blocksize;
      const float largest = absmax_of<Type>(values, begin, end);
      // The reference stores the clamped value for a ragged block only.
      absmax[block] = full || !(largest < kSmallestAbsmax) ? largest : kSmallestAbsmax;
      encode_block<Type>(code, lanes, values, begin, end, full, largest, packed);
    }
  });
}

// Elements [begin, end) of one block as numbers of Type; table: the values of the 16 codes.
template <typename Type>
void decode_some(const typename Type::Stored* table, const uint8_t* packed, uint64_t begin,
                 uint64_t end, typename Type::Stored* out) {
  for (uint64_t i = begin; i < end; ++i) {
    const uint8_t byte = packed[i / 2];
    out[i - begin] = table[i % 2 == 0 ? byte >> 4 : byte & 15];
  }
}

#if PRECIS_LANES > 1

// 64 elements of a block from their 32 bytes on.
template <typename Type>
void decode_64(const LaneTable<Type>& table, const uint8_t* packed, typename Type::Stored* out,
               bool streamed) {
  constexpr uint64_t kNumbers = kLineBytes / sizeof(typename Type::Stored);
  alignas(64) uint8_t codes[64];
  unpack_nibbles(packed, codes);
  for (uint64_t i = 0; i < 64; i += kNumbers) {
    if (streamed)
      stream(out + i, table(codes + i));
    else
      store(out + i, table(codes + i));
  }
}

#endif

template <typename Type>
void decode_block(const float* values, const uint8_t* packed, uint64_t begin, uint64_t end,
                  typename Type::Stored* out, bool streamed) {
  uint64_t i = begin;
#if PRECIS_LANES > 1
  if (i % 2 == 0 && i + 64 <= end) {
    const LaneTable<Type> lanes(values);
    for (; i + 64 <= end; i += 64)
      decode_64<Type>(lanes, packed + i / 2, out + (i - begin), streamed);
  }
#else
  (void)streamed;
#endif
  if (i < end) {
    typename Type::Stored table[16];
    for (uint64_t code = 0; code < 16; ++code) Type::store(table, code, values[code]);
    decode_some<Type>(table, packed, i, end, out + (i - begin));
  }
}

// The 16 values of a block, rounded to the weight's dtype, unless Type rounds the same way.
template <typename Type, typename Weight>
void scale_codebook(const float* codebook, float absmax, float* scaled) {
  using Rounding = std::conditional_t<std::is_same_v<Type, Weight>, F32, Weight>;
#if PRECIS_LANES > 1
  for (int code = 0; code < 16; code += kLanes)
    round_as<Rounding>(Floats::load(codebook + code) * Floats::of(absmax)).store(scaled + code);
#else
  for (int code = 0; code < 16; ++code) scaled[code] = Rounding::round(codebook[code] * absmax);
#endif
}

void dequantize_4bit(FourBitType type, const uint8_t* packed, const float* absmax,
                     uint64_t blocksize, uint64_t begin, uint64_t end, WeightType weight_type,
                     WeightType out_type, void* out) {
  const float* codebook = four_bit_codebook(type);
  with_types(out_type, weight_type, [&](auto tag, auto weight_tag) {
    using Type = decltype(tag);
    auto* values = static_cast<typename Type::Stored*>(out);
    // Lines can only be streamed to where lines begin: aligned outputs of whole blocks, which is
    // what whole weights are.
    const bool streamed =
        is_streamed(values, end - begin) && begin % 64 == 0 && blocksize % 64 == 0;
    const float* scale = absmax;
    uint64_t block_end = (begin / blocksize + 1) * blocksize;
    for (uint64_t i = begin; i < end; block_end += blocksize, ++scale) {
      const uint64_t stop = std::min(end, block_end);
      alignas(64) float scaled[16];
      scale_codebook<Type, decltype(weight_tag)>(codebook, *scale, scaled);
      decode_block<Type>(scaled, packed, i, stop, values + (i - begin), streamed);
      i = stop;
    }
    finish_stream(streamed);
  });
}

}  // namespace

const BlockwiseKernels& blockwise_kernels() {
  static constexpr BlockwiseKernels kernels{quantize_4bit, dequantize_4bit};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
