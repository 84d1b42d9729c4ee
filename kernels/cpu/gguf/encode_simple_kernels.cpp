// Encoding of the blocks of 32: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. Compiled once for each instruction
// set.
#include <bit>

#include "kernels/cpu/common/largest_of_each.h"
#include "kernels/cpu/gguf/codecs.h"
#include "kernels/cpu/gguf/lane_search.h"
#include "kernels/cpu/gguf/positive_search.h"
#include "kernels/cpu/gguf/scale_search.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// Importance times how far a value stands out of its row.
void weights_of(const float* x, const float* importance, float sigma2, int n, float* weights) {
  for (int i = 0; i < n; ++i) weights[i] = importance[i] * std::sqrt(sigma2 + x[i] * x[i]);
}

// Nibbles, and the fifth bits when there are any.
void pack_nibbles(const uint8_t* L, uint8_t* q, uint32_t* high) {
  for (int j = 0; j < 16; ++j) q[j] = static_cast<uint8_t>((L[j] & 15) | (L[j + 16] << 4));
  if (high == nullptr) return;
#if PRECIS_LANES > 1
  *high = fifth_bits_of(L);
#else
  uint32_t bits = 0;
  for (int j = 0; j < 32; ++j) bits |= static_cast<uint32_t>((L[j] >> 4) & 1) << j;
  *high = bits;
#endif
}

// What a block of 32 is encoded with: the first value of largest magnitude, or the smallest value
// and the way from it to the largest. Zero blocks: 0.
#if PRECIS_LANES > 1

constexpr int kParts = 32 / kLanes;

// The first of the values that equals `value`; the very first where none does, as with a NaN. It
// may differ from `value` in the sign of a zero.
float first_equal(const float* x, const Floats* parts, float value, bool magnitudes) {
  uint32_t equal = 0;
  for (int part = 0; part < kParts; ++part) {
    const Floats v = magnitudes ? abs(parts[part]) : parts[part];
    equal |= bits_of(v == Floats::of(value)) << (part * kLanes);
  }
  return x[equal == 0 ? 0 : std::countr_zero(equal)];
}

float largest_magnitude(const float* x) {
  Floats largest = Floats::of(0);
  for (int part = 0; part < kParts; ++part)
    largest = max(abs(Floats::load(x + part * kLanes)), largest);
  return largest_of(largest);
}

float signed_max_of_block(const float* x) {
  Floats parts[kParts];
  for (int part = 0; part < kParts; ++part) parts[part] = Floats::load(x + part * kLanes);
  const float magnitude = largest_magnitude(x);
  return magnitude == 0 ? 0 : first_equal(x, parts, magnitude, true);
}

void range_of_block(const float* x, float& low, float& high) {
  // Starting from the first value everywhere keeps a NaN there, and leaves out those behind it.
  Floats parts[kParts], lowest = Floats::of(x[0]), highest = lowest;
  for (int part = 0; part < kParts; ++part) {
    parts[part] = Floats::load(x + part * kLanes);
    lowest = min(parts[part], lowest);
    highest = max(parts[part], highest);
  }
  low = first_equal(x, parts, smallest_of(lowest), false);
  high = first_equal(x, parts, largest_of(highest), false);
}

// (x - base) * inverse + offset without its fraction, at most `top`.
void levels_of_block(const float* x, float base, float inverse, float offset, int top, uint8_t* L) {
  for (int i = 0; i < 32; i += kLanes) {
    const Floats scaled =
        (Floats::load(x + i) - Floats::of(base)) * Floats::of(inverse) + Floats::of(offset);
    store_bytes(L + i, min(truncate(scaled), Ints::of(top)));
  }
}

// x * scale to the nearest integer, halves away from zero, as C's roundf: what lies under one half
// by a unit in the last place is added to the magnitude, and the fraction dropped.
void round_half_away(const float* x, float scale, uint8_t* out) {
  const Ints sign = Ints::of(INT32_MIN), half = as_ints(Floats::of(0x1.fffffep-2f));
  for (int i = 0; i < 32; i += kLanes) {
    const Floats value = Floats::load(x + i) * Floats::of(scale);
    store_bytes(out + i, truncate(value + as_floats((as_ints(value) & sign) | half)));
  }
}

#else

float largest_magnitude(const float* x) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::fabs(x[i]) > largest ? std::fabs(x[i]) : largest;
  return largest;
}

float signed_max_of_block(const float* x) {
  return signed_max(x, 32);
}

void range_of_block(const float* x, float& low, float& high) {
  low = high = x[0];
  for (int i = 1; i < 32; ++i) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
}

void levels_of_block(const float* x, float base, float inverse, float offset, int top, uint8_t* L) {
  for (int i = 0; i < 32; ++i) {
    const int q = static_cast<int8_t>(truncate((x[i] - base) * inverse + offset));
    L[i] = static_cast<uint8_t>(q < top ? q : top);
  }
}

