// Random configs, shapes and damaged parts, each from a seed that repeats it.
#pragma once

#include <chrono>
#include <cstdint>

#include "validate/subject/subject.h"
#include "validate/verdict.h"

namespace precis::validate {

// One attempt: the same for the same seed. Fails where the plugin breaks the contract; a crash is
// the caller's to see.
Verdict fuzz_once(Subject& subject, uint64_t seed);

// Attempts from `seed` on, until one fails or the time is over. note_seed() is told of each.
Verdict fuzz(Subject& subject, uint64_t seed, std::chrono::seconds time);

}  // namespace precis::validate
