// The safetensors header: reading never fails otherwise than by an Error, and what was read can be
// planned and read again. Inputs: the JSON of a header; bytes behind its last newline stand for the
// data, so that a changed header keeps a fitting length.
#include <algorithm>
#include <string>

#include "core/format/layout.h"
#include "tests/fuzz/fuzz.h"

namespace {

using precis::fuzz::require;

std::string framed(std::string_view json) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(uint64_t{json.size()} >> (8 * i));
  return file.append(json);
}

auto parse(std::string_view bytes, uint64_t file_size) {
  return precis::parse_safetensors(std::as_bytes(std::span(bytes.data(), bytes.size())), file_size);
}

void plan_and_read_again(const precis::ContainerHeader& header) {
  std::vector<precis::PlannedTensor> planned;
  for (const precis::TensorEntry& entry : header.tensors) {
    planned.push_back({entry.name, entry.dtype, entry.encoding, entry.shape, entry.nbytes});
  }
  const auto layout = precis::plan_safetensors(planned, header.metadata);
  require(layout.ok(), "a header that was read can be written");
  const auto again = parse(layout->header, layout->file_size);
  require(again.ok(), "a header that was written can be read");
  require(again->metadata == header.metadata, "metadata survives");
  require(again->tensors.size() == planned.size(), "every tensor survives");
  for (const precis::TensorEntry& entry : again->tensors) {
    const auto original = std::find_if(planned.begin(), planned.end(), [&](const auto& tensor) {
      return tensor.name == entry.name;
    });
    require(
        original != planned.end() && original->dtype == entry.dtype &&
            original->shape == entry.shape && original->nbytes == entry.nbytes &&
            layout->offsets[static_cast<std::size_t>(original - planned.begin())] == entry.offset,
        "a tensor is where it was planned");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string_view input = precis::fuzz::text_of(data, size);
  (void)parse(input, size);  // as a file, length and all
  const std::size_t newline = input.rfind('\n');
  const std::string_view json = input.substr(0, std::min(newline, size));
  const uint64_t data_size = newline == std::string_view::npos ? 0 : size - newline - 1;
  const std::string file = framed(json);
  const auto header = parse(file, file.size() + data_size);
  if (!header.ok()) return 0;
  require(nlohmann::json::accept(json), "only JSON is accepted");
  plan_and_read_again(*header);
  return 0;
}
