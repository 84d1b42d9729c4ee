// Whether this processor has what a plugin's library was compiled for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace precis {

// The first of `required` that the processor lacks; nothing when it has them all. Names are those
// of Linux's /proc/cpuinfo ("flags" on x86, "Features" on ARM), such as avx2, avx512_vnni,
// amx_tile, asimd. Where that file cannot be read every feature counts as lacking.
std::optional<std::string> missing_cpu_feature(const std::vector<std::string>& required);

// The same for the text of a /proc/cpuinfo.
std::optional<std::string> missing_cpu_feature(const std::vector<std::string>& required,
                                               std::string_view cpuinfo);

}  // namespace precis
