#include "core/base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <algorithm>
#include <array>
#include <memory>

#include "core/base/printable.h"

namespace precis {

namespace {

// The message, whose names may come from foreign files.
class PrintableMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string text = printable({message.payload.data(), message.payload.size()}, "\n");
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<spdlog::custom_flag_formatter> clone() const override {
    return std::make_unique<PrintableMessage>();
  }
};

}  // namespace

spdlog::logger& logger() {
  // Leaked on purpose: plugins may log while the process shuts down.
  static spdlog::logger* const instance = [] {
    auto* created =
        new spdlog::logger("precis", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    auto formatter = std::make_unique<spdlog::pattern_formatter>();
    formatter->add_flag<PrintableMessage>('*').set_pattern("%^%l%$: %*");
    created->set_formatter(std::move(formatter));
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
