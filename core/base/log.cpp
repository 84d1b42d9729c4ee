#include "core/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

#include <algorithm>
#include <array>
#include <memory>

namespace precis {

spdlog::logger& logger() {
  // Leaked on purpose: plugins may log while the process shuts down.
  static spdlog::logger* const instance = [] {
    auto* created =
        new spdlog::logger("precis", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    created->set_pattern("%^%l%$: %v");
    created->set_level(spdlog::level::warn);
    return created;
  }();
  return *instance;
}

void set_verbosity(int verbosity) {
  constexpr std::array kLevels{spdlog::level::err, spdlog::level::warn, spdlog::level::info,
                               spdlog::level::debug};
  logger().set_level(kLevels[static_cast<std::size_t>(std::clamp(verbosity, 0, 3))]);
}

}  // namespace precis
