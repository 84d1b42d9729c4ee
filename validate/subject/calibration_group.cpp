#include "validate/subject/calibration_group.h"

#include <algorithm>
#include <cstring>

namespace precis::validate {
namespace {

std::vector<std::byte> stored_numbers(DType dtype, std::span<const float> values) {
  std::vector<std::byte> bytes(values.size() * dtype_bits(dtype) / 8);
  store_numbers(dtype, values, bytes.data());
  return bytes;
}

precis_calibration_group group_of(std::span<const precis_param* const> params) {
  precis_calibration_group group{};
  group.struct_size = sizeof group;
  group.count = params.size();
  group.params = params.data();
  return group;
}

}  // namespace

Result<PartPlan> plan_of_group(const Instance& instance,
                               std::span<const precis_param* const> params, uint32_t* flags) {
  const precis_calibration_group group = group_of(params);
  return ask_for_plan(
      [&](const precis_call* call, precis_plan* out) {
        return instance.calibration()->plan(instance.handle(), call, kCpuDevice, &group, out);
      },
      flags);
}

CalibrationGroup::CalibrationGroup(const Instance& instance, std::span<const Weight* const> weights)
    : instance_(instance), weights_(weights.begin(), weights.end()) {
  for (const Weight* weight : weights_) {
    params_.push_back(std::make_unique<HostParam>(weight->param));
    param_pointers_.push_back(params_.back()->get());
  }
}

Result<std::unique_ptr<CalibrationGroup>> CalibrationGroup::make(
    const Instance& instance, std::span<const Weight* const> weights, Guard guard) {
  std::unique_ptr<CalibrationGroup> group(new CalibrationGroup(instance, weights));
  PRECIS_ASSIGN(group->plan_, plan_of_group(instance, group->param_pointers_, &group->flags_));
  std::vector<std::span<std::byte>> state;
  for (const PartSpec& part : group->plan_.parts)
    state.push_back(group->state_memory_.emplace_back(part.nbytes, guard, std::byte{0}).bytes());
  group->state_ = std::make_unique<AbiTensors>(group->plan_.parts, state);
  group->workspace_ = GuardedMemory(group->plan_.workspace_bytes, guard, std::byte{0x5a});
  return group;
}

std::vector<std::byte> CalibrationGroup::state() const {
  std::vector<std::byte> all;
  for (const GuardedMemory& memory : state_memory_)
    all.insert(all.end(), memory.bytes().begin(), memory.bytes().end());
  return all;
}

namespace {

template <typename T>
std::vector<float> values_of(std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
    values[i] = static_cast<float>(value);
  }
  return values;
}

// States may be sums and counts of any kind, which weights are not.
std::vector<float> numbers_of(DType dtype, std::span<const std::byte> bytes) {
  switch (dtype) {
    case DType::f64:
      return values_of<double>(bytes);
    case DType::i64:
      return values_of<int64_t>(bytes);
    case DType::i32:
      return values_of<int32_t>(bytes);
    case DType::u8:
      return values_of<uint8_t>(bytes);
    default:
      return load_numbers(dtype, bytes);
  }
}

}  // namespace

std::vector<float> CalibrationGroup::state_numbers() const {
  std::vector<float> all;
  for (std::size_t i = 0; i < state_memory_.size(); ++i) {
    const std::vector<float> numbers = numbers_of(plan_.parts[i].dtype, state_memory_[i].bytes());
    all.insert(all.end(), numbers.begin(), numbers.end());
  }
  return all;
}

Status CalibrationGroup::observe(DType dtype, std::span<const float> activation) {
  const uint64_t columns = weights_.front()->param.row_elements();
  const std::vector<int64_t> shape{static_cast<int64_t>(activation.size() / columns),
                                   static_cast<int64_t>(columns)};
  const std::vector<std::byte> numbers = stored_numbers(dtype, activation);
  GuardedMemory memory(numbers.size(), Guard::behind, std::byte{0}, dtype_bits(dtype) / 8);
  std::copy(numbers.begin(), numbers.end(), memory.bytes().begin());
  memory.make_read_only();
  AbiTensor tensor(memory.bytes().data(), numbers.size(), dtype, shape, "", true);
  RecordedCall call;
  call.use_workspace(workspace_.bytes());
  return call.finish(instance_.calibration()->observe(instance_.handle(), call.abi(),
                                                      param_pointers_.front(), tensor.get(),
                                                      state_->pointers(), state_->count()));
}

bool CalibrationGroup::intact() const {
  return workspace_.intact() && std::all_of(state_memory_.begin(), state_memory_.end(),
                                            [](const GuardedMemory& m) { return m.intact(); });
}

Finished CalibrationGroup::finish(const FinishOptions& options) {
  precis_calibration_group group = group_of(param_pointers_);
  std::vector<std::vector<std::byte>> numbers;
  std::vector<std::unique_ptr<AbiTensor>> weights;
  std::vector<const precis_tensor*> weight_pointers;
  std::vector<std::vector<GuardedMemory>> memory;
  std::vector<std::unique_ptr<AbiTensors>> parts;
  std::vector<precis_tensor* const*> part_pointers;
  std::vector<uint64_t> part_counts;
  for (const Weight* weight : weights_) {
    const auto& bytes = numbers.emplace_back(stored_numbers(weight->param.dtype, weight->values));
    weights.push_back(std::make_unique<AbiTensor>(bytes.data(), bytes.size(), weight->param.dtype,
                                                  weight->param.shape, "", true));
    weight_pointers.push_back(weights.back()->get());
    std::vector<std::span<std::byte>> spans;
    auto& own = memory.emplace_back();
    for (const PartSpec& part : weight->plan.parts)
      spans.push_back(own.emplace_back(part.nbytes, options.guard, options.output_fill).bytes());
    parts.push_back(std::make_unique<AbiTensors>(weight->plan.parts, spans));
    part_pointers.push_back(parts.back()->pointers());
    part_counts.push_back(parts.back()->count());
  }
  const std::vector<int64_t> scales_shape{
      static_cast<int64_t>(weights_.front()->param.row_elements())};
  const GuardedMemory scales(static_cast<uint64_t>(scales_shape[0]) * sizeof(float), options.guard,
                             std::byte{0});
  const std::vector<float> ones(static_cast<std::size_t>(scales_shape[0]), 1.0F);
  store_numbers(DType::f32, ones, scales.bytes().data());
  AbiTensor scale_tensor(scales.bytes().data(), scales.bytes().size(), DType::f32, scales_shape, "",
                         false);
  Finished finished;
  finished.errors.resize(weights_.size(), 0);
  group.weights = weight_pointers.data();
  group.state = state_->pointers();
  group.state_count = state_->count();
  group.parts = part_pointers.data();
  group.part_counts = part_counts.data();
  group.scales = options.offer_scales ? scale_tensor.get() : nullptr;
  group.errors = finished.errors.data();
  RecordedCall own_call;
  RecordedCall& call = options.call == nullptr ? own_call : *options.call;
  call.use_workspace(workspace_.bytes());
  finished.status = instance_.calibration()->finish(instance_.handle(), call.abi(), &group);
  finished.outcome = call.finish(finished.status);
  finished.intact = intact() && scales.intact();
  for (const auto& of_weight : memory) {
    auto& copies = finished.parts.emplace_back();
    for (const GuardedMemory& part : of_weight) {
      finished.intact = finished.intact && part.intact();
      copies.emplace_back(part.bytes().begin(), part.bytes().end());
    }
  }
  if (options.offer_scales) finished.scales = load_numbers(DType::f32, scales.bytes());
  return finished;
}

}  // namespace precis::validate
