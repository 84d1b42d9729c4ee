#include "core/engine/buffer_arena.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/byte_size.h"

namespace precis {
namespace {

uint64_t round_to_pages(uint64_t size) {
  constexpr uint64_t kPage = 4096;
  return (size + kPage - 1) / kPage * kPage;
}

}  // namespace

Buffer::Buffer(Buffer&& other) noexcept
    : sharing_(other.sharing_),
      descriptor_(std::exchange(other.descriptor_, -1)),
      data_(std::exchange(other.data_, nullptr)),
      capacity_(std::exchange(other.capacity_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    release();
    sharing_ = other.sharing_;
    descriptor_ = std::exchange(other.descriptor_, -1);
    data_ = std::exchange(other.data_, nullptr);
    capacity_ = std::exchange(other.capacity_, 0);
  }
  return *this;
}

Buffer::~Buffer() {
  release();
}

void Buffer::release() {
  if (data_ != nullptr) ::munmap(data_, capacity_);
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  data_ = nullptr;
  capacity_ = 0;
}

Status Buffer::reserve(uint64_t size) {
  if (size <= capacity_) return {};
  release();
  const uint64_t capacity = round_to_pages(size);
  int kind = MAP_PRIVATE | MAP_ANONYMOUS;
  if (sharing_ == Sharing::by_descriptor) {
    descriptor_ = ::memfd_create("precis", MFD_CLOEXEC);
    if (descriptor_ < 0 || ::ftruncate(descriptor_, static_cast<off_t>(capacity)) != 0) {
      const int reason = errno;
      release();
      return Error(ErrorCode::out_of_memory,
                   fmt::format("--isolate: the system gives no {} of shared memory: {}",
                               format_bytes(capacity), std::strerror(reason)),
                   "lower --threads, raise the limit of open files, or go without --isolate");
    }
    kind = MAP_SHARED;
  }
  void* memory = ::mmap(nullptr, capacity, PROT_READ | PROT_WRITE, kind, descriptor_, 0);
  if (memory == MAP_FAILED) {
    release();
    return Error(ErrorCode::out_of_memory,
                 fmt::format("the system gives no {} of memory", format_bytes(capacity)),
                 "close other programs, or lower --max-memory and --threads");
  }
  data_ = static_cast<std::byte*>(memory);
  capacity_ = capacity;
  return {};
}

BufferArena::BufferArena(unsigned slots, uint64_t cap, Sharing sharing)
    : slots_(std::max(1u, slots)), cap_(cap), sharing_(sharing) {}

Result<std::optional<Buffer>> BufferArena::try_take(uint64_t size) {
  std::lock_guard lock(mutex_);
  if (taken_ == slots_) return std::optional<Buffer>();
  const uint64_t wanted = round_to_pages(size);
  // The largest idle buffer is the one most likely to suffice.
  std::sort(idle_.begin(), idle_.end(),
            [](const Buffer& a, const Buffer& b) { return a.capacity() < b.capacity(); });
  const auto fits = std::find_if(idle_.begin(), idle_.end(),
                                 [&](const Buffer& buffer) { return buffer.capacity() >= wanted; });
  Buffer buffer(sharing_);
  if (fits != idle_.end()) {
    buffer = std::move(*fits);
    idle_.erase(fits);
  } else {
    uint64_t idle_bytes = 0;
    for (const Buffer& idle : idle_) idle_bytes += idle.capacity();
    const uint64_t in_use = reserved_ - idle_bytes;
    if (taken_ > 0 && in_use + wanted > cap_) return std::optional<Buffer>();
    // The smallest idle buffer is outgrown; more go until the new one fits under the cap.
    while (!idle_.empty() && (reserved_ + wanted > cap_ || taken_ + idle_.size() >= slots_)) {
      reserved_ -= idle_.front().capacity();
      idle_.erase(idle_.begin());
    }
    PRECIS_TRY(buffer.reserve(wanted));
    reserved_ += buffer.capacity();
    peak_ = std::max(peak_, reserved_);
  }
  ++taken_;
  return std::optional<Buffer>(std::move(buffer));
}

void BufferArena::give_back(Buffer buffer) {
  std::lock_guard lock(mutex_);
  --taken_;
  idle_.push_back(std::move(buffer));
}

uint64_t BufferArena::reserved() const {
  std::lock_guard lock(mutex_);
  return reserved_;
}

uint64_t BufferArena::peak() const {
  std::lock_guard lock(mutex_);
  return peak_;
}

uint64_t BufferArena::predict_peak(std::span<const uint64_t> sizes, unsigned slots, uint64_t cap) {
  // The arena's own rules, with the smallest tensor in flight finishing first: it takes the least
  // time.
  slots = std::max(1u, slots);
  std::vector<uint64_t> idle;
  std::vector<uint64_t> taken;
  uint64_t reserved = 0, in_use = 0, peak = 0;
  const auto finish_one = [&] {
    const auto smallest = std::min_element(taken.begin(), taken.end());
    idle.push_back(*smallest);
    in_use -= *smallest;
    taken.erase(smallest);
  };
  for (const uint64_t size : sizes) {
    const uint64_t wanted = round_to_pages(size);
    if (taken.size() == slots) finish_one();
    std::sort(idle.begin(), idle.end());
    auto fits = std::lower_bound(idle.begin(), idle.end(), wanted);
    while (fits == idle.end() && !taken.empty() && in_use + wanted > cap) {
      finish_one();
      std::sort(idle.begin(), idle.end());
      fits = std::lower_bound(idle.begin(), idle.end(), wanted);
    }
    uint64_t capacity = wanted;
    if (fits != idle.end()) {
      capacity = *fits;
      idle.erase(fits);
    } else {
      while (!idle.empty() && (reserved + wanted > cap || taken.size() + idle.size() >= slots)) {
        reserved -= idle.front();
        idle.erase(idle.begin());
      }
      reserved += wanted;
      peak = std::max(peak, reserved);
    }
    taken.push_back(capacity);
    in_use += capacity;
  }
  return peak;
}

}  // namespace precis
