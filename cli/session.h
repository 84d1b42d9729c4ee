// What every command starts from: the global options, the plugins, the thread pool, and the way
// out.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/abi/host.h"
#include "core/base/result.h"
#include "registry/config/registry_resolver.h"

namespace precis::cli {

// Exit codes, fixed: scripts depend on them.
enum ExitCode {
  kDone = 0,
  kBadUse = 1,
  kUnreadable = 2,     // input that cannot be read or is not supported
  kPlugin = 3,         // missing, refused or incompatible
  kResources = 4,      // memory or disk, predicted or hit
  kQuality = 5,        // a measured error beyond the one allowed
  kVerification = 6,   // a checkpoint is not what it claims to be
  kInterrupted = 130,  // resumable
};
int exit_code(const Error& error);

// JSON has no infinity: "Infinity" and "-Infinity" then, which compare as such in most languages.
nlohmann::ordered_json json_number(double value);

// More threads than any machine has processors: a mistyped number.
inline constexpr unsigned kMostThreads = 4096;

// Options of every command, and what is made of them on demand.
class Session {
 public:
  bool json = false;
  int verbose = 0;
  bool quiet = false;
  std::optional<unsigned> threads;  // nothing or 0: every processor
  bool lenient = false;
  std::vector<std::string> plugin_paths;
  std::vector<std::string> arguments;  // of the process, behind the program's name

  // Adds --json, -q, -v, --threads, --plugin-path to a command.
  void add_options(CLI::App& command);
  void apply();

  ThreadPool& pool() { return process_host(threads.value_or(0)).pool(); }
  PluginRegistry& plugins();
  RegistryResolver& resolver();

  // Standard output is for results: with --json one document, else text, which -q leaves out.
  // print() keeps the document until finish(); show() prints text at once.
  void print(nlohmann::ordered_json document);
  void show(std::string_view text);
  // Writes to standard output whatever the options are; what fails is told by finish().
  void write(std::string_view text);
  // Prints a warning to standard error, unless -q is given.
  void warn(std::string_view text) const;
  // Prints an error to standard error, keeps it for the document, and gives its exit code.
  int fail(const Error& error);
  int fail(const Error& error, ExitCode code);
  // Writes what is left to write. Gives `result`, or another exit code when standard output could
  // not be written.
  int finish(int result);

 private:
  nlohmann::ordered_json document_, error_;
  int write_error_ = 0;  // errno of the first write that failed
  std::unique_ptr<PluginRegistry> plugins_;
  std::unique_ptr<RegistryResolver> resolver_;
};

// Each registers its subcommand; `result` receives the exit code when it runs.
void add_inspect(CLI::App& app, Session& session, int& result);
void add_plan(CLI::App& app, Session& session, int& result);
void add_quantize(CLI::App& app, Session& session, int& result);
void add_dequantize(CLI::App& app, Session& session, int& result);
void add_convert(CLI::App& app, Session& session, int& result);
void add_compare(CLI::App& app, Session& session, int& result);
void add_verify(CLI::App& app, Session& session, int& result);
void add_backends(CLI::App& app, Session& session, int& result);
void add_config(CLI::App& app, Session& session, int& result);
void add_doctor(CLI::App& app, Session& session, int& result);
void add_new_plugin(CLI::App& app, Session& session, int& result);

}  // namespace precis::cli
