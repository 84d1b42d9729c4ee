// Memory whose ends are watched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace precis::validate {

// What stands around the bytes: nothing that stops anyone (a page of slack on both sides), or a
// page directly behind or before them that kills whoever touches it.
enum class Guard { slack, behind, before };

// Zero or more bytes in pages of their own. Bytes up to the guard that alignment leaves over hold a
// pattern; intact() says whether it is still there.
class GuardedMemory {
 public:
  GuardedMemory() = default;
  // alignment: of the first byte, a power of two of at most a page. misaligned: the first byte lies
  // one `alignment` off any larger power of two.
  GuardedMemory(uint64_t size, Guard guard, std::byte fill, std::size_t alignment = 64,
                bool misaligned = false);
  ~GuardedMemory();
  GuardedMemory(GuardedMemory&& other) noexcept { *this = std::move(other); }
  GuardedMemory& operator=(GuardedMemory&& other) noexcept;

  std::span<std::byte> bytes() const { return {first_, static_cast<std::size_t>(size_)}; }
  bool intact() const;
  // From now on writing kills too.
  void make_read_only();
  // From now on reading kills as well.
  void make_inaccessible();

 private:
  void protect(int protection);

  std::byte* pages_ = nullptr;  // first usable page
  std::byte* first_ = nullptr;
  uint64_t size_ = 0, page_bytes_ = 0;  // page_bytes_: of the usable pages
};

}  // namespace precis::validate
