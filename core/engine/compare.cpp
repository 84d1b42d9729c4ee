#include "core/engine/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "core/engine/encode_job.h"
#include "core/engine/method_resolver.h"

namespace precis {
namespace {

std::string full_name(const Component& component, const std::string& name) {
  return component.name.empty() ? name : fmt::format("{}.{}", component.name, name);
}

Result<ErrorStats> compare_tensor(const LogicalTensor& a, const LogicalTensor& b,
                                  ThreadPool& pool) {
  ErrorStats total;
  std::mutex mutex;
  PRECIS_TRY(for_each_slice(a.param, pool, [&](int64_t row, int64_t rows) -> Status {
    const std::size_t count = static_cast<std::size_t>(rows) * a.param.row_elements();
    thread_local std::vector<float> left, right;
    left.resize(std::max(left.size(), count));
    right.resize(std::max(right.size(), count));
    const auto l = std::span(left).first(count), r = std::span(right).first(count);
    PRECIS_TRY(a.read_rows(row, rows, l));
    PRECIS_TRY(b.read_rows(row, rows, r));
    ErrorStats sums;
    sums.add(l, r);
    std::lock_guard lock(mutex);
    total.add(sums);
    return {};
  }));
  return total;
}

bool is_number(const LogicalTensor& tensor) {
  return !tensor.plain() || is_floating(tensor.param.dtype) ||
         tensor.param.dtype == DType::f8_e4m3fn || tensor.param.dtype == DType::f8_e5m2;
}

// Of two tensors that are not both weights.
Result<bool> same_bytes(const LogicalTensor& a, const LogicalTensor& b) {
  if (!a.plain() || !b.plain() || a.param.dtype != b.param.dtype ||
      a.param.shape != b.param.shape) {
    return false;
  }
  PRECIS_ASSIGN(const auto left, a.parts.front().file->data(*a.parts.front().entry));
  PRECIS_ASSIGN(const auto right, b.parts.front().file->data(*b.parts.front().entry));
  const bool same = std::equal(left.begin(), left.end(), right.begin(), right.end());
  a.release_source();
  b.release_source();
  return same;
}

Status compare_component(const Component& a, const Component& b, MethodResolver& methods,
                         ThreadPool& pool, Comparison& out) {
  PRECIS_ASSIGN(const auto left, logical_tensors(a, methods));
  PRECIS_ASSIGN(const auto right, logical_tensors(b, methods));
  std::map<std::string, const LogicalTensor*> by_name;
  for (const LogicalTensor& tensor : right) by_name.emplace(tensor.param.name, &tensor);
  for (const LogicalTensor& tensor : left) {
    const auto found = by_name.find(tensor.param.name);
    if (found == by_name.end()) {
      out.only_a.push_back(full_name(a, tensor.param.name));
      continue;
    }
    const LogicalTensor& other = *found->second;
    by_name.erase(found);
    if (!is_number(tensor) || !is_number(other)) {
      PRECIS_ASSIGN(const bool same, same_bytes(tensor, other));
      if (!same) out.other_bytes.push_back(full_name(a, tensor.param.name));
      continue;
    }
    // A side whose stored form does not tell its shape takes it from the other.
    LogicalTensor l = tensor, r = other;
    if (!l.param.shape_known)
      l.param.shape = r.param.shape, l.param.shape_known = r.param.shape_known;
    if (!r.param.shape_known)
      r.param.shape = l.param.shape, r.param.shape_known = l.param.shape_known;
    if (l.param.shape != r.param.shape || !l.param.shape_known) {
      return Error(ErrorCode::data_loss,
                   fmt::format("'{}' has another shape in the two checkpoints",
                               full_name(a, tensor.param.name)),
                   "they are not the same model");
    }
    PRECIS_ASSIGN(const ErrorStats error, compare_tensor(l, r, pool));
    l.release_source();
    r.release_source();
    out.tensors.push_back({a.name, tensor.param.name, storage_name(l), storage_name(r),
                           l.stored_bytes(), r.stored_bytes(), error});
  }
  for (const auto& [name, tensor] : by_name) out.only_b.push_back(full_name(b, name));
  return {};
}

}  // namespace

const TensorComparison* Comparison::worst() const {
  const auto worst = std::max_element(tensors.begin(), tensors.end(),
                                      [](const TensorComparison& x, const TensorComparison& y) {
                                        return x.error.relative_error() < y.error.relative_error();
                                      });
  return worst == tensors.end() ? nullptr : &*worst;
}

Status check_agreement(const Comparison& comparison, double max_error) {
  const auto disagree = [](std::string message, std::string hint) {
    return Error(ErrorCode::quality, std::move(message), std::move(hint));
  };
  const std::string same_model = "give two checkpoints of the same model";
  const auto first_of = [](const std::vector<std::string>& names) {
    return names.size() == 1 ? fmt::format("'{}' is", names.front())
                             : fmt::format("'{}' and {} more are", names.front(), names.size() - 1);
  };
  if (const TensorComparison* worst = comparison.worst();
      worst != nullptr && worst->error.relative_error() > max_error) {
    return disagree(
        fmt::format("'{}' has a relative error of {:.6g}, {:g} is allowed",
                    worst->component.empty() ? worst->name : worst->component + "." + worst->name,
                    worst->error.relative_error(), max_error),
        "keep this tensor with --skip, or give it more bits with --rule");
  }
  if (!comparison.only_a.empty())
    return disagree(first_of(comparison.only_a) + " in the first checkpoint only", same_model);
  if (!comparison.only_b.empty())
    return disagree(first_of(comparison.only_b) + " in the second checkpoint only", same_model);
  if (!comparison.other_bytes.empty())
    return disagree(first_of(comparison.other_bytes) + " not equal", same_model);
  if (comparison.tensors.empty())
    return disagree("the two checkpoints have no weight in common: nothing was compared",
                    same_model);
  return {};
}

std::string storage_name(const LogicalTensor& tensor) {
  if (tensor.plain()) return std::string(dtype_name(tensor.param.dtype));
  const std::string& encoding = tensor.parts.front().entry->encoding;
  return encoding.empty() ? tensor.quantizer->spec() : encoding.substr(encoding.find('.') + 1);
}

Status for_each_slice(const Param& param, ThreadPool& pool,
                      const std::function<Status(int64_t, int64_t)>& visit) {
  if (param.elements() == 0) return {};
  const int64_t step = rows_of(param, kSliceElements);
  const auto slices = static_cast<uint64_t>((param.rows() - 1) / step + 1);
  std::mutex mutex;
  std::atomic<bool> failed{false};
  Status status;
  pool.parallel_for(slices, 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t slice = begin; slice < end && !failed.load(); ++slice) {
      const int64_t row = static_cast<int64_t>(slice) * step;
      Status visited = visit(row, std::min(step, param.rows() - row));
      if (visited.ok()) continue;
      std::lock_guard lock(mutex);
      if (!failed.exchange(true)) status = std::move(visited);
    }
  });
  return status;
}

Result<Comparison> compare(const Checkpoint& a, const Checkpoint& b, MethodResolver& methods,
                           ThreadPool& pool) {
  Comparison out;
  const bool lone = a.components.size() == 1 && b.components.size() == 1;
  for (const Component& component : a.components) {
    const auto other = std::find_if(
        b.components.begin(), b.components.end(),
        [&](const Component& candidate) { return lone || candidate.name == component.name; });
    if (other == b.components.end()) {
      out.only_a.push_back(component.name);
      continue;
    }
    Status status = compare_component(component, *other, methods, pool, out);
    if (!status.ok()) {
      Error error = std::move(status).error();
      if (!component.name.empty()) error.with_context(fmt::format("component {}", component.name));
      return error;
    }
  }
  for (const Component& component : b.components) {
    const bool known =
        lone || std::any_of(a.components.begin(), a.components.end(),
                            [&](const Component& c) { return c.name == component.name; });
    if (!known) out.only_b.push_back(component.name);
  }
  return out;
}

}  // namespace precis
