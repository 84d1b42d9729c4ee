// A plugin's manifest. Inputs: JSON text.
#include "registry/plugins/manifest.h"
#include "tests/fuzz/fuzz.h"

using precis::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const auto manifest =
      precis::parse_manifest(precis::fuzz::text_of(data, size), "/plugins/fuzz.precis-plugin.json");
  if (!manifest.ok()) {
    require(!manifest.error().message().empty(), "a refusal says why");
    return 0;
  }
  require(manifest->library_path().parent_path() == "/plugins",
          "the library lies beside its manifest");
  require(manifest->sha256.size() == 64, "the hash is whole");
  return 0;
}
