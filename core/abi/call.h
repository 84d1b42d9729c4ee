// precis_call as the host makes it: workspace, cancellation, and the plugin's own words when it
// fails.
#pragma once

#include <atomic>
#include <cstddef>
#include <span>
#include <string>

#include "core/abi/place.h"
#include "core/base/result.h"
#include "precis/call.h"

namespace precis {

// One call into a plugin. Not copyable: the plugin sees its address.
class Call {
 public:
  // workspace: 64-byte aligned, at least what was planned. cancel: poll answers "stop" once it is
  // true.
  explicit Call(std::span<std::byte> workspace = {}, const std::atomic<bool>* cancel = nullptr,
                const Place& where = {});
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  const precis_call* abi() const { return &abi_; }

  // The outcome as core reports it; `what` says whose call it was, such as the method and the
  // tensor.
  Status finish(precis_status status, std::string_view what) const;

 private:
  static void fail(const precis_call* call, precis_status status, precis_str message);
  static int32_t poll(const precis_call* call, double fraction, precis_str what);

  precis_call abi_;
  const std::atomic<bool>* cancel_;
  std::string message_;
};

// From now on every call into a plugin and every poll of one adds to `count`: signs of life for
// whoever watches this process from outside.
void count_signs_of_life(std::atomic<uint64_t>* count);

// A sink that appends to `out`, which outlives the call.
precis_sink string_sink(std::string& out);

inline precis_str to_abi(std::string_view text) {
  return {text.data(), text.size()};
}
inline std::string_view from_abi(precis_str text) {
  return {text.data, text.size};
}

}  // namespace precis
