#include "runtime/calibration/group_calibration.h"

#include <ATen/ATen.h>

#include "runtime/modules/widened_products.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis {
namespace {

// Rows that go into the statistics at once: sums over fewer are bound by memory.
constexpr int64_t kRowsAtOnce = 1024;

}  // namespace

std::vector<EncodedTensor> EncodedGroup::tensors() const {
  std::vector<EncodedTensor> result;
  for (const Layer& layer : layers) {
    for (std::size_t i = 0; i < layer.parts.size(); ++i)
      result.push_back({layer.tensor->outputs[i].planned, bytes_of(layer.parts[i])});
  }
  return result;
}

Result<GroupCalibration> GroupCalibration::begin(const ComponentPlan& plan,
                                                 const LayerGroup& group) {
  std::vector<Param> params;
  for (const ObservedLayer& layer : group)
    params.push_back(plan.tensors[layer.target].source.param);
  const TensorPlan& first = plan.tensors[group.front().target];
  auto statistics = CalibrationGroup::begin(first.quantizer, std::move(params));
  if (!statistics.ok()) return std::move(statistics).error().with_context(first.source.param.name);
  return GroupCalibration(plan, group, *std::move(statistics));
}

Status GroupCalibration::observe(const at::Tensor& input) {
  at::Tensor rows = input.reshape({-1, input.size(-1)});
  waiting_rows_ += rows.size(0);
  waiting_.push_back(std::move(rows));
  return waiting_rows_ >= kRowsAtOnce ? flush() : Status();
}

Status GroupCalibration::flush() {
  if (waiting_.empty()) return {};
  const at::Tensor rows = at::cat(waiting_).contiguous();
  waiting_.clear();
  waiting_rows_ = 0;
  PRECIS_ASSIGN(const DType dtype, dtype_of(rows.scalar_type()));
  PRECIS_TRY(statistics_.observe(dtype, bytes_of(rows), rows.size(0)));
  for (std::size_t i = 0; i < group_->size(); ++i) {
    const at::Tensor outputs = widening_linear(rows, (*group_)[i].linear->float_weight(), {});
    output_squares_[i] += outputs.to(at::kFloat).square().sum(at::kDouble).item<double>();
  }
  return {};
}

Result<EncodedGroup> GroupCalibration::finish(bool offer_scales, const std::atomic<bool>* cancel) {
  PRECIS_TRY(flush());
  EncodedGroup result;
  std::vector<at::Tensor> weights;
  std::vector<CalibratedWeight> calibrated;
  for (const ObservedLayer& layer : *group_) {
    const TensorPlan& tensor = plan_->tensors[layer.target];
    PRECIS_ASSIGN(const at::ScalarType dtype, scalar_type_of(tensor.source.param.dtype));
    weights.push_back(layer.linear->float_weight().to(dtype).contiguous());
    EncodedGroup::Layer encoded{&tensor, {}};
    CalibratedWeight weight{bytes_of(weights.back()), tensor.parts, {}, 0};
    for (const PartSpec& spec : tensor.parts) {
      PRECIS_ASSIGN(at::Tensor part, empty_part(spec));
      weight.parts.push_back(bytes_of(part));
      encoded.parts.push_back(std::move(part));
    }
    calibrated.push_back(std::move(weight));
    result.layers.push_back(std::move(encoded));
  }
  at::Tensor scales;
  std::span<float> scale_values;
  if (offer_scales) {
    scales = at::ones({static_cast<int64_t>(statistics_.in_features())}, at::kFloat);
    scale_values = {scales.mutable_data_ptr<float>(), statistics_.in_features()};
  }
  PRECIS_TRY(statistics_.finish(calibrated, scale_values, cancel));
  if (offer_scales && !(scales == 1).all().item<bool>()) result.scales = scales;
  for (std::size_t i = 0; i < calibrated.size(); ++i)
    result.relative_errors.push_back(calibrated[i].squared_error / output_squares_[i]);
  return result;
}

}  // namespace precis
