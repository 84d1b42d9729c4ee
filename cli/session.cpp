#include "cli/session.h"

#include <fmt/format.h>

#include <cerrno>
#include <cmath>
#include <cstdio>

#include "cli/interrupt.h"
#include "core/base/log.h"
#include "core/base/output_file.h"
#include "core/base/printable.h"

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

nlohmann::ordered_json json_number(double value) {
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return value;
}

void Session::add_options(CLI::App& command) {
  command.add_flag("--json", json, "print the result, or the error, as one JSON document");
  command.add_flag("-q,--quiet", quiet, "errors only: no tables, warnings, progress");
  command.add_flag("-v,--verbose", verbose, "more messages; twice for debugging");
  command.add_option("--threads", threads, "threads to use; 0: every processor")
      ->check(CLI::Range(0u, kMostThreads))
      ->type_name("N");
  command.add_option("--plugin-path", plugin_paths, "look for plugins here first; repeatable")
      ->type_name("DIR")
      ->allow_extra_args(false);
}

void Session::apply() {
  set_verbosity(quiet ? 0 : 1 + verbose);
  watch_interrupts(json);
}

PluginRegistry& Session::plugins() {
  if (!plugins_) {
    const std::vector<std::filesystem::path> first(plugin_paths.begin(), plugin_paths.end());
    plugins_ = std::make_unique<PluginRegistry>(process_host(threads.value_or(0)).abi(),
                                                plugin_search_path(first));
  }
  return *plugins_;
}

RegistryResolver& Session::resolver() {
  if (!resolver_) resolver_ = std::make_unique<RegistryResolver>(plugins(), lenient);
  return *resolver_;
}

void Session::print(nlohmann::ordered_json document) {
  document_ = std::move(document);
}

void Session::show(std::string_view text) {
  if (!json && !quiet) write(text);
}

void Session::write(std::string_view text) {
  const std::size_t written = std::fwrite(text.data(), 1, text.size(), stdout);
  if (written < text.size() && write_error_ == 0) write_error_ = errno;
}

void Session::warn(std::string_view text) const {
  if (!quiet) fmt::print(stderr, "warning: {}\n", printable(text, "\n"));
}

int Session::fail(const Error& error) {
  return fail(error, static_cast<ExitCode>(exit_code(error)));
}

int Session::fail(const Error& error, ExitCode code) {
  fmt::print(stderr, "error[{}]: {}\n", error_code_name(error.code()),
             printable(error.text(), "\n"));
  if (!error.hint().empty()) fmt::print(stderr, "  hint: {}\n", printable(error.hint(), "\n"));
  error_ = {{"code", error_code_name(error.code())},
            {"message", error.text()},
            {"hint", error.hint()},
            {"exit_code", static_cast<int>(code)}};
  return code;
}

int Session::finish(int result) {
  if (json) {
    ignore_interrupts();
    if (document_.is_null()) document_ = nlohmann::ordered_json::object();
    if (!error_.is_null()) document_["error"] = error_;
    write(document_.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  }
  if (std::fflush(stdout) != 0 && write_error_ == 0) write_error_ = errno;
  if (write_error_ == 0) return result;
  const int code = fail(system_error("standard output", "write", write_error_));
  return result == kDone ? code : result;
}

}  // namespace precis::cli