void round_half_away(const float* x, float scale, uint8_t* out) {
  for (int i = 0; i < 32; ++i) {
    // Half away from zero, as C's roundf: one half is added to the magnitude, unless that rounds
    // up by itself. A block of subnormals makes the scale infinite; what ggml's conversion of that
    // gives on x86 is 0.
    const float v = x[i] * scale, magnitude = std::fabs(v) < 128.0f ? std::fabs(v) : 0.0f;
    auto whole = static_cast<int32_t>(magnitude);
    whole += magnitude - static_cast<float>(whole) >= 0.5f ? 1 : 0;
    out[i] = static_cast<uint8_t>(static_cast<int8_t>(v < 0 ? -whole : whole));
  }
}

#endif

// The blocks of a row, as many at once as there are lanes: search(x, importance, sigma2) finds
// scale, minimum and levels of one, search_lanes those of kLanes; both hand them to write().
struct FoundBlock {
  float scale, minimum;
  uint8_t levels[32];
};

// Q4_0 and Q5_0 with an importance matrix.
struct SymmetricSearch {
  int half;
  void search(const float* x, const float* weights, FoundBlock& found) const {
    found.minimum = 0;
    found.scale = search_symmetric(32, half, x, reinterpret_cast<int8_t*>(found.levels), weights);
  }
#if PRECIS_LANES > 1
  bool search_lanes(const Floats* x, const Floats* weights, LaneScales& found) const {
    return search_symmetric_lanes<32>(half, x, weights, found);
  }
#endif
  int lowest() const {
    return -half;
  }
  int highest() const {
    return half - 1;
  }
};

// Q4_1 and Q5_1 with an importance matrix.
struct AffineSearch {
  int top;
  void search(const float* x, const float* weights, FoundBlock& found) const {
    found.scale = search_with_minimum(32, top, x, weights, found.levels, &found.minimum, -0.9f,
                                      0.05f, 36, false, true);
  }
#if PRECIS_LANES > 1
  bool search_lanes(const Floats* x, const Floats* weights, LaneScales& found) const {
    return search_with_minimum_lanes<32, false, true>(top, x, weights, -0.9f, 0.05f, 36, found);
  }
#endif
  int lowest() const {
    return 0;
  }
  int highest() const {
    return top;
  }
};

#if PRECIS_LANES > 1
// False: a value needs the scalar search.
template <typename Search>
bool search_together(const Search& search, const float* x, const float* importance, float sigma2,
                     FoundBlock* blocks) {
  Floats values[32], weights[32];
  for (int i = 0; i < 32; ++i) {
    values[i] = Floats::gather(x + i, 32);
    weights[i] =
        Floats::gather(importance + i, 32) * sqrt(Floats::of(sigma2) + values[i] * values[i]);
  }
  LaneScales found;
  if (!search.search_lanes(values, weights, found)) return false;
  float scale[kLanes], minimum[kLanes], inverse[kLanes], base[kLanes];
  found.scale.store(scale);
  found.minimum.store(minimum);
  found.inverse.store(inverse);
  found.base.store(base);
  for (int lane = 0; lane < kLanes; ++lane) {
    blocks[lane].scale = scale[lane];
    blocks[lane].minimum = minimum[lane];
    for (int i = 0; i < 32; i += kLanes) {
      const Floats value =
          (Floats::load(x + 32 * lane + i) - Floats::of(base[lane])) * Floats::of(inverse[lane]);
      store_bytes(blocks[lane].levels + i, clamped_level(value, search.lowest(), search.highest()));
    }
  }
  return true;
}
#else
constexpr int kLanes = 1;

template <typename Search>
bool search_together(const Search&, const float*, const float*, float, FoundBlock*) {
  return false;
}
#endif

template <typename Search, typename Write>
void search_row(const Search& search, const float* row, uint64_t columns, const float* importance,
                Write write) {
  const float sigma2 = mean_square(row, columns, 1.0f);
  constexpr uint64_t kStep = 32 * kLanes;
  for (uint64_t begin = 0; begin < columns; begin += kStep) {
    FoundBlock found[kLanes];
    const uint64_t count = std::min<uint64_t>(kLanes, (columns - begin) / 32);
    if (count < kLanes ||
        !search_together(search, row + begin, importance + begin, sigma2, found)) {
      for (uint64_t i = 0; i < count; ++i) {
        float weights[32];
        weights_of(row + begin + 32 * i, importance + begin + 32 * i, sigma2, 32, weights);
        search.search(row + begin + 32 * i, weights, found[i]);
      }
    }
    for (uint64_t i = 0; i < count; ++i) write(found[i]);
  }
}

