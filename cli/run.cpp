#include "cli/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>

#include "cli/interrupt.h"
#include "cli/plan_options.h"
#include "cli/table.h"
#include "core/base/byte_size.h"
#include "core/base/printable.h"

namespace precis::cli {
namespace {

using nlohmann::ordered_json;

class ProgressPrinter {
 public:
  ProgressPrinter(std::string mode, bool quiet) : mode_(std::move(mode)) {
    if (mode_ == "auto") mode_ = ::isatty(STDERR_FILENO) != 0 ? "bar" : "plain";
    if (quiet) mode_ = "none";
  }

  void operator()(const Progress& progress) {
    const bool last = progress.tensors_done == progress.tensors_total;
    const double interval = mode_ == "bar" ? 0.1 : mode_ == "json" ? 1.0 : 5.0;
    if (mode_ == "none" || (!last && progress.seconds < last_ + interval)) return;
    last_ = progress.seconds;
    if (mode_ == "json") {
      fmt::print(stderr, "{}\n",
                 ordered_json{{"tensors_done", progress.tensors_done},
                              {"tensors_total", progress.tensors_total},
                              {"bytes_done", progress.bytes_done},
                              {"bytes_total", progress.bytes_total},
                              {"bytes_written", progress.bytes_written},
                              {"seconds", progress.seconds},
                              {"peak_memory_bytes", progress.peak_memory_bytes}}
                     .dump());
      return;
    }
    fmt::print(stderr, "{}{}{}", mode_ == "bar" ? "\r\033[K" : "", line(progress),
               mode_ == "bar" && !last ? "" : "\n");
    std::fflush(stderr);
  }

 private:
  static std::string line(const Progress& p) {
    const double share =
        p.bytes_total == 0 ? 1
                           : static_cast<double>(p.bytes_done) / static_cast<double>(p.bytes_total);
    const double rate = p.seconds > 0 ? static_cast<double>(p.bytes_done) / p.seconds : 0;
    const auto left = static_cast<uint64_t>(
        rate > 0 ? static_cast<double>(p.bytes_total - p.bytes_done) / rate : 0);
    std::string text =
        fmt::format("{}/{} tensors  {:3.0f}%  {} written  {}/s  ETA {}:{:02}  peak {}",
                    p.tensors_done, p.tensors_total, 100 * share, format_bytes(p.bytes_written),
                    format_bytes(static_cast<uint64_t>(rate)), left / 60, left % 60,
                    format_bytes(p.peak_memory_bytes));
    if (!p.worst_tensor.empty())
      text += fmt::format("  worst {} {:.4f}", printable(p.worst_tensor), p.worst_relative_error);
    return text;
  }

