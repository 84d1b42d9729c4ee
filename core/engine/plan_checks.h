// What is to be said of a plan before anyone carries it out.
#pragma once

#include "core/engine/resolve.h"

namespace precis {

// Refuses a plan that does not do what was asked for, and adds a warning for each wish that it
// leaves unfulfilled. Errors: invalid_argument when methods are named but nothing is quantized, and
// when an importance matrix has nothing to do with the checkpoint or with the methods.
Status check_plan(const ResolveOptions& options, Plan& plan);

// Error out_of_memory when a tensor alone needs more working memory than the cap, naming the one
// that needs most.
Status check_memory(const Plan& plan);

}  // namespace precis
