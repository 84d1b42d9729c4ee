// SDNQ's numbers (sdnq 0.2.8), as they stand in its packed tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace precis::sdnq {

// "uint4", "float6_e3m2fn": a dtype of SDNQ.
struct Number {
  int bits = 8;  // 0: a dtype that no weight is read in
  bool integer = true, is_unsigned = false;
  int exponent = 0, mantissa = 0;  // bits of a float
  // Of torch itself, such as float8_e4m3fn; other floats have neither infinity nor NaN.
  bool of_torch = false;
};

// Nothing: SDNQ has no such dtype.
std::optional<Number> number_of(const std::string& name);

// Bytes in which whole numbers of this width are packed together, and how many they are.
struct Chunk {
  uint64_t bytes, numbers;
};
Chunk chunk_of(int bits);

// The code at `index`, bits 1 to 8; an unsigned number.
uint32_t code_at(const uint8_t* packed, int bits, uint64_t index);

// What a code stands for; of integers less 2^(bits - 1) where they are signed and packed.
float value_of(const Number& number, uint32_t code);

}  // namespace precis::sdnq
