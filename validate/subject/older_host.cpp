#include "validate/subject/older_host.h"

#include <atomic>

namespace precis::validate {
namespace {

constexpr uint32_t kUnset = UINT32_MAX;
std::atomic<uint32_t> minor_of_host{kUnset};

}  // namespace

uint32_t host_minor() {
  const uint32_t minor = minor_of_host;
  return minor == kUnset ? PRECIS_ABI_MINOR : minor;
}

std::optional<uint32_t> chosen_host_minor() {
  const uint32_t minor = minor_of_host;
  return minor == kUnset ? std::nullopt : std::optional(minor);
}

void choose_host_minor(std::optional<uint32_t> minor) {
  minor_of_host = minor.value_or(kUnset);
}

}  // namespace precis::validate
