// Working memory of the engine: few large buffers, reused, under one cap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "core/base/result.h"

namespace precis {

// Whether memory can be mapped by another process too.
enum class Sharing { none, by_descriptor };

// Anonymous memory straight from the system, so that what is given back is really free.
class Buffer {
 public:
  explicit Buffer(Sharing sharing = Sharing::none) : sharing_(sharing) {}
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  // At least `size` bytes, 64-byte aligned, contents undefined; keeps the memory it has when it
  // suffices. Error out_of_memory.
  Status reserve(uint64_t size);
  void release();
  uint64_t capacity() const { return capacity_; }
  std::span<std::byte> bytes(uint64_t size) { return {data_, static_cast<std::size_t>(size)}; }
  // What another process maps to have the same memory; -1 without sharing, or without memory.
  int descriptor() const { return descriptor_; }

 private:
  Sharing sharing_;
  int descriptor_ = -1;
  std::byte* data_ = nullptr;
  uint64_t capacity_ = 0;
};

// The buffers of the tensors in flight. [any thread]
class BufferArena {
 public:
  // At most `slots` buffers out at once and `cap` bytes in all; one buffer alone may exceed the
  // cap, since a tensor that does not fit cannot be done in pieces.
  BufferArena(unsigned slots, uint64_t cap, Sharing sharing = Sharing::none);

  // A buffer of at least `size` bytes, or nothing when slots or cap are used up at the moment. Idle
  // buffers shrink when that makes room.
  Result<std::optional<Buffer>> try_take(uint64_t size);
  void give_back(Buffer buffer);

  // Bytes of the buffers that are out or idle.
  uint64_t reserved() const;
  // Most bytes that were reserved at once.
  uint64_t peak() const;

  // What peak() will be for tensors of these sizes taken in order: the planner's prediction.
  static uint64_t predict_peak(std::span<const uint64_t> sizes, unsigned slots, uint64_t cap);

 private:
  mutable std::mutex mutex_;
  unsigned slots_;
  uint64_t cap_;
  Sharing sharing_;
  unsigned taken_ = 0;
  uint64_t reserved_ = 0;  // of taken and idle buffers
  uint64_t peak_ = 0;
  std::vector<Buffer> idle_;
};

}  // namespace precis
