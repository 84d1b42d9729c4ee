// One group of layers on its way from float weights to encoded parts.
#pragma once

#include <atomic>
#include <vector>

#include "core/abi/calibration.h"
#include "core/engine/plan.h"
#include "runtime/calibration/encoded_store.h"
#include "runtime/calibration/stage_layers.h"

namespace precis {

// What became of a group.
struct EncodedGroup {
  struct Layer {
    const TensorPlan* tensor = nullptr;
    std::vector<at::Tensor> parts;  // in the plan's order
  };
  std::vector<Layer> layers;
  std::vector<double> relative_errors;  // one a layer; NaN: not known
  at::Tensor scales;  // float32 [in_features] by which the weights' columns were multiplied;
                      // undefined: they were not

  // The parts under their names in the checkpoint; they borrow from this object.
  std::vector<EncodedTensor> tensors() const;
};

class GroupCalibration {
 public:
  // plan and the layers of `group` outlive the object. Errors: the plugin's.
  static Result<GroupCalibration> begin(const ComponentPlan& plan, const LayerGroup& group);

  bool scales_activation() const { return statistics_.scales_activation(); }

  // input: [..., in_features], of the group's layers.
  Status observe(const at::Tensor& input);

  // offer_scales: the caller can divide the input by scales.
  Result<EncodedGroup> finish(bool offer_scales, const std::atomic<bool>* cancel);

 private:
  GroupCalibration(const ComponentPlan& plan, const LayerGroup& group, CalibrationGroup statistics)
      : plan_(&plan),
        group_(&group),
        statistics_(std::move(statistics)),
        output_squares_(group.size(), 0) {}
  Status flush();

  const ComponentPlan* plan_;
  const LayerGroup* group_;
  CalibrationGroup statistics_;
  std::vector<at::Tensor> waiting_;  // rows not yet in the statistics
  int64_t waiting_rows_ = 0;
  std::vector<double> output_squares_;  // of each layer, without its bias
};

}  // namespace precis
