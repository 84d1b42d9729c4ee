// Where the engine gets its quantizers from; the registry answers with plugins.
#pragma once

#include <memory>
#include <string>

#include "core/abi/quantizer.h"
#include "core/checkpoint/checkpoint.h"

namespace precis {

class MethodResolver {
 public:
  virtual ~MethodResolver() = default;

  // The quantizer for a config string, a preset's name or a JSON object; null for "keep".
  // library: of the component it is for, "diffusers", "transformers" or "".
  virtual Result<std::shared_ptr<const Quantizer>> from_spec(const std::string& spec,
                                                             const std::string& library) = 0;

  // The same for weights that another method stored: what the spec leaves open of their grid, such
  // as the size of groups, is as the component's config has it.
  virtual Result<std::shared_ptr<const Quantizer>> for_conversion(const std::string& spec,
                                                                  const Component& source) {
    return from_spec(spec, source.library);
  }

  // The quantizer that a component's stored tensors were made with; null when it is not quantized.
  virtual Result<std::shared_ptr<const Quantizer>> from_component(const Component& component) = 0;

  // What a user must know to load a component that this method wrote in the Python library that its
  // float form is for; empty: it loads like any other.
  virtual std::string loading_remark(const Quantizer& method, const std::string& library) const {
    (void)method;
    (void)library;
    return {};
  }
};

}  // namespace precis
