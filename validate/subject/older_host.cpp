#include "validate/subject/older_host.h"

#include <atomic>

namespace precis::validate {
namespace {

std::atomic<uint32_t> minor_of_host{PRECIS_ABI_MINOR};

}  // namespace

uint32_t host_minor() {
  return minor_of_host;
}

void set_host_minor(uint32_t minor) {
  minor_of_host = minor;
}

}  // namespace precis::validate
