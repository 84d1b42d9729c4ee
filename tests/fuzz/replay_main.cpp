// Calls a fuzz target with every input of a directory and with every beginning of it, so that what
// fuzzing found stays found in builds without libFuzzer.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "tests/fuzz/fuzz.h"

namespace {

constexpr std::size_t kBeginnings = 512;

void replay(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  const std::size_t step = std::max<std::size_t>(1, bytes.size() / kBeginnings);
  for (std::size_t size = 0; size < bytes.size(); size += step) {
    // A copy of exactly this size: a read beyond it is seen by AddressSanitizer.
    const auto beginning = std::make_unique<uint8_t[]>(size);
    std::copy_n(bytes.begin(), size, beginning.get());
    LLVMFuzzerTestOneInput(beginning.get(), size);
  }
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t count = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      replay(entry.path());
      ++count;
    }
  }
  std::printf("%zu inputs\n", count);
  return count > 0 ? 0 : 1;
}
