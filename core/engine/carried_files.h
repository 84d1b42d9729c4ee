// What a plan takes over from its source as it is, and what says that the source is still the same.
#pragma once

#include <filesystem>
#include <set>

#include "core/checkpoint/checkpoint.h"
#include "core/engine/plan.h"

namespace precis {

// model_index.json, tokenizers and the rest are copied; their sizes count. stale: those that are
// not, as they describe what the plan replaces. Error io.
Status add_carried_files(const Checkpoint& checkpoint, const std::set<std::filesystem::path>& stale,
                         Plan& plan);

// The files of a component that no plugin reads. Its weight files are counted already. Error io.
Status add_carried_component(const Checkpoint& checkpoint, std::size_t index, Plan& plan);

// Of everything that the result depends on: the plan, and sizes and times of the source's files.
std::string fingerprint_of(const Checkpoint& checkpoint, const Plan& plan);

}  // namespace precis
