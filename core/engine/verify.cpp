#include "core/engine/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <optional>
#include <set>

#include "core/base/output_file.h"
#include "core/base/sha256.h"
#include "core/engine/method_resolver.h"
#include "core/engine/provenance.h"
#include "core/engine/tensor_job.h"

namespace precis {
namespace {

// The digests a file carries: hex digits, 32 a tensor, in the order of the tensors' names.
std::string stored_digests(const Container& file) {
  const std::string text = metadata_string(file, kDigestsKey);
  return text.starts_with(kDigestsPrefix) ? text.substr(kDigestsPrefix.size()) : std::string();
}

std::string full_name(const std::string& component, const std::string& name) {
  return component.empty() ? name : component + "." + name;
}

std::string in_component(const Component& component, std::string text) {
  return component.name.empty() ? text : fmt::format("component {}: {}", component.name, text);
}

// What the files of a component say of their making; nothing when precis did not write them.
std::optional<Provenance> provenance_of(const Component& component) {
  for (const auto& file : component.files) {
    if (auto provenance = stored_provenance(*file)) return provenance;
  }
  return std::nullopt;
}

// The component of the source that `component` was made from; null when there is none.
const Component* counterpart(const Checkpoint& checkpoint, const Component& component,
                             const Checkpoint& source) {
  if (checkpoint.components.size() == 1 && source.components.size() == 1)
    return &source.components.front();
  for (const Component& candidate : source.components) {
    if (candidate.name == component.name) return &candidate;
  }
  return nullptr;
}

class Verifier {
 public:
  Verifier(MethodResolver& methods, ThreadPool& pool, bool lone_file, VerifyReport& report)
      : methods_(methods), pool_(pool), lone_file_(lone_file), report_(report) {}

  // original: the component of the source, when there is a source that has it.
  Status check_component(const Component& component, const Component* original, bool scan_numbers) {
    for (const auto& file : component.files) check_digests(*file);
    report_.tensors += component.tensors.size();
    if (const auto provenance = provenance_of(component)) {
      if (!check_config(component, *provenance)) return {};
      if (original != nullptr) PRECIS_TRY(check_source(component, *provenance, *original));
    }
    const auto tensors = logical_tensors(component, methods_);
    if (!tensors.ok()) {
      if (tensors.error().code() == ErrorCode::plugin && !component.name.empty()) {
        report_.notes.push_back(fmt::format("component {} was not decoded: {}", component.name,
                                            tensors.error().text()));
        return {};
      }
      if (tensors.error().code() != ErrorCode::data_loss) return tensors.error();
      problem(in_component(component, tensors.error().text()));
      return {};
    }
    for (const LogicalTensor& tensor : *tensors) {
      if (!scan_numbers) break;
      if (tensor.param.shape_known) {
        scan(component, tensor);
      } else {
        ++report_.undecoded_tensors;
        report_.notes.push_back(fmt::format(
            "'{}' was not decoded: its stored form does not tell its shape; a source does",
            full_name(component.name, tensor.param.name)));
      }
    }
    return {};
  }

  // A directory of a model without its weights opens as if it were no component.
  void check_absent_components(const Checkpoint& checkpoint) {
    if (checkpoint.kind != CheckpointKind::pipeline) return;
    for (const auto& [name, value] : checkpoint.model_index.items()) {
      const bool present = std::any_of(checkpoint.components.begin(), checkpoint.components.end(),
                                       [&](const Component& c) { return c.name == name; });
      if (present || !value.is_array()) continue;
      const auto path = checkpoint.root / name / "config.json";
      std::error_code error;
      if (!std::filesystem::exists(path, error)) continue;
      const auto text = read_file(path, uint64_t{16} << 20);
      const auto config =
          text.ok() ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
      if (config.is_object() &&
          (config.contains("_class_name") || config.contains("architectures")))
        problem(fmt::format("component {}: has the config.json of a model, but no weights", name));
    }
  }

 private:
  void problem(std::string text) {
    std::lock_guard lock(mutex_);
    report_.problems.push_back(std::move(text));
  }

  // Whether the config.json is the one that was written with the weights; without it they cannot be
  // decoded.
  bool check_config(const Component& component, const Provenance& provenance) {
    if (provenance.config_sha256.empty()) return true;
    const bool quantized = !provenance.plugins.empty();
    if (lone_file_) {
      if (!quantized || component.quantization_config() != nullptr) return true;
      report_.undecoded_tensors += component.tensors.size();
      report_.notes.push_back(fmt::format(
          "{}: nothing was decoded: it is quantized ({}), and its config.json is read with the "
          "directory only",
          component.files.front()->path().string(), provenance.method));
      return false;
    }
    const std::string path = (component.directory / "config.json").string();
    const std::string weights =
        quantized ? "quantized weights (" + provenance.method + ")" : std::string("weights");
    if (component.config.is_null()) {
      problem(in_component(
          component, fmt::format("{} is missing: its {} were written with one", path, weights)));
      return false;
    }
    if (config_digest(component.config) == provenance.config_sha256) return true;
    problem(
        in_component(component, fmt::format("{} {} its {}", path,
                                            quantized && component.quantization_config() == nullptr
                                                ? "has lost the quantization_config of"
                                                : "is not the one that was written with",
                                            weights)));
    return false;
  }

  Status check_source(const Component& component, const Provenance& provenance,
                      const Component& original) {
    std::vector<SourceFile> files;
    for (const auto& file : original.files) {
      PRECIS_ASSIGN(SourceFile described, describe_source(*file));
      files.push_back(std::move(described));
    }
    const auto& recorded = provenance.sources;
    const bool same = std::is_permutation(
        files.begin(), files.end(), recorded.begin(), recorded.end(),
        [](const SourceFile& x, const SourceFile& y) { return x.same_content(y); });
    if (!same) {
      problem(in_component(
          component,
          fmt::format("was made from another source than {}: {} weight files of {} bytes "
                      "are recorded, their headers and samples of their data are not "
                      "those of the {} files of {} bytes there",
                      original.files.front()->path().parent_path().string(), recorded.size(),
                      total_bytes(recorded), files.size(), total_bytes(files))));
    }
    return {};
  }

