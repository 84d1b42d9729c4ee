// Hosts of earlier minors: what they do not know yet is not there.
#pragma once

#include <cstddef>
#include <cstring>
#include <optional>

#include "core/abi/views.h"
#include "precis/precis.h"
#include "validate/subject/guarded_memory.h"

namespace precis::validate {

// The minor of the ABI that the host of this process has: today's, or the one that was chosen.
uint32_t host_minor();
std::optional<uint32_t> chosen_host_minor();
void choose_host_minor(std::optional<uint32_t> minor);

// A host of the chosen minor as long as it lives.
class OlderHost {
 public:
  explicit OlderHost(uint32_t minor) : before_(chosen_host_minor()) { choose_host_minor(minor); }
  ~OlderHost() { choose_host_minor(before_); }
  OlderHost(const OlderHost&) = delete;
  OlderHost& operator=(const OlderHost&) = delete;

 private:
  const std::optional<uint32_t> before_;
};

// How large a host of `minor` knows the struct to be. A struct that grows gets a line here: no
// struct has grown since 1.0.
template <typename Struct>
constexpr std::size_t size_at(uint32_t /*minor*/) {
  return sizeof(Struct);
}

// A struct as the host of this process has it. Where the minor was chosen, what is behind the
// struct of that minor kills whoever reads it; otherwise there are zeros, as a later host has them
// in members that it does not use.
template <typename Struct>
class HostStruct {
 public:
  explicit HostStruct(const Struct& whole)
      : memory_(size_at<Struct>(host_minor()) + (chosen_host_minor() ? 0 : kLater),
                chosen_host_minor() ? Guard::behind : Guard::slack, std::byte{0}, alignof(Struct)) {
    const std::size_t size = size_at<Struct>(host_minor());
    std::memcpy(memory_.bytes().data(), &whole, size);
    const auto known = static_cast<uint32_t>(size);
    std::memcpy(memory_.bytes().data() + offsetof(Struct, struct_size), &known, sizeof known);
  }

  const Struct* get() const { return reinterpret_cast<const Struct*>(memory_.bytes().data()); }

 private:
  static constexpr std::size_t kLater = 64;
  GuardedMemory memory_;
};

// A parameter as the host of this process describes it.
class HostParam {
 public:
  // param: outlives this.
  explicit HostParam(const Param& param) : whole_(param), shown_(*whole_.get()) {}
  explicit HostParam(Param&&) = delete;
  const precis_param* get() const { return shown_.get(); }

 private:
  const AbiParam whole_;
  const HostStruct<precis_param> shown_;
};

}  // namespace precis::validate
