// How decoders hand out what they decoded: converted to the caller's number type and, where it is
// much, written past the caches.
//
// A plain store first reads the line it writes to. That third of the traffic goes away with
// non-temporal stores, which decide the speed of every decoder: all are bound by writing. What a
// caller will read again while it is in the cache must not take that way, hence the threshold.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/cpu/common/lanes.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Outputs from this size on are not expected to be found in a cache afterwards.
inline constexpr uint64_t kStreamedBytes = 4 << 20;

// Numbers that a decoder makes at once, to be converted from the first-level cache.
inline constexpr uint64_t kDecodedAtOnce = 1024;

// bfloat16 of numbers that it holds exactly, and of NaNs: cut off instead of rounded.
struct ExactBF16 : BF16 {
  static void store(Stored* data, uint64_t i, float value) {
    data[i] = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
  }
};

#if PRECIS_LANES > 1

// float_to_bfloat16 in the upper half of each lane, of numbers without a NaN.
inline Ints round_to_upper(Floats value) {
  const Ints bits = as_ints(value), rounded = bits + Ints::of(0x7fff);
  return add_where(any_bit(bits, Ints::of(0x10000)), rounded, Ints::of(1));
}

// The same of numbers with NaNs, all of which become 0x7fc0.
inline Ints round_to_upper_with_nan(Floats value) {
  return as_ints(
      select(value == value, as_floats(round_to_upper(value)), as_floats(Ints::of(0x7fc00000))));
}

// A number in every lane, or itself: for formulas over floats and lanes alike.
template <typename Value>
inline Value all_of(float value) {
  if constexpr (std::is_same_v<Value, Floats>)
    return Floats::of(value);
  else
    return value;
}

// round_to_even of each lane.
inline Floats round_to_even(Floats value) {
  const Floats shift = Floats::of(12582912.0f);
  return (value + shift) - shift;
}

// Type::round of each lane.
template <typename Type>
inline Floats round_as(Floats value) {
  if constexpr (std::is_same_v<Type, F16>)
    return round_through_half(value);
  else if constexpr (std::is_same_v<Type, BF16>)
    return as_floats(round_to_upper_with_nan(value) & Ints::of(-0x10000));
  else
    return value;
}

// A line of two-byte numbers.
template <typename Type>
inline Line narrow_line(Floats a, Floats b) {
  if constexpr (std::is_same_v<Type, F16>) return line_of_halves(a, b);
  if constexpr (std::is_same_v<Type, ExactBF16>) return line_of_upper(as_ints(a), as_ints(b));
#if defined(__AVX512BF16__)
  if (are_normal(a, b)) [[likely]]
    return line_of_bfloat16(a, b);
#endif
  if (any_nan(a, b)) [[unlikely]]
    return line_of_upper(round_to_upper_with_nan(a), round_to_upper_with_nan(b));
  return line_of_upper(round_to_upper(a), round_to_upper(b));
}

// Calls write(index of its first number, line) for every whole line of `count` numbers as Type,
// which lanes_at(index) gives; returns how many numbers these were.
template <typename Type, typename LanesAt, typename Write>
inline uint64_t for_each_line(uint64_t count, LanesAt lanes_at, Write write) {
  constexpr uint64_t kNumbers = kLineBytes / sizeof(typename Type::Stored);
  uint64_t i = 0;
  for (; i + kNumbers <= count; i += kNumbers) {
    const Floats a = lanes_at(i);
    if constexpr (std::is_same_v<Type, F32>)
      write(i, line_of(a));
    else
      write(i, narrow_line<Type>(a, lanes_at(i + kLanes)));
  }
  return i;
}
template <typename Type, typename Write>
inline uint64_t for_each_line(const float* values, uint64_t count, Write write) {
  return for_each_line<Type>(
      count, [&](uint64_t i) { return Floats::load(values + i); }, write);
}

template <typename Type>
inline void put(const float* values, uint64_t count, typename Type::Stored* out, bool streamed) {
  uint64_t done = 0;
  if (streamed) {
    const uint64_t misaligned = reinterpret_cast<uintptr_t>(out) % kLineBytes;
    const uint64_t head =
        misaligned == 0
            ? 0
            : std::min(count, (kLineBytes - misaligned) / sizeof(typename Type::Stored));
    for (; done < head; ++done) Type::store(out, done, values[done]);
    auto* aligned = out + done;
    done += for_each_line<Type>(values + done, count - done,
                                [&](uint64_t i, Line line) { stream(aligned + i, line); });
  } else {
    done = for_each_line<Type>(values, count, [&](uint64_t i, Line line) { store(out + i, line); });
  }
  for (; done < count; ++done) Type::store(out, done, values[done]);
}

// Numbers from the first-level cache, past the others. out: wherever its numbers are aligned.
template <typename Stored>
inline void put_lines(const Stored* numbers, uint64_t count, Stored* out) {
  constexpr uint64_t kNumbers = kLineBytes / sizeof(Stored);
  const uint64_t misaligned = reinterpret_cast<uintptr_t>(out) % kLineBytes / sizeof(Stored);
  uint64_t done = misaligned == 0 ? 0 : std::min(count, kNumbers - misaligned);
  std::copy_n(numbers, done, out);
  for (; done + kNumbers <= count; done += kNumbers) stream(out + done, load_line(numbers + done));
  std::copy_n(numbers + done, count - done, out + done);
}

// kLanes numbers as float32.
template <typename Type>
inline Floats load_numbers(const typename Type::Stored* from) {
  if constexpr (std::is_same_v<Type, F32>)
    return Floats::load(from);
  else if constexpr (std::is_same_v<Type, F16>)
    return load_halves(from);
  else
    return as_floats(Ints::load(from) << 16);
}

// Makes streamed lines visible to other threads, as plain stores are.
inline void finish_stream(bool streamed) {
  if (streamed) order_streamed();
}

#else

template <typename Value>
inline Value all_of(float value) {
  return value;
}

template <typename Type>
inline void put(const float* values, uint64_t count, typename Type::Stored* out, bool) {
  for (uint64_t i = 0; i < count; ++i) Type::store(out, i, values[i]);
}

template <typename Stored>
inline void put_lines(const Stored* numbers, uint64_t count, Stored* out) {
  std::copy_n(numbers, count, out);
}

inline void finish_stream(bool) {}

#endif

// Type::round of a number alone, by the name that lanes have for it.
template <typename Type>
inline float round_as(float value) {
  return Type::round(value);
}

// Whether `count` numbers at `out` are so many, and so aligned, that whole lines of them should go
// past the caches.
template <typename Stored>
inline bool is_streamed(const Stored* out, uint64_t count) {
  return count * sizeof(Stored) >= kStreamedBytes && reinterpret_cast<uintptr_t>(out) % 64 == 0;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
