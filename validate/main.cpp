// precis-validate: whether a plugin keeps the contract.
#include <fmt/format.h>
#include <fnmatch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "core/base/log.h"
#include "core/base/output_file.h"
#include "core/base/printable.h"
#include "validate/audit/audit.h"
#include "validate/fuzz/fuzz.h"
#include "validate/rules/rule.h"
#include "validate/runner/report.h"
#include "validate/subject/older_host.h"

namespace precis::validate {
namespace {

namespace fs = std::filesystem;

// As those of precis: scripts depend on them.
enum ExitCode { kKept = 0, kBadUse = 1, kUnreadable = 2, kBroken = 6 };

struct Options {
  std::string path;
  AuditLimits limits;
  std::vector<std::string> include, exclude;
  bool json = false, list = false;
  std::string junit;
  uint64_t timeout = 120, seconds = 10, seed = 1;
  std::optional<uint64_t> reproduce;
  std::optional<uint32_t> host_minor;
  std::string input_path;
  std::shared_ptr<const InputCheckpoint> input;

  bool wants(std::string_view rule) const {
    const auto matches = [&](const std::string& glob) {
      return ::fnmatch(glob.c_str(), std::string(rule).c_str(), 0) == 0;
    };
    return (include.empty() || std::any_of(include.begin(), include.end(), matches)) &&
           std::none_of(exclude.begin(), exclude.end(), matches);
  }
};

constexpr AuditRule kFuzzRule{"fuzz", "B8", "random configs, shapes and checkpoints break nothing",
                              nullptr};

int fail(const Error& error) {
  fmt::print(stderr, "error: {}\n", printable(error.text()));
  if (!error.hint().empty()) fmt::print(stderr, "  hint: {}\n", printable(error.hint()));
  return kUnreadable;
}

int list_rules() {
  const auto print = [](const auto& rule) {
    fmt::print("{:28} {:42} {}\n", rule.id, rule.clause, rule.explanation);
  };
  for (const AuditRule& rule : audit_rules()) print(rule);
  for (const Rule& rule : all_rules()) print(rule);
  print(kFuzzRule);
  return kKept;
}

// Collects results, and shows each as it comes.
class Results {
 public:
  explicit Results(const Options& options) : options_(options) {}

  const ChildResult& add(const std::string& plugin, const auto& rule, ChildResult outcome) {
    report_.results.push_back({plugin, std::string(rule.id), std::string(rule.clause),
                               std::string(rule.explanation), std::move(outcome)});
    if (!options_.json) fmt::print("{}", result_line(report_.results.back()));
    std::fflush(stdout);
    return report_.results.back().outcome;
  }

  int finish() const {
    if (!options_.junit.empty()) {
      const auto status = write_file_atomically(options_.junit, report_junit(report_));
      if (!status.ok()) return fail(status.error());
    }
    if (options_.json)
      fmt::print("{}\n", report_json(report_).dump(2));
    else
      fmt::print("{}", summary_line(report_));
    return report_.count(Verdict::Kind::failed) == 0 ? kKept : kBroken;
  }

