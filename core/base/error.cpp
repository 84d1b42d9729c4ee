#include "core/base/error.h"

namespace precis {

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::invalid_argument:
      return "invalid-argument";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::not_found:
      return "not-found";
    case ErrorCode::failed_precondition:
      return "failed-precondition";
    case ErrorCode::out_of_memory:
      return "out-of-memory";
    case ErrorCode::data_loss:
      return "data-loss";
    case ErrorCode::device_error:
      return "device-error";
    case ErrorCode::abi_mismatch:
      return "abi-mismatch";
    case ErrorCode::internal:
      return "internal";
    case ErrorCode::invalid_type:
      return "invalid-type";
    case ErrorCode::io:
      return "io";
    case ErrorCode::plugin:
      return "plugin";
    case ErrorCode::quality:
      return "quality";
    case ErrorCode::verification:
      return "verification";
    case ErrorCode::no_space:
      return "no-space";
  }
  return "internal";
}

std::string Error::text() const {
  std::string text;
  for (const std::string& context : context_) text += context + ": ";
  return text + message_;
}

}  // namespace precis
