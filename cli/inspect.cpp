// precis inspect, compare, verify: what is in a checkpoint, and whether it is right.
#include <fmt/format.h>

#include <memory>

#include "cli/run.h"
#include "cli/session.h"
#include "cli/table.h"
#include "core/base/byte_size.h"
#include "core/base/printable.h"
#include "core/engine/compare.h"
#include "core/engine/verify.h"

namespace precis::cli {
namespace {

using nlohmann::ordered_json;

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : "x") + std::to_string(size);
  return text.empty() ? "scalar" : text;
}

std::string full_name(const std::string& component, const std::string& tensor) {
  return component.empty() ? tensor : component + "." + tensor;
}

struct Summary {
  std::string method;  // of its quantized weights; why it is not decoded, when there is no plugin
  std::vector<LogicalTensor> tensors;
  std::string problem;
};

Summary summarize(const Component& component, Session& session) {
  Summary summary;
  auto tensors = logical_tensors(component, session.resolver());
  if (!tensors.ok()) {
    summary.problem = tensors.error().text();
    for (const TensorRef& ref : component.tensors) {
      Param param;
      param.name = ref.entry->name;
      param.dtype = ref.entry->dtype;
      param.shape = ref.entry->shape;
      summary.tensors.push_back({param, nullptr, {{component.files[ref.file], ref.entry}}});
    }
    return summary;
  }
  summary.tensors = *std::move(tensors);
  for (const LogicalTensor& tensor : summary.tensors) {
    if (tensor.quantizer) summary.method = tensor.quantizer->spec();
  }
  return summary;
}

ordered_json component_json(const Component& component, const Summary& summary) {
  ordered_json tensors = ordered_json::array();
  for (const LogicalTensor& tensor : summary.tensors) {
    tensors.push_back({{"name", tensor.param.name},
                       {"storage", storage_name(tensor)},
                       {"shape", tensor.param.shape},
                       {"bytes", tensor.stored_bytes()},
                       {"quantized", !tensor.plain()}});
  }
  ordered_json files = ordered_json::array();
  for (const auto& file : component.files) {
    files.push_back({{"path", file->path().string()},
                     {"format", container_format_name(file->format())},
                     {"bytes", file->file_size()}});
  }
  ordered_json json{{"name", component.name},
                    {"library", component.library},
                    {"class", component.class_name},
                    {"family", component.family},
                    {"method", summary.method}};
  if (!summary.problem.empty()) json["problem"] = summary.problem;
  if (const auto* config = component.quantization_config()) json["quantization_config"] = *config;
  json["files"] = std::move(files);
  json["tensors"] = std::move(tensors);
  return json;
}

int inspect(const std::string& path, const std::string& variant, bool list, Session& session) {
  const auto checkpoint = open_checkpoint(path, {variant});
  if (!checkpoint.ok()) return session.fail(checkpoint.error());
  ordered_json components = ordered_json::array();
  std::vector<std::vector<std::string>> rows{
      {"component", "class", "family", "method", "tensors", "bytes", "bits/weight"}};
  std::string details;
  for (const Component& component : checkpoint->components) {
    const Summary summary = summarize(component, session);
    if (session.json) {
      components.push_back(component_json(component, summary));
      continue;
    }
    uint64_t bytes = 0, elements = 0;
    for (const LogicalTensor& tensor : summary.tensors) {
      bytes += tensor.stored_bytes();
      if (tensor.param.shape_known) elements += tensor.param.elements();
      if (list) {
        details += fmt::format("  {}  {}  {}  {}\n",
                               printable(full_name(component.name, tensor.param.name)),
                               printable(storage_name(tensor)), shape_text(tensor.param.shape),
                               format_bytes(tensor.stored_bytes()));
      }
    }
    rows.push_back({component.name.empty() ? checkpoint->root.filename().string() : component.name,
                    component.class_name.empty() ? "-" : component.class_name, component.family,
                    summary.method.empty() ? "-" : summary.method,
                    std::to_string(summary.tensors.size()), format_bytes(bytes),
                    elements == 0 ? "-"
                                  : fmt::format("{:.2f}", 8.0 * static_cast<double>(bytes) /
                                                              static_cast<double>(elements))});
    if (!summary.problem.empty()) {
      session.warn(component.name.empty() ? summary.problem
                                          : component.name + ": " + summary.problem);
    }
  }
  if (session.json) {
    session.print({{"path", path}, {"components", std::move(components)}});
  } else {
    session.show(format_table(rows, 4) + details);
  }
  return kDone;
}

