// The GGUF header: reading never fails otherwise than by an Error, and what was read can be planned
// and read again. Inputs: whole files.
#include <algorithm>
#include <string>

#include "core/format/layout.h"
#include "tests/fuzz/fuzz.h"

namespace {

using precis::fuzz::require;

constexpr std::size_t kLongestName = 159;  // plan_gguf refuses longer ones

void plan_and_read_again(precis::ContainerHeader header) {
  header.metadata.erase("general.alignment");
  std::vector<precis::PlannedTensor> planned;
  for (const precis::TensorEntry& entry : header.tensors) {
    if (entry.name.size() > kLongestName) return;
    planned.push_back({entry.name, entry.dtype, entry.encoding, entry.shape, entry.nbytes});
  }
  const auto layout = precis::plan_gguf(planned, header.metadata);
  require(layout.ok(), "a header that was read can be written");
  const std::string& bytes = layout->header;
  const auto again =
      precis::parse_gguf(std::as_bytes(std::span(bytes.data(), bytes.size())), layout->file_size);
  require(again.ok(), "a header that was written can be read");
  // As text: a NaN is not equal to itself.
  require(precis::metadata_text(again->metadata) == precis::metadata_text(header.metadata),
          "metadata survives");
  require(again->tensors.size() == planned.size(), "every tensor survives");
  for (std::size_t i = 0; i < planned.size(); ++i) {
    const precis::TensorEntry& entry = again->tensors[i];
    require(entry.name == planned[i].name && entry.dtype == planned[i].dtype &&
                entry.encoding == planned[i].encoding && entry.shape == planned[i].shape &&
                entry.nbytes == planned[i].nbytes && entry.offset == layout->offsets[i],
            "a tensor is where it was planned");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  auto header = precis::parse_gguf(std::as_bytes(std::span(data, size)), size);
  if (!header.ok()) return 0;
  for (const precis::TensorEntry& entry : header->tensors) {
    require(entry.offset <= size && entry.nbytes <= size - entry.offset, "data lies in the file");
  }
  plan_and_read_again(*std::move(header));
  return 0;
}
