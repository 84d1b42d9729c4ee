// Which files a plan writes, with their exact sizes and headers.
#pragma once

#include "core/engine/resolve.h"

namespace precis {

// The specs of a component's methods, sorted: "int8, nf4".
std::string method_names(const ComponentPlan& plan);

// Fills in everything of `plan` that follows from its tensors: containers, shards, headers,
// config.json, indices, sidecars, totals, predicted memory and the fingerprint. Errors:
// invalid_argument when the methods of a component cannot stand in one config.json or one
// container.
Status plan_output_files(const Checkpoint& checkpoint, const ResolveOptions& options, Plan& plan);

// Whether the methods chosen for a component can stand in one config.json. Errors: unsupported,
// from the method that cannot express which modules are kept.
Status check_config(const Component& component, const ComponentPlan& plan);

}  // namespace precis
