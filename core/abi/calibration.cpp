#include "core/abi/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/abi/call.h"
#include "core/abi/plugin_call.h"
#include "core/abi/views.h"

namespace precis {
namespace {

constexpr uint64_t kAlignment = 64;

const precis_calibration_v1* table_of(const Quantizer& quantizer) {
  return static_cast<const precis_calibration_v1*>(quantizer.extension(PRECIS_CALIBRATION_1));
}

// The params of a group as the ABI's structs.
class AbiParams {
 public:
  explicit AbiParams(const std::vector<Param>& params) {
    for (const Param& param : params) {
      params_.push_back(std::make_unique<AbiParam>(param));
      pointers_.push_back(params_.back()->get());
    }
    group.struct_size = sizeof group;
    group.count = pointers_.size();
    group.params = pointers_.data();
  }

  precis_calibration_group group{};

 private:
  std::vector<std::unique_ptr<AbiParam>> params_;
  std::vector<const precis_param*> pointers_;
};

Result<PartPlan> plan_group(const Quantizer& quantizer, const std::vector<Param>& params,
                            uint32_t& flags) {
  const AbiParams abi(params);
  return ask_for_plan(
      [&](const precis_call* call, precis_plan* out) {
        return in_plugin(quantizer.during("planning the calibration of", params.front()), call,
                         [&] {
                           return table_of(quantizer)->plan(quantizer.handle(), call, kCpuDevice,
                                                            &abi.group, out);
                         });
      },
      &flags);
}

}  // namespace

void CalibrationGroup::Free::operator()(std::byte* memory) const {
  std::free(memory);
}

CalibrationGroup::Buffer CalibrationGroup::zeroed(uint64_t bytes) {
  const uint64_t size = (std::max<uint64_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = std::aligned_alloc(kAlignment, size);
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory, 0, size);
  return Buffer(static_cast<std::byte*>(memory));
}

bool CalibrationGroup::available(const Quantizer& quantizer) {
  return table_of(quantizer) != nullptr;
}

Result<bool> CalibrationGroup::wants_scales(const Quantizer& quantizer,
                                            const std::vector<Param>& params) {
  uint32_t flags = 0;
  PRECIS_TRY(plan_group(quantizer, params, flags));
  return (flags & PRECIS_CALIBRATION_SCALES) != 0;
}

Result<CalibrationGroup> CalibrationGroup::begin(std::shared_ptr<const Quantizer> quantizer,
                                                 std::vector<Param> params) {
  if (!available(*quantizer)) {
    return Error(ErrorCode::plugin,
                 fmt::format("plugin {}: method {} has no table {}", quantizer->plugin_id(),
                             quantizer->method(), PRECIS_CALIBRATION_1));
  }
  uint32_t flags = 0;
  PRECIS_ASSIGN(PartPlan plan, plan_group(*quantizer, params, flags));
  CalibrationGroup result;
  result.scales_activation_ = (flags & PRECIS_CALIBRATION_SCALES) != 0;
  result.quantizer_ = std::move(quantizer);
  result.params_ = std::move(params);
  result.state_specs_ = std::move(plan.parts);
  for (const PartSpec& spec : result.state_specs_) {
    result.state_memory_.push_back(zeroed(spec.nbytes));
    result.state_.emplace_back(result.state_memory_.back().get(), spec.nbytes);
  }
  result.workspace_bytes_ = plan.workspace_bytes;
  result.workspace_ = zeroed(plan.workspace_bytes);
  return result;
}

uint64_t CalibrationGroup::bytes() const {
  uint64_t total = workspace_bytes_;
  for (const auto& buffer : state_) total += buffer.size();
  return total;
}

Status CalibrationGroup::observe(DType dtype, std::span<const std::byte> activation, int64_t rows) {
  const AbiParam param(params_.front());
  const std::vector<int64_t> shape{rows, static_cast<int64_t>(in_features())};
  AbiTensor tensor(activation.data(), activation.size(), dtype, shape, "", true);
  const AbiTensors state(state_specs_, state_);
  const Call call(workspace());
  const auto observe = [&] {
    return table_of(*quantizer_)
        ->observe(quantizer_->handle(), call.abi(), param.get(), tensor.get(), state.pointers(),
                  state.count());
  };
  return call.finish(
      in_plugin(quantizer_->during("watching the input of", params_.front()), call.abi(), observe),
      params_.front().name);
}

Status CalibrationGroup::finish(std::span<CalibratedWeight> weights, std::span<float> scales,
                                const std::atomic<bool>* cancel) {
  AbiParams abi(params_);
  std::vector<std::unique_ptr<AbiTensor>> tensors;
  std::vector<const precis_tensor*> weight_pointers;
  std::vector<std::unique_ptr<AbiTensors>> parts;
  std::vector<precis_tensor* const*> part_pointers;
  std::vector<uint64_t> part_counts;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    tensors.push_back(std::make_unique<AbiTensor>(weights[i].weight.data(),
                                                  weights[i].weight.size(), params_[i].dtype,
                                                  params_[i].shape, "", true));
    weight_pointers.push_back(tensors.back()->get());
    parts.push_back(std::make_unique<AbiTensors>(weights[i].specs, weights[i].parts));
    part_pointers.push_back(parts.back()->pointers());
    part_counts.push_back(parts.back()->count());
  }
  const AbiTensors state(state_specs_, state_);
  std::fill(scales.begin(), scales.end(), 1.0f);
  const std::vector<int64_t> scales_shape{static_cast<int64_t>(scales.size())};
  const auto scale_bytes = std::as_writable_bytes(scales);
  AbiTensor scale_tensor(scale_bytes.data(), scale_bytes.size(), DType::f32, scales_shape, "",
                         false);
  std::vector<double> errors(weights.size(), 0);
  abi.group.weights = weight_pointers.data();
  abi.group.state = state.pointers();
  abi.group.state_count = state.count();
  abi.group.parts = part_pointers.data();
  abi.group.part_counts = part_counts.data();
  abi.group.scales = scales.empty() ? nullptr : scale_tensor.get();
  abi.group.errors = errors.data();
  const Call call(workspace(), cancel);
  const auto finish = [&] {
    return table_of(*quantizer_)->finish(quantizer_->handle(), call.abi(), &abi.group);
  };
  PRECIS_TRY(
      call.finish(in_plugin(quantizer_->during("calibrating", params_.front()), call.abi(), finish),
                  params_.front().name));
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i].squared_error = errors[i];
  return {};
}

}  // namespace precis
