// From a checkpoint and the user's wishes to a plan.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/engine/plan.h"

namespace precis {

class MethodResolver;
class ImportanceMatrix;

// What the user asks for. Rules apply in this order, the last match wins: type, components, rules;
// then skips take tensors out again.
struct ResolveOptions {
  std::string type;                                             // config string for every weight
  std::vector<std::pair<std::string, std::string>> components;  // name, config string or "keep"
  std::vector<std::pair<std::string, std::string>> rules;       // regular expression, config string
  std::vector<std::string> skips;                               // regular expressions
  // The family's list of sensitive layers. It does not touch what an explicit rule chose.
  bool default_skips = true;

  std::optional<DType> dequantize_to;  // decode every quantized weight
  // Quantized weights may become those of another method, with every value as it was. In a
  // component that has some, weights that are numbers change by explicit rules alone, and default
  // skips count for them alone.
  bool convert = false;
  bool allow_requantize = false;  // and where values cannot stay, they are quantized again
  std::optional<ContainerFormat>
      container;  // of a lone model; nothing: as the method or source has it

  // The result is a network in memory: methods that no file can hold together may be mixed within a
  // component, and the plan has no files.
  bool in_memory = false;

  std::shared_ptr<const ImportanceMatrix> importance;
  // Weights whose method can be calibrated will be, before the plan is carried out.
  bool calibrated = false;
  unsigned threads = 0;                       // 0: every processor
  uint64_t max_memory = 4ull << 30;           // cap on working memory
  uint64_t max_shard_bytes = 10'000'000'000;  // as diffusers' save_pretrained
  nlohmann::json recipe;                      // these options as the user gave them
};

// Reads headers, and a sample of every file to know it again by. Errors name the component, rule or
// tensor: a component or a rule that matches nothing, a shape that does not fit its method, two
// methods that no config.json can express together, quantized input that would be quantized again.
Result<Plan> resolve(const Checkpoint& checkpoint, const ResolveOptions& options,
                     MethodResolver& methods);

}  // namespace precis
