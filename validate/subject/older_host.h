// Hosts of earlier minors: what they do not know yet is not there.
#pragma once

#include <cstddef>
#include <cstring>

#include "core/abi/views.h"
#include "precis/precis.h"
#include "validate/subject/guarded_memory.h"

namespace precis::validate {

// The minor of the ABI that the host of this process has; today's unless it was set.
uint32_t host_minor();
void set_host_minor(uint32_t minor);

// An earlier host as long as it lives.
class OlderHost {
 public:
  explicit OlderHost(uint32_t minor) : before_(host_minor()) { set_host_minor(minor); }
  ~OlderHost() { set_host_minor(before_); }
  OlderHost(const OlderHost&) = delete;
  OlderHost& operator=(const OlderHost&) = delete;

 private:
  const uint32_t before_;
};

// How large a host of `minor` knows the struct to be. A struct that grows gets a line here.
template <typename Struct>
constexpr std::size_t size_at(uint32_t) {
  return sizeof(Struct);
}
template <>
constexpr std::size_t size_at<precis_param>(uint32_t minor) {
  return minor < 1 ? offsetof(precis_param, importance) : sizeof(precis_param);
}
template <>
constexpr std::size_t size_at<precis_component>(uint32_t minor) {
  return minor < 1 ? offsetof(precis_component, others) : sizeof(precis_component);
}

// A struct as the host of this process has it. Of one that is shorter there, what is behind kills
// whoever reads it.
template <typename Struct>
class HostStruct {
 public:
  explicit HostStruct(const Struct& whole)
      : memory_(size_at<Struct>(host_minor()), Guard::behind, std::byte{0}, alignof(Struct)) {
    const std::size_t size = memory_.bytes().size();
    std::memcpy(memory_.bytes().data(), &whole, size);
    const auto known = static_cast<uint32_t>(size);
    std::memcpy(memory_.bytes().data() + offsetof(Struct, struct_size), &known, sizeof known);
  }

  const Struct* get() const { return reinterpret_cast<const Struct*>(memory_.bytes().data()); }

 private:
  GuardedMemory memory_;
};

// A parameter as the host of this process describes it.
class HostParam {
 public:
  explicit HostParam(const Param& param) : whole_(param), shown_(*whole_.get()) {}
  const precis_param* get() const { return shown_.get(); }

 private:
  const AbiParam whole_;
  const HostStruct<precis_param> shown_;
};

}  // namespace precis::validate