ordered_json comparison_json(const Comparison& comparison) {
  ordered_json tensors = ordered_json::array();
  for (const TensorComparison& t : comparison.tensors) {
    tensors.push_back({{"component", t.component},
                       {"name", t.name},
                       {"a", t.method_a},
                       {"b", t.method_b},
                       {"bytes_a", t.bytes_a},
                       {"bytes_b", t.bytes_b},
                       {"relative_error", json_number(t.error.relative_error())},
                       {"max_error", json_number(t.error.max_error())},
                       {"snr_db", json_number(t.error.snr_db())},
                       {"nonfinite_a", t.error.nonfinite_original},
                       {"nonfinite_b", t.error.nonfinite_decoded},
                       {"nonfinite_changed", t.error.nonfinite_changed}});
  }
  return {{"tensors", std::move(tensors)},
          {"only_in_a", comparison.only_a},
          {"only_in_b", comparison.only_b},
          {"other_bytes", comparison.other_bytes}};
}

std::string comparison_table(const Comparison& comparison, bool all) {
  std::vector<std::vector<std::string>> rows{
      {"tensor", "a", "b", "rel.error", "max.error", "SNR dB"}};
  std::size_t equal = 0;
  for (const TensorComparison& t : comparison.tensors) {
    const bool same = t.error.equal();
    equal += same ? 1 : 0;
    if (same && !all) continue;
    rows.push_back({full_name(t.component, t.name), t.method_a, t.method_b,
                    fmt::format("{:.6f}", t.error.relative_error()),
                    fmt::format("{:.3g}", t.error.max_error()),
                    fmt::format("{:.1f}", t.error.snr_db())});
  }
  std::string text = rows.size() > 1 ? format_table(rows, 3) : "";
  text += fmt::format("{} weights compared, {} equal\n", comparison.tensors.size(), equal);
  const auto list = [&](const char* what, const std::vector<std::string>& names) {
    for (const std::string& name : names) text += fmt::format("{}: {}\n", what, printable(name));
  };
  list("only in a", comparison.only_a);
  list("only in b", comparison.only_b);
  list("other bytes", comparison.other_bytes);
  return text;
}

int check_error(const Comparison& comparison, const std::optional<double>& allowed,
                Session& session) {
  if (!allowed) return kDone;
  const Status agreement = check_agreement(comparison, *allowed);
  return agreement.ok() ? static_cast<int>(kDone) : session.fail(agreement.error());
}

ordered_json verification_json(const std::string& path, const VerifyReport& report) {
  ordered_json document{{"path", path},
                        {"ok", report.problems.empty()},
                        {"files", report.files},
                        {"tensors", report.tensors},
                        {"hashed_tensors", report.hashed_tensors},
                        {"undecoded_tensors", report.undecoded_tensors},
                        {"problems", report.problems},
                        {"notes", report.notes}};
  if (report.compared) document["comparison"] = comparison_json(report.comparison);
  return document;
}

std::string verification_text(const std::string& path, const VerifyReport& report) {
  std::string text;
  for (const std::string& note : report.notes) text += fmt::format("note: {}\n", printable(note));
  const TensorComparison* worst = report.comparison.worst();
  if (report.compared && worst != nullptr) {
    text +=
        fmt::format("worst of {} weights against the source: {} rel.error {:.6f}, SNR {:.1f} dB\n",
                    report.comparison.tensors.size(), printable(worst->name),
                    worst->error.relative_error(), worst->error.snr_db());
  }
  std::string verdict = report.problems.empty() ? "ok" : "NOT ok";
  if (report.problems.empty() && report.undecoded_tensors > 0) {
    verdict +=
        fmt::format(", but {} weights were not decoded (see the notes)", report.undecoded_tensors);
  }
  return text + fmt::format("{}: {} files, {} tensors, {} digests: {}\n", printable(path),
                            report.files, report.tensors, report.hashed_tensors, verdict);
}

