// Which modules a list of names, classes and patterns means, and which scheme a module has
// (compressed-tensors 0.20, utils/match.py, quantization/lifecycle/apply.py).
#pragma once

#include "plugins/compressed_tensors/config.h"

namespace precis::compressed_tensors {

// A name; a class of the module, of which checkpoints have Linear alone; or "re:" and a regular
// expression that matches from the name's start. Throws PRECIS_INVALID_ARGUMENT for what is none.
bool matches_any(std::string_view module, const sdk::ModuleList& entries);

// The scheme of a module, whether it is ignored or not: names tell before patterns, these before
// classes. Null: no group targets it.
const QuantizationScheme* scheme_of(std::string_view module,
                                    const std::vector<ConfigGroup>& groups);

}  // namespace precis::compressed_tensors
