#include "core/engine/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>

#include "core/base/sha256.h"
#include "core/engine/method_resolver.h"
#include "core/engine/tensor_job.h"

namespace precis {
namespace {

// The digests a file carries: hex digits, 32 a tensor, in the order of the tensors' names.
std::string stored_digests(const Container& file) {
  const auto found = file.metadata().find(std::string(kDigestsKey));
  if (found == file.metadata().end()) return {};
  const auto& value = found->is_object() ? (*found)["value"] : *found;
  if (!value.is_string()) return {};
  const std::string text = value.get<std::string>();
  return text.starts_with(kDigestsPrefix) ? text.substr(kDigestsPrefix.size()) : std::string();
}

class Verifier {
 public:
  Verifier(MethodResolver& methods, ThreadPool& pool, VerifyReport& report)
      : methods_(methods), pool_(pool), report_(report) {}

  Status check_component(const Component& component, bool scan_numbers) {
    for (const auto& file : component.files) check_digests(*file);
    report_.tensors += component.tensors.size();
    const auto tensors = logical_tensors(component, methods_);
    if (!tensors.ok()) {
      if (tensors.error().code() != ErrorCode::data_loss) return tensors.error();
      problem(fmt::format("{}{}", component.name.empty() ? "" : component.name + ": ",
                          tensors.error().text()));
      return {};
    }
    for (const LogicalTensor& tensor : *tensors) {
      if (!tensor.param.shape_known) {
        report_.notes.push_back(fmt::format(
            "'{}' was not decoded: its stored form does not tell its shape", tensor.param.name));
      } else if (scan_numbers) {
        scan(component, tensor);
      }
    }
    return {};
  }

 private:
  void problem(std::string text) {
    std::lock_guard lock(mutex_);
    report_.problems.push_back(std::move(text));
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
    const std::string name =
        component.name.empty() ? tensor.param.name : component.name + "." + tensor.param.name;
    if (!status.ok())
      return problem(fmt::format("'{}' does not decode: {}", name, status.error().text()));
    if (nonfinite > 0)
      problem(fmt::format("'{}' has {} values that are NaN or infinite", name, nonfinite.load()));
  }

  MethodResolver& methods_;
  ThreadPool& pool_;
  VerifyReport& report_;
  std::mutex mutex_;
};

void report_comparison(VerifyReport& report) {
  for (const std::string& name : report.comparison.only_a)
    report.problems.push_back(fmt::format("'{}' of the source is missing", name));
  for (const std::string& name : report.comparison.only_b)
    report.problems.push_back(fmt::format("'{}' is not in the source", name));
  for (const TensorComparison& tensor : report.comparison.tensors) {
    const std::string name =
        tensor.component.empty() ? tensor.name : tensor.component + "." + tensor.name;
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
  Verifier verifier(methods, pool, report);
  for (const Component& component : checkpoint.components) {
    // With a source the comparison decodes everything: one pass is enough.
    PRECIS_TRY(verifier.check_component(component, source == nullptr));
  }
  // What does not verify in itself is not worth comparing, and often cannot be.
  if (source != nullptr && report.problems.empty()) {
    PRECIS_ASSIGN(report.comparison, compare(*source, checkpoint, methods, pool));
    report.compared = true;
    report_comparison(report);
  }
  return report;
}

}  // namespace precis
