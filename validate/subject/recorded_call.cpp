#include "validate/subject/recorded_call.h"

#include <fmt/format.h>

#include "core/format/utf8.h"

namespace precis::validate {
namespace {

constexpr uint64_t kMostMessageBytes = 4096;

RecordedCall& self(const precis_call* call) {
  return *static_cast<RecordedCall*>(call->ctx);
}

}  // namespace

RecordedCall::RecordedCall() {
  abi_ = {sizeof(precis_call), 0, this, nullptr, nullptr, 0, fail, poll};
}

void RecordedCall::use_workspace(std::span<std::byte> workspace) {
  abi_.workspace = workspace.empty() ? nullptr : workspace.data();
  abi_.workspace_size = workspace.size();
}

void RecordedCall::be_silent() {
  abi_.fail = nullptr;
  abi_.poll = nullptr;
}

void RecordedCall::fail(const precis_call* call, precis_status status, precis_str message) {
  RecordedCall& call_record = self(call);
  const std::lock_guard lock(call_record.mutex_);
  ++call_record.reports_;
  call_record.reported_ = status;
  call_record.message_.assign(message.data == nullptr ? "" : message.data, message.size);
}

int32_t RecordedCall::poll(const precis_call* call, double, precis_str) {
  RecordedCall& call_record = self(call);
  const uint64_t number = call_record.polls_++;
  if (call_record.on_poll) call_record.on_poll();
  return call_record.stop_at_ && number >= *call_record.stop_at_ ? 1 : 0;
}

Status RecordedCall::finish(precis_status status) const {
  if (status == PRECIS_OK) return {};
  const bool known = status > PRECIS_OK && status <= PRECIS_INVALID_TYPE;
  return Error(known ? static_cast<ErrorCode>(status) : ErrorCode::internal,
               fmt::format("status {}: {}", status, message_.empty() ? "no reason" : message_));
}

Status RecordedCall::check_report(precis_status status) const {
  const auto wrong = [&](std::string_view what) {
    return Error(ErrorCode::verification,
                 fmt::format("a call that gave status {} {}", status, what));
  };
  if (status == PRECIS_OK)
    return reports_ == 0 ? Status() : Status(wrong("reported a failure: " + message_));
  if (status < PRECIS_OK || status > PRECIS_INVALID_TYPE)
    return wrong("is none of the ABI's values");
  if (reports_ != 1) return wrong(fmt::format("reported {} times, it must do so once", reports_));
  if (reported_ != status) return wrong(fmt::format("reported status {}", reported_));
  if (message_.empty()) return wrong("reported an empty text");
  if (message_.size() > kMostMessageBytes)
    return wrong(fmt::format("reported {} bytes, the limit is 4096", message_.size()));
  if (!is_utf8(message_)) return wrong("reported a text that is no UTF-8");
  return {};
}

}  // namespace precis::validate
