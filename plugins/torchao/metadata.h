// torchao's metadata in the header of a safetensors file
// (prototype/safetensors/safetensors_support.py): "tensor_names", the list of all parameters, and
// for each the Python object that its tensors are the parts of.
#pragma once

#include <functional>
#include <precis/weight_quantizer.hpp>

#include "plugins/torchao/scheme.h"

namespace precis::torchao {

using SchemeOf = std::function<Scheme(const precis_param& param)>;

// The metadata of a component whose weights follow `scheme_of` each.
sdk::Json component_metadata(const SchemeOf& scheme_of, const precis_component& component);

// What the metadata of a file says of a parameter; null: nothing. Throws PRECIS_DATA_LOSS when it
// is damaged.
sdk::Json object_of(const sdk::Json& metadata, const std::string& parameter);

// The torch dtype by its name; none: not a weight's.
std::optional<precis_dtype> dtype_of_name(const sdk::Json& name);

}  // namespace precis::torchao
