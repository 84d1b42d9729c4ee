#include "core/engine/memory_usage.h"

#include <fstream>
#include <string>

namespace precis {

uint64_t anonymous_memory_bytes() {
  std::ifstream status("/proc/self/status");
  std::string key;
  uint64_t kib = 0;
  while (status >> key) {
    if (key == "RssAnon:" && status >> kib) return kib * 1024;
    status.ignore(1000, '\n');
  }
  return 0;
}

}  // namespace precis
