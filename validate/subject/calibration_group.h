// Layers that one activation feeds, as a host that calibrates holds them: weights, state, results.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "validate/subject/older_host.h"
#include "validate/subject/weights.h"

namespace precis::validate {

struct FinishOptions {
  Guard guard = Guard::slack;  // around parts and scales
  std::byte output_fill{0xa5};
  bool offer_scales = false;
  RecordedCall* call = nullptr;  // instead of one of its own
};

// What finish made.
struct Finished {
  precis_status status = PRECIS_OK;
  Status outcome;      // the plugin's refusal
  bool intact = true;  // nothing around parts, scales, state and workspace was written
  std::vector<std::vector<std::vector<std::byte>>> parts;  // of each weight
  std::vector<double> errors;                              // of each weight
  std::vector<float> scales;                               // empty where none were offered
};

class CalibrationGroup {
 public:
  // weights outlive the group, have the same in_features, and are planned as calibrated. guard:
  // around the state and the workspace. Errors: the plugin's refusal.
  static Result<std::unique_ptr<CalibrationGroup>> make(const Instance& instance,
                                                        std::span<const Weight* const> weights,
                                                        Guard guard = Guard::slack);
  CalibrationGroup(const CalibrationGroup&) = delete;
  CalibrationGroup& operator=(const CalibrationGroup&) = delete;

  const PartPlan& plan() const { return plan_; }
  bool may_scale() const { return (flags_ & PRECIS_CALIBRATION_SCALES) != 0; }
  // The state's bytes, one tensor behind the other.
  std::vector<std::byte> state() const;
  // The same as numbers, rounded to float32.
  std::vector<float> state_numbers() const;

  // activation: rows of in_features numbers, rounded to `dtype`.
  Status observe(DType dtype, std::span<const float> activation);
  bool intact() const;
  Finished finish(const FinishOptions& options = {});

 private:
  CalibrationGroup(const Instance& instance, std::span<const Weight* const> weights);

  const Instance& instance_;
  std::vector<const Weight*> weights_;
  std::vector<std::unique_ptr<HostParam>> params_;
  std::vector<const precis_param*> param_pointers_;
  PartPlan plan_;
  uint32_t flags_ = 0;
  std::vector<GuardedMemory> state_memory_;
  std::unique_ptr<AbiTensors> state_;
  GuardedMemory workspace_;
};

// What the plugin plans for the group's state. Errors: its refusal.
Result<PartPlan> plan_of_group(const Instance& instance,
                               std::span<const precis_param* const> params, uint32_t* flags);

}  // namespace precis::validate
