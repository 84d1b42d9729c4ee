#include "validate/subject/guarded_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace precis::validate {
namespace {

constexpr std::byte kPattern{0xc7};

uint64_t page() {
  static const auto size = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

uint64_t rounded_up(uint64_t size, uint64_t unit) {
  return (size + unit - 1) / unit * unit;
}

}  // namespace

GuardedMemory::GuardedMemory(uint64_t size, Guard guard, std::byte fill, std::size_t alignment,
                             bool misaligned)
    : size_(size) {
  const uint64_t shift = misaligned ? alignment : 0;
  page_bytes_ = rounded_up(std::max<uint64_t>(size, 1) + 3 * shift, page());
  if (guard == Guard::slack) page_bytes_ += 2 * page();
  // A page on each side in any case, so that the layout is the same.
  void* mapped =
      ::mmap(nullptr, page_bytes_ + 2 * page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  pages_ = static_cast<std::byte*>(mapped) + page();
  protect(PROT_READ | PROT_WRITE);
  std::memset(pages_, static_cast<int>(kPattern), page_bytes_);
  if (guard == Guard::slack)
    first_ = pages_ + page() + shift;
  else if (guard == Guard::before)
    first_ = pages_ + shift;
  else if (misaligned)
    first_ = pages_ + page_bytes_ - rounded_up(size, 2 * alignment) - alignment;
  else
    first_ = pages_ + page_bytes_ - rounded_up(size, alignment);
  std::memset(first_, static_cast<int>(fill), size);
}

GuardedMemory::~GuardedMemory() {
  if (pages_ != nullptr) ::munmap(pages_ - page(), page_bytes_ + 2 * page());
}

GuardedMemory& GuardedMemory::operator=(GuardedMemory&& other) noexcept {
  std::swap(pages_, other.pages_);
  std::swap(first_, other.first_);
  std::swap(size_, other.size_);
  std::swap(page_bytes_, other.page_bytes_);
  return *this;
}

bool GuardedMemory::intact() const {
  const auto is_pattern = [](std::byte byte) { return byte == kPattern; };
  return std::all_of(pages_, first_, is_pattern) &&
         std::all_of(first_ + size_, pages_ + page_bytes_, is_pattern);
}

void GuardedMemory::make_read_only() {
  protect(PROT_READ);
}

void GuardedMemory::make_inaccessible() {
  protect(PROT_NONE);
}

void GuardedMemory::protect(int protection) {
  ::mprotect(pages_, page_bytes_, protection);
}

}  // namespace precis::validate