  static uint64_t total_bytes(const std::vector<SourceFile>& files) {
    uint64_t bytes = 0;
    for (const SourceFile& file : files) bytes += file.bytes;
    return bytes;
  }

  void check_digests(const Container& file) {
    ++report_.files;
    const std::string name = file.path().string();
    const std::string digests = stored_digests(file);
    if (digests.empty()) {
      report_.notes.push_back(
          fmt::format("{}: carries no digests (it was not written by precis)", name));
      return;
    }
    std::vector<const TensorEntry*> order;
    for (const TensorEntry& entry : file.tensors()) order.push_back(&entry);
    std::sort(order.begin(), order.end(),
              [](const TensorEntry* a, const TensorEntry* b) { return a->name < b->name; });
    if (digests.size() != order.size() * 32) {
      return problem(fmt::format("{}: carries {} digests for {} tensors", name, digests.size() / 32,
                                 order.size()));
    }
    pool_.parallel_for(order.size(), 1, [&](uint64_t begin, uint64_t end) {
      for (uint64_t i = begin; i < end; ++i) {
        auto data = file.data(*order[i]);
        if (!data.ok()) return problem(data.error().text());
        const bool same = to_hex(tensor_digest(*data)) == digests.substr(i * 32, 32);
        file.release(*order[i]);
        if (!same)
          problem(fmt::format("{}: tensor '{}' does not have the bytes that were written", name,
                              order[i]->name));
      }
    });
    report_.hashed_tensors += order.size();
  }

  void scan(const Component& component, const LogicalTensor& tensor) {
    if (tensor.plain() && !is_floating(tensor.param.dtype)) return;
    std::atomic<uint64_t> nonfinite{0};
    const Status status =
        for_each_slice(tensor.param, pool_, [&](int64_t row, int64_t rows) -> Status {
          thread_local std::vector<float> values;
          const std::size_t count = static_cast<std::size_t>(rows) * tensor.param.row_elements();
          values.resize(std::max(values.size(), count));
          PRECIS_TRY(tensor.read_rows(row, rows, std::span(values).first(count)));
          nonfinite += static_cast<uint64_t>(
              std::count_if(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count),
                            [](float value) { return !std::isfinite(value); }));
          return {};
        });
    tensor.release_source();
    const std::string name = full_name(component.name, tensor.param.name);
    if (!status.ok())
      return problem(fmt::format("'{}' does not decode: {}", name, status.error().text()));
    if (nonfinite > 0)
      problem(fmt::format("'{}' has {} values that are NaN or infinite", name, nonfinite.load()));
  }

  MethodResolver& methods_;
  ThreadPool& pool_;
  bool lone_file_;  // the checkpoint is a file, without a directory and what else is in it
  VerifyReport& report_;
  std::mutex mutex_;
};

// kept_exactly: names of components whose kept tensors must be those of the source.
void report_comparison(const std::set<std::string>& kept_exactly, VerifyReport& report) {
  for (const std::string& name : report.comparison.only_a)
    report.problems.push_back(fmt::format("'{}' of the source is missing", name));
  for (const std::string& name : report.comparison.only_b)
    report.problems.push_back(fmt::format("'{}' is not in the source", name));
  for (const std::string& name : report.comparison.other_bytes)
    report.problems.push_back(fmt::format("'{}' is not the one of the source", name));
  for (const TensorComparison& tensor : report.comparison.tensors) {
    const std::string name = full_name(tensor.component, tensor.name);
    // Numbers in the source's dtype are copies.
    const bool copied = tensor.method_a == tensor.method_b && dtype_from_name(tensor.method_b) &&
                        kept_exactly.contains(tensor.component);
    if (copied && !tensor.error.equal()) {
      report.problems.push_back(
          fmt::format("'{}' was kept, but is not the one of the source", name));
    }
    if (tensor.error.nonfinite_decoded > 0) {
      report.problems.push_back(
          fmt::format("'{}' has {} NaN or infinite values where the source is finite", name,
                      tensor.error.nonfinite_decoded));
    }
    if (tensor.error.nonfinite_original > 0) {
      report.notes.push_back(fmt::format("'{}' has {} NaN or infinite values in the source already",
                                         name, tensor.error.nonfinite_original));
    }
  }
}

}  // namespace

Result<VerifyReport> verify(const Checkpoint& checkpoint, const Checkpoint* source,
                            MethodResolver& methods, ThreadPool& pool) {
  VerifyReport report;
  Verifier verifier(methods, pool, checkpoint.kind == CheckpointKind::single_file, report);
  std::set<std::string> kept_exactly;
  for (const Component& component : checkpoint.components) {
    const Component* original =
        source == nullptr ? nullptr : counterpart(checkpoint, component, *source);
    if (original != nullptr && provenance_of(component)) kept_exactly.insert(original->name);
    // With a source the comparison decodes everything: one pass is enough.
    PRECIS_TRY(verifier.check_component(component, original, source == nullptr));
  }
  verifier.check_absent_components(checkpoint);
  // What does not verify in itself is not worth comparing, and often cannot be.
  if (source != nullptr && report.problems.empty()) {
    PRECIS_ASSIGN(report.comparison, compare(*source, checkpoint, methods, pool));
    report.compared = true;
    report_comparison(kept_exactly, report);
  }
  return report;
}

}  // namespace precis
