// What a run will do, exactly: every tensor, every output file, every byte, before anything is
// written.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/abi/quantizer.h"
#include "core/checkpoint/checkpoint.h"
#include "core/engine/logical_tensor.h"
#include "core/format/layout.h"

namespace precis {

enum class Action {
  keep,        // bytes are copied
  cast,        // numbers in another dtype
  quantize,    // encoded by a method
  dequantize,  // decoded to numbers
};
std::string_view action_name(Action action);

// One tensor of an output file.
struct OutputTensor {
  PlannedTensor planned;     // full state-dict name, dtype, encoding, shape, bytes
  std::size_t file = 0;      // index into ComponentPlan::files
  std::size_t position = 0;  // index into that file's layout
};

// What becomes of a weight that is quantized already and gets another method.
enum class Conversion {
  none,      // it is not quantized
  exact,     // every value stays as it is, or the run fails
  if_exact,  // otherwise it is quantized again
};

// One logical tensor of the source and what becomes of it.
struct TensorPlan {
  LogicalTensor source;
  Action action = Action::keep;
  std::shared_ptr<const Quantizer> quantizer;  // action quantize
  std::vector<PartSpec> parts;                 // action quantize: in the plugin's order
  // Action quantize: the parts that a calibration has encoded already, in the same order; empty:
  // the quantizer makes them.
  std::vector<LogicalTensor::Part> encoded;
  Conversion conversion = Conversion::none;  // action quantize
  // Of a conversion: the tensors of the grid that the source's method hands to `quantizer`; empty:
  // one of them has none, and the decoded weight is encoded anew.
  std::vector<PartSpec> grid;
  std::vector<OutputTensor> outputs;  // one a part; one for cast and dequantize
  std::string reason;                 // which rule or list decided, in words
  uint64_t workspace_bytes = 0;       // the plugin's, and that of a grid
  uint64_t working_set_bytes = 0;     // anonymous memory while it is in flight

  uint64_t output_bytes() const;
};

// A file of weights.
struct OutputFilePlan {
  std::filesystem::path path;  // relative to the output directory
  ContainerFormat format = ContainerFormat::safetensors;
  FileLayout layout;
  uint64_t digests_offset = 0;  // where in the header the tensors' digests go
  std::vector<std::pair<std::size_t, std::size_t>> tensors;  // (tensor plan, output) in file order
};

// A small file whose contents are known now: config.json, an index, a sidecar.
struct TextFilePlan {
  std::filesystem::path path;  // relative to the output directory
  std::string contents;
};

struct ComponentPlan {
  std::string name;
  std::string library;
  std::string family;
  std::string method;  // of its quantized tensors, as the user asked: "nf4"; empty: none
  uint64_t source_bytes = 0;
  uint64_t output_bytes = 0;  // of its weight files, headers included
  bool carried = false;       // no plugin reads it: its files are copied, `tensors` is empty
  std::vector<TensorPlan> tensors;
  std::vector<OutputFilePlan> files;
};

struct Plan {
  std::filesystem::path source;
  CheckpointKind kind = CheckpointKind::pipeline;
  std::vector<ComponentPlan> components;
  std::vector<TextFilePlan> text_files;
  std::vector<std::filesystem::path> carried_files;  // copied as they are, relative paths
  nlohmann::json recipe;                             // the options that made this plan
  std::vector<std::string> warnings;
  unsigned threads = 1;
  uint64_t max_memory = 0;  // cap on working memory

  uint64_t source_bytes = 0;       // of all files of the source
  uint64_t weight_bytes = 0;       // of all weight files of the output
  uint64_t output_bytes = 0;       // of all files of the output
  uint64_t peak_memory_bytes = 0;  // predicted peak of anonymous memory

  // Changes whenever the source or anything about the result does: what resuming depends on.
  std::string fingerprint;

  nlohmann::ordered_json to_json(bool with_tensors) const;
};

}  // namespace precis