  std::string mode_;
  double last_ = -1e9;
};

struct ComponentError {
  ErrorStats sum;
  std::string worst;
  double worst_error = 0;
};

std::vector<ComponentError> component_errors(const Plan& plan, const RunReport& report) {
  std::vector<ComponentError> errors(plan.components.size());
  for (const TensorOutcome& outcome : report.tensors) {
    const TensorPlan& tensor = plan.components[outcome.component].tensors[outcome.tensor];
    if (tensor.action != Action::quantize) continue;
    ComponentError& error = errors[outcome.component];
    error.sum.add(outcome.error);
    if (outcome.error.relative_error() >= error.worst_error) {
      error.worst_error = outcome.error.relative_error();
      error.worst = tensor.source.param.name;
    }
  }
  return errors;
}

std::string report_table(const Plan& plan, const std::vector<ComponentError>& errors,
                         bool measured) {
  std::vector<std::vector<std::string>> rows{
      {"component", "method", "source", "output", "rel.error", "worst", "tensor"}};
  for (std::size_t i = 0; i < plan.components.size(); ++i) {
    const ComponentPlan& component = plan.components[i];
    const bool has = measured && !errors[i].worst.empty();
    rows.push_back({component.name.empty() ? plan.source.filename().string() : component.name,
                    component.method.empty() ? "-" : component.method,
                    format_bytes(component.source_bytes), format_bytes(component.output_bytes),
                    has ? fmt::format("{:.5f}", errors[i].sum.relative_error()) : "-",
                    has ? fmt::format("{:.5f}", errors[i].worst_error) : "-", errors[i].worst});
  }
  return format_table(rows, 2);
}

ordered_json report_json(const Plan& plan, const RunReport& report,
                         const std::vector<ComponentError>& errors, const std::string& out) {
  ordered_json components = ordered_json::array();
  for (std::size_t i = 0; i < plan.components.size(); ++i) {
    const ComponentPlan& component = plan.components[i];
    components.push_back({{"name", component.name},
                          {"method", component.method},
                          {"source_bytes", component.source_bytes},
                          {"output_bytes", component.output_bytes},
                          {"relative_error", json_number(errors[i].sum.relative_error())},
                          {"max_error", json_number(errors[i].sum.max_error())},
                          {"snr_db", json_number(errors[i].sum.snr_db())},
                          {"worst_tensor", errors[i].worst},
                          {"worst_relative_error", json_number(errors[i].worst_error)}});
  }
  return {{"output", out},
          {"seconds", report.seconds},
          {"bytes_written", report.bytes_written},
          {"peak_memory_bytes", report.peak_memory_bytes},
          {"predicted_peak_memory_bytes", plan.peak_memory_bytes},
          {"resumed_tensors", report.resumed_tensors},
          {"warnings", report.warnings},
          {"components", std::move(components)}};
}

}  // namespace

CLI::Option* add_max_error(CLI::App& command, std::optional<double>& max_error) {
  return command
      .add_option("--max-error", max_error, "exit 5 when a tensor's relative error is larger")
      ->type_name("X")
      ->check([](const std::string& text) {
        char* end = nullptr;
        const bool number = std::strtod(text.c_str(), &end) >= 0 && *end == '\0';
        return number ? std::string()
                      : fmt::format("'{}' is neither 0 nor a positive number", text);
      });
}

void RunOptions::add_options(CLI::App& command) {
  command.add_option("-o,--output", output, "where the result appears once it is complete")
      ->required();
  command.add_flag("--resume,!--no-resume", resume,
                   "go on with an interrupted run of the same command (default)");
  command.add_flag("--force", force, "replace an existing result");
  command.add_flag("--measure-error,!--no-measure-error", measure_error,
                   "decode what was written and compare (default)");
  add_max_error(command, max_error);
  command.add_option("--progress", progress, "auto, plain, json or none")
      ->check(CLI::IsMember({"auto", "plain", "json", "none"}));
}

void RunOptions::add_isolation(CLI::App& command) {
  auto* flag = command.add_flag("--isolate", isolate,
                                "encode and decode in processes of their own: a plugin that "
                                "crashes or hangs costs its tensor "
                                "only");
  command
      .add_option("--isolate-timeout", isolate_timeout,
                  "how long a plugin may neither poll nor finish")
      ->type_name("SECONDS")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1'000'000}))
      ->needs(flag)
      ->capture_default_str();
}

int run_plan(const Plan& plan, const RunOptions& options, Session& session) {
  const GracefulInterrupt interrupt;
  ExecuteOptions execute_options;
  execute_options.resume = options.resume;
  execute_options.force = options.force;
  execute_options.measure_error = options.measure_error;
  execute_options.cancel = &interrupt.requested();
  if (options.isolate) {
    execute_options.isolation = {std::chrono::seconds(options.isolate_timeout),
                                 &process_host(session.threads.value_or(0))};
  }
  ProgressPrinter printer(options.progress, session.quiet);
  execute_options.progress = [&](const Progress& progress) { printer(progress); };
  const auto report = execute(plan, options.output, session.pool(), execute_options);
  if (!report.ok()) {
    if (report.error().code() != ErrorCode::cancelled) return session.fail(report.error());
    return session.fail(
        Error(ErrorCode::cancelled, "interrupted", "the same command goes on where it stopped"));
  }
  const auto errors = component_errors(plan, *report);
  for (const std::string& warning : report->warnings) session.warn(warning);
  if (session.json) {
    session.print(report_json(plan, *report, errors, options.output));
  } else {
    session.show(fmt::format(
        "{}\n{} in {:.1f} s, {} -> {}, peak memory {} (predicted {})\n",
        report_table(plan, errors, options.measure_error), printable(options.output),
        report->seconds, format_bytes(plan.source_bytes), format_bytes(plan.output_bytes),
        format_bytes(report->peak_memory_bytes), format_bytes(plan.peak_memory_bytes)));
  }
  for (const ComponentError& error : errors) {
    if (options.max_error && error.worst_error > *options.max_error) {
      return session.fail(Error(ErrorCode::quality,
                                fmt::format("'{}' has a relative error of {:.6g}, {:g} is allowed",
                                            error.worst, error.worst_error, *options.max_error),
                                "keep this tensor with --skip, or give it more bits with --rule"));
    }
  }
  return kDone;
}

std::optional<ContainerFormat> container_of(const std::string& output) {
  if (output.ends_with(".gguf")) return ContainerFormat::gguf;
  if (output.ends_with(".safetensors")) return ContainerFormat::safetensors;
  return std::nullopt;
}

}  // namespace precis::cli