int verify_command(const std::string& path, const std::string& source,
                   const std::optional<double>& max_error, Session& session) {
  const auto checkpoint = open_checkpoint(path);
  if (!checkpoint.ok()) {
    // What is there but cannot be opened is not what it should be.
    const ErrorCode code = checkpoint.error().code();
    std::error_code ignored;
    const bool damaged =
        code == ErrorCode::data_loss ||
        (code == ErrorCode::not_found && std::filesystem::is_directory(path, ignored));
    return damaged ? session.fail(checkpoint.error(), kVerification)
                   : session.fail(checkpoint.error());
  }
  std::optional<Checkpoint> original;
  if (!source.empty()) {
    auto opened = open_checkpoint(source);
    if (!opened.ok()) return session.fail(opened.error());
    original = *std::move(opened);
  }
  const auto report =
      verify(*checkpoint, original ? &*original : nullptr, session.resolver(), session.pool());
  if (!report.ok()) return session.fail(report.error());
  if (session.json)
    session.print(verification_json(path, *report));
  else
    session.show(verification_text(path, *report));
  if (report->problems.empty()) return check_error(report->comparison, max_error, session);
  for (std::size_t i = 1; i < report->problems.size(); ++i)
    fmt::print(stderr, "problem: {}\n", printable(report->problems[i]));
  return session.fail(Error(ErrorCode::verification,
                            report->problems.size() == 1
                                ? report->problems.front()
                                : fmt::format("{} problems, the first: {}", report->problems.size(),
                                              report->problems.front()),
                            "write it again from its source"));
}

}  // namespace

void add_inspect(CLI::App& app, Session& session, int& result) {
  auto* command = app.add_subcommand(
      "inspect", "what is in a checkpoint: components, tensors, formats, bits per weight");
  auto path = std::make_shared<std::string>();
  auto variant = std::make_shared<std::string>();
  auto list = std::make_shared<bool>(false);
  command->add_option("PATH", *path, "a checkpoint")->required();
  command->add_option("--variant", *variant, "variant of the weight files")->type_name("NAME");
  command->add_flag("--tensors", *list, "list every tensor");
  session.add_options(*command);
  command->callback([=, &session, &result] {
    session.apply();
    result = inspect(*path, *variant, *list || session.verbose > 0, session);
  });
}

void add_compare(CLI::App& app, Session& session, int& result) {
  auto* command =
      app.add_subcommand("compare", "the difference between two checkpoints, weight by weight");
  auto a = std::make_shared<std::string>(), b = std::make_shared<std::string>();
  auto max_error = std::make_shared<std::optional<double>>();
  auto all = std::make_shared<bool>(false);
  command->add_option("A", *a, "the original")->required();
  command->add_option("B", *b, "the one to judge")->required();
  add_max_error(*command, *max_error);
  command->add_flag("--all", *all, "list equal tensors too");
  session.add_options(*command);
  command->callback([=, &session, &result] {
    session.apply();
    const auto left = open_checkpoint(*a);
    if (!left.ok()) return void(result = session.fail(left.error()));
    const auto right = open_checkpoint(*b);
    if (!right.ok()) return void(result = session.fail(right.error()));
    const auto comparison = compare(*left, *right, session.resolver(), session.pool());
    if (!comparison.ok()) return void(result = session.fail(comparison.error()));
    if (session.json)
      session.print(comparison_json(*comparison));
    else
      session.show(comparison_table(*comparison, *all));
    result = check_error(*comparison, *max_error, session);
  });
}

void add_verify(CLI::App& app, Session& session, int& result) {
  auto* command = app.add_subcommand(
      "verify", "structure, digests, NaN scan, decoding; with --source the error too");
  auto path = std::make_shared<std::string>(), source = std::make_shared<std::string>();
  auto max_error = std::make_shared<std::optional<double>>();
  command->add_option("OUT", *path, "a checkpoint")->required();
  auto* source_option =
      command->add_option("--source", *source, "what it was made from")->type_name("PATH");
  add_max_error(*command, *max_error)->needs(source_option);
  session.add_options(*command);
  command->callback([=, &session, &result] {
    session.apply();
    result = verify_command(*path, *source, *max_error, session);
  });
}

}  // namespace precis::cli
