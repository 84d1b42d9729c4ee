#include "cli/session.h"

#include <fmt/format.h>

#include <cstdio>

#include "core/base/log.h"

namespace precis::cli {

int exit_code(const Error& error) {
  switch (error.code()) {
    case ErrorCode::cancelled:
      return kInterrupted;
    case ErrorCode::invalid_argument:
    case ErrorCode::invalid_type:
    case ErrorCode::failed_precondition:
      return kBadUse;
    case ErrorCode::unsupported:
    case ErrorCode::not_found:
    case ErrorCode::data_loss:
    case ErrorCode::io:
      return kUnreadable;
    case ErrorCode::abi_mismatch:
    case ErrorCode::plugin:
      return kPlugin;
    case ErrorCode::out_of_memory:
    case ErrorCode::device_error:
    case ErrorCode::no_space:
      return kResources;
    case ErrorCode::quality:
      return kQuality;
    case ErrorCode::verification:
      return kVerification;
    case ErrorCode::internal:
      break;
  }
  return kUnreadable;
}

void Session::add_options(CLI::App& command) {
  command.add_flag("--json", json, "print the result as JSON");
  command.add_flag("-q,--quiet", quiet, "errors only");
  command.add_flag("-v,--verbose", verbose, "more messages; twice for debugging");
  command.add_option("--threads", threads, "threads to use; 0: every processor")->type_name("N");
  command.add_option("--plugin-path", plugin_paths, "look for plugins here first")
      ->type_name("DIR");
}

void Session::apply() {
  set_verbosity(quiet ? 0 : 1 + verbose);
}

PluginRegistry& Session::plugins() {
  if (!plugins_) {
    const std::vector<std::filesystem::path> first(plugin_paths.begin(), plugin_paths.end());
    plugins_ =
        std::make_unique<PluginRegistry>(process_host(threads).abi(), plugin_search_path(first));
  }
  return *plugins_;
}

RegistryResolver& Session::resolver() {
  if (!resolver_) resolver_ = std::make_unique<RegistryResolver>(plugins(), lenient);
  return *resolver_;
}

int Session::fail(const Error& error) const {
  fmt::print(stderr, "error[{}]: {}\n", error_code_name(error.code()), error.text());
  if (!error.hint().empty()) fmt::print(stderr, "  hint: {}\n", error.hint());
  if (json) {
    print({{"error",
            {{"code", error_code_name(error.code())},
             {"message", error.text()},
             {"hint", error.hint()}}}});
  }
  return exit_code(error);
}

void Session::print(const nlohmann::ordered_json& document) const {
  fmt::print("{}\n", document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace precis::cli
