// Quantizing weights by what reaches them: precis.calibration/1 behind Result and standard types.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/abi/quantizer.h"

namespace precis {

// One weight of a group: what is encoded, and where to.
struct CalibratedWeight {
  std::span<const std::byte> weight;        // contiguous, of its param's dtype and shape
  std::vector<PartSpec> specs;              // as Quantizer::plan gives them
  std::vector<std::span<std::byte>> parts;  // one buffer of the planned size each
  double squared_error = 0;  // result: of the outputs, over all rows observed; NaN: not known
};

// Layers that are fed the same activation, with the statistics of it. The state lies in memory of
// its own; observe and finish: one thread at a time.
class CalibrationGroup {
 public:
  // Whether the quantizer's method can be calibrated at all.
  static bool available(const Quantizer& quantizer);

  // Whether the method makes use of scales for such a group, where it is offered them.
  static Result<bool> wants_scales(const Quantizer& quantizer, const std::vector<Param>& params);

  // params: weights [out_features, in_features] with the same in_features, at least one. Allocates
  // the state and the workspace. Errors: the plugin's, when a weight does not fit the method.
  static Result<CalibrationGroup> begin(std::shared_ptr<const Quantizer> quantizer,
                                        std::vector<Param> params);

  const std::vector<Param>& params() const { return params_; }
  // Whether finish() makes use of scales where it is offered them.
  bool scales_activation() const { return scales_activation_; }
  uint64_t in_features() const { return params_.front().row_elements(); }
  uint64_t bytes() const;  // of the state and the workspace

  // activation: contiguous rows [rows, in_features] in `dtype`. Error data_loss: a NaN or an
  // infinity among them.
  Status observe(DType dtype, std::span<const std::byte> activation, int64_t rows);

  // Encodes the weights, in the order of params. scales: empty, or float32 [in_features] that
  // receives what the method multiplied the weights' columns by and the activation must be divided
  // by; all 1 when it left them. The state is used up.
  Status finish(std::span<CalibratedWeight> weights, std::span<float> scales,
                const std::atomic<bool>* cancel);

 private:
  CalibrationGroup() = default;

  struct Free {
    void operator()(std::byte* memory) const;
  };
  using Buffer = std::unique_ptr<std::byte[], Free>;
  static Buffer zeroed(uint64_t bytes);

  std::span<std::byte> workspace() const { return {workspace_.get(), workspace_bytes_}; }

  std::shared_ptr<const Quantizer> quantizer_;
  std::vector<Param> params_;
  std::vector<PartSpec> state_specs_;
  std::vector<Buffer> state_memory_;
  std::vector<std::span<std::byte>> state_;
  Buffer workspace_;
  uint64_t workspace_bytes_ = 0;
  bool scales_activation_ = false;
};

}  // namespace precis
