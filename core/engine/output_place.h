// Where a result may be written: what must hold of the place before anything is created.
#pragma once

#include <filesystem>

#include "core/engine/execute.h"

namespace precis {

inline constexpr const char* kJournalName = ".precis-journal";

// `path` with `suffix` behind its last name; "out/" and "out" are the same place.
std::filesystem::path with_suffix(std::filesystem::path path, const std::string& suffix);

// Whether the plan's result, which grows in `partial`, may become `out`. Errors: io for a place
// that holds something else: the source, or a part of it, or what contains it; an existing result
// without `force`; a directory that is no checkpoint, also with `force`; a `partial` that is no
// unfinished result. no_space when the disk cannot hold it.
Status check_output_place(const Plan& plan, const std::filesystem::path& out,
                          const std::filesystem::path& partial, bool force);

// Whether the plan's result is one file and not a directory.
bool is_single_file(const Plan& plan);

}  // namespace precis
