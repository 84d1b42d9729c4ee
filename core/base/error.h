// The one error type of core and registry: a code, a message, and the context it passed through.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace precis {

// What went wrong, in the terms of the ABI's status values; the numbers are the same as PRECIS_*.
enum class ErrorCode : int {
  cancelled = 1,
  invalid_argument = 2,
  unsupported = 3,
  not_found = 4,
  failed_precondition = 5,
  out_of_memory = 6,
  data_loss = 7,
  device_error = 8,
  abi_mismatch = 9,
  internal = 10,
  invalid_type = 11,
  // Beyond the ABI: only the host meets these.
  io = 100,            // the file system refused: missing file, no permission
  plugin = 101,        // no plugin for a method, or a plugin that was refused
  quality = 102,       // a measured error is beyond the one allowed
  verification = 103,  // a written checkpoint is not what it claims to be
  no_space = 104       // the disk is full, or will be
};

// Short stable name of a code, as printed in "error[data-loss]".
std::string_view error_code_name(ErrorCode code);

// An error with its way up. The message says what is wrong with which value and names the file,
// tensor or key; `hint` says what to do about it.
class Error {
 public:
  Error(ErrorCode code, std::string message, std::string hint = {})
      : code_(code), message_(std::move(message)), hint_(std::move(hint)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }
  // Outermost first: {"component transformer", "tensor blocks.0.attn.to_q.weight"}.
  const std::vector<std::string>& context() const { return context_; }

  // Adds what was being done when the error came by; returns itself for chaining.
  Error& with_context(std::string what) & {
    context_.insert(context_.begin(), std::move(what));
    return *this;
  }
  Error&& with_context(std::string what) && { return std::move(with_context(std::move(what))); }

  // "context: context: message", without code and hint.
  std::string text() const;

 private:
  ErrorCode code_;
  std::string message_;
  std::string hint_;
  std::vector<std::string> context_;
};

}  // namespace precis