// Q4_0 and Q5_0: 2 * Half levels around zero.
template <int Half>
void encode_symmetric(const float* row, uint64_t columns, const float* importance, uint8_t* block) {
  constexpr bool kFive = Half == 16;
  const auto write = [&](float d, const uint8_t* levels) {
    store_half(block, d);
    uint32_t high = 0;
    pack_nibbles(levels, block + (kFive ? 6 : 2), kFive ? &high : nullptr);
    if (kFive) std::memcpy(block + 2, &high, sizeof high);
    block += kFive ? 22 : 18;
  };
  if (importance != nullptr) {
    return search_row(SymmetricSearch{Half}, row, columns, importance,
                      [&](const FoundBlock& found) { write(found.scale, found.levels); });
  }
  for (uint64_t begin = 0; begin < columns; begin += 32) {
    const float d = signed_max_of_block(row + begin) / static_cast<float>(-Half);
    uint8_t levels[32];
    levels_of_block(row + begin, 0, d != 0 ? 1.0f / d : 0.0f, static_cast<float>(Half) + 0.5f,
                    2 * Half - 1, levels);
    write(d, levels);
  }
}

// Q4_1 and Q5_1: levels 0 ... Top above a minimum.
template <int Top>
void encode_affine(const float* row, uint64_t columns, const float* importance, uint8_t* block) {
  constexpr bool kFive = Top == 31;
  const auto write = [&](float d, float minimum, const uint8_t* levels) {
    store_half(block, d);
    store_half(block + 2, minimum);
    uint32_t high = 0;
    pack_nibbles(levels, block + (kFive ? 8 : 4), kFive ? &high : nullptr);
    if (kFive) std::memcpy(block + 4, &high, sizeof high);
    block += kFive ? 24 : 20;
  };
  if (importance != nullptr) {
    return search_row(AffineSearch{Top}, row, columns, importance, [&](const FoundBlock& found) {
      write(found.scale, -found.minimum, found.levels);
    });
  }
  for (uint64_t begin = 0; begin < columns; begin += 32) {
    float low = 0, high = 0;
    range_of_block(row + begin, low, high);
    const float d = (high - low) / static_cast<float>(Top);
    uint8_t levels[32];
    // Q5_1 does not clamp: no value is above 31.
    levels_of_block(row + begin, low, d != 0 ? 1.0f / d : 0.0f, 0.5f, kFive ? 127 : Top, levels);
    write(d, low, levels);
  }
}

#if PRECIS_LANES > 1
// kLanes blocks of Q8_0; false: a NaN is left to the plain loop.
bool encode_q8_0_blocks(const float* row, uint8_t* block) {
  Ints parts[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    parts[i] = Ints::of(0);
    for (int j = 0; j < 32; j += kLanes)
      parts[i] = max(parts[i], as_ints(abs(Floats::load(row + 32 * i + j))));
  }
  const Floats d = as_floats(largest_of_each(parts)) / Floats::of(127), none = Floats::of(0);
  if (any_nan(d, d)) return false;
  float scales[kLanes], inverse[kLanes];
  d.store(scales);
  select(d == none, none, Floats::of(1) / d).store(inverse);
  for (int i = 0; i < kLanes; ++i, block += 34) {
    store_half(block, scales[i]);
    round_half_away(row + 32 * i, inverse[i], block + 2);
  }
  return true;
}
#endif

}  // namespace

void encode_q4_0(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_symmetric<8>(row, columns, importance, blocks);
}
void encode_q5_0(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_symmetric<16>(row, columns, importance, blocks);
}
void encode_q4_1(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_affine<15>(row, columns, importance, blocks);
}
void encode_q5_1(const float* row, uint64_t columns, const float* importance, uint8_t* blocks) {
  encode_affine<31>(row, columns, importance, blocks);
}

void encode_q8_0(const float* row, uint64_t columns, const float*, uint8_t* block) {
  uint64_t begin = 0;
#if PRECIS_LANES > 1
  constexpr uint64_t kStep = 32 * kLanes;
  while (begin + kStep <= columns && encode_q8_0_blocks(row + begin, block)) {
    begin += kStep;
    block += 34 * kLanes;
  }
#endif
  for (; begin < columns; begin += 32, block += 34) {
    const float* x = row + begin;
    const float d = largest_magnitude(x) / 127.0f, id = d != 0 ? 1.0f / d : 0.0f;
    store_half(block, d);
    round_half_away(x, id, block + 2);
  }
}

void encode_f16(const float* row, uint64_t columns, const float*, uint8_t* out) {
  for (uint64_t i = 0; i < columns; ++i) store_half(out + 2 * i, row[i]);
}

void encode_bf16(const float* row, uint64_t columns, const float*, uint8_t* out) {
  for (uint64_t i = 0; i < columns; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(row[i]);
    // ggml keeps a NaN's payload and makes it quiet.
    const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    const auto value = static_cast<uint16_t>(nan ? (bits >> 16) | 64u
                                                 : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
    std::memcpy(out + 2 * i, &value, sizeof value);
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
