// What a rule says of a plugin.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "core/base/error.h"

namespace precis::validate {

// Passed, failed or skipped, and why. Made of an Error it is a failure, so that PRECIS_TRY and
// PRECIS_ASSIGN end a test with the plugin's own refusal.
class Verdict {
 public:
  enum class Kind { passed, failed, skipped };

  Verdict() = default;
  Verdict(const Error& error) : Verdict(Kind::failed, error.text()) {}
  Verdict(Kind kind, std::string text) : kind_(kind), text_(std::move(text)) {}
  static Verdict skip(std::string why) { return Verdict(Kind::skipped, std::move(why)); }

  Kind kind() const { return kind_; }
  const std::string& text() const { return text_; }

 private:
  Kind kind_ = Kind::passed;
  std::string text_;
};

constexpr std::string_view verdict_name(Verdict::Kind kind) {
  return kind == Verdict::Kind::passed   ? "passed"
         : kind == Verdict::Kind::failed ? "failed"
                                         : "skipped";
}

// What the plugin did that the contract forbids.
template <typename... Args>
Error violation(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorCode::verification, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace precis::validate
