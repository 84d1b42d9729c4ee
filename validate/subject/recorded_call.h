// precis_call as the tests make it: it remembers what the plugin said through it.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "core/base/result.h"
#include "precis/call.h"

namespace precis::validate {

class RecordedCall {
 public:
  RecordedCall();
  RecordedCall(const RecordedCall&) = delete;
  RecordedCall& operator=(const RecordedCall&) = delete;

  const precis_call* abi() const { return &abi_; }

  void use_workspace(std::span<std::byte> workspace);
  // fail and poll are null: a plugin skips them.
  void be_silent();
  // The poll of this number, from 0, and all later ones ask to stop.
  void stop_at(uint64_t poll) { stop_at_ = poll; }
  // Called at each poll. [any thread]
  std::function<void()> on_poll;

  uint64_t polls() const { return polls_; }
  uint64_t reports() const { return reports_; }

  // What the plugin gave: nothing when it is PRECIS_OK, else an error with its own words.
  Status finish(precis_status status) const;
  // Whether a call that gave `status` reported as C5 demands: not at all, or once, that status,
  // with a text of UTF-8 that is not too long.
  Status check_report(precis_status status) const;

 private:
  static void fail(const precis_call* call, precis_status status, precis_str message);
  static int32_t poll(const precis_call* call, double fraction, precis_str what);

  precis_call abi_;
  std::atomic<uint64_t> polls_ = 0;
  std::optional<uint64_t> stop_at_;
  std::mutex mutex_;
  uint64_t reports_ = 0;
  precis_status reported_ = PRECIS_OK;
  std::string message_;
};

}  // namespace precis::validate
