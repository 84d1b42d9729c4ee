#include "core/abi/call.h"

#include <fmt/format.h>

#include <algorithm>

namespace precis {
namespace {

std::atomic<std::atomic<uint64_t>*> signs_of_life{nullptr};

void give_sign_of_life() {
  if (auto* count = signs_of_life.load(std::memory_order_relaxed))
    count->fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

void count_signs_of_life(std::atomic<uint64_t>* count) {
  signs_of_life = count;
}

Call::Call(std::span<std::byte> workspace, const std::atomic<bool>* cancel, const Place& where)
    : cancel_(cancel) {
  const uint32_t flags = where.capturing ? uint32_t{PRECIS_CALL_STREAM_CAPTURING} : 0u;
  abi_ = {sizeof(precis_call), flags, this, where.stream, workspace.data(),
          workspace.size(),    fail,  poll};
  give_sign_of_life();
}

void Call::fail(const precis_call* call, precis_status, precis_str message) {
  constexpr uint64_t kLimit = 4096;
  static_cast<Call*>(call->ctx)->message_.assign(message.data, std::min(message.size, kLimit));
}

int32_t Call::poll(const precis_call* call, double, precis_str) {
  give_sign_of_life();
  const std::atomic<bool>* cancel = static_cast<const Call*>(call->ctx)->cancel_;
  return cancel != nullptr && cancel->load(std::memory_order_relaxed) ? 1 : 0;
}

Status Call::finish(precis_status status, std::string_view what) const {
  if (status == PRECIS_OK) return {};
  const bool known = status > PRECIS_OK && status <= PRECIS_INVALID_TYPE;
  const auto code = static_cast<ErrorCode>(known ? status : PRECIS_INTERNAL);
  std::string message = message_;
  if (message.empty()) {
    message = fmt::format("the plugin gave status {} without a reason", status);
  }
  Error error(code, std::move(message));
  if (!what.empty()) error.with_context(std::string(what));
  return error;
}

precis_sink string_sink(std::string& out) {
  return {&out, [](void* ctx, const char* data, uint64_t size) {
            static_cast<std::string*>(ctx)->append(data, size);
          }};
}

}  // namespace precis
