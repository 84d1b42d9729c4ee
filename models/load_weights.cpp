#include "models/load_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>

namespace precis::models {
namespace {

// Other names under which the libraries have stored the same tensor.
std::vector<std::string> stored_names(const std::string& name) {
  // transformers 5 saves a CLIPTextModel without the prefix that earlier versions wrote.
  constexpr std::string_view kClipPrefix = "text_model.";
  if (name.starts_with(kClipPrefix)) return {name, name.substr(kClipPrefix.size())};
  // The tied input embedding of T5.
  if (name == "shared.weight") return {name, std::string("encoder.embed_tokens.weight")};
  return {name};
}

// Constants and copies that older versions of the libraries stored.
bool harmless(const std::string& name) {
  return name.ends_with("position_ids") || name == "encoder.embed_tokens.weight";
}

Error unexpected(const std::vector<std::string>& names) {
  const std::size_t shown = std::min<std::size_t>(names.size(), 5);
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(shown);
  return Error(
      ErrorCode::data_loss,
      fmt::format("{} weights have no place in the network of config.json: {}{}", names.size(),
                  fmt::join(names.begin(), end, ", "),
                  names.size() > shown ? fmt::format(" and {} more", names.size() - shown) : ""),
      "is this the right config.json for these weights?");
}

}  // namespace

Result<LoadReport> load_weights(torch::nn::Module& network, const Component& component,
                                const ComponentPlan& plan, MethodResolver& methods,
                                const WeightOptions& options) {
  LoadOptions load;
  load.dtype = options.dtype;
  load.plan = &plan;
  load.arithmetic = options.arithmetic;
  load.stored_names = stored_names;
  PRECIS_ASSIGN(LoadReport report, load_model(network, component, methods, load));
  std::erase_if(report.unexpected, harmless);
  if (!report.unexpected.empty() && !options.partial) return unexpected(report.unexpected);
  return report;
}

}  // namespace precis::models