 private:
  const Options& options_;
  Report report_;
};

void audit_one(const AuditedFile& file, const Options& options, Results& results) {
  const std::string name = file.manifest ? file.manifest->id : file.path.filename().string();
  if (!options.json) fmt::print("{} ({})\n", printable(name), printable(file.path.string()));
  for (const AuditRule& rule : audit_rules()) {
    if (options.wants(rule.id)) results.add(name, rule, {rule.test(file), {}, 0, 0});
  }
}

ChildResult run_rule(const Rule& rule, const Manifest& manifest, const Options& options) {
  return run_in_child(
      [&]() -> Verdict {
        Subject subject(manifest);
        subject.use_input(options.input);
        if (rule.started) PRECIS_TRY(subject.start());
        return rule.test(subject);
      },
      std::chrono::seconds(options.timeout), rule.leave);
}

void validate_one(const Manifest& manifest, const Options& options, Results& results) {
  std::string failed_gate;
  for (const Rule& rule : all_rules()) {
    if (!options.wants(rule.id)) continue;
    if (!failed_gate.empty()) {
      results.add(manifest.id, rule, {Verdict::skip(failed_gate + " failed"), {}, 0, 0});
      continue;
    }
    const ChildResult& outcome = results.add(manifest.id, rule, run_rule(rule, manifest, options));
    if (rule.gate && outcome.verdict.kind() == Verdict::Kind::failed) failed_gate = rule.id;
  }
}

void fuzz_one(const Manifest& manifest, const Options& options, Results& results) {
  const std::chrono::seconds time(options.reproduce ? 0 : options.seconds);
  ChildResult outcome = run_in_child(
      [&]() -> Verdict {
        Subject subject(manifest);
        PRECIS_TRY(subject.start());
        if (!options.reproduce) return fuzz(subject, options.seed, time);
        note_seed(*options.reproduce);
        return fuzz_once(subject, *options.reproduce);
      },
      time + std::chrono::seconds(options.timeout));
  if (outcome.verdict.kind() == Verdict::Kind::failed) {
    outcome.verdict =
        violation("{}; again with --reproduce {}", outcome.verdict.text(), outcome.seed);
  } else if (outcome.verdict.kind() == Verdict::Kind::passed && !options.reproduce) {
    outcome.verdict =
        Verdict(Verdict::Kind::passed, fmt::format("seeds {} to {}", options.seed, outcome.seed));
  }
  results.add(manifest.id, kFuzzRule, std::move(outcome));
}

enum class Work { audit, validate, fuzz };

int run(Options& options, Work work) {
  if (!options.input_path.empty()) {
    auto input = read_input(options.input_path);
    if (!input.ok()) return fail(input.error());
    options.input = std::make_shared<const InputCheckpoint>(*std::move(input));
  }
  const auto libraries = libraries_of(options.path);
  if (!libraries.ok()) return fail(libraries.error());
  Results results(options);
  for (const fs::path& library : *libraries) {
    const auto file = read_audited(library, options.limits);
    if (!file.ok()) return fail(file.error());
    if (work != Work::fuzz) audit_one(*file, options, results);
    if (work == Work::audit) continue;
    if (!file->manifest) return fail(*file->manifest_error);
    work == Work::validate ? validate_one(*file->manifest, options, results)
                           : fuzz_one(*file->manifest, options, results);
  }
  return results.finish();
}

void add_options(CLI::App& command, Options& options) {
  command.add_option("PLUGIN", options.path, "a library, its manifest, or a folder of plugins")
      ->required();
  command.add_flag("--json", options.json, "one JSON document on standard output");
  command.add_option("--junit", options.junit, "also write the results as JUnit's XML")
      ->type_name("FILE");
}

void add_rule_options(CLI::App& command, Options& options) {
  command.add_option("--include", options.include, "only rules that match")->type_name("GLOB");
  command.add_option("--exclude", options.exclude, "no rules that match")->type_name("GLOB");
  command.add_option("--max-glibc", options.limits.glibc, "newest GLIBC it may need")
      ->capture_default_str();
  command.add_option("--max-glibcxx", options.limits.glibcxx, "newest GLIBCXX it may need")
      ->capture_default_str();
}

void add_timeout(CLI::App& command, Options& options) {
  command.add_option("--timeout", options.timeout, "seconds for one rule, or one attempt")
      ->capture_default_str();
}

void add_input(CLI::App& command, Options& options) {
  command
      .add_option(
          "--input", options.input_path,
          "a quantized checkpoint for the rules about reading, of a plugin that writes none")
      ->type_name("PATH");
}

void add_host_minor(CLI::App& command, Options& options) {
  command
      .add_option("--host-minor", options.host_minor,
                  "be a host of this minor, with its version, and with structs that end where they "
                  "ended then")
      ->check(CLI::Range(0u, PRECIS_ABI_MINOR))
      ->type_name("N");
}

int validate_main(int argc, char** argv) {
  CLI::App app{"precis-validate says whether a plugin keeps the contract of plugin_api/README.md",
               "precis-validate"};
  Options options;
  app.set_version_flag("--version", "precis-validate 0.1.0");
  app.add_flag("--list", options.list,
               "every rule: its id, the clause of the contract, what it says");
  app.footer(
      "Exit codes: 0 every rule is kept, 1 bad use, 2 unreadable input, 6 a rule is broken.");
  auto* audit = app.add_subcommand("audit", "the library's file, without loading it");
  auto* validate = app.add_subcommand("validate", "audit, then every rule in a process of its own");
  auto* fuzz = app.add_subcommand("fuzz", "random configs, shapes and checkpoints");
  for (CLI::App* command : {audit, validate, fuzz}) add_options(*command, options);
  for (CLI::App* command : {audit, validate}) add_rule_options(*command, options);
  for (CLI::App* command : {validate, fuzz}) {
    add_timeout(*command, options);
    add_host_minor(*command, options);
  }
  add_input(*validate, options);
  fuzz->add_option("--seed", options.seed, "of the first attempt; the next has the next number")
      ->capture_default_str();
  fuzz->add_option("--seconds", options.seconds, "how long to try")->capture_default_str();
  fuzz->add_option("--reproduce", options.reproduce, "the attempt of this seed alone")
      ->type_name("SEED");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kKept : kBadUse;
  }
  set_verbosity(0);
  if (options.list) return list_rules();
  choose_host_minor(options.host_minor);
  if (app.got_subcommand(audit)) return run(options, Work::audit);
  if (app.got_subcommand(validate)) return run(options, Work::validate);
  if (app.got_subcommand(fuzz)) return run(options, Work::fuzz);
  fmt::print(stderr, "{}", app.help());
  return kBadUse;
}

}  // namespace
}  // namespace precis::validate

int main(int argc, char** argv) {
  return precis::validate::validate_main(argc, argv);
}
