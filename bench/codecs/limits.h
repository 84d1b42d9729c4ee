// What the memory of this machine allows: the yardstick that every codec is measured with.
#pragma once

#include <cstddef>
#include <cstdint>

namespace precis::bench {

// Reads `size` bytes once, two streams at a time, which is the fastest kind of reading found.
// data: 64-byte aligned; size: a multiple of 256. Returns a value that depends on every byte.
uint64_t read_memory(const std::byte* data, uint64_t size);

// Writes `size` bytes of changing data past the caches; lines of zeros would travel faster than
// real data do. data: 64-byte aligned; size: a multiple of 64.
void write_memory(std::byte* data, uint64_t size);

}  // namespace precis::bench
