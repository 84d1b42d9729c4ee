// The index of a sharded checkpoint, and with it precis' strict pass over JSON. Inputs: JSON text.
#include <filesystem>

#include "core/checkpoint/weight_index.h"
#include "core/format/json_scanner.h"
#include "tests/fuzz/fuzz.h"

using precis::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string_view text = precis::fuzz::text_of(data, size);
  const auto document = precis::parse_json(text);
  if (document.ok()) {
    require(precis::object_keys(text).size() >= (document->is_object() ? document->size() : 0),
            "every key is seen");
    (void)document->dump();
  }
  const auto index = precis::parse_weight_index(text);
  if (!index.ok()) return 0;
  require(document.ok() && !index->empty(), "an index is JSON and not empty");
  for (const auto& [file, tensors] : *index) {
    const auto path = ("root" / std::filesystem::path(file)).lexically_normal();
    require(!tensors.empty() && *path.begin() == "root", "files lie below the index");
  }
  return 0;
}
